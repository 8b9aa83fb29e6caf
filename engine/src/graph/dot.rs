//! A view in Graphviz's language. Knows nothing of Mermaid's limits, but has one of its own on legs.

use std::fmt::Write;

use super::collapse::{Collapse, collapse, edge_count, single_edges};
use super::label::visible;
use super::mermaid::{Direction, Options, id, lines, words};
use super::view::{Edge, EdgeKind, End, NodeKind, Status, View};

/// Above this, the legs of a job are one node.
const MAX_EDGES: usize = 20_000;

/// The graph for `dot`.
#[must_use]
pub fn dot(view: &View, options: Options) -> String {
    let mut view = collapse(view, options.collapse);
    if edge_count(&view) > MAX_EDGES {
        view = collapse(&view, Collapse::Matrix);
    }
    let mut out = format!("digraph {} {{\n", quoted(&[visible(&view.pipeline)]));
    let direction = match options.direction {
        Direction::Down => "TB",
        Direction::Right => "LR",
    };
    line(
        &mut out,
        format_args!("  graph [compound=true, rankdir={direction}, fontname=\"sans-serif\"]"),
    );
    line(
        &mut out,
        format_args!("  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"]"),
    );
    line(
        &mut out,
        format_args!("  edge [fontname=\"sans-serif\", fontsize=10]"),
    );
    for (at, stage) in view.stages.iter().enumerate() {
        let label = quoted(&[visible(&stage.name)]);
        line(
            &mut out,
            format_args!("  subgraph cluster_s{at} {{\n    label={label}"),
        );
        for id in &stage.nodes {
            node(&mut out, &view, *id, "    ");
        }
        line(&mut out, format_args!("  }}"));
    }
    for (at, alone) in view.nodes.iter().enumerate() {
        if alone.stage.is_none() {
            node(&mut out, &view, at, "  ");
        }
    }
    for edge in single_edges(&view) {
        arrow(&mut out, &view, &edge);
    }
    out.push_str("}\n");
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string does not fail");
}

/// A quoted string. Graphviz reads escapes and HTML's character references in labels.
fn quoted(lines: &[String]) -> String {
    let line = |text: &String| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        text.replace('&', "&amp;")
    };
    let lines: Vec<String> = lines.iter().map(line).collect();
    format!("\"{}\"", lines.join("\\n"))
}

fn node(out: &mut String, view: &View, at: usize, indent: &str) {
    let node = &view.nodes[at];
    let label = quoted(&lines(node));
    let shape = match node.kind {
        NodeKind::Build | NodeKind::Stage => ", shape=component",
        NodeKind::Image | NodeKind::Registry => ", shape=cylinder",
        NodeKind::Approve => ", shape=hexagon",
        NodeKind::Target => ", shape=box, style=\"filled,rounded\"",
        NodeKind::Release | NodeKind::Promote => ", peripheries=2",
        NodeKind::Rollback => ", style=\"filled,dashed\"",
        NodeKind::Note => ", shape=note",
        NodeKind::Job | NodeKind::Push | NodeKind::Sign | NodeKind::Deploy => "",
    };
    let colour = node.status.map(|s| format!(", fillcolor=\"{}\"", fill(s)));
    let colour = colour.unwrap_or_default();
    line(
        out,
        format_args!("{indent}n{at} [label={label}{shape}{colour}]"),
    );
}

/// An edge of a stage is drawn from one of its nodes and cut at its frame.
fn arrow(out: &mut String, view: &View, edge: &Edge) {
    let mut attributes = Vec::new();
    let mut end = |end: End, attribute: &str| match end {
        End::Stage(at) => {
            attributes.push(format!("{attribute}=cluster_s{at}"));
            let nodes = &view.stages[at].nodes;
            let node = if attribute == "lhead" {
                nodes.first()
            } else {
                nodes.last()
            };
            node.map(|n| format!("n{n}"))
        }
        end => Some(id(end)),
    };
    let (Some(from), Some(to)) = (end(edge.from, "ltail"), end(edge.to, "lhead")) else {
        return;
    };
    attributes.extend(match edge.kind {
        EdgeKind::OnFailure | EdgeKind::Rollback => Some("style=dashed".to_owned()),
        EdgeKind::After => Some("style=dotted".to_owned()),
        EdgeKind::Promote => Some("penwidth=3".to_owned()),
        EdgeKind::Needs | EdgeKind::Uses | EdgeKind::Flow | EdgeKind::Order => None,
    });
    attributes.extend(words(edge).map(|w| format!("label={}", quoted(&[w]))));
    let attributes = match attributes.is_empty() {
        true => String::new(),
        false => format!(" [{}]", attributes.join(", ")),
    };
    line(out, format_args!("  {from} -> {to}{attributes}"));
}

fn fill(status: Status) -> &'static str {
    match status {
        Status::Passed => "#d3f0d5",
        Status::Cached => "#d8ecf7",
        Status::Skipped => "#ececec",
        Status::SoftFailed => "#fdf0c4",
        Status::Cancelled => "#e4e0ea",
        Status::RolledBack => "#fde0c5",
        Status::Failed => "#fbd5d5",
        Status::Unknown => "#f6d9ee",
        Status::RollbackFailed => "#e06666",
    }
}
