//! What a run is asked for, and whether the pipeline has it.

use dsl::diagnostic::nearest;
use dsl::model::Pipeline;
use indexmap::IndexMap;

use crate::world::{Changed, Context};

/// What a run is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The event, the commit and so on.
    pub context: Context,
    /// Steps or stages to run, with what they need; none: what the event selects.
    pub names: Vec<String>,
    /// All steps, whatever the event, to be drawn and not run: values may be missing.
    pub everything: bool,
    /// Values for the pipeline's parameters.
    pub params: IndexMap<String, String>,
    /// The changed files, for `when paths=`.
    pub changed: Changed,
    /// The day in UTC, `2026-01-31`.
    pub date: String,
    /// The versions that stand in files of the repository, by name, or why there is none, as a sentence part.
    pub versions: IndexMap<String, Result<String, String>>,
}

/// A mistake in a request: what is wrong, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// What is wrong.
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// The values of all parameters, defaults included.
///
/// # Errors
/// Every mistake in the request.
pub(super) fn check(
    pipeline: &Pipeline,
    request: &Request,
) -> Result<IndexMap<String, String>, Vec<RequestError>> {
    let mut errors = Vec::new();
    for name in &request.names {
        errors.extend(unknown_name(pipeline, name));
    }
    for name in request.params.keys() {
        errors.extend(unknown_param(pipeline, name));
    }
    let mut values = IndexMap::new();
    for param in pipeline.params.values() {
        let name = &param.name.value;
        let value = match (request.params.get(name), &param.default) {
            (Some(given), _) => given.clone(),
            (None, Some(default)) => default.value.clone(),
            (None, None) if request.everything => continue,
            (None, None) => {
                errors.push(RequestError {
                    message: format!("the parameter `{name}` has no value"),
                    help: format!("give it one: `--param {name}=…`{}", doc(param)),
                });
                continue;
            }
        };
        if let Err(expected) = param.ty.accepts(&value) {
            errors.push(RequestError {
                message: format!("the parameter `{name}` cannot be `{value}`"),
                help: format!("it wants {expected}{}", doc(param)),
            });
        }
        values.insert(name.clone(), value);
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

fn doc(param: &dsl::model::Param) -> String {
    param
        .doc
        .as_ref()
        .map(|d| format!(" ({d})"))
        .unwrap_or_default()
}

fn unknown_name(pipeline: &Pipeline, name: &str) -> Option<RequestError> {
    let full =
        || (0..pipeline.steps.len()).map(|at| pipeline.full_name(super::select::step_id(at)));
    let short = || pipeline.steps.iter().map(|s| s.name.value.as_str());
    let stages = || pipeline.stages.iter().map(|s| s.name.value.as_str());
    if stages().chain(short()).any(|n| n == name) || full().any(|n| n == name) {
        return None;
    }
    let full: Vec<String> = full().collect();
    let known: Vec<&str> = if name.contains('.') {
        full.iter().map(String::as_str).collect()
    } else {
        stages().chain(short()).collect()
    };
    let leg_of = name.split_once(" (").map(|(job, _)| job);
    let help = match nearest(name, known.iter().copied()) {
        _ if leg_of.is_some_and(|job| known.contains(&job) || full.iter().any(|f| f == job)) => {
            format!(
                "a leg of a matrix is not run alone; `{}` runs all of them",
                leg_of.unwrap_or_default()
            )
        }
        Some(near) => format!("did you mean `{near}`? `pipe list` shows all"),
        None => "`pipe list` shows all".to_owned(),
    };
    Some(RequestError {
        message: format!("there is no step or stage named `{}`", name.escape_debug()),
        help,
    })
}

fn unknown_param(pipeline: &Pipeline, name: &str) -> Option<RequestError> {
    if pipeline.params.contains_key(name) {
        return None;
    }
    let known: Vec<&str> = pipeline.params.keys().map(String::as_str).collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => {
            "the pipeline declares no parameters; add `param NAME default=…`".to_owned()
        }
        None => format!("it declares `{}`", known.join("`, `")),
    };
    Some(RequestError {
        message: format!("the pipeline has no parameter `{}`", name.escape_debug()),
        help,
    })
}
