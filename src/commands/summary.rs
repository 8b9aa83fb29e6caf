//! `pipe` alone: the pipeline of this folder and the next sensible commands. Starts nothing.

use engine::record::Runs;
use engine::run::outcome::exit;

use crate::args::Global;
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{BAD, DIM, GOOD, STRONG, count, cut, paint};

/// Shows the pipeline.
///
/// # Errors
/// When there is none.
pub fn run(global: &Global, out: &Out) -> Result<i32, Failed> {
    let project = Project::open(global)?;
    let pipeline = &project.loaded.pipeline;
    if project.loaded.has_errors() {
        out.report(&project.findings(out));
        return Ok(exit::USAGE);
    }
    let head = format!(
        " {}  {}, {}",
        paint(STRONG, &pipeline.name),
        count(pipeline.stages.len(), "stage"),
        count(pipeline.steps.len(), "step")
    );
    out.line(&head);
    for stage in &pipeline.stages {
        let steps: Vec<&str> = stage
            .steps
            .iter()
            .map(|s| pipeline.step(*s).name.value.as_str())
            .collect();
        let line = format!("   {:<14} {}", stage.name.value, steps.join(" · "));
        out.line(&cut(&line, out.width));
    }
    out.line(&last_run(&project.runs()));
    for (command, what) in [
        ("pipe run", "run what this commit selects"),
        ("pipe plan", "see what that is, and why"),
        ("pipe graph", "draw it"),
        ("pipe list", "see every step, parameter and secret"),
    ] {
        out.line(&format!("   {command:<14} {}", paint(DIM, what)));
    }
    Ok(exit::OK)
}

fn last_run(runs: &Runs) -> String {
    let last = runs
        .ids()
        .last()
        .copied()
        .and_then(|id| runs.summary(id).ok());
    match last {
        None => paint(DIM, " never run here"),
        Some(run) => match run.outcome {
            Some(outcome) if outcome.exit_code() == 0 => {
                format!(" last run {}: {}", run.id, paint(GOOD, outcome.word()))
            }
            Some(outcome) => format!(
                " last run {}: {}   pipe logs {}",
                run.id,
                paint(BAD, outcome.word()),
                run.id
            ),
            None if run.alive => format!(" run {} is going on", run.id),
            None => format!(
                " last run {}: {}   pipe logs {}",
                run.id,
                paint(BAD, "interrupted"),
                run.id
            ),
        },
    }
}
