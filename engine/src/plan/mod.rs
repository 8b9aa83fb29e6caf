//! A pipeline and what a run is about, in; the graph of exactly this run, out. Pure: the same in gives the same out,
//! so that it can be printed, drawn, compared and tested. Starts nothing, reads nothing.

mod accept;
mod build;
mod conditions;
mod env;
mod order;
mod pattern;
mod request;
mod select;
mod values;

use std::sync::Arc;
use std::time::Duration;

use dsl::diagnostic::Diagnostic;
use dsl::expr::{Missing, Template};
use dsl::model::{
    Driver, Leg, Made, Pipeline, Promote, Promotion, Registry, Step, StepId, StepKind, Target,
};
use dsl::source::Spanned;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

pub use accept::{NotAccepted, refused};
pub use env::{Env, Iter, Variable};
pub use request::{Request, RequestError};
pub use select::{LeftOut, Part};
pub use values::{RunFacts, fill};

/// The graph of one run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it was made from.
    pub pipeline: Arc<Pipeline>,
    /// What the run is about.
    pub request: Request,
    /// The steps and fan-in points; edges lead from what comes first.
    pub graph: DiGraph<Vertex, Edge>,
    /// The stages that are part of the run, in file order.
    pub stages: Vec<PlannedStage>,
    /// What is not part of the run, in file order, and why.
    pub left_out: Vec<LeftOut>,
}

/// Index of a vertex of a [`Plan`].
pub type VertexId = NodeIndex<u32>;

/// A stage that is part of the run.
#[derive(Debug, Clone)]
pub struct PlannedStage {
    /// Its name.
    pub name: String,
    /// Its steps, legs side by side, in file order.
    pub steps: Vec<VertexId>,
    /// The point before its steps.
    pub begin: VertexId,
    /// The point after its steps.
    pub end: VertexId,
    /// Whether a failure undoes its steps in reverse order.
    pub undo_on_failure: bool,
}

/// A point of the graph.
#[derive(Debug, Clone)]
pub enum Vertex {
    /// A step, or one leg of it.
    Step(Box<PlannedStep>),
    /// The beginning of a stage, by its index in [`Plan::stages`].
    Begin(usize),
    /// The end of a stage.
    End(usize),
    /// The end of all legs of a job.
    Legs(StepId),
}

/// A step of this run, with all values put in that are known before it.
#[derive(Debug, Clone)]
pub struct PlannedStep {
    /// The step of the pipeline.
    pub id: StepId,
    /// Index of its stage in [`Plan::stages`].
    pub stage: usize,
    /// The leg of its matrix; empty without one.
    pub leg: Leg,
    /// `unit`, or `unit (linux, stable)`: unique in its stage.
    pub label: String,
    /// `test.unit (linux, stable)`: unique in the run.
    pub name: String,
    /// Its variables: of the pipeline, the stage, the matrix and its own. What is known only later is left open.
    pub env: Env,
    /// How long it took before, where that is known.
    pub expected: Option<Duration>,
}

/// Why one vertex comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// It must have succeeded; written with `needs`.
    Needs,
    /// It must have succeeded; implied by a reference to what it makes.
    Reference,
    /// It must have ended.
    After,
    /// It must have failed.
    OnFailure,
    /// The order of stages, and what leads into and out of fan-in points.
    Order,
}

impl Edge {
    /// The word for it in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Edge::Needs => "needs",
            Edge::Reference => "uses",
            Edge::After => "after",
            Edge::OnFailure => "on-failure",
            Edge::Order => "order",
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone)]
pub enum PlanError {
    /// The request does not fit the pipeline.
    Request(Vec<RequestError>),
    /// Values that the run's steps need are missing.
    Findings(Vec<Diagnostic>),
}

/// Makes the plan of a run. `expected` gives a step's usual duration by its name.
///
/// # Errors
/// Everything that is wrong with the request, or every value that a selected step lacks.
pub fn plan(
    pipeline: &Arc<Pipeline>,
    request: Request,
    expected: &dyn Fn(&str) -> Option<Duration>,
) -> Result<Plan, PlanError> {
    let params = request::check(pipeline, &request).map_err(PlanError::Request)?;
    let request = Request { params, ..request };
    let selection = select::select(pipeline, &request);
    build::build(pipeline, request, selection, expected).map_err(PlanError::Findings)
}

impl Plan {
    /// The step at a vertex; `None` for a fan-in point.
    #[must_use]
    pub fn step(&self, id: VertexId) -> Option<&PlannedStep> {
        match &self.graph[id] {
            Vertex::Step(step) => Some(step),
            _ => None,
        }
    }

    /// What the author wrote for a planned step.
    #[must_use]
    pub fn definition(&self, step: &PlannedStep) -> &Step {
        self.pipeline.step(step.id)
    }

    /// All steps with their vertices, in file order.
    pub fn steps(&self) -> impl Iterator<Item = (VertexId, &PlannedStep)> {
        let ids = self.stages.iter().flat_map(|s| s.steps.iter().copied());
        ids.filter_map(|id| Some((id, self.step(id)?)))
    }

    /// The vertex of the step with this full name, or with this label where only one has it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<VertexId> {
        let full = self.steps().find(|(_, s)| s.name == name);
        let mut short = self.steps().filter(|(_, s)| s.label == name);
        full.or_else(|| short.next().filter(|_| short.next().is_none()))
            .map(|(id, _)| id)
    }

    /// The text of the run's concurrency group; `None` without one.
    ///
    /// # Errors
    /// A reference in it that has no value.
    pub fn concurrency_group(&self) -> Result<Option<String>, Missing> {
        let Some(concurrency) = &self.pipeline.concurrency else {
            return Ok(None);
        };
        let group = &concurrency.group.value;
        let filled = fill(
            group,
            &self.pipeline,
            &self.request,
            &Leg::new(),
            &[],
            &values::Before,
        );
        let filled = filled.map_err(|mut missing| missing.remove(0))?;
        Ok(Some(filled.known().unwrap_or_else(|| filled.to_string())))
    }

    /// The steps of this run that make an image for one of them, as far as its stage sees; `pushed` wants it in a
    /// registry, where somebody pushes it.
    #[must_use]
    pub fn makers_of_image(&self, own: VertexId, name: &str, pushed: bool) -> Vec<VertexId> {
        let Some(own) = self.step(own) else {
            return Vec::new();
        };
        let what = Made::Image {
            name: name.to_owned(),
            pushed,
        };
        self.makers(own, &what)
    }

    /// The steps of this run that make something for one of them, as far as its stage sees.
    #[must_use]
    pub fn makers(&self, own: &PlannedStep, what: &Made) -> Vec<VertexId> {
        let taking_part = |id: StepId| id != own.id && self.steps().any(|(_, s)| s.id == id);
        let stage = self.definition(own).stage;
        let makers = self.pipeline.makers(stage, what, &taking_part);
        self.steps()
            .filter(|(_, s)| makers.contains(&s.id))
            .map(|(vertex, _)| vertex)
            .collect()
    }

    /// Whether people have to approve before a step begins, in this run.
    #[must_use]
    pub fn is_approved(&self, id: StepId) -> bool {
        let mut seen = vec![false; self.graph.node_count()];
        let own = self.steps().filter(|(_, s)| s.id == id).map(|(v, _)| v);
        let mut open: Vec<VertexId> = own.collect();
        while let Some(vertex) = open.pop() {
            if std::mem::replace(&mut seen[vertex.index()], true) {
                continue;
            }
            let gate = self.step(vertex).map(|s| &self.definition(s).kind);
            if matches!(gate, Some(StepKind::Approve(_))) {
                return true;
            }
            open.extend(self.graph.neighbors_directed(vertex, Direction::Incoming));
        }
        false
    }

    /// The registries that the steps of this run speak to.
    #[must_use]
    pub fn registries(&self) -> Vec<&Registry> {
        let all = &self.pipeline.registries;
        let mut found: Vec<&Registry> = Vec::new();
        for (_, step) in self.steps() {
            let names: Vec<&str> = match &self.definition(step).kind {
                StepKind::Push(push) => vec![&push.registry.value],
                StepKind::Promote(promote) if !self.is_transfer(promote) => {
                    let rule = self.pipeline.promotions.get(&promote.rule.value);
                    let tagging = rule.map(|r| self.tagging(r)).unwrap_or_default();
                    tagging.iter().map(|r| r.name.value.as_str()).collect()
                }
                StepKind::Promote(promote) => {
                    let rule = self.pipeline.promotions.get(&promote.rule.value);
                    let ends = rule.map(|r| [&r.from].into_iter().chain(r.destinations()));
                    let ends = ends.into_iter().flatten();
                    ends.map(|name| name.value.as_str()).collect()
                }
                // A stranger's build may not write there, and finds what it may read.
                StepKind::Build(build) if self.request.context.trusted => {
                    let names = build.cache_registries.iter();
                    names.map(|name| name.value.as_str()).collect()
                }
                _ => Vec::new(),
            };
            for registry in names.iter().filter_map(|n| all.get(*n)) {
                if !found.iter().any(|f| f.name.value == registry.name.value) {
                    found.push(registry);
                }
            }
        }
        found
    }

    /// The registries with whose images builds of this run begin, because the layers are kept in the image itself: this run
    /// may speak to none of them otherwise, and goes on without a login there.
    #[must_use]
    pub fn registries_begun_with(&self) -> Vec<&Registry> {
        if !self.request.context.trusted {
            return Vec::new();
        }
        let builds = self
            .steps()
            .filter_map(|(_, s)| match &self.definition(s).kind {
                StepKind::Build(build) if build.cache_inline => build.image.as_ref(),
                _ => None,
            });
        let images: Vec<&str> = builds.map(|image| image.value.as_str()).collect();
        let pushes = self.pipeline.steps.iter().filter_map(|s| match &s.kind {
            StepKind::Push(push) => Some(push),
            _ => None,
        });
        let of_them = pushes.filter(|p| p.images.iter().any(|i| images.contains(&&*i.value)));
        let mut names: Vec<&str> = of_them.map(|p| p.registry.value.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let all = &self.pipeline.registries;
        names.into_iter().filter_map(|name| all.get(name)).collect()
    }

    /// The registries of a promotion to a target that sets tags: where they are set, and where its images are.
    #[must_use]
    pub fn tagging(&self, rule: &Promotion) -> Vec<&Registry> {
        let all = &self.pipeline.registries;
        let named = rule.tags.iter().filter_map(|(_, place)| place.as_ref());
        let named = named.map(|place| place.value.as_str());
        let pushes = self
            .pipeline
            .steps
            .iter()
            .filter_map(|step| match &step.kind {
                StepKind::Push(push) => Some(push),
                _ => None,
            });
        let moves = |image: &Spanned<String>| rule.images.iter().any(|i| i.value == image.value);
        let pushes = pushes.filter(|push| push.images.iter().any(moves));
        let mut names: Vec<&str> = Vec::new();
        for name in named.chain(pushes.map(|push| push.registry.value.as_str())) {
            if !rule.tags.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        names.into_iter().filter_map(|name| all.get(name)).collect()
    }

    /// Whether a job needs a container engine. A build needs one only when it has to run.
    #[must_use]
    pub fn needs_engine(&self) -> bool {
        let contained = |step: &PlannedStep| {
            let job = self.definition(step).job();
            job.is_some_and(|j| j.container.is_some())
        };
        self.steps().any(|(_, step)| contained(step))
    }

    /// Whether an image is built.
    #[must_use]
    pub fn builds(&self) -> bool {
        self.steps()
            .any(|(_, step)| matches!(self.definition(step).kind, StepKind::Build(_)))
    }

    /// Whether something is deployed to a container engine of this machine.
    #[must_use]
    pub fn drives_engine(&self) -> bool {
        let targets = self.steps().filter_map(|(_, step)| {
            let name = match &self.definition(step).kind {
                StepKind::Deploy(deploy) => &deploy.target.value,
                StepKind::Promote(promote) => {
                    &self.pipeline.promotions.get(&promote.rule.value)?.to.value
                }
                _ => return None,
            };
            self.pipeline.targets.get(name)
        });
        let local = |t: &Target| {
            let driver = t.driver.as_ref();
            t.ssh.is_none() && matches!(driver, Some(Driver::Container(_) | Driver::Compose(_)))
        };
        targets.into_iter().any(local)
    }

    /// Whether a promotion goes from registry to registry.
    #[must_use]
    pub fn is_transfer(&self, promote: &Promote) -> bool {
        let rule = self.pipeline.promotions.get(&promote.rule.value);
        rule.is_some_and(|rule| {
            !self.pipeline.targets.contains_key(&rule.to.value)
                && self.pipeline.registries.contains_key(&rule.to.value)
        })
    }

    /// A text of a step, with the values that are known before the run.
    #[must_use]
    pub fn text(&self, step: &PlannedStep, template: &Template) -> String {
        let (pipeline, request) = (&self.pipeline, &self.request);
        let filled = values::fill_before(template, pipeline, request, &step.leg, &step.env);
        filled.map_or_else(|_| template.to_string(), |t| t.to_string())
    }
}
