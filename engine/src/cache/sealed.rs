//! Small binary files that are read whole or not at all: a mark with the format's version, a checksum, the content.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

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

/// Begins to read two files, one after the other, beside other work; what is given waits for the one or the other. Where
/// nothing can be begun they are read then.
pub(super) fn begin<A, B>(
    one: &Path,
    other: &Path,
) -> (
    impl FnOnce() -> Option<A> + Send + 'static,
    impl FnOnce() -> Option<B> + Send + 'static,
)
where
    A: DeserializeOwned + Send + 'static,
    B: DeserializeOwned + Send + 'static,
{
    let (one, other) = (one.to_owned(), other.to_owned());
    let (of_one, one_is_read) = mpsc::channel();
    let (of_other, other_is_read) = mpsc::channel();
    let (own_one, own_other) = (one.clone(), other.clone());
    // Whoever wanted to know may be gone.
    let _ = thread::Builder::new().spawn(move || {
        let _ = of_one.send(read(&own_one));
        let _ = of_other.send(read(&own_other));
    });
    (
        move || one_is_read.recv().unwrap_or_else(|_| read(&one)),
        move || other_is_read.recv().unwrap_or_else(|_| read(&other)),
    )
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
