//! The store as somebody finds it who damages it: which files it has, and which of them are broken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::random::Random;
use crate::support::tree::files;

pub struct Store {
    root: PathBuf,
    /// What was damaged and may not have been mended.
    damaged: BTreeSet<PathBuf>,
}

impl Store {
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            damaged: BTreeSet::new(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes all of it.
    pub fn remove(&mut self) {
        let _ = fs::remove_dir_all(self.root.parent().unwrap());
        self.damaged.clear();
    }

    /// Damages one file; says what was done.
    pub fn damage(&mut self, random: &mut Random) -> Option<String> {
        // Of each kind as often, however many there are.
        let kind = random.of(&["blob", "blob", "blob", "blob", "action", "checkout"]);
        let all = files(&self.root.join(kind));
        if all.is_empty() {
            return None;
        }
        let path = random.of(&all);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let how = match random.below(3) {
            0 if !bytes.is_empty() => {
                let at = random.below(bytes.len());
                let mut bytes = bytes;
                bytes[at] ^= 1 << random.below(8);
                fs::write(&path, bytes).unwrap();
                format!("has another bit in byte {at}")
            }
            1 if !bytes.is_empty() => {
                let length = random.below(bytes.len());
                fs::write(&path, &bytes[..length]).unwrap();
                format!("ends after {length} bytes")
            }
            _ => "is gone".into(),
        };
        let told = format!(
            "{} of the store {how}",
            path.strip_prefix(&self.root).unwrap().display()
        );
        if kind != "checkout" {
            self.damaged.insert(path);
        }
        Some(told)
    }

    /// What is broken now.
    pub fn broken(&mut self) -> BTreeSet<PathBuf> {
        self.damaged.retain(|path| !is_sound(path));
        self.damaged.clone()
    }

    /// Where the content with this hash is.
    pub fn blob(&self, hash: &str) -> PathBuf {
        self.root.join("blob").join(&hash[..1]).join(&hash[1..])
    }

    /// Where the record of this key is.
    pub fn record(&self, key: &str) -> PathBuf {
        self.root
            .join("action/trusted")
            .join(&key[..1])
            .join(&key[1..])
    }
}

/// Whether a file is what its name or its first line says.
pub fn is_sound(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else {
        return false;
    };
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    if path.components().any(|c| c.as_os_str() == "action") {
        let at = bytes.iter().position(|b| *b == b'\n');
        return at.is_some_and(|at| hash(&bytes[at + 1..]).as_bytes() == &bytes[..at]);
    }
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    hash(&bytes) == name(path.parent().unwrap()) + &name(path)
}
