//! Mistakes in the dependencies of single steps: legs that are not there, artifacts that nobody makes.

use crate::codes::graph as codes;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::model::{Job, Pipeline, Step, StepKind, Wait, WaitTarget};
use crate::names;

pub(super) fn check(pipeline: &Pipeline, out: &mut Diagnostics) {
    for stage in &pipeline.stages {
        for wait in stage.waits.iter().flatten() {
            legs(pipeline, wait, out);
        }
    }
    for step in &pipeline.steps {
        for wait in &step.waits {
            legs(pipeline, wait, out);
        }
        if let Some(job) = step.job() {
            artifacts(pipeline, step, job, out);
        }
    }
    slots(pipeline, out);
}

/// Whether a step has a way back: its own, or that of the target that it changes.
fn can_be_undone(step: &Step) -> bool {
    step.rollback.is_some() || matches!(step.kind, StepKind::Deploy(_) | StepKind::Promote(_))
}

/// Stages that would undo their steps, and have nothing to undo.
pub(super) fn undo(pipeline: &Pipeline, out: &mut Diagnostics) {
    for stage in &pipeline.stages {
        if stage.undo_on_failure
            && stage
                .steps
                .iter()
                .all(|s| !can_be_undone(pipeline.step(*s)))
        {
            out.push(
                Diagnostic::new(
                    &codes::NOTHING_TO_UNDO,
                    format!(
                        "no step of the stage `{}` says how it is undone",
                        stage.name.value
                    ),
                    stage.name.span,
                    "`rollback=reverse` has nothing to do",
                )
                .help("give its steps a `rollback { run \"…\" }`, or remove `rollback=reverse`"),
            );
        }
    }
}

/// `needs test os=linux` means at least one leg.
fn legs(pipeline: &Pipeline, wait: &Wait, out: &mut Diagnostics) {
    if wait.legs.is_empty() {
        return;
    }
    let written: Vec<String> = wait.legs.iter().map(|(a, v)| format!("{a}={v}")).collect();
    let written = written.join(" ");
    let finding = |message: String, help: String| {
        Diagnostic::new(
            &codes::NO_SUCH_LEG,
            message,
            wait.span,
            format!("with `{written}`"),
        )
        .missing("leg", wait.legs.keys().next().map_or("", String::as_str))
        .help(help)
    };
    let WaitTarget::Step(id) = wait.target else {
        out.push(finding(
            "a stage has no legs".into(),
            format!("remove `{written}`, or name a step with a matrix"),
        ));
        return;
    };
    let name = &pipeline.step(id).name.value;
    let Some(matrix) = pipeline.step(id).job().and_then(|j| j.matrix.as_ref()) else {
        let near = wait
            .legs
            .keys()
            .find_map(|k| nearest(k, ["optional", "nothing"]));
        let help = near.map_or_else(
            || format!("remove `{written}`"),
            |n| format!("did you mean `{n}=#true`?"),
        );
        out.push(finding(
            format!("`{name}` has no matrix, and so no legs"),
            help,
        ));
        return;
    };
    let legs = matrix.legs();
    if legs.is_empty() {
        return; // Said at the matrix.
    }
    if !legs
        .iter()
        .any(|leg| wait.legs.iter().all(|(a, v)| leg.get(a) == Some(v)))
    {
        let shown: Vec<String> = legs
            .iter()
            .take(6)
            .map(|leg| {
                leg.iter()
                    .map(|(a, v)| format!("{a}={v}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let more = if legs.len() > 6 { ", …" } else { "" };
        out.push(finding(
            format!("no leg of `{name}` has `{written}`"),
            format!("its legs are {}{more}", crate::text::list(&shown)),
        ));
    }
}

fn artifacts(pipeline: &Pipeline, step: &Step, job: &Job, out: &mut Diagnostics) {
    let mut seen = indexmap::IndexMap::new();
    for name in job.artifacts.iter().map(|a| &a.name) {
        if let Some(first) = seen.insert(name.value.as_str(), name.span) {
            out.push(names::twice("artifact", &name.value, name.span, first));
        }
    }
    for take in &job.takes {
        let Some(maker) = take.step else { continue };
        let maker = pipeline.step(maker);
        let made = maker
            .job()
            .map(|j| j.artifacts.as_slice())
            .unwrap_or_default();
        if made.iter().any(|a| a.name.value == take.name.value) {
            continue;
        }
        let known: Vec<&str> = made.iter().map(|a| a.name.value.as_str()).collect();
        let help = match nearest(&take.name.value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!(
                "add `artifact {} \"path\"` to `{}`",
                take.name.value, maker.name.value
            ),
            None => format!("it makes {}", crate::text::list(&known)),
        };
        let mut finding = Diagnostic::new(
            &codes::NO_ARTIFACT,
            format!(
                "`{}` makes no artifact `{}`",
                maker.name.value, take.name.value
            ),
            take.name.span,
            "not made there",
        )
        .missing("artifact", &take.name.value)
        .label(maker.name.span, "this step")
        .help(help);
        if let Some(at) = step.used_at {
            finding = finding.label(at, "used here");
        }
        out.push(finding);
    }
}

/// A lock has the same number of slots wherever it is named.
fn slots(pipeline: &Pipeline, out: &mut Diagnostics) {
    let mut first = indexmap::IndexMap::new();
    for lock in pipeline.steps.iter().flat_map(|s| &s.locks) {
        let known = first.entry(lock.name.value.as_str()).or_insert(lock);
        if known.slots != lock.slots {
            out.push(
                Diagnostic::new(
                    &crate::codes::shape::WRONG_VALUE,
                    format!(
                        "the lock `{}` has `slots={}` here and `slots={}` there",
                        lock.name.value, lock.slots, known.slots
                    ),
                    lock.name.span,
                    "here",
                )
                .label(known.name.span, "there")
                .help("give it the same `slots=` everywhere"),
            );
        }
    }
}
