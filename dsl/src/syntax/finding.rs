//! The list that the checks of the text fill, the limits they keep, and small words for messages.

use super::lexer::Token;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Source, Span};

/// Larger files are not read.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// Longer lines are not read.
pub(super) const MAX_LINE: usize = 16 * 1024;
/// Blocks in blocks.
pub(super) const MAX_DEPTH: usize = 32;
/// Block comments in block comments.
pub(super) const MAX_COMMENT_DEPTH: usize = 8;
/// `/-` inside something that is already left out by one.
pub(super) const MAX_DISABLED_DEPTH: usize = 4;
/// Nodes in one file.
pub(super) const MAX_NODES: usize = 100_000;
/// Values and properties of one node.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// Findings in one file; nobody reads more, and a damaged file would have a million.
pub(super) const MAX_FINDINGS: usize = 100;

/// The findings of one file, in the order in which they were found.
pub(super) struct Findings<'a> {
    source: &'a Source,
    list: Vec<Diagnostic>,
    /// Something else is wrong, at an unknown place: no node can be trusted.
    pub(super) more: bool,
}

impl<'a> Findings<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            list: Vec::new(),
            more: false,
        }
    }

    pub(super) fn text(&self) -> &'a str {
        &self.source.text
    }

    pub(super) fn push(&mut self, finding: Diagnostic) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(finding);
        }
    }

    pub(super) fn add(&mut self, code: Code, token: &Token, what: Wording) {
        let span = self.span(token);
        self.push(Diagnostic::new(code, what.message, span, what.label).help(what.help));
    }

    /// Whether further findings would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_FINDINGS
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether this code was found since there were `from` findings.
    pub(super) fn has_since(&self, from: usize, code: Code) -> bool {
        self.list.iter().skip(from).any(|d| d.code == code)
    }

    /// Of the findings from `before` on, forgets those whose code was found since `from` already.
    pub(super) fn drop_repeated(&mut self, from: usize, before: usize) {
        if before >= self.list.len() {
            return;
        }
        let mut new = self.list.split_off(before);
        new.retain(|d| !self.has_since(from, d.code));
        self.list.append(&mut new);
    }

    pub(super) fn span(&self, token: &Token) -> Span {
        self.range(token.start(), token.end())
    }

    pub(super) fn range(&self, start: usize, end: usize) -> Span {
        Span::new(self.source.id, start, end)
    }

    /// The text of a token, short enough for a message.
    pub(super) fn show(&self, token: &Token) -> String {
        show(&self.text()[token.range()])
    }

    /// By place, the first one first.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|d| (d.span().start, d.code.id));
        self.list
    }

    pub(super) fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

/// The words of a finding.
pub(super) struct Wording {
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: String,
}

/// Joins the three texts of a finding.
pub(super) fn wording(
    message: impl Into<String>,
    label: impl Into<String>,
    help: impl Into<String>,
) -> Wording {
    Wording {
        message: message.into(),
        label: label.into(),
        help: help.into(),
    }
}

/// A piece of the file, short enough for a message.
pub(super) fn show(text: &str) -> String {
    let line = super::chars::line(text);
    let cut = line.char_indices().nth(40).map(|(at, _)| at);
    match cut {
        Some(at) => format!("{}…", &line[..at]),
        None if line.len() < text.len() => format!("{line}…"),
        None => line.to_owned(),
    }
}

/// How to write this text as a value, short enough for a message.
pub(super) fn quoted(text: &str) -> String {
    let text = show(text);
    if text.contains(['"', '\\']) {
        format!("#\"{text}\"#")
    } else {
        format!("\"{text}\"")
    }
}
