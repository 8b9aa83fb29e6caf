//! `job` and what belongs to it alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Command, EnvVar, Matrix, StepId};
use crate::expr::Template;
use crate::source::Spanned;

/// Commands and what they need around them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Job {
    /// The commands, in order.
    pub run: Vec<Command>,
    /// The shell, where it names one.
    pub shell: Option<Shell>,
    /// The folder in which the commands run, relative to the pipeline's.
    pub workdir: Option<Spanned<String>>,
    /// The container, where it names one.
    pub container: Option<Container>,
    /// The platform of its image and of those of its services, where it names one.
    pub platform: Option<String>,
    /// When its image is fetched.
    pub pull: Pull,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    /// The program.
    pub program: Spanned<String>,
    /// Arguments in front of the text.
    pub args: Vec<String>,
}

/// `container`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Container {
    /// An image reference.
    Reference(Spanned<Template>),
    /// An image of this pipeline.
    Image(Spanned<String>),
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pull {
    /// When it is not there.
    #[default]
    Missing,
    /// Each time.
    Always,
    /// Not at all.
    Never,
}

/// `ready` of a service
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ready {
    /// What is asked; several must all hold.
    pub asks: Vec<Ask>,
    /// How long to wait for it.
    pub within: Duration,
    /// The time between two tries.
    pub every: Duration,
    /// How long it must stay ready.
    pub stable_for: Duration,
}

/// How readiness is found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// An HTTP answer.
    Http {
        /// The address.
        url: Spanned<Template>,
        /// The status to expect.
        status: u16,
        /// Texts that the answer must contain.
        contains: Vec<Spanned<Template>>,
    },
    /// `host:port` that accepts a connection.
    Tcp(Spanned<Template>),
    /// A command that succeeds.
    Command(Spanned<String>),
}

impl Ask {
    /// Its texts with references.
    #[must_use]
    pub fn templates(&self) -> Vec<&Spanned<Template>> {
        match self {
            Ask::Http { url, contains, .. } => [url].into_iter().chain(contains).collect(),
            Ask::Tcp(address) => vec![address],
            Ask::Command(_) => Vec::new(),
        }
    }
}

/// `service`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Service {
    /// Its host name.
    pub name: Spanned<String>,
    /// Its image.
    pub image: Spanned<Template>,
    /// Its variables.
    pub env: Vec<EnvVar>,
    /// When it counts as ready; otherwise as soon as it is started.
    pub ready: Option<Ready>,
}

/// A part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name.
    pub name: Spanned<String>,
    /// Patterns of its files.
    pub paths: Vec<Spanned<String>>,
}

/// `artifact NAME from=STEP`
#[derive(Debug, Clone, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor cores; 0: one, not written.
    pub cpu: u32,
    /// Bytes of main memory; 0: not written.
    pub memory: u64,
}
