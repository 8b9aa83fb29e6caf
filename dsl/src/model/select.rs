//! `when` and `unless`, as data. The engine decides; this only holds what was asked.

use serde::{Deserialize, Serialize};

use crate::source::{Span, Spanned};

/// The conditions of a stage or a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Alternatives; none: always.
    pub when: Vec<Condition>,
    /// Alternatives that leave it out.
    pub unless: Vec<Condition>,
}

impl Selection {
    /// Whether nothing was asked.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.when.is_empty() && self.unless.is_empty()
    }
}

/// One `when` or `unless` node; all of it must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The node.
    pub span: Span,
    /// The event.
    pub event: Option<Spanned<String>>,
    /// A pattern for the branch.
    pub branch: Option<Spanned<String>>,
    /// A pattern for the tag.
    pub tag: Option<Spanned<String>>,
    /// A pattern for the branch into which a pull request goes.
    pub into: Option<Spanned<String>>,
    /// A pattern for the branch from which a pull request comes.
    pub from: Option<Spanned<String>>,
    /// Patterns of which a changed file must match one.
    pub paths: Vec<Spanned<String>>,
    /// `released`
    pub released: bool,
}
