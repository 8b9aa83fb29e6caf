//! A record as it travels: the text of the store, and in front of it, where there is a key for that, who has sent it.

use std::fmt;

use crate::cache::{Action, Digest, Entry, Is};

/// What a key for signatures is made for. Another meaning would be another text.
const PURPOSE: &str = "pipe 2026-11 remote cache, signature of an action record";

/// A secret that signs is at least so long, in bytes: every record lets people guess a short one.
pub const SHORTEST: usize = 16;

/// What a signature begins with.
const MARK: &[u8] = b"signed ";

/// What records are signed with.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// What a record that came is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// One that can be believed.
    Sound(Box<Action>),
    /// Nobody has signed it.
    Unsigned,
    /// Somebody else has signed it, or it was changed since.
    Forged,
    /// It is not whole, or of another key or format.
    Damaged,
}

impl SigningKey {
    /// The key of a secret; `None` where the secret is too short.
    #[must_use]
    pub fn of(secret: &str) -> Option<Self> {
        (secret.len() >= SHORTEST).then(|| Self(blake3::derive_key(PURPOSE, secret.as_bytes())))
    }

    fn sign(&self, scope: &str, record: &[u8]) -> blake3::Hash {
        let mut hash = blake3::Hasher::new_keyed(&self.0);
        // A record of one scope is none of another one.
        hash.update(&(scope.len() as u64).to_le_bytes());
        hash.update(scope.as_bytes());
        hash.update(record);
        hash.finalize()
    }
}

/// A record of a scope, ready to be sent.
pub(super) fn seal(record: Vec<u8>, scope: &str, key: Option<&SigningKey>) -> Vec<u8> {
    let Some(key) = key else { return record };
    let mut bytes = MARK.to_vec();
    bytes.extend_from_slice(key.sign(scope, &record).to_hex().as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(&record);
    bytes
}

/// What a record is that stood under a key in a scope.
pub(super) fn open(bytes: &[u8], scope: &str, key: Option<&SigningKey>, of: &Digest) -> Opened {
    let (signature, record) = match bytes.strip_prefix(MARK) {
        Some(rest) if rest.len() > 64 && rest[64] == b'\n' => (Some(&rest[..64]), &rest[65..]),
        Some(_) => return Opened::Damaged,
        None => (None, bytes),
    };
    match (key, signature) {
        (None, _) => {}
        (Some(_), None) => return Opened::Unsigned,
        (Some(key), Some(signature)) => {
            let signature = blake3::Hash::from_hex(signature);
            // Hashes are compared in constant time.
            if !signature.is_ok_and(|s| s == key.sign(scope, record)) {
                return Opened::Forged;
            }
        }
    }
    match Action::decode(record, of) {
        Some((action, _)) if is_ours(&action) => Opened::Sound(Box::new(action)),
        _ => Opened::Damaged,
    }
}

/// Whether we could have written it: each path once, in order, with permissions and nothing else in a mode.
fn is_ours(action: &Action) -> bool {
    let plain = |entry: &Entry| match entry.is {
        Is::File { mode, .. } | Is::Folder { mode } => mode <= 0o777,
        Is::Link { .. } => true,
    };
    action.outputs.iter().all(plain) && action.outputs.is_sorted_by(|a, b| a.path < b.path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cache::FORMAT;

    fn action() -> Action {
        Action {
            format: FORMAT,
            key: Digest::of(b"{}"),
            outputs: Vec::new(),
            artifacts: BTreeMap::new(),
            values: BTreeMap::from([("version".into(), "1.2".into())]),
            log: None,
            millis: 12,
            origin: "run 1".into(),
        }
    }

    fn key(secret: &str) -> SigningKey {
        SigningKey::of(secret).expect("a test's own secret")
    }

    #[test]
    fn a_signed_record_is_believed_by_who_has_the_secret_and_in_its_own_scope_only() {
        let (action, own, other) = (action(), key("0123456789abcdef"), key("0123456789abcdeg"));
        let bytes = seal(action.encode(b"{}"), "trusted", Some(&own));
        let sound = Opened::Sound(Box::new(action.clone()));
        let opened = |scope: &str, key: Option<&SigningKey>| open(&bytes, scope, key, &action.key);
        assert_eq!(opened("trusted", Some(&own)), sound);
        assert_eq!(opened("trusted", None), sound);
        assert_eq!(opened("trusted", Some(&other)), Opened::Forged);
        assert_eq!(opened("stranger-1", Some(&own)), Opened::Forged);
    }

    #[test]
    fn no_changed_byte_and_no_cut_is_believed() {
        let (action, own) = (action(), key("0123456789abcdef"));
        let bytes = seal(action.encode(b"{}"), "trusted", Some(&own));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            for bytes in [&changed[..], &bytes[..at]] {
                let opened = open(bytes, "trusted", Some(&own), &action.key);
                assert!(!matches!(opened, Opened::Sound(_)), "byte {at}");
            }
        }
    }

    #[test]
    fn a_record_that_is_right_but_unsigned_counts_only_where_nothing_is_signed() {
        let action = action();
        let bytes = seal(action.encode(b"{}"), "trusted", None);
        let own = key("0123456789abcdef");
        let sound = Opened::Sound(Box::new(action.clone()));
        assert_eq!(open(&bytes, "trusted", None, &action.key), sound);
        let opened = open(&bytes, "trusted", Some(&own), &action.key);
        assert_eq!(opened, Opened::Unsigned);
    }

    #[test]
    fn a_record_that_we_would_not_write_is_none() {
        let folder = |path: &str, mode| Entry {
            path: path.into(),
            is: Is::Folder { mode },
        };
        let opened = |outputs: Vec<Entry>| {
            let action = Action {
                outputs,
                ..action()
            };
            let bytes = seal(action.encode(b"{}"), "trusted", None);
            matches!(open(&bytes, "trusted", None, &action.key), Opened::Sound(_))
        };
        assert!(opened(vec![folder("a", 0o755), folder("b", 0o700)]));
        assert!(!opened(vec![folder("a", 0o4755)]));
        assert!(!opened(vec![folder("b", 0o755), folder("a", 0o755)]));
        assert!(!opened(vec![folder("a", 0o755), folder("a", 0o755)]));
    }

    #[test]
    fn a_short_secret_signs_nothing() {
        assert!(SigningKey::of("0123456789abcde").is_none());
    }
}
