//! The content store of a user: blobs by their hash, and the records that name them. Several `pipe` at once may use it.
//!
//! A blob is written without a name, or under another one, and then gets its own, so that a name never stands for half a
//! content. Nothing is forced to the disk: a blob is verified whenever it is read, so that one which a crash or anything else has damaged
//! is found, removed, and counts as missing. Knows neither steps nor keys.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::Digest;
use crate::own_files::{name, nameless, open_file, private_folder, read_file, take_place, touch};

/// The layout of the folder: another one would be another folder.
pub const LAYOUT: &str = "v2";

/// So much of a name in hexadecimal is the folder in which the file stands: making a folder costs as much as a file.
pub(super) const FAN: usize = 1;

/// How long a salt is.
const SALT: usize = 32;

/// Nobody writes to a blob by mistake.
pub(super) const BLOB_MODE: u32 = 0o444;
const RECORD_MODE: u32 = 0o600;

/// How much of a file is in memory at once.
const PIECE: usize = 256 << 10;

/// A store in a folder, which is made when something is written.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// Why a blob cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// There is none.
    #[error("it is not in the cache")]
    Missing,
    /// Its content is not what its name says; it was removed.
    #[error("it was damaged, and is removed")]
    Damaged,
    /// The store or the destination failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Store {
    /// The store beneath a user's cache folder.
    #[must_use]
    pub fn beneath(cache: &Path) -> Self {
        Self {
            root: cache.join(LAYOUT),
        }
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a blob is.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let (folder, name) = hex.split_at(FAN);
        self.root.join("blob").join(folder).join(name)
    }

    /// Whether a blob is there, as far as its name says, with this length.
    #[must_use]
    pub fn has(&self, digest: &Digest, size: u64) -> bool {
        fs::symlink_metadata(self.blob(digest)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    /// Keeps bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.refresh(&digest, bytes.len() as u64) {
            self.write(bytes, BLOB_MODE, &self.blob(&digest))?;
        }
        Ok(digest)
    }

    /// Keeps the rest of a file of about this size: its content's name and length as they were read.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn put_file(&self, from: &mut impl Read, size: u64) -> io::Result<(Digest, u64)> {
        let mut piece = room(size, PIECE);
        let first = fill(from, &mut piece)?;
        if first < piece.len() {
            return Ok((self.put(&piece[..first])?, first as u64));
        }
        let (path, mut file) = self.fresh(BLOB_MODE)?;
        let mut hash = blake3::Hasher::new();
        let mut copy = || -> io::Result<u64> {
            let (mut length, mut total) = (first, 0);
            while length > 0 {
                hash.update(&piece[..length]);
                file.write_all(&piece[..length])?;
                total += length as u64;
                length = fill(from, &mut piece)?;
            }
            Ok(total)
        };
        let copied = copy();
        let digest = Digest::from(hash.finalize());
        let size = *copied.as_ref().unwrap_or(&0);
        if copied.is_ok() && self.refresh(&digest, size) {
            fs::remove_file(&path)?;
            return Ok((digest, size));
        }
        self.finish(&path, copied.map(drop), &digest)?;
        Ok((digest, size))
    }

    /// A blob as a whole, if it is at most `limit` bytes long.
    ///
    /// # Errors
    /// When it is not there, not sound, or longer.
    pub fn get(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, Lost> {
        let mut bytes = Vec::new();
        if self.open(digest)?.metadata()?.len() > limit {
            return Err(Lost::Io(io::Error::other("it is too large")));
        }
        self.copy(digest, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies a blob; what was written counts only if this returns without an error.
    ///
    /// # Errors
    /// When it is not there or not sound, or `to` cannot be written.
    pub fn copy(&self, digest: &Digest, to: &mut impl Write) -> Result<u64, Lost> {
        let mut from = self.open(digest)?;
        let mut hash = blake3::Hasher::new();
        let mut piece = vec![0; PIECE];
        let mut total = 0;
        loop {
            let length = fill(&mut from, &mut piece)?;
            if length == 0 {
                break;
            }
            hash.update(&piece[..length]);
            to.write_all(&piece[..length])?;
            total += length as u64;
        }
        if Digest::from(hash.finalize()) == *digest {
            return Ok(total);
        }
        self.drop_blob(digest);
        Err(Lost::Damaged)
    }

    /// Whether a blob is sound; one that is not is removed.
    ///
    /// # Errors
    /// When it is not there, not sound, or cannot be read.
    pub fn verify(&self, digest: &Digest) -> Result<u64, Lost> {
        self.copy(digest, &mut io::sink())
    }

    /// Removes a blob.
    pub fn drop_blob(&self, digest: &Digest) {
        // Whoever cannot remove it finds it damaged again, and does without it again.
        let _ = fs::remove_file(self.blob(digest));
    }

    /// Writes a small file in one step, at a path beneath the store.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, relative: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes, RECORD_MODE, &self.root.join(relative))
    }

    /// Writes a file in one step.
    fn write(&self, bytes: &[u8], mode: u32, to: &Path) -> io::Result<()> {
        // Where the name is taken, or the file system cannot do it, the other way says what is wrong.
        if name_at_last(&self.root, bytes, mode, to).is_ok() {
            return Ok(());
        }
        let (path, mut file) = self.fresh(mode)?;
        self.rename(&path, file.write_all(bytes), to)
    }

    /// What makes the hashes of secrets worthless to whoever does not have this store. Made where there is none, or a
    /// damaged one: then no earlier result of a step with a secret is found any more.
    ///
    /// # Errors
    /// When none can be read or made.
    pub fn salt(&self) -> io::Result<[u8; SALT]> {
        let to = self.root.join("salt");
        let read = || -> io::Result<Option<[u8; SALT]>> {
            match read_file(&to, SALT as u64) {
                Ok(bytes) => Ok(bytes.try_into().ok()),
                Err(e) if is_no_file(&e) => Ok(None),
                Err(e) => Err(e),
            }
        };
        if let Some(salt) = read()? {
            return Ok(salt);
        }
        let mut salt = [0; SALT];
        File::open("/dev/urandom")?.read_exact(&mut salt)?;
        let (path, mut file) = self.fresh(RECORD_MODE)?;
        let written = file.write_all(&salt);
        // Of several runs at once the first one's counts.
        let first = written.and_then(|()| {
            match rustix::fs::renameat_with(CWD, &path, CWD, &to, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) if read()?.is_some() => Ok(false),
                // What is there is no salt, or the file system cannot tell.
                Err(_) => take_place(&path, &to).map(|()| true),
            }
        });
        if !matches!(first, Ok(true)) {
            let _ = fs::remove_file(&path);
        }
        match first? {
            true => Ok(salt),
            false => read()?.ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    /// A new file under a name that nobody else has.
    pub(super) fn fresh(&self, mode: u32) -> io::Result<(PathBuf, File)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = self.root.join("tmp");
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}", std::process::id()));
            let made = File::options()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&path);
            match made {
                Ok(file) => return Ok((path, file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => private_folder(&folder)?,
                // Of a process that was killed and had this number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn finish(
        &self,
        path: &Path,
        written: io::Result<()>,
        digest: &Digest,
    ) -> io::Result<()> {
        self.rename(path, written, &self.blob(digest))
    }

    fn rename(&self, from: &Path, written: io::Result<()>, to: &Path) -> io::Result<()> {
        let renamed = written.and_then(|()| match take_place(from, to) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                private_folder(to.parent().unwrap_or(&self.root))?;
                take_place(from, to)
            }
            renamed => renamed,
        });
        if renamed.is_err() {
            // Half a file under a name of its own does no harm; a trim takes it away.
            let _ = fs::remove_file(from);
        }
        renamed
    }

    /// A blob as it is, not verified yet.
    pub(super) fn open(&self, digest: &Digest) -> Result<File, Lost> {
        open_file(&self.blob(digest)).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Lost::Missing,
            _ => Lost::Io(e),
        })
    }

    /// Whether a blob is there already; then it counts as used now, so that nobody trims it meanwhile.
    fn refresh(&self, digest: &Digest, size: u64) -> bool {
        self.has(digest, size) && touch(&self.blob(digest)).is_ok()
    }
}

/// Writes a file that has no name until it is whole.
fn name_at_last(folder: &Path, bytes: &[u8], mode: u32, to: &Path) -> io::Result<()> {
    let mut file = nameless(CWD, folder, mode)?;
    file.write_all(bytes)?;
    name(&file, CWD, to.as_os_str())
}

/// Whether this says that there is no such file, or one that is too long.
fn is_no_file(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge
    )
}

/// Room for a file of about this size, at most `most` bytes; one more than it has shows its end.
pub(super) fn room(size: u64, most: usize) -> Vec<u8> {
    let length = usize::try_from(size).unwrap_or(most).clamp(4095, most - 1);
    vec![0; length + 1]
}

/// Reads until the buffer is full or the source has ended.
pub(super) fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::beneath(dir.path());
        (dir, store)
    }

    fn files(store: &Store) -> usize {
        let mut open = vec![store.root().to_path_buf()];
        let mut count = 0;
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    count += 1;
                }
            }
        }
        count
    }

    #[test]
    fn what_is_put_is_got_and_kept_once() {
        let (_dir, store) = store();
        let large = vec![7; PIECE * 2 + 5];
        let small = store.put(b"small").unwrap();
        assert_eq!(store.put_file(&mut &b"small"[..], 5).unwrap(), (small, 5));
        let (digest, size) = store.put_file(&mut large.as_slice(), 5).unwrap();
        assert_eq!(
            store.put_file(&mut large.as_slice(), size).unwrap(),
            (digest, size)
        );
        assert_eq!(size, large.len() as u64);
        assert_eq!(store.get(&small, 5).unwrap(), b"small");
        assert_eq!(store.get(&digest, size).unwrap(), large);
        assert!(store.get(&digest, size - 1).is_err());
        assert_eq!(files(&store), 2);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found_and_the_blob_is_gone() {
        let (_dir, store) = store();
        let bytes: Vec<u8> = (0..100).collect();
        for at in 0..bytes.len() {
            let digest = store.put(&bytes).unwrap();
            let path = store.blob(&digest);
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            fs::write(&path, broken).unwrap();
            assert!(matches!(store.get(&digest, 1000), Err(Lost::Damaged)));
            assert!(matches!(store.get(&digest, 1000), Err(Lost::Missing)));
        }
    }

    #[test]
    fn a_store_that_cannot_be_written_is_an_error_and_leaves_no_file() {
        let store = Store::beneath(Path::new("/dev/null"));
        assert!(store.put(b"x").is_err());
        assert!(matches!(store.get(&Digest::of(b"x"), 9), Err(Lost::Io(_))));
    }

    #[test]
    fn a_link_or_a_folder_in_place_of_a_blob_is_none() {
        let (dir, store) = store();
        let digest = store.put(b"x").unwrap();
        let path = store.blob(&digest);
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert!(store.get(&digest, 9).is_err());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(store.get(&digest, 9), Err(Lost::Missing)));
    }
}
