//! The lease of a target while a deployment goes on: renewed, and lost where another has it. Does not know what is being done.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deployment::on_ledger;
use super::driver::Failure;
use crate::ledger::{BEAT, HOLDS, Held, Ledger, LedgerError};

/// Whether the lease is lost, and why. It ends what is being done.
#[derive(Debug, Clone, Default)]
pub(super) struct Lost {
    pub(super) token: CancellationToken,
    why: Arc<OnceLock<Failure>>,
}

impl Lost {
    /// Why, if it is.
    pub(super) fn why(&self) -> Option<Failure> {
        self.why.get().cloned()
    }

    fn is(&self, why: Failure) {
        let _ = self.why.set(why);
        self.token.cancel();
    }
}

/// A token that is cancelled with either of two.
pub(super) fn either(one: &CancellationToken, other: &CancellationToken) -> CancellationToken {
    let both = one.child_token();
    let (also, other) = (both.clone(), other.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = other.cancelled() => also.cancel(),
            () = also.cancelled() => {}
        }
    });
    both
}

/// Renews a lease until somebody wants it back, every minute and when it is asked to. It is lost when another has it, or when it could not be renewed until it was
/// over: then another may have it.
pub(super) async fn beat(
    ledger: Arc<Ledger>,
    target: String,
    mut held: Held,
    stop: CancellationToken,
    lost: Lost,
    mut asked: mpsc::Receiver<oneshot::Sender<()>>,
) -> Held {
    let mut last = Instant::now();
    loop {
        // Whoever asks is told by its being dropped, whatever comes of it.
        let _whoever = tokio::select! {
            () = stop.cancelled() => return held,
            () = tokio::time::sleep(BEAT) => None,
            Some(whoever) = asked.recv() => Some(whoever),
        };
        let mut next = held.clone();
        let renewed = on_ledger(&ledger, move |l| l.renew(&mut next).map(|()| next)).await;
        let error = match renewed {
            Ok(renewed) => {
                held = renewed;
                last = Instant::now();
                continue;
            }
            Err(error) => error,
        };
        tracing::warn!(%error, "a lease was not renewed");
        let is_moved = matches!(error, LedgerError::Moved(_));
        // The next beat would come too late.
        let is_over = last.elapsed() + BEAT >= HOLDS.unsigned_abs();
        if is_moved || is_over {
            lost.is(match is_moved {
                true => Failure::new(format!("the lease of {target} was taken by another run"))
                    .refused(),
                false => Failure::new(format!(
                    "the lease of {target} could not be renewed: {error}"
                ))
                .infrastructure(),
            });
            return held;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn beaten(what_happens: impl FnOnce(&Ledger, &Held)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let open = |run: &str| Ledger::open(folder.path(), &|_| None, true, run).unwrap();
        let ledger = Arc::new(open("run 1"));
        let held = ledger.lock("live").unwrap();
        what_happens(&open("run 2"), &held);
        let (stop, lost) = (CancellationToken::new(), Lost::default());
        let cancel = either(&CancellationToken::new(), &lost.token);
        let beating = tokio::spawn(beat(
            ledger,
            "live".into(),
            held,
            stop.clone(),
            lost.clone(),
            mpsc::channel(1).1,
        ));
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(BEAT * 20) => {}
        }
        stop.cancel();
        beating.await.unwrap();
        lost.why().map(|f| f.what)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_another_run_took_ends_what_is_being_done() {
        let why = beaten(|other, held| {
            other.unlock(held).unwrap();
            let _ = other.lock("live").unwrap();
        });
        let expected = "the lease of live was taken by another run";
        assert_eq!(why.await.as_deref(), Some(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_wants_is_kept() {
        assert_eq!(beaten(|_, _| {}).await, None);
    }
}
