//! Smaller drawings of the same plan: the legs of a job as one node, a stage as one node, only the first stages.
//! Unaware of formats and their limits.

use std::collections::BTreeMap;

use super::view::{Edge, EdgeKind, End, Node, NodeKind, View};

/// What is drawn as one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Collapse {
    /// Everything is drawn out.
    #[default]
    Nothing,
    /// The legs of a job.
    Matrix,
    /// All of a stage.
    Stage,
}

/// The view with less in it.
#[must_use]
pub fn collapse(view: &View, how: Collapse) -> View {
    match how {
        Collapse::Nothing => view.clone(),
        Collapse::Matrix => matrices(view),
        Collapse::Stage => stages(view),
    }
}

/// How many edges there are when the legs of jobs are told apart; saturates.
pub(super) fn edge_count(view: &View) -> usize {
    let size = |end: End| match end {
        End::Legs(at) => view.matrices[at].legs.len(),
        _ => 1,
    };
    let counts = view
        .edges
        .iter()
        .map(|e| size(e.from).saturating_mul(size(e.to)));
    counts.fold(0, usize::saturating_add)
}

/// The edges with one for each leg: no end is [`End::Legs`].
pub(super) fn single_edges(view: &View) -> Vec<Edge> {
    let ends = |end: End| match end {
        End::Legs(at) => view.matrices[at]
            .legs
            .iter()
            .map(|n| End::Node(*n))
            .collect(),
        end => vec![end],
    };
    let pairs = |edge: &Edge| {
        let to = ends(edge.to);
        let of_one = |from: End| {
            let line = |to: &End| Edge {
                from,
                to: *to,
                ..edge.clone()
            };
            to.iter().map(line).collect::<Vec<_>>()
        };
        ends(edge.from)
            .into_iter()
            .flat_map(of_one)
            .collect::<Vec<_>>()
    };
    view.edges.iter().flat_map(pairs).collect()
}

/// The first `count` stages and what they touch; one node stands for the rest. For views of whole stages.
pub(super) fn first_stages(view: &View, count: usize) -> View {
    let is_stage = |n: &&Node| n.kind == NodeKind::Stage;
    let total = view.nodes.iter().filter(is_stage).count();
    let mut rest = Node {
        label: match total.saturating_sub(count) {
            0 => "registries and targets".to_owned(),
            more => format!("and {more} more stages"),
        },
        ..plain(NodeKind::Note, "rest")
    };
    let cut = view.nodes.iter().filter(is_stage).skip(count);
    rest.status = cut.filter_map(|n| n.status).max();
    let mut merge = Merge::new(view);
    let mut kept = 0;
    let mut rest_at = None;
    for at in 0..view.nodes.len() {
        let stage = view.nodes[at].kind == NodeKind::Stage;
        // Registries and targets of what is cut would stand alone.
        if stage && kept < count {
            kept += 1;
            merge.keep(at);
        } else {
            let node = *rest_at.get_or_insert_with(|| merge.add(rest.clone()));
            merge.nodes[at] = End::Node(node);
        }
    }
    merge.finish(true)
}

fn matrices(view: &View) -> View {
    let mut merge = Merge::new(view);
    let mut first_legs: BTreeMap<usize, usize> = BTreeMap::new();
    let mut later_legs: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, matrix) in view.matrices.iter().enumerate() {
        for (leg, node) in matrix.legs.iter().enumerate() {
            let legs = if leg == 0 {
                &mut first_legs
            } else {
                &mut later_legs
            };
            legs.insert(*node, at);
        }
    }
    for at in 0..view.nodes.len() {
        if let Some(matrix) = first_legs.get(&at) {
            let of = &view.matrices[*matrix];
            let legs = of.legs.iter().filter_map(|n| view.nodes[*n].status);
            let node = merge.add(Node {
                name: of.name.clone(),
                label: format!("{} ×{}", of.label, of.legs.len()),
                leg: None,
                status: legs.max(),
                ..view.nodes[at].clone()
            });
            merge.nodes[at] = End::Node(node);
            merge.legs[*matrix] = Some(End::Node(node));
        } else if let Some(matrix) = later_legs.get(&at) {
            merge.nodes[at] = merge.legs[*matrix].unwrap_or(End::Node(at));
        } else {
            merge.keep(at);
        }
    }
    merge.finish(false)
}

fn stages(view: &View) -> View {
    let mut merge = Merge::new(view);
    merge.view.stages = Vec::new();
    for (at, stage) in view.stages.iter().enumerate() {
        let steps = stage.nodes.iter().map(|n| &view.nodes[*n]);
        let steps: Vec<&Node> = steps.filter(|n| n.kind.is_step()).collect();
        let node = merge.add(Node {
            label: stage.name.clone(),
            detail: Some(match steps.len() {
                1 => "1 step".to_owned(),
                count => format!("{count} steps"),
            }),
            status: steps.iter().filter_map(|n| n.status).max(),
            ..plain(NodeKind::Stage, &stage.name)
        });
        merge.stages[at] = End::Node(node);
        for inner in &stage.nodes {
            merge.nodes[*inner] = End::Node(node);
        }
    }
    for (at, matrix) in view.matrices.iter().enumerate() {
        merge.legs[at] = matrix.legs.first().map(|n| merge.nodes[*n]);
    }
    for (at, node) in view.nodes.iter().enumerate() {
        if node.stage.is_none() {
            merge.keep(at);
        }
    }
    merge.finish(true)
}

/// A node that stands for nothing in the file.
pub(super) fn plain(kind: NodeKind, name: &str) -> Node {
    Node {
        kind,
        name: name.to_owned(),
        label: name.to_owned(),
        detail: None,
        leg: None,
        stage: None,
        span: None,
        status: None,
    }
}

/// Nodes put together, and what became of each end.
struct Merge<'a> {
    old: &'a View,
    view: View,
    nodes: Vec<End>,
    legs: Vec<Option<End>>,
    stages: Vec<End>,
}

impl<'a> Merge<'a> {
    fn new(old: &'a View) -> Self {
        let mut stages = old.stages.clone();
        stages.iter_mut().for_each(|s| s.nodes.clear());
        Merge {
            view: View {
                stages,
                nodes: Vec::new(),
                matrices: Vec::new(),
                edges: Vec::new(),
                pipeline: old.pipeline.clone(),
                run: old.run.clone(),
                left_out: old.left_out.clone(),
            },
            nodes: vec![End::Node(0); old.nodes.len()],
            legs: vec![None; old.matrices.len()],
            stages: (0..old.stages.len()).map(End::Stage).collect(),
            old,
        }
    }

    fn add(&mut self, node: Node) -> usize {
        let at = self.view.nodes.len();
        if let Some(stage) = node.stage {
            self.view.stages[stage].nodes.push(at);
        }
        self.view.nodes.push(node);
        at
    }

    fn keep(&mut self, at: usize) {
        self.nodes[at] = End::Node(self.add(self.old.nodes[at].clone()));
    }

    /// Takes over the edges. Where stages are nodes, all that says "first this, then that" is one edge.
    fn finish(mut self, plain: bool) -> View {
        let mut at: BTreeMap<(End, End, EdgeKind), usize> = BTreeMap::new();
        let end = |end: End| match end {
            End::Node(n) => self.nodes[n],
            End::Legs(l) => self.legs[l].unwrap_or(end),
            End::Stage(s) => self.stages[s],
        };
        for edge in &self.old.edges {
            let (from, to) = (end(edge.from), end(edge.to));
            let kind = match edge.kind {
                EdgeKind::Needs | EdgeKind::Uses | EdgeKind::Flow if plain => EdgeKind::Order,
                kind => kind,
            };
            if from == to {
                continue;
            }
            match at.get(&(from, to, kind)) {
                Some(known) => {
                    let known = &mut self.view.edges[*known];
                    if known.label != edge.label {
                        known.label.clear();
                    }
                }
                None => {
                    at.insert((from, to, kind), self.view.edges.len());
                    self.view.edges.push(Edge {
                        from,
                        to,
                        kind,
                        label: edge.label.clone(),
                    });
                }
            }
        }
        self.view
    }
}
