//! The nodes and blocks among the tokens: where each begins and ends, what is left out by `/-`,
//! and a finding for everything that KDL would refuse or take otherwise than it was meant.
//! Decodes no value.

use std::ops::Range;

use super::finding::{Findings, MAX_DEPTH, MAX_DISABLED_DEPTH, MAX_ENTRIES, MAX_NODES, wording};
use super::lexer::{Bad, Kind, Token, offset};
use super::words::{self, Role};
use crate::codes::syntax as codes;
use crate::diagnostic::{Code, Diagnostic};

/// Where the parts of a text are.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// The nodes that count, each before those in its block.
    pub(super) nodes: Vec<Item>,
    /// What `/-` leaves out.
    pub(super) disabled: Vec<Range<usize>>,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    depth: u32,
    header: Range<u32>,
    block: Option<Range<u32>>,
}

impl Item {
    /// Offset after the last byte of the node.
    pub(super) fn end(&self) -> usize {
        self.block().map_or(self.header().end, |b| b.end)
    }

    /// In how many blocks it stands.
    pub(super) fn depth(&self) -> usize {
        self.depth as usize
    }

    /// Its name and its entries.
    pub(super) fn header(&self) -> Range<usize> {
        self.header.start as usize..self.header.end as usize
    }

    /// Its block with both braces.
    pub(super) fn block(&self) -> Option<Range<usize>> {
        let block = self.block.as_ref()?;
        Some(block.start as usize..block.end as usize)
    }
}

/// Reads the structure and reports what is wrong with it. A block ends before each token in
/// `closes`, as often as is said there, although its `}` is missing.
pub(super) fn read(
    tokens: &[Token],
    closes: Vec<(usize, usize)>,
    findings: &mut Findings,
) -> Outline {
    let mut reader = Reader {
        tokens,
        at: 0,
        closes,
        next_close: 0,
        count: 0,
        outline: Outline::default(),
        findings,
    };
    reader.nodes(Place {
        depth: 0,
        disabled: 0,
        findings: 0,
    });
    reader.outline
}

#[derive(Clone, Copy)]
pub(super) struct Place {
    depth: usize,
    disabled: usize,
    /// How many findings there were when the block began.
    pub(super) findings: usize,
}

pub(super) struct Reader<'r, 'a> {
    pub(super) tokens: &'r [Token],
    pub(super) at: usize,
    closes: Vec<(usize, usize)>,
    next_close: usize,
    count: usize,
    outline: Outline,
    pub(super) findings: &'r mut Findings<'a>,
}

impl Reader<'_, '_> {
    pub(super) fn kind(&self) -> Option<Kind> {
        self.tokens.get(self.at).map(|t| t.kind)
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn report(&mut self, code: Code, what: words::Wording) {
        if let Some(token) = self.tokens.get(self.at) {
            self.findings.add(code, token, what);
        }
    }

    /// Offset after the last token that was read and is not white space.
    fn end(&self) -> usize {
        let blank = |t: &&Token| !t.kind.is_line_space();
        let read = self.tokens[..self.at].iter();
        read.rev().find(blank).map_or(0, Token::end)
    }

    pub(super) fn skip(&mut self, blank: impl Fn(Kind) -> bool) {
        while self.kind().is_some_and(&blank) {
            self.at += 1;
        }
    }

    /// Reads no further; whatever is there is not known.
    fn stop(&mut self) {
        self.at = self.tokens.len();
        self.findings.more = true;
    }

    fn skip_lines(&mut self) {
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Bad(Bad::OpenComment | Bad::HashComment) => self.bad_comment(),
                _ if kind.is_line_space() => self.at += 1,
                _ => return,
            }
        }
    }

    /// Skips white space inside a node; false where there is none.
    pub(super) fn skip_spaces(&mut self) -> bool {
        let from = self.at;
        while let Some(kind) = self.kind() {
            match kind {
                Kind::Space | Kind::BlockComment(_) | Kind::ContinuedNewline | Kind::Bom => {
                    self.at += 1;
                }
                Kind::Continuation => self.skip(|k| k != Kind::ContinuedNewline),
                Kind::Bad(Bad::OpenComment | Bad::HashComment) => self.bad_comment(),
                _ => break,
            }
        }
        self.at > from
    }

    fn bad_comment(&mut self) {
        if let Some(token) = self.tokens.get(self.at) {
            words::check(token, Role::Value, self.findings);
        }
        self.at += 1;
    }

    /// A block ends here although its `}` is missing.
    fn ends_here(&self) -> bool {
        self.closes
            .get(self.next_close)
            .is_some_and(|&(at, left)| at <= self.at && left > 0)
    }

    fn end_here(&mut self) {
        if let Some(close) = self.closes.get_mut(self.next_close) {
            close.1 -= 1;
            if close.1 == 0 {
                self.next_close += 1;
            }
        }
    }

    /// Reads the nodes of a block and its `}`; false if that is missing.
    fn nodes(&mut self, place: Place) -> bool {
        loop {
            self.skip_lines();
            if self.ends_here() {
                self.end_here();
                if place.depth > 0 {
                    return false;
                }
            }
            if self.findings.is_full() {
                self.stop();
            }
            match self.kind() {
                None => return false,
                Some(Kind::Close) if place.depth > 0 => {
                    self.at += 1;
                    return true;
                }
                Some(Kind::Open) => self.lonely_block(place),
                Some(Kind::Semicolon) => {
                    self.report(&codes::UNEXPECTED, words::unexpected(";"));
                    self.skip(|k| matches!(k, Kind::Semicolon | Kind::Space));
                }
                Some(Kind::Close) => self.at += 1,
                Some(Kind::SlashDash) => self.disabled_node(place),
                Some(_) => self.node(place),
            }
        }
    }

    fn lonely_block(&mut self, place: Place) {
        let what = wording(
            "this block belongs to no node",
            "a line cannot begin with `{`",
            "write the `{` at the end of the line before it",
        );
        self.report(&codes::LONELY_BLOCK, what);
        self.block(
            None,
            Place {
                disabled: place.disabled.max(1),
                ..place
            },
        );
        self.skip_spaces();
        if place.depth == 0 {
            // Without its block the node before is not what was meant.
            let nodes = &mut self.outline.nodes;
            let last = nodes.iter().rposition(|n| n.depth == 0);
            nodes.truncate(last.unwrap_or(0));
        }
    }

    fn disabled_node(&mut self, place: Place) {
        let Some(inner) = self.begin_disabled(place) else {
            return;
        };
        let start = self.tokens[self.at].start();
        self.at += 1;
        self.skip_lines();
        if self.kind() == Some(Kind::Open) {
            return self.lonely_block(inner);
        }
        if self.nothing_to_disable(start) {
            return;
        }
        self.node(inner);
        let end = self.end();
        self.outline.disabled.push(start..end);
    }

    fn begin_disabled(&mut self, place: Place) -> Option<Place> {
        let disabled = place.disabled + 1;
        if disabled <= MAX_DISABLED_DEPTH {
            return Some(Place { disabled, ..place });
        }
        let message = format!("`/-` is nested more than {MAX_DISABLED_DEPTH} deep");
        let what = wording(message, "already left out", "delete the inner `/-`");
        if !self.findings.has_since(0, &codes::TOO_DEEP) {
            self.report(&codes::TOO_DEEP, what);
        }
        self.stop();
        None
    }

    fn nothing_to_disable(&mut self, start: usize) -> bool {
        let nothing = self.ends_here()
            || matches!(
                self.kind(),
                None | Some(Kind::Close | Kind::Semicolon | Kind::SlashDash)
            );
        if nothing {
            let span = self.findings.range(start, start + 2);
            let finding = Diagnostic::new(
                &codes::LONELY_SLASH_DASH,
                "nothing stands after this `/-`",
                span,
                "leaves out what follows it",
            )
            .help("delete it, or use `//` for a comment");
            self.findings.push(finding);
        }
        nothing
    }

    fn node(&mut self, place: Place) {
        self.count += 1;
        if self.count > MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} nodes");
            let what = wording(message, "one too many", "split the file with `include`");
            self.report(&codes::TOO_LARGE, what);
            self.stop();
            return;
        }
        let start = self.token().map_or(0, Token::start);
        let item = (place.disabled == 0).then_some(self.outline.nodes.len());
        if item.is_some() {
            self.outline.nodes.push(Item {
                depth: offset(place.depth),
                header: offset(start)..offset(start),
                block: None,
            });
        }
        let mut header = Header {
            place,
            item,
            findings: self.findings.len(),
            usable: true,
        };
        self.name(&mut header);
        self.entries(&mut header);
    }

    /// The name and the entries have been read.
    fn end_header(&mut self, header: &Header) {
        let end = self.end();
        if let Some(item) = header.item.and_then(|at| self.outline.nodes.get_mut(at)) {
            item.header.end = offset(end).max(item.header.start);
        }
    }

    fn entries(&mut self, header: &mut Header) {
        for count in 0.. {
            let spaced = self.skip_spaces();
            if self.ends_here() {
                return self.end_header(header);
            }
            match self.kind() {
                None | Some(Kind::Newline | Kind::LineComment | Kind::Close) => {
                    return self.end_header(header);
                }
                Some(Kind::Semicolon) => {
                    self.end_header(header);
                    self.at += 1;
                    return;
                }
                Some(Kind::Open) => {
                    self.end_header(header);
                    if self.block(header.item, header.place) {
                        self.after_block(header);
                    }
                    return;
                }
                Some(Kind::SlashDash) => self.disabled_entry(header),
                Some(_) if count >= MAX_ENTRIES => {
                    let message = format!("a node has more than {MAX_ENTRIES} values");
                    let what = wording(message, "one too many", "move the data into a file");
                    self.report(&codes::TOO_LARGE, what);
                    self.stop();
                }
                Some(_) => {
                    if spaced || !header.usable || !self.glued(header) {
                        self.entry(header);
                    }
                }
            }
        }
    }

    /// Reads a block; false if its `}` is missing.
    fn block(&mut self, owner: Option<usize>, place: Place) -> bool {
        let open = self.tokens[self.at].start();
        let depth = place.depth + 1;
        self.at += 1;
        if depth > MAX_DEPTH {
            self.skip_block();
            return true;
        }
        let closed = self.nodes(Place {
            depth,
            findings: self.findings.len(),
            ..place
        });
        let end = self.end();
        if let Some(item) = owner.and_then(|at| self.outline.nodes.get_mut(at)) {
            item.block = Some(offset(open)..offset(end));
        }
        closed
    }

    fn skip_block(&mut self) {
        let mut open = 1_usize;
        while let (Some(kind), true) = (self.kind(), open > 0) {
            match kind {
                Kind::Open => open += 1,
                Kind::Close => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn after_block(&mut self, header: &mut Header) {
        loop {
            self.skip_spaces();
            if self.ends_here() {
                return;
            }
            match self.kind() {
                None | Some(Kind::Newline | Kind::LineComment | Kind::Close) => return,
                Some(Kind::Semicolon) => {
                    self.at += 1;
                    return;
                }
                Some(Kind::SlashDash) if self.disables_block() => self.disabled_entry(header),
                Some(_) => break,
            }
        }
        let Some(&token) = self.token() else { return };
        if matches!(token.kind, Kind::Bad(_)) {
            // That it is there has its own finding.
            header.usable = false;
            return;
        }
        let shown = self.findings.show(&token);
        let what = wording(
            format!("`{shown}` follows a `}}` in the same line"),
            "belongs to no node",
            "begin a new line, or write `;` after the `}`",
        );
        self.once(header, &codes::AFTER_BLOCK, &token, what);
        if token.kind == Kind::Open {
            self.block(
                None,
                Place {
                    disabled: 1,
                    ..header.place
                },
            );
        }
    }

    fn disables_block(&self) -> bool {
        let mut after = self.tokens[self.at + 1..].iter();
        after
            .find(|t| !t.kind.is_line_space())
            .is_some_and(|t| t.kind == Kind::Open)
    }

    fn disabled_entry(&mut self, header: &mut Header) {
        let Some(inner) = self.begin_disabled(header.place) else {
            return;
        };
        let start = self.tokens[self.at].start();
        self.at += 1;
        self.skip_lines();
        if self.nothing_to_disable(start) {
            return;
        }
        if self.kind() == Some(Kind::Open) {
            self.block(None, inner);
        } else {
            self.entry(header);
        }
        let end = self.end();
        self.outline.disabled.push(start..end);
    }
}

/// A node whose line is being read.
pub(super) struct Header {
    pub(super) place: Place,
    /// Its index in the outline; none if it is left out.
    item: Option<usize>,
    /// How many findings there were before it.
    pub(super) findings: usize,
    /// Whether what was read last was good; if not, what follows it directly is no news.
    pub(super) usable: bool,
}
