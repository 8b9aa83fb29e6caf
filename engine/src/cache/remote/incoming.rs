//! A blob on its way into the store of this machine: verified while it comes, there only when it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use crate::cache::store::BLOB_MODE;
use crate::cache::{Digest, Store};

/// A blob of which some is here.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    store: &'a Store,
    digest: Digest,
    /// How much is still to come.
    left: u64,
    hash: blake3::Hasher,
    file: File,
    /// Where it is until it is whole; `None` when it is.
    path: Option<PathBuf>,
}

/// Why a blob does not come in.
#[derive(Debug)]
pub(super) enum NotIn {
    /// It is not what its name says.
    Damaged,
    /// It cannot be written.
    Here(io::Error),
}

impl<'a> Incoming<'a> {
    /// Begins a blob of this content and length.
    pub(super) fn of(store: &'a Store, digest: Digest, size: u64) -> io::Result<Self> {
        let (path, file) = store.fresh(BLOB_MODE)?;
        Ok(Self {
            store,
            digest,
            left: size,
            hash: blake3::Hasher::new(),
            file,
            path: Some(path),
        })
    }

    /// Takes a piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), NotIn> {
        let left = self.left.checked_sub(piece.len() as u64);
        self.left = left.ok_or(NotIn::Damaged)?;
        self.hash.update(piece);
        self.file.write_all(piece).map_err(NotIn::Here)
    }

    /// Puts it where it belongs.
    pub(super) fn finish(mut self) -> Result<(), NotIn> {
        if self.left > 0 || Digest::from(self.hash.finalize()) != self.digest {
            return Err(NotIn::Damaged);
        }
        match self.path.take() {
            Some(path) => self.store.finish(&path, Ok(()), &self.digest),
            None => Ok(()),
        }
        .map_err(NotIn::Here)
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // Half a file under a name of its own does no harm; a trim takes it away.
            let _ = fs::remove_file(path);
        }
    }
}
