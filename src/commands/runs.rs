//! `pipe runs`: the runs of this checkout, newest first.

use engine::record::Summary;
use engine::report::Report;
use engine::run::outcome::exit;
use serde::Serialize;

use crate::args::{Global, HumanOrJson, RunsArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{BAD, BUSY, DIM, GOOD, counts, cut, paint, short, time};

/// Lists the runs.
///
/// # Errors
/// When there is no pipeline here.
pub fn run(global: &Global, args: &RunsArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open(global)?;
    let runs = project.runs();
    let newest = runs.ids().into_iter().rev().take(args.number);
    // A folder without a journal is a run that was killed before it began, or one that begins just now.
    let summaries: Vec<Summary> = newest.filter_map(|id| runs.summary(id).ok()).collect();
    if args.format == HumanOrJson::Json {
        let list: Vec<RunListing> = summaries.iter().map(RunListing::of).collect();
        out.line(&serde_json::to_string_pretty(&list).unwrap_or_default());
        return Ok(exit::OK);
    }
    if summaries.is_empty() {
        out.line(" no runs here yet: pipe run");
    }
    for summary in &summaries {
        out.line(&cut_line(summary, out.width));
    }
    Ok(exit::OK)
}

fn cut_line(summary: &Summary, width: usize) -> String {
    let listing = RunListing::of(summary);
    let style = match listing.outcome.as_str() {
        "passed" => GOOD,
        "running" => BUSY,
        _ => BAD,
    };
    let report = Report::of(summary.reading.events.iter().map(|(_, e)| e));
    let about = match (&report.at, &report.sha) {
        (Some(at), Some(sha)) => format!("{} {at} {}", report.trigger, short(sha)),
        (Some(at), None) => format!("{} {at}", report.trigger),
        _ => report.trigger.clone(),
    };
    let outcome = paint(style, &format!("{:<15}", listing.outcome));
    let rest = format!(
        "{:>7}  {about}  {}",
        time(listing.elapsed),
        counts(&report.counts())
    );
    let began = listing.began.replace('T', " ");
    let began = began.split('.').next().unwrap_or_default();
    format!(
        " {:>4}  {outcome} {}  {}",
        summary.id,
        cut(&rest, width.saturating_sub(46)),
        paint(DIM, began)
    )
}

#[derive(Serialize)]
struct RunListing {
    run: u64,
    outcome: String,
    #[serde(rename = "elapsedMs")]
    elapsed: u64,
    began: String,
}

impl RunListing {
    fn of(summary: &Summary) -> Self {
        let last = summary.reading.events.last().map_or(0, |(at, _)| *at);
        let outcome = match summary.outcome {
            Some(outcome) => outcome.word(),
            None if summary.alive => "running",
            None => "interrupted",
        };
        Self {
            run: summary.id,
            outcome: outcome.to_owned(),
            elapsed: last,
            began: summary.reading.header.began.clone(),
        }
    }
}
