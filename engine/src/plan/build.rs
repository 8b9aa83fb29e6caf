//! The selected steps as a graph: legs, fan-in points, edges, values.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dsl::diagnostic::Diagnostic;
use dsl::expr::{Missing, Template};
use dsl::model::{EnvVar, Leg, Pipeline, StageId, StepId, Wait, WaitKind, WaitTarget};
use petgraph::graph::DiGraph;

use super::select::{self, LeftOut, Part, Selected};
use super::values;
use super::{Edge, Env, Plan, PlannedStage, PlannedStep, Request, Variable, Vertex, VertexId};

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
    /// The edges that references and `needs` made to the vertex in hand, so that none is there twice.
    known: BTreeSet<(VertexId, Edge)>,
    /// The variables of the pipeline, once they are filled in.
    env: Option<Arc<Vec<Variable>>>,
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
        env: None,
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
        let outer = self.outer_env(&stage.env);
        for step in steps {
            self.step(step, at, &outer);
        }
    }

    /// The variables of the pipeline and of a stage.
    fn outer_env(&mut self, stage: &[EnvVar]) -> Arc<Vec<Variable>> {
        let pipeline = self.pipeline;
        let of_pipeline = self.env.clone().unwrap_or_else(|| {
            let before = self.findings.len();
            let mut env = Env::default();
            self.set(&mut env, &Leg::new(), &pipeline.env, None);
            let env = env.shared();
            // What is missing is said for every stage.
            if self.findings.len() == before {
                self.env = Some(Arc::clone(&env));
            }
            env
        });
        let mut env = Env::around(of_pipeline);
        self.set(&mut env, &Leg::new(), stage, None);
        env.shared()
    }

    fn step(&mut self, id: StepId, stage: usize, outer: &Arc<Vec<Variable>>) {
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
            let mut env = Env::around(Arc::clone(outer));
            for (axis, value) in &leg {
                let variable = axis.to_uppercase().replace('-', "_");
                let name = format!("MATRIX_{variable}");
                env.add_axis(name, Template::text(value.clone()));
            }
            self.set(&mut env, &leg, &step.env, Some(&label));
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

    /// Sets these variables, filled in as far as it is known; an inner one wins.
    fn set(&mut self, env: &mut Env, leg: &Leg, vars: &[EnvVar], step: Option<&str>) {
        for var in vars {
            let template = &var.value.value;
            match values::fill_before(template, self.pipeline, self.request, leg, env) {
                Ok(value) => env.set(&var.name.value, value),
                Err(_) if self.request.everything => {
                    env.set(&var.name.value, template.clone());
                }
                Err(missing) => {
                    let user = step.unwrap_or("every step");
                    self.findings
                        .extend(missing.into_iter().map(|m| no_value(m, user)));
                }
            }
        }
    }

    fn stage_edges(&mut self, id: StageId, before: &[StageId]) {
        let Some(at) = self.stage_at[id.0 as usize] else {
            return;
        };
        let begin = self.stages[at].begin;
        let pipeline = self.pipeline;
        self.known.clear();
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
        let Some(at) = self.stage_at[step.stage.0 as usize] else {
            return;
        };
        if self.legs[id.0 as usize].is_empty() {
            return;
        }
        let makers = self.makers(id);
        for leg in 0..self.legs[id.0 as usize].len() {
            let leg = self.legs[id.0 as usize][leg];
            self.graph.add_edge(leg, self.stages[at].end, Edge::Order);
            if step.waits_for_stage(pipeline) {
                self.graph.add_edge(self.stages[at].begin, leg, Edge::Order);
            }
            self.known.clear();
            for wait in &step.waits {
                self.wait_edges(leg, wait);
            }
            for maker in &makers {
                self.whole_edges(*maker, leg, Edge::Reference);
            }
        }
    }

    /// The steps that make what a step uses.
    fn makers(&self, id: StepId) -> Vec<StepId> {
        let pipeline = self.pipeline;
        let step = pipeline.step(id);
        let makers = |what| select::makers(pipeline, &self.selected, step.stage, id, what);
        let uses = step.uses(pipeline);
        uses.iter().flat_map(|used| makers(&used.what)).collect()
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
                    self.edge(self.stages[at].end, to, kind);
                }
            }
            WaitTarget::Step(step) if wait.legs.is_empty() => self.whole_edges(step, to, kind),
            WaitTarget::Step(step) => {
                let legs = self.legs[step.0 as usize].iter().copied();
                let meant = legs.filter(|v| match &self.graph[*v] {
                    Vertex::Step(s) => wait
                        .legs
                        .iter()
                        .all(|(axis, value)| s.leg.get(axis) == Some(value)),
                    _ => false,
                });
                for leg in meant.collect::<Vec<_>>() {
                    self.edge(leg, to, kind);
                }
            }
        }
    }

    /// An edge from the one vertex that stands for all of a step; none where it is not part of the run.
    fn whole_edges(&mut self, step: StepId, to: VertexId, kind: Edge) {
        let at = step.0 as usize;
        let only = self.legs[at].first().copied();
        if let Some(from) = self.joined[at].or(only) {
            self.edge(from, to, kind);
        }
    }

    fn edge(&mut self, from: VertexId, to: VertexId, kind: Edge) {
        if self.known.insert((from, kind)) {
            self.graph.add_edge(from, to, kind);
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
