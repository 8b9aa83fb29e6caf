//! Containers of jobs and of their services, through the API of Docker or of Podman: found, begun, used, removed.
//! Knows no plan, no step and no log; whoever uses it gives the setup and takes the output.
//!
//! Every call has its own time, so that an engine that hangs never holds a run. A container carries the mark of the
//! process that made it, so that the next one can remove what a killed one left.

pub(crate) mod auth;
mod choose;
pub mod dead;
mod exec;
mod hello;
mod image;
mod inside;
mod late;
mod mark;
mod prune;
mod ready;
mod reference;
mod room;
mod service;
mod sweep;
mod transfer;
mod turn;

use std::fmt;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;

pub use auth::files as login_files;
pub use choose::{Found, Kind, NotFound, Tried, Wanted, choose, look_everywhere};
pub(crate) use image::is_named_wrong;
pub use image::{Image, Source};
pub use late::Late;
pub use prune::Named;
pub(crate) use ready::judge;
pub use reference::is_by_digest;
pub use room::{Room, Setup};
pub use service::{Probe, Service};
pub use transfer::Built;

use image::Images;
use mark::Mark;

/// How long an engine may take to answer, where nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long the removal of a job's containers may take.
const CLEAN_UP: Duration = Duration::from_secs(20);
/// The same in a run that is cancelled.
const CLEAN_UP_SOON: Duration = Duration::from_secs(8);

/// An engine that answers.
pub struct Engine {
    docker: Docker,
    found: Found,
    patience: Duration,
    mark: Mark,
    images: Images,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// What it is, and why it was chosen.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Waits for an answer, as long as the engine may take.
    async fn ask<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        within(self.patience, what, call).await
    }
}

/// Waits for an answer of an engine.
async fn within<T>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(e)) => Err(Trouble::of(what, e)),
        Err(_) => Err(Trouble::silent(what, limit)),
    }
}

/// What an engine did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What, and why.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Whether an engine or a registry did not do its part, whatever it was asked for.
    pub infrastructure: bool,
    /// The status of its answer, where it answered.
    status: Option<u16>,
}

impl Trouble {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
            infrastructure: false,
            status: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// It is not what was asked for that was wrong.
    fn infrastructure(self) -> Self {
        Self {
            infrastructure: true,
            ..self
        }
    }

    /// `what` is a sentence part: the container could not be made.
    fn of(what: &str, error: Error) -> Self {
        match error {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => Self {
                status: Some(status_code),
                ..Self::new(format!("{what}: {}", said(&message)))
            },
            Error::DockerStreamError { error } => Self::new(format!("{what}: {}", said(&error))),
            other => Self::new(format!("{what}: {}", because(&other)))
                .infrastructure()
                .help("is the engine still running? `pipe doctor` asks it"),
        }
    }

    fn silent(what: &str, limit: Duration) -> Self {
        let limit = dsl::units::show_duration(limit);
        Self::new(format!("{what}: the engine did not answer within {limit}"))
            .infrastructure()
            .help("is the engine stuck? `--engine-timeout` gives it more time")
    }

    fn is_not_there(&self) -> bool {
        self.status == Some(404)
    }
}

/// An engine's message on one line, and not all of a page.
fn said(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(400) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None if line.is_empty() => "it does not say why".to_owned(),
        None => line,
    }
}

/// The innermost reason says the most.
fn because(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(inner) = at.source() {
        at = inner;
    }
    said(&at.to_string())
}
