//! The inside of `${…}`, with spans that point into the KDL string.

use super::{CONTEXTS, Call, Expr, FUNCTIONS, Part, Ref, Template, foreign};
use crate::codes::values as codes;
use crate::diagnostic::{Diagnostic, nearest};
use crate::source::{Source, Span};
use crate::text::shorten;

/// Parses the decoded `text` of the string written at `span`. Mistakes go to `out`; what could be read is returned.
pub fn parse(text: &str, span: Span, source: &Source, out: &mut Vec<Diagnostic>) -> Template {
    let mut parser = Parser {
        place: Place::new(text, span, source),
        out,
    };
    let mut parts: Vec<Part> = Vec::new();
    let mut literal = String::new();
    let mut rest = 0;
    while let Some(at) = text[rest..].find('$').map(|i| rest + i) {
        literal.push_str(&text[rest..at]);
        let after = &text[at + 1..];
        if after.starts_with('$') {
            literal.push('$');
            rest = at + 2;
        } else if after.starts_with('{') {
            let (expr, end) = parser.reference(text, at);
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            // A mistake has had its finding; the text around it is not the whole value.
            parts.extend(expr.map_or_else(|| super::unknown(span).parts, |e| vec![Part::Expr(e)]));
            rest = end;
        } else {
            literal.push('$');
            rest = at + 1;
        }
    }
    literal.push_str(&text[rest..]);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal));
    }
    Template { parts }
}

/// The first `${a.b}` in a script: a reference by its dots, which no shell has in a variable's name.
#[must_use]
pub fn looks_like_reference(script: &str, span: Span, source: &Source) -> Option<(String, Span)> {
    let place = Place::new(script, span, source);
    let mut from = 0;
    while let Some(at) = script[from..].find("${").map(|i| from + i) {
        let inner = &script[at + 2..];
        let end =
            inner.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')));
        if let Some(end) = end
            && matches!(inner.as_bytes()[end], b'}' | b'(')
            && inner[..end].contains('.')
            && inner.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            return Some((inner[..end].to_owned(), place.span(at, at + 2 + end + 1)));
        }
        from = at + 2;
    }
    None
}

/// Maps offsets in a decoded string to the file.
struct Place<'a> {
    text: &'a str,
    span: Span,
    raw: &'a str,
}

impl<'a> Place<'a> {
    fn new(text: &'a str, span: Span, source: &'a Source) -> Self {
        Self {
            text,
            span,
            raw: source.slice(span),
        }
    }

    /// Escapes and indentation may stand before a `${`, but the `${`s themselves come in the same order.
    fn span(&self, from: usize, to: usize) -> Span {
        let before = self.text[..from].matches("${").count();
        match self.raw.match_indices("${").nth(before) {
            Some((at, _)) => self.span.part(at, (at + to - from).min(self.raw.len())),
            None => self.span,
        }
    }
}

struct Parser<'a> {
    place: Place<'a>,
    out: &'a mut Vec<Diagnostic>,
}

impl Parser<'_> {
    /// Reads the reference whose `$` is at `at`; gives the offset behind it.
    fn reference(&mut self, text: &str, at: usize) -> (Option<Expr>, usize) {
        let Some(len) = closing(&text[at + 2..]) else {
            self.report(
                Diagnostic::new(
                    &codes::BAD_REFERENCE,
                    "`${` without `}`",
                    self.place.span(at, text.len()),
                    "never closed",
                )
                .help("close it with `}`, or write `$$` for a dollar sign"),
            );
            return (None, text.len());
        };
        let end = at + 2 + len + 1;
        let span = self.place.span(at, end);
        (self.inner(&text[at + 2..at + 2 + len], span), end)
    }

    fn inner(&mut self, inner: &str, span: Span) -> Option<Expr> {
        let Some(segments) = segments(inner) else {
            if let Some(theirs) = inner.strip_prefix('{') {
                let theirs = theirs.trim_end_matches('}').trim();
                return self.foreign(&format!("${{{{ {theirs} }}}}"), theirs, span);
            }
            self.report(
                Diagnostic::new(
                    &codes::BAD_REFERENCE,
                    format!("`${{{inner}}}` is not a reference"),
                    span,
                    "names with dots between them are expected here",
                )
                .help("write a reference such as `${git.sha}`, or `$$` for a dollar sign"),
            );
            return None;
        };
        let (target, used) = self.target(&segments, span)?;
        let mut calls = Vec::new();
        for segment in &segments[used..] {
            calls.push(self.call(segment, span)?);
        }
        Some(Expr {
            target,
            calls,
            span,
        })
    }

    /// What the first segments name, and how many they are.
    fn target(&mut self, segments: &[Segment], span: Span) -> Option<(Ref, usize)> {
        let first = segments[0].name.as_str();
        if let Some(at) = segments.iter().position(|s| s.name == "outputs")
            && (1..=2).contains(&at)
            && CONTEXTS.iter().all(|c| c.name != first)
        {
            let step: Vec<_> = segments[..at].iter().map(|s| s.name.as_str()).collect();
            let name = segments.get(at + 1).map(|s| s.name.clone());
            return match name {
                Some(name) => Some((
                    Ref::Output {
                        step: step.join("."),
                        name,
                    },
                    at + 2,
                )),
                None => self.wants(
                    span,
                    format!("`{}.outputs` wants the name of an output", step.join(".")),
                ),
            };
        }
        let Some(context) = CONTEXTS.iter().find(|c| c.name == first) else {
            return self.unknown_context(first, segments, span);
        };
        let Some(second) = segments.get(1).map(|s| s.name.as_str()) else {
            return self.wants(
                span,
                format!(
                    "`{first}` wants a name after it, such as `{}`",
                    sample(context)
                ),
            );
        };
        if !context.fields.is_empty() {
            let Some(&(field, _)) = context.fields.iter().find(|(f, _)| *f == second) else {
                return self.unknown_field(context, second, span);
            };
            let target = match first {
                "git" => Ref::Git(field),
                "pr" => Ref::Pr(field),
                _ => Ref::Run(field),
            };
            return Some((target, 2));
        }
        self.declared(first, segments, span)
    }

    /// A reference to something declared; a namespace makes its name two segments long.
    fn declared(
        &mut self,
        context: &str,
        segments: &[Segment],
        span: Span,
    ) -> Option<(Ref, usize)> {
        let second = segments[1].name.clone();
        if context == "target" {
            let Some(field) = segments.get(2) else {
                return self.wants(span, format!("`target.{second}` wants a field after it"));
            };
            let field = field.name.clone();
            return Some((
                Ref::Target {
                    name: second,
                    field,
                },
                3,
            ));
        }
        let namespaced = matches!(context, "version" | "image" | "registry")
            && segments
                .get(2)
                .is_some_and(|s| s.args.is_none() && s.name != "digest" && !is_function(&s.name));
        let (name, mut used) = if namespaced {
            (format!("{second}.{}", segments[2].name), 3)
        } else {
            (second, 2)
        };
        let target = match context {
            "param" => Ref::Param(name),
            "env" => Ref::Env(name),
            "matrix" => Ref::Matrix(name),
            "version" => Ref::Version(name),
            "registry" => Ref::Registry(name),
            _ => {
                let digest = segments.get(used).is_some_and(|s| s.name == "digest");
                used += usize::from(digest);
                Ref::Image { name, digest }
            }
        };
        Some((target, used))
    }

    fn call(&mut self, segment: &Segment, span: Span) -> Option<Call> {
        let args = segment.args.as_deref().unwrap_or_default();
        let call = match (segment.name.as_str(), args) {
            ("lower", []) => Call::Lower,
            ("slug", []) => Call::Slug,
            ("replace", [from, to]) => Call::Replace(from.clone(), to.clone()),
            ("default", [text]) => Call::Default(text.clone()),
            (name, _) => {
                let known: Vec<_> = FUNCTIONS.iter().map(|(f, _)| *f).collect();
                let bare = known.iter().map(|f| f.split('(').next().unwrap_or(f));
                let message = if is_function(name) {
                    format!("`{name}` is given the wrong arguments")
                } else {
                    format!("there is no function or field `{name}` here")
                };
                let guess = nearest(name, bare).map(|n| format!("did you mean `{n}`? "));
                self.report(
                    Diagnostic::new(&codes::UNKNOWN_FUNCTION, message, span, "in this reference")
                        .help(format!(
                            "{}the functions are `{}`",
                            guess.unwrap_or_default(),
                            known.join("`, `")
                        )),
                );
                return None;
            }
        };
        Some(call)
    }

    fn unknown_context<T>(&mut self, first: &str, segments: &[Segment], span: Span) -> Option<T> {
        let names: Vec<&str> = segments.iter().map(|s| s.name.as_str()).collect();
        if foreign::help(&names.join(".")).is_some() {
            return self.foreign(&format!("${{{}}}", names.join(".")), &names.join("."), span);
        }
        let known = CONTEXTS.iter().map(|c| c.name);
        let near = nearest(first, known.clone()).map(str::to_owned);
        let help = match near.or_else(|| has_field(segments)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if segments.len() == 1 => format!(
                "a variable of the environment is `${{env.{first}}}`, a parameter `${{param.{first}}}`; a dollar sign is `$$`"
            ),
            None => format!(
                "it can be {}, or an output of a step: `${{STEP.outputs.NAME}}`",
                known
                    .map(|k| format!("`{k}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_CONTEXT,
                format!("nothing is called `{first}` in `${{…}}`"),
                span,
                "unknown reference",
            )
            .help(help),
        );
        None
    }

    /// A reference as another tool writes it.
    fn foreign<T>(&mut self, written: &str, theirs: &str, span: Span) -> Option<T> {
        let help = foreign::help(theirs)
            .unwrap_or_else(|| "references are written `${…}`, such as `${git.sha}`".to_owned());
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_CONTEXT,
                format!("`{}` belongs to another tool", shorten(written, 60)),
                span,
                "means nothing here",
            )
            .help(help),
        );
        None
    }

    fn unknown_field<T>(&mut self, context: &super::Context, field: &str, span: Span) -> Option<T> {
        let known = || context.fields.iter().map(|(f, _)| *f);
        let guess =
            nearest(field, known()).map(|n| format!("did you mean `{}.{n}`? ", context.name));
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_CONTEXT,
                format!("`{}` has no field `{field}`", context.name),
                span,
                "unknown field",
            )
            .help(format!(
                "{}it has {}",
                guess.unwrap_or_default(),
                known()
                    .map(|k| format!("`{k}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        );
        None
    }

    fn wants<T>(&mut self, span: Span, message: String) -> Option<T> {
        self.report(Diagnostic::new(
            &codes::BAD_REFERENCE,
            message,
            span,
            "this is not complete",
        ));
        None
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.out.push(diagnostic);
    }
}

/// The reference whose field this is, where there is only one: `pr.number` for `pull.number`.
fn has_field(segments: &[Segment]) -> Option<String> {
    let field = segments.get(1)?.name.as_str();
    let with = |c: &&super::Context| c.fields.iter().any(|(f, _)| *f == field);
    let mut found = CONTEXTS.iter().filter(with);
    let context = found.next().filter(|_| found.next().is_none())?;
    Some(format!("{}.{field}", context.name))
}

struct Segment {
    name: String,
    args: Option<Vec<String>>,
}

fn is_function(name: &str) -> bool {
    FUNCTIONS
        .iter()
        .any(|(f, _)| f.split('(').next() == Some(name))
}

fn sample(context: &super::Context) -> String {
    match context.fields.first() {
        Some((field, _)) => format!("{}.{field}", context.name),
        None => format!("{}.NAME", context.name),
    }
}

/// Offset of the `}` that closes a reference; quotes may hide one.
fn closing(text: &str) -> Option<usize> {
    if text.starts_with('{')
        && let Some(at) = text.find("}}")
    {
        return Some(at + 1);
    }
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') => return Some(at),
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

/// Splits `a.b-c.replace('x', 'y')`; `None` if it has another shape.
fn segments(inner: &str) -> Option<Vec<Segment>> {
    let mut out = Vec::new();
    let mut rest = inner.trim();
    loop {
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
            .unwrap_or(rest.len());
        if end == 0 {
            return None;
        }
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut args = None;
        if let Some(list) = rest.strip_prefix('(') {
            let (parsed, after) = arguments(list)?;
            args = Some(parsed);
            rest = after;
        }
        out.push(Segment { name, args });
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(out),
            None => return None,
        }
    }
}

/// Quoted strings with commas between them, up to `)`.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    if let Some(after) = rest.strip_prefix(')') {
        return Some((out, after));
    }
    loop {
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let end = rest[1..].find(quote)? + 1;
        out.push(rest[1..end].to_owned());
        rest = rest[end + 1..].trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return Some((out, after));
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}
