//! What each target runs and ran, who approved of what, and who may change it now: on git refs, or in a folder where there
//! are none. Records are appended by compare-and-swap, so that of two writers one wins and the other is told.
//!
//! `refs/pipe/targets/TARGET` is a chain of commits, one for each record, each with the record as `record.json`;
//! `refs/pipe/locks/TARGET` is a lease. `git log refs/pipe/targets/TARGET` reads it without `pipe`.

mod error;
mod folder;
mod history;
mod lease;
pub mod metrics;
mod record;
mod refs;
#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::Timestamp;

pub use error::{Cause, LedgerError};
pub use history::{Current, History, Intended, Interrupted, Release};
pub use lease::{BEAT, HOLDS, Lease};
pub use record::{
    Approval, Bundle, Entry, FORMAT, Given, ImageAt, Outcome, Place, Record, Unmanaged, Way,
};

use crate::world::{Git, GitError};
use folder::Folder;
use refs::{Document, Refs, Tip};

/// Where the records of targets are.
const TARGETS: &str = "refs/pipe/targets/";
/// Where their leases are.
const LOCKS: &str = "refs/pipe/locks/";

/// Where it is kept.
#[derive(Debug, Clone)]
enum Store {
    Refs(Refs),
    Folder(Folder),
}

/// The ledger of a pipeline's targets. Its calls wait for git, and perhaps for the network.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Store,
    /// Who writes.
    by: String,
    /// The run that writes, for a person.
    run: String,
}

/// A lease that is held.
#[derive(Debug, Clone)]
pub struct Held {
    target: String,
    tip: String,
    lease: Lease,
    /// The holder whose lease was over, where there was one.
    pub instead_of: Option<Lease>,
}

impl Ledger {
    /// The ledger of the pipeline in `root`: on the refs of its repository, or in its folder `.pipe` where it is in none
    /// or `files` says so.
    ///
    /// # Errors
    /// When git cannot be asked.
    pub fn open(
        root: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        files: bool,
        run: &str,
    ) -> Result<Self, LedgerError> {
        let git = Git::new(root, env);
        let folder = || Store::Folder(Folder::new(root.join(".pipe/ledger")));
        let store = if files {
            folder()
        } else {
            match Refs::open(&git) {
                Ok(refs) => Store::Refs(refs),
                Err(LedgerError::Git(GitError::NotARepository(_) | GitError::NotInstalled)) => {
                    folder()
                }
                Err(error) => return Err(error),
            }
        };
        let name = git.output(&["config", "user.name"]).ok();
        let own = [
            "GITHUB_ACTOR",
            "GITLAB_USER_LOGIN",
            "BUILDKITE_BUILD_CREATOR",
        ];
        let by = own
            .iter()
            .find_map(|name| env(name))
            .or(name)
            .or_else(|| env("USER"));
        Ok(Self {
            store,
            by: by.map_or("somebody".to_owned(), |b| b.trim().to_owned()),
            run: run.to_owned(),
        })
    }

    /// The same for another run.
    #[must_use]
    pub fn of_run(mut self, run: &str) -> Self {
        run.clone_into(&mut self.run);
        self
    }

    /// Who writes.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Where it is, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.store {
            Store::Refs(refs) => match refs.remote() {
                Some(remote) => format!("refs/pipe of the remote {remote}"),
                None => "refs/pipe of this repository".to_owned(),
            },
            Store::Folder(_) => ".pipe/ledger of this machine".to_owned(),
        }
    }

    /// The targets that have records.
    ///
    /// # Errors
    /// When the ledger cannot be reached.
    pub fn targets(&self) -> Result<Vec<String>, LedgerError> {
        let found = self.list(TARGETS)?;
        let name = |(name, _): (String, String)| name[TARGETS.len()..].to_owned();
        Ok(found.into_iter().map(name).collect())
    }

    /// Everything that happened to a target.
    ///
    /// # Errors
    /// When the ledger cannot be reached, or has what this version cannot read.
    pub fn history(&self, target: &str) -> Result<History, LedgerError> {
        let name = format!("{TARGETS}{target}");
        let Some(tip) = self.tip(&name)? else {
            return Ok(History::new(target, None, Vec::new()));
        };
        let mut entries = Vec::new();
        for (id, bytes) in self.chain(&name, &tip)? {
            entries.push((id, read(target, &bytes)?));
        }
        entries.reverse();
        Ok(History::new(target, Some(tip), entries))
    }

    /// Appends a record to a history, if nothing was appended since it was read; gives the longer history.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] where something was, otherwise why it cannot be written.
    pub fn append(&self, history: &History, record: Record) -> Result<History, LedgerError> {
        let entry = Entry {
            format: record.format(),
            id: unique(),
            at: Timestamp::now().to_string(),
            by: self.by.clone(),
            run: self.run.clone(),
            record,
        };
        let text =
            serde_json::to_string_pretty(&entry).map_err(|e| LedgerError::File(e.to_string()))?;
        let message = history.told(&entry);
        let document = Document {
            text: &text,
            message: &message,
            by: &self.by,
            chained: true,
        };
        let name = format!("{TARGETS}{}", history.target);
        let tip = self.swap(&name, history.tip(), Some(&document))?;
        Ok(history.clone().and(tip, entry))
    }

    /// Appends a record whatever was appended in between.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn note(&self, target: &str, record: &Record) -> Result<History, LedgerError> {
        let mut tries = 0;
        loop {
            let history = self.history(target)?;
            match self.append(&history, record.clone()) {
                Err(LedgerError::Moved(_)) if tries < 50 => tries += 1,
                other => return other,
            }
        }
    }

    /// Takes the lease of a target.
    ///
    /// # Errors
    /// [`LedgerError::Held`] with its holder, or why it cannot be written.
    pub fn lock(&self, target: &str) -> Result<Held, LedgerError> {
        let name = format!("{LOCKS}{target}");
        let mut tries = 0;
        loop {
            let before = self.lease(target)?;
            let held = |lease: &Lease| LedgerError::Held {
                target: target.to_owned(),
                holder: lease.holder(),
            };
            if let Some((_, lease)) = &before
                && !lease.is_over(Timestamp::now())
            {
                return Err(held(lease));
            }
            let lease = Lease::new(unique(), &self.by, &self.run, Timestamp::now());
            let old = before.as_ref().map(|(tip, _)| tip.as_str());
            match self.put(&name, old, &lease, "taken by") {
                Ok(tip) => {
                    return Ok(Held {
                        target: target.to_owned(),
                        tip,
                        lease,
                        instead_of: before.map(|(_, lease)| lease),
                    });
                }
                // Whoever came first is there to be named.
                Err(LedgerError::Moved(_)) if tries < 5 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] where somebody took it, otherwise why it cannot be written.
    pub fn renew(&self, held: &mut Held) -> Result<(), LedgerError> {
        let lease = held.lease.renewed(Timestamp::now());
        let name = format!("{LOCKS}{}", held.target);
        held.tip = self.put(&name, Some(&held.tip), &lease, "renewed by")?;
        held.lease = lease;
        Ok(())
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] where somebody took it, otherwise why it cannot be written.
    pub fn unlock(&self, held: &Held) -> Result<(), LedgerError> {
        let name = format!("{LOCKS}{}", held.target);
        self.swap(&name, Some(&held.tip), None).map(|_| ())
    }

    /// Takes a lease away from whoever holds it; gives it.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn break_lock(&self, target: &str) -> Result<Option<Lease>, LedgerError> {
        let Some((tip, lease)) = self.lease(target)? else {
            return Ok(None);
        };
        let name = format!("{LOCKS}{target}");
        self.swap(&name, Some(&tip), None)?;
        Ok(Some(lease))
    }

    /// The lease of a target, whether or not it is over.
    ///
    /// # Errors
    /// When the ledger cannot be reached.
    pub fn lease(&self, target: &str) -> Result<Option<(String, Lease)>, LedgerError> {
        let name = format!("{LOCKS}{target}");
        let Some(tip) = self.tip(&name)? else {
            return Ok(None);
        };
        let found = match self.chain(&name, &tip) {
            Ok(found) => found,
            // It may have been given back since.
            Err(error) => match self.tip(&name)? {
                now if now.as_deref() == Some(&tip) => return Err(error),
                _ => return self.lease(target),
            },
        };
        let Some((_, bytes)) = found.into_iter().next() else {
            return Ok(None);
        };
        let broken = |e: serde_json::Error| LedgerError::Broken(target.to_owned(), e.to_string());
        Ok(Some((tip, serde_json::from_slice(&bytes).map_err(broken)?)))
    }

    fn put(
        &self,
        name: &str,
        old: Option<&str>,
        lease: &Lease,
        what: &str,
    ) -> Result<String, LedgerError> {
        let text =
            serde_json::to_string_pretty(lease).map_err(|e| LedgerError::File(e.to_string()))?;
        let target = &name[LOCKS.len()..];
        let message = format!("{target}: {what} {} until {}", lease.run, lease.expires);
        let document = Document {
            text: &text,
            message: &message,
            by: &self.by,
            chained: false,
        };
        let tip = self.swap(name, old, Some(&document))?;
        Ok(tip.unwrap_or_default())
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, LedgerError> {
        match &self.store {
            Store::Refs(refs) => refs.list(prefix),
            Store::Folder(folder) => folder.list(prefix),
        }
    }

    fn tip(&self, name: &str) -> Result<Tip, LedgerError> {
        match &self.store {
            Store::Refs(refs) => refs.tip(name),
            Store::Folder(folder) => folder.tip(name),
        }
    }

    fn chain(&self, name: &str, tip: &str) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        match &self.store {
            Store::Refs(refs) => {
                refs.fetch(&[(name.to_owned(), tip.to_owned())])?;
                refs.chain(name, tip)
            }
            Store::Folder(folder) => folder.chain(name, tip),
        }
    }

    fn swap(
        &self,
        name: &str,
        old: Option<&str>,
        new: Option<&Document<'_>>,
    ) -> Result<Tip, LedgerError> {
        match &self.store {
            Store::Refs(refs) => refs.swap(name, old, new),
            Store::Folder(folder) => folder.swap(name, old, new),
        }
    }
}

/// Reads one record.
fn read(target: &str, bytes: &[u8]) -> Result<Entry, LedgerError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let broken = |e: serde_json::Error| LedgerError::Broken(target.to_owned(), e.to_string());
    let format = serde_json::from_slice::<Format>(bytes)
        .map_err(broken)?
        .format;
    if format > FORMAT {
        return Err(LedgerError::Newer(target.to_owned(), format));
    }
    serde_json::from_slice(bytes).map_err(broken)
}

/// A text that nobody else makes.
#[must_use]
pub fn unique() -> String {
    use std::io::Read;
    let mut bytes = [0; 8];
    let random = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    if random.is_err() {
        let now = Timestamp::now().as_nanosecond();
        let text = format!("{now} {}", std::process::id());
        bytes.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    }
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
