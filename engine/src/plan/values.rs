//! What the references in a text stand for, before a run and during it.

use dsl::expr::{Expr, Lookup, Missing, Ref, Template};
use dsl::model::{Leg, Pipeline, VersionScheme};
use dsl::source::Span;

use super::env::{self, Variable};
use super::{Env, Request};

/// What is known only during a run.
pub trait RunFacts {
    /// The run's id.
    fn run_id(&self) -> Option<String>;
    /// The output that the reference at this place names; `None` while nobody knows.
    ///
    /// # Errors
    /// Why there is none, as a sentence part.
    fn output(&self, at: Span, name: &str) -> Option<Result<String, String>>;
    /// An image of this pipeline: its reference by digest, or the digest alone; `None` while nobody knows.
    ///
    /// # Errors
    /// Why there is none, as a sentence part.
    fn image(&self, name: &str, digest: bool) -> Option<Result<String, String>>;
    /// The version that a release of this run has made; `None` while nobody knows.
    fn version(&self, name: &str) -> Option<String>;
}

/// Before the run nothing of it is known.
pub(super) struct Before;

impl RunFacts for Before {
    fn run_id(&self) -> Option<String> {
        None
    }

    fn output(&self, _: Span, _: &str) -> Option<Result<String, String>> {
        None
    }

    fn image(&self, _: &str, _: bool) -> Option<Result<String, String>> {
        None
    }

    fn version(&self, _: &str) -> Option<String> {
        None
    }
}

/// Puts known values into a text. `env` are the variables that stand before it.
///
/// # Errors
/// Every reference that has no value in this run.
pub fn fill(
    template: &Template,
    pipeline: &Pipeline,
    request: &Request,
    leg: &Leg,
    env: &[Variable],
    facts: &dyn RunFacts,
) -> Result<Template, Vec<Missing>> {
    let env = |name: &str| env::find(env.iter().rev(), name);
    template.fill(&|expr| lookup(expr, pipeline, request, leg, &env, facts))
}

/// The same before a run.
pub(super) fn fill_before(
    template: &Template,
    pipeline: &Pipeline,
    request: &Request,
    leg: &Leg,
    env: &Env,
) -> Result<Template, Vec<Missing>> {
    let env = |name: &str| env.get(name);
    template.fill(&|expr| lookup(expr, pipeline, request, leg, &env, &Before))
}

fn lookup<'v>(
    expr: &Expr,
    pipeline: &Pipeline,
    request: &Request,
    leg: &Leg,
    env: &dyn Fn(&str) -> Option<&'v Template>,
    facts: &dyn RunFacts,
) -> Lookup {
    let known = |value: Option<&String>, why: &str| match value {
        Some(value) => Lookup::Value(value.clone()),
        None => Lookup::Unset(why.to_owned()),
    };
    match &expr.target {
        Ref::Git(field) => git(request, field),
        Ref::Pr(field) => pr(request, field),
        Ref::Run("date") => Lookup::Value(request.date.clone()),
        Ref::Run(_) => facts.run_id().map_or(Lookup::Later, Lookup::Value),
        Ref::Param(name) => known(request.params.get(name), "it was given no value"),
        Ref::Matrix(axis) => known(leg.get(axis), "this leg of the matrix has no such axis"),
        Ref::Env(name) => match env(name) {
            Some(value) => value.known().map_or(Lookup::Later, Lookup::Value),
            None => Lookup::Unset("it is set further down, or in another block".to_owned()),
        },
        Ref::Version(name) => version(name, pipeline, request, facts),
        Ref::Registry(name) => match pipeline.registries.get(name) {
            Some(registry) => registry
                .prefix
                .value
                .known()
                .map_or(Lookup::Later, Lookup::Value),
            None => Lookup::Later,
        },
        Ref::Output { name, .. } => match facts.output(expr.span, name) {
            None => Lookup::Later,
            Some(Ok(value)) => Lookup::Value(value),
            Some(Err(why)) => Lookup::Unset(why),
        },
        Ref::Image { name, digest } => match facts.image(name, *digest) {
            None => Lookup::Later,
            Some(Ok(value)) => Lookup::Value(value),
            Some(Err(why)) => Lookup::Unset(why),
        },
        Ref::Target { .. } => Lookup::Later,
    }
}

fn version(name: &str, pipeline: &Pipeline, request: &Request, facts: &dyn RunFacts) -> Lookup {
    if let Some(made) = facts.version(name) {
        return Lookup::Value(made);
    }
    match pipeline.versions.get(name).map(|v| &v.scheme) {
        Some(VersionScheme::Fixed(text)) => Lookup::Value(text.clone()),
        Some(VersionScheme::File(_)) => match request.versions.get(name) {
            Some(Ok(version)) => Lookup::Value(version.clone()),
            Some(Err(why)) => Lookup::Unset(why.clone()),
            None => Lookup::Later,
        },
        _ => Lookup::Later,
    }
}

fn git(request: &Request, field: &str) -> Lookup {
    let git = &request.context.git;
    let short = git
        .sha
        .as_ref()
        .map(|s| s.chars().take(7).collect::<String>());
    let value = match field {
        "sha" => git.sha.clone(),
        "short-sha" => short,
        "branch" => git.branch.clone(),
        "tag" => git.tag.clone(),
        "ref" => git.git_ref.clone(),
        "author" => git.author.clone(),
        _ => git
            .message
            .as_ref()
            .and_then(|m| m.lines().next())
            .map(str::to_owned),
    };
    match (value, field) {
        (Some(value), _) => Lookup::Value(value),
        (None, "tag") => Lookup::Unset("this run is not for a tag".to_owned()),
        (None, "branch") if git.sha.is_some() => {
            Lookup::Unset("no branch is checked out; `--branch NAME` names one".to_owned())
        }
        (None, _) => Lookup::Unset("there is no git commit here".to_owned()),
    }
}

fn pr(request: &Request, field: &str) -> Lookup {
    let Some(pr) = &request.context.pr else {
        return Lookup::Unset("this run is not for a pull request".to_owned());
    };
    let value = match field {
        "number" => pr.number.map(|n| n.to_string()),
        "source" => pr.source.clone(),
        _ => pr.target.clone(),
    };
    value.map_or_else(
        || Lookup::Unset("the CI does not say it".to_owned()),
        Lookup::Value,
    )
}
