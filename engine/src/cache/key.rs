//! The key of a result: everything that decides it, as a document that can be printed, hashed and compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What this version writes. History: 1, the first.
pub const VERSION: u32 = 1;

/// How long most documents are at most, in bytes.
const USUAL: usize = 1024;

/// What stands in front of the salted hash of a secret.
pub(super) const SALTED: &str = "secret ";

/// Parts of a key by name, for several copies of it.
pub type Parts = Arc<BTreeMap<String, String>>;

/// Everything that decides what a step makes. The hash of its text is the key; two steps with the same text make the
/// same. Times, absolute paths and variables that the step does not see are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// The version of this document.
    pub version: u32,
    /// Operating system and processor.
    pub platform: String,
    /// Stage and step, as the commands see them.
    pub step: String,
    /// The commands, in order, and the clean-up.
    pub commands: Parts,
    /// How they are started: shell, folder.
    pub setting: Parts,
    /// The variables that it is given, by name. The value of a secret stands here as a salted hash.
    pub env: Parts,
    /// The parts of its `key`, as written, each with what it came to.
    pub parts: BTreeMap<String, String>,
    /// Its inputs, by path.
    pub inputs: BTreeMap<String, String>,
    /// What it is handed by other steps, by step or artifact.
    pub taken: BTreeMap<String, String>,
    /// The patterns of what it makes.
    pub makes: Parts,
}

/// Operating system and processor of this machine, as they stand in a key.
#[must_use]
pub fn platform() -> String {
    [std::env::consts::OS, " ", std::env::consts::ARCH].concat()
}

impl Key {
    /// The document.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(USUAL);
        let written = serde_json::to_writer(&mut text, self);
        written.map(|()| text).unwrap_or_default()
    }

    /// Reads a document; `None` where it is one of another version.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let key: Self = serde_json::from_slice(text).ok()?;
        (key.version == VERSION).then_some(key)
    }

    /// Whether a salted secret is part of it. Such a key, and so its result, is of one machine alone.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        let mut values = self.env.values().chain(self.parts.values());
        values.any(|v| v.lines().any(|line| line.starts_with(SALTED)))
    }

    /// Every part: what kind of thing, its name, its value.
    fn flat(&self) -> Vec<(&'static str, &str, &str)> {
        let mut all = vec![
            ("platform", "", self.platform.as_str()),
            ("step", "", self.step.as_str()),
        ];
        let groups = [
            ("run", &*self.commands),
            ("setting", &*self.setting),
            ("env", &*self.env),
            ("key", &self.parts),
            ("input", &self.inputs),
            ("from", &self.taken),
            ("makes", &*self.makes),
        ];
        for (kind, group) in groups {
            all.extend(group.iter().map(|(n, v)| (kind, n.as_str(), v.as_str())));
        }
        all
    }

    /// How many parts there are of each kind, in order.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for (kind, _, _) in self.flat() {
            match counts.last_mut() {
                Some((last, n)) if *last == kind => *n += 1,
                _ => counts.push((kind, 1)),
            }
        }
        counts
    }
}

/// A part of a key that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of thing: `input`, `env`, `run`, …
    pub kind: &'static str,
    /// Its name: a path, a variable, the number of a command.
    pub name: String,
    /// What it was; none if it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it is; none if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What differs between two keys, in the order of the document.
#[must_use]
pub fn changes(before: &Key, after: &Key) -> Vec<Change> {
    let (old, new) = (before.flat(), after.flat());
    let old: BTreeMap<_, _> = old.into_iter().map(|(k, n, v)| ((k, n), v)).collect();
    let mut changes = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for (kind, name, value) in new {
        seen.insert((kind, name));
        let then = old.get(&(kind, name));
        if then != Some(&value) {
            changes.push(Change {
                kind,
                name: name.to_owned(),
                before: then.map(|v| (*v).to_owned()),
                after: Some(value.to_owned()),
            });
        }
    }
    for ((kind, name), value) in old {
        if !seen.contains(&(kind, name)) {
            changes.push(Change {
                kind,
                name: name.to_owned(),
                before: Some(value.to_owned()),
                after: None,
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Digest;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(n, v): &(&str, &str)| ((*n).to_owned(), (*v).to_owned());
        pairs.iter().map(own).collect()
    }

    fn key(inputs: &[(&str, &str)], env: &[(&str, &str)]) -> Key {
        Key {
            version: VERSION,
            platform: "linux x86_64".into(),
            step: "test.unit".into(),
            commands: map(&[("run 1", "make")]).into(),
            setting: Parts::default(),
            env: map(env).into(),
            parts: map(&[]),
            inputs: map(inputs),
            taken: map(&[]),
            makes: Parts::default(),
        }
    }

    #[test]
    fn the_same_parts_give_the_same_text_and_any_other_part_another() {
        let one = key(&[("a", "1")], &[("A", "1")]);
        assert_eq!(one.text(), key(&[("a", "1")], &[("A", "1")]).text());
        assert_eq!(Key::read(&one.text()), Some(one.clone()));
        let others = [
            key(&[("a", "2")], &[("A", "1")]),
            key(&[("b", "1")], &[("A", "1")]),
            key(&[], &[("A", "1"), ("a", "1")]),
            key(&[("a", "1")], &[("A", "1\",\"B\":\"2")]),
        ];
        for other in others {
            assert_ne!(Digest::of(&one.text()), Digest::of(&other.text()));
        }
    }

    #[test]
    fn changes_tell_what_came_went_and_differs() {
        let before = key(&[("a", "1"), ("b", "1")], &[]);
        let after = key(&[("a", "2"), ("c", "1")], &[]);
        let change = |name: &str, before: Option<&str>, after: Option<&str>| Change {
            kind: "input",
            name: name.into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        assert_eq!(
            changes(&before, &after),
            [
                change("a", Some("1"), Some("2")),
                change("c", None, Some("1")),
                change("b", Some("1"), None),
            ]
        );
        assert_eq!(changes(&after, &after), []);
    }
}
