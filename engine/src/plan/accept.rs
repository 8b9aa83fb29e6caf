//! Which registries take what a run pushes: by the branch or the tag that it is for. Knows no registry's server.

use dsl::model::{Promotion, Registry, StepKind};
use dsl::source::Span;

use super::pattern::Patterns;
use super::{Plan, VertexId};
use crate::world::Context;

/// A push that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAccepted {
    /// The step.
    pub vertex: VertexId,
    /// The registry's name in the pipeline.
    pub registry: String,
    /// Where its first rule stands, or the push.
    pub span: Span,
    /// Why, as a sentence part.
    pub why: String,
}

impl Plan {
    /// The pushes of this run that their registries do not accept.
    #[must_use]
    pub fn not_accepted(&self) -> Vec<NotAccepted> {
        let context = &self.request.context;
        let pushes = self.steps().flat_map(|(vertex, step)| {
            let places = match &self.definition(step).kind {
                StepKind::Push(push) => vec![&push.registry],
                StepKind::Promote(promote) if self.is_transfer(promote) => {
                    let rule = self.pipeline.promotions.get(&promote.rule.value);
                    rule.map(Promotion::destinations).unwrap_or_default()
                }
                _ => Vec::new(),
            };
            places.into_iter().map(move |to| (vertex, to))
        });
        let found = pushes.filter_map(|(vertex, to)| {
            let registry = self.pipeline.registries.get(&to.value)?;
            let why = refused(registry, context)?;
            let rules = registry.accept_branches.iter().chain(&registry.accept_tags);
            Some(NotAccepted {
                vertex,
                registry: registry.name.value.clone(),
                span: rules.map(|r| r.span).next().unwrap_or(to.span),
                why,
            })
        });
        found.collect()
    }
}

/// Why a registry does not take what a run for this pushes; `None` if it does.
#[must_use]
pub fn refused(registry: &Registry, context: &Context) -> Option<String> {
    let (branches, tags) = (&registry.accept_branches, &registry.accept_tags);
    let name = &registry.name.value;
    // A folder of the checkout is the stranger's own.
    let prefix = registry.prefix.value.known().unwrap_or_default();
    let is_own = prefix.starts_with("./") || prefix.starts_with("dir:./");
    if !context.trusted && !is_own {
        return Some(format!(
            "a stranger's change pushes nothing, and `{name}` gets nothing from it"
        ));
    }
    if branches.is_empty() && tags.is_empty() {
        return None;
    }
    let rules: Vec<String> = branches
        .iter()
        .map(|b| format!("branch {}", b.value))
        .chain(tags.iter().map(|t| format!("tag {}", t.value)))
        .collect();
    let rules = rules.join(" or ");
    // What a pull request is called says nothing of who wrote it.
    if context.pr.is_some() {
        return Some(format!(
            "`{name}` accepts {rules}, and this is a pull request"
        ));
    }
    let patterns = Patterns::default();
    let git = &context.git;
    let fits = |patterns_of: &[dsl::source::Spanned<String>], value: Option<&String>| {
        let value = value.map(String::as_str);
        value.is_some_and(|v| patterns_of.iter().any(|p| patterns.fits(&p.value, v)))
    };
    if fits(branches, git.branch.as_ref()) || fits(tags, git.tag.as_ref()) {
        return None;
    }
    let own = match (&git.tag, &git.branch) {
        (Some(tag), _) => format!("tag {tag}"),
        (None, Some(branch)) => format!("branch {branch}"),
        (None, None) => "no branch".to_owned(),
    };
    Some(format!(
        "`{name}` accepts {rules}, and this run is for {own}"
    ))
}
