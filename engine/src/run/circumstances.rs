//! Everything that decides the keys of a run's steps and is known before it begins, as one digest: the same digest, and
//! the same files, give the same keys.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use dsl::model::KeyPart;
use indexmap::IndexMap;
use serde::Serialize;

use super::dispatch::Options;
use super::environment::Environment;
use crate::cache::{Digest, definition};
use crate::plan::Plan;
use crate::seen::Seen;
use crate::world::{Changed, Context};

#[derive(Serialize)]
struct Circumstances<'c> {
    /// Another build of this version may make other keys.
    program: Seen,
    definition: &'c str,
    // The request, field by field: what is added to it is added here.
    context: &'c Context,
    names: &'c [String],
    everything: bool,
    params: &'c IndexMap<String, String>,
    changed: &'c Changed,
    date: &'c str,
    versions: &'c IndexMap<String, Result<String, String>>,
    uncached: &'c [String],
    variables: Vec<(&'c str, Option<Vec<u8>>)>,
    deciding: Vec<(&'c [u8], &'c [u8])>,
}

/// The circumstances of a run; `None` where something is secret: a secret stands in a key as a hash that takes the
/// cache's salt, and what is one is known only with all of them.
pub(super) fn circumstances(plan: &Plan, options: &Options) -> Option<Digest> {
    let has_secrets = !options.masker.is_empty() || !options.secrets.is_empty();
    if has_secrets || options.definition.is_empty() || options.cache.is_none() {
        return None;
    }
    let crate::plan::Request {
        context,
        names,
        everything,
        params,
        changed,
        date,
        versions,
    } = &plan.request;
    let bytes = |text: &'static OsStr| text.as_encoded_bytes();
    let all = Circumstances {
        program: definition::program().ok()?,
        definition: &options.definition,
        context,
        names,
        everything: *everything,
        params,
        changed,
        date,
        versions,
        uncached: &options.uncached,
        variables: variables(plan),
        deciding: Environment::deciding()
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
    };
    let text = postcard::to_allocvec(&all).ok()?;
    Some(Digest::of(&text))
}

/// The variables of this process that the pipeline names, with their values.
fn variables(plan: &Plan) -> Vec<(&str, Option<Vec<u8>>)> {
    let mut names: BTreeSet<&str> = plan.pipeline.pass_env.iter().map(|n| &*n.value).collect();
    for job in plan.steps().filter_map(|(_, s)| plan.definition(s).job()) {
        names.extend(job.pass_env.iter().map(|n| &*n.value));
        names.extend(job.key.iter().filter_map(|part| match &part.value {
            KeyPart::Env(name) => Some(name.as_str()),
            _ => None,
        }));
    }
    let value = |name| Some(std::env::var_os(name)?.into_encoded_bytes());
    names.into_iter().map(|n| (n, value(n))).collect()
}
