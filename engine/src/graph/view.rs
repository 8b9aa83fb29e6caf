//! What every format draws: stages, boxes and lines. Plain data; knows no format and makes no choices about space.

use std::collections::BTreeMap;

use dsl::source::Span;
use serde::Serialize;

/// A plan, ready to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The pipeline's name.
    pub pipeline: String,
    /// What the run is: `push on main`.
    pub run: String,
    /// The stages, in file order; none where each is drawn as one node.
    pub stages: Vec<Stage>,
    /// The nodes: steps in file order, each followed by its image and its undo, then registries and targets.
    pub nodes: Vec<Node>,
    /// Jobs with several legs.
    pub matrices: Vec<Matrix>,
    /// The edges, from what comes first.
    pub edges: Vec<Edge>,
    /// What is not part of the run.
    pub left_out: Vec<LeftOut>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Indices of its nodes.
    pub nodes: Vec<usize>,
    /// Whether a failure undoes all its steps.
    pub undo_on_failure: bool,
    /// The names of its steps with an undo, in the order in which they would be undone.
    pub undo: Vec<String>,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it stands for.
    pub kind: NodeKind,
    /// Its full name: a step's `stage.step`, else that of the image, registry and so on.
    pub name: String,
    /// What is written in it.
    pub label: String,
    /// A second line.
    pub detail: Option<String>,
    /// The values of a leg: `linux, stable`.
    pub leg: Option<String>,
    /// Index of its stage.
    pub stage: Option<usize>,
    /// Where it is declared.
    pub span: Option<Span>,
    /// How it ended, where a run is drawn.
    pub status: Option<Status>,
}

impl View {
    /// Writes at the images what a run put out: the digest of each. `put_out` gives it by the name of the step.
    pub fn show_digests(&mut self, put_out: &dyn Fn(&str) -> Option<String>) {
        for edge in &self.edges {
            let (End::Node(from), End::Node(to)) = (edge.from, edge.to) else {
                continue;
            };
            if self.nodes[to].kind != NodeKind::Image || self.nodes[from].kind != NodeKind::Build {
                continue;
            }
            if let Some(digest) = put_out(&self.nodes[from].name) {
                // The first digits are enough for a person, and fit.
                self.nodes[to].detail = Some(digest.chars().take(19).collect());
            }
        }
    }
}

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// Commands.
    Job,
    /// A step that makes an image.
    Build,
    /// A step that puts images into a registry.
    Push,
    /// A step that signs images.
    Sign,
    /// A step that makes a release.
    Release,
    /// A step that carries out a promotion.
    Promote,
    /// A step that puts images onto a target.
    Deploy,
    /// A gate for people.
    Approve,
    /// How a step is undone.
    Rollback,
    /// An image that a step of this run makes.
    Image,
    /// A registry.
    Registry,
    /// A target.
    Target,
    /// A whole stage.
    Stage,
    /// A remark about the drawing.
    Note,
}

impl NodeKind {
    /// Whether it is a step.
    #[must_use]
    pub fn is_step(self) -> bool {
        self <= NodeKind::Approve
    }
}

/// All legs of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The job's full name.
    pub name: String,
    /// The job's name in its stage.
    pub label: String,
    /// Indices of its nodes.
    pub legs: Vec<usize>,
}

/// A line from what comes first to what comes then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// What comes first.
    pub from: End,
    /// What comes then.
    pub to: End,
    /// Why.
    pub kind: EdgeKind,
    /// What is written at it; often nothing.
    pub label: String,
}

/// An end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A node.
    Node(usize),
    /// Each leg of a job, by its index in [`View::matrices`].
    Legs(usize),
    /// A whole stage.
    Stage(usize),
}

/// Why one comes before the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeKind {
    /// It must have succeeded; written with `needs`.
    Needs,
    /// It must have succeeded; implied by a reference.
    Uses,
    /// It must have ended.
    After,
    /// It must have failed.
    OnFailure,
    /// What undoes it.
    Rollback,
    /// The way of a promotion.
    Promote,
    /// The way of an image: out of its build, into a registry, onto a target.
    Flow,
    /// The order of stages.
    Order,
}

/// Something that is not part of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The stage, or `stage.step`.
    pub name: String,
    /// Whether it is a whole stage.
    pub stage: bool,
    /// Why.
    pub reason: String,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It had succeeded before, with the same inputs.
    Cached,
    /// It succeeded.
    Passed,
    /// It did not run.
    Skipped,
    /// It failed, and was allowed to.
    SoftFailed,
    /// It was stopped.
    Cancelled,
    /// It was undone.
    RolledBack,
    /// It failed.
    Failed,
    /// Nobody knows.
    Unknown,
    /// Its undo failed.
    RollbackFailed,
}

impl Status {
    /// The word for it in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Status::Cached => "cached",
            Status::Passed => "passed",
            Status::Skipped => "skipped",
            Status::SoftFailed => "soft-failed",
            Status::Cancelled => "cancelled",
            Status::RolledBack => "rolled-back",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
            Status::RollbackFailed => "rollback-failed",
        }
    }
}

/// How steps ended, by their full names.
pub type Statuses = BTreeMap<String, Status>;
