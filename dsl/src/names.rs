//! What is declared where: the names that references are looked up in.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::codes::names as codes;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::expr::CONTEXTS;
use crate::schema::Kind;
use crate::source::{Span, Spanned};
use crate::stdlib;
use crate::syntax::tree::Node;
use crate::text::shorten;

/// Declared names by kind, each with the place of its declaration.
#[derive(Debug, Default)]
pub struct Names {
    declared: Vec<(Kind, IndexMap<String, Span>)>,
    used: std::cell::RefCell<BTreeSet<(Kind, String)>>,
    /// The parameters of the pipeline.
    params: BTreeSet<String>,
}

impl Names {
    /// Declares what a top-level node declares; a name that is taken is a finding.
    pub fn declare(&mut self, kind: Kind, name: String, span: Span, out: &mut Diagnostics) {
        let of_kind = match self.declared.iter().position(|(k, _)| *k == kind) {
            Some(at) => &mut self.declared[at].1,
            None => {
                self.declared.push((kind, IndexMap::new()));
                &mut self.declared.last_mut().expect("it was just pushed").1
            }
        };
        match of_kind.get(&name) {
            None => {
                of_kind.insert(name, span);
            }
            Some(&first) => out.push(twice(kind.noun(), &name, span, first)),
        }
    }

    /// Notes a parameter of the pipeline.
    pub fn declare_param(&mut self, name: &str) {
        self.params.insert(name.to_owned());
    }

    /// Whether the pipeline has this parameter.
    #[must_use]
    pub fn is_param(&self, name: &str) -> bool {
        self.params.contains(name)
    }

    /// The names of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&str, Span)> {
        let of_kind = self.declared.iter().find(|(k, _)| *k == kind);
        of_kind
            .into_iter()
            .flat_map(|(_, names)| names)
            .map(|(n, s)| (n.as_str(), *s))
    }

    /// The full name that `name` means in a file included `as` a namespace.
    #[must_use]
    pub fn resolve(&self, kind: Kind, name: &str, namespace: Option<&str>) -> Option<String> {
        let inner = namespace.map(|ns| format!("{ns}.{name}"));
        let candidates = inner.into_iter().chain([name.to_owned()]);
        let found = candidates
            .into_iter()
            .find(|n| self.place(kind, n).is_some())?;
        self.used.borrow_mut().insert((kind, found.clone()));
        Some(found)
    }

    /// Whether a reference named it.
    #[must_use]
    pub fn is_used(&self, kind: Kind, name: &str) -> bool {
        self.used.borrow().contains(&(kind, name.to_owned()))
    }

    /// Where a name is declared.
    fn place(&self, kind: Kind, name: &str) -> Option<Span> {
        let (_, names) = self.declared.iter().find(|(k, _)| *k == kind)?;
        names.get(name).copied()
    }

    /// The finding for a name that is not declared, with a guess at what was meant.
    #[must_use]
    pub fn unknown(&self, kind: Kind, name: &Spanned<String>, guess: bool) -> Diagnostic {
        let standard = match kind {
            Kind::Template => stdlib::templates(),
            _ => Vec::new(),
        };
        let mut known: Vec<&str> = self.of(kind).map(|(n, _)| n).filter(|_| guess).collect();
        if guess && !known.iter().any(|n| n.starts_with("std.")) {
            known.extend(standard.iter().map(String::as_str));
        }
        unknown(kind.noun(), name, &known, || match kind {
            Kind::Secret => format!("declare it at the top of the file: `secret {}`", name.value),
            Kind::Registry => format!(
                "declare it at the top of the file: `registry {} \"ghcr.io/…\"`",
                name.value
            ),
            Kind::Template => {
                "declare it with `template`, or `include` the file that does".to_owned()
            }
            kind => format!(
                "declare it at the top of the file: `{} {} …`",
                kind.noun(),
                name.value
            ),
        })
        .with_declaration(self, kind)
    }
}

/// The finding for a name that nothing has; names the nearest known one.
pub fn unknown(
    noun: &str,
    name: &Spanned<String>,
    known: &[&str],
    otherwise: impl FnOnce() -> String,
) -> Diagnostic {
    let shown = shorten(&name.value, 60);
    let help = match nearest(&name.value, known.iter().copied()) {
        _ if name.value.contains(',') => {
            let names: Vec<&str> = name.value.split(',').map(str::trim).collect();
            format!("a list has no commas: `{}`", shorten(&names.join(" "), 60))
        }
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() || known.len() > 12 => otherwise(),
        None => format!("there is {}; {}", crate::text::list(known), otherwise()),
    };
    Diagnostic::new(
        &codes::UNKNOWN_NAME,
        format!("there is no {noun} named `{shown}`"),
        name.span,
        "not declared",
    )
    .missing(noun, &name.value)
    .help(help)
}

/// The finding for a name that is declared twice.
#[must_use]
pub fn twice(noun: &str, name: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::new(
        &codes::DUPLICATE_NAME,
        format!(
            "there are two {} named `{}`",
            plural(noun),
            shorten(name, 60)
        ),
        span,
        "the second one",
    )
    .label(first, "the first one")
    .help("give one of them another name")
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    }
}

/// The finding for a step or stage that is named like a context of `${…}`.
#[must_use]
pub fn reserved(name: &Spanned<String>) -> Option<Diagnostic> {
    let is_context = CONTEXTS.iter().any(|c| c.name == name.value);
    is_context.then(|| {
        Diagnostic::new(
            &codes::RESERVED_NAME,
            format!("`{}` cannot be a step's or stage's name", name.value),
            name.span,
            format!(
                "references such as `${{{}.…}}` begin with this word",
                name.value
            ),
        )
        .help(format!("choose another, such as `{}-step`", name.value))
    })
}

/// The name that a top-level node declares, with its kind.
#[must_use]
pub fn declared_by(node: &Node) -> Option<(Kind, Spanned<String>)> {
    let kind = match node.name.value.as_str() {
        "registry" => Kind::Registry,
        "version" => Kind::Version,
        "target" => Kind::Target,
        "promotion" => Kind::Promotion,
        "template" => Kind::Template,
        "secret" => Kind::Secret,
        _ => return None,
    };
    let arg = node.args.first()?;
    Some((kind, Spanned::new(arg.as_str()?.to_owned(), arg.span)))
}

impl Diagnostic {
    /// Marks the declaration of the name that the help suggests.
    fn with_declaration(self, names: &Names, kind: Kind) -> Self {
        self.label_near(|near| names.place(kind, near))
    }

    /// Marks the place of the name that the help suggests.
    pub(crate) fn label_near(self, place: impl FnOnce(&str) -> Option<Span>) -> Self {
        let near = self
            .help
            .as_deref()
            .and_then(|h| h.strip_prefix("did you mean `")?.strip_suffix("`?"))
            .map(str::to_owned);
        match near.and_then(|near| Some((place(&near)?, near))) {
            Some((span, near)) => self.label(span, format!("`{near}` is declared here")),
            None => self,
        }
    }
}
