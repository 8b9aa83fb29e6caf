//! Brings a result here: its record, then what of its blobs is missing, then the record's place in this store.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::incoming::{Incoming, NotIn};
use super::record::{self, Opened};
use super::{Fault, REQUESTS, RESULTS, Shared};
use crate::cache::{Action, Digest, place};

/// The longest record that is taken: so much is in memory, a few times. Some 100 000 files fit.
pub(super) const LONGEST: u64 = 32 << 20;

/// How long a result may take that is next to nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long any may take.
const MOST: Duration = Duration::from_secs(600);

/// What came of a request for content.
enum Came {
    Whole,
    Nothing,
    Damaged,
}

impl Shared {
    /// Brings the result of a key here. False where there is none, or none that can be believed.
    ///
    /// # Errors
    /// When it cannot be written here.
    pub(super) async fn fetch(self: Arc<Self>, key: &Digest, document: &[u8]) -> io::Result<bool> {
        let Ok(_turn) = self.results.acquire().await else {
            return Ok(false);
        };
        if self.health.is_off() {
            return Ok(false);
        }
        let began = Instant::now();
        let late = || Fault::Silent("it is too slow".to_owned());
        let found = timeout(PATIENCE, self.record(key)).await;
        let action = match found.unwrap_or_else(|_| Err(late())) {
            Ok(Some(action)) => action,
            Ok(None) => return Ok(false),
            Err(fault) => {
                self.health.failed("read", &fault);
                return Ok(false);
            }
        };
        let missing: BTreeSet<(Digest, u64)> = action
            .blobs()
            .filter(|(digest, size)| !self.settings.store.has(digest, *size))
            .collect();
        let bytes = missing
            .iter()
            .fold(0, |sum: u64, (_, n)| sum.saturating_add(*n));
        if bytes > self.room()? {
            // It may be a lie. If it is none, there is no room for it all the same.
            return Ok(false);
        }
        let until = began + patience(bytes, missing.len() as u64);
        let brought = timeout_at(until, self.blobs(missing)).await;
        match brought.unwrap_or_else(|_| Ok(Err(late())))? {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(fault) => {
                self.health.failed("read", &fault);
                return Ok(false);
            }
        }
        let store = &self.settings.store;
        // What a stranger's run was given is not what a trusted one may find here.
        store.record(
            &place(self.settings.scope.own(), key),
            &action.encode(document),
        )?;
        Ok(true)
    }

    /// How much may come for one result: of all that are brought at once none fills the disk.
    fn room(&self) -> io::Result<u64> {
        let root = self.settings.store.root();
        let there = root.ancestors().find(|p| p.exists()).unwrap_or(root);
        let disk = rustix::fs::statvfs(there)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize) / (RESULTS as u64 + 1))
    }

    async fn record(&self, key: &Digest) -> Result<Option<Action>, Fault> {
        for scope in self.settings.scope.believed() {
            let _turn = self.requests.acquire().await;
            let mut bytes = Vec::new();
            let mut too_long = false;
            let name = self.action(scope, key);
            let mut take = |piece: &[u8]| {
                too_long = (bytes.len() + piece.len()) as u64 > LONGEST;
                if too_long {
                    return ControlFlow::Break(());
                }
                bytes.extend_from_slice(piece);
                ControlFlow::Continue(())
            };
            let found = self.objects.get(&name, &mut take).await?;
            if !found {
                self.health.answered();
                continue;
            }
            let opened = match too_long {
                true => Opened::Damaged,
                false => record::open(&bytes, scope, self.settings.sign.as_ref(), key),
            };
            match opened {
                Opened::Sound(action) => {
                    self.health.answered();
                    return Ok(Some(*action));
                }
                Opened::Unsigned => self.health.answered(),
                Opened::Forged => {
                    self.health.answered();
                    self.health.forged();
                }
                Opened::Damaged => return Err(damaged()),
            }
        }
        Ok(None)
    }

    /// Brings blobs here, several at once. False where one is not there.
    async fn blobs(
        self: &Arc<Self>,
        missing: BTreeSet<(Digest, u64)>,
    ) -> io::Result<Result<bool, Fault>> {
        let workers = missing.len().min(REQUESTS);
        let queue = Arc::new(Mutex::new(missing));
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (shared, queue) = (Arc::clone(self), Arc::clone(&queue));
            running.spawn(async move {
                let next = || {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    queue.pop_first()
                };
                while let Some((digest, size)) = next() {
                    match shared.bring(digest, size).await? {
                        Ok(Came::Whole) => shared.health.answered(),
                        Ok(Came::Nothing) => {
                            shared.health.answered();
                            return Ok(Ok(false));
                        }
                        Ok(Came::Damaged) => {
                            Self::note(&shared.damaged, digest);
                            return Ok(Err(damaged()));
                        }
                        Err(fault) => return Ok(Err(fault)),
                    }
                }
                Ok(Ok(true))
            });
        }
        // The first that does not come ends the others.
        while let Some(ended) = running.join_next().await {
            match ended.map_err(io::Error::other)? {
                Ok(Ok(true)) => {}
                other => return other,
            }
        }
        Ok(Ok(true))
    }

    async fn bring(&self, digest: Digest, size: u64) -> io::Result<Result<Came, Fault>> {
        let _turn = self.requests.acquire().await;
        let store = &self.settings.store;
        let mut incoming = Incoming::of(store, digest, size)?;
        let mut refused = None;
        let name = self.blob(&digest);
        let mut take = |piece: &[u8]| match incoming.take(piece) {
            Ok(()) => ControlFlow::Continue(()),
            Err(why) => {
                refused = Some(why);
                ControlFlow::Break(())
            }
        };
        let found = match self.objects.get(&name, &mut take).await {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        if !found {
            return Ok(Ok(Came::Nothing));
        }
        let whole = match refused {
            None => incoming.finish(),
            Some(why) => Err(why),
        };
        match whole {
            Ok(()) => Ok(Ok(Came::Whole)),
            Err(NotIn::Damaged) => Ok(Ok(Came::Damaged)),
            Err(NotIn::Here(e)) => Err(e),
        }
    }
}

fn damaged() -> Fault {
    Fault::Failed("something in it is damaged".to_owned())
}

/// How long a result may take: a slow line has its time, one on which nearly nothing comes has not.
fn patience(bytes: u64, blobs: u64) -> Duration {
    let more = Duration::from_secs(bytes >> 20) + Duration::from_millis(blobs.saturating_mul(20));
    PATIENCE.saturating_add(more).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_line_has_its_time_and_no_result_has_more_than_ten_minutes() {
        assert_eq!(patience(0, 0), Duration::from_secs(60));
        assert_eq!(patience(100 << 20, 0), Duration::from_secs(160));
        assert_eq!(patience(0, 1000), Duration::from_secs(80));
        assert_eq!(patience(u64::MAX, u64::MAX), MOST);
    }
}
