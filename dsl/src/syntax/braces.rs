//! Which brace closes which block, and which one is missing or too many.
//! Knows tokens and indentation, not nodes.

use super::chars::is_newline;
use super::finding::{Findings, MAX_DEPTH, MAX_FINDINGS, show, wording};
use super::lexer::{Bad, Kind, Token};
use crate::codes::syntax as codes;
use crate::diagnostic::Diagnostic;

/// What to do about braces that do not match, so that the rest of the file is read as meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mends {
    /// Before this token, so many blocks end.
    pub(super) close_before: Vec<(usize, usize)>,
    /// These tokens are `}` that close nothing.
    pub(super) ignore: Vec<usize>,
}

/// Matches the braces; reports one finding for each that is missing or too many.
pub(super) fn check(tokens: &mut [Token], findings: &mut Findings) -> Mends {
    let mut plain = Walk::run(tokens, Trust::Braces);
    if !plain.unclosed.is_empty() && drop_doubled(tokens, findings) {
        plain = Walk::run(tokens, Trust::Braces);
    }
    if plain.faults == 0 {
        return Mends::default();
    }
    let indented = Walk::run(tokens, Trust::Indentation(plain.ignore_stray()));
    let by_indentation = indented.faults == plain.faults;
    let walk = if by_indentation { indented } else { plain };
    let hiding = |t: &&Token| hides_brace(t, findings.text());
    let hidden: Vec<&Token> = tokens.iter().filter(hiding).collect();
    if hidden.is_empty() {
        report(&walk, tokens, findings);
    } else {
        // What hides it is told. Where that is one line, the indentation shows what the rest of the file means.
        let in_its_line = |t: &&Token| !findings.text()[t.range()].contains(is_newline);
        let is_plain = hidden.iter().all(in_its_line)
            && walk.stray.iter().all(|at| begins_its_line(tokens, *at));
        findings.more |= !by_indentation || !is_plain;
    }
    Mends {
        close_before: walk.close_before,
        ignore: walk.stray,
    }
}

/// Where blocks are not closed, the second `{` of `{ {` is one too many.
fn drop_doubled(tokens: &mut [Token], findings: &mut Findings) -> bool {
    let mut after_open = false;
    let before = findings.len();
    for token in tokens {
        match token.kind {
            Kind::Space => {}
            Kind::Open if after_open => {
                let what = wording(
                    "this `{` is one too many",
                    "follows another one",
                    "delete it",
                );
                findings.add(&codes::LONELY_BLOCK, token, what);
                token.kind = Kind::Space;
            }
            kind => after_open = kind == Kind::Open,
        }
    }
    findings.len() > before
}

/// The first brace that opens a block deeper than allowed.
pub(super) fn check_depth(tokens: &[Token], findings: &mut Findings) {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let label = format!("block {depth} in a block");
            let message = format!("blocks are nested more than {MAX_DEPTH} deep");
            let finding = Diagnostic::new(&codes::TOO_DEEP, message, findings.span(token), label)
                .help("move the inner blocks further out");
            findings.push(finding);
            return;
        }
    }
}

/// Whether nothing stands before a token in its line. A `}` that closes nothing is in the middle of a node otherwise.
fn begins_its_line(tokens: &[Token], at: usize) -> bool {
    let mut before = tokens[..at].iter().rev();
    let last = before.find(|t| t.kind != Kind::Space);
    last.is_none_or(|t| t.kind == Kind::Newline)
}

/// An unclosed comment or text may have swallowed the brace that seems to be missing.
fn hides_brace(token: &Token, text: &str) -> bool {
    let open = matches!(
        token.kind,
        Kind::Bad(Bad::OpenComment | Bad::OpenText | Bad::OpenLines | Bad::HashComment)
    );
    open && text[token.range()].contains(['{', '}'])
}

#[derive(Clone, Copy)]
enum Trust {
    /// Only braces count.
    Braces,
    /// The indentation tells where a block ends; true: there are more `}` than `{`.
    Indentation(bool),
}

struct Frame {
    token: usize,
    indent: usize,
}

#[derive(Default)]
struct Walk {
    stack: Vec<Frame>,
    /// Opening braces without a closing one, and the token where that was seen.
    unclosed: Vec<(usize, Option<usize>)>,
    stray: Vec<usize>,
    close_before: Vec<(usize, usize)>,
    faults: usize,
}

impl Walk {
    fn run(tokens: &[Token], trust: Trust) -> Self {
        let mut walk = Self::default();
        let mut indent = 0;
        let mut first = true;
        for (at, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Newline => (indent, first) = (0, true),
                Kind::Space if first => indent = token.end() - token.start(),
                Kind::Space
                | Kind::Bom
                | Kind::LineComment
                | Kind::BlockComment(_)
                | Kind::ContinuedNewline => {}
                kind => {
                    if let (true, Trust::Indentation(surplus)) = (first, trust) {
                        walk.line(at, kind, indent, surplus);
                    } else {
                        walk.brace(at, kind, indent);
                    }
                    first = false;
                }
            }
        }
        let left = std::mem::take(&mut walk.stack);
        walk.unclosed
            .extend(left.into_iter().map(|f| (f.token, None)));
        walk.faults = walk.unclosed.len() + walk.stray.len();
        walk
    }

    fn ignore_stray(&self) -> bool {
        !self.stray.is_empty()
    }

    fn brace(&mut self, at: usize, kind: Kind, indent: usize) {
        match kind {
            Kind::Open => self.stack.push(Frame { token: at, indent }),
            Kind::Close if self.stack.pop().is_none() => self.stray.push(at),
            _ => {}
        }
    }

    /// The first token of a line: it cannot be inside a block that began further right.
    fn line(&mut self, at: usize, kind: Kind, indent: usize, surplus: bool) {
        if kind != Kind::Close {
            let inside = |f: &Frame| f.indent < indent;
            let keep = self.stack.iter().rposition(inside).map_or(0, |i| i + 1);
            if kind != Kind::Open && !surplus {
                self.cut(keep, at);
            }
            return self.brace(at, kind, indent);
        }
        match self.stack.iter().rposition(|f| f.indent == indent) {
            Some(own) => {
                self.cut(own + 1, at);
                self.stack.pop();
            }
            None if surplus && self.stack.last().is_some_and(|f| f.indent < indent) => {
                self.stray.push(at);
            }
            None => self.brace(at, kind, indent),
        }
    }

    fn cut(&mut self, keep: usize, at: usize) {
        let cut = self.stack.split_off(keep);
        if !cut.is_empty() {
            self.close_before.push((at, cut.len()));
        }
        self.unclosed
            .extend(cut.into_iter().map(|f| (f.token, Some(at))));
    }
}

fn report(walk: &Walk, tokens: &[Token], findings: &mut Findings) {
    for &at in walk.stray.iter().take(MAX_FINDINGS) {
        let finding = Diagnostic::new(
            &codes::STRAY_BRACE,
            "this `}` closes nothing",
            findings.span(&tokens[at]),
            "no block is open here",
        )
        .help("delete it, or find the `{` that is missing before it");
        findings.push(finding);
    }
    let (seen, unseen): (Vec<_>, Vec<_>) = walk
        .unclosed
        .iter()
        .copied()
        .partition(|(_, at)| at.is_some());
    for &(open, at) in seen.iter().take(MAX_FINDINGS) {
        let finding = unclosed(open, tokens, findings);
        let finding = match at {
            Some(at) => finding.label(findings.span(&tokens[at]), "a `}` is missing before this"),
            None => finding,
        };
        findings.push(finding);
    }
    if let Some((&(last, _), others)) = unseen.split_last() {
        let mut finding = unclosed(last, tokens, findings);
        for &(open, _) in others.iter().rev().take(3) {
            finding = finding.label(findings.span(&tokens[open]), "nor is this one");
        }
        findings.push(finding);
    }
}

fn unclosed(open: usize, tokens: &[Token], findings: &Findings) -> Diagnostic {
    let header = tokens[..open]
        .iter()
        .rev()
        .take_while(|t| {
            !matches!(
                t.kind,
                Kind::Newline | Kind::Open | Kind::Close | Kind::Semicolon
            )
        })
        .filter(|t| {
            !matches!(
                t.kind,
                Kind::Space | Kind::SlashDash | Kind::BlockComment(_)
            )
        })
        .last();
    let written = |t: &Token| findings.text()[t.start()..tokens[open].start()].trim_end();
    let message = match header.map(|t| show(written(t))) {
        Some(name) => format!("the block of `{name}` is never closed"),
        None => "a block is never closed".to_owned(),
    };
    let span = findings.span(&tokens[open]);
    Diagnostic::new(&codes::UNCLOSED_BLOCK, message, span, "opened here")
        .help("write the missing `}` where the block ends")
}
