//! Text with `${…}`: what may stand there, and how it becomes a value. Never code, never a loop.

mod foreign;
mod parse;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::source::Span;

pub use parse::{looks_like_reference, parse};

/// Text with references in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Template {
    /// Literal text and references, in order.
    pub parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// `${…}`.
    Expr(Expr),
}

/// A reference and the functions applied to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expr {
    /// What is named.
    pub target: Ref,
    /// `.lower`, `.replace('/', '-')` and so on, applied from left to right.
    pub calls: Vec<Call>,
    /// From `${` to `}`.
    pub span: Span,
}

/// The name of a field of one of the [`CONTEXTS`].
type Field = &'static str;

fn field<'de, D: Deserializer<'de>>(from: D) -> Result<Field, D::Error> {
    let text = <&str>::deserialize(from)?;
    let mut known = CONTEXTS
        .iter()
        .flat_map(|c| c.fields)
        .map(|(name, _)| *name);
    known
        .find(|name| *name == text)
        .ok_or_else(|| Error::custom("no such field"))
}

/// What a `${…}` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ref {
    /// `git.…`
    Git(#[serde(deserialize_with = "field")] Field),
    /// `pr.…`
    Pr(#[serde(deserialize_with = "field")] Field),
    /// `run.…`
    Run(#[serde(deserialize_with = "field")] Field),
    /// `param.NAME`
    Param(String),
    /// `env.NAME`
    Env(String),
    /// `matrix.AXIS`
    Matrix(String),
    /// `version.NAME`
    Version(String),
    /// `image.NAME` (the reference by digest) or `image.NAME.digest`
    Image {
        /// The image.
        name: String,
        /// Whether only the digest is meant.
        digest: bool,
    },
    /// `registry.NAME`
    Registry(String),
    /// `target.NAME.FIELD`
    Target {
        /// The target.
        name: String,
        /// The field.
        field: String,
    },
    /// `STEP.outputs.NAME` or `STAGE.STEP.outputs.NAME`
    Output {
        /// The step as written.
        step: String,
        /// The output.
        name: String,
    },
}

/// A total function applied to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Lower case.
    Lower,
    /// Lower case letters, digits and single hyphens, at most 63: fit for tags and host names.
    Slug,
    /// Every occurrence of the first by the second.
    Replace(String, String),
    /// This text where there is no value.
    Default(String),
}

/// A context of `${…}`: its name, its fields (`None`: any declared name), what it holds.
pub struct Context {
    /// The word before the first dot.
    pub name: &'static str,
    /// The fields and what each is; empty where names are declared elsewhere.
    pub fields: &'static [(&'static str, &'static str)],
    /// One sentence for the reference.
    pub doc: &'static str,
}

/// All contexts, for parsing, 'did you mean' and the reference.
pub const CONTEXTS: &[Context] = &[
    Context {
        name: "git",
        fields: &[
            ("sha", "the commit"),
            ("short-sha", "the first seven characters of the commit"),
            ("branch", "the branch"),
            ("tag", "the tag that was pushed or is checked out"),
            ("ref", "the full ref, such as `refs/heads/main`"),
            ("author", "the commit's author"),
            ("message", "the first line of the commit's message"),
        ],
        doc: "The commit that the run is for.",
    },
    Context {
        name: "pr",
        fields: &[
            ("number", "the pull request's number"),
            ("source", "the branch it comes from"),
            ("target", "the branch it goes into"),
        ],
        doc: "The pull request; only in runs for one.",
    },
    Context {
        name: "run",
        fields: &[
            ("id", "the run's number in this checkout"),
            ("date", "the day it began, `2026-01-31`, in UTC"),
        ],
        doc: "The run itself.",
    },
    Context {
        name: "param",
        fields: &[],
        doc: "A declared parameter.",
    },
    Context {
        name: "env",
        fields: &[],
        doc: "A variable declared with `env` around the place.",
    },
    Context {
        name: "matrix",
        fields: &[],
        doc: "The leg's value on an axis of the job's matrix.",
    },
    Context {
        name: "version",
        fields: &[],
        doc: "A declared version.",
    },
    Context {
        name: "image",
        fields: &[],
        doc: "An image's reference by digest; `image.NAME.digest` is the digest alone.",
    },
    Context {
        name: "registry",
        fields: &[],
        doc: "A registry's prefix.",
    },
    Context {
        name: "target",
        fields: &[],
        doc: "`target.NAME.FIELD`: a field of a target.",
    },
];

/// The functions, as written, and what they do.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("lower", "lower case"),
    (
        "slug",
        "lower case letters, digits and hyphens, at most 63 characters",
    ),
    ("replace('a', 'b')", "every `a` becomes `b`"),
    ("default('x')", "`x` where there is no value"),
];

/// Stands for a reference that could not be read: it has had its finding, and has a value only later.
pub(crate) fn unknown(span: Span) -> Template {
    let expr = Expr {
        target: Ref::Run("id"),
        calls: Vec::new(),
        span,
    };
    Template {
        parts: vec![Part::Expr(expr)],
    }
}

/// What is known about a reference at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Its value.
    Value(String),
    /// It has none in this run, and why.
    Unset(String),
    /// It will have one when an earlier step has run.
    Later,
}

/// A reference that has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The reference as written, without `${}`.
    pub name: String,
    /// Why there is no value.
    pub why: String,
    /// Where it stands.
    pub span: Span,
}

impl Template {
    /// Text without references.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            parts: vec![Part::Text(text.into())],
        }
    }

    /// The text, if no reference is left in it.
    #[must_use]
    pub fn known(&self) -> Option<String> {
        let text = |part: &Part| match part {
            Part::Text(t) => Some(t.clone()),
            Part::Expr(_) => None,
        };
        self.parts.iter().map(text).collect()
    }

    /// The references in it.
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.parts.iter().filter_map(|part| match part {
            Part::Expr(e) => Some(e),
            Part::Text(_) => None,
        })
    }

    /// Replaces every reference whose value is known; what comes later stays.
    ///
    /// # Errors
    /// All references that have no value.
    pub fn fill(&self, lookup: &dyn Fn(&Expr) -> Lookup) -> Result<Template, Vec<Missing>> {
        let mut missing = Vec::new();
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Text(_) => parts.push(part.clone()),
                Part::Expr(expr) => match expr.fill(lookup) {
                    Ok(Some(text)) => parts.push(Part::Text(text)),
                    Ok(None) => parts.push(part.clone()),
                    Err(m) => missing.push(m),
                },
            }
        }
        if missing.is_empty() {
            Ok(Template { parts })
        } else {
            Err(missing)
        }
    }

    /// Puts templates in the place of references (template parameters).
    #[must_use]
    pub fn substitute(&self, by: &dyn Fn(&Expr) -> Option<Template>) -> Template {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let replaced = match part {
                Part::Expr(expr) => by(expr).map(|t| (t, &expr.calls)),
                Part::Text(_) => None,
            };
            match replaced {
                None => parts.push(part.clone()),
                Some((t, calls)) => {
                    parts.extend(t.parts.into_iter().map(|p| apply_to_part(p, calls)));
                }
            }
        }
        Template { parts }
    }
}

fn apply_to_part(part: Part, calls: &[Call]) -> Part {
    match part {
        Part::Text(t) => Part::Text(calls.iter().fold(t, |t, c| c.apply(t))),
        Part::Expr(mut e) => {
            e.calls.extend_from_slice(calls);
            Part::Expr(e)
        }
    }
}

impl Part {
    /// How much room it takes, in bytes; a reference counts as one of middle length.
    pub(crate) fn size(&self) -> usize {
        match self {
            Part::Text(text) => text.len(),
            Part::Expr(_) => 32,
        }
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(t) => f.write_str(t)?,
                Part::Expr(e) => write!(f, "${{{}}}", e.target)?,
            }
        }
        Ok(())
    }
}

impl Expr {
    fn fill(&self, lookup: &dyn Fn(&Expr) -> Lookup) -> Result<Option<String>, Missing> {
        let fallback = self.calls.iter().find_map(|c| match c {
            Call::Default(text) => Some(text.clone()),
            _ => None,
        });
        let value = match (lookup(self), fallback) {
            (Lookup::Later, _) => return Ok(None),
            (Lookup::Value(v), _) => v,
            (Lookup::Unset(_), Some(text)) => text,
            (Lookup::Unset(why), None) => {
                return Err(Missing {
                    name: self.target.to_string(),
                    why,
                    span: self.span,
                });
            }
        };
        Ok(Some(self.calls.iter().fold(value, |v, c| c.apply(v))))
    }
}

impl Call {
    fn apply(&self, value: String) -> String {
        match self {
            Call::Lower => value.to_lowercase(),
            Call::Slug => slug(&value),
            Call::Replace(from, to) if !from.is_empty() => value.replace(from.as_str(), to),
            Call::Replace(..) => value,
            Call::Default(text) if value.is_empty() => text.clone(),
            Call::Default(_) => value,
        }
    }
}

/// Lower case letters, digits and single hyphens, at most 63 characters, none at the ends.
fn slug(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(63);
    out.trim_end_matches('-').to_owned()
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ref::Git(field) => write!(f, "git.{field}"),
            Ref::Pr(field) => write!(f, "pr.{field}"),
            Ref::Run(field) => write!(f, "run.{field}"),
            Ref::Param(name) => write!(f, "param.{name}"),
            Ref::Env(name) => write!(f, "env.{name}"),
            Ref::Matrix(axis) => write!(f, "matrix.{axis}"),
            Ref::Version(name) => write!(f, "version.{name}"),
            Ref::Image { name, digest: true } => write!(f, "image.{name}.digest"),
            Ref::Image { name, .. } => write!(f, "image.{name}"),
            Ref::Registry(name) => write!(f, "registry.{name}"),
            Ref::Target { name, field } => write!(f, "target.{name}.{field}"),
            Ref::Output { step, name } => write!(f, "{step}.outputs.{name}"),
        }
    }
}
