//! Where the commands of a step run: on this machine, or in a container that is begun with the first and removed after
//! the last. Does not know what the commands are for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use super::outcome::{Failure, Means};
use super::work::{News, NotDone, Site, Work};
use crate::container::{Room, Setup, Trouble};
use crate::process::{self, Ended, Exit, Spec, StartError};

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let failure = Failure::new(trouble.what);
        let failure = match trouble.infrastructure {
            true => failure.means(Means::Infrastructure),
            false => failure,
        };
        match trouble.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

/// What the place of a step is to be like; `None` for this machine.
pub(super) fn setup(work: &Work, site: &Site) -> Option<Setup> {
    let contained = work.contained.as_ref()?;
    Some(contained.setup(work, &site.root, &site.scratch))
}

/// Where the commands of one step run.
pub(super) enum Place<'s> {
    /// On this machine.
    Here,
    /// In a container.
    There(Box<Room<'s>>),
    /// In a container, and there is no engine.
    Nowhere,
}

impl<'s> Place<'s> {
    pub(super) fn of(site: &'s Site, setup: Option<&'s Setup>) -> Self {
        match (setup, &site.engine) {
            (None, _) => Self::Here,
            (Some(setup), Some(engine)) => Self::There(Box::new(Room::new(engine, setup))),
            (Some(_), None) => Self::Nowhere,
        }
    }

    /// Whether a command could run there, so that there may be something to clean up.
    pub(super) fn has_begun(&self) -> bool {
        match self {
            Self::Here => true,
            Self::There(room) => room.has_begun(),
            Self::Nowhere => false,
        }
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// What the engine did not do.
    pub(super) async fn run(
        &mut self,
        spec: &Spec,
        left: Option<Duration>,
        site: &Site,
        cancel: &CancellationToken,
        capture: &mut Capture,
    ) -> Result<Ended, NotDone> {
        let (output, chunks) = mpsc::channel(4);
        let room = match self {
            Self::Here => {
                let running = process::run(spec, left, site.grace, cancel, &site.kill, output);
                let (ended, ()) = tokio::join!(running, capture.take(site, chunks));
                return Ok(ended);
            }
            Self::There(room) => room,
            Self::Nowhere => {
                return Err(NotDone::NotBegun(Failure::new(
                    "there is no container engine",
                )));
            }
        };
        let running = room.run(spec, left, site.grace, cancel, &site.kill, output);
        let (ended, ()) = tokio::join!(running, capture.take(site, chunks));
        ended.map_err(|trouble| match room.has_begun() {
            true => NotDone::Failed(trouble.into()),
            false => NotDone::NotBegun(trouble.into()),
        })
    }

    /// What more is known about a command's end in a container.
    pub(super) fn explain(&self, spec: &Spec, exit: &Exit, failure: Failure) -> Failure {
        let Self::There(room) = self else {
            return failure;
        };
        match exit {
            Exit::NotStarted(StartError::ProgramNotFound { .. }) if spec.program == "sh" => Failure {
                what: "its image has no shell".to_owned(),
                ..failure
            }
            .help("write `run` as a program and its arguments, or take an image with a shell"),
            Exit::NotStarted(StartError::ProgramNotFound { .. }) => {
                failure.help("the program must be in the image, or in the repository")
            }
            Exit::Code(137) if room.has_memory_limit() => failure.help(
                "137: it was killed, most likely because the memory of its container was short; `resources memory=` gives it more",
            ),
            Exit::Code(127) => failure.help("127: a command in it was not found; a job in a container gets the programs of its image"),
            _ => failure,
        }
    }

    /// Shows what the services say that have ended, as that may be why the step failed.
    pub(super) async fn blame(&self, site: &Site, capture: &mut Capture) {
        let Self::There(room) = self else { return };
        let lines = std::sync::Mutex::new(Vec::new());
        let say = |line: String| {
            lines
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(line);
        };
        room.show_ended(&say).await;
        let lines = lines
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        capture.say(site, lines).await;
    }

    /// Leaves it: its containers are removed, however the step ended.
    pub(super) async fn end(self, site: &Site) {
        let Self::There(mut room) = self else { return };
        if let Some(why) = room.end(site.cancel.is_cancelled()).await {
            let text = format!("{why}; the next run on this machine removes it");
            let _ = site.news.send(News::Warning { text }).await;
        }
    }
}

/// Looks up the images on which a result depends; gives what they are, for its key.
///
/// # Errors
/// An image that is not there and cannot be had, or a run that is cancelled.
pub(super) async fn images(
    images: &[(String, crate::container::Source)],
    site: &Site,
) -> Result<Vec<(String, String)>, NotDone> {
    let Some(engine) = site.engine.as_ref().map(Arc::clone) else {
        return Err(NotDone::NotBegun(Failure::new(
            "there is no container engine",
        )));
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let say = move |line: String| {
        let _ = tell.send(line);
    };
    let looking = async {
        let mut known = Vec::new();
        for (name, source) in images {
            let image = engine.image(source, &say).await;
            let image = image.map_err(|t| NotDone::NotBegun(t.into()))?;
            known.push((name.clone(), in_key(&source.reference, &image.id)));
        }
        Ok(known)
    };
    tokio::pin!(looking);
    let mut capture = Capture::new(site);
    let done = loop {
        tokio::select! {
            biased;
            () = site.cancel.cancelled() => break Err(NotDone::Cancelled),
            () = site.kill.cancelled() => break Err(NotDone::Cancelled),
            Some(line) = told.recv() => capture.say(site, vec![line]).await,
            done = &mut looking => break done,
        }
    };
    let mut rest = Vec::new();
    while let Ok(line) = told.try_recv() {
        rest.push(line);
    }
    capture.say(site, rest).await;
    if let Some(text) = capture.finish() {
        let _ = site.news.send(News::Warning { text }).await;
    }
    done
}

/// How an image stands in a key: as it was written, and which one that is.
pub(super) fn in_key(reference: &str, id: &str) -> String {
    format!("{reference} {id}")
}
