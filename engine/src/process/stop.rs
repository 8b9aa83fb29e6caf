//! When and how hard a process is stopped: asked, then killed, then given up.
//! Does not know what it runs.

use super::{Stop, group::Leader};
use rustix::process::Signal;
use std::{future::pending, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long a killed leader may take to die; the kernel may hold it in a broken file system.
const DEATH: Duration = Duration::from_secs(5);

pub(super) struct Stopper<'a> {
    timeout: Option<Instant>,
    grace: Duration,
    cancel: &'a CancellationToken,
    kill: &'a CancellationToken,
    stage: Stage,
    /// The reason for the first step, or `Killed` if that came on top.
    pub(super) stopped: Option<Stop>,
}

enum Stage {
    Running,
    /// Asked to end; killed at this time, if ever.
    Asked(Option<Instant>),
    /// Killed; given up at this time.
    Killed(Instant),
}

/// What is to be done now.
#[derive(Clone, Copy)]
pub(super) enum Next {
    Ask(Stop),
    Kill(Option<Stop>),
    GiveUp,
}

/// Whether it makes sense to wait for the leader's exit.
#[derive(PartialEq, Eq)]
pub(super) enum Hope {
    Left,
    Lost,
}

impl<'a> Stopper<'a> {
    pub(super) fn new(
        timeout: Option<Duration>,
        grace: Duration,
        cancel: &'a CancellationToken,
        kill: &'a CancellationToken,
    ) -> Self {
        Self {
            timeout: timeout.and_then(after),
            grace,
            cancel,
            kill,
            stage: Stage::Running,
            stopped: None,
        }
    }

    /// Waits until something is to be done.
    pub(super) async fn next(&self) -> Next {
        match self.stage {
            Stage::Running => tokio::select! {
                biased;
                () = self.kill.cancelled() => Next::Kill(Some(Stop::Killed)),
                () = self.cancel.cancelled() => Next::Ask(Stop::Cancelled),
                () = until(self.timeout) => Next::Ask(Stop::TimedOut),
            },
            Stage::Asked(end) => tokio::select! {
                biased;
                () = self.kill.cancelled() => Next::Kill(Some(Stop::Killed)),
                () = until(end) => Next::Kill(None),
            },
            Stage::Killed(end) => {
                sleep_until(end).await;
                Next::GiveUp
            }
        }
    }

    pub(super) fn act(&mut self, next: Next, leader: &Leader) -> Hope {
        match next {
            Next::Ask(stop) => {
                self.stopped = Some(stop);
                self.stage = Stage::Asked(after(self.grace));
                leader.signal_group(Signal::TERM);
                // A stopped process gets the signal only when it goes on.
                leader.signal_group(Signal::CONT);
            }
            Next::Kill(stop) => {
                self.stopped = stop.or(self.stopped);
                self.stage = Stage::Killed(Instant::now() + DEATH);
                leader.signal_group(Signal::KILL);
            }
            Next::GiveUp => return Hope::Lost,
        }
        Hope::Left
    }

    /// Whether it was asked to end and its grace is not over.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Asked(_))
    }

    /// Whether it was stopped, or would be if it had not ended by itself.
    pub(super) fn was_asked(&self) -> bool {
        self.stopped.is_some() || self.kill.is_cancelled() || self.cancel.is_cancelled()
    }

    /// Waits until the caller wants the end, now or earlier.
    pub(super) async fn asked(&self) {
        tokio::select! {
            () = self.kill.cancelled() => {}
            () = self.cancel.cancelled() => {}
        }
    }
}

/// The time after `duration`, or none if it is beyond what the clock can hold.
fn after(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
