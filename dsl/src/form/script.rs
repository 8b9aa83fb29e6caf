//! Commands, patterns and the parts of keys: values with a form of their own.

use super::Reader;
use super::value::Val;
use crate::codes::{shape, values as codes};
use crate::diagnostic::{Diagnostic, nearest};
use crate::expr;
use crate::model::KeyPart;
use crate::source::{Span, Spanned};
use crate::syntax::tree::Value;
use crate::units;

impl Reader<'_> {
    pub(super) fn script(&mut self, text: &str, span: Span) -> Option<Val> {
        let source = self.sources.get(span.source);
        let reference = text
            .contains('$')
            .then(|| expr::looks_like_reference(text, span, source));
        if let Some((name, at)) = reference.flatten() {
            let variable: String = name
                .rsplit('.')
                .next()
                .unwrap_or("VALUE")
                .to_uppercase()
                .replace('-', "_");
            self.report(
                Diagnostic::new(
                    &codes::REFERENCE_IN_SCRIPT,
                    format!("`${{{name}}}` is not replaced in a command"),
                    at,
                    "values are never put into a script's text",
                )
                .help(format!(
                    "hand it over as a variable: `env {variable}=\"${{{name}}}\"`, then write `\"${variable}\"` here"
                )),
            );
            return None;
        }
        if text.len() > 100 * 1024 {
            self.report(
                Diagnostic::new(
                    &shape::WRONG_VALUE,
                    "this command's text is longer than 100 KiB",
                    span,
                    "the system would refuse to start it",
                )
                .help("put it into a script file of the repository and run that"),
            );
            return None;
        }
        if text.trim().is_empty() || text.contains('\0') {
            self.report(
                Diagnostic::new(
                    &shape::WRONG_VALUE,
                    "this command is empty",
                    span,
                    "nothing to run",
                )
                .help("write the command, such as `run \"cargo test\"`, or remove the node"),
            );
            return None;
        }
        Some(Val::Text(Spanned::new(text.to_owned(), span)))
    }

    pub(super) fn key_part(&mut self, text: &str, value: &Value) -> Option<Val> {
        let span = value.span;
        let bare = span.len() == text.len();
        let part = match value.ty.as_ref().map(|t| t.value.as_str()) {
            Some("file") => {
                let text = self.constant(text, span)?;
                match glob(&text) {
                    Ok(()) => KeyPart::File(text),
                    Err(help) => return self.bad_key_part(span, &help),
                }
            }
            Some("env") => match units::env_name(text) {
                Ok(()) => KeyPart::Env(text.to_owned()),
                Err(help) => return self.bad_key_part(span, &help),
            },
            Some("run") => {
                self.script(text, span)?;
                KeyPart::Run(text.to_owned())
            }
            Some("text") => KeyPart::Text(text.to_owned()),
            Some(other) => {
                let near = nearest(other, ["file", "env", "run", "text"]);
                let guess = near
                    .map(|n| format!("did you mean `({n})`? "))
                    .unwrap_or_default();
                let help = format!("{guess}it can be `(file)`, `(env)`, `(run)` or `(text)`");
                return self.bad_key_part(value.ty.as_ref().map_or(span, |t| t.span), &help);
            }
            None if text == "os" => KeyPart::Os,
            None if text == "arch" => KeyPart::Arch,
            None if bare => {
                let help = format!(
                    "it can be `os`, `arch`, `(file)\"…\"`, `(env)\"…\"`, `(run)\"…\"`; plain text is quoted: `\"{text}\"`"
                );
                return self.bad_key_part(span, &help);
            }
            None => KeyPart::Text(self.constant(text, span)?),
        };
        Some(Val::Key(Spanned::new(part, span)))
    }

    fn bad_key_part(&mut self, span: Span, help: &str) -> Option<Val> {
        self.report(
            Diagnostic::new(
                &shape::WRONG_VALUE,
                "this is not a part of a key",
                span,
                "expected a key part",
            )
            .help(help),
        );
        None
    }
}

/// Whether this is a pattern of paths.
pub(super) fn glob(text: &str) -> Result<(), String> {
    let pattern = text.strip_prefix('!').unwrap_or(text);
    units::relative_path(pattern)?;
    // Nothing else in a pattern can be wrong.
    if !pattern.contains(['[', '{', '}', '\\']) {
        return Ok(());
    }
    match globset::GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
    {
        Ok(_) => Ok(()),
        Err(e) => Err(format!("the pattern cannot be read: {}", e.kind())),
    }
}
