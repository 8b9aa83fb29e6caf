//! What the author of a file meant: plain data, names resolved, templates put in place.
//! Knows no syntax and no run; spans are carried so that later findings can point into the file.

mod delivery;
mod job;
mod matrix;
mod order;
mod remote;
mod select;
mod step;
mod target;
mod uses;

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::expr::{Ref, Template};
use crate::source::{Span, Spanned};

pub use delivery::{
    Approve, Approvers, Build, Deploy, Earlier, Image, Login, Notify, Promote, Push, Registry,
    Release, ReleaseOptions, Sign, Version, VersionScheme,
};
pub use job::{
    Artifact, ArtifactUse, Ask, Container, Job, KeptDirectory, KeyPart, Pull, Ready, Resources,
    Service, Shell,
};
pub use matrix::{Leg, MAX_LEGS, Matrix};
pub use remote::RemoteCache;
pub use select::{Condition, Selection};
pub use step::{Command, Lock, Retry, Rollback, Step, StepKind, Wait, WaitKind, WaitTarget};
pub use target::{
    Compose, ComposeStep, Driver, Ecs, Kubernetes, OneContainer, OwnCommands, Promotion,
    Requirement, SshHost, Strategy, Target,
};
pub use uses::{Made, Use};

/// Index of a [`Step`] in [`Pipeline::steps`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepId(pub u32);

/// Index of a [`Stage`] in [`Pipeline::stages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StageId(pub u32);

/// A whole pipeline.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pipeline {
    /// Its name; `pipeline` where the file gives none.
    pub name: String,
    /// Whether the ledger of its targets is kept in files of this machine, and not on git refs.
    pub ledger_files: bool,
    /// Whose approvals count; none: whoever may write the ledger.
    pub approvers: Option<Approvers>,
    /// The container engine asked for.
    pub engine: Option<Spanned<String>>,
    /// At most one run of a group at a time.
    pub concurrency: Option<Concurrency>,
    /// The shell of jobs that name none.
    pub shell: Option<Shell>,
    /// The time limit of steps that name none.
    pub timeout: Option<Duration>,
    /// Variables passed to every job from the environment of `pipe`.
    pub pass_env: Vec<Spanned<String>>,
    /// Variables of every job.
    pub env: Vec<EnvVar>,
    /// Parameters of a run.
    pub params: IndexMap<String, Param>,
    /// Secrets.
    pub secrets: IndexMap<String, Secret>,
    /// Registries.
    pub registries: IndexMap<String, Registry>,
    /// Images, declared or made by a `build`.
    pub images: IndexMap<String, Image>,
    /// Versions.
    pub versions: IndexMap<String, Version>,
    /// Targets, with what `like=` takes over filled in.
    pub targets: IndexMap<String, Target>,
    /// Promotions.
    pub promotions: IndexMap<String, Promotion>,
    /// Who is told what.
    pub notifies: Vec<Notify>,
    /// Where results are shared between machines.
    pub remote_cache: Option<RemoteCache>,
    /// The stages, in file order.
    pub stages: Vec<Stage>,
    /// The steps of all stages, in file order.
    pub steps: Vec<Step>,
    /// Who makes what.
    makers: IndexMap<Made, Vec<StepId>>,
}

impl Pipeline {
    /// The same with one more step, in a stage of its own: something that is asked for and not written.
    #[must_use]
    pub fn with_step(mut self, stage: &str, name: &str, kind: StepKind, at: Span) -> Self {
        let stage_id = StageId(u32::try_from(self.stages.len()).unwrap_or(u32::MAX));
        let step_id = StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX));
        self.stages.push(Stage {
            name: Spanned::new(stage.to_owned(), at),
            steps: vec![step_id],
            selection: Selection::default(),
            undo_on_failure: false,
            waits: Some(Vec::new()),
            env: Vec::new(),
        });
        self.steps.push(Step {
            stage: stage_id,
            name: Spanned::new(name.to_owned(), at),
            span: at,
            used_at: None,
            kind,
            waits: Vec::new(),
            selection: Selection::default(),
            timeout: None,
            retry: None,
            allow_failure: false,
            locks: Vec::new(),
            env: Vec::new(),
            always: Vec::new(),
            rollback: None,
        });
        self
    }

    /// The step with this id.
    #[must_use]
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.0 as usize]
    }

    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0 as usize]
    }

    /// All stages with their ids.
    pub fn stage_ids(&self) -> impl Iterator<Item = StageId> + use<> {
        (0..u32::try_from(self.stages.len()).unwrap_or(u32::MAX)).map(StageId)
    }

    /// `stage.step`, the name that is unique in the pipeline.
    #[must_use]
    pub fn full_name(&self, id: StepId) -> String {
        let step = self.step(id);
        format!("{}.{}", self.stage(step.stage).name.value, step.name.value)
    }
}

/// A phase of the pipeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: Spanned<String>,
    /// Its steps, in file order.
    pub steps: Vec<StepId>,
    /// In which runs it takes part.
    pub selection: Selection,
    /// `rollback=reverse`.
    pub undo_on_failure: bool,
    /// What it waits for, where it says so itself; `None`: the stages before it.
    pub waits: Option<Vec<Wait>>,
    /// Variables of its jobs.
    pub env: Vec<EnvVar>,
}

/// `concurrency`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Concurrency {
    /// Runs with the same text are one group.
    pub group: Spanned<Template>,
    /// Whether a new run cancels the one that runs.
    pub cancel: bool,
}

/// One variable of an `env` node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: Spanned<String>,
    /// Its value.
    pub value: Spanned<Template>,
}

/// A parameter of the pipeline or of a template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: Spanned<String>,
    /// Its type.
    pub ty: ParamType,
    /// The value where none is given.
    pub default: Option<Spanned<String>>,
    /// What it is for.
    pub doc: Option<String>,
}

/// The type of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Enum(Vec<String>),
    /// A duration.
    Duration,
    /// A relative path.
    Path,
    /// Several texts; of templates only.
    List,
}

impl ParamType {
    /// Whether `text` is a value of this type.
    ///
    /// # Errors
    /// What would be one, in words that follow "expected".
    pub fn accepts(&self, text: &str) -> Result<(), String> {
        let ok = match self {
            ParamType::String | ParamType::List => true,
            ParamType::Int => text.parse::<i64>().is_ok(),
            ParamType::Bool => matches!(text, "true" | "false"),
            ParamType::Enum(words) => words.iter().any(|w| w == text),
            ParamType::Duration => crate::units::duration(text).is_ok(),
            ParamType::Path => crate::units::relative_path(text).is_ok(),
        };
        if ok { Ok(()) } else { Err(self.describe()) }
    }

    fn describe(&self) -> String {
        match self {
            ParamType::String => "text".into(),
            ParamType::List => "a list".into(),
            ParamType::Int => "a whole number".into(),
            ParamType::Bool => "`true` or `false`".into(),
            ParamType::Enum(words) => format!("one of `{}`", words.join("`, `")),
            ParamType::Duration => "a duration such as `30m`".into(),
            ParamType::Path => "a path beneath the pipeline's folder".into(),
        }
    }
}

/// A declared secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Secret {
    /// Its name, and the variable under which a job sees it.
    pub name: Spanned<String>,
    /// Where its value comes from.
    pub source: SecretSource,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretSource {
    /// An environment variable of `pipe` itself.
    Env(String),
    /// A file; `~` is the user's home.
    File(String),
    /// A command that prints it.
    Command(String),
}

impl Pipeline {
    /// Whether some condition asks which files changed.
    #[must_use]
    pub fn asks_for_paths(&self) -> bool {
        let stages = self.stages.iter().map(|s| &s.selection);
        let all = stages.chain(self.steps.iter().map(|s| &s.selection));
        all.flat_map(|s| s.when.iter().chain(&s.unless))
            .any(|c| !c.paths.is_empty())
    }

    /// Whether something asks who made the commit, or what it says: a reference, or somebody who decides what goes to a
    /// place. May say so where it is not certain.
    #[must_use]
    pub fn asks_for_commit(&self) -> bool {
        let jobs_only = self.steps.iter().all(|s| match s.kind {
            StepKind::Job(_) | StepKind::Build(_) | StepKind::Push(_) => true,
            StepKind::Sign(_)
            | StepKind::Release(_)
            | StepKind::Promote(_)
            | StepKind::Deploy(_)
            | StepKind::Approve(_) => false,
        });
        if !jobs_only || !self.targets.is_empty() || !self.promotions.is_empty() {
            return true;
        }
        let stages = self.stages.iter().flat_map(|s| &s.env);
        let outer = self.env.iter().chain(stages).map(|v| &v.value);
        let groups = self.concurrency.iter().map(|c| &c.group);
        let prefixes = self.registries.values().map(|r| &r.prefix);
        let steps = self.steps.iter().flat_map(Step::templates);
        let all = outer.chain(groups).chain(prefixes).chain(steps);
        let mut named = all.flat_map(|t| t.value.exprs());
        named.any(|e| matches!(e.target, Ref::Git("author" | "message")))
    }
}
