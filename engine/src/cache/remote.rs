//! Results that machines share: the records and blobs of the store, in a store elsewhere. What is there is brought here
//! before a step runs, what a step made is sent there behind it.
//!
//! Whatever that store does, a run has the same result: what comes from there is verified like what is here, everything
//! has an end, and after a few failures the run does without. Knows of that store only `Objects`.

mod fetch;
mod health;
mod incoming;
mod record;
#[cfg(feature = "remote")]
mod s3;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use self::health::Health;
pub use self::record::{SHORTEST, SigningKey};
pub use self::send::Outgoing;
use super::store::LAYOUT;
use super::{Cache, Digest, Key, Scope, Store};

/// Requests that are under way at once, for what a step waits for.
const REQUESTS: usize = 16;
/// The same for what is sent.
const SENDING: usize = 8;
/// Results that are brought at once, and those that are sent.
const RESULTS: usize = 4;
/// Results that wait to be sent.
const WAITING: usize = 1024;

/// Objects by name, somewhere else.
pub trait Objects: fmt::Debug + Send + Sync {
    /// Hands over an object piece by piece until `take` wants no more. False where there is none.
    fn get<'a>(&'a self, name: &'a str, take: &'a mut Take<'_>) -> Answer<'a, bool>;

    /// How long an object is; `None` where there is none.
    fn size<'a>(&'a self, name: &'a str) -> Answer<'a, Option<u64>>;

    /// Makes an object, or replaces it. Nothing is made of a content that is not sound.
    fn put<'a>(&'a self, name: &'a str, content: &'a mut Outgoing) -> Answer<'a, ()>;
}

/// What takes the pieces of an object.
pub type Take<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + Send + 'a;

/// What a store answers, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It took too long.
    #[error("{0}")]
    Silent(String),
    /// It failed, or refused.
    #[error("{0}")]
    Failed(String),
    /// What was to be sent is not here any more as it was.
    #[error("{0}")]
    Here(String),
}

/// A bucket in an S3-compatible store.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What stands in front of every name in it; may be empty.
    pub prefix: String,
    /// The server; `None`: that of AWS.
    pub endpoint: Option<String>,
    /// Whether the server is this machine.
    pub here: bool,
    /// The region.
    pub region: String,
    /// Who asks; `None`: anybody.
    pub credentials: Option<Credentials>,
}

/// An access key.
#[derive(Debug)]
pub struct Credentials {
    /// Its id.
    pub id: SecretString,
    /// The key.
    pub key: SecretString,
    /// What belongs to a key that is valid for some hours.
    pub token: Option<SecretString>,
}

/// Whether this build can reach a bucket.
pub const IS_BUILT: bool = cfg!(feature = "remote");

/// The objects of a bucket. Sends nothing yet.
///
/// # Errors
/// What is wrong with its address, or that this build cannot do it.
pub fn connect(bucket: &Bucket) -> Result<Arc<dyn Objects>, String> {
    #[cfg(feature = "remote")]
    return s3::connect(bucket);
    #[cfg(not(feature = "remote"))]
    return Err(format!("this build of pipe cannot reach {}", bucket.name));
}

/// How a store elsewhere is used.
#[derive(Debug)]
pub struct Settings {
    /// How it is called where people read.
    pub name: String,
    /// What stands in front of every name; may be empty.
    pub prefix: String,
    /// Whose results are believed and sent.
    pub scope: Scope,
    /// What records are signed with; then only those are believed.
    pub sign: Option<SigningKey>,
    /// Whether results are sent.
    pub writes: bool,
    /// The store of this machine.
    pub store: Store,
}

/// A store elsewhere, as one run sees it. It has a thread of its own, which ends with it and is waited for by nobody.
#[derive(Debug)]
pub struct Remote {
    shared: Arc<Shared>,
    runtime: Handle,
    parcels: mpsc::Sender<Digest>,
}

/// What all that is under way has in common.
#[derive(Debug)]
struct Shared {
    objects: Arc<dyn Objects>,
    settings: Settings,
    health: Health,
    /// What may begin: requests for what is brought, results that are brought, requests for what is sent.
    requests: Semaphore,
    results: Semaphore,
    sending: Semaphore,
    /// Blobs that need not be asked for any more: they are there.
    there: Mutex<BTreeSet<Digest>>,
    /// Blobs that are there and not sound.
    damaged: Mutex<BTreeSet<Digest>>,
    /// How many results wait or are being sent.
    pending: watch::Sender<usize>,
    /// How many were not sent.
    unsent: watch::Sender<usize>,
    stop: CancellationToken,
}

impl Remote {
    /// Begins to use a store. Asks it for nothing yet.
    ///
    /// # Errors
    /// When this machine has no thread for it.
    pub fn start(objects: Arc<dyn Objects>, settings: Settings) -> io::Result<Self> {
        let runtime = crate::process::runtime()?;
        let handle = runtime.handle().clone();
        let shared = Arc::new(Shared {
            objects,
            health: Health::of(&settings.name),
            settings,
            requests: Semaphore::new(REQUESTS),
            results: Semaphore::new(RESULTS),
            sending: Semaphore::new(SENDING),
            there: Mutex::default(),
            damaged: Mutex::default(),
            pending: watch::Sender::new(0),
            unsent: watch::Sender::new(0),
            stop: CancellationToken::new(),
        });
        let (parcels, inbox) = mpsc::channel(WAITING);
        let own = Arc::clone(&shared);
        thread::Builder::new()
            .name("remote-cache".to_owned())
            .spawn(move || {
                runtime.block_on(send::all(own, inbox));
                // A name that is being looked up cannot be interrupted, and is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            shared,
            runtime: handle,
            parcels,
        })
    }

    /// Brings the result of a key to this machine. False where there is none, or none that can be believed.
    ///
    /// # Errors
    /// When it cannot be written here.
    pub async fn fetch(&self, key: Digest, document: Vec<u8>) -> io::Result<bool> {
        if self.shared.health.is_off() {
            return Ok(false);
        }
        let shared = Arc::clone(&self.shared);
        let task = self
            .runtime
            .spawn(async move { shared.fetch(&key, &document).await });
        let _end = Ended(task.abort_handle());
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => Ok(false),
            ended = task => match ended {
                Ok(fetched) => fetched,
                Err(e) => {
                    if e.is_panic() {
                        self.shared.health.failed("read", &Fault::Failed("pipe has a bug, please report it".into()));
                    }
                    Ok(false)
                }
            }
        }
    }

    /// Sends the result that this machine's store has of a key, later.
    pub fn send(&self, key: Digest) {
        if !self.shared.settings.writes {
            return;
        }
        self.shared.pending.send_modify(|n| *n += 1);
        if self.parcels.try_send(key).is_err() {
            self.shared.pending.send_modify(|n| *n -= 1);
            self.shared.unsent.send_modify(|n| *n += 1);
        }
    }

    /// Waits until everything is sent, but no longer than this. What is not sent then never is.
    pub async fn finish(&self, patience: Duration) {
        let mut pending = self.shared.pending.subscribe();
        let sent = pending.wait_for(|n| *n == 0);
        let in_time = tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => return,
            sent = tokio::time::timeout(patience, sent) => sent.is_ok(),
        };
        self.stop();
        let left = *self.shared.pending.borrow() + *self.shared.unsent.borrow();
        if left > 0 {
            self.shared.health.not_sent(left, in_time);
        }
    }

    /// Ends everything that is under way.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// What has to be told, once.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.shared.health.trouble()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends a task with whoever waits for it.
struct Ended(AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    /// The name of an object.
    fn name(&self, parts: &[&str]) -> String {
        let prefix = &self.settings.prefix;
        let all = [LAYOUT].iter().chain(parts);
        let mut name = prefix.clone();
        for part in all {
            if !name.is_empty() {
                name.push('/');
            }
            name += part;
        }
        name
    }

    fn blob(&self, digest: &Digest) -> String {
        self.name(&["blob", &digest.hex()])
    }

    fn action(&self, scope: &str, key: &Digest) -> String {
        self.name(&["action", scope, &key.hex()])
    }

    fn note(set: &Mutex<BTreeSet<Digest>>, digest: Digest) {
        set.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest);
    }

    fn noted(set: &Mutex<BTreeSet<Digest>>, digest: &Digest) -> bool {
        set.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
    }
}

impl Cache {
    /// The same cache, with a store elsewhere behind it.
    #[must_use]
    pub fn with_remote(mut self, remote: Remote) -> Self {
        self.remote = Some(remote);
        self
    }

    /// The store elsewhere, if there is one.
    #[must_use]
    pub fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// Brings the result of a key here from elsewhere. False where there is none.
    pub async fn fetch(&self, key: &Key, digest: Digest, document: &[u8]) -> bool {
        let Some(remote) = &self.remote else {
            return false;
        };
        if self.settings.refresh || key.has_secret() {
            return false;
        }
        match remote.fetch(digest, document.to_vec()).await {
            Ok(found) => found,
            Err(e) => {
                self.failed("written", &e.to_string());
                false
            }
        }
    }

    /// Sends what was kept, where others can have it.
    pub(super) fn send(&self, document: &[u8], digest: Digest) {
        if let Some(remote) = &self.remote
            && Key::read(document).is_some_and(|key| !key.has_secret())
        {
            remote.send(digest);
        }
    }
}
