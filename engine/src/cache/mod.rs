//! Never twice, never wrong: the results of steps by what decides them. A cache that is slow, missing, full or damaged
//! costs time, and never changes a result.
//!
//! `key` is what decides a result; `snapshot` reads files into it; `store` keeps contents, `action` says what a step
//! made, `restore` puts it back; `definition`, `index`, `steps` and the `basis` of their keys are what a checkout
//! remembers, so that nothing is found out twice.

mod action;
pub mod basis;
pub mod definition;
mod digest;
mod entry;
pub mod index;
pub mod kept;
pub mod key;
pub mod remote;
pub mod restore;
mod sealed;
pub mod snapshot;
pub mod steps;
pub mod store;
#[cfg(test)]
mod tests;
pub mod trim;

pub use action::{Action, FORMAT, Log, place};
pub use digest::Digest;
pub use entry::{Entry, Is, bytes};
pub use key::Key;
pub use store::{Lost, Store};

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use index::Index;
use indexmap::IndexMap;
use steps::Steps;

use crate::files::Patterns;
use crate::own_files;

/// By name or path. Every step of a run is looked up several times, which the usual hash makes a tenth of a run in which
/// nothing is to be done.
type ByName<V> = IndexMap<String, V, foldhash::fast::RandomState>;

/// Where a cache is, and what it may do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The user's cache folder.
    pub folder: PathBuf,
    /// The pipeline's folder.
    pub root: PathBuf,
    /// A folder on the file system of the checkout for files of a moment; none where nothing is written.
    pub scratch: Option<PathBuf>,
    /// Whose results are believed and kept.
    pub scope: Scope,
    /// Whether results are only kept, not taken.
    pub refresh: bool,
}

/// Whose results are believed, and where new ones are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Of runs for the repository's own changes.
    Trusted,
    /// Of runs for a stranger's change: it may take what trusted runs made; what it makes is taken by nobody else.
    Stranger(String),
}

impl Scope {
    const TRUSTED: &str = "trusted";

    /// The scope of a change, which is named by who it is from.
    #[must_use]
    pub fn of(trusted: bool, from: &str) -> Self {
        if trusted {
            return Self::Trusted;
        }
        Self::Stranger(format!("stranger-{}", Digest::of(from.as_bytes()).short()))
    }

    /// Where new results are kept.
    #[must_use]
    pub fn own(&self) -> &str {
        match self {
            Self::Trusted => Self::TRUSTED,
            Self::Stranger(name) => name,
        }
    }

    /// Whose results are believed, in this order.
    #[must_use]
    pub fn believed(&self) -> Vec<&str> {
        match self {
            Self::Trusted => vec![Self::TRUSTED],
            Self::Stranger(name) => vec![Self::TRUSTED, name],
        }
    }
}

/// What a checkout remembers.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Of its steps.
    pub steps: Arc<Steps>,
    index: Arc<Index>,
}

impl Memory {
    /// Begins to read what the checkout of these settings remembers. That of many files takes a while, in which other
    /// things can be done.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let checkout = settings.checkout();
        let (steps, files) = sealed::begin(&checkout.join(STEPS), &checkout.join(FILES));
        Self {
            steps: Arc::new(Steps::read_by(steps)),
            index: Arc::new(Index::read_by(files)),
        }
    }
}

/// The names of the files in which a checkout remembers.
const STEPS: &str = "steps";
const FILES: &str = "files";

/// The cache as one run sees it.
#[derive(Debug)]
pub struct Cache {
    store: Store,
    settings: Settings,
    memory: Memory,
    /// What is behind it, if other machines share it.
    remote: Option<remote::Remote>,
    /// Whether something was kept.
    kept: AtomicBool,
    /// The first thing that went wrong, not told yet, and whether something ever did.
    trouble: Mutex<(Option<String>, bool)>,
}

/// What is kept of a step that ran.
pub struct Made<'a> {
    /// The step's full name.
    pub step: &'a str,
    /// The document of its key.
    pub key: &'a [u8],
    /// The patterns of everything that it makes.
    pub products: &'a Patterns,
    /// The patterns of each of its artifacts.
    pub artifacts: Vec<(&'a str, Patterns)>,
    /// What there is to say against keeping these paths: another step may have made one of them.
    pub contested: &'a (dyn Fn(&[&str]) -> Option<String> + 'a),
    /// Its outputs, by name.
    pub values: std::collections::BTreeMap<String, String>,
    /// The file with what it wrote, if it wrote something.
    pub log: Option<&'a Path>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Who made it.
    pub origin: &'a str,
}

impl Cache {
    /// Opens the cache; nothing is made before something is kept.
    #[must_use]
    pub fn open(settings: Settings) -> Self {
        let memory = Memory::of(&settings);
        Self::open_with(settings, memory)
    }

    /// The same for somebody who has begun already to read what is remembered.
    #[must_use]
    pub fn open_with(settings: Settings, memory: Memory) -> Self {
        if let Some(scratch) = &settings.scratch {
            memory.index.try_out_in(scratch);
        }
        Self {
            store: Store::beneath(&settings.folder),
            memory,
            settings,
            remote: None,
            kept: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// The content store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The pipeline's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.settings.root
    }

    /// What is known of the files of the checkout.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.memory.index
    }

    /// What is remembered of the steps of the checkout.
    #[must_use]
    pub fn steps(&self) -> &Steps {
        &self.memory.steps
    }

    /// The result that a step has under a key, if there is one.
    #[must_use]
    pub fn find(&self, step: &str, key: &Digest) -> Option<Arc<Action>> {
        if self.settings.refresh {
            return None;
        }
        if let Some(result) = self.steps().result(step, key) {
            return Some(result);
        }
        self.believed(key, |action, _| Arc::new(action))
    }

    /// What is taken of the first record of a key that is believed: the action, and the key's document.
    fn believed<T>(&self, key: &Digest, take: impl Fn(Action, &[u8]) -> T) -> Option<T> {
        let scopes = self.settings.scope.believed();
        scopes.iter().find_map(|scope| self.read(scope, key, &take))
    }

    fn read<T>(&self, scope: &str, key: &Digest, take: impl Fn(Action, &[u8]) -> T) -> Option<T> {
        let path = self.store.root().join(place(scope, key));
        let bytes = match own_files::read_file(&path, action::LONGEST) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
            Err(e) => {
                self.failed("read", &e.to_string());
                return None;
            }
        };
        let read = Action::decode(&bytes, key).map(|(action, document)| take(action, document));
        if read.is_none() {
            self.failed("used", "a record in it was damaged, and is removed");
            let _ = fs::remove_file(&path);
        }
        read
    }

    /// Puts a result in place. What steps that run now may have made stays: `others` says so of a path.
    ///
    /// # Errors
    /// What is missing or damaged in the store, or cannot be put in place.
    pub fn restore(
        &self,
        step: &str,
        action: &Action,
        products: &Patterns,
        scratch: &Path,
        others: &dyn Fn(&str) -> bool,
    ) -> Result<(), Lost> {
        let place = restore::Place {
            root: &self.settings.root,
            scratch,
            index: self.index(),
        };
        let others = |path: &str| others(path) || self.steps().is_of_another(step, path);
        restore::restore(&action.outputs, &self.store, &place, products, &others)
    }

    /// Says that a result is in use, so that it is not trimmed, and remembers it for this checkout.
    pub fn used(&self, step: &str, action: &Arc<Action>) {
        let today = today();
        if self.steps().result(step, &action.key).is_none() {
            self.steps().has(step, Arc::clone(action), 0);
        }
        if !self.steps().first_use(step, today) {
            return;
        }
        for scope in self.settings.scope.believed() {
            // What was trimmed is not there to be told.
            let _ = own_files::touch(&self.store.root().join(place(scope, &action.key)));
        }
        for (digest, _) in action.blobs() {
            let _ = own_files::touch(&self.store.blob(&digest));
        }
    }

    /// Keeps what a step made. A cache that cannot be written is told of once; the step has its result all the same.
    ///
    /// # Errors
    /// What forbids to keep the result and is the step's own doing.
    pub fn keep(&self, made: Made<'_>) -> Result<Option<Arc<Action>>, String> {
        let root = &self.settings.root;
        let kept = snapshot::keep(root, made.products, &self.store, self.index());
        let outputs = match kept {
            Ok(outputs) => outputs,
            Err(why) => {
                self.failed("written", &why);
                return Ok(None);
            }
        };
        if let Some(out) = outputs.iter().find(|e| !e.stays_inside()) {
            return Err(format!("{} leads out of the pipeline's folder", out.path));
        }
        let paths: Vec<&str> = outputs.iter().map(|e| e.path.as_str()).collect();
        if let Some(why) = (made.contested)(&paths) {
            return Err(why);
        }
        let of = |patterns: &Patterns| {
            let paths = outputs.iter().map(|e| &e.path);
            paths
                .filter(|p| patterns.matches(Path::new(p)))
                .cloned()
                .collect()
        };
        let artifacts = made.artifacts.iter();
        let artifacts = artifacts
            .map(|(name, p)| ((*name).to_owned(), of(p)))
            .collect();
        let stored = || -> io::Result<Action> {
            let log = made.log.map(|path| self.log(path)).transpose()?.flatten();
            let action = Action {
                format: FORMAT,
                key: Digest::of(made.key),
                outputs,
                artifacts,
                values: made.values,
                log,
                millis: made.millis,
                origin: made.origin.to_owned(),
            };
            let at = place(self.settings.scope.own(), &action.key);
            self.store.record(&at, &action.encode(made.key))?;
            Ok(action)
        };
        match stored() {
            Ok(action) => {
                let action = Arc::new(action);
                self.kept.store(true, Ordering::Relaxed);
                self.steps().has(made.step, Arc::clone(&action), today());
                self.send(made.key, action.key);
                Ok(Some(action))
            }
            Err(e) => {
                self.failed("written", &e.to_string());
                Ok(None)
            }
        }
    }

    fn log(&self, path: &Path) -> io::Result<Option<Log>> {
        match File::open(path) {
            Ok(mut file) => {
                let size = file.metadata()?.len();
                let (digest, size) = self.store.put_file(&mut file, size)?;
                Ok(Some(Log { digest, size }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The key under which a step last ran, or did not have to, if its document is still there.
    #[must_use]
    pub fn last_key(&self, step: &str) -> Option<Key> {
        self.key(&self.steps().last(step)?)
    }

    /// The document of a key, if it is there.
    #[must_use]
    pub fn key(&self, digest: &Digest) -> Option<Key> {
        let alone = || Key::read(&self.store.get(digest, action::LONGEST).ok()?);
        self.believed(digest, |_, document| Key::read(document))
            .unwrap_or_else(alone)
    }

    /// Keeps the document of a key under which there is no result, so that a later run can say what changed since.
    pub fn keep_key(&self, text: &[u8]) {
        if let Err(e) = self.store.put(text) {
            self.failed("written", &e.to_string());
        }
    }

    /// A text that stands for a secret in a key: only this cache can make it.
    ///
    /// # Errors
    /// When the cache has no salt and none can be made.
    pub fn salted(&self, secret: &str) -> io::Result<String> {
        let salt = self.store.salt()?;
        let hash = blake3::keyed_hash(&salt, secret.as_bytes());
        Ok(format!("{}{}", key::SALTED, &hash.to_hex()[..16]))
    }

    /// Writes down what was learnt.
    pub fn close(&self) {
        let checkout = self.settings.checkout();
        let saved = own_files::private_folder(&checkout)
            .and_then(|()| self.index().save(&self.store, &checkout.join(FILES)))
            .and_then(|()| self.steps().save(&self.store, &checkout.join(STEPS)));
        if !self.kept.load(Ordering::Relaxed) {
            // What is remembered only saves time.
            return;
        }
        if let Err(e) = saved {
            self.failed("written", &e.to_string());
        } else {
            // Who cannot trim now does so another day.
            let _ = trim::trim_daily(&self.store);
        }
    }

    /// Notes that the cache cannot be used as it should. Only the first time counts: one warning says it all.
    pub fn failed(&self, verb: &str, why: &str) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if !trouble.1 {
            *trouble = (
                Some(format!(
                    "the cache cannot be {verb}: {why}; the run goes on without it"
                )),
                true,
            );
        }
    }

    /// What has to be told, once.
    pub fn trouble(&self) -> Option<String> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let own = trouble.0.take();
        own.or_else(|| self.remote.as_ref()?.trouble())
    }
}

impl Settings {
    /// Of a trusted run that takes results and writes none.
    #[must_use]
    pub fn of(folder: PathBuf, root: PathBuf) -> Self {
        Self {
            folder,
            root,
            scratch: None,
            scope: Scope::Trusted,
            refresh: false,
        }
    }

    /// What a checkout remembers is kept with the user's cache, by the path of its folder, and for strangers apart.
    fn checkout(&self) -> PathBuf {
        checkout(&self.folder, &self.root).join(self.scope.own())
    }
}

/// Where a cache keeps what it remembers of the pipeline in `root`.
fn checkout(folder: &Path, root: &Path) -> PathBuf {
    let name = Digest::of(root.as_os_str().as_encoded_bytes()).hex();
    let all = folder.join(store::LAYOUT).join("checkout");
    all.join(&name[..16])
}

fn today() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |d| d.as_secs() / 86_400)
}
