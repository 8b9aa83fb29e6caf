//! What a checkout remembers of its steps: the last result of each, and how long it took. A copy of what the store and
//! the journals know, in one file, so that a run in which nothing changed need not open a thousand.

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use super::basis::Basis;
use super::sealed;
use super::{Action, ByName, Digest, Store};
use crate::own_files::{self, private_folder};

/// What is remembered of one step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Remembered {
    /// How long it took when it last ran, in milliseconds.
    pub millis: u64,
    /// What it last made, if that can be kept.
    pub result: Option<Arc<Action>>,
    /// Under which key it last ran, or did not have to.
    pub last: Option<Digest>,
    /// What a key of it rests on.
    pub basis: Option<Arc<Basis>>,
    /// The day, since 1970, on which the store was last told that the result is in use.
    pub used: u64,
}

/// All steps of a checkout, by full name.
#[derive(Debug)]
pub struct Steps {
    known: LazyLock<RwLock<Known>, Box<dyn FnOnce() -> RwLock<Known> + Send>>,
}

#[derive(Debug, Default)]
struct Known {
    steps: ByName<Remembered>,
    changed: ByName<Remembered>,
}

impl Steps {
    /// What is remembered, as it is read; nothing, where the file is missing or damaged.
    pub(super) fn read_by(
        steps: impl FnOnce() -> Option<ByName<Remembered>> + Send + 'static,
    ) -> Self {
        let known = move || {
            RwLock::new(Known {
                steps: steps().unwrap_or_default(),
                changed: ByName::default(),
            })
        };
        Self {
            known: LazyLock::new(Box::new(known)),
        }
    }

    /// The last result of a step, if it was made under this key.
    #[must_use]
    pub fn result(&self, step: &str, key: &Digest) -> Option<Arc<Action>> {
        let known = self.known();
        let result = known.steps.get(step)?.result.as_ref()?;
        (result.key == *key).then(|| Arc::clone(result))
    }

    /// How long a step took when it last ran, in milliseconds.
    #[must_use]
    pub fn millis(&self, step: &str) -> Option<u64> {
        self.known().steps.get(step).map(|s| s.millis)
    }

    /// Under which key a step last ran, or did not have to.
    #[must_use]
    pub fn last(&self, step: &str) -> Option<Digest> {
        self.known().steps.get(step)?.last
    }

    /// Notes under which key a step ran, or did not have to.
    pub fn saw(&self, step: &str, key: Digest) {
        if self.last(step) == Some(key) {
            return;
        }
        let known = self.known().steps.get(step).cloned().unwrap_or_default();
        let last = Some(key);
        self.remember(step, Remembered { last, ..known });
    }

    /// What a key of a step rests on, if that is remembered.
    #[must_use]
    pub fn basis(&self, step: &str) -> Option<Arc<Basis>> {
        self.known().steps.get(step)?.basis.clone()
    }

    /// Notes what the key of a step rests on.
    pub fn rests_on(&self, step: &str, basis: Basis) {
        let known = self.known().steps.get(step).cloned().unwrap_or_default();
        let basis = Some(Arc::new(basis));
        if known.basis != basis {
            self.remember(step, Remembered { basis, ..known });
        }
    }

    /// Notes the result that a step has now.
    pub fn has(&self, step: &str, result: Arc<Action>, used: u64) {
        let remembered = Remembered {
            millis: result.millis,
            last: Some(result.key),
            result: Some(result),
            used,
            basis: self.basis(step),
        };
        self.remember(step, remembered);
    }

    /// Whether the store has not been told today that the result of a step is in use. It is told once.
    pub fn first_use(&self, step: &str, today: u64) -> bool {
        let used = self.known().steps.get(step).map(|s| s.used);
        if used.is_none_or(|used| used == today) {
            return false;
        }
        let mut known = self.to_change();
        let Some(remembered) = known.steps.get_mut(step) else {
            return false;
        };
        // Somebody else may have told it since.
        if remembered.used == today {
            return false;
        }
        remembered.used = today;
        let now = remembered.clone();
        known.changed.insert(step.to_owned(), now);
        true
    }

    fn remember(&self, step: &str, remembered: Remembered) {
        let mut known = self.to_change();
        known.steps.insert(step.to_owned(), remembered.clone());
        known.changed.insert(step.to_owned(), remembered);
    }

    /// Remembers how long a step took of which nothing is kept.
    pub fn took(&self, step: &str, millis: u64) {
        let known = self.known().steps.get(step).cloned().unwrap_or_default();
        self.remember(step, Remembered { millis, ..known });
    }

    /// Whether a path was made by another step than this one.
    #[must_use]
    pub fn is_of_another(&self, step: &str, path: &str) -> bool {
        let known = self.known();
        let mut others = known.steps.iter().filter(|(name, _)| *name != step);
        others.any(|(_, s)| {
            s.result.as_ref().is_some_and(|r| {
                let found = r.outputs.binary_search_by(|e| e.path.as_str().cmp(path));
                found.is_ok()
            })
        })
    }

    /// Writes what has changed into a store; what another run has written meanwhile stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, store: &Store, path: &Path) -> io::Result<()> {
        let changed = std::mem::take(&mut self.to_change().changed);
        if changed.is_empty() {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        private_folder(folder)?;
        let lock = own_files::lock_file(&folder.join("lock"))?;
        lock.lock()?;
        let mut steps: ByName<Remembered> = sealed::read(path).unwrap_or_default();
        steps.extend(changed);
        sealed::write(store, path, &steps)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_change(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
