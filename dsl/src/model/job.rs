//! `job` and what belongs to it alone.

use super::{Command, EnvVar, Matrix, StepId};
use crate::expr::Template;
use crate::source::Spanned;

/// Commands and what they need around them.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The commands, in order.
    pub run: Vec<Command>,
    /// The shell, where it names one.
    pub shell: Option<Shell>,
    /// The folder in which the commands run, relative to the pipeline's.
    pub workdir: Option<Spanned<String>>,
    /// The container, where it names one.
    pub container: Option<Container>,
    /// Containers beside it.
    pub services: Vec<Service>,
    /// Patterns of the files that decide the result.
    pub inputs: Vec<Spanned<String>>,
    /// Patterns of the files that it makes.
    pub outputs: Vec<Spanned<String>>,
    /// Further parts of the cache key.
    pub key: Vec<Spanned<KeyPart>>,
    /// Directories kept between runs.
    pub caches: Vec<KeptDirectory>,
    /// Artifacts that it makes.
    pub artifacts: Vec<Artifact>,
    /// Artifacts of other steps that it takes.
    pub takes: Vec<ArtifactUse>,
    /// The secrets that it may see.
    pub secrets: Vec<Spanned<String>>,
    /// Variables from the environment of `pipe`.
    pub pass_env: Vec<Spanned<String>>,
    /// One leg for each combination.
    pub matrix: Option<Matrix>,
    /// What it takes of the machine.
    pub resources: Resources,
}

/// `shell`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The program.
    pub program: Spanned<String>,
    /// Arguments in front of the text.
    pub args: Vec<String>,
}

/// `container`
#[derive(Debug, Clone)]
pub enum Container {
    /// An image reference.
    Reference(Spanned<Template>),
    /// An image of this pipeline.
    Image(Spanned<String>),
}

/// `service`
#[derive(Debug, Clone)]
pub struct Service {
    /// Its host name.
    pub name: Spanned<String>,
    /// Its image.
    pub image: Spanned<Template>,
    /// Its variables.
    pub env: Vec<EnvVar>,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// The operating system.
    Os,
    /// The processor's architecture.
    Arch,
    /// The content of the files that match.
    File(String),
    /// The value of a variable.
    Env(String),
    /// What a command prints.
    Run(String),
    /// This text.
    Text(String),
}

/// `cache`
#[derive(Debug, Clone)]
pub struct KeptDirectory {
    /// What to call it.
    pub name: Spanned<String>,
    /// The directory; `~` is the job's home.
    pub path: Spanned<String>,
    /// The full key.
    pub key: Vec<Spanned<KeyPart>>,
    /// Shorter keys to fall back to, in order.
    pub restore: Vec<Vec<Spanned<KeyPart>>>,
}

/// `artifact NAME path…`
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Its name.
    pub name: Spanned<String>,
    /// Patterns of its files.
    pub paths: Vec<Spanned<String>>,
}

/// `artifact NAME from=STEP`
#[derive(Debug, Clone)]
pub struct ArtifactUse {
    /// The artifact's name.
    pub name: Spanned<String>,
    /// The step as written.
    pub from: Spanned<String>,
    /// The step that made it, where the name could be resolved.
    pub step: Option<StepId>,
    /// Where to put it.
    pub into: Option<Spanned<String>>,
}

/// `resources`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processor cores; 0: one, not written.
    pub cpu: u32,
    /// Bytes of main memory; 0: not written.
    pub memory: u64,
}
