//! Jobs whose results are kept although they should not be, and the other way round.

use crate::codes::caching as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Command, Job, Pipeline, Step};
use crate::units::RUN_VARIABLES;

pub(super) fn check(pipeline: &Pipeline, out: &mut Diagnostics) {
    for step in &pipeline.steps {
        let Some(job) = step.job() else { continue };
        for cache in job.caches.iter().filter(|c| c.key.is_empty()) {
            if let Some(part) = cache.restore.first().and_then(|parts| parts.first()) {
                let name = &cache.name;
                out.push(
                    Diagnostic::new(
                        &codes::RESTORE_WITHOUT_KEY,
                        format!("the cache `{}` has a `restore` and no `key`", name.value),
                        name.span,
                        "no `key` here, so nothing is kept",
                    )
                    .label(part.span, "nothing that could be restored")
                    .help("give it a key, such as `key os (file)\"package-lock.json\"`, or remove `restore`"),
                );
            }
        }
        let declared = job.inputs.first().map(|p| ("inputs", p.span));
        let declared = declared.or_else(|| job.key.first().map(|p| ("key", p.span)));
        let Some((word, span)) = declared else {
            continue;
        };
        if step.rollback.is_some() {
            let name = &step.name.value;
            out.push(
                Diagnostic::new(
                    &codes::NEVER_KEPT,
                    format!("`{name}` has a `rollback`, so its result is never kept"),
                    span,
                    format!("`{word}` decides nothing"),
                )
                .help(format!(
                    "remove `{word}`, or move what can be kept into a job of its own"
                )),
            );
        } else {
            run_variables(step, job, out);
        }
    }
}

/// Commands that use what differs from run to run.
fn run_variables(step: &Step, job: &Job, out: &mut Diagnostics) {
    let shell_texts = job.run.iter().chain(&step.always).filter_map(|c| match c {
        Command::Shell(text) => Some(text),
        Command::Exec(_) => None,
    });
    for text in shell_texts.filter(|t| t.value.contains('$')) {
        let Some(name) = RUN_VARIABLES.iter().find(|name| uses(&text.value, name)) else {
            continue;
        };
        let (short, reference) = match *name {
            "PIPE_SHA" => ("SHA", "${git.sha}"),
            "PIPE_BRANCH" => ("BRANCH", "${git.branch}"),
            "PIPE_TAG" => ("TAG", "${git.tag.default('')}"),
            "PIPE_RUN_ID" => ("RUN", "${run.id}"),
            _ => ("", ""),
        };
        let help = if short.is_empty() {
            "remove `inputs` and `key`: then the job runs every time, and gets it".to_owned()
        } else {
            format!(
                "declare it, `env {short}=\"{reference}\"`, and write `${short}`; then it is part of the key"
            )
        };
        out.push(
            Diagnostic::new(
                &codes::RUN_VARIABLE,
                format!(
                    "the result of `{}` is kept, so it does not get `${name}`",
                    step.name.value
                ),
                text.span,
                "this differs from run to run",
            )
            .help(help),
        );
    }
}

/// Whether a shell text has `$NAME` or `${NAME}`.
fn uses(text: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices('$').any(|(at, _)| {
        let rest = &text[at + 1..];
        let in_braces = rest.strip_prefix('{').and_then(|r| r.strip_prefix(name));
        in_braces.is_some_and(|r| r.starts_with('}')) || rest.strip_prefix(name).is_some_and(ends)
    })
}
