//! From a plan to a view: fan-in points become edges between what they join; images, registries, targets and undos
//! become nodes. Unaware of formats.

use std::collections::{BTreeMap, BTreeSet};

use dsl::expr::Template;
use dsl::model::{Deploy, Driver, Promote, StepId, StepKind, Target};
use dsl::source::Spanned;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::view::{Edge, EdgeKind, End, LeftOut, Matrix, Node, NodeKind, Stage, Statuses, View};
use crate::plan::{self, Part, Plan, PlannedStep, Vertex};

/// The drawing of a plan, with how its steps ended where a run is drawn.
#[must_use]
pub fn view(plan: &Plan, statuses: Option<&Statuses>) -> View {
    let mut maker = Maker {
        plan,
        statuses,
        undo_orders: plan.undo_orders(),
        view: View {
            pipeline: plan.pipeline.name.clone(),
            run: run(plan),
            stages: Vec::new(),
            nodes: Vec::new(),
            matrices: Vec::new(),
            edges: Vec::new(),
            left_out: plan.left_out.iter().map(|l| left_out(plan, l)).collect(),
        },
        ends: BTreeMap::new(),
        legs: BTreeMap::new(),
        images: BTreeMap::new(),
        undos: BTreeMap::new(),
        places: BTreeMap::new(),
    };
    for at in 0..plan.stages.len() {
        maker.stage(at);
    }
    maker.plan_edges();
    maker.undo_chains();
    for (vertex, step) in plan.steps() {
        maker.delivery(vertex, step);
    }
    maker.view
}

/// What the run is, in words: `push on main`.
fn run(plan: &Plan) -> String {
    let context = &plan.request.context;
    match (&context.git.tag, &context.git.branch) {
        (Some(tag), _) => format!("{} {tag}", context.event),
        (None, Some(branch)) => format!("{} on {branch}", context.event),
        (None, None) => context.event.to_string(),
    }
}

fn left_out(plan: &Plan, left: &plan::LeftOut) -> LeftOut {
    let (name, stage) = match left.part {
        Part::Stage(id) => (plan.pipeline.stage(id).name.value.clone(), true),
        Part::Step(id) => (plan.pipeline.full_name(id), false),
    };
    LeftOut {
        name,
        stage,
        reason: left.reason.clone(),
    }
}

struct Maker<'a> {
    plan: &'a Plan,
    statuses: Option<&'a Statuses>,
    /// By stage: its steps with an undo.
    undo_orders: Vec<Vec<NodeIndex<u32>>>,
    view: View,
    /// By vertex of the plan: what stands for it.
    ends: BTreeMap<NodeIndex<u32>, End>,
    /// By step with several legs: all of them.
    legs: BTreeMap<StepId, End>,
    /// By building step: the node of its image.
    images: BTreeMap<StepId, usize>,
    /// By step: the node of its undo.
    undos: BTreeMap<StepId, usize>,
    /// Registries and targets by kind and name.
    places: BTreeMap<(NodeKind, String), usize>,
}

impl Maker<'_> {
    fn stage(&mut self, at: usize) {
        let planned = &self.plan.stages[at];
        let undo = self.undo_orders[at]
            .iter()
            .filter_map(|v| self.plan.step(*v));
        self.view.stages.push(Stage {
            name: planned.name.clone(),
            nodes: Vec::new(),
            undo_on_failure: planned.undo_on_failure,
            undo: undo.map(|s| s.name.clone()).collect(),
        });
        self.ends.insert(planned.begin, End::Stage(at));
        self.ends.insert(planned.end, End::Stage(at));
        let steps: Vec<_> = planned
            .steps
            .iter()
            .filter_map(|v| Some((*v, self.plan.step(*v)?)))
            .collect();
        for legs in steps.chunk_by(|(_, a), (_, b)| a.id == b.id) {
            self.step(legs);
        }
    }

    /// All legs of a step, and what belongs to the step.
    fn step(&mut self, legs: &[(NodeIndex<u32>, &PlannedStep)]) {
        let Some((_, first)) = legs.first() else {
            return;
        };
        let nodes: Vec<usize> = legs.iter().map(|(v, s)| self.step_node(*v, s)).collect();
        let definition = self.plan.definition(first);
        let end = if let [one] = nodes[..] {
            End::Node(one)
        } else {
            self.view.matrices.push(Matrix {
                name: self.plan.pipeline.full_name(first.id),
                label: definition.name.value.clone(),
                legs: nodes,
            });
            let legs = End::Legs(self.view.matrices.len() - 1);
            self.legs.insert(first.id, legs);
            legs
        };
        if let StepKind::Build(build) = &definition.kind
            && let Some(image) = &build.image
        {
            let node = self.add(NodeKind::Image, &image.value, Some(first.stage));
            self.view.nodes[node].span = Some(image.span);
            self.images.insert(first.id, node);
            self.line(end, End::Node(node), EdgeKind::Flow, "");
        }
        if let Some((label, detail)) = self.undo_of(first) {
            let node = self.add(NodeKind::Rollback, &label, Some(first.stage));
            self.view.nodes[node].detail = detail;
            self.undos.insert(first.id, node);
            self.line(end, End::Node(node), EdgeKind::Rollback, "");
        }
    }

    fn step_node(&mut self, vertex: NodeIndex<u32>, step: &PlannedStep) -> usize {
        let definition = self.plan.definition(step);
        let node = self.add(kind(&definition.kind), &step.name, Some(step.stage));
        let values: Vec<&str> = step.leg.values().map(String::as_str).collect();
        self.view.nodes[node] = Node {
            label: step.label.clone(),
            detail: self.detail(&definition.kind),
            leg: (!values.is_empty()).then(|| values.join(", ")),
            span: Some(definition.span),
            status: self.statuses.and_then(|s| s.get(&step.name).copied()),
            ..self.view.nodes[node].clone()
        };
        self.ends.insert(vertex, End::Node(node));
        node
    }

    /// What a step works on, where no edge shows it.
    fn detail(&self, kind: &StepKind) -> Option<String> {
        match kind {
            StepKind::Approve(gate) if gate.count > 1 => {
                Some(format!("by {} of {}", gate.count, gate.by.value))
            }
            StepKind::Approve(gate) => Some(format!("by {}", gate.by.value)),
            StepKind::Release(release) => Some(format!("version {}", release.version.value)),
            StepKind::Promote(promote) => self.requirements(promote),
            _ => None,
        }
    }

    fn requirements(&self, promote: &Promote) -> Option<String> {
        let rule = self.plan.pipeline.promotions.get(&promote.rule.value)?;
        let words = rule.requirements.iter().map(|r| match &r.by {
            Some(by) => format!("{} by {}", r.what.value, by.value),
            None => r.what.value.clone(),
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| format!("requires {}", words.join(", ")))
    }

    /// The words for how a step is undone, if it is.
    fn undo_of(&self, step: &PlannedStep) -> Option<(String, Option<String>)> {
        let definition = self.plan.definition(step);
        let name = &definition.name.value;
        if definition.rollback.is_some() {
            return Some((format!("undo {name}"), None));
        }
        let StepKind::Deploy(deploy) = &definition.kind else {
            return None;
        };
        let target = self.plan.pipeline.targets.get(&deploy.target.value)?;
        let lost =
            target.no_rollback.is_some() || target.driver.as_ref().is_some_and(Driver::lacks_undo);
        (!lost).then(|| {
            let label = format!("roll back {}", deploy.target.value);
            (label, Some("to the last healthy release".to_owned()))
        })
    }

    fn plan_edges(&mut self) {
        let graph = &self.plan.graph;
        let mut seen = BTreeSet::new();
        for edge in graph.edge_references() {
            let (from, to) = (self.end(edge.source()), self.end(edge.target()));
            let between_stages = matches!((from, to), (Some(End::Stage(_)), Some(End::Stage(_))));
            let (Some(mut from), Some(to)) = (from, to) else {
                continue;
            };
            // The way through the target shows it.
            let kinds = [edge.source(), edge.target()].map(|v| self.plan.step(v));
            if let [Some(first), Some(then)] = kinds
                && *edge.weight() == plan::Edge::Reference
                && matches!(self.plan.definition(first).kind, StepKind::Deploy(_))
                && matches!(self.plan.definition(then).kind, StepKind::Promote(_))
            {
                continue;
            }
            // Into and out of fan-in points: the frame of the stage shows it.
            if *edge.weight() == plan::Edge::Order && !between_stages {
                continue;
            }
            let mut kind = kind_of(*edge.weight());
            if kind == EdgeKind::Uses
                && let Some(image) = self.image_of(edge.source())
            {
                (from, kind) = (End::Node(image), EdgeKind::Flow);
            }
            if seen.insert((from, to, kind)) {
                self.line(from, to, kind, "");
            }
        }
        let twice =
            |e: &Edge| e.kind == EdgeKind::Uses && seen.contains(&(e.from, e.to, EdgeKind::Needs));
        self.view.edges.retain(|e| !twice(e));
    }

    fn end(&self, vertex: NodeIndex<u32>) -> Option<End> {
        match &self.plan.graph[vertex] {
            Vertex::Legs(id) => self.legs.get(id).copied(),
            _ => self.ends.get(&vertex).copied(),
        }
    }

    fn image_of(&self, vertex: NodeIndex<u32>) -> Option<usize> {
        self.images.get(&self.plan.step(vertex)?.id).copied()
    }

    /// Where a failure undoes a whole stage, its undos follow each other.
    fn undo_chains(&mut self) {
        for at in 0..self.plan.stages.len() {
            if !self.plan.stages[at].undo_on_failure {
                continue;
            }
            let order = self.undo_orders[at]
                .iter()
                .filter_map(|v| self.plan.step(*v));
            // The legs of a job share a node.
            let mut seen = BTreeSet::new();
            let nodes = order.filter_map(|s| self.undos.get(&s.id).copied());
            let nodes: Vec<usize> = nodes.filter(|n| seen.insert(*n)).collect();
            for pair in nodes.windows(2) {
                self.line(
                    End::Node(pair[0]),
                    End::Node(pair[1]),
                    EdgeKind::Rollback,
                    "then",
                );
            }
        }
    }

    /// Where images go.
    fn delivery(&mut self, vertex: NodeIndex<u32>, step: &PlannedStep) {
        let Some(end) = self.end(vertex) else { return };
        match &self.plan.definition(step).kind {
            StepKind::Push(push) => {
                let registry = self.place(NodeKind::Registry, &push.registry.value);
                let text = |tag: &Spanned<Template>| self.plan.text(step, &tag.value);
                let tags: Vec<String> = push.tags.iter().map(text).collect();
                self.line(end, registry, EdgeKind::Flow, &tags.join(", "));
            }
            StepKind::Deploy(deploy) => {
                let target = self.place(NodeKind::Target, &deploy.target.value);
                self.line(end, target, EdgeKind::Flow, &images(deploy));
            }
            StepKind::Promote(promote) => self.promotion(end, promote),
            _ => {}
        }
    }

    fn promotion(&mut self, step: End, promote: &Promote) {
        let plan = self.plan;
        let Some(rule) = plan.pipeline.promotions.get(&promote.rule.value) else {
            return;
        };
        let images: Vec<&str> = rule.images.iter().map(|i| i.value.as_str()).collect();
        let side = |name: &str| match plan.pipeline.targets.contains_key(name) {
            true => NodeKind::Target,
            false => NodeKind::Registry,
        };
        let from = self.place(side(&rule.from.value), &rule.from.value);
        let to = self.place(side(&rule.to.value), &rule.to.value);
        self.line(from, step, EdgeKind::Promote, &images.join(", "));
        self.line(step, to, EdgeKind::Promote, "by digest");
    }

    /// The node of a registry or a target.
    fn place(&mut self, kind: NodeKind, name: &str) -> End {
        let key = (kind, name.to_owned());
        if let Some(node) = self.places.get(&key) {
            return End::Node(*node);
        }
        let pipeline = &self.plan.pipeline;
        let (detail, span) = match kind {
            NodeKind::Registry => pipeline.registries.get(name).map_or((None, None), |r| {
                (Some(r.prefix.value.to_string()), Some(r.name.span))
            }),
            _ => pipeline
                .targets
                .get(name)
                .map_or((None, None), |t| (driven_by(t), Some(t.name.span))),
        };
        let node = self.add(kind, name, None);
        self.view.nodes[node].detail = detail;
        self.view.nodes[node].span = span;
        self.places.insert(key, node);
        End::Node(node)
    }

    fn add(&mut self, kind: NodeKind, name: &str, stage: Option<usize>) -> usize {
        let node = self.view.nodes.len();
        self.view.nodes.push(Node {
            kind,
            name: name.to_owned(),
            label: name.to_owned(),
            detail: None,
            leg: None,
            stage,
            span: None,
            status: None,
        });
        if let Some(stage) = stage {
            self.view.stages[stage].nodes.push(node);
        }
        node
    }

    fn line(&mut self, from: End, to: End, kind: EdgeKind, label: &str) {
        self.view.edges.push(Edge {
            from,
            to,
            kind,
            label: label.to_owned(),
        });
    }
}

fn driven_by(target: &Target) -> Option<String> {
    let driver = target.driver.as_ref().map(|d| match d {
        Driver::Run(_) => "own commands",
        other => other.word(),
    });
    let ssh = target.ssh.as_ref().map(|_| "over ssh");
    let words: Vec<&str> = driver.into_iter().chain(ssh).collect();
    let protected = target.protected.then_some("protected");
    let words = (!words.is_empty()).then(|| words.join(" "));
    let words: Vec<String> = words
        .into_iter()
        .chain(protected.map(str::to_owned))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn images(deploy: &Deploy) -> String {
    let names: Vec<&str> = deploy.images.iter().map(|i| i.value.as_str()).collect();
    names.join(", ")
}

fn kind(kind: &StepKind) -> NodeKind {
    match kind {
        StepKind::Job(_) => NodeKind::Job,
        StepKind::Build(_) => NodeKind::Build,
        StepKind::Push(_) => NodeKind::Push,
        StepKind::Sign(_) => NodeKind::Sign,
        StepKind::Release(_) => NodeKind::Release,
        StepKind::Promote(_) => NodeKind::Promote,
        StepKind::Deploy(_) => NodeKind::Deploy,
        StepKind::Approve(_) => NodeKind::Approve,
    }
}

fn kind_of(edge: plan::Edge) -> EdgeKind {
    match edge {
        plan::Edge::Needs => EdgeKind::Needs,
        plan::Edge::Reference => EdgeKind::Uses,
        plan::Edge::After => EdgeKind::After,
        plan::Edge::OnFailure => EdgeKind::OnFailure,
        plan::Edge::Order => EdgeKind::Order,
    }
}
