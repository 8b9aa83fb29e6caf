//! A manifest as it came, and what it names. Knows nothing of where it came from.

use serde::Deserialize;

use super::{Descriptor, Digest, media};

/// The longest manifest that is read, in bytes: registries take no longer ones.
pub const LONGEST: u64 = 4 << 20;

/// A manifest: an image, or an index of several. Its bytes are kept as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    bytes: Vec<u8>,
    digest: Digest,
    media_type: String,
    names: Names,
}

/// What a manifest names, in the order in which it does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Names {
    schema_version: u8,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<indexmap::IndexMap<String, String>>,
}

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NoManifest {
    /// They are too many.
    #[error("it is longer than {} MiB", LONGEST >> 20)]
    TooLong,
    /// They are something else.
    #[error("it is no manifest: {0}")]
    Malformed(String),
    /// They are of a kind that has no digest of its own.
    #[error("it is of schema version {0}, and only 2 can be copied")]
    Schema(u8),
    /// Its type says something else than its content.
    #[error("its type is {0}, which pipe cannot copy")]
    Type(String),
}

impl Manifest {
    /// Reads a manifest. Its type is what the registry said, if it said one; else what it says itself.
    ///
    /// # Errors
    /// When it is none, or none that can be copied.
    pub fn read(bytes: Vec<u8>, media_type: Option<&str>) -> Result<Self, NoManifest> {
        if bytes.len() as u64 > LONGEST {
            return Err(NoManifest::TooLong);
        }
        let names: Names =
            serde_json::from_slice(&bytes).map_err(|e| NoManifest::Malformed(e.to_string()))?;
        if names.schema_version != 2 {
            return Err(NoManifest::Schema(names.schema_version));
        }
        let said = media_type
            .map(|t| t.split(';').next().unwrap_or(t).trim())
            .filter(|t| media::is_manifest(t));
        let own = names.media_type.as_deref();
        let guess = match names.manifests {
            Some(_) => media::INDEX,
            None => media::MANIFEST,
        };
        let media_type = own.or(said).unwrap_or(guess).to_owned();
        // An index that is taken for an image would be copied without what it names.
        if !media::is_manifest(&media_type)
            || media::is_index(&media_type) != names.manifests.is_some()
        {
            return Err(NoManifest::Type(media_type));
        }
        Ok(Self {
            digest: Digest::of(&bytes),
            bytes,
            media_type,
            names,
        })
    }

    /// The bytes, as they came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What kind of manifest it is.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// How others name it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let mut own = Descriptor::new(&self.media_type, self.digest, self.bytes.len() as u64);
        own.artifact_type = self.artifact_type().map(str::to_owned);
        own
    }

    /// What it says of itself under this name.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<String> {
        let document: serde_json::Value = serde_json::from_slice(&self.bytes).ok()?;
        Some(document["annotations"][name].as_str()?.to_owned())
    }

    /// What kind of artifact it is: what it says, or else the type of its configuration, as the distribution-spec has it.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.subject()?;
        let config = self.names.config.as_ref().map(|c| c.media_type.as_str());
        self.names.artifact_type.as_deref().or(config)
    }

    /// The manifests of an index.
    #[must_use]
    pub fn manifests(&self) -> &[Descriptor] {
        self.names.manifests.as_deref().unwrap_or_default()
    }

    /// The contents of an image: its configuration and its layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.names.config.iter().chain(&self.names.layers)
    }

    /// The configuration of an image.
    #[must_use]
    pub fn config(&self) -> Option<&Descriptor> {
        self.names.config.as_ref()
    }

    /// What it is about, where it is a signature, an SBOM or the like.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        self.names.subject.as_ref()
    }

    /// What it says about itself.
    #[must_use]
    pub fn annotations(&self) -> Option<&indexmap::IndexMap<String, String>> {
        self.names.annotations.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_keeps_its_bytes_and_says_what_it_names() {
        let blob = |c: &str| format!("sha256:{}", c.repeat(64));
        let text = format!(
            "{{ \"schemaVersion\" : 2,\n\t\"unknown\": [1.0, 1e2],\"config\":{{\"mediaType\":\"c\",\"digest\":\"{}\",\"size\":1}},\"layers\":[{{\"mediaType\":\"l\",\"digest\":\"{}\",\"size\":2}}]}}\n\n",
            blob("a"),
            blob("b")
        );
        let manifest = Manifest::read(text.clone().into_bytes(), None).unwrap();
        assert_eq!(manifest.bytes(), text.as_bytes());
        assert_eq!(manifest.digest(), Digest::of(text.as_bytes()));
        assert_eq!(manifest.media_type(), media::MANIFEST);
        let blobs: Vec<(String, u64)> = manifest
            .blobs()
            .map(|b| (b.digest.to_string(), b.size))
            .collect();
        assert_eq!(blobs, [(blob("a"), 1), (blob("b"), 2)]);
    }

    #[test]
    fn what_a_registry_calls_it_counts_only_where_it_says_nothing_itself() {
        let read = |text: &str, said| Manifest::read(text.as_bytes().to_vec(), said);
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let of = |text, said| read(text, said).map(|m| m.media_type().to_owned());
        assert_eq!(of(index, Some("text/plain; q=1")).unwrap(), media::INDEX);
        assert_eq!(
            of(
                index,
                Some("application/vnd.docker.distribution.manifest.list.v2+json; charset=x")
            )
            .unwrap(),
            media::DOCKER_LIST
        );
        let wrong = |text: &str, said| read(text, said).unwrap_err().to_string();
        assert_eq!(
            [
                wrong(index, Some(media::MANIFEST)),
                wrong(r#"{"schemaVersion":1}"#, None),
                wrong("<html>", None),
            ],
            [
                "its type is application/vnd.oci.image.manifest.v1+json, which pipe cannot copy",
                "it is of schema version 1, and only 2 can be copied",
                "it is no manifest: expected value at line 1 column 1",
            ]
        );
    }
}
