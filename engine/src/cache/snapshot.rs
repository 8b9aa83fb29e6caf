//! Reads files of the checkout into what counts of them: inputs into the parts of a key, outputs into the store.
//! Many files are read side by side. Changes nothing in the checkout.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{FileType, OFlags};

use super::index::Index;
use super::store::{Store, fill, room};
use super::{Digest, Entry, Is};
use crate::files::{Glance, Patterns, no_links_before};
use crate::seen::Seen;
use crate::side_by_side::side_by_side;

/// So many things are looked at sooner than a thread is found for them.
const FEW: usize = 32;

/// A file that is read sooner than a thread is found for it.
const SHORT: u64 = 16 << 10;

/// So much of a file is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// What counts of each input, by path: its content and whether it can be executed; of a link where it leads, and the
/// content of the file there. `without` are the step's own products; `glance` is what was seen a moment ago.
///
/// # Errors
/// The file that cannot be read, and why.
pub fn inputs(
    root: &Path,
    patterns: &Patterns,
    without: &Patterns,
    index: &Index,
    glance: Option<&Glance<'_>>,
) -> Result<BTreeMap<String, String>, String> {
    let found = look(root, patterns, glance)?;
    let wanted: Vec<(String, Seen)> = found
        .into_iter()
        .filter(|(path, meta)| !meta.is_dir() && !without.matches(Path::new(path)))
        .collect();
    let parts = side_by_side(&wanted, |(path, meta)| {
        input(root, path, meta, index).map_err(|e| format!("{path}: {e}"))
    })?;
    Ok(wanted
        .into_iter()
        .map(|(path, _)| path)
        .zip(parts)
        .collect())
}

fn look(
    root: &Path,
    patterns: &Patterns,
    glance: Option<&Glance<'_>>,
) -> Result<Vec<(String, Seen)>, String> {
    let found = patterns.look_again(root, glance);
    let found = found.map_err(|e| e.to_string())?;
    let named = found.into_iter().map(|(path, meta)| {
        let text = path.into_os_string().into_string();
        let text = text.map_err(|name| format!("{}: its name is not UTF-8", name.display()));
        Ok((text?, meta))
    });
    named.collect()
}

fn input(root: &Path, path: &str, meta: &Seen, index: &Index) -> io::Result<String> {
    let file = |meta: &Seen| {
        let kind = match meta.is_executable() {
            false => "file",
            true => "executable",
        };
        let content = content(root, path, meta, index)?.hex();
        Ok::<_, io::Error>([kind, " ", &content].concat())
    };
    if meta.is_file() {
        return file(meta);
    }
    if meta.is_symlink() {
        let to = fs::read_link(root.join(path))?;
        // What a program reads through the link decides its result as well.
        let behind = match fs::metadata(root.join(path)) {
            Ok(meta) if meta.is_file() => file(&Seen::of(&meta))?,
            Ok(meta) if meta.is_dir() => "a folder".to_owned(),
            Ok(_) => "no file".to_owned(),
            Err(_) => "nothing".to_owned(),
        };
        // Two names that are not UTF-8 would look the same when they are shown.
        let to = match to.to_str() {
            Some(text) => text.to_owned(),
            None => format!("{to:?}"),
        };
        return Ok(format!("link to {to}: {behind}"));
    }
    Ok(match meta.kind() {
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        _ => "a device",
    }
    .to_owned())
}

/// The content of a regular file, read only if the index does not know it.
pub(super) fn content(root: &Path, path: &str, meta: &Seen, index: &Index) -> io::Result<Digest> {
    if let Some(digest) = index.content(path, meta) {
        return Ok(digest);
    }
    let began = SystemTime::now();
    let mut file = open(&root.join(path))?;
    let before = Seen::of(&file.metadata()?);
    let digest = hash(&mut file, before.size)?;
    if Seen::of(&file.metadata()?) == before {
        index.learn(path, before, digest, began);
    }
    Ok(digest)
}

/// Whether a pattern names one file that is known or short, or none: then its content is there in no time.
#[must_use]
pub fn is_little(root: &Path, pattern: &str, index: &Index, glance: Option<&Glance<'_>>) -> bool {
    if !Patterns::is_path(pattern) {
        return false;
    }
    match Glance::look(glance, root, Path::new(pattern)) {
        Ok(Some(meta)) if meta.is_file() => {
            meta.size <= SHORT || index.content(pattern, &meta).is_some()
        }
        Ok(Some(meta)) => !meta.is_dir() && !meta.is_symlink(),
        Ok(None) | Err(_) => true,
    }
}

/// The digest of what a file of about this size holds.
fn hash(file: &mut File, size: u64) -> io::Result<Digest> {
    let mut piece = room(size, PIECE);
    let mut length = fill(file, &mut piece)?;
    if length < piece.len() {
        return Ok(Digest::of(&piece[..length]));
    }
    let mut hash = blake3::Hasher::new();
    while length > 0 {
        hash.update(&piece[..length]);
        length = fill(file, &mut piece)?;
    }
    Ok(hash.finalize().into())
}

/// Opens a file to read; a pipe that took its place meanwhile is not waited for.
fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

/// Keeps everything that matches in the store, and says what there is.
///
/// # Errors
/// What cannot be kept, and why.
pub fn keep(
    root: &Path,
    patterns: &Patterns,
    store: &Store,
    index: &Index,
) -> Result<Vec<Entry>, String> {
    let mut found = look(root, patterns, None)?;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    side_by_side(&found, |(path, meta)| {
        let is = keep_one(root, path, meta, store, index).map_err(|e| format!("{path}: {e}"))?;
        Ok(Entry {
            path: path.clone(),
            is,
        })
    })
}

fn keep_one(root: &Path, path: &str, meta: &Seen, store: &Store, index: &Index) -> io::Result<Is> {
    let mode = meta.permissions();
    if meta.is_dir() {
        return Ok(Is::Folder { mode });
    }
    if meta.is_symlink() {
        let to = fs::read_link(root.join(path))?;
        let to = to
            .to_str()
            .ok_or_else(|| io::Error::other("its target is not UTF-8"))?;
        return Ok(Is::Link { to: to.to_owned() });
    }
    if !meta.is_file() {
        return Err(io::Error::other(
            "this is neither a file, a folder nor a link",
        ));
    }
    let known = index.content(path, meta);
    if let Some(digest) = known.filter(|d| store.has(d, meta.size)) {
        return Ok(Is::File {
            digest,
            size: meta.size,
            mode,
        });
    }
    let began = SystemTime::now();
    let mut file = open(&root.join(path))?;
    let before = Seen::of(&file.metadata()?);
    let (digest, size) = store.put_file(&mut file, before.size)?;
    if Seen::of(&file.metadata()?) == before {
        index.learn(path, before, digest, began);
    }
    Ok(Is::File { digest, size, mode })
}

/// Whether everything is in place as it was kept; reads only what the index does not know.
#[must_use]
pub fn is_in_place(
    root: &Path,
    entries: &[Entry],
    index: &Index,
    glance: Option<&Glance<'_>>,
) -> bool {
    entries
        .iter()
        .all(|entry| entry_in_place(root, entry, index, glance))
}

/// Whether nothing but these entries matches the patterns, found out in no time: not where a pattern has wildcards, so
/// that much would have to be looked at, or where there are many.
#[must_use]
pub fn is_all(
    root: &Path,
    patterns: &[&str],
    entries: &[Entry],
    glance: Option<&Glance<'_>>,
) -> bool {
    let is_path = |p: &&str| Patterns::is_path(p) || p.starts_with('!');
    if entries.len() > FEW || !patterns.iter().all(is_path) {
        return false;
    }
    // A path that is a file of the result can match nothing else.
    let is_file = |p: &str| {
        let at = entries.binary_search_by(|e| e.path.as_str().cmp(p));
        at.is_ok_and(|at| !matches!(entries[at].is, Is::Folder { .. }))
    };
    let mut wanted = patterns.iter().filter(|p| !p.starts_with('!'));
    if wanted.all(|p| is_file(p) && no_links_before(root, Path::new(p), glance).is_ok()) {
        return true;
    }
    let looked = Patterns::new(patterns.iter().copied())
        .map_err(|e| e.to_string())
        .and_then(|patterns| look(root, &patterns, glance));
    looked.is_ok_and(|found| {
        let known = |path: &str| {
            entries
                .binary_search_by(|e| e.path.as_str().cmp(path))
                .is_ok()
        };
        found.iter().all(|(path, _)| known(path))
    })
}

/// Whether one entry is in place.
pub(super) fn entry_in_place(
    root: &Path,
    entry: &Entry,
    index: &Index,
    glance: Option<&Glance<'_>>,
) -> bool {
    let Ok(Some(meta)) = Glance::look(glance, root, Path::new(&entry.path)) else {
        return false;
    };
    let same_mode = |mode: u32| meta.permissions() == mode;
    match &entry.is {
        Is::Folder { mode } => meta.is_dir() && same_mode(*mode),
        Is::Link { to } => {
            fs::read_link(root.join(&entry.path)).is_ok_and(|is| is == Path::new(to))
        }
        Is::File { digest, size, mode } => {
            meta.is_file()
                && meta.size == *size
                && same_mode(*mode)
                && content(root, &entry.path, &meta, index).is_ok_and(|is| is == *digest)
        }
    }
}
