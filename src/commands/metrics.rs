//! `pipe metrics`: the five figures of software delivery of each target, from its ledger.

use engine::ledger::metrics::{Figures, Period, figures};
use engine::run::outcome::exit;
use engine::world::Git;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::targets::{ledger, target_named};
use crate::args::{Global, HumanOrJson, MetricsArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{DIM, STRONG, paint, time};

/// The figures of one target, as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    target: String,
    from: String,
    to: String,
    figures: Figures,
}

/// Shows the figures.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(global: &Global, args: &MetricsArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let ledger = ledger(&project)?;
    let names = match &args.target {
        Some(name) => vec![target_named(&project, name)?],
        None => project.loaded.pipeline.targets.keys().cloned().collect(),
    };
    let to = Timestamp::now();
    let length = SignedDuration::try_from(args.last).unwrap_or(SignedDuration::MAX);
    let from = to.checked_sub(length).unwrap_or(Timestamp::MIN);
    let git = Git::new(&project.root, &|name| std::env::var(name).ok());
    let commits = |before: Option<&str>, commit: &str| times(&git, before, commit);
    let mut all = Vec::new();
    for target in names {
        let history = ledger.history(&target).map_err(|e| Failed::of_ledger(&e))?;
        all.push(Shown {
            target,
            from: from.to_string(),
            to: to.to_string(),
            figures: figures(&history, Period { from, to }, &commits),
        });
    }
    if args.format == HumanOrJson::Json {
        out.line(&serde_json::to_string_pretty(&all).unwrap_or_default());
        return Ok(exit::OK);
    }
    if all.is_empty() {
        out.line(" the pipeline has no targets");
    }
    for shown in &all {
        human(shown, args, out);
    }
    Ok(exit::OK)
}

/// When the commits were made that came with a commit. Of a commit that is not here nothing is known.
fn times(git: &Git, before: Option<&str>, commit: &str) -> Vec<Timestamp> {
    if commit.is_empty() {
        return Vec::new();
    }
    let range = match before.filter(|b| !b.is_empty()) {
        Some(before) => format!("{before}..{commit}"),
        // Everything that the first release brought was not waiting for it.
        None => format!("{commit}^!"),
    };
    let log = git.output(&["log", "--format=%ct", "--end-of-options", &range]);
    let log = log.unwrap_or_default();
    let seconds = log.lines().filter_map(|line| line.parse().ok());
    seconds
        .filter_map(|s| Timestamp::from_second(s).ok())
        .collect()
}

fn human(shown: &Shown, args: &MetricsArgs, out: &Out) {
    let figures = &shown.figures;
    let days = args.last.as_secs() / 86_400;
    let over = match days {
        0 => format!("the last {}", dsl::units::show_duration(args.last)),
        1 => "the last day".to_owned(),
        days => format!("the last {days} days"),
    };
    out.line(&format!(
        " {}  {}",
        paint(STRONG, &shown.target),
        paint(DIM, &over)
    ));
    if figures.deployments == 0 {
        out.line("   no deployments");
        return;
    }
    let seconds = |figure: Option<i64>| {
        let millis = figure.map(|s| u64::try_from(s).unwrap_or(0).saturating_mul(1000));
        millis.map_or("unknown".to_owned(), time)
    };
    let percent = |figure: Option<f64>| {
        figure.map_or("unknown".to_owned(), |f| format!("{:.0} %", f * 100.0))
    };
    let lines = [
        (
            "deployments",
            format!(
                "{} of {} healthy, {:.1} a week",
                figures.healthy, figures.deployments, figures.per_week
            ),
        ),
        ("lead time", seconds(figures.lead_time)),
        ("change fail rate", percent(figures.change_fail_rate)),
        ("recovery time", seconds(figures.recovery_time)),
        ("rework rate", percent(figures.rework_rate)),
    ];
    for (name, value) in lines {
        out.line(&format!("   {name:<17} {value}"));
    }
}
