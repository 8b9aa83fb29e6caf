//! What all steps have in common, and which kind each is.

use std::time::Duration;

use super::select::{self, RawWait};
use super::{delivery, env, job};
use crate::codes::values as codes;
use crate::diagnostic::Diagnostic;
use crate::form::{Form, Reader, Val};
use crate::model::{Command, Lock, Retry, Rollback, StageId, Step, StepKind};
use crate::names;
use crate::schema::NodeSchema;
use crate::source::Spanned;
use crate::syntax::tree::Node;

/// A step and what it waits for, as written.
pub(crate) struct LoweredStep {
    pub(crate) step: Step,
    pub(crate) waits: Vec<RawWait>,
    /// What stands in front of the names of the template's steps.
    pub(crate) prefix: Option<String>,
}

/// Lowers one step node. `prefix` is put in front of its name.
pub(crate) fn step(
    reader: &mut Reader<'_>,
    node: &Node,
    schema: &'static NodeSchema,
    prefix: Option<&str>,
) -> Option<LoweredStep> {
    let form = reader.form(node, schema);
    let mut waits = select::waits(reader, &form, prefix);
    let kind = match schema.name {
        "job" => {
            let (job, takes) = job::job(reader, &form, prefix);
            waits.extend(takes);
            Some(StepKind::Job(Box::new(job)))
        }
        verb => delivery::step(reader, &form, verb),
    };
    let name = name(reader, &form, kind.as_ref(), prefix);
    let step = Step {
        stage: StageId(0),
        span: node.span,
        used_at: reader.scope.and_then(|s| s.used_at),
        waits: Vec::new(),
        selection: select::selection(reader, &form),
        timeout: duration(reader, &form, "timeout"),
        retry: retry(reader, &form),
        allow_failure: allow_failure(reader, &form),
        locks: locks(reader, &form),
        env: env(reader, &form),
        always: block(reader, &form, "always")
            .map(|(run, _)| run)
            .unwrap_or_default(),
        rollback: block(reader, &form, "rollback").map(|(run, timeout)| Rollback { run, timeout }),
        kind: kind?,
        name: name?,
    };
    Some(LoweredStep {
        step,
        waits,
        prefix: prefix.map(str::to_owned),
    })
}

/// A job has the name that it is given; other steps are called after their verb and what they work on.
fn name(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    kind: Option<&StepKind>,
    prefix: Option<&str>,
) -> Option<Spanned<String>> {
    let span = form.node.args.first().map_or(form.name_span(), |a| a.span);
    let own = form.text("as");
    let name = match (own, kind) {
        (Some(own), _) => own,
        (None, Some(StepKind::Job(_)) | None) => form.arg(0)?.clone(),
        (None, Some(kind)) => Spanned::new(usual_name(kind), span),
    };
    if let Some(finding) = names::reserved(&name) {
        reader.report(finding);
    }
    Some(match prefix {
        Some(prefix) => name.map(|n| format!("{prefix}-{n}")),
        None => name,
    })
}

fn usual_name(kind: &StepKind) -> String {
    let join = |names: &[Spanned<String>]| {
        names
            .iter()
            .map(|n| n.value.as_str())
            .collect::<Vec<_>>()
            .join("-")
    };
    let subject = match kind {
        StepKind::Job(_) => String::new(),
        StepKind::Build(b) => b
            .image
            .as_ref()
            .map(|i| i.value.clone())
            .unwrap_or_default(),
        StepKind::Push(p) => join(&p.images),
        StepKind::Sign(s) => join(&s.images),
        StepKind::Release(r) => r.version.value.clone(),
        StepKind::Promote(p) => p.rule.value.clone(),
        StepKind::Deploy(d) => d.target.value.clone(),
        StepKind::Approve(a) => a.name.value.clone(),
    };
    format!("{}-{}", kind.verb(), subject.replace('.', "-"))
}

/// The commands of all `run` nodes of a block.
pub(crate) fn commands(reader: &mut Reader<'_>, form: &Form<'_>) -> Vec<Command> {
    let runs = form.children.iter().filter(|(s, _)| s.name == "run");
    runs.filter_map(|(schema, node)| {
        let mut run = reader.form(node, schema);
        let first = run.take_arg(0)?;
        if run.rest.is_empty() {
            return Some(Command::Shell(first));
        }
        let words: Vec<Spanned<String>> = std::iter::once(first).chain(run.into_texts()).collect();
        sentence(reader, &words);
        Some(Command::Exec(words))
    })
    .collect()
}

/// A program whose name is a sentence: several commands were meant.
fn sentence(reader: &mut Reader<'_>, words: &[Spanned<String>]) {
    let program = &words[0];
    if !program.value.trim().contains(char::is_whitespace) || program.value.contains('/') {
        return;
    }
    let runs: Vec<String> = words
        .iter()
        .take(3)
        .map(|w| format!("`run \"{}\"`", crate::text::shorten(&w.value, 40)))
        .collect();
    let more = if words.len() > 3 { ", …" } else { "" };
    reader.report(
        Diagnostic::new(
            &codes::EXEC_OF_SENTENCE,
            format!(
                "there is no program called `{}`",
                crate::text::shorten(&program.value, 60)
            ),
            program.span,
            "of several arguments, the first is the program",
        )
        .help(format!(
            "write a `run` for each command: {}{more}",
            runs.join(", then ")
        )),
    );
}

/// The commands and the time limit of an `always` or `rollback` block.
fn block(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    name: &str,
) -> Option<(Vec<Command>, Option<Duration>)> {
    let (schema, node) = form.child(name)?;
    let inner = reader.form(node, schema);
    let run = commands(reader, &inner);
    Some((run, duration(reader, &inner, "timeout")))
}

/// The duration that is the argument of a child.
pub(crate) fn duration(reader: &mut Reader<'_>, form: &Form<'_>, child: &str) -> Option<Duration> {
    let (schema, node) = form.child(child)?;
    reader.form(node, schema).arg_value(0)?.as_duration()
}

fn retry(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Retry> {
    let (schema, node) = form.child("retry")?;
    let inner = reader.form(node, schema);
    let mut on_exit = Vec::new();
    if let Some((schema, child)) = inner.child("on-exit") {
        let codes = reader.form(child, schema);
        on_exit = codes
            .rest
            .iter()
            .filter_map(Val::as_int)
            .filter_map(|n| i32::try_from(n).ok())
            .collect();
    }
    Some(Retry {
        count: u32::try_from(inner.arg_value(0)?.as_int()?).ok()?,
        backoff: inner
            .value("backoff")
            .and_then(Val::as_duration)
            .unwrap_or(Duration::from_secs(1)),
        on_exit,
    })
}

fn allow_failure(reader: &mut Reader<'_>, form: &Form<'_>) -> bool {
    let Some((schema, node)) = form.child("allow-failure") else {
        return false;
    };
    !matches!(reader.form(node, schema).arg_value(0), Some(Val::Bool(b)) if !b.value)
}

fn locks(reader: &mut Reader<'_>, form: &Form<'_>) -> Vec<Lock> {
    let nodes = form.children.iter().filter(|(s, _)| s.name == "lock");
    nodes
        .filter_map(|(schema, node)| {
            let lock = reader.form(node, schema);
            let slots = lock.value("slots").and_then(Val::as_int).unwrap_or(1);
            Some(Lock {
                name: lock.arg(0)?.clone(),
                slots: u32::try_from(slots).unwrap_or(1),
            })
        })
        .collect()
}
