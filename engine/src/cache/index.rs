//! Which content a file had when it was last read, so that a file that did not change need not be read again.
//!
//! A file is the same if its size, modification time, change time, inode, device and mode are. The change time cannot
//! be set by a program, so that a file that was written with its old size and time is noticed. What remains is a file
//! that changes again within one tick of the file system's clock after it was read (git calls this "racily clean").
//! Where the file system gives every change a time of its own as soon as somebody has looked (Linux since 6.13 does),
//! there is no such moment; this is tried out once for each run. Elsewhere a file is only remembered when it was read
//! well after its last change.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use super::{ByName, Digest, Store, sealed};
use crate::seen::Seen;

/// The longest tick of a clock that stamps files with fractions of seconds.
const TICK: Duration = Duration::from_millis(20);
/// The same for a file system that counts whole seconds; FAT counts pairs of them.
const COARSE_TICK: Duration = Duration::from_secs(3);

/// The index of one checkout.
#[derive(Debug)]
pub struct Index {
    known: LazyLock<RwLock<Known>, Box<dyn FnOnce() -> RwLock<Known> + Send>>,
    /// A folder on the file system of the checkout in which a file can be made for a moment.
    scratch: OnceLock<PathBuf>,
    /// The device on which every change has a time of its own; tried out when there is something to learn.
    exact_on: OnceLock<Option<u64>>,
}

#[derive(Debug, Default)]
struct Known {
    files: ByName<(Seen, Digest)>,
    learnt: bool,
}

impl Index {
    /// What was learnt, as it is read; one that is missing, damaged or of another format knows nothing.
    pub(super) fn read_by(
        files: impl FnOnce() -> Option<ByName<(Seen, Digest)>> + Send + 'static,
    ) -> Self {
        let known = move || {
            RwLock::new(Known {
                files: files().unwrap_or_default(),
                learnt: false,
            })
        };
        Self {
            known: LazyLock::new(Box::new(known)),
            scratch: OnceLock::new(),
            exact_on: OnceLock::new(),
        }
    }

    /// An index that knows nothing.
    #[must_use]
    pub fn blank() -> Self {
        Self::read_by(|| None)
    }

    /// Names a folder on the file system of the checkout in which a file can be made for a moment.
    pub(super) fn try_out_in(&self, scratch: &Path) {
        // The first is as good as any other.
        let _ = self.scratch.set(scratch.to_owned());
    }

    fn exact_on(&self) -> Option<u64> {
        let try_out = || exact_device(self.scratch.get()?).ok().flatten();
        *self.exact_on.get_or_init(try_out)
    }

    /// The content of a file that looks like this, if that is known.
    #[must_use]
    pub fn content(&self, path: &str, seen: &Seen) -> Option<Digest> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (then, digest) = known.files.get(path)?;
        (then == seen).then_some(*digest)
    }

    /// Remembers what was read from a file that looked like this before and after it was read. `began` is when reading
    /// began.
    pub fn learn(&self, path: &str, seen: Seen, digest: Digest, began: SystemTime) {
        let began = began.duration_since(SystemTime::UNIX_EPOCH);
        let quiet = began.is_ok_and(|began| began > last_change(&seen) + tick(&seen));
        if quiet || self.exact_on() == Some(seen.device) {
            let mut known = self.known();
            known.files.insert(path.to_owned(), (seen, digest));
            known.learnt = true;
        }
    }

    /// Writes the index into a store if it has learnt something.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, store: &Store, path: &Path) -> io::Result<()> {
        let mut known = self.known();
        if !known.learnt {
            return Ok(());
        }
        sealed::write(store, path, &known.files)?;
        known.learnt = false;
        Ok(())
    }

    fn known(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The device of a folder, if its file system gives every change that follows a look a time of its own.
fn exact_device(folder: &Path) -> io::Result<Option<u64>> {
    let path = folder.join("clock");
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    let mut exact = true;
    let mut last = file.metadata()?;
    // More often than a coarse clock could tick meanwhile by chance.
    for _ in 0..4 {
        file.write_all(b"x")?;
        let now = file.metadata()?;
        let time = |meta: &Metadata| (meta.ctime(), meta.ctime_nsec());
        exact &= time(&now) > time(&last);
        last = now;
    }
    fs::remove_file(&path)?;
    Ok(exact.then(|| last.dev()))
}

/// The time of the last change, since 1970.
fn last_change(seen: &Seen) -> Duration {
    let (seconds, nanos) = seen.changed.max(seen.modified);
    Duration::new(
        u64::try_from(seconds).unwrap_or(0),
        u32::try_from(nanos).unwrap_or(0),
    )
}

/// How long the clock may stand still that stamped a file.
fn tick(seen: &Seen) -> Duration {
    match (seen.modified.1, seen.changed.1) {
        (0, 0) => COARSE_TICK,
        _ => TICK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(changed: i64) -> Seen {
        Seen {
            size: 1,
            modified: (changed, 5),
            changed: (changed, 5),
            inode: 2,
            device: 3,
            mode: 0o644,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn blank(exact_on: Option<u64>) -> Index {
        Index {
            exact_on: OnceLock::from(exact_on),
            ..Index::blank()
        }
    }

    #[test]
    fn a_file_that_was_read_in_the_tick_of_its_change_is_not_remembered() {
        let index = blank(None);
        let digest = Digest::of(b"x");
        index.learn("young", seen(100), digest, at(100));
        index.learn("old", seen(100), digest, at(101));
        assert_eq!(index.content("young", &seen(100)), None);
        assert_eq!(index.content("old", &seen(100)), Some(digest));
        let whole_seconds = Seen {
            modified: (100, 0),
            changed: (100, 0),
            ..seen(100)
        };
        index.learn("coarse", whole_seconds, digest, at(102));
        assert_eq!(index.content("coarse", &whole_seconds), None);
    }

    #[test]
    fn on_an_exact_file_system_it_is() {
        let index = blank(Some(3));
        let digest = Digest::of(b"x");
        index.learn("young", seen(100), digest, at(100));
        assert_eq!(index.content("young", &seen(100)), Some(digest));
    }

    #[test]
    fn any_difference_is_a_change() {
        let index = blank(Some(3));
        index.learn("a", seen(100), Digest::of(b"x"), at(200));
        let changes = [
            Seen {
                size: 2,
                ..seen(100)
            },
            Seen {
                modified: (100, 6),
                ..seen(100)
            },
            Seen {
                changed: (100, 6),
                ..seen(100)
            },
            Seen {
                inode: 7,
                ..seen(100)
            },
            Seen {
                device: 7,
                ..seen(100)
            },
            Seen {
                mode: 0o755,
                ..seen(100)
            },
        ];
        for change in changes {
            assert_eq!(index.content("a", &change), None);
        }
    }

    #[test]
    fn an_index_is_read_back_and_a_damaged_one_knows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("files");
        let index = blank(Some(3));
        let digest = Digest::of(b"x");
        index.learn("a", seen(100), digest, at(200));
        index.save(&Store::beneath(dir.path()), &path).unwrap();
        let read = |path: &Path| {
            let path = path.to_owned();
            Index::read_by(move || sealed::read(&path)).content("a", &seen(100))
        };
        assert_eq!(read(&path), Some(digest));
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut broken = sound.clone();
            broken[at] ^= 1;
            fs::write(&path, broken).unwrap();
            assert_eq!(read(&path), None, "byte {at}");
        }
    }
}
