//! `pipe targets`: what runs where, since when, whether it is healthy, and by which run.

use engine::ledger::{Current, History, Ledger};
use engine::run::outcome::exit;
use serde::Serialize;

use super::by_hand::unknown;
use crate::args::{Global, HumanOrJson, TargetsArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{BAD, CAREFUL, DIM, GOOD, cut, pad, paint};

/// Shows the targets.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(global: &Global, args: &TargetsArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let ledger = ledger(&project)?;
    let names = match &args.target {
        Some(name) => vec![target_named(&project, name)?],
        None => project.loaded.pipeline.targets.keys().cloned().collect(),
    };
    let mut lines = Vec::new();
    for name in names {
        let history = ledger.history(&name).map_err(|e| Failed::of_ledger(&e))?;
        let mut line = Line::of(&history);
        if args.drift {
            line.drift = Some(drift(&project, &history, out)?);
        }
        lines.push(line);
    }
    let drifts = lines
        .iter()
        .any(|l| l.drift.as_ref().is_some_and(|d| d != AS_DEPLOYED));
    if args.format == HumanOrJson::Json {
        out.line(&serde_json::to_string_pretty(&lines).unwrap_or_default());
    } else {
        human(&lines, out);
    }
    Ok(if drifts { exit::FAILED } else { exit::OK })
}

const AS_DEPLOYED: &str = "as deployed";

/// The ledger of a project.
///
/// # Errors
/// When git cannot be asked.
pub fn ledger(project: &Project) -> Result<Ledger, Failed> {
    let env = |name: &str| std::env::var(name).ok();
    let files = project.loaded.pipeline.ledger_files;
    Ledger::open(&project.root, &env, files, &engine::run::origin(0))
        .map_err(|e| Failed::of_ledger(&e))
}

/// The target of this name.
///
/// # Errors
/// What may have been meant.
pub fn target_named(project: &Project, name: &str) -> Result<String, Failed> {
    let targets = &project.loaded.pipeline.targets;
    if targets.contains_key(name) {
        return Ok(name.to_owned());
    }
    Err(unknown("target", name, targets.keys().map(String::as_str)))
}

/// One target, as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    target: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    images: std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<String>,
    #[serde(skip)]
    next: Option<String>,
}

impl Line {
    fn of(history: &History) -> Self {
        let target = history.target.clone();
        let mut line = Self {
            state: "nothing",
            title: None,
            bundle: None,
            commit: None,
            images: std::collections::BTreeMap::new(),
            since: None,
            by: None,
            run: None,
            why: None,
            hold: history.hold(),
            drift: None,
            next: None,
            target,
        };
        let target = &line.target;
        let (bundle, since, by, run) = match history.current() {
            Current::Nothing => return line,
            Current::Healthy(release) => {
                line.state = "healthy";
                (release.bundle, release.since, release.by, release.run)
            }
            Current::Failed { release, why } => {
                line.state = "failed";
                line.why = Some(why);
                (release.bundle, release.since, release.by, release.run)
            }
            Current::Locked { release, outcome } => {
                line.state = outcome.word();
                line.why = Some("locked".to_owned());
                line.next = Some(format!("pipe rollback {target}, or pipe unlock {target}"));
                (release.bundle, release.since, release.by, release.run)
            }
            Current::Interrupted(left) => {
                line.state = "unknown";
                line.why = Some("a deployment is going on, or was interrupted".to_owned());
                line.next =
                    Some("the next deployment asks the target what became of it".to_owned());
                (left.bundle, left.since, left.by, left.run)
            }
        };
        line.title = Some(bundle.title());
        line.bundle = Some(bundle.id());
        line.commit = Some(bundle.commit.clone());
        line.images = bundle
            .images
            .iter()
            .map(|(name, image)| (name.clone(), image.reference()))
            .collect();
        line.since = Some(since);
        line.by = Some(by);
        line.run = Some(run);
        line
    }
}

fn human(lines: &[Line], out: &Out) {
    if lines.is_empty() {
        out.line(" the file declares no target");
        return;
    }
    let width = |of: &dyn Fn(&Line) -> usize| lines.iter().map(of).max().unwrap_or(0).min(30);
    let names = width(&|l| l.target.chars().count());
    let titles = width(&|l| l.title.as_ref().map_or(1, |t| t.chars().count()));
    let states = width(&|l| l.state.chars().count());
    for line in lines {
        let style = match line.state {
            "healthy" => GOOD,
            "nothing" => DIM,
            "unknown" => CAREFUL,
            _ => BAD,
        };
        let title = line.title.clone().unwrap_or_else(|| "-".to_owned());
        let since = line
            .since
            .as_deref()
            .map_or("", |s| s.split('.').next().unwrap_or(s));
        let since = since.trim_end_matches('Z').replace('T', " ");
        let run = line
            .run
            .as_ref()
            .map_or(String::new(), |r| format!("  {r}"));
        let text = format!(
            " {}  {}  {}  {}",
            pad(&line.target, names),
            paint(style, &pad(line.state, states)),
            pad(&title, titles),
            paint(DIM, &format!("{since}{run}"))
        );
        out.line(text.trim_end());
        for (name, image) in &line.images {
            out.line(&paint(DIM, &cut(&format!("   {name}  {image}"), out.width)));
        }
        if let Some(why) = &line.why {
            out.line(&format!("   {why}"));
        }
        if let Some(next) = &line.next {
            out.line(&format!("   {} {next}", paint(CAREFUL, "hint")));
        }
        if let Some(hold) = &line.hold {
            out.line(&format!(
                "   promotion is on hold ({hold}): pipe unlock {}",
                line.target
            ));
        }
        if let Some(drift) = &line.drift {
            let style = if drift == AS_DEPLOYED { GOOD } else { BAD };
            out.line(&format!("   {}", paint(style, drift)));
        }
    }
}

/// What a target says that it runs, held against what was deployed.
fn drift(project: &Project, history: &History, out: &Out) -> Result<String, Failed> {
    let Some(id) = history.running() else {
        return Ok(AS_DEPLOYED.to_owned());
    };
    let Some(bundle) = history.bundle(&id) else {
        return Ok(AS_DEPLOYED.to_owned());
    };
    let request = project.request(&crate::args::About::default(), None, &[], out)?;
    let env = |name: &str| std::env::var(name).ok();
    let asked = engine::run::Observing {
        pipeline: &project.loaded.pipeline,
        request: &request,
        root: &project.root,
        target: &history.target,
        bundle,
        recorded: history.values_of(&id),
        env: &env,
    };
    let runtime = engine::process::runtime().map_err(|e| Failed::machine(e.to_string()))?;
    Ok(match runtime.block_on(asked.differs()) {
        Ok(None) => AS_DEPLOYED.to_owned(),
        Ok(Some(differs)) => differs,
        Err(failure) => format!("cannot be asked: {}", failure.what),
    })
}
