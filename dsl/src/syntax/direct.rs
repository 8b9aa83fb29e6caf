//! A node read straight from its tokens, for what is written in a usual way; whatever else there is, the KDL library
//! reads. Reports nothing: the library stays the judge of everything that is not understood here.

use std::ops::Range;

use super::decode;
use super::lexer::{Kind, Token};
use super::outline::Item;
use super::tree::{Block, Node, Prop, Value};
use crate::source::{SourceId, Span, Spanned};

/// Reads the nodes of one text, in the order in which they stand there.
#[derive(Clone)]
pub(super) struct Direct<'a> {
    source: SourceId,
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    /// Where the header ends that is being read.
    end: usize,
}

impl<'a> Direct<'a> {
    pub(super) fn new(source: SourceId, text: &'a str, tokens: &'a [Token]) -> Self {
        Self {
            source,
            text,
            tokens,
            at: 0,
            end: 0,
        }
    }

    /// The next node, without the nodes in its block; none where the library has to read it.
    pub(super) fn node(&mut self, item: &Item) -> Option<Node> {
        let header = item.header();
        self.end = header.end;
        while self.tokens.get(self.at)?.start() < header.start {
            self.at += 1;
        }
        let name = self.take()?;
        let name = self.name(name)?;
        let (mut args, mut props) = (Vec::new(), Vec::new());
        while self.space() {
            let token = self.take()?;
            if self.kind() == Some(Kind::Equals) {
                self.at += 1;
                let name = self.name(token)?;
                let first = self.take()?;
                let value = self.value(first)?;
                props.push(Prop { name, value });
            } else {
                // Most nodes have one.
                if args.is_empty() {
                    args.reserve_exact(1);
                }
                args.push(self.value(token)?);
            }
        }
        let whole = self.kind().is_none();
        whole.then(|| Node {
            name,
            args,
            props,
            children: item.block().map(|block| Block {
                nodes: Vec::new(),
                lost: Vec::new(),
                span: self.span(block),
            }),
            span: self.span(header.start..item.end()),
        })
    }

    /// The kind of the next token of the header.
    fn kind(&self) -> Option<Kind> {
        let next = self.tokens.get(self.at);
        next.filter(|t| t.start() < self.end).map(|t| t.kind)
    }

    fn take(&mut self) -> Option<Token> {
        self.kind()?;
        let token = self.tokens[self.at];
        self.at += 1;
        Some(token)
    }

    /// Skips the space before an entry; false where there is none.
    fn space(&mut self) -> bool {
        let from = self.at;
        while self.kind().is_some_and(Kind::is_line_space) {
            self.at += 1;
        }
        self.at > from
    }

    fn name(&self, token: Token) -> Option<Spanned<String>> {
        let value = decode::string(token.kind, &self.text[token.range()])?;
        Some(Spanned::new(value, self.span(token.range())))
    }

    /// A value that begins with this token, which may be that of an annotation.
    fn value(&mut self, first: Token) -> Option<Value> {
        let (ty, token) = match first.kind {
            Kind::OpenParen => {
                let name = self.take()?;
                let name = self.name(name)?;
                self.take().filter(|t| t.kind == Kind::CloseParen)?;
                (Some(name), self.take()?)
            }
            _ => (None, first),
        };
        Some(Value {
            ty,
            kind: decode::value(token.kind, &self.text[token.range()])?,
            span: self.span(token.range()),
        })
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.source, range.start, range.end)
    }
}
