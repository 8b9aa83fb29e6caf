//! What is attested of an image: how it was built, as a statement of in-toto with the provenance of SLSA 1.0, kept beside it
//! as an artifact whose subject it is (image-spec 1.1). Unsigned; `sign` signs it. The same for what others say of an image.

use serde_json::{Value, json};

use super::{Build, sbom};
use crate::oci::layout::Lost;
use crate::oci::{Descriptor, Digest, Layout, Manifest, media};

/// The media type of a statement, of the in-toto attestation framework.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The annotation with the kind of a statement.
const KIND: &str = "in-toto.io/predicate-type";
/// What SLSA calls its provenance.
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters of a build mean: those of `build` in `pipeline.kdl`.
const BUILD_TYPE: &str = "urn:dev.pipe:build:v1";

/// When an image was built, and where.
pub(super) struct Run<'a> {
    pub(super) began: jiff::Timestamp,
    pub(super) origin: &'a str,
    pub(super) builder: &'a str,
    /// Where the commit is from, and the commit; none where the files are not those of one.
    pub(super) source: Option<(String, String)>,
    /// Hides what nobody may see.
    pub(super) hide: &'a dyn Fn(&str) -> String,
}

/// Keeps how an image was built beside it, unless that is known of an earlier build that made the same.
///
/// # Errors
/// When it cannot be written.
pub(super) fn provenance(
    layout: &Layout,
    image: &Manifest,
    build: &Build,
    run: &Run<'_>,
) -> Result<Option<Digest>, Lost> {
    let kinds = statements(layout, &image.digest())?;
    if kinds.iter().any(|(kind, _)| kind == PROVENANCE) {
        return Ok(None);
    }
    let statement = statement(image, build, run).to_string().into_bytes();
    let kind = [(KIND, PROVENANCE)];
    let about = beside(layout, image, (STATEMENT, &statement), &kind, &kind)?;
    Ok(Some(about))
}

/// Keeps a document beside an image: its type and its bytes; annotations of the document, and of what leads to it.
///
/// # Errors
/// When it cannot be written.
pub(super) fn beside(
    layout: &Layout,
    image: &Manifest,
    (kind, document): (&str, &[u8]),
    annotations: &[(&str, &str)],
    about: &[(&str, &str)],
) -> Result<Digest, Lost> {
    let put = |kind: &str, bytes: &[u8]| -> Result<Descriptor, Lost> {
        layout.put(bytes)?;
        Ok(Descriptor::of(kind, bytes))
    };
    let pairs = |list: &[(&str, &str)]| -> serde_json::Map<String, Value> {
        let all = list.iter();
        all.map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect()
    };
    let mut content = put(kind, document)?;
    for (name, value) in annotations {
        content
            .annotations
            .insert((*name).to_owned(), (*value).into());
    }
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "artifactType": kind,
        "config": put(media::EMPTY, b"{}")?,
        "layers": [content],
        "subject": image.descriptor(),
    });
    if !about.is_empty() {
        manifest["annotations"] = pairs(about).into();
    }
    let listed = put(media::MANIFEST, manifest.to_string().as_bytes())?;
    layout.list(&listed)?;
    Ok(listed.digest)
}

fn statement(image: &Manifest, build: &Build, run: &Run<'_>) -> Value {
    let pairs = |list: &[(String, String)]| -> Value {
        let all = list.iter();
        all.map(|(name, value)| (name.clone(), json!((run.hide)(value))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let mut parameters = json!({
        "image": build.image, "context": build.context, "dockerfile": build.dockerfile,
        "args": pairs(&build.args), "labels": pairs(&build.labels),
    });
    if let Some(target) = &build.target {
        parameters["target"] = json!(target);
    }
    if !build.platforms.is_empty() {
        parameters["platforms"] = json!(build.platforms);
    }
    let sources = run.source.iter().map(|(from, commit)| {
        json!({"uri": format!("git+{from}@{commit}"), "digest": {"gitCommit": commit}})
    });
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": build.image, "digest": {"sha256": image.digest().hex()}}],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": parameters,
                "internalParameters": {"builder": run.builder},
                "resolvedDependencies": sources.collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": {"id": "urn:dev.pipe:engine:v1", "version": {"pipe": env!("CARGO_PKG_VERSION")}},
                "metadata": {
                    "invocationId": (run.hide)(run.origin),
                    "startedOn": run.began.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    "finishedOn": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                },
            },
        },
    })
}

/// What is stated of an image that is here: the kinds, and what the statements say.
///
/// # Errors
/// When one of them cannot be read.
pub(in crate::run) fn statements(
    layout: &Layout,
    image: &Digest,
) -> Result<Vec<(String, String)>, Lost> {
    let mut found = Vec::new();
    if !layout.is_there() {
        return Ok(found);
    }
    for about in layout.referrers(image)? {
        let manifest = layout.manifest(&about.digest, Some(&about.media_type))?;
        for blob in manifest.blobs() {
            let read = || layout.read(&blob.digest, blob.size);
            if blob.media_type == STATEMENT {
                let statement: Value = serde_json::from_slice(&read()?).unwrap_or_default();
                if let Some(kind) = statement["predicateType"].as_str() {
                    found.push((kind.to_owned(), statement["predicate"].to_string()));
                }
            } else if let Some(kind) = sbom::predicate(&blob.media_type) {
                let document = String::from_utf8_lossy(&read()?).into_owned();
                found.push((kind.to_owned(), document));
            }
        }
    }
    Ok(found)
}
