//! From the scanned text to the tree: every node is read on its own, and put into the block where it belongs.

use std::ops::Range;

use super::chars::is_newline;
use super::direct::Direct;
use super::finding::{Findings, wording};
use super::lexer::{Kind, Token};
use super::library::{self, Fault};
use super::outline::Item;
use super::prescan::{self, Scan};
use super::tree::Node;
use crate::codes::syntax as codes;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::source::{Source, Span};

/// Reads a text. The nodes are those that have no mistake in them; what a mistake in one line costs is that line, with
/// the block behind it. Findings are sorted by place, and there are at most 100.
pub fn parse(source: &Source) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut findings = Findings::new(source);
    let Some(scan) = prescan::scan(&mut findings) else {
        return (Vec::new(), findings.into_sorted());
    };
    let sound = Sound::of(&scan, &findings);
    let nodes = match read(source, &scan, &sound.nodes, &mut findings) {
        Ok(mut nodes) => {
            for lost in sound.lost {
                leave(&mut nodes, Span::new(source.id, lost.start, lost.end));
            }
            nodes
        }
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

/// What can be read of a text with mistakes.
#[derive(Default)]
pub(super) struct Sound<'s> {
    /// The nodes without a mistake, each before those in its block.
    pub(super) nodes: Vec<&'s Item>,
    /// The nodes in the blocks of those that cannot be read.
    lost: Vec<Range<usize>>,
}

impl<'s> Sound<'s> {
    pub(super) fn of(scan: &'s Scan, findings: &Findings) -> Self {
        if findings.is_full() || findings.more {
            return Self::default();
        }
        let items = &scan.outline.nodes;
        let errors = findings.list().iter();
        let mut broken: Vec<usize> = errors
            .filter(|d| d.severity() == Severity::Error)
            .filter_map(|d| broken_by(items, d.code, d.span(), findings.text()))
            .collect();
        broken.sort_unstable();
        let mut sound = Self::default();
        let mut skipped = None;
        for (at, item) in items.iter().enumerate() {
            if skipped.is_some_and(|depth| item.depth() > depth) {
                continue;
            }
            let is_broken = broken.binary_search(&at).is_ok();
            skipped = is_broken.then(|| item.depth());
            match is_broken {
                false => sound.nodes.push(item),
                true if item.depth() > 0 => sound.lost.push(item.header().start..item.end()),
                true => {}
            }
        }
        sound
    }
}

/// Which node a mistake costs: the one in whose line it is, where it can be no further; else the whole of the top level
/// in which it is.
fn broken_by(items: &[Item], code: Code, span: Span, text: &str) -> Option<usize> {
    let at = span.start as usize;
    let before = &items[..items.partition_point(|i| i.header().start <= at)];
    let top = before.iter().rposition(|i| i.depth() == 0)?;
    let nearest = before.len() - 1;
    if at >= items[top].end() {
        return None;
    }
    let in_its_line = at < items[nearest].header().end;
    let stays = stays_in_its_line(code, &text[at..span.end as usize]);
    match in_its_line {
        true if stays => Some(nearest),
        // In a comment, or one itself.
        false if stays && [&codes::HASH_COMMENT, &codes::FORBIDDEN_CHARACTER].contains(&code) => {
            None
        }
        _ => Some(top),
    }
}

/// Whether a mistake, which is in this text, leaves it plain where the line ends, and which lines belong to which block.
fn stays_in_its_line(code: Code, text: &str) -> bool {
    if code == &codes::UNCLOSED_TEXT || code == &codes::FORBIDDEN_CHARACTER {
        return !text.contains(is_newline);
    }
    [
        &codes::BAD_ESCAPE,
        &codes::LINES_INDENT,
        &codes::HASH_COMMENT,
        &codes::WRONG_QUOTES,
        &codes::OLD_RAW_TEXT,
        &codes::BARE_KEYWORD,
        &codes::UNKNOWN_KEYWORD,
        &codes::BAD_NUMBER,
        &codes::NUMBER_TOO_LARGE,
        &codes::UNQUOTED_PATH,
        &codes::UNQUOTED_DOLLAR,
        &codes::EQUALS,
        &codes::COMMA,
        &codes::MISSING_SPACE,
        &codes::ANNOTATION,
        &codes::UNEXPECTED,
        &codes::VALUE_AS_NAME,
    ]
    .contains(&code)
}

/// Notes in the block where it stands that a node could not be read.
fn leave(nodes: &mut [Node], lost: Span) {
    let around = nodes.iter_mut().find(|n| n.span.contains(lost));
    if let Some(block) = around.and_then(|n| n.children.as_mut()) {
        match block.nodes.iter().any(|n| n.span.contains(lost)) {
            true => leave(&mut block.nodes, lost),
            false => block.lost.push(lost),
        }
    }
}

/// Reads these nodes: directly where it is plain how, with the library where it is not.
fn read(
    source: &Source,
    scan: &Scan,
    items: &[&Item],
    findings: &mut Findings,
) -> Result<Vec<Node>, String> {
    let mut direct = Direct::new(source.id, &source.text, &scan.tokens);
    let mut nodes: Vec<Option<Node>> = Vec::new();
    let mut left: Vec<Partly<'_>> = Vec::new();
    for group in items.chunk_by(|_, next| next.depth() > 0) {
        let begin = direct.clone();
        let whole = assemble(group, |item| direct.node(item).ok_or(()));
        if whole.is_err() {
            direct = begin;
            let read = group.iter().map(|item| direct.node(item)).collect();
            left.push(Partly { group, read });
        }
        nodes.push(whole.ok());
    }
    if !left.is_empty() {
        let mut others = read_rest(source, scan, left, findings)?.into_iter();
        for node in nodes.iter_mut().filter(|node| node.is_none()) {
            *node = others.next().flatten();
        }
    }
    Ok(nodes.into_iter().flatten().collect())
}

/// A top-level node with everything in it, read as far as it can be read directly.
struct Partly<'a> {
    group: &'a [&'a Item],
    read: Vec<Option<Node>>,
}

/// Reads with the library what is not read yet; gives the top-level nodes, none for those that it refuses.
fn read_rest(
    source: &Source,
    scan: &Scan,
    left: Vec<Partly<'_>>,
    findings: &mut Findings,
) -> Result<Vec<Option<Node>>, String> {
    let items = left
        .iter()
        .flat_map(|part| part.group.iter().zip(&part.read));
    let items = items.filter(|(_, node)| node.is_none());
    let items = items.map(|(item, _)| (*item).clone()).collect();
    let mut others = library::read(source, scan, items)?.into_iter();
    let mut nodes = Vec::with_capacity(left.len());
    for Partly { group, read } in left {
        let all = |node: Option<Node>| node.map_or_else(|| others.next(), |node| Some(Ok(node)));
        let read: Vec<_> = read.into_iter().filter_map(all).collect();
        let mut read = read.into_iter();
        let node = assemble(group, |_| {
            read.next().unwrap_or_else(|| Err(Fault::default()))
        });
        nodes.push(node.map_err(|fault| report(&fault, findings)).ok());
    }
    Ok(nodes)
}

/// The first node of a group with the others in the blocks where they belong.
fn assemble<E>(group: &[&Item], mut read: impl FnMut(&Item) -> Result<Node, E>) -> Result<Node, E> {
    let mut open: Vec<(usize, Node)> = Vec::new();
    for item in group {
        close(&mut open, item.depth());
        open.push((item.depth(), read(item)?));
    }
    close(&mut open, 0);
    let (_, first) = open.pop().expect("a group has a first node");
    Ok(first)
}

/// Nodes at this depth or deeper are complete, the first one aside: the next one stands after them.
fn close(open: &mut Vec<(usize, Node)>, depth: usize) {
    while open.len() > 1
        && let Some((_, node)) = open.pop_if(|(of, _)| *of >= depth)
    {
        let block = open.last_mut().and_then(|(_, o)| o.children.as_mut());
        if let Some(block) = block {
            block.nodes.push(node);
        }
    }
}

fn token(range: Range<usize>) -> Token {
    Token::new(Kind::Word, range.start, range.end)
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
