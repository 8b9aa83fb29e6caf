//! The cache as a folder: how large it is, what in it is damaged, what goes when it is too large or too old.
//!
//! Whatever is removed is a miss for whoever looks for it afterwards, and never a wrong result, so that nobody has to
//! be kept out meanwhile. What was used within the last hour stays: a run may just be about to name it.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::store::{Lost, Store};
use super::{Action, Digest};
use crate::oci::Layout;
use crate::own_files::{self, private_folder};
use crate::side_by_side::side_by_side;

/// What a cache may hold where nobody says otherwise, in bytes.
pub const USUAL_SIZE: u64 = 10 << 30;
/// How long something stays that nobody uses, where nobody says otherwise.
pub const USUAL_AGE: Duration = Duration::from_hours(30 * 24);

/// The folder of the images.
const IMAGES: &str = "images";

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What may stay.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// So many bytes of contents.
    pub size: u64,
    /// What was used since.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: USUAL_SIZE,
            age: USUAL_AGE,
        }
    }
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Records of results.
    pub results: u64,
    /// Contents.
    pub blobs: u64,
    /// Images that were built.
    pub images: u64,
    /// The bytes of all of it.
    pub bytes: u64,
}

/// A file of the store.
struct Held {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// How much there is in a store.
///
/// # Errors
/// When it cannot be read.
pub fn size(store: &Store) -> io::Result<Size> {
    let (results, blobs) = (held(store, "action")?, held(store, "blob")?);
    let bytes = |files: &[Held]| files.iter().map(|f| f.size).sum::<u64>();
    let beside = bytes(&held(store, "checkout")?) + bytes(&held(store, IMAGES)?);
    Ok(Size {
        results: results.len() as u64,
        blobs: blobs.len() as u64,
        images: images(store).names().map_err(io::Error::other)?.len() as u64,
        bytes: bytes(&results) + bytes(&blobs) + beside,
    })
}

/// Removes what is over the limits; gives what was removed.
///
/// # Errors
/// When the store cannot be read or written.
pub fn trim(store: &Store, limits: &Limits) -> io::Result<Size> {
    private_folder(store.root())?;
    // Two at once would remove twice as much as is needed.
    let lock = own_files::lock_file(&store.root().join("lock"))?;
    lock.lock()?;
    let now = SystemTime::now();
    let idle = |file: &Held| now.duration_since(file.used).unwrap_or_default();
    let mut gone = Size::default();
    for folder in ["tmp", "checkout", "kept", "place"] {
        let keep = if folder == "tmp" { DAY } else { limits.age };
        let old = held(store, folder)?.into_iter().filter(|f| idle(f) > keep);
        for file in old {
            remove(&file, &mut gone);
        }
    }
    for file in held(store, "action")?
        .into_iter()
        .filter(|f| idle(f) > limits.age)
    {
        gone.results += u64::from(remove(&file, &mut gone));
    }
    let (images, young) = (images(store), HOUR.min(limits.age));
    let old = images.trim(limits.age, young).map_err(io::Error::other)?;
    let over = images
        .shrink(limits.size, young)
        .map_err(io::Error::other)?;
    gone.bytes += old.1 + over.1;
    let mut blobs = held(store, "blob")?;
    blobs.sort_by_key(|f| f.used);
    let mut left: u64 = blobs.iter().map(|f| f.size).sum();
    for file in &blobs {
        let over = left > limits.size && idle(file) > HOUR.min(limits.age);
        if (over || idle(file) > limits.age) && remove(file, &mut gone) {
            left -= file.size;
            gone.blobs += 1;
        }
    }
    Ok(gone)
}

/// Where `pipe` keeps the images that it made, in a user's cache folder. What is in it is trimmed like results are: an image
/// that nobody asked for in a while is missing, and is built or fetched again.
#[must_use]
pub fn images_beneath(cache: &Path) -> Layout {
    images(&Store::beneath(cache))
}

/// The images that were built, which are a layout of their own beside the results.
fn images(store: &Store) -> Layout {
    Layout::at(&store.root().join(IMAGES))
}

fn remove(file: &Held, gone: &mut Size) -> bool {
    // Somebody else may have been faster, or it is not ours.
    let removed = fs::remove_file(&file.path).is_ok();
    gone.bytes += if removed { file.size } else { 0 };
    removed
}

/// Trims to the usual limits, if that was not done today.
///
/// # Errors
/// When the store cannot be read or written.
pub fn trim_daily(store: &Store) -> io::Result<()> {
    let stamp = store.root().join("trimmed");
    let age = |meta: Metadata| {
        SystemTime::now()
            .duration_since(meta.modified()?)
            .map_err(io::Error::other)
    };
    if fs::metadata(&stamp)
        .and_then(age)
        .is_ok_and(|age| age < DAY)
    {
        return Ok(());
    }
    store.record(Path::new("trimmed"), b"")?;
    trim(store, &Limits::default()).map(drop)
}

/// What was found by looking at everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// Sound files.
    pub sound: u64,
    /// Damaged ones, which are removed, by their names in the store.
    pub damaged: Vec<String>,
}

/// Reads everything, and removes what is damaged.
///
/// # Errors
/// When the store cannot be read.
pub fn verify(store: &Store) -> io::Result<Verified> {
    let mut verified = Verified::default();
    let mut note = |path: &Path, sound: bool| {
        if sound {
            verified.sound += 1;
        } else {
            let _ = fs::remove_file(path);
            let name = path.strip_prefix(store.root()).unwrap_or(path);
            verified.damaged.push(name.display().to_string());
        }
    };
    let blobs = held(store, "blob")?;
    let sound = side_by_side(&blobs, |file| match digest_of(&file.path) {
        None => Ok(Some(false)),
        Some(digest) => match store.verify(&digest) {
            Ok(_) => Ok(Some(true)),
            Err(Lost::Damaged) => Ok(Some(false)),
            // Trimmed meanwhile.
            Err(Lost::Missing) => Ok(None),
            Err(Lost::Io(e)) => Err(e),
        },
    })?;
    for (file, sound) in blobs.iter().zip(sound) {
        if let Some(sound) = sound {
            note(&file.path, sound);
        }
    }
    for file in held(store, "action")? {
        match fs::read(&file.path) {
            Ok(bytes) => {
                let key = digest_of(&file.path);
                note(
                    &file.path,
                    key.is_some_and(|k| Action::decode(&bytes, &k).is_some()),
                );
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(verified)
}

/// The hash that a file of the store is named by.
fn digest_of(path: &Path) -> Option<Digest> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?.file_name()?.to_str()?;
    format!("{folder}{name}").parse().ok()
}

/// All files beneath a folder of the store.
fn held(store: &Store, folder: &str) -> io::Result<Vec<Held>> {
    let mut files = Vec::new();
    let mut open = vec![store.root().join(folder)];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => open.push(entry.path()),
                Ok(meta) => files.push(Held {
                    path: entry.path(),
                    size: meta.len(),
                    used: meta.modified()?,
                }),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_files::touch;

    fn aged(store: &Store, content: &[u8], age: Duration) -> Digest {
        let digest = store.put(content).unwrap();
        let file = fs::File::open(store.blob(&digest)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        digest
    }

    #[test]
    fn what_is_old_goes_and_then_what_was_used_longest_ago() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::beneath(dir.path());
        let old = aged(&store, b"old", DAY * 40);
        let second = aged(&store, &[2; 600], DAY * 3);
        let third = aged(&store, &[3; 600], DAY * 2);
        let young = aged(&store, &[4; 600], Duration::ZERO);
        let limits = Limits {
            size: 1200,
            ..Limits::default()
        };
        let gone = trim(&store, &limits).unwrap();
        let there = |d: &Digest| store.blob(d).exists();
        assert_eq!(
            [there(&old), there(&second), there(&third), there(&young)],
            [false, false, true, true]
        );
        let expected = Size {
            results: 0,
            blobs: 2,
            images: 0,
            bytes: 603,
        };
        assert_eq!(gone, expected);
        let none = Limits {
            size: 0,
            ..Limits::default()
        };
        trim(&store, &none).unwrap();
        assert_eq!([there(&third), there(&young)], [false, true]);
        touch(&store.blob(&young)).unwrap();
    }

    #[test]
    fn everything_is_looked_at_and_what_is_damaged_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::beneath(dir.path());
        let sound = store.put(b"sound").unwrap();
        let broken = store.put(b"broken").unwrap();
        fs::remove_file(store.blob(&broken)).unwrap();
        fs::write(store.blob(&broken), b"br0ken").unwrap();
        let record = crate::cache::place("trusted", &sound);
        store.record(&record, b"no record").unwrap();
        let hex = broken.hex();
        let found = verify(&store).unwrap();
        assert_eq!(found.sound, 1);
        let expected = [
            format!("blob/{}/{}", &hex[..1], &hex[1..]),
            record.display().to_string(),
        ];
        assert_eq!(found.damaged, expected);
        assert_eq!(verify(&store).unwrap().damaged, Vec::<String>::new());
    }
}
