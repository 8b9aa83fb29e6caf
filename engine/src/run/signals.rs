//! The signals that a run listens for, and whether one has come: for whoever may be stuck when that happens, as the loop
//! of the run cannot tell them while they hold it. Does not decide what a signal means; that is the loop's.

use std::sync::LazyLock;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::process::{guardian, runtime};

static ASKED: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Whether a signal asked the run to end, or its guardian is gone.
#[must_use]
pub fn asked_to_end() -> bool {
    ASKED.is_cancelled()
}

/// Listens on a thread of its own from here on. To be called when the loop listens already, so that no signal is lost.
pub(super) fn listen() {
    let listener = thread::Builder::new().name("asked".to_owned());
    // Without it a stuck terminal holds the run until the guardian ends it.
    let _ = listener.spawn(|| {
        let Ok(runtime) = runtime() else {
            return;
        };
        runtime.block_on(async {
            let Ok(mut signals) = Signals::listen() else {
                return;
            };
            tokio::select! {
                _ = signals.next() => {}
                () = guardian::orphaned().cancelled_owned() => {}
            }
            ASKED.cancel();
        });
    });
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
