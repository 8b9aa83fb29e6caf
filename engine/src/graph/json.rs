//! A view as JSON for other programs. Its format has a number, which changes when a reader could be misled.

use dsl::source::Span;
use serde::Serialize;

use super::collapse::{Collapse, collapse};
use super::mermaid::id;
use super::view::{EdgeKind, NodeKind, Status, View};

/// The number of the format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Graph<'a> {
    format: u32,
    pipeline: &'a str,
    run: &'a str,
    stages: Vec<Stage<'a>>,
    nodes: Vec<Node<'a>>,
    matrices: Vec<Matrix<'a>>,
    edges: Vec<Edge<'a>>,
    left_out: Vec<LeftOut<'a>>,
}

#[derive(Serialize)]
struct Stage<'a> {
    id: String,
    name: &'a str,
    nodes: Vec<String>,
    undo_on_failure: bool,
    undo: &'a [String],
}

#[derive(Serialize)]
struct Node<'a> {
    id: String,
    kind: NodeKind,
    name: &'a str,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

/// An edge from or to it is one from or to each of its legs.
#[derive(Serialize)]
struct Matrix<'a> {
    id: String,
    name: &'a str,
    legs: Vec<String>,
}

#[derive(Serialize)]
struct Edge<'a> {
    from: String,
    to: String,
    kind: EdgeKind,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    name: &'a str,
    kind: &'static str,
    reason: &'a str,
}

/// The graph as JSON, ending with a newline. `place` tells the `file:line` of a span.
///
/// # Panics
/// Never: all keys are strings.
#[must_use]
pub fn json(view: &View, how: Collapse, place: &dyn Fn(Span) -> String) -> String {
    let view = collapse(view, how);
    let ids = |nodes: &[usize]| nodes.iter().map(|n| format!("n{n}")).collect();
    let graph = Graph {
        format: FORMAT,
        pipeline: &view.pipeline,
        run: &view.run,
        stages: all(&view.stages, |at, s| Stage {
            id: format!("s{at}"),
            name: &s.name,
            nodes: ids(&s.nodes),
            undo_on_failure: s.undo_on_failure,
            undo: &s.undo,
        }),
        nodes: all(&view.nodes, |at, n| Node {
            id: format!("n{at}"),
            kind: n.kind,
            name: &n.name,
            label: &n.label,
            detail: n.detail.as_deref(),
            stage: n.stage.map(|s| format!("s{s}")),
            at: n.span.map(place),
            status: n.status,
        }),
        matrices: all(&view.matrices, |at, m| Matrix {
            id: format!("m{at}"),
            name: &m.name,
            legs: ids(&m.legs),
        }),
        edges: all(&view.edges, |_, e| Edge {
            from: id(e.from),
            to: id(e.to),
            kind: e.kind,
            label: &e.label,
        }),
        left_out: all(&view.left_out, |_, l| LeftOut {
            name: &l.name,
            kind: if l.stage { "stage" } else { "step" },
            reason: &l.reason,
        }),
    };
    serde_json::to_string_pretty(&graph).expect("all keys are strings") + "\n"
}

fn all<'a, T, U>(items: &'a [T], of: impl Fn(usize, &'a T) -> U) -> Vec<U> {
    items
        .iter()
        .enumerate()
        .map(|(at, item)| of(at, item))
        .collect()
}
