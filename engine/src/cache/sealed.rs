//! Small binary files that are read whole or not at all: a mark with the format's version, a checksum, the content.

use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Digest, Store};
use crate::own_files;

/// Changes with anything that is written this way: a file of another version is like none.
const MARK: &[u8; 8] = b"pipe-c02";

/// The longest file that is read.
const LONGEST: u64 = 1 << 30;

/// Reads a file; `None` if it is missing, damaged or of another version.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = own_files::read_file(path, LONGEST).ok()?;
    let rest = bytes.strip_prefix(MARK)?;
    let (sum, content) = rest.split_at_checked(32)?;
    if Digest::of(content).as_bytes() != sum {
        return None;
    }
    postcard::from_bytes(content).ok()
}

/// Begins to read a file beside other work; what is given waits for it. Where nothing can be begun it is read then.
pub(super) fn begin<T: DeserializeOwned + Send + 'static>(
    path: &Path,
) -> impl FnOnce() -> Option<T> + Send + 'static {
    let (own, path) = (path.to_owned(), path.to_owned());
    let begun = thread::Builder::new().spawn(move || read(&own));
    move || match begun.map(JoinHandle::join) {
        Ok(Ok(read)) => read,
        _ => read(&path),
    }
}

/// Writes a file of a store in one step: whoever reads it meanwhile gets the old one or the new one.
pub(super) fn write<T: Serialize>(store: &Store, path: &Path, value: &T) -> io::Result<()> {
    let content = postcard::to_allocvec(value).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(content.len() + 40);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(Digest::of(&content).as_bytes());
    bytes.extend_from_slice(&content);
    store.record(path, &bytes)
}
