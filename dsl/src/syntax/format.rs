//! The one layout of a text: indentation, spaces, blank lines. Changes no word of it: comments,
//! texts and numbers stay byte for byte, and the tree stays the same.

use super::chars::is_space;
use super::lexer::{self, Kind, Token};
use super::parse::parse;
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Source;

const INDENT: &str = "    ";

/// The text in its one layout, or the errors in it.
pub fn format(source: &Source) -> Result<String, Vec<Diagnostic>> {
    let (_, mut findings) = parse(source);
    findings.retain(|f| f.severity() == Severity::Error);
    if !findings.is_empty() {
        return Err(findings);
    }
    let tokens = lexer::tokens(&source.text);
    let pieces = drop_needless(pieces(&source.text, &tokens));
    let mut page = Page {
        out: String::with_capacity(source.text.len()),
        blocks: Vec::new(),
        disabling: false,
        continued: false,
    };
    if tokens.first().is_some_and(|t| t.kind == Kind::Bom) {
        page.out.push('\u{feff}');
    }
    let spread = spread_blocks(&pieces);
    let mut before = None;
    for (piece, spread) in pieces.iter().zip(spread) {
        page.put(before, piece, spread);
        before = Some(piece);
    }
    if !pieces.is_empty() {
        page.out.push('\n');
    }
    Ok(page.out)
}

/// A token that is printed.
#[derive(Clone, Copy)]
struct Piece<'a> {
    kind: Kind,
    text: &'a str,
    /// The line breaks before it.
    lines: usize,
    /// The white space directly before it.
    space: &'a str,
    /// Stands where a node may begin.
    fresh: bool,
}

/// The tokens that are printed, and what stood between them.
fn pieces<'a>(text: &'a str, tokens: &[Token]) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(tokens.len() / 2);
    let (mut lines, mut space, mut fresh, mut continued) = (0, "", true, false);
    for token in tokens {
        let written = &text[token.range()];
        match token.kind {
            Kind::Bom => {}
            Kind::Space => space = written,
            Kind::Newline | Kind::ContinuedNewline => {
                fresh |= !continued;
                continued = false;
                (lines, space) = (lines + 1, "");
            }
            kind => {
                pieces.push(Piece {
                    kind,
                    text: match kind {
                        Kind::LineComment => written.trim_end_matches(is_space),
                        _ => written,
                    },
                    lines,
                    space,
                    fresh,
                });
                fresh = match kind {
                    Kind::LineComment | Kind::BlockComment(_) | Kind::Continuation => fresh,
                    Kind::Open | Kind::Semicolon | Kind::SlashDash => true,
                    _ => false,
                };
                continued |= kind == Kind::Continuation;
                (lines, space) = (0, "");
            }
        }
    }
    pieces
}

/// Leaves out each `;` at the end of a line and each `\` that continues nothing.
fn drop_needless(mut pieces: Vec<Piece>) -> Vec<Piece> {
    // From the end: whether one is needless depends on what is left behind it.
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    while let Some(piece) = pieces.pop() {
        match piece.kind {
            Kind::Semicolon if ends_line(kept.last()) => {
                if let Some(next) = kept.last_mut() {
                    next.lines += piece.lines;
                }
            }
            Kind::Continuation if piece.fresh || continues_nothing(&mut kept) => {
                if let Some(next) = kept.last_mut() {
                    next.lines = next.lines.max(piece.lines);
                }
            }
            _ => kept.push(piece),
        }
    }
    kept.reverse();
    kept
}

fn ends_line(next: Option<&Piece>) -> bool {
    next.is_none_or(|n| n.lines > 0 || matches!(n.kind, Kind::Close | Kind::LineComment))
}

/// Whether a `\` before these (the next one last) can go; if so, its line break goes as well
/// where one would end the node.
fn continues_nothing(kept: &mut [Piece]) -> bool {
    let count = kept.len();
    let comment = kept
        .last()
        .is_some_and(|n| n.kind == Kind::LineComment && n.lines == 0);
    let Some(after) = count.checked_sub(1 + usize::from(comment)) else {
        return true;
    };
    let Some(after) = kept.get_mut(after) else {
        return true;
    };
    match after.kind {
        _ if after.lines > 1 => true,
        Kind::Close => true,
        Kind::Semicolon | Kind::Continuation if !comment => {
            after.lines = 0;
            true
        }
        _ => false,
    }
}

/// For each `{`, whether its block has more than one line.
fn spread_blocks(pieces: &[Piece]) -> Vec<bool> {
    let mut spread = vec![false; pieces.len()];
    let mut open: Vec<usize> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        if piece.lines > 0 {
            for &block in &open {
                spread[block] = true;
            }
        }
        match piece.kind {
            Kind::Open => open.push(at),
            Kind::Close => drop(open.pop()),
            _ => {}
        }
    }
    spread
}

fn is_comment(kind: Kind) -> bool {
    matches!(kind, Kind::LineComment | Kind::BlockComment(_))
}

struct Page {
    out: String,
    /// For each open block, whether it has more than one line.
    blocks: Vec<bool>,
    /// A `/-` waits for what it leaves out.
    disabling: bool,
    /// The line ended with a `\`, and perhaps a comment.
    continued: bool,
}

enum Gap<'a> {
    None,
    Space,
    Written(&'a str),
    Line { blank: bool, deeper: bool },
}

impl Page {
    fn put(&mut self, before: Option<&Piece>, piece: &Piece, spread: bool) {
        let closed = match piece.kind {
            Kind::Close => self.blocks.pop(),
            _ => None,
        };
        let gap = match before {
            Some(before) => self.gap(before, piece, closed),
            None => Gap::None,
        };
        self.separate(&gap);
        self.out.push_str(piece.text);
        self.disabling = piece.kind == Kind::SlashDash || self.disabling && is_comment(piece.kind);
        self.continued = piece.kind == Kind::Continuation
            || self.continued && piece.kind == Kind::LineComment && piece.lines == 0;
        if piece.kind == Kind::Open {
            self.blocks.push(spread);
        }
    }

    fn gap<'a>(&self, before: &Piece, piece: &Piece<'a>, closed: Option<bool>) -> Gap<'a> {
        let line = |blank, deeper| Gap::Line { blank, deeper };
        let trailing = piece.kind == Kind::LineComment && piece.lines == 0;
        match (before.kind, piece.kind) {
            (_, Kind::Close) if closed == Some(true) => line(false, false),
            (Kind::Open, Kind::Close) => Gap::None,
            _ if trailing && !piece.space.is_empty() => Gap::Written(piece.space),
            _ if trailing => Gap::Space,
            (Kind::Open, _) if self.blocks.last() == Some(&true) => line(false, false),
            (Kind::LineComment, _) => {
                let deeper = self.continued || self.disabling;
                line(piece.lines > 1 && !deeper, deeper)
            }
            (Kind::Continuation, _) => line(false, true),
            (Kind::SlashDash, kind) if !is_comment(kind) => Gap::None,
            _ if self.disabling => Gap::Space,
            _ if piece.lines > 0 => line(piece.lines > 1, false),
            (_, Kind::Continuation) => Gap::Space,
            (Kind::OpenParen | Kind::Equals | Kind::CloseParen, _)
            | (_, Kind::CloseParen | Kind::Equals | Kind::Semicolon) => Gap::None,
            _ => Gap::Space,
        }
    }

    fn separate(&mut self, gap: &Gap) {
        match *gap {
            Gap::None => {}
            Gap::Space => self.out.push(' '),
            Gap::Written(space) => self.out.push_str(space),
            Gap::Line { blank, deeper } => {
                self.out.push_str(if blank { "\n\n" } else { "\n" });
                let depth = self.blocks.len() + usize::from(deeper);
                self.out.push_str(&INDENT.repeat(depth));
            }
        }
    }
}
