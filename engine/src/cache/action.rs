//! The record of a result: what a step made when it ran under a key, and the document of that key. A checksum in front
//! of it checks its text; the document is the one whose hash is the name under which it stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::store::FAN;
use super::{Digest, Entry};

/// The format that this version writes and reads.
pub const FORMAT: u32 = 2;

/// The longest record that is read. Half a million files fit.
pub const LONGEST: u64 = 128 << 20;

/// What a step made under a key. Only of steps that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// The format.
    pub format: u32,
    /// The key, of which this is the result.
    pub key: Digest,
    /// The files that it made, sorted by path.
    pub outputs: Vec<Entry>,
    /// Which of them each artifact has.
    pub artifacts: BTreeMap<String, Vec<String>>,
    /// Its outputs, by name.
    pub values: BTreeMap<String, String>,
    /// What it wrote, masked; `None` where it was silent.
    pub log: Option<Log>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Who made it, for a person.
    pub origin: String,
}

/// A log in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Its content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl Action {
    /// The record as it is stored, with the document of its key: three lines, of which the first is the hash of the rest.
    #[must_use]
    pub fn encode(&self, document: &[u8]) -> Vec<u8> {
        let mut rest = serde_json::to_vec(self).unwrap_or_default();
        rest.push(b'\n');
        rest.extend_from_slice(document);
        let mut bytes = Digest::of(&rest).hex().into_bytes();
        bytes.push(b'\n');
        bytes.append(&mut rest);
        bytes
    }

    /// Reads a record that stood under `key`, and the document of the key; `None` for one that is damaged, of another
    /// key or another format, or that would write outside of the folder.
    #[must_use]
    pub fn decode<'a>(bytes: &'a [u8], key: &Digest) -> Option<(Self, &'a [u8])> {
        let (sum, rest) = split_line(bytes)?;
        if Digest::of(rest).hex().as_bytes() != sum {
            return None;
        }
        let (json, document) = split_line(rest)?;
        let action: Self = serde_json::from_slice(json).ok()?;
        let sound = action.format == FORMAT
            && action.key == *key
            && Digest::of(document) == *key
            && action.outputs.iter().all(Entry::stays_inside);
        sound.then_some((action, document))
    }

    /// Every blob that it names, with its length.
    pub fn blobs(&self) -> impl Iterator<Item = (Digest, u64)> {
        let files = self.outputs.iter().filter_map(|entry| match entry.is {
            super::Is::File { digest, size, .. } => Some((digest, size)),
            _ => None,
        });
        files.chain(self.log.map(|log| (log.digest, log.size)))
    }
}

/// The first line, and what comes after it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Where the record of a key stands beneath the store.
#[must_use]
pub fn place(scope: &str, key: &Digest) -> PathBuf {
    let hex = key.hex();
    let (folder, name) = hex.split_at(FAN);
    Path::new("action").join(scope).join(folder).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Is;

    const DOCUMENT: &[u8] = b"{\"version\":1}";

    fn action() -> Action {
        let digest = Digest::of(b"content");
        Action {
            format: FORMAT,
            key: Digest::of(DOCUMENT),
            outputs: vec![Entry {
                path: "out/a".into(),
                is: Is::File {
                    digest,
                    size: 7,
                    mode: 0o644,
                },
            }],
            artifacts: BTreeMap::from([("site".into(), vec!["out/a".into()])]),
            values: BTreeMap::from([("version".into(), "1.2".into())]),
            log: Some(Log { digest, size: 7 }),
            millis: 12,
            origin: "run 1".into(),
        }
    }

    #[test]
    fn a_record_is_read_back_and_no_changed_byte_is_believed() {
        let action = action();
        let bytes = action.encode(DOCUMENT);
        assert_eq!(
            Action::decode(&bytes, &action.key),
            Some((action.clone(), DOCUMENT))
        );
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert_eq!(Action::decode(&broken, &action.key), None, "byte {at}");
            assert_eq!(
                Action::decode(&bytes[..at], &action.key),
                None,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_record_of_another_key_or_that_writes_elsewhere_is_refused() {
        let mut action = action();
        assert_eq!(
            Action::decode(&action.encode(DOCUMENT), &Digest::of(b"other")),
            None
        );
        assert_eq!(Action::decode(&action.encode(b"{}"), &action.key), None);
        action.outputs[0].path = "../a".into();
        assert_eq!(Action::decode(&action.encode(DOCUMENT), &action.key), None);
    }
}
