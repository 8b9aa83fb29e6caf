//! Images in a folder: an OCI image layout, of image-spec 1.1, that several `pipe` and other tools may use at once.
//!
//! A content is written under another name and then renamed, so that a digest never stands for half of it; the index is
//! changed under a lock. Whatever is read is verified; what is damaged is removed and counts as missing. Knows neither
//! registries nor who runs which image.

mod content;
mod index;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use content::{Content, Incoming};
pub use index::REF_NAME;

use index::Index;

use super::manifest::{self, NoManifest};
use super::{Descriptor, Digest, Manifest};
use crate::own_files;

/// What says that a folder is a layout.
const MARK: (&str, &str) = ("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
/// How long another process may hold the index.
const LOCKED: Duration = Duration::from_secs(30);

/// A layout in a folder, which is made when something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

/// Why something of a layout cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// There is no such content.
    #[error("{0} is not there")]
    Missing(Digest),
    /// The content is not what its name says; it was removed.
    #[error("{0} was damaged, and is removed")]
    Damaged(Digest),
    /// It is no manifest.
    #[error("{0}: {1}")]
    NoManifest(Digest, NoManifest),
    /// The folder cannot be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// Why a name was not given.
#[derive(Debug, thiserror::Error)]
pub enum NotNamed {
    /// It is the name of something else, and may not move.
    #[error("it is the name of {0} already")]
    Taken(Digest),
    /// The folder cannot be read or written.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl Layout {
    /// The layout in this folder.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.root.join(MARK.0).is_file()
    }

    /// Where a content is.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// The length of a content that is there, in bytes; it is not verified.
    #[must_use]
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        let meta = fs::symlink_metadata(self.path(digest)).ok()?;
        meta.is_file().then_some(meta.len())
    }

    /// A content to read. What is read counts only if its end is reached without an error.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(&self, digest: &Digest) -> Result<Content, Lost> {
        let path = self.path(digest);
        match own_files::open_file(&path) {
            Ok(file) => Ok(Content::new(file, path, *digest)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Lost::Missing(*digest)),
            Err(e) => Err(Lost::Io(path, e)),
        }
    }

    /// A content as a whole, verified, if it is at most `limit` bytes long.
    ///
    /// # Errors
    /// When it is not there, not sound, or longer.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Lost> {
        let mut content = self.open(digest)?;
        let path = self.path(digest);
        let mut bytes = Vec::new();
        if content.size().is_ok_and(|s| s > limit) {
            return Err(Lost::Io(path, io::ErrorKind::FileTooLarge.into()));
        }
        match content.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(Lost::Damaged(*digest)),
            Err(e) => Err(Lost::Io(path, e)),
        }
    }

    /// A manifest, verified. It counts as used now.
    ///
    /// # Errors
    /// When it is not there, not sound, or no manifest.
    pub fn manifest(&self, digest: &Digest, media_type: Option<&str>) -> Result<Manifest, Lost> {
        let bytes = self.read(digest, manifest::LONGEST)?;
        // A layout that cannot be written can be read all the same.
        let _ = own_files::touch(&self.path(digest));
        Manifest::read(bytes, media_type).map_err(|e| Lost::NoManifest(*digest, e))
    }

    /// Keeps bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Lost> {
        let digest = Digest::of(bytes);
        let mut incoming = self.incoming()?;
        let written = incoming.write_all(bytes);
        written.map_err(|e| Lost::Io(incoming.path().to_path_buf(), e))?;
        incoming.keep(self, Some(&digest))?;
        Ok(digest)
    }

    /// A new content, to be written and then kept.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn incoming(&self) -> Result<Incoming, Lost> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = self.root.join(".tmp");
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}", std::process::id()));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Incoming::new(file, path)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.make()?,
                // Of a process that was killed and had this number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Lost::Io(path, e)),
            }
        }
    }

    /// Makes the folder a layout. The folder that is tried first is made last, so that nobody meets half a layout.
    fn make(&self) -> Result<(), Lost> {
        let folder = |name: &str| {
            let path = self.root.join(name);
            fs::create_dir_all(&path).map_err(|e| Lost::Io(path, e))
        };
        folder("blobs/sha256")?;
        let mark = self.root.join(MARK.0);
        if !mark.exists() {
            fs::write(&mark, MARK.1).map_err(|e| Lost::Io(mark, e))?;
        }
        folder(".tmp")
    }

    /// What has a name here, with the names.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn names(&self) -> Result<Vec<(String, Descriptor)>, Lost> {
        Ok(Index::read(self)?.names())
    }

    /// What a name stands for.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn resolve(&self, name: &str) -> Result<Option<Descriptor>, Lost> {
        let names = self.names()?;
        let found = names.into_iter().find(|(n, _)| n == name);
        Ok(found.map(|(_, descriptor)| descriptor))
    }

    /// Gives a manifest a name, which stands for nothing else from now on. Gives what it stood for before.
    ///
    /// # Errors
    /// When the name is taken and `moves` is false, or the index cannot be written.
    pub fn name(
        &self,
        name: &str,
        manifest: &Descriptor,
        moves: bool,
    ) -> Result<Option<Digest>, NotNamed> {
        self.change(|index| {
            let before = index.named(name);
            match before {
                Some(other) if other != manifest.digest && !moves => {
                    return Err(NotNamed::Taken(other));
                }
                Some(same) if same == manifest.digest => {}
                _ => index.set(name, manifest),
            }
            Ok(before)
        })
    }

    /// Takes a name away; gives what it stood for.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn forget(&self, name: &str) -> Result<Option<Digest>, Lost> {
        self.change(|index| {
            let before = index.named(name);
            index.remove(name);
            Ok(before)
        })
    }

    /// Lists a manifest that has no name: one that is about another one, such as a signature.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn list(&self, manifest: &Descriptor) -> Result<(), Lost> {
        self.change(|index| {
            index.list(manifest);
            Ok(())
        })
    }

    /// Lists a manifest that has no name no more.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn unlist(&self, manifest: &Digest) -> Result<(), Lost> {
        self.change(|index| {
            index.retain_listed(|listed| listed.digest != *manifest);
            Ok(())
        })
    }

    /// Puts one image into a layout of its own, for somebody who looks at one image. The contents are the same files,
    /// where both folders are on one file system.
    ///
    /// # Errors
    /// When a content is not there, or the folder cannot be written.
    pub fn alone(&self, image: &Manifest, name: &str, folder: &Path) -> Result<Self, NotNamed> {
        let other = Self::at(folder);
        other.make()?;
        for digest in image.blobs().map(|b| b.digest).chain([image.digest()]) {
            let (from, to) = (self.path(&digest), other.path(&digest));
            let put = match fs::hard_link(&from, &to) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(_) => fs::copy(&from, &to).map(|_| ()),
                Ok(()) => Ok(()),
            };
            put.map_err(|e| Lost::Io(from, e))?;
        }
        other.name(name, &image.descriptor(), true)?;
        Ok(other)
    }

    /// The manifests here that are about another one.
    ///
    /// # Errors
    /// When the index, or a manifest that it lists, cannot be read.
    pub fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Lost> {
        let mut found = Vec::new();
        for listed in Index::read(self)?.all() {
            let manifest = match self.manifest(&listed.digest, Some(&listed.media_type)) {
                Ok(manifest) => manifest,
                // Whoever wants it by name is told.
                Err(Lost::Missing(_) | Lost::Damaged(_) | Lost::NoManifest(..)) => continue,
                Err(e) => return Err(e),
            };
            let about = manifest.subject().map(|s| s.digest);
            if about == Some(*subject) && !found.contains(&manifest.descriptor()) {
                found.push(manifest.descriptor());
            }
        }
        Ok(found)
    }

    /// Removes what no name leads to and nobody wrote within `young`; gives how many contents, and their bytes.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn collect(&self, young: Duration) -> Result<(u64, u64), Lost> {
        if !self.is_there() {
            return Ok((0, 0));
        }
        let _lock = self.lock()?;
        let before = Index::read(self)?;
        let mut index = before.clone();
        let reached = content::reached(self, &index.all());
        index.retain_listed(|listed| reached.contains(&listed.digest));
        if index != before {
            index.write(self)?;
        }
        content::collect(self, &reached, young)
    }

    /// Takes away the names of what nobody asked for within `age`, and then what no name leads to. Gives how many
    /// contents went, and their bytes.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn trim(&self, age: Duration, young: Duration) -> Result<(u64, u64), Lost> {
        if !self.is_there() {
            return Ok((0, 0));
        }
        self.change(|index| {
            index.retain(|listed| content::idle(&self.path(&listed.digest)) <= Some(age));
            Ok::<_, Lost>(())
        })?;
        self.collect(young)
    }

    /// Takes away what was asked for longest ago, while there are more than so many bytes; nothing of what somebody used
    /// within `young`. Gives how many contents went, and their bytes.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn shrink(&self, limit: u64, young: Duration) -> Result<(u64, u64), Lost> {
        let mut gone = (0, 0);
        while self.is_there() && content::bytes(self)? > limit {
            let names = self.names()?.into_iter();
            let idle = names.filter_map(|(_, d)| {
                let idle = content::idle(&self.path(&d.digest)).unwrap_or(Duration::MAX);
                (idle > young).then_some(idle)
            });
            let Some(oldest) = idle.max() else { break };
            let (count, bytes) =
                self.trim(oldest.saturating_sub(Duration::from_millis(1)), young)?;
            gone = (gone.0 + count, gone.1 + bytes);
        }
        Ok(gone)
    }

    /// Changes the index under the lock.
    fn change<T, E: From<Lost>>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, E>,
    ) -> Result<T, E> {
        self.make()?;
        let _lock = self.lock()?;
        let before = Index::read(self)?;
        let mut index = before.clone();
        let result = change(&mut index)?;
        if index != before {
            index.write(self)?;
        }
        Ok(result)
    }

    /// Waits until no other process changes the index.
    fn lock(&self) -> Result<File, Lost> {
        let path = self.root.join(".lock");
        let failed = |e| Lost::Io(path.clone(), e);
        let file = own_files::lock_file(&path).map_err(failed)?;
        let until = std::time::Instant::now() + LOCKED;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::WouldBlock) if std::time::Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(fs::TryLockError::WouldBlock) => {
                    let why = format!("another process holds it for {}s", LOCKED.as_secs());
                    return Err(failed(io::Error::other(why)));
                }
                Err(fs::TryLockError::Error(e)) => return Err(failed(e)),
            }
        }
    }
}
