//! The selected steps as a graph: legs, fan-in points, edges, values.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dsl::diagnostic::Diagnostic;
use dsl::expr::{Missing, Template};
use dsl::model::{EnvVar, Leg, Pipeline, StageId, StepId, Wait, WaitKind, WaitTarget};
use petgraph::graph::DiGraph;

use super::select::{self, LeftOut, Part, Selected};
use super::values::{self, Before};
use super::{Edge, Plan, PlannedStage, PlannedStep, Request, Vertex, VertexId};

struct Builder<'a> {
    pipeline: &'a Pipeline,
    request: &'a Request,
    expected: &'a dyn Fn(&str) -> Option<Duration>,
    selected: Selected,
    graph: DiGraph<Vertex, Edge>,
    stages: Vec<PlannedStage>,
    /// By stage of the pipeline: its index in `stages`.
    stage_at: Vec<Option<usize>>,
    /// By step: its legs, and the point behind them where there are several.
    legs: Vec<Vec<VertexId>>,
    joined: Vec<Option<VertexId>>,
    /// The edges that references and `needs` made, so that none is there twice.
    known: BTreeSet<(VertexId, VertexId, Edge)>,
    findings: Vec<Diagnostic>,
}

pub(super) fn build(
    pipeline: &Arc<Pipeline>,
    request: Request,
    selected: Selected,
    expected: &dyn Fn(&str) -> Option<Duration>,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut builder = Builder {
        pipeline,
        request: &request,
        expected,
        graph: DiGraph::with_capacity(selected.steps.len() + 2, selected.steps.len() * 3),
        stages: Vec::new(),
        stage_at: vec![None; pipeline.stages.len()],
        legs: vec![Vec::new(); selected.steps.len()],
        joined: vec![None; selected.steps.len()],
        known: BTreeSet::new(),
        findings: Vec::new(),
        selected,
    };
    for stage in pipeline.stage_ids() {
        builder.stage(stage);
    }
    let before = pipeline.stages_before(&|stage| builder.stage_at[stage.0 as usize].is_some());
    for (stage, before) in pipeline.stage_ids().zip(&before) {
        builder.stage_edges(stage, before);
    }
    for at in 0..pipeline.steps.len() {
        builder.step_edges(select::step_id(at));
    }
    if !builder.findings.is_empty() {
        return Err(builder.findings);
    }
    let left_out = whole_stages(pipeline, &builder.selected.left_out);
    Ok(Plan {
        pipeline: Arc::clone(pipeline),
        graph: builder.graph,
        stages: builder.stages,
        left_out,
        request,
    })
}

/// A stage whose steps are all left out for the same reason is told in one line.
fn whole_stages(pipeline: &Pipeline, left_out: &[LeftOut]) -> Vec<LeftOut> {
    let mut out: Vec<LeftOut> = Vec::new();
    let mut rest = left_out;
    while let Some(first) = rest.first() {
        let Part::Step(id) = first.part else {
            out.push(first.clone());
            rest = &rest[1..];
            continue;
        };
        let stage = pipeline.step(id).stage;
        let steps = &pipeline.stage(stage).steps;
        let same = rest.iter().take_while(|l| {
            l.reason == first.reason
                && matches!(l.part, Part::Step(s) if pipeline.step(s).stage == stage)
        });
        let count = same.count();
        if count == steps.len() && count > 1 {
            out.push(LeftOut {
                part: Part::Stage(stage),
                reason: first.reason.clone(),
            });
        } else {
            out.extend_from_slice(&rest[..count]);
        }
        rest = &rest[count..];
    }
    out
}

impl Builder<'_> {
    fn stage(&mut self, id: StageId) {
        let pipeline = self.pipeline;
        let stage = pipeline.stage(id);
        let steps: Vec<StepId> = stage
            .steps
            .iter()
            .copied()
            .filter(|s| self.selected.has(*s))
            .collect();
        if steps.is_empty() {
            return;
        }
        let at = self.stages.len();
        let begin = self.graph.add_node(Vertex::Begin(at));
        let end = self.graph.add_node(Vertex::End(at));
        self.stage_at[id.0 as usize] = Some(at);
        self.stages.push(PlannedStage {
            name: stage.name.value.clone(),
            steps: Vec::new(),
            begin,
            end,
            undo_on_failure: stage.undo_on_failure,
        });
        let outer = self.env(&[], &Leg::new(), &pipeline.env, None);
        let outer = self.env(&outer, &Leg::new(), &stage.env, None);
        for step in steps {
            self.step(step, at, &outer);
        }
    }

    fn step(&mut self, id: StepId, stage: usize, outer: &[(String, Template)]) {
        let pipeline = self.pipeline;
        let step = pipeline.step(id);
        let matrix = step.job().and_then(|j| j.matrix.as_ref());
        let legs = matrix.map_or_else(|| vec![Leg::new()], dsl::model::Matrix::legs);
        for leg in legs {
            let label = match leg.len() {
                0 => step.name.value.clone(),
                _ => {
                    let values: Vec<&str> = leg.values().map(String::as_str).collect();
                    format!("{} ({})", step.name.value, values.join(", "))
                }
            };
            let name = format!("{}.{label}", self.stages[stage].name);
            let mut outer = outer.to_vec();
            for (axis, value) in &leg {
                let variable = axis.to_uppercase().replace('-', "_");
                outer.push((format!("MATRIX_{variable}"), Template::text(value.clone())));
            }
            let env = self.env(&outer, &leg, &step.env, Some(&label));
            let expected = (self.expected)(&name);
            let planned = PlannedStep {
                id,
                stage,
                leg,
                label,
                name,
                env,
                expected,
            };
            let vertex = self.graph.add_node(Vertex::Step(Box::new(planned)));
            self.legs[id.0 as usize].push(vertex);
            self.stages[stage].steps.push(vertex);
        }
        let legs = &self.legs[id.0 as usize];
        if legs.len() > 1 {
            let join = self.graph.add_node(Vertex::Legs(id));
            for leg in legs.clone() {
                self.graph.add_edge(leg, join, Edge::Order);
            }
            self.joined[id.0 as usize] = Some(join);
        }
    }

    /// The outer variables and these, filled in as far as it is known; an inner one wins.
    fn env(
        &mut self,
        outer: &[(String, Template)],
        leg: &Leg,
        vars: &[EnvVar],
        step: Option<&str>,
    ) -> Vec<(String, Template)> {
        let mut env = outer.to_vec();
        for var in vars {
            let template = &var.value.value;
            match values::fill(template, self.pipeline, self.request, leg, &env, &Before) {
                Ok(value) => {
                    env.retain(|(n, _)| *n != var.name.value);
                    env.push((var.name.value.clone(), value));
                }
                Err(_) if self.request.everything => {
                    env.push((var.name.value.clone(), template.clone()));
                }
                Err(missing) => {
                    let user = step.unwrap_or("every step");
                    self.findings
                        .extend(missing.into_iter().map(|m| no_value(m, user)));
                }
            }
        }
        env
    }

    fn stage_edges(&mut self, id: StageId, before: &[StageId]) {
        let Some(at) = self.stage_at[id.0 as usize] else {
            return;
        };
        let begin = self.stages[at].begin;
        let pipeline = self.pipeline;
        for wait in pipeline.stage(id).waits.iter().flatten() {
            self.wait_edges(begin, wait);
        }
        for earlier in before.iter().filter_map(|s| self.stage_at[s.0 as usize]) {
            self.graph
                .add_edge(self.stages[earlier].end, begin, Edge::Order);
        }
    }

    fn step_edges(&mut self, id: StepId) {
        let pipeline = self.pipeline;
        let step = pipeline.step(id);
        for leg in self.legs[id.0 as usize].clone() {
            let Some(at) = self.stage_at[step.stage.0 as usize] else {
                continue;
            };
            self.graph.add_edge(leg, self.stages[at].end, Edge::Order);
            if step.waits_for_stage(pipeline) {
                self.graph.add_edge(self.stages[at].begin, leg, Edge::Order);
            }
            for wait in &step.waits {
                self.wait_edges(leg, wait);
            }
            for used in step.uses(pipeline) {
                for maker in select::makers(pipeline, &self.selected, step.stage, id, &used.what) {
                    self.edge(self.whole(maker), leg, Edge::Reference);
                }
            }
        }
    }

    fn wait_edges(&mut self, to: VertexId, wait: &Wait) {
        let kind = match wait.kind {
            WaitKind::Needs => Edge::Needs,
            WaitKind::Reference => Edge::Reference,
            WaitKind::After => Edge::After,
            WaitKind::OnFailure => Edge::OnFailure,
        };
        match wait.target {
            WaitTarget::Stage(stage) => {
                if let Some(at) = self.stage_at[stage.0 as usize] {
                    self.edge(vec![self.stages[at].end], to, kind);
                }
            }
            WaitTarget::Step(step) if wait.legs.is_empty() => self.edge(self.whole(step), to, kind),
            WaitTarget::Step(step) => {
                let legs = self.legs[step.0 as usize].iter().copied();
                let meant = legs.filter(|v| match &self.graph[*v] {
                    Vertex::Step(s) => wait
                        .legs
                        .iter()
                        .all(|(axis, value)| s.leg.get(axis) == Some(value)),
                    _ => false,
                });
                self.edge(meant.collect(), to, kind);
            }
        }
    }

    /// The one vertex that stands for all of a step; none where it is not part of the run.
    fn whole(&self, step: StepId) -> Vec<VertexId> {
        let at = step.0 as usize;
        self.joined[at].map_or_else(|| self.legs[at].clone(), |join| vec![join])
    }

    fn edge(&mut self, from: Vec<VertexId>, to: VertexId, kind: Edge) {
        for from in from {
            if self.known.insert((from, to, kind)) {
                self.graph.add_edge(from, to, kind);
            }
        }
    }
}

fn no_value(missing: Missing, step: &str) -> Diagnostic {
    let Missing { name, why, span } = missing;
    Diagnostic::new(
        &dsl::codes::values::NO_VALUE,
        format!("`${{{name}}}` has no value in this run"),
        span,
        format!("used by {step}; {why}"),
    )
    .help(format!(
        "restrict the step with `when`, or say what to take instead: `${{{name}.default('…')}}`"
    ))
}
