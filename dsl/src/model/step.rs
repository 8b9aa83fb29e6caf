//! What every step has, whatever it does.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    Approve, Build, Deploy, EnvVar, Job, Promote, Push, Release, Selection, Sign, StageId, StepId,
};
use crate::source::{Span, Spanned};

/// A step of a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// The stage it stands in.
    pub stage: StageId,
    /// Its name, unique in the stage.
    pub name: Spanned<String>,
    /// The whole node.
    pub span: Span,
    /// The `use` that put it here, where it comes from a template.
    pub used_at: Option<Span>,
    /// What it does.
    pub kind: StepKind,
    /// What it waits for.
    pub waits: Vec<Wait>,
    /// In which runs it takes part.
    pub selection: Selection,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Whether it is tried again.
    pub retry: Option<Retry>,
    /// Whether the run goes on when it fails.
    pub allow_failure: bool,
    /// Locks that it holds while it runs.
    pub locks: Vec<Lock>,
    /// Its variables.
    pub env: Vec<EnvVar>,
    /// Clean-up.
    pub always: Vec<Command>,
    /// How to undo it.
    pub rollback: Option<Rollback>,
}

impl Step {
    /// The step whose output the reference at this place names.
    #[must_use]
    pub fn maker_of_output(&self, at: Span) -> Option<StepId> {
        let edge = self
            .waits
            .iter()
            .find(|w| w.kind == WaitKind::Reference && w.span == at)?;
        match edge.target {
            WaitTarget::Step(id) => Some(id),
            WaitTarget::Stage(_) => None,
        }
    }

    /// Whether a later failure can undo it: it says how, or it is a deployment, which goes back to the release before.
    #[must_use]
    pub fn can_be_undone(&self) -> bool {
        self.rollback.is_some() || matches!(self.kind, StepKind::Deploy(_) | StepKind::Promote(_))
    }

    /// Whether its undo is armed before it begins. A deployment's intent is written instead.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.rollback.is_some() && !matches!(self.kind, StepKind::Deploy(_) | StepKind::Promote(_))
    }

    /// The job, if it is one.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        match &self.kind {
            StepKind::Job(job) => Some(job),
            _ => None,
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum StepKind {
    /// Commands.
    Job(Box<Job>),
    /// An image from a Dockerfile.
    Build(Box<Build>),
    /// Images into a registry.
    Push(Push),
    /// Signatures.
    Sign(Sign),
    /// A version, a tag, a release.
    Release(Release),
    /// A promotion rule.
    Promote(Promote),
    /// Images onto a target.
    Deploy(Deploy),
    /// A gate for people.
    Approve(Approve),
}

impl StepKind {
    /// The verb that is written.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            StepKind::Job(_) => "job",
            StepKind::Build(_) => "build",
            StepKind::Push(_) => "push",
            StepKind::Sign(_) => "sign",
            StepKind::Release(_) => "release",
            StepKind::Promote(_) => "promote",
            StepKind::Deploy(_) => "deploy",
            StepKind::Approve(_) => "approve",
        }
    }

    /// Whether it changes the outside world: such a step is asked about when it is run by name.
    #[must_use]
    pub fn has_effects(&self) -> bool {
        matches!(
            self,
            StepKind::Push(_)
                | StepKind::Sign(_)
                | StepKind::Release(_)
                | StepKind::Promote(_)
                | StepKind::Deploy(_)
        )
    }
}

/// Something that must come first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// What.
    pub target: WaitTarget,
    /// In which way.
    pub kind: WaitKind,
    /// Not waited for where it is not part of the run.
    pub optional: bool,
    /// Only the legs with these values.
    pub legs: IndexMap<String, String>,
    /// Where it was written: a name, or the reference that makes the edge.
    pub span: Span,
}

/// A step or a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WaitTarget {
    /// One step, all its legs.
    Step(StepId),
    /// All steps of a stage.
    Stage(StageId),
}

/// The kind of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WaitKind {
    /// It must have succeeded; written with `needs`.
    Needs,
    /// It must have succeeded; implied by a reference to what it makes.
    Reference,
    /// It must have ended.
    After,
    /// It must have failed.
    OnFailure,
}

impl WaitKind {
    /// The word for it in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            WaitKind::Needs => "needs",
            WaitKind::Reference => "uses",
            WaitKind::After => "runs after",
            WaitKind::OnFailure => "runs on failure of",
        }
    }
}

/// `retry`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// More tries after the first.
    pub count: u32,
    /// The time before the second try; it doubles from one to the next.
    pub backoff: Duration,
    /// Only after these exit codes; none: after every failure.
    pub on_exit: Vec<i32>,
}

/// `lock`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its name, the same in the whole pipeline.
    pub name: Spanned<String>,
    /// How many may hold it at once.
    pub slots: u32,
}

/// One `run` node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Text for the job's shell.
    Shell(Spanned<String>),
    /// A program and its arguments, without a shell.
    Exec(Vec<Spanned<String>>),
}

impl Command {
    /// Where it was written.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Command::Shell(text) => text.span,
            Command::Exec(words) => words[0].span,
        }
    }

    /// One line that shows it.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Command::Shell(text) => {
                let mut lines = text.value.lines().map(str::trim).filter(|l| !l.is_empty());
                let first = lines.next().unwrap_or_default().to_owned();
                if lines.next().is_some() {
                    first + " …"
                } else {
                    first
                }
            }
            Command::Exec(words) => words
                .iter()
                .map(|w| w.value.as_str())
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

/// `rollback`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The commands.
    pub run: Vec<Command>,
    /// How long they may take.
    pub timeout: Option<Duration>,
}
