//! The index of a layout: which manifests there are, and their names. What it says that is not understood stays.

use std::fs::File;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Layout, Lost};
use crate::oci::{Descriptor, Digest, media};
use crate::own_files;

/// The annotation that holds a name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The longest index that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// An index as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    document: Value,
}

impl Index {
    /// Reads the index; there may be none yet.
    pub(super) fn read(layout: &Layout) -> Result<Self, Lost> {
        let path = layout.root().join("index.json");
        let failed = |e| Lost::Io(path.clone(), e);
        let document = match own_files::read_file(&path, LONGEST) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed(e.into()))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": []})
            }
            Err(e) => return Err(failed(e)),
        };
        let index = Self { document };
        if index.document["schemaVersion"] != 2 || !index.document["manifests"].is_array() {
            return Err(failed(io::Error::other(
                "it is no index of an image layout",
            )));
        }
        Ok(index)
    }

    /// Writes it in one step. It is forced to the disk: contents that are torn are found, a torn index would lose names.
    pub(super) fn write(&self, layout: &Layout) -> Result<(), Lost> {
        let mut incoming = layout.incoming()?;
        let path = layout.root().join("index.json");
        let written = serde_json::to_vec(&self.document)
            .map_err(io::Error::from)
            .and_then(|bytes| incoming.write_all(&bytes))
            .and_then(|()| File::open(incoming.path())?.sync_all())
            .and_then(|()| incoming.rename(&path));
        written.map_err(|e| Lost::Io(path, e))
    }

    fn entries(&self) -> &[Value] {
        self.document["manifests"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// Everything that it lists and `pipe` can read.
    pub(super) fn all(&self) -> Vec<Descriptor> {
        let entries = self.entries().iter();
        entries.filter_map(descriptor).collect()
    }

    /// What has a name.
    pub(super) fn names(&self) -> Vec<(String, Descriptor)> {
        let entries = self.entries().iter();
        entries
            .filter_map(|e| Some((name_of(e)?.to_owned(), descriptor(e)?)))
            .collect()
    }

    /// What a name stands for.
    pub(super) fn named(&self, name: &str) -> Option<Digest> {
        let entry = self.entries().iter().find(|e| name_of(e) == Some(name))?;
        Some(descriptor(entry)?.digest)
    }

    /// Gives a name to a manifest.
    pub(super) fn set(&mut self, name: &str, manifest: &Descriptor) {
        self.remove(name);
        let mut named = manifest.clone();
        named.annotations.insert(REF_NAME.into(), name.into());
        self.push(&named);
    }

    /// Takes a name away.
    pub(super) fn remove(&mut self, name: &str) {
        self.retain_entries(|entry| name_of(entry) != Some(name));
    }

    /// Lists a manifest without a name.
    pub(super) fn list(&mut self, manifest: &Descriptor) {
        let mut listed = manifest.clone();
        listed.annotations.shift_remove(REF_NAME);
        let same = |e: &Value| name_of(e).is_none() && descriptor(e).as_ref() == Some(&listed);
        if !self.entries().iter().any(same) {
            self.push(&listed);
        }
    }

    /// Takes away what is not wanted. What `pipe` cannot read stays.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&Descriptor) -> bool) {
        self.retain_entries(|entry| descriptor(entry).is_none_or(|d| wanted(&d)));
    }

    /// The same of what has no name.
    pub(super) fn retain_listed(&mut self, mut wanted: impl FnMut(&Descriptor) -> bool) {
        self.retain_entries(|entry| {
            name_of(entry).is_some() || descriptor(entry).is_none_or(|d| wanted(&d))
        });
    }

    fn retain_entries(&mut self, wanted: impl FnMut(&Value) -> bool) {
        if let Some(list) = self.document["manifests"].as_array_mut() {
            list.retain(wanted);
        }
    }

    fn push(&mut self, entry: &Descriptor) {
        let list = self.document["manifests"].as_array_mut();
        if let (Some(list), Ok(entry)) = (list, serde_json::to_value(entry)) {
            list.push(entry);
        }
    }
}

fn descriptor(entry: &Value) -> Option<Descriptor> {
    Descriptor::deserialize(entry)
}

fn name_of(entry: &Value) -> Option<&str> {
    entry["annotations"][REF_NAME].as_str()
}

impl Descriptor {
    fn deserialize(entry: &Value) -> Option<Self> {
        serde::Deserialize::deserialize(entry).ok()
    }
}
