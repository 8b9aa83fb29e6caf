//! The signals that a run listens for, and whether one has come: for whoever may be stuck when that happens, as the loop
//! of the run cannot tell them while they hold it. Does not decide what a signal means; that is the loop's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::guardian;

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether a signal asked the run to end, or its guardian is gone.
#[must_use]
pub fn asked_to_end() -> bool {
    ASKED.load(Ordering::Relaxed) || guardian::orphaned().is_cancelled()
}

/// Notes from here on that a signal came, whoever is stuck. To be called when the loop listens already.
pub(super) fn listen() {
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        // Without it a stuck terminal holds the run until the guardian ends it.
        let _ = flag::register(number, Arc::clone(&ASKED));
    }
}

/// All that ask for the end.
pub(super) struct Signals {
    int: Signal,
    term: Signal,
    hup: Signal,
    quit: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// The next one: its number and its name.
    pub(super) async fn next(&mut self) -> (i32, &'static str) {
        tokio::select! {
            _ = self.int.recv() => (2, "SIGINT"),
            _ = self.term.recv() => (15, "SIGTERM"),
            _ = self.hup.recv() => (1, "SIGHUP"),
            _ = self.quit.recv() => (3, "SIGQUIT"),
        }
    }
}
