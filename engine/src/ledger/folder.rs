//! The same documents in a folder of this machine, where there is no repository or it takes no such refs. One machine's
//! processes see each other's writes in order; other machines see nothing. Does not know what the documents say.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::LedgerError;
use super::refs::{Document, Tip};

/// A folder with a chain or a single document for each name.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// What is written at a time: the document, and the number that it has.
impl Folder {
    /// The documents beneath this folder, which need not be there.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The names beneath `prefix`, with their tips, in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, LedgerError> {
        let folder = self.root.join(prefix);
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| trouble(&folder, &e))?,
        };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if let Some(tip) = self.tip(&name)? {
                found.push((name, tip));
            }
        }
        found.sort();
        Ok(found)
    }

    /// The number of the newest document of a name, as text.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn tip(&self, name: &str) -> Result<Tip, LedgerError> {
        Ok(self.numbers(name)?.pop().map(|n| n.to_string()))
    }

    /// The documents of a name, the newest first.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn chain(&self, name: &str, tip: &str) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let last: u64 = tip.parse().unwrap_or(0);
        let mut documents = Vec::new();
        for number in self.numbers(name)?.into_iter().rev().filter(|n| *n <= last) {
            let path = self.file(name, number);
            let bytes = fs::read(&path).map_err(|e| trouble(&path, &e))?;
            documents.push((number.to_string(), bytes));
        }
        Ok(documents)
    }

    /// As [`super::refs::Refs::swap`].
    ///
    /// # Errors
    /// [`LedgerError::Moved`] where the newest document is not `old`, otherwise what the disk did not do.
    pub fn swap(
        &self,
        name: &str,
        old: Option<&str>,
        new: Option<&Document<'_>>,
    ) -> Result<Tip, LedgerError> {
        let folder = self.root.join(name);
        fs::create_dir_all(&folder).map_err(|e| trouble(&folder, &e))?;
        let guard = self.root.join("guard");
        let guard = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&guard)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|e| trouble(&guard, &e))?;
        let moved = || LedgerError::Moved(name.rsplit('/').next().unwrap_or(name).to_owned());
        let numbers = self.numbers(name)?;
        let newest = numbers.last().map(u64::to_string);
        if newest.as_deref() != old {
            return Err(moved());
        }
        let tip = match new {
            Some(document) => {
                // A number is not used twice, even when what had it is gone: time says which is the newer one.
                let number = match old.and_then(|o| o.parse::<u64>().ok()) {
                    Some(old) => old + 1,
                    None => self.unused(),
                };
                self.write(&folder, number, document.text)
                    .map_err(|e| trouble(&folder, &e))?;
                Some(number.to_string())
            }
            None => None,
        };
        if new.is_none_or(|d| !d.chained) {
            for number in numbers {
                let path = self.file(name, number);
                fs::remove_file(&path).map_err(|e| trouble(&path, &e))?;
            }
        }
        drop(guard);
        Ok(tip)
    }

    fn unused(&self) -> u64 {
        let now = jiff::Timestamp::now().as_microsecond();
        u64::try_from(now).unwrap_or(1)
    }

    /// Written beside, forced to the disk, then given its name.
    fn write(&self, folder: &Path, number: u64, text: &str) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist_noclobber(folder.join(format!("{number:020}.json")))
            .map_err(|e| e.error)?;
        File::open(folder)?.sync_all()
    }

    fn file(&self, name: &str, number: u64) -> PathBuf {
        self.root.join(name).join(format!("{number:020}.json"))
    }

    fn numbers(&self, name: &str) -> Result<Vec<u64>, LedgerError> {
        let folder = self.root.join(name);
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| trouble(&folder, &e))?,
        };
        let number = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".json")?.parse().ok()
        };
        let mut numbers: Vec<u64> = entries.flatten().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn trouble(path: &Path, error: &std::io::Error) -> LedgerError {
    LedgerError::File(format!("{}: {error}", path.display()))
}
