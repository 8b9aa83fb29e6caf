//! Directories that are kept between runs under a key, such as a package manager's: brought back before a job, kept
//! after it succeeded. A key, once kept, is not changed.
//!
//! A directory beneath the pipeline's folder becomes exactly what is kept. One elsewhere, such as in the user's home,
//! belongs to others as well: there only files are added.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::index::Index;
use super::restore::{self, Place};
use super::{Cache, Digest, Entry, Lost, action, snapshot};
use crate::files::Patterns;
use crate::own_files::{self, private_folder};

/// A directory, and the keys under which it is looked for.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What it is called.
    pub name: String,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Whether it is beneath the pipeline's folder.
    pub inside: bool,
    /// The parts of its key, each with its value.
    pub key: Vec<String>,
    /// The parts of shorter keys, to be tried in order.
    pub shorter: Vec<Vec<String>>,
}

/// A kept state of a directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    format: u32,
    parts: Vec<String>,
    tree: Digest,
}

/// Where the content of a directory came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// It has been there.
    Here,
    /// From what is kept under the key.
    Key,
    /// From what is kept under a key that has the parts of a shorter one.
    Shorter,
    /// Nothing is kept.
    Nowhere,
}

impl Kept {
    fn digest(&self) -> Digest {
        digest(&self.name, &self.key)
    }
}

fn digest(name: &str, parts: &[String]) -> Digest {
    Digest::of(&serde_json::to_vec(&(name, parts)).unwrap_or_default())
}

impl Cache {
    /// Brings the newest fitting state of a directory into place.
    ///
    /// # Errors
    /// When files cannot be put in place; the directory may have some of them then.
    pub fn bring(&self, kept: &Kept, scratch: &Path) -> Result<From, Lost> {
        fs::create_dir_all(&kept.path)?;
        let _alone = self.alone(kept)?;
        let marked = own_files::read_file(&self.store.root().join(self.marker(kept)), 64);
        let marked = String::from_utf8(marked.unwrap_or_default()).unwrap_or_default();
        let own = kept.digest().hex();
        if marked == own {
            return Ok(From::Here);
        }
        let found = self.record(kept, &own).map(|r| (From::Key, own, r));
        let shorter = || {
            kept.shorter
                .iter()
                .find_map(|parts| self.newest(kept, parts))
        };
        let Some((from, key, record)) = found.or_else(shorter) else {
            return Ok(From::Nowhere);
        };
        if marked == key {
            return Ok(From::Here);
        }
        let Some(entries) = self.tree(&record) else {
            return Ok(From::Nowhere);
        };
        // Until it is whole it is no state of any key.
        let _ = fs::remove_file(self.marker(kept));
        let stale = if kept.inside { vec!["."] } else { Vec::new() };
        let patterns = Patterns::everything(stale).map_err(io::Error::other)?;
        let place = Place {
            root: &kept.path,
            scratch,
            index: &Index::blank(),
        };
        restore::restore(&entries, &self.store, &place, &patterns, &|_| false)?;
        self.mark(kept, &key)?;
        Ok(from)
    }

    /// Keeps a directory as it is now, unless its key is kept already.
    ///
    /// # Errors
    /// What cannot be kept, and why.
    pub fn keep_directory(&self, kept: &Kept) -> Result<(), String> {
        let own = kept.digest().hex();
        let _alone = self.alone(kept).map_err(|e| e.to_string())?;
        if self.record(kept, &own).is_some() {
            return Ok(());
        }
        let all = Patterns::everything(["."]).map_err(|e| e.to_string())?;
        let nothing = Index::blank();
        let entries = snapshot::keep(&kept.path, &all, &self.store, &nothing)?;
        let stored = || -> io::Result<()> {
            let tree = self.store.put(&serde_json::to_vec(&entries)?)?;
            let record = Record {
                format: 1,
                parts: kept.key.clone(),
                tree,
            };
            let place = self.shelf(self.settings.scope.own(), kept).join(&own);
            self.store.record(&place, &serde_json::to_vec(&record)?)?;
            self.mark(kept, &own)
        };
        stored().map_err(|e| e.to_string())
    }

    /// The folder of all states of a directory, beneath the store.
    fn shelf(&self, scope: &str, kept: &Kept) -> PathBuf {
        let name = Digest::of(kept.name.as_bytes()).hex();
        Path::new("kept").join(scope).join(&name[..16])
    }

    fn record(&self, kept: &Kept, key: &str) -> Option<Record> {
        let scopes = self.settings.scope.believed();
        let mut paths = scopes.iter().map(|s| self.shelf(s, kept).join(key));
        paths.find_map(|path| read(&self.store.root().join(path)))
    }

    /// The newest state whose key has all these parts.
    fn newest(&self, kept: &Kept, parts: &[String]) -> Option<(From, String, Record)> {
        let mut best: Option<(SystemTime, String, Record)> = None;
        for scope in self.settings.scope.believed() {
            let shelf = self.store.root().join(self.shelf(scope, kept));
            for entry in fs::read_dir(shelf).into_iter().flatten().flatten() {
                let Some(record) = read(&entry.path()) else {
                    continue;
                };
                let fits = parts.iter().all(|p| record.parts.contains(p));
                let made = entry.metadata().and_then(|m| m.modified()).ok();
                let made = made.unwrap_or(SystemTime::UNIX_EPOCH);
                if fits && best.as_ref().is_none_or(|(newest, _, _)| made > *newest) {
                    let key = digest(&kept.name, &record.parts).hex();
                    best = Some((made, key, record));
                }
            }
        }
        best.map(|(_, key, record)| (From::Shorter, key, record))
    }

    fn tree(&self, record: &Record) -> Option<Vec<Entry>> {
        let text = self.store.get(&record.tree, action::LONGEST).ok()?;
        let entries: Vec<Entry> = serde_json::from_slice(&text).ok()?;
        entries.iter().all(Entry::is_tidy).then_some(entries)
    }

    /// What a directory on this machine holds, by its path; beneath the store.
    fn marker(&self, kept: &Kept) -> PathBuf {
        let path = Digest::of(kept.path.as_os_str().as_encoded_bytes()).hex();
        let folder = Path::new("place").join(self.settings.scope.own());
        folder.join(&path[..16])
    }

    fn mark(&self, kept: &Kept, key: &str) -> io::Result<()> {
        self.store.record(&self.marker(kept), key.as_bytes())
    }

    /// Nobody else brings or keeps this directory while this lives.
    fn alone(&self, kept: &Kept) -> io::Result<File> {
        let path = self.marker(kept).with_extension("lock");
        let path = self.store.root().join(path);
        private_folder(path.parent().unwrap_or(Path::new(".")))?;
        let file = own_files::lock_file(&path)?;
        file.lock()?;
        Ok(file)
    }
}

/// The longest record that is read.
const LONGEST: u64 = 1 << 20;

fn read(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&own_files::read_file(path, LONGEST).ok()?).ok()?;
    (record.format == 1).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Settings;

    fn cache(dir: &Path) -> Cache {
        Cache::open(Settings::of(dir.join("cache"), dir.join("app")))
    }

    fn kept(dir: &Path, lock: &str, inside: bool) -> Kept {
        Kept {
            name: "modules".into(),
            path: dir.join("app/modules"),
            inside,
            key: vec!["os linux".into(), format!("lock {lock}")],
            shorter: vec![vec!["os linux".into()]],
        }
    }

    fn files(kept: &Kept) -> Vec<String> {
        let all = Patterns::everything(["."])
            .unwrap()
            .find(&kept.path)
            .unwrap();
        let text = |p: &PathBuf| fs::read_to_string(kept.path.join(p)).unwrap();
        all.iter()
            .map(|p| format!("{} {}", p.display(), text(p)))
            .collect()
    }

    fn write(kept: &Kept, name: &str, text: &str) {
        let path = kept.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_directory_becomes_what_its_key_says_or_the_nearest_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path());
        let (one, two, other) = (
            kept(dir.path(), "1", true),
            kept(dir.path(), "2", true),
            kept(dir.path(), "3", true),
        );
        let bring = |kept: &Kept| cache.bring(kept, dir.path()).unwrap();
        assert_eq!(bring(&one), From::Nowhere);
        write(&one, "a/.git/x", "1");
        write(&one, "b", "1");
        cache.keep_directory(&one).unwrap();
        assert_eq!(bring(&one), From::Here);
        // The nearest is here already.
        assert_eq!(bring(&two), From::Here);
        fs::remove_file(two.path.join("b")).unwrap();
        write(&two, "c", "2");
        cache.keep_directory(&two).unwrap();
        assert_eq!(bring(&one), From::Key);
        assert_eq!(files(&one), ["a/.git/x 1", "b 1"]);
        fs::remove_dir_all(&one.path).unwrap();
        fs::remove_dir_all(dir.path().join("cache/v2/place")).unwrap();
        assert_eq!(bring(&other), From::Shorter);
        assert_eq!(files(&other), ["a/.git/x 1", "c 2"]);
    }

    #[test]
    fn a_directory_of_others_only_gets_more() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(dir.path());
        let (one, two) = (kept(dir.path(), "1", false), kept(dir.path(), "2", false));
        write(&one, "a", "1");
        cache.keep_directory(&one).unwrap();
        fs::remove_file(one.path.join("a")).unwrap();
        write(&two, "mine", "1");
        cache.keep_directory(&two).unwrap();
        assert_eq!(cache.bring(&one, dir.path()).unwrap(), From::Key);
        assert_eq!(files(&one), ["a 1", "mine 1"]);
    }
}
