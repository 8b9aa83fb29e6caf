//! Whether somebody wants the run to end, for whoever may be stuck when that happens: the loop of the run cannot tell
//! them while they hold it. Handles no signal; that is the loop's.

use std::sync::LazyLock;
use std::thread;

use tokio::runtime;
use tokio_util::sync::CancellationToken;

use super::dispatch::Signals;
use crate::process::guardian;

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
        let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
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
