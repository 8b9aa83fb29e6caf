//! From the scanned text to the tree. Knows the KDL library; nothing else does.
//!
//! The library sees one node at a time: its name and entries, without its block, without
//! comments and without what `/-` leaves out. All of these cost it stack, memory or exponential
//! time, and the outline knows them already.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kdl::{KdlDocument, KdlEntry, KdlError, KdlIdentifier, KdlNode, KdlValue};

use super::finding::{Findings, wording};
use super::lexer::{Kind, Token};
use super::outline::Item;
use super::prescan::{self, Scan};
use super::tree::{Block, Node, Prop, Value, ValueKind};
use crate::codes::syntax as codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Source, SourceId, Span, Spanned};

/// How long the library may take; a full-sized file takes it a fraction of a second.
const DEADLINE: Duration = Duration::from_secs(10);
/// Far more than the library needs without blocks and comments.
const STACK: usize = 16 * 1024 * 1024;

/// Reads a text. The nodes are those of the top level that have no mistake in them; findings are
/// sorted by place, and there are at most 100.
pub fn parse(source: &Source) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut findings = Findings::new(source);
    let Some(scan) = prescan::scan(&mut findings) else {
        return (Vec::new(), findings.into_sorted());
    };
    let job = Job {
        source: source.id,
        items: sound_nodes(&scan, &findings),
        text: without(&source.text, blanks(&scan)),
    };
    let nodes = match read_in_time(job) {
        Ok(read) => collect(read, &mut findings),
        Err(why) => {
            let end = source.text.chars().next().map_or(0, char::len_utf8);
            let token = token(0..end);
            let what = wording(why, "in this file", "make the file smaller or simpler");
            findings.add(&codes::TOO_SLOW, &token, what);
            Vec::new()
        }
    };
    (nodes, findings.into_sorted())
}

/// What the reading thread needs.
struct Job {
    source: SourceId,
    text: String,
    items: Vec<Item>,
}

/// The top-level nodes without an error inside, with the nodes in their blocks.
fn sound_nodes(scan: &Scan, findings: &Findings) -> Vec<Item> {
    if findings.is_full() || findings.more {
        return Vec::new();
    }
    let errors = findings.list().iter();
    let errors = errors.filter(|d| d.severity() == Severity::Error);
    let mut faults: Vec<_> = errors.map(|d| d.span().start as usize).collect();
    faults.sort_unstable();
    let mut sound = true;
    let nodes = scan.outline.nodes.iter().filter(|node| {
        if node.depth == 0 {
            let next = faults.partition_point(|&at| at < node.header.start);
            sound = faults.get(next).is_none_or(|&at| at >= node.end());
        }
        sound
    });
    nodes.cloned().collect()
}

/// The places that are no part of the tree, in order.
fn blanks(scan: &Scan) -> Vec<Range<usize>> {
    let comment = |t: &&Token| matches!(t.kind, Kind::LineComment | Kind::BlockComment(_));
    let comments = scan.tokens.iter().filter(comment);
    let mut blanks: Vec<_> = comments.map(|t| t.start..t.end).collect();
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

fn token(range: Range<usize>) -> Token {
    Token {
        kind: Kind::Word,
        start: range.start,
        end: range.end,
    }
}

type Read = Vec<Result<Node, Fault>>;

/// What the library did not take, and why.
struct Fault {
    range: Range<usize>,
    message: String,
}

fn read_in_time(job: Job) -> Result<Read, String> {
    if job.items.is_empty() {
        return Ok(Vec::new());
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let worker = thread::Builder::new()
        .name("kdl".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let _ = sender.send(read(&job));
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

/// Reads the nodes and puts each into the block where it belongs.
fn read(job: &Job) -> Read {
    let mut done = Vec::new();
    let mut open: Vec<(usize, Node)> = Vec::new();
    let mut sound = true;
    for item in &job.items {
        sound |= item.depth == 0;
        if !sound {
            continue;
        }
        close(&mut open, &mut done, item.depth);
        match read_one(job, item) {
            Ok(node) => open.push((item.depth, node)),
            Err(fault) => {
                // The whole top-level node is left out.
                open.clear();
                sound = false;
                done.push(Err(fault));
            }
        }
    }
    close(&mut open, &mut done, 0);
    done
}

/// Nodes at this depth or deeper are complete: the next one stands after them.
fn close(open: &mut Vec<(usize, Node)>, done: &mut Read, depth: usize) {
    while let Some((_, node)) = open.pop_if(|(of, _)| *of >= depth) {
        let block = open.last_mut().and_then(|(_, o)| o.children.as_mut());
        match block {
            Some(block) => block.nodes.push(node),
            None => done.push(Ok(node)),
        }
    }
}

fn read_one(job: &Job, item: &Item) -> Result<Node, Fault> {
    let text = &job.text[item.header.clone()];
    let reader = Reader {
        source: job.source,
        base: item.header.start,
    };
    match KdlDocument::parse_v2(text) {
        Ok(document) => match document.nodes() {
            [node] => Ok(reader.node(node, item)),
            _ => Err(Fault {
                range: item.header.clone(),
                message: String::new(),
            }),
        },
        Err(error) => Err(fault(&error, text, item.header.start)),
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

fn collect(read: Read, findings: &mut Findings) -> Vec<Node> {
    let mut nodes = Vec::with_capacity(read.len());
    for result in read {
        match result {
            Ok(node) => nodes.push(node),
            Err(fault) => report(&fault, findings),
        }
    }
    nodes
}

fn report(fault: &Fault, findings: &mut Findings) {
    let about = match fault.message.to_lowercase() {
        m if m.contains("string") => "this text is not written as KDL wants it",
        m if m.contains("integer") || m.contains("float") || m.contains("number") => {
            "this number is not written as KDL wants it"
        }
        m if m.contains("type") => "this type annotation is not written as KDL wants it",
        _ => "this is not KDL",
    };
    let help = "write a name, then values with spaces between; texts in double quotes";
    let what = wording(about, "not understood", help);
    findings.add(&codes::UNREADABLE, &token(fault.range.clone()), what);
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
            children: item.block.as_ref().map(|block| Block {
                nodes: Vec::new(),
                span: self.span(block.start, block.end),
            }),
            span: self.span(item.header.start, item.end()),
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
