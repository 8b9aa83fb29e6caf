//! Nodes as the KDL library reads them. The only file that knows it.
//!
//! The library sees one node at a time: its name and entries, without its block, without
//! comments and without what `/-` leaves out. All of these cost it stack, memory or exponential
//! time, and the outline knows them already.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kdl::{KdlDocument, KdlEntry, KdlError, KdlIdentifier, KdlNode, KdlValue};

use super::lexer::{Kind, Token};
use super::outline::Item;
use super::prescan::Scan;
use super::tree::{Block, Node, Prop, Value, ValueKind};
use crate::source::{Source, SourceId, Span, Spanned};

/// How long the library may take; a full-sized file takes it a fraction of a second.
const DEADLINE: Duration = Duration::from_secs(10);
/// Far more than the library needs without blocks and comments.
const STACK: usize = 16 * 1024 * 1024;

/// What the library did not take, and why.
#[derive(Default)]
pub(super) struct Fault {
    pub(super) range: Range<usize>,
    pub(super) message: String,
}

/// Reads these nodes, each without the nodes in its block.
///
/// # Errors
/// When that takes too long, as a sentence part.
pub(super) fn read(
    source: &Source,
    scan: &Scan,
    items: Vec<Item>,
) -> Result<Vec<Result<Node, Fault>>, String> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let job = Job {
        source: source.id,
        text: without(&source.text, blanks(scan)),
        items,
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let worker = thread::Builder::new()
        .name("kdl".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let read = job.items.iter().map(|item| read_one(&job, item));
            let _ = sender.send(read.collect());
        });
    worker.map_err(|error| format!("no thread to read the file: {error}"))?;
    receiver
        .recv_timeout(DEADLINE)
        .map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => {
                format!("reading the file took longer than {} s", DEADLINE.as_secs())
            }
            mpsc::RecvTimeoutError::Disconnected => "reading the file failed".to_owned(),
        })
}

/// What the reading thread needs.
struct Job {
    source: SourceId,
    text: String,
    items: Vec<Item>,
}

/// The places that are no part of the tree, in order.
fn blanks(scan: &Scan) -> Vec<Range<usize>> {
    let comment = |t: &&Token| matches!(t.kind, Kind::LineComment | Kind::BlockComment(_));
    let comments = scan.tokens.iter().filter(comment);
    let mut blanks: Vec<_> = comments.map(Token::range).collect();
    blanks.extend(scan.outline.disabled.iter().cloned());
    blanks.sort_by_key(|b| b.start);
    blanks
}

/// The text with spaces in these places; every offset stays.
fn without(text: &str, blanks: Vec<Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    for blank in blanks {
        if blank.start >= out.len() {
            out.push_str(&text[out.len()..blank.start]);
        }
        let missing = blank.end.saturating_sub(out.len());
        out.extend(std::iter::repeat_n(' ', missing));
    }
    out.push_str(&text[out.len()..]);
    out
}

fn read_one(job: &Job, item: &Item) -> Result<Node, Fault> {
    let text = &job.text[item.header()];
    let reader = Reader {
        source: job.source,
        base: item.header().start,
    };
    match KdlDocument::parse_v2(text) {
        Ok(document) => match document.nodes() {
            [node] => Ok(reader.node(node, item)),
            _ => Err(Fault {
                range: item.header(),
                message: String::new(),
            }),
        },
        Err(error) => Err(fault(&error, text, item.header().start)),
    }
}

/// The library's finding with the smallest place: the others are its guesses about the rest.
fn fault(error: &KdlError, text: &str, base: usize) -> Fault {
    let smallest = error.diagnostics.iter().min_by_key(|d| d.span.len());
    let (start, end) = smallest.map_or((0, text.len()), |d| {
        (d.span.offset(), d.span.offset() + d.span.len())
    });
    let start = text.floor_char_boundary(start);
    let end = text.ceil_char_boundary(end).max(start);
    let message = smallest.and_then(|d| d.message.clone());
    Fault {
        range: base + start..base + end,
        message: message.unwrap_or_default(),
    }
}

/// Turns the library's nodes into ours; its offsets count bytes from `base`.
struct Reader {
    source: SourceId,
    base: usize,
}

impl Reader {
    fn node(&self, node: &KdlNode, item: &Item) -> Node {
        let (mut args, mut props) = (Vec::new(), Vec::new());
        for entry in node.entries() {
            let value = self.value(entry);
            match entry.name() {
                Some(name) => props.push(Prop {
                    name: self.name(name),
                    value,
                }),
                None => args.push(value),
            }
        }
        Node {
            name: self.name(node.name()),
            args,
            props,
            children: item.block().map(|block| Block {
                nodes: Vec::new(),
                lost: Vec::new(),
                span: self.span(block.start, block.end),
            }),
            span: self.span(item.header().start, item.end()),
        }
    }

    fn name(&self, name: &KdlIdentifier) -> Spanned<String> {
        let start = self.base + name.span().offset();
        let span = self.span(start, start + name.span().len());
        Spanned::new(name.value().to_owned(), span)
    }

    fn value(&self, entry: &KdlEntry) -> Value {
        let end = self.base + entry.span().offset() + entry.span().len();
        let written = entry
            .format()
            .map_or(entry.span().len(), |f| f.value_repr.len());
        Value {
            ty: entry.ty().map(|ty| self.name(ty)),
            kind: match entry.value() {
                KdlValue::String(text) => ValueKind::String(text.clone()),
                KdlValue::Integer(number) => ValueKind::Int(*number),
                KdlValue::Float(number) => ValueKind::Float(*number),
                KdlValue::Bool(truth) => ValueKind::Bool(*truth),
                KdlValue::Null => ValueKind::Null,
            },
            span: self.span(end.saturating_sub(written), end),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end)
    }
}
