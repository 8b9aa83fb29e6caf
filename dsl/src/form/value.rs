//! One value held against its type.

use std::time::Duration;

use super::script::glob;
use super::{Reader, Scope};
use crate::codes::{shape, values as codes};
use crate::diagnostic::{Diagnostic, nearest};
use crate::expr::{self, Expr, Part, Ref, Template};
use crate::model::KeyPart;
use crate::schema::{Field, Kind, Type};
use crate::source::{Span, Spanned};
use crate::syntax::tree::{Value, ValueKind};
use crate::units;

/// The longest text that parameters may be put together to, in bytes and references.
const MAX_FILLED: usize = 64 * 1024;

/// A typed value.
#[derive(Debug, Clone)]
pub enum Val {
    /// Names, references, words, paths, patterns, scripts, text.
    Text(Spanned<String>),
    /// Text with references.
    Template(Spanned<Template>),
    /// A boolean.
    Bool(Spanned<bool>),
    /// A whole number.
    Int(Spanned<i64>),
    /// A duration.
    Duration(Spanned<Duration>),
    /// Bytes.
    Size(Spanned<u64>),
    /// A part of a key.
    Key(Spanned<KeyPart>),
}

impl Val {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&Spanned<String>> {
        match self {
            Val::Text(t) => Some(t),
            _ => None,
        }
    }

    /// The template, if it is one.
    #[must_use]
    pub fn as_template(&self) -> Option<&Spanned<Template>> {
        match self {
            Val::Template(t) => Some(t),
            _ => None,
        }
    }

    /// The duration, if it is one.
    #[must_use]
    pub fn as_duration(&self) -> Option<Duration> {
        match self {
            Val::Duration(d) => Some(d.value),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Val::Int(i) => Some(i.value),
            _ => None,
        }
    }
}

impl Reader<'_> {
    /// The values that one argument of a list stands for: several where it is a list parameter of a template.
    pub(super) fn values(&mut self, field: &Field, value: &Value, out: &mut Vec<Val>) {
        match self.scope.and_then(|scope| spliced(scope, value)) {
            None => out.extend(self.value(field, value)),
            Some(items) => {
                let item = |t: Template| Value {
                    ty: value.ty.clone(),
                    kind: ValueKind::String(t.known().unwrap_or_else(|| t.to_string())),
                    span: value.span,
                };
                out.extend(items.into_iter().filter_map(|t| match field.ty {
                    Type::Template => Some(Val::Template(Spanned::new(t, value.span))),
                    _ => self.value(field, &item(t)),
                }));
            }
        }
    }

    /// One value held against a field's type.
    pub(super) fn value(&mut self, field: &Field, value: &Value) -> Option<Val> {
        if let Some(ty) = value.ty.as_ref().filter(|_| field.ty != Type::KeyPart) {
            self.report(
                Diagnostic::new(
                    &shape::WRONG_VALUE,
                    format!("`{}` takes no type annotation", field.name),
                    ty.span,
                    "not expected here",
                )
                .help("annotations such as `(file)` belong to `key` and `restore`"),
            );
        }
        let span = value.span;
        match (field.ty, &value.kind) {
            (Type::Bool, ValueKind::Bool(b)) => Some(Val::Bool(Spanned::new(*b, span))),
            (Type::Int(min, max), ValueKind::Int(n)) => self.int(*n, min, max, span),
            (Type::Any, kind) => any_text(kind).map(|t| self.template(&t, span)),
            (ty, ValueKind::String(text)) => self.string(field, ty, text, value),
            (_, kind) => {
                self.wrong_kind(field, kind, span);
                None
            }
        }
    }

    fn template(&mut self, text: &str, span: Span) -> Val {
        let source = self.sources.get(span.source);
        let template = if text.contains('$') {
            let mut found = Vec::new();
            let template = expr::parse(text, span, source, &mut found);
            found.into_iter().for_each(|d| self.report(d));
            template
        } else {
            Template::text(text)
        };
        self.unknown_params(&template);
        let template = self.qualified(template);
        Val::Template(Spanned::new(self.filled(template), span))
    }

    /// What an included file declares is known by its namespace.
    fn qualified(&self, mut template: Template) -> Template {
        for part in &mut template.parts {
            let Part::Expr(expr) = part else { continue };
            let (kind, name) = match &mut expr.target {
                Ref::Version(name) => (Kind::Version, name),
                Ref::Registry(name) => (Kind::Registry, name),
                Ref::Target { name, .. } => (Kind::Target, name),
                _ => continue,
            };
            if let Some(full) = self.names.resolve(kind, name, self.namespace) {
                *name = full;
            }
        }
        template
    }

    /// Parameters that neither the template being read nor the pipeline declares.
    fn unknown_params(&mut self, template: &Template) {
        let Some(scope) = self.scope else { return };
        for expr in template.exprs() {
            let Ref::Param(name) = &expr.target else {
                continue;
            };
            if scope.params.contains_key(name) || self.names.is_param(name) {
                continue;
            }
            let known: Vec<&str> = scope.params.keys().map(String::as_str).collect();
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it in the template: `param {name}`"),
            };
            let finding = Diagnostic::new(
                &codes::UNDECLARED,
                format!("the template has no parameter `{name}`"),
                expr.span,
                "not declared",
            );
            self.report(finding.missing("parameter", name).help(help));
        }
    }

    /// Template parameters put in the place of `${param.…}`.
    fn filled(&self, template: Template) -> Template {
        let Some(scope) = self.scope else {
            return template;
        };
        let by = |expr: &Expr| match &expr.target {
            Ref::Param(name) => match scope.params.get(name) {
                Some(values) => values.first().cloned(),
                None => (!self.names.is_param(name)).then(|| expr::unknown(expr.span)),
            },
            _ => None,
        };
        let size = |t: &Template| t.parts.iter().map(Part::size).sum::<usize>();
        let total: usize = template.exprs().filter_map(&by).map(|t| size(&t)).sum();
        if total > MAX_FILLED {
            // Nested templates could double a text at every level.
            return expr::unknown(template.exprs().next().map_or(Span::default(), |e| e.span));
        }
        template.substitute(&by)
    }

    fn string(&mut self, field: &Field, ty: Type, text: &str, value: &Value) -> Option<Val> {
        let span = value.span;
        match ty {
            Type::Template | Type::Url | Type::ImageRef => {
                self.literal_shape(field, text, span)?;
                return Some(self.template(text, span));
            }
            Type::Script => return self.script(text, span),
            Type::KeyPart => return self.key_part(text, value),
            _ => {}
        }
        let text = self.constant(text, span)?;
        if let Type::Ref(kind) = ty {
            return self.reference(kind, Spanned::new(text, span));
        }
        let checked = match ty {
            Type::Name => units::name(&text).map(|()| None),
            Type::EnvName => units::env_name(&text).map(|()| None),
            Type::Text | Type::NameGlob => units::no_control(&text).map(|()| None),
            Type::AnyPath => units::no_control(&text).map(|()| None),
            Type::Path => units::relative_path(&text).map(|()| None),
            Type::Glob => glob(&text).map(|()| None),
            Type::Duration => {
                units::duration(&text).map(|d| Some(Val::Duration(Spanned::new(d, span))))
            }
            Type::Size => units::size(&text).map(|n| Some(Val::Size(Spanned::new(n, span)))),
            Type::Bool => match text.as_str() {
                "true" | "false" if self.scope.is_some() => {
                    Ok(Some(Val::Bool(Spanned::new(text == "true", span))))
                }
                "true" | "false" => Err(format!("write it without quotes: `#{text}`")),
                _ => Err("write `#true` or `#false`".into()),
            },
            Type::Int(min, max) => match text.parse::<i128>() {
                Ok(n) if self.scope.is_some() => return self.int(n, min, max, span),
                Ok(n) => Err(format!("write the number without quotes: `{n}`")),
                Err(_) => Err(format!("write a whole number from {min} to {max}")),
            },
            Type::Word(words) if words.contains(&text.as_str()) => Ok(None),
            Type::Word(words) => Err(word_help(&text, words)),
            _ => Ok(None),
        };
        match checked {
            Ok(None) => Some(Val::Text(Spanned::new(text, span))),
            Ok(val) => val,
            Err(help) => {
                let shown = crate::text::shorten(&text, 60);
                self.report(
                    Diagnostic::new(
                        &shape::WRONG_VALUE,
                        match ty {
                            Type::Word(_) => format!("`{}` cannot be `{shown}`", self.subject),
                            Type::Name | Type::EnvName => {
                                format!("`{shown}` cannot be {}", article(noun(ty)))
                            }
                            _ => format!(
                                "`{}` wants {}, not `{shown}`",
                                self.subject,
                                article(noun(ty))
                            ),
                        },
                        span,
                        match ty {
                            Type::Word(_) => "not a word that is known here".to_owned(),
                            _ => expected(ty),
                        },
                    )
                    .help(help),
                );
                None
            }
        }
    }

    /// A name looked up where it is declared; steps and images are looked up later, when all of them are known.
    fn reference(&mut self, kind: Kind, name: Spanned<String>) -> Option<Val> {
        if matches!(kind, Kind::Step | Kind::Image) {
            return Some(Val::Text(name));
        }
        match self.names.resolve(kind, &name.value, self.namespace) {
            Some(full) => Some(Val::Text(Spanned::new(full, name.span))),
            None => {
                let guess = self.out.len() <= crate::resolve::MANY;
                self.report(self.names.unknown(kind, &name, guess));
                None
            }
        }
    }

    /// Text of a field that must be known before a run: template parameters are put in, nothing else is.
    pub(super) fn constant(&mut self, text: &str, span: Span) -> Option<String> {
        if !text.contains("${") {
            return Some(text.to_owned());
        }
        let before = self.out.len();
        let Val::Template(template) = self.template(text, span) else {
            return None;
        };
        if self.out.len() > before {
            return None; // It has had its finding.
        }
        if let Some(known) = template.value.known() {
            return Some(known);
        }
        let first = template.value.exprs().next().map(|e| e.target.to_string());
        self.report(
            Diagnostic::new(
                &codes::NOT_INTERPOLATED,
                format!(
                    "`{}` must be known before the run; `${{…}}` is not replaced in it",
                    self.subject
                ),
                span,
                format!("`{}` has its value only later", first.unwrap_or_default()),
            )
            .help("write the value itself; only in a template can `${param.…}` stand here"),
        );
        None
    }

    fn int(&mut self, n: i128, min: i64, max: i64, span: Span) -> Option<Val> {
        match i64::try_from(n) {
            Ok(n) if (min..=max).contains(&n) => Some(Val::Int(Spanned::new(n, span))),
            _ => {
                self.report(
                    Diagnostic::new(
                        &shape::WRONG_VALUE,
                        format!("`{}` cannot be {n}", self.subject),
                        span,
                        "out of range",
                    )
                    .help(format!("write a whole number from {min} to {max}")),
                );
                None
            }
        }
    }

    fn wrong_kind(&mut self, field: &Field, kind: &ValueKind, span: Span) {
        let written = self.sources.get(span.source).slice(span).to_owned();
        let (what, help) = match (kind, field.ty) {
            (ValueKind::Float(_) | ValueKind::Int(_), Type::Duration) => (
                "a number",
                format!("add the unit, in quotes: `\"{written}s\"` or `\"{written}m\"`"),
            ),
            (ValueKind::Int(_), Type::Size) => (
                "a number",
                format!("add the unit, in quotes: `\"{written}MiB\"`"),
            ),
            (ValueKind::Int(_) | ValueKind::Float(_), Type::Bool) => {
                ("a number", "write `#true` or `#false`".into())
            }
            (ValueKind::Int(_) | ValueKind::Float(_), Type::Int(min, max)) => (
                "not a whole number",
                format!("write a whole number from {min} to {max}"),
            ),
            (ValueKind::Int(_) | ValueKind::Float(_), Type::Name | Type::Ref(_)) => {
                ("a number", "write a name".to_owned())
            }
            (ValueKind::Int(_) | ValueKind::Float(_), _) => {
                let read = any_text(kind).unwrap_or_default();
                let loss = match read == written {
                    true => String::new(),
                    false => format!("; as a number it would be {read}"),
                };
                (
                    "a number",
                    format!("put it in quotes: `\"{written}\"`{loss}"),
                )
            }
            (ValueKind::Bool(b), _) => (
                "a boolean",
                format!("put it in quotes if text is meant: `\"{b}\"`"),
            ),
            _ => ("`#null`", "leave it out where there is no value".to_owned()),
        };
        self.report(
            Diagnostic::new(
                &shape::WRONG_VALUE,
                format!(
                    "`{}` wants {}, and this is {what}",
                    self.subject,
                    article(noun(field.ty))
                ),
                span,
                expected(field.ty),
            )
            .help(help),
        );
    }

    /// Checks on the literal text of fields in which references are replaced.
    fn literal_shape(&mut self, field: &Field, text: &str, span: Span) -> Option<()> {
        let problem = match field.ty {
            Type::Url
                if !text.starts_with("http://")
                    && !text.starts_with("https://")
                    && !text.starts_with("${") =>
            {
                Some("write the whole address, beginning with `http://` or `https://`")
            }
            Type::ImageRef if text.is_empty() || text.contains(char::is_whitespace) => {
                Some("write a reference such as `\"rust:1.95\"` or `\"ghcr.io/acme/app@sha256:…\"`")
            }
            Type::ImageRef if text.contains("://") => {
                Some("an image reference has no `https://` in front")
            }
            _ => None,
        };
        let Some(help) = problem else { return Some(()) };
        self.report(
            Diagnostic::new(
                &shape::WRONG_VALUE,
                format!("`{}` wants {}", self.subject, article(noun(field.ty))),
                span,
                expected(field.ty),
            )
            .help(help),
        );
        None
    }
}

/// The items of a list parameter, where the value is exactly `"${param.NAME}"` and `NAME` is a list.
fn spliced(scope: &Scope, value: &Value) -> Option<Vec<Template>> {
    let name = value
        .as_str()?
        .strip_prefix("${param.")?
        .strip_suffix('}')?;
    let is_list = scope.lists.iter().any(|l| l == name);
    is_list.then(|| scope.params.get(name).cloned().unwrap_or_default())
}

fn any_text(kind: &ValueKind) -> Option<String> {
    match kind {
        ValueKind::String(s) => Some(s.clone()),
        ValueKind::Int(n) => Some(n.to_string()),
        ValueKind::Float(n) => Some(n.to_string()),
        ValueKind::Bool(b) => Some(b.to_string()),
        ValueKind::Null => None,
    }
}

fn word_help(text: &str, words: &[&'static str]) -> String {
    let all = words
        .iter()
        .map(|w| format!("`{w}`"))
        .collect::<Vec<_>>()
        .join(", ");
    match super::foreign::our_value(text, words).or_else(|| nearest(text, words.iter().copied())) {
        Some(near) => format!("did you mean `{near}`? it can be {all}"),
        None => format!("it can be {all}"),
    }
}

fn expected(ty: Type) -> String {
    let what = ty.describe();
    match what.starts_with('`') {
        true => format!("expected {what}"),
        false => format!("expected {}", article(&what)),
    }
}

fn article(noun: &str) -> String {
    let an = noun.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {noun}", if an { "an" } else { "a" })
}

fn noun(ty: Type) -> &'static str {
    match ty {
        Type::Name => "name",
        Type::Ref(kind) => kind.noun(),
        Type::EnvName => "variable name",
        Type::Text | Type::Template | Type::Any => "text",
        Type::Script => "command",
        Type::Bool => "boolean",
        Type::Int(..) => "whole number",
        Type::Duration => "duration",
        Type::Size => "size",
        Type::Glob => "path pattern",
        Type::NameGlob => "name pattern",
        Type::Path | Type::AnyPath => "path",
        Type::Url => "URL",
        Type::ImageRef => "image reference",
        Type::Word(_) => "known word",
        Type::KeyPart => "key part",
    }
}
