//! Puts a kept result back in place: only what differs, each file in one step, nothing outside of the folder.
//! Knows no step.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD};

use super::index::Index;
use super::snapshot::entry_in_place;
use super::store::{Lost, Store};
use super::{Digest, Entry, Is};
use crate::files::{self, Patterns, beneath_dir, open_dir};
use crate::own_files;
use crate::seen::Seen;
use crate::side_by_side::side_by_side;

/// Where things go.
pub struct Place<'a> {
    /// The pipeline's folder.
    pub root: &'a Path,
    /// A folder on the same file system, for files that are not whole yet.
    pub scratch: &'a Path,
    /// What is known of files.
    pub index: &'a Index,
}

/// Puts entries in place; what is there already stays untouched. Then removes what else the patterns match, unless
/// `others` says that it belongs to somebody else.
///
/// # Errors
/// What is not in the store any more, or could not be put in place. Some files may be in place then.
pub fn restore(
    entries: &[Entry],
    store: &Store,
    place: &Place<'_>,
    patterns: &Patterns,
    others: &dyn Fn(&str) -> bool,
) -> Result<(), Lost> {
    let there = side_by_side(entries, |entry| {
        Ok::<_, Lost>(entry_in_place(place.root, entry, place.index, None))
    })?;
    let missing: Vec<&Entry> = entries
        .iter()
        .zip(there)
        .filter_map(|(entry, there)| (!there).then_some(entry))
        .collect();
    // Before anything is touched: a result that is half there is none.
    let gone = missing.iter().any(|entry| match &entry.is {
        Is::File { digest, size, .. } => !store.has(digest, *size),
        _ => false,
    });
    if gone {
        return Err(Lost::Missing);
    }
    let stale = stale(entries, place.root, patterns, others)?;
    if missing.is_empty() && stale.is_empty() {
        return Ok(());
    }
    let root = open_dir(place.root)?;
    let (folders, rest): (Vec<&Entry>, Vec<&Entry>) = missing
        .into_iter()
        .partition(|e| matches!(e.is, Is::Folder { .. }));
    let opened = open_up(entries, place.root)?;
    remove(&stale, place.root)?;
    for folder in &folders {
        make_way(place.root, folder)?;
        beneath_dir(&root, Path::new(&folder.path))?;
    }
    side_by_side(&rest, |entry| put(entry, store, place, &root))?;
    // From the inside out, and last of all: one may be closed for writing.
    let folders: BTreeMap<&str, &Entry> = folders
        .into_iter()
        .chain(opened)
        .map(|e| (e.path.as_str(), e))
        .collect();
    for folder in folders.values().rev() {
        if let Is::Folder { mode } = folder.is {
            let full = place.root.join(&folder.path);
            fs::set_permissions(full, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

/// Makes folders that are there writable for their owner, and says which were not.
fn open_up<'e>(entries: &'e [Entry], root: &Path) -> io::Result<Vec<&'e Entry>> {
    let mut opened = Vec::new();
    for entry in entries.iter().filter(|e| matches!(e.is, Is::Folder { .. })) {
        let path = Path::new(&entry.path);
        // Through no link: what is on the way was opened before.
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.pop();
        let folder = |at: &&Path| fs::symlink_metadata(root.join(at)).is_ok_and(|m| m.is_dir());
        if !above.iter().rev().all(folder) {
            continue;
        }
        let full = root.join(path);
        let mode = fs::symlink_metadata(&full)?.permissions().mode() & 0o777;
        if mode & 0o700 != 0o700 {
            fs::set_permissions(full, Permissions::from_mode(mode | 0o700))?;
            opened.push(entry);
        }
    }
    Ok(opened)
}

/// Removes what is at the entry's path and is of another kind than a folder.
fn make_way(root: &Path, folder: &Entry) -> io::Result<()> {
    let full = root.join(&folder.path);
    if fs::symlink_metadata(full).is_ok_and(|m| !m.is_dir()) {
        files::remove(root, Path::new(&folder.path))?;
    }
    Ok(())
}

/// What a run of the step would not have left. Folders come before what is in them.
fn stale(
    entries: &[Entry],
    root: &Path,
    patterns: &Patterns,
    others: &dyn Fn(&str) -> bool,
) -> io::Result<Vec<(PathBuf, Seen)>> {
    let paths: BTreeSet<&str> = entries.iter().map(|e| e.path.as_str()).collect();
    let is_kept = |path: &str| {
        let folder = format!("{path}/");
        let beneath = || paths.range(folder.as_str()..).next();
        paths.contains(path) || beneath().is_some_and(|p| p.starts_with(&folder))
    };
    // A name that is not UTF-8 is in no result.
    let is_stale = |path: &Path| path.to_str().is_none_or(|p| !is_kept(p) && !others(p));
    let mut found = patterns.look(root)?;
    found.retain(|(path, _)| is_stale(path));
    Ok(found)
}

fn remove(stale: &[(PathBuf, Seen)], root: &Path) -> io::Result<()> {
    // They are empty only when what is in them is gone.
    for (path, meta) in stale.iter().rev() {
        if meta.is_dir() {
            match fs::remove_dir(root.join(path)) {
                // Something of another step is in it, or was.
                Err(e) if matches!(e.kind(), DirectoryNotEmpty | NotFound) => {}
                removed => removed?,
            }
        } else {
            files::remove(root, path)?;
        }
    }
    Ok(())
}

fn put(entry: &Entry, store: &Store, place: &Place<'_>, root: &OwnedFd) -> Result<(), Lost> {
    let path = Path::new(&entry.path);
    let name = path
        .file_name()
        .ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    let folder = beneath_dir(root, path.parent().unwrap_or(Path::new("")))?;
    let there = fs::symlink_metadata(place.root.join(path));
    if there.as_ref().is_ok_and(Metadata::is_dir) {
        files::remove(place.root, path)?;
    }
    match &entry.is {
        Is::Folder { .. } => Ok(()),
        Is::Link { to } => {
            match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(e) => return Err(io::Error::from(e).into()),
            }
            Ok(rustix::fs::symlinkat(to.as_str(), &folder, name).map_err(io::Error::from)?)
        }
        Is::File { digest, mode, .. } => {
            let is_new = there.is_err_and(|e| e.kind() == NotFound);
            if is_new && let Some(file) = write_new(store, digest, *mode, &folder, name)? {
                learn(&entry.path, *digest, &file, place);
                return Ok(());
            }
            let (temp, file) = write(store, digest, *mode, place.scratch)?;
            match rustix::fs::renameat(CWD, &temp, &folder, name) {
                Ok(()) => learn(&entry.path, *digest, &file, place),
                // A mount in the checkout: the same with a name of its own beside it.
                Err(rustix::io::Errno::XDEV) => {
                    fs::remove_file(&temp)?;
                    let beside = place.root.join(path).with_file_name("");
                    let (temp, file) = write(store, digest, *mode, &beside)?;
                    rename_beside(&temp, &folder, name)?;
                    learn(&entry.path, *digest, &file, place);
                }
                Err(e) => {
                    let _ = fs::remove_file(&temp);
                    return Err(io::Error::from(e).into());
                }
            }
            Ok(())
        }
    }
}

fn rename_beside(temp: &Path, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let renamed = rustix::fs::renameat(CWD, temp, folder, name);
    if renamed.is_err() {
        let _ = fs::remove_file(temp);
    }
    Ok(renamed?)
}

/// A file with this content that is whole when it gets its name; `None` where the file system has no such files, or
/// somebody was faster.
fn write_new(
    store: &Store,
    digest: &Digest,
    mode: u32,
    folder: &OwnedFd,
    name: &OsStr,
) -> Result<Option<File>, Lost> {
    let Ok(mut file) = own_files::nameless(folder, Path::new("."), 0o600) else {
        return Ok(None);
    };
    fill(store, digest, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    let named = own_files::name(&file, folder, name);
    Ok(named.is_ok().then_some(file))
}

/// A file with this content in a folder, under a name of its own.
fn write(
    store: &Store,
    digest: &Digest,
    mode: u32,
    scratch: &Path,
) -> Result<(PathBuf, File), Lost> {
    let named = tempfile::Builder::new()
        .prefix("put-")
        .tempfile_in(scratch)?;
    let (mut file, path) = named.keep().map_err(|e| Lost::Io(e.error))?;
    // Never as another name of the blob: whoever may write to one of them would change every other file with this
    // content, and permission bits hold nobody who is root.
    let written = fill(store, digest, &mut file)
        .and_then(|()| Ok(file.set_permissions(Permissions::from_mode(mode))?));
    match written {
        Ok(()) => Ok((path, file)),
        Err(e) => {
            let _ = fs::remove_file(&path);
            Err(e)
        }
    }
}

/// Fills an empty file: shares the blocks of the blob where the file system can, copies otherwise.
fn fill(store: &Store, digest: &Digest, file: &mut File) -> Result<(), Lost> {
    #[cfg(target_os = "linux")]
    if let Ok(blob) = store.open(digest)
        && rustix::fs::ioctl_ficlone(&*file, &blob).is_ok()
    {
        store.verify(digest)?;
        return Ok(());
    }
    store.copy(digest, file)?;
    Ok(())
}

/// What was put in place need not be read again.
fn learn(path: &str, digest: Digest, file: &File, place: &Place<'_>) {
    let now = SystemTime::now();
    if let Ok(meta) = file.metadata() {
        place.index.learn(path, Seen::of(&meta), digest, now);
    }
}
