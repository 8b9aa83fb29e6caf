//! A view as a Mermaid flowchart that every Mermaid draws: below its limits, with generated ids and quoted labels.
//! Knows no colours but those of outcomes.

use std::fmt::Write;

use super::collapse::{Collapse, collapse, edge_count, first_stages, plain, single_edges};
use super::label::{mermaid_label, visible};
use super::view::{Edge, EdgeKind, End, Node, NodeKind, Status, View};

/// How many edges Mermaid draws.
pub const MAX_EDGES: usize = 500;
/// How many characters Mermaid reads.
pub const MAX_TEXT: usize = 50_000;
/// How many stages are drawn, where not even all stages fit.
const MOST_STAGES: usize = 400;

/// How a flowchart is drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Where it leads.
    pub direction: Direction,
    /// What is drawn as one node, at least.
    pub collapse: Collapse,
}

/// Where a flowchart leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the top to the bottom.
    #[default]
    Down,
    /// From the left to the right; only short pipelines are legible so.
    Right,
}

/// What a flowchart really shows.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The view after everything was drawn as one that had to be.
    pub view: View,
    /// Its edges, one for each leg, in the order in which they are written.
    pub edges: Vec<Edge>,
    /// The flowchart.
    pub text: String,
}

/// The outline of a node, by Mermaid's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A step.
    Square,
    /// Something that is built.
    Subroutine,
    /// Something that is kept: an image, a registry.
    Cylinder,
    /// A gate.
    Hexagon,
    /// A place where software runs.
    Stadium,
    /// A way back.
    LeanLeft,
    /// A release or a promotion.
    LeanRight,
    /// A remark.
    Round,
}

impl Shape {
    /// The outline for this kind of node.
    #[must_use]
    pub fn of(kind: NodeKind) -> Self {
        match kind {
            NodeKind::Job | NodeKind::Push | NodeKind::Sign | NodeKind::Deploy => Shape::Square,
            NodeKind::Build | NodeKind::Stage => Shape::Subroutine,
            NodeKind::Image | NodeKind::Registry => Shape::Cylinder,
            NodeKind::Approve => Shape::Hexagon,
            NodeKind::Target => Shape::Stadium,
            NodeKind::Rollback => Shape::LeanLeft,
            NodeKind::Release | NodeKind::Promote => Shape::LeanRight,
            NodeKind::Note => Shape::Round,
        }
    }

    fn marks(self) -> (&'static str, &'static str) {
        match self {
            Shape::Square => ("[", "]"),
            Shape::Subroutine => ("[[", "]]"),
            Shape::Cylinder => ("[(", ")]"),
            Shape::Hexagon => ("{{", "}}"),
            Shape::Stadium => ("([", "])"),
            Shape::LeanLeft => ("[\\", "\\]"),
            Shape::LeanRight => ("[/", "/]"),
            Shape::Round => ("(", ")"),
        }
    }
}

/// The flowchart.
///
/// # Panics
/// Never.
#[must_use]
pub fn mermaid(view: &View, options: Options) -> String {
    picture(view, options).text
}

/// The flowchart, with what it shows. What exceeds Mermaid's limits is collapsed, and the flowchart says so.
///
/// # Panics
/// Never: at last there is one node.
#[must_use]
pub fn picture(view: &View, options: Options) -> Picture {
    let levels = [Collapse::Nothing, Collapse::Matrix, Collapse::Stage];
    for level in levels.into_iter().filter(|l| *l >= options.collapse) {
        let note = (level > options.collapse).then_some(match level {
            Collapse::Stage => "each stage is drawn as one box: the whole is too large for Mermaid",
            _ => "each job is drawn as one box, whatever its matrix: the whole is too large for Mermaid",
        });
        if let Some(picture) = fitting(collapse(view, level), options.direction, note) {
            return picture;
        }
    }
    let stages = collapse(view, Collapse::Stage);
    let note = "only the first stages are drawn: the whole is too large for Mermaid";
    let fewer = |count: &usize| (*count > 0).then_some(count / 2);
    std::iter::successors(Some(MOST_STAGES), fewer)
        .find_map(|count| fitting(first_stages(&stages, count), options.direction, Some(note)))
        .expect("one node and a remark are below the limits")
}

/// The flowchart of this view, if it is below the limits.
fn fitting(mut view: View, direction: Direction, note: Option<&str>) -> Option<Picture> {
    if edge_count(&view) > MAX_EDGES {
        return None;
    }
    if let Some(note) = note {
        view.nodes.push(Node {
            label: note.to_owned(),
            ..plain(NodeKind::Note, "note")
        });
    }
    let edges = single_edges(&view);
    let text = write(&view, &edges, direction, note);
    (text.len() < MAX_TEXT).then_some(Picture { view, edges, text })
}

fn write(view: &View, edges: &[Edge], direction: Direction, note: Option<&str>) -> String {
    let mut out = String::new();
    if let Some(note) = note {
        line(&mut out, format_args!("%% {note}"));
    }
    let word = match direction {
        Direction::Down => "TD",
        Direction::Right => "LR",
    };
    line(&mut out, format_args!("flowchart {word}"));
    for (at, stage) in view.stages.iter().enumerate() {
        let label = mermaid_label(&visible(&stage.name));
        line(&mut out, format_args!("  subgraph s{at}[\"{label}\"]"));
        for id in &stage.nodes {
            node(&mut out, "    ", *id, &view.nodes[*id]);
        }
        line(&mut out, format_args!("  end"));
    }
    for (id, alone) in view.nodes.iter().enumerate() {
        if alone.stage.is_none() {
            node(&mut out, "  ", id, alone);
        }
    }
    for edge in edges {
        arrow(&mut out, edge);
    }
    classes(&mut out, view);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string does not fail");
}

fn node(out: &mut String, indent: &str, id: usize, node: &Node) {
    let (open, close) = Shape::of(node.kind).marks();
    let label: Vec<String> = lines(node).iter().map(|l| mermaid_label(l)).collect();
    let label = label.join("<br/>");
    line(out, format_args!("{indent}n{id}{open}\"{label}\"{close}"));
}

/// The lines of a node's text.
pub(super) fn lines(node: &Node) -> Vec<String> {
    let mut lines = vec![visible(&node.label)];
    lines.extend(node.detail.as_deref().map(visible));
    lines.extend(node.status.map(|s| s.word().to_owned()));
    lines
}

/// What is written at an edge: its own text, or what its arrow does not tell.
pub(super) fn words(edge: &Edge) -> Option<String> {
    let word = match edge.kind {
        EdgeKind::Uses => "uses",
        EdgeKind::After => "after",
        EdgeKind::OnFailure => "on failure",
        _ => "",
    };
    let label = if edge.label.is_empty() {
        word
    } else {
        &edge.label
    };
    (!label.is_empty()).then(|| visible(label))
}

fn arrow(out: &mut String, edge: &Edge) {
    let arrow = match edge.kind {
        EdgeKind::OnFailure | EdgeKind::Rollback => "-.->",
        EdgeKind::Promote => "==>",
        _ => "-->",
    };
    let label = words(edge).map(|w| format!("|\"{}\"|", mermaid_label(&w)));
    let label = label.unwrap_or_default();
    let (from, to) = (id(edge.from), id(edge.to));
    line(out, format_args!("  {from} {arrow}{label} {to}"));
}

/// The generated name of an end.
pub(super) fn id(end: End) -> String {
    match end {
        End::Node(at) => format!("n{at}"),
        End::Legs(at) => format!("m{at}"),
        End::Stage(at) => format!("s{at}"),
    }
}

fn classes(out: &mut String, view: &View) {
    let mut statuses: Vec<Status> = view.nodes.iter().filter_map(|n| n.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let with = |n: &(usize, &Node)| n.1.status == Some(status);
        let ids = view.nodes.iter().enumerate().filter(with);
        let ids: Vec<String> = ids.map(|(at, _)| format!("n{at}")).collect();
        let (class, style) = (class(status), style(status));
        line(out, format_args!("  classDef {class} {style}"));
        line(out, format_args!("  class {} {class}", ids.join(",")));
    }
}

fn class(status: Status) -> String {
    format!("is-{}", status.word()).replace('-', "")
}

/// Dark text on a light ground, legible on white and on black pages.
fn style(status: Status) -> &'static str {
    match status {
        Status::Passed => "fill:#d3f0d5,stroke:#2c7a33,color:#10310f",
        Status::Cached => "fill:#d8ecf7,stroke:#2b6f93,color:#0d2c3d",
        Status::Skipped => "fill:#ececec,stroke:#8a8a8a,color:#555555,stroke-dasharray:4 3",
        Status::SoftFailed => "fill:#fdf0c4,stroke:#a17c09,color:#3f3000",
        Status::Cancelled => "fill:#e4e0ea,stroke:#6f6482,color:#322b3d",
        Status::RolledBack => "fill:#fde0c5,stroke:#b3631c,color:#47260a",
        Status::Failed => "fill:#fbd5d5,stroke:#b42323,color:#4c0b0b,stroke-width:2px",
        Status::Unknown => "fill:#f6d9ee,stroke:#a0307f,color:#430f34,stroke-dasharray:4 3",
        Status::RollbackFailed => "fill:#b42323,stroke:#4c0b0b,color:#ffffff,stroke-width:3px",
    }
}
