//! What is declared where: the names that references are looked up in.

use indexmap::IndexMap;

use crate::codes::names as codes;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::expr::CONTEXTS;
use crate::schema::Kind;
use crate::source::{Span, Spanned};
use crate::syntax::tree::Node;

/// Declared names by kind, each with the place of its declaration.
#[derive(Debug, Default)]
pub struct Names {
    declared: Vec<(Kind, IndexMap<String, Span>)>,
    used: std::cell::RefCell<Vec<(Kind, String)>>,
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
            .find(|n| self.of(kind).any(|(known, _)| known == n))?;
        self.used.borrow_mut().push((kind, found.clone()));
        Some(found)
    }

    /// Whether a reference named it.
    #[must_use]
    pub fn is_used(&self, kind: Kind, name: &str) -> bool {
        self.used
            .borrow()
            .iter()
            .any(|(k, n)| *k == kind && n == name)
    }

    /// The finding for a name that is not declared.
    #[must_use]
    pub fn unknown(&self, kind: Kind, name: &Spanned<String>) -> Diagnostic {
        let known: Vec<&str> = self.of(kind).map(|(n, _)| n).collect();
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
    let shown = crate::text::shorten(&name.value, 60);
    let help = match nearest(&name.value, known.iter().copied()) {
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
        format!("there are two of the name `{name}`"),
        span,
        format!("this {noun} has the same name"),
    )
    .label(first, "the first one is here")
    .help("give one of them another name")
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
            "this word begins references such as `${git.sha}`",
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
        let near = self
            .help
            .as_deref()
            .and_then(|h| h.strip_prefix("did you mean `")?.strip_suffix("`?"));
        let place = near.and_then(|near| names.of(kind).find(|(n, _)| *n == near));
        match place.map(|(n, s)| (n.to_owned(), s)) {
            Some((name, span)) => self.label(span, format!("`{name}` is declared here")),
            None => self,
        }
    }
}
