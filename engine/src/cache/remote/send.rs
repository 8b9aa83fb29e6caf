//! Sends results behind the steps that made them: blobs first, the record last, so that a record never names what is
//! not there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Fault, RESULTS, SENDING, Shared, fetch, record};
use crate::cache::store::fill;
use crate::cache::{Action, Digest, Lost, place};
use crate::own_files;

/// A blob that is longer is not sent, nor is its result.
const LONGEST: u64 = 64 << 30;

/// A content to be sent: bytes, or a blob of this machine's store that is verified on its way.
#[derive(Debug)]
pub struct Outgoing {
    from: From,
    size: u64,
}

#[derive(Debug)]
enum From {
    Bytes(Vec<u8>),
    Blob {
        file: File,
        digest: Digest,
        hash: Box<blake3::Hasher>,
        left: u64,
    },
}

impl Outgoing {
    /// These bytes.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self {
            size: bytes.len() as u64,
            from: From::Bytes(bytes),
        }
    }

    fn blob(file: File, digest: Digest, size: u64) -> Self {
        Self {
            size,
            from: From::Blob {
                file,
                digest,
                hash: Box::default(),
                left: size,
            },
        }
    }

    /// How long all of it is.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes, at most so many; none at the end, which comes only if everything was sound.
    ///
    /// # Errors
    /// When it cannot be read, or is not what its name says.
    pub fn next(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        match &mut self.from {
            From::Bytes(bytes) => {
                let rest = bytes.split_off(most.min(bytes.len()));
                Ok(std::mem::replace(bytes, rest))
            }
            From::Blob {
                file,
                digest,
                hash,
                left,
            } => {
                let want = usize::try_from(*left).map_or(most, |left| left.min(most));
                let mut piece = vec![0; want];
                let length = fill(file, &mut piece).map_err(|e| Fault::Here(e.to_string()))?;
                hash.update(&piece);
                *left -= want as u64;
                let ended = *left == 0 && want > 0;
                let wrong = ended
                    && (file.read(&mut [0]).map_or(true, |n| n > 0)
                        || Digest::from(hash.finalize()) != *digest);
                if length < want || wrong {
                    return Err(Fault::Here("a blob is damaged".to_owned()));
                }
                Ok(piece)
            }
        }
    }
}

/// Sends everything that comes, several results at once, until nobody sends any more or everything is to end.
pub(super) async fn all(shared: Arc<Shared>, mut inbox: mpsc::Receiver<Digest>) {
    let mut running = JoinSet::new();
    let sending = async {
        loop {
            tokio::select! {
                Some(key) = inbox.recv(), if running.len() < RESULTS => {
                    running.spawn(Arc::clone(&shared).send(key));
                }
                // Also one that panicked is done.
                Some(sent) = running.join_next() => {
                    if !sent.unwrap_or(false) {
                        shared.unsent.send_modify(|n| *n += 1);
                    }
                    shared.pending.send_modify(|n| *n -= 1);
                }
                else => return,
            }
        }
    };
    tokio::select! {
        biased;
        () = shared.stop.cancelled() => {}
        () = sending => {}
    }
}

impl Shared {
    /// Sends a result. False where that was not possible.
    async fn send(self: Arc<Self>, key: Digest) -> bool {
        match self.try_send(&key).await {
            Ok(()) => true,
            Err(fault) => {
                self.health.failed("written", &fault);
                false
            }
        }
    }

    async fn try_send(self: &Arc<Self>, key: &Digest) -> Result<(), Fault> {
        let scope = self.settings.scope.own();
        let path = self.settings.store.root().join(place(scope, key));
        let record =
            own_files::read_file(&path, fetch::LONGEST).map_err(|e| Fault::Here(e.to_string()))?;
        let (action, _) = Action::decode(&record, key)
            .ok_or_else(|| Fault::Here("a record is damaged".to_owned()))?;
        let record = record::seal(record, scope, self.settings.sign.as_ref());
        let blobs: BTreeSet<(Digest, u64)> = action.blobs().collect();
        let too_large = blobs.iter().any(|(_, size)| *size > LONGEST);
        if too_large || record.len() as u64 > fetch::LONGEST {
            return Err(Fault::Here("it is too large".to_owned()));
        }
        self.blobs_there(blobs).await?;
        let _turn = self.sending.acquire().await;
        let name = self.action(scope, key);
        self.is_on()?;
        self.objects
            .put(&name, &mut Outgoing::bytes(record))
            .await?;
        self.health.answered();
        Ok(())
    }

    /// Sends the blobs that are not there, several at once.
    async fn blobs_there(self: &Arc<Self>, blobs: BTreeSet<(Digest, u64)>) -> Result<(), Fault> {
        let workers = blobs.len().min(SENDING);
        let queue = Arc::new(Mutex::new(blobs));
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (shared, queue) = (Arc::clone(self), Arc::clone(&queue));
            running.spawn(async move {
                let next = || {
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    queue.pop_first()
                };
                while let Some((digest, size)) = next() {
                    shared.blob_there(digest, size).await?;
                }
                Ok(())
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.map_err(|_| Fault::Failed("pipe has a bug, please report it".into()))??;
        }
        Ok(())
    }

    /// Sends a blob, unless it is there.
    async fn blob_there(&self, digest: Digest, size: u64) -> Result<(), Fault> {
        if Self::noted(&self.there, &digest) {
            return Ok(());
        }
        let _turn = self.sending.acquire().await;
        self.is_on()?;
        let name = self.blob(&digest);
        let damaged = Self::noted(&self.damaged, &digest);
        if damaged || self.objects.size(&name).await? != Some(size) {
            let file = self.settings.store.open(&digest).map_err(|e| lost(&e))?;
            let mut content = Outgoing::blob(file, digest, size);
            self.objects.put(&name, &mut content).await?;
        }
        self.health.answered();
        Self::note(&self.there, digest);
        Ok(())
    }

    /// Asks nothing any more of a store that does not answer.
    fn is_on(&self) -> Result<(), Fault> {
        match self.health.is_off() {
            true => Err(Fault::Here("it does not answer".to_owned())),
            false => Ok(()),
        }
    }
}

fn lost(lost: &Lost) -> Fault {
    Fault::Here(lost.to_string())
}
