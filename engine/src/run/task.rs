//! What a step does, by its kind, and what all kinds that are no commands do their work with: lines for the log,
//! programs of this machine, waiting for an answer. Knows no step and no graph.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dsl::model::Command;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::build::{self, Build};
use super::capture::Capture;
use super::deliver::{self, Delivery};
use super::gate::{self, Gate, Promoting};
use super::outcome::{Failure, Means};
use super::push::{self, Push};
use super::recipe::Recipe;
use super::release::{self, Release};
use super::sign::{self, Sign};
use super::transfer::{self, Transfer};
use super::work::{self, News, NotDone, Site, Work};
use crate::cache::Action;
use crate::container::Engine;
use crate::oci::Layout;
use crate::process::{self, Chunk, Ended, Exit, Spec, Stop};

/// What a step does.
#[derive(Debug, Clone)]
pub(super) enum Task {
    /// Commands: those of a job, and those of a rollback.
    Commands(Vec<Command>),
    /// An image from a Dockerfile.
    Build(Box<Build>),
    /// A version, its tag, its changelog, the forge's release.
    Release(Box<Release>),
    /// Something onto a target.
    Deliver(Box<Delivery>),
    /// What one target runs, onto the next.
    Promote(Box<Promoting>),
    /// What one registry has, into the next.
    Transfer(Box<Transfer>),
    /// A gate for people.
    Approve(Box<Gate>),
    /// Images into a registry.
    Push(Box<Push>),
    /// Signatures beside images.
    Sign(Box<Sign>),
}

/// What a step puts out, by name.
pub(super) type Outputs = BTreeMap<String, String>;

/// One try of a task.
pub(super) struct Try<'a> {
    pub(super) work: &'a Work,
    pub(super) site: &'a Site,
    pub(super) capture: &'a mut Capture,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Option<Instant>,
}

impl Task {
    /// The commands, of a task that is nothing else.
    pub(super) fn commands(&self) -> Option<&[Command]> {
        match self {
            Self::Commands(list) => Some(list),
            _ => None,
        }
    }

    /// Does what is no commands; gives what the step puts out.
    ///
    /// # Errors
    /// Why it is not done.
    pub(super) async fn run(&self, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
        match self {
            Self::Commands(_) => Ok(Outputs::new()),
            Self::Build(build) => build::run(build, a_try).await,
            Self::Release(release) => release::run(release, a_try).await,
            Self::Deliver(delivery) => deliver::run(delivery, a_try).await,
            Self::Promote(promoting) => gate::promote(promoting, a_try).await,
            Self::Transfer(transfer) => transfer::run(transfer, a_try).await,
            Self::Approve(gate) => gate::approve(gate, a_try).await,
            Self::Push(push) => push::run(push, a_try).await,
            Self::Sign(sign) => sign::run(sign, a_try).await,
        }
    }
}

/// Under which name a step puts out what `${image.NAME}` and `${image.NAME.digest}` stand for.
pub(super) fn image_output(name: &str, is_digest: bool) -> String {
    let end = if is_digest { ".digest" } else { "" };
    format!("image.{name}{end}")
}

/// Under which name a step puts out what `${version.NAME}` stands for.
pub(super) fn version_output(name: &str) -> String {
    format!("version.{name}")
}

/// Whether the image is still in the store that a result says was made.
pub(super) fn has_image(recipe: &Recipe, action: &Action, images: &Layout) -> bool {
    let Some(image) = &recipe.image else {
        return true;
    };
    let digest = action.values.get(&image_output(image, true));
    digest.is_some_and(|digest| build::is_kept(images, digest))
}

impl Try<'_> {
    /// Tells what a person should know who does not read the step's log.
    pub(super) async fn warn(&self, text: String) {
        let _ = self.site.news.send(News::Warning { text }).await;
    }

    /// Puts a line into the step's log.
    pub(super) async fn say(&mut self, line: impl Into<String>) {
        self.capture.say(self.site, vec![line.into()]).await;
    }

    /// The container engine, which is looked for if nobody has needed it yet.
    ///
    /// # Errors
    /// When there is none, or the step is to end.
    pub(super) async fn engine(&self) -> Result<Arc<Engine>, NotDone> {
        if let Some(engine) = &self.site.engine {
            return Ok(Arc::clone(engine));
        }
        let Some(late) = &self.site.late else {
            return Err(NotDone::NotBegun(Failure::new(
                "there is no container engine",
            )));
        };
        let found = self.wait(late.engine()).await?;
        found.map_err(|none| {
            let failure = Failure::new(none.what()).help(none.help());
            NotDone::NotBegun(failure.means(Means::Infrastructure))
        })
    }

    /// What is left of the step's time.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline
            .map(|d| d.saturating_duration_since(Instant::now()))
    }

    /// Waits for an answer until the step is to end. For what starts no process and may be dropped half way.
    ///
    /// # Errors
    /// When the step's time is over, or it is to end.
    pub(super) async fn wait<T>(&self, answer: impl Future<Output = T>) -> Result<T, NotDone> {
        let over = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.site.kill.cancelled() => Err(NotDone::Cancelled),
            () = self.cancel.cancelled() => Err(NotDone::Cancelled),
            answer = answer => Ok(answer),
            () = over => Err(work::timed_out(self.work, self.deadline).into()),
        }
    }

    /// Runs a program of this machine to its end, with everything that it starts; what it writes goes into the log, and
    /// before that to `look`.
    ///
    /// # Errors
    /// When it was stopped, or could not be started. How it ended by itself is for the caller to judge.
    pub(super) async fn program(
        &mut self,
        spec: &Spec,
        look: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Exit, NotDone> {
        let (output, mut written) = mpsc::channel::<Chunk>(1);
        let (looked, chunks) = mpsc::channel(1);
        let (left, site) = (self.left(), self.site);
        let running = process::run(spec, left, site.grace, self.cancel, &site.kill, output);
        let looking = async move {
            while let Some(chunk) = written.recv().await {
                look(&chunk.bytes);
                if looked.send(chunk).await.is_err() {
                    break;
                }
            }
        };
        let taking = self.capture.take(site, chunks);
        let (ended, (), ()) = tokio::join!(running, looking, taking);
        let Ended { exit, stopped, .. } = ended;
        match (stopped, exit) {
            (Some(Stop::Cancelled | Stop::Killed), _) => Err(NotDone::Cancelled),
            (Some(Stop::TimedOut), _) => Err(work::timed_out(self.work, self.deadline).into()),
            (None, Exit::NotStarted(why)) => Err(NotDone::NotBegun(
                Failure::new(why.to_string()).help(why.remedy()),
            )),
            (None, exit) => Ok(exit),
        }
    }
}
