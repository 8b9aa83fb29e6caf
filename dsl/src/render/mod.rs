//! Findings as text: for people, for tools, for the CI around us. Finds nothing itself and
//! writes nowhere.

mod excerpt;
mod github;
mod human;
mod json;
mod sarif;
#[cfg(test)]
mod tests;

pub use github::github;
pub use human::{Style, human};
pub use json::json;
pub use sarif::sarif;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{SourceMap, Span};
use std::cmp::Ordering;

/// One finding on one line: `pipeline.kdl:2:10: error[E101]: message`.
#[must_use]
pub fn plain_line(d: &Diagnostic, sources: &SourceMap) -> String {
    let region = Region::of(d.span(), sources);
    visible_line(
        &format!(
            "{}:{}:{}: {}[{}]: {}",
            sources.get(d.span().source).name,
            region.line,
            region.column,
            word(d.severity()),
            d.code.id,
            d.message
        ),
        true,
    )
}

/// The findings in the order of the files, each once.
fn in_order(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut all: Vec<_> = diagnostics.iter().collect();
    all.sort_by(|a, b| compare(a, b));
    all.dedup();
    all
}

/// Compares every part, so that equal findings end up next to each other.
fn compare(a: &Diagnostic, b: &Diagnostic) -> Ordering {
    let labels = |d: &Diagnostic| -> Vec<(Span, String)> {
        d.labels.iter().map(|l| (l.span, l.text.clone())).collect()
    };
    a.span()
        .cmp(&b.span())
        .then_with(|| a.code.id.cmp(b.code.id))
        .then_with(|| a.message.cmp(&b.message))
        .then_with(|| a.help.cmp(&b.help))
        .then_with(|| labels(a).cmp(&labels(b)))
}

/// How many of these findings are errors, and how many warnings.
fn count(findings: &[&Diagnostic]) -> (usize, usize) {
    let is_error = |d: &&&Diagnostic| d.severity() == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    (errors, findings.len() - errors)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Lines and columns of a span, from 1, counted in characters; the end is after the last one.
struct Region {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Region {
    fn of(span: Span, sources: &SourceMap) -> Self {
        let source = sources.get(span.source);
        let (line, column) = source.line_column(span.start);
        let (end_line, end_column) = source.line_column(span.end.max(span.start));
        Self {
            line,
            column,
            end_line,
            end_column,
        }
    }
}

/// What stands in for a character that would act on the terminal instead of being seen.
fn stand_in(c: char, unicode: bool) -> Option<char> {
    let acts = c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    match c {
        _ if !acts => None,
        _ if !unicode => Some('?'),
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)),
        '\x7f' => Some('\u{2421}'),
        _ => Some('\u{fffd}'),
    }
}

/// The text with nothing in it that acts on a terminal; line breaks stay.
pub(crate) fn visible(text: &str, unicode: bool) -> String {
    text.replace("\r\n", "\n")
        .replace('\t', "    ")
        .chars()
        .map(|c| match c {
            '\n' => c,
            _ => stand_in(c, unicode).unwrap_or(c),
        })
        .collect()
}

/// Like [`visible`], on one line.
fn visible_line(text: &str, unicode: bool) -> String {
    visible(text, unicode).replace('\n', " ")
}

/// The text cut to `max` characters.
fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
