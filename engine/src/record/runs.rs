//! The runs of a checkout: numbered folders, their states, and how many are kept.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::journal::{self, Header, Journal, Reading};
use crate::run::event::{Event, StepName};
use crate::run::outcome::{Outcome, RunOutcome, UndoOutcome};

/// How many runs are kept.
const KEPT: u64 = 100;
/// The largest number that a run can have; a folder with a larger one is not ours.
const LAST: u64 = 999_999_999;

/// The `.pipe` folder of a checkout.
#[derive(Debug, Clone)]
pub struct Runs {
    folder: PathBuf,
}

/// The folder of one run.
#[derive(Debug)]
pub struct RunDir {
    /// Its number.
    pub id: u64,
    /// The folder.
    pub path: PathBuf,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its number.
    pub id: u64,
    /// Its journal.
    pub reading: Reading,
    /// How it ended; `None` while it runs, or when it was interrupted.
    pub outcome: Option<RunOutcome>,
    /// Whether its process still lives.
    pub alive: bool,
}

impl Runs {
    /// The runs of the checkout in this folder.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            folder: root.join(".pipe"),
        }
    }

    /// The `.pipe` folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the next free number, makes its folder and begins its journal. Several runs may do so at once.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn begin(&self, header: &Header) -> io::Result<(RunDir, Journal)> {
        let runs = self.folder.join("runs");
        fs::create_dir_all(&runs)?;
        // The folder holds what belongs to this machine only; git need not see it.
        let ignore = self.folder.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n")?;
        }
        let mut id = self.ids().last().copied().unwrap_or(0) + 1;
        let path = loop {
            let path = runs.join(id.to_string());
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => id += 1,
                Err(e) => return Err(e),
            }
        };
        let begun = begin(&path, header);
        if begun.is_err() {
            // Half a run is none: it would only puzzle whoever lists them.
            let _ = fs::remove_dir_all(&path);
        }
        let journal = begun?;
        self.trim(id);
        Ok((RunDir { id, path }, journal))
    }

    /// The numbers of all runs, oldest first.
    #[must_use]
    pub fn ids(&self) -> Vec<u64> {
        let entries = fs::read_dir(self.folder.join("runs"))
            .into_iter()
            .flatten()
            .flatten();
        let mut ids: Vec<u64> = entries
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .filter(|id| *id <= LAST)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// The folder of a run.
    #[must_use]
    pub fn dir(&self, id: u64) -> RunDir {
        RunDir {
            id,
            path: self.folder.join("runs").join(id.to_string()),
        }
    }

    /// Whether a run has come to its end.
    #[must_use]
    pub fn is_over(&self, id: u64) -> bool {
        let last = journal::last_event(&self.dir(id).path.join("journal"));
        matches!(last, Some(Event::RunEnded { .. }))
    }

    /// What a run came to.
    ///
    /// # Errors
    /// When there is no such run, or its journal cannot be read.
    pub fn summary(&self, id: u64) -> Result<Summary, String> {
        let dir = self.dir(id);
        let path = dir.path.join("journal");
        let reading = journal::read(&path)?;
        let outcome = reading.events.iter().rev().find_map(|(_, e)| match e {
            Event::RunEnded { outcome, .. } => Some(*outcome),
            _ => None,
        });
        Ok(Summary {
            id,
            reading,
            outcome,
            alive: outcome.is_none() && is_locked(&path),
        })
    }

    /// Removes old runs that are over.
    fn trim(&self, newest: u64) {
        for id in self.ids() {
            if id + KEPT > newest {
                break;
            }
            let dir = self.dir(id).path;
            if !is_locked(&dir.join("journal")) {
                // What cannot be removed now is tried again by the next run.
                let _ = fs::remove_dir_all(dir);
            }
        }
    }
}

impl RunDir {
    /// The log of a step, by its full name.
    #[must_use]
    pub fn log(&self, step: &str) -> PathBuf {
        self.path.join("logs").join(log_name(step))
    }
}

impl Summary {
    /// Whether the run ended without a word: it was killed, or the machine was.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.outcome.is_none() && !self.alive
    }

    /// The steps that may have changed something, did not succeed as far as the journal knows, and were not undone.
    #[must_use]
    pub fn left_undone(&self) -> Vec<StepName> {
        let mut left = BTreeSet::new();
        for (_, event) in &self.reading.events {
            match event {
                Event::Armed { step } | Event::UndoStarted { step } => {
                    left.insert(step.clone());
                }
                Event::StepEnded {
                    step,
                    outcome: Outcome::Passed | Outcome::SoftFailed { .. },
                    ..
                }
                | Event::UndoEnded {
                    step,
                    outcome: UndoOutcome::RolledBack,
                    ..
                } => {
                    left.remove(step);
                }
                _ => {}
            }
        }
        left.into_iter().collect()
    }
}

/// The journal of a run. It is on the disk for good with its first `sync`: also the names, up to the one of `.pipe`.
fn begin(path: &Path, header: &Header) -> io::Result<Journal> {
    let folders = path.ancestors().take(4).map(Path::to_path_buf).collect();
    Journal::create(&path.join("journal"), folders, header)
}

/// A journal is locked while its run lives.
fn is_locked(journal: &Path) -> bool {
    let locked = |f: File| matches!(f.try_lock_shared(), Err(fs::TryLockError::WouldBlock));
    File::open(journal).is_ok_and(locked)
}

/// A file name for a step: readable, and different for different steps.
fn log_name(step: &str) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
            c
        } else {
            '-'
        }
    };
    let mut name: String = step.chars().take(60).map(safe).collect();
    if name != step {
        name.push('-');
        name.push_str(&blake3::hash(step.as_bytes()).to_hex()[..8]);
    }
    name + ".log"
}
