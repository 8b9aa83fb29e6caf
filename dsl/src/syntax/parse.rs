//! From the scanned text to the tree: every node is read on its own, and put into the block where it belongs.

use std::ops::Range;

use super::direct::Direct;
use super::finding::{Findings, wording};
use super::lexer::{Kind, Token};
use super::library::{self, Fault};
use super::outline::Item;
use super::prescan::{self, Scan};
use super::tree::Node;
use crate::codes::syntax as codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Source;

/// Reads a text. The nodes are those of the top level that have no mistake in them; findings are
/// sorted by place, and there are at most 100.
pub fn parse(source: &Source) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut findings = Findings::new(source);
    let Some(scan) = prescan::scan(&mut findings) else {
        return (Vec::new(), findings.into_sorted());
    };
    let items = sound_nodes(&scan, &findings);
    let nodes = match read(source, &scan, &items) {
        Ok(read) => assemble(&items, read, &mut findings),
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

/// The top-level nodes without an error inside, with the nodes in their blocks.
pub(super) fn sound_nodes<'s>(scan: &'s Scan, findings: &Findings) -> Vec<&'s Item> {
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
    nodes.collect()
}

/// Reads each of these nodes: itself where it is plain how, with the library where it is not.
fn read(
    source: &Source,
    scan: &Scan,
    items: &[&Item],
) -> Result<impl Iterator<Item = Result<Node, Fault>>, String> {
    let mut direct = Direct::new(source.id, &source.text, &scan.tokens);
    let read: Vec<Option<Node>> = items.iter().map(|item| direct.node(item)).collect();
    let left = items.iter().zip(&read).filter(|(_, node)| node.is_none());
    let left = left.map(|(item, _)| (*item).clone()).collect();
    let mut others = library::read(source, scan, left)?.into_iter();
    Ok(read.into_iter().filter_map(move |node| match node {
        Some(node) => Some(Ok(node)),
        None => others.next(),
    }))
}

/// Puts each node into the block where it belongs.
fn assemble(
    items: &[&Item],
    read: impl Iterator<Item = Result<Node, Fault>>,
    findings: &mut Findings,
) -> Vec<Node> {
    let mut done = Vec::new();
    let mut open: Vec<(usize, Node)> = Vec::new();
    let mut sound = true;
    for (item, node) in items.iter().zip(read) {
        sound |= item.depth == 0;
        if !sound {
            continue;
        }
        close(&mut open, &mut done, item.depth);
        match node {
            Ok(node) => open.push((item.depth, node)),
            Err(fault) => {
                // The whole top-level node is left out.
                open.clear();
                sound = false;
                report(&fault, findings);
            }
        }
    }
    close(&mut open, &mut done, 0);
    done
}

/// Nodes at this depth or deeper are complete: the next one stands after them.
fn close(open: &mut Vec<(usize, Node)>, done: &mut Vec<Node>, depth: usize) {
    while let Some((_, node)) = open.pop_if(|(of, _)| *of >= depth) {
        let block = open.last_mut().and_then(|(_, o)| o.children.as_mut());
        match block {
            Some(block) => block.nodes.push(node),
            None => done.push(node),
        }
    }
}

fn token(range: Range<usize>) -> Token {
    Token {
        kind: Kind::Word,
        start: range.start,
        end: range.end,
    }
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
