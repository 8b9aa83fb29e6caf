//! `pipe graph`: the pipeline drawn, for forges, for Graphviz, for programs and for the terminal.

use std::path::Path;

use engine::graph::{
    self, Collapse, Direction, Options, Status, Statuses, Style, TextOptions, View,
};
use engine::plan::{Plan, Request};
use engine::report::Report;
use engine::run::outcome::{Outcome, UndoOutcome, exit};
use engine::world::Changed;

use super::logs;
use crate::args::{self, About, Global, GraphArgs, GraphFormat};
use crate::failed::Failed;
use crate::project::{self, Project};
use crate::ui::out::Out;
use crate::ui::words::{self, paint};

/// Draws the pipeline.
///
/// # Errors
/// When there is none, no such run, or a file to put it into that does not fit.
pub fn run(global: &Global, args: &GraphArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let view = match &args.run {
        Some(word) => of_run(&project, word, out)?,
        None => {
            let mut request = project.request(&args.about, None, &args.names, out)?;
            request.everything = args.names.is_empty() && !asks_for_event(&args.about);
            graph::view(&project.plan(request, out)?, None)
        }
    };
    let options = Options {
        direction: match args.direction {
            args::Direction::Td => Direction::Down,
            args::Direction::Lr => Direction::Right,
        },
        collapse: match args.collapse {
            None => Collapse::Nothing,
            Some(args::Collapse::Matrix) => Collapse::Matrix,
            Some(args::Collapse::Stage) => Collapse::Stage,
        },
    };
    if let Some(file) = &args.into {
        return into(
            &project::here(global)?.join(file),
            &graph::mermaid(&view, options),
            args.check,
            out,
        );
    }
    let usual = if out.terminal {
        GraphFormat::Text
    } else {
        GraphFormat::Mermaid
    };
    match args.format.unwrap_or(usual) {
        GraphFormat::Mermaid => out.text(&graph::mermaid(&view, options)),
        GraphFormat::Dot => out.text(&graph::dot(&view, options)),
        GraphFormat::Json => {
            let place = |span| project.loaded.sources.place(span);
            out.text(&graph::json(&view, options.collapse, &place));
        }
        GraphFormat::Text => text(&view, options.collapse, out),
    }
    Ok(exit::OK)
}

/// Whether a flag says that only what an event selects is meant.
fn asks_for_event(about: &About) -> bool {
    about.event.is_some()
        || about.branch.is_some()
        || about.tag.is_some()
        || about.pr.is_some()
        || about.base.is_some()
}

/// The plan that a recorded run had, with what came of it.
fn of_run(project: &Project, word: &str, out: &Out) -> Result<View, Failed> {
    let runs = project.runs();
    let id = logs::run_id(&runs, word)?.ok_or_else(|| {
        Failed::usage(format!("`{word}` is not a run")).hint("write its number, or `latest`")
    })?;
    let summary = logs::open(&runs, id)?;
    let header = &summary.reading.header;
    if header.definition != project.definition() {
        out.warning(&format!(
            "{} has changed since run {id}; what is new is drawn without an outcome",
            project.file
        ));
    }
    let request = Request {
        context: header.context.clone(),
        names: header.names.clone(),
        everything: false,
        params: header.params.clone(),
        changed: Changed::Unknown("the run is over".to_owned()),
        date: header.began.chars().take(10).collect(),
        versions: project.versions(),
    };
    let report = Report::of(summary.reading.events.iter().map(|(_, e)| e));
    Ok(view(&project.plan(request, out)?, &report))
}

/// What came of each step that has ended.
#[must_use]
pub fn statuses(report: &Report) -> Statuses {
    let status = |(name, step): (&engine::run::event::StepName, &engine::report::StepReport)| {
        let undone = report.undos.get(name).and_then(Option::as_ref);
        let status = match (undone, step.outcome.as_ref()) {
            (Some(UndoOutcome::RolledBack), _) => Status::RolledBack,
            (Some(_), _) => Status::RollbackFailed,
            (None, Some(Outcome::Passed)) => Status::Passed,
            (None, Some(Outcome::Cached)) => Status::Cached,
            (None, Some(Outcome::SoftFailed { .. })) => Status::SoftFailed,
            (None, Some(Outcome::Failed { .. })) => Status::Failed,
            (None, Some(Outcome::Cancelled)) => Status::Cancelled,
            (None, Some(Outcome::Skipped { .. })) => Status::Skipped,
            (None, None) if step.begun => Status::Unknown,
            (None, None | Some(Outcome::Waiting { .. })) => return None,
        };
        Some((name.to_string(), status))
    };
    report.steps.iter().filter_map(status).collect()
}

/// A plan with what came of its steps, and what they made.
fn view(plan: &Plan, report: &Report) -> View {
    let mut view = graph::view(plan, Some(&statuses(report)));
    view.show_digests(&|step| {
        let step = report.steps.get(step)?;
        step.outputs.get("digest").cloned()
    });
    view
}

/// A plan as Mermaid, coloured with what came of it.
#[must_use]
pub fn mermaid(plan: &Plan, report: &Report) -> String {
    let options = Options {
        direction: Direction::Down,
        collapse: Collapse::Nothing,
    };
    graph::mermaid(&view(plan, report), options)
}

fn text(view: &View, collapse: Collapse, out: &Out) {
    let options = TextOptions {
        width: out.width,
        ascii: !out.unicode,
        collapse,
    };
    for line in graph::text(view, options) {
        let pieces = line.0.iter().map(|(style, text)| match style {
            Style::Title | Style::Stage => paint(words::STRONG, text),
            Style::Step => text.clone(),
            Style::Frame | Style::Note | Style::LeftOut => paint(words::DIM, text),
            Style::Status(Status::Passed | Status::RolledBack) => paint(words::GOOD, text),
            Style::Status(Status::Failed | Status::RollbackFailed | Status::Unknown) => {
                paint(words::BAD, text)
            }
            Style::Status(Status::SoftFailed | Status::Cancelled) => paint(words::CAREFUL, text),
            Style::Status(Status::Cached | Status::Skipped) => paint(words::DIM, text),
        });
        out.line(&pieces.collect::<String>());
    }
}

/// Puts the graph between the markers of a file, or says that it is not what stands there.
fn into(file: &Path, mermaid: &str, check: bool, out: &Out) -> Result<i32, Failed> {
    let shown = file.display();
    let old = std::fs::read_to_string(file).map_err(|e| super::fmt::unreadable(file, &e))?;
    let new = graph::embed(&old, mermaid).map_err(|e| {
        Failed::usage(format!("{shown}: {e}")).hint(
            "the graph goes between a line `<!-- pipe graph -->` and a line `<!-- /pipe graph -->`",
        )
    })?;
    if new == old {
        out.line(&format!(
            " {}  {shown} is up to date",
            paint(words::GOOD, "ok")
        ));
        return Ok(exit::OK);
    }
    if check {
        out.line(&format!("{shown} does not show the pipeline as it is"));
        out.hint(&format!(
            "`pipe graph --into {shown}` puts the graph of today there"
        ));
        return Ok(exit::FAILED);
    }
    super::fmt::replace(file, &new)?;
    out.line(&format!("wrote the graph into {shown}"));
    Ok(exit::OK)
}
