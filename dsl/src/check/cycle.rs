//! Steps that wait for each other. Every edge of the cycle is labelled with what made it.

use std::collections::VecDeque;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::codes::graph as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Pipeline, StageId, StepId, Wait, WaitTarget};
use crate::schema::Kind;
use crate::source::Span;

/// A step, or the beginning or end of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Step(StepId),
    Begin(StageId),
    End(StageId),
}

/// Why the one point waits for the other; edges point from the waiting one.
struct Because<'a> {
    span: Span,
    why: Why<'a>,
}

/// What made an edge.
#[derive(Clone, Copy)]
enum Why<'a> {
    /// Nobody wrote it: it joins a step with the beginning and the end of its stage.
    Silent,
    /// A stage stands before another one.
    Before(StageId, StageId),
    /// A step uses what another one makes.
    Uses(StepId, StepId),
    /// What waits, by name, and what it wrote.
    Wait(&'a str, &'a Wait),
}

impl Because<'_> {
    fn is_written(&self) -> bool {
        !matches!(self.why, Why::Silent)
    }

    /// The stage that is waited for by name.
    fn stage(&self) -> Option<StageId> {
        match self.why {
            Why::Wait(_, wait) => match wait.target {
                WaitTarget::Stage(id) => Some(id),
                WaitTarget::Step(_) => None,
            },
            _ => None,
        }
    }

    fn text(&self, pipeline: &Pipeline) -> String {
        let step = |id| &pipeline.step(id).name.value;
        let stage = |id| &pipeline.stage(id).name.value;
        match self.why {
            Why::Silent => String::new(),
            Why::Before(later, earlier) => format!(
                "the stage `{}` waits for `{}`, which stands before it",
                stage(later),
                stage(earlier)
            ),
            Why::Uses(user, maker) => format!("`{}` uses what `{}` makes", step(user), step(maker)),
            Why::Wait(who, wait) => {
                let what = match wait.target {
                    WaitTarget::Step(id) => format!("`{}`", step(id)),
                    WaitTarget::Stage(id) => format!("the stage `{}`", stage(id)),
                };
                format!("`{who}` {} {what}", wait.kind.word())
            }
        }
    }
}

/// Nobody reads more cycles than this.
const MAX_CYCLES: usize = 20;

pub(super) fn check(pipeline: &Pipeline, out: &mut Diagnostics) {
    let graph = graph(pipeline);
    let mut left = MAX_CYCLES;
    for component in kosaraju_scc(&graph) {
        let cyclic = component.len() > 1 || graph.contains_edge(component[0], component[0]);
        if cyclic && let Some(cycle) = shortest(&graph, &component) {
            out.push(finding(pipeline, &graph, &cycle));
            left -= 1;
            if left == 0 {
                return;
            }
        }
    }
}

fn graph(pipeline: &Pipeline) -> DiGraph<Point, Because<'_>> {
    let mut waiting = Waiting::new(pipeline);
    let before = pipeline.stages_before(&|_| true);
    for stage in pipeline.stage_ids() {
        waiting.stage(stage, &before[stage.0 as usize]);
        for id in &pipeline.stage(stage).steps {
            waiting.step(stage, *id);
        }
    }
    waiting.graph
}

/// The graph while it is filled, and where its points are.
struct Waiting<'a> {
    pipeline: &'a Pipeline,
    graph: DiGraph<Point, Because<'a>>,
    steps: Vec<NodeIndex>,
    stages: Vec<(NodeIndex, NodeIndex)>,
}

impl<'a> Waiting<'a> {
    fn new(pipeline: &'a Pipeline) -> Self {
        let mut graph = DiGraph::with_capacity(pipeline.steps.len(), pipeline.steps.len() * 3);
        let id = |at: usize| StepId(u32::try_from(at).unwrap_or(u32::MAX));
        let steps = (0..pipeline.steps.len())
            .map(|at| graph.add_node(Point::Step(id(at))))
            .collect();
        let stages = pipeline
            .stage_ids()
            .map(|stage| {
                let begin = graph.add_node(Point::Begin(stage));
                (begin, graph.add_node(Point::End(stage)))
            })
            .collect();
        Self {
            pipeline,
            graph,
            steps,
            stages,
        }
    }

    fn stage(&mut self, id: StageId, before: &[StageId]) {
        let begin = self.stages[id.0 as usize].0;
        let stage = self.pipeline.stage(id);
        for wait in stage.waits.iter().flatten() {
            self.wait(begin, wait, &stage.name.value);
        }
        for earlier in before {
            let (span, why) = (stage.name.span, Why::Before(id, *earlier));
            let end = self.stages[earlier.0 as usize].1;
            self.graph.add_edge(begin, end, Because { span, why });
        }
    }

    fn step(&mut self, stage: StageId, id: StepId) {
        let pipeline = self.pipeline;
        let step = pipeline.step(id);
        let at = self.steps[id.0 as usize];
        let (begin, end) = self.stages[stage.0 as usize];
        let silent = || Because {
            span: step.name.span,
            why: Why::Silent,
        };
        self.graph.add_edge(end, at, silent());
        if step.waits_for_stage(pipeline) {
            self.graph.add_edge(at, begin, silent());
        }
        for wait in &step.waits {
            self.wait(at, wait, &step.name.value);
        }
        for used in step.uses(pipeline) {
            let span = used.span;
            for maker in pipeline.makers(stage, &used.what, &|m| m != id) {
                let why = Why::Uses(id, maker);
                let made = self.steps[maker.0 as usize];
                self.graph.add_edge(at, made, Because { span, why });
            }
        }
    }

    fn wait(&mut self, from: NodeIndex, wait: &'a Wait, who: &'a str) {
        let to = match wait.target {
            WaitTarget::Step(step) => self.steps[step.0 as usize],
            WaitTarget::Stage(stage) => self.stages[stage.0 as usize].1,
        };
        let (span, why) = (wait.span, Why::Wait(who, wait));
        self.graph.add_edge(from, to, Because { span, why });
    }
}

/// A shortest cycle through the component's first point, as edges.
fn shortest(
    graph: &DiGraph<Point, Because<'_>>,
    component: &[NodeIndex],
) -> Option<Vec<petgraph::graph::EdgeIndex>> {
    let start = component
        .iter()
        .copied()
        .find(|n| matches!(graph[*n], Point::Step(_)))
        .unwrap_or(component[0]);
    let mut inside = vec![false; graph.node_count()];
    component.iter().for_each(|n| inside[n.index()] = true);
    let mut came: Vec<Option<petgraph::graph::EdgeIndex>> = vec![None; graph.node_count()];
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for edge in graph.edges(at) {
            let to = edge.target();
            if !inside[to.index()] || (came[to.index()].is_some() && to != start) {
                continue;
            }
            if came[to.index()].is_none() {
                came[to.index()] = Some(edge.id());
            }
            if to == start {
                return Some(path(graph, &came, start));
            }
            queue.push_back(to);
        }
    }
    None
}

fn path(
    graph: &DiGraph<Point, Because<'_>>,
    came: &[Option<petgraph::graph::EdgeIndex>],
    start: NodeIndex,
) -> Vec<petgraph::graph::EdgeIndex> {
    let mut edges = Vec::new();
    let mut at = start;
    while let Some(edge) = came[at.index()] {
        edges.push(edge);
        at = graph.edge_endpoints(edge).map_or(start, |(from, _)| from);
        if at == start {
            break;
        }
    }
    edges.reverse();
    edges
}

fn finding(
    pipeline: &Pipeline,
    graph: &DiGraph<Point, Because<'_>>,
    cycle: &[petgraph::graph::EdgeIndex],
) -> Diagnostic {
    let mut names: Vec<String> = Vec::new();
    for edge in cycle {
        let Some((from, _)) = graph.edge_endpoints(*edge) else {
            continue;
        };
        let name = match graph[from] {
            Point::Step(id) => pipeline.step(id).name.value.clone(),
            Point::Begin(id) => format!("stage {}", pipeline.stage(id).name.value),
            Point::End(_) => continue,
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    let written: Vec<&Because<'_>> = cycle
        .iter()
        .map(|e| &graph[*e])
        .filter(|b| b.is_written())
        .collect();
    let message = match names.as_slice() {
        [one] if cycle.len() > 1 => format!("`{one}` waits for its own stage"),
        [one] => format!("`{one}` waits for itself"),
        [] => "the stages wait for each other".to_owned(),
        _ => {
            let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
            let more = if names.len() > 8 { " → …" } else { "" };
            format!(
                "steps wait for each other: {}{more} → {}",
                shown.join(" → "),
                names[0]
            )
        }
    };
    let help = match names.len() {
        1 => "remove it; a step cannot come before itself",
        _ if written.len() < cycle.len() => {
            "remove one of these edges; a stage waits for those before it unless it has a `needs` of its own"
        }
        _ => "remove one of these edges",
    };
    let Some((first, rest)) = written.split_first() else {
        return Diagnostic::new(&codes::CYCLE, message, graph[cycle[0]].span, "").help(help);
    };
    let mut finding = Diagnostic::new(&codes::CYCLE, message, first.span, first.text(pipeline));
    for because in rest {
        finding = finding.label(because.span, because.text(pipeline));
    }
    // A name of a stage may mean a step of that name that could not be read.
    if let Some(stage) = written.iter().find_map(|b| b.stage()) {
        finding = finding.missing(Kind::Step.noun(), &pipeline.stage(stage).name.value);
    }
    finding.help(help)
}
