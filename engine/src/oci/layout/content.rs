//! Contents of a layout that are read, written and removed. Knows no names.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Layout, Lost};
use crate::oci::{Descriptor, Digest, Hasher, Manifest, manifest};
use crate::own_files;

/// A content that is read. At its end it is an error, `InvalidData`, if it was not what its name says; then it is
/// removed.
#[derive(Debug)]
pub struct Content {
    file: File,
    path: PathBuf,
    digest: Digest,
    hasher: Option<Hasher>,
}

impl Content {
    pub(super) fn new(file: File, path: PathBuf, digest: Digest) -> Self {
        Self {
            file,
            path,
            digest,
            hasher: Some(Hasher::new()),
        }
    }

    /// How long it is, in bytes.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        if length > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..length]);
            }
            return Ok(length);
        }
        match self.hasher.take() {
            Some(hasher) if !buffer.is_empty() && hasher.clone().finish() != self.digest => {
                // Whoever cannot remove it finds it damaged again.
                let _ = fs::remove_file(&self.path);
                Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    Lost::Damaged(self.digest),
                ))
            }
            hasher => {
                self.hasher = hasher.filter(|_| buffer.is_empty());
                Ok(0)
            }
        }
    }
}

/// A content that comes in. It has no name before it is kept; dropped, it is removed.
pub struct Incoming {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    size: u64,
}

impl Incoming {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self {
            file,
            path,
            hasher: Hasher::new(),
            size: 0,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes there are so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Keeps it, if it is what was expected; gives its digest and its length in bytes.
    ///
    /// # Errors
    /// When it is something else, or cannot be put in place.
    pub fn keep(self, layout: &Layout, expected: Option<&Digest>) -> Result<(Digest, u64), Lost> {
        let digest = self.hasher.clone().finish();
        if let Some(expected) = expected.filter(|e| **e != digest) {
            return Err(Lost::Damaged(*expected));
        }
        let (path, size) = (layout.path(&digest), self.size);
        let there = layout.size(&digest) == Some(size) && own_files::touch(&path).is_ok();
        if !there {
            self.rename(&path).map_err(|e| Lost::Io(path, e))?;
        }
        Ok((digest, size))
    }

    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        own_files::take_place(&self.path, to)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Write for Incoming {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let length = self.file.write(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // What stays is taken away by the next collection.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// How long ago a file was used; `None` if it is not there.
pub(super) fn idle(path: &Path) -> Option<Duration> {
    let used = fs::symlink_metadata(path).and_then(|m| m.modified()).ok()?;
    Some(SystemTime::now().duration_since(used).unwrap_or_default())
}

/// How many bytes the contents of a layout have.
pub(super) fn bytes(layout: &Layout) -> Result<u64, Lost> {
    let folder = layout.root().join("blobs/sha256");
    let entries = fs::read_dir(&folder).map_err(|e| Lost::Io(folder, e))?;
    let lengths = entries
        .flatten()
        .filter_map(|e| Some(e.metadata().ok()?.len()));
    Ok(lengths.sum())
}

/// Removes what nothing listed leads to.
pub(super) fn collect(
    layout: &Layout,
    reached: &BTreeSet<Digest>,
    young: Duration,
) -> Result<(u64, u64), Lost> {
    let (mut count, mut bytes) = (0, 0);
    for folder in [
        layout.root().join("blobs/sha256"),
        layout.root().join(".tmp"),
    ] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Lost::Io(folder, e)),
        };
        for entry in entries {
            let path = entry.map_err(|e| Lost::Io(folder.clone(), e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let wanted = format!("sha256:{name}")
                .parse()
                .is_ok_and(|d: Digest| reached.contains(&d));
            if wanted || idle(&path) <= Some(young) {
                continue;
            }
            let size = fs::symlink_metadata(&path).map_or(0, |m| m.len());
            // Somebody else may have been faster.
            if fs::remove_file(&path).is_ok() {
                count += 1;
                bytes += size;
            }
        }
    }
    Ok((count, bytes))
}

/// All contents that these manifests lead to. One that is about another is reached only if that one is.
pub(super) fn reached(layout: &Layout, listed: &[Descriptor]) -> BTreeSet<Digest> {
    let mut reached = BTreeSet::new();
    let named = |d: &&Descriptor| d.annotations.contains_key(super::REF_NAME);
    let mut open: Vec<Descriptor> = listed.iter().filter(named).cloned().collect();
    let mut waiting: Vec<(Option<Digest>, Descriptor)> = listed
        .iter()
        .filter(|d| !named(d))
        .map(|d| (subject_of(layout, d), d.clone()))
        .collect();
    loop {
        reach(layout, open, &mut reached);
        let (next, rest) = waiting
            .into_iter()
            .partition(|(subject, _)| subject.is_none_or(|s| reached.contains(&s)));
        let next: Vec<(Option<Digest>, Descriptor)> = next;
        (open, waiting) = (next.into_iter().map(|(_, d)| d).collect(), rest);
        if open.is_empty() {
            return reached;
        }
    }
}

fn manifest_of(layout: &Layout, listed: &Descriptor) -> Option<Manifest> {
    let bytes = layout.read(&listed.digest, manifest::LONGEST).ok()?;
    Manifest::read(bytes, Some(&listed.media_type)).ok()
}

fn subject_of(layout: &Layout, listed: &Descriptor) -> Option<Digest> {
    Some(manifest_of(layout, listed)?.subject()?.digest)
}

fn reach(layout: &Layout, mut open: Vec<Descriptor>, reached: &mut BTreeSet<Digest>) {
    while let Some(next) = open.pop() {
        if !reached.insert(next.digest) {
            continue;
        }
        if let Some(manifest) = manifest_of(layout, &next) {
            open.extend(manifest.manifests().iter().cloned());
            reached.extend(manifest.blobs().map(|b| b.digest));
        }
    }
}
