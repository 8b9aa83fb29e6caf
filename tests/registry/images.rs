//! Images that tests make without an engine, and what an independent program says of them. Knows no registry.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::oci::client::{Client, Insecure, Login};
use engine::oci::place::Place;
use engine::oci::{Descriptor, Layout, media};

use crate::support::{has_program, skip};

/// How long tests wait for a sign of life of a registry: `pipe` waits for fractions of it between tries.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes that compress badly and are the same every time.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn put(layout: &Layout, kind: &str, bytes: &[u8]) -> String {
    layout.put(bytes).unwrap();
    serde_json::to_string(&Descriptor::of(kind, bytes)).unwrap()
}

/// An image in a layout, with spaces and fields that nobody else would write. Its layers are of these lengths.
pub fn image(layout: &Layout, seed: u64, layers: &[usize]) -> Descriptor {
    made(layout, seed, layers, "")
}

/// One that says that it was made so many days ago.
pub fn aged(layout: &Layout, seed: u64, days: i64) -> Descriptor {
    let made_at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    made(layout, seed, &[1000], &format!(r#","created":"{made_at}""#))
}

fn made(layout: &Layout, seed: u64, layers: &[usize], more: &str) -> Descriptor {
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"seed":{seed}{more}}}"#
    );
    let config = put(
        layout,
        "application/vnd.oci.image.config.v1+json",
        config.as_bytes(),
    );
    let layers: Vec<String> = layers
        .iter()
        .zip(seed..)
        .map(|(length, seed)| {
            let kind = "application/vnd.oci.image.layer.v1.tar";
            put(layout, kind, &noise(seed, *length))
        })
        .collect();
    let text = format!(
        "{{\n\t\"schemaVersion\" :  2 ,\"mediaType\":\"{}\",\n \"x-unknown\": [1.0, 1e2],\"config\":{config} ,\"layers\":[{}]}}\n\n",
        media::MANIFEST,
        layers.join(" ,")
    );
    layout.put(text.as_bytes()).unwrap();
    Descriptor::of(media::MANIFEST, text.as_bytes())
}

/// An index of images.
pub fn index(layout: &Layout, images: &[Descriptor]) -> Descriptor {
    let listed: Vec<String> = images
        .iter()
        .zip(["amd64", "arm64", "riscv64"])
        .map(|(image, machine)| {
            let mut image = image.clone();
            image.platform = Some(serde_json::json!({"os": "linux", "architecture": machine}));
            serde_json::to_string(&image).unwrap()
        })
        .collect();
    let text = format!(
        "{{ \"manifests\" : [{}],\n\n  \"schemaVersion\":2, \"mediaType\":\"{}\" }}",
        listed.join(","),
        media::INDEX
    );
    layout.put(text.as_bytes()).unwrap();
    Descriptor::of(media::INDEX, text.as_bytes())
}

/// Something that is about an image.
pub fn about(layout: &Layout, subject: &Descriptor, kind: &str) -> Descriptor {
    let empty = put(layout, media::EMPTY, b"{}");
    let content = put(layout, "text/plain", kind.as_bytes());
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","artifactType":"{kind}","config":{empty},"layers":[{content}],"subject":{}}}"#,
        media::MANIFEST,
        serde_json::to_string(subject).unwrap()
    );
    layout.put(text.as_bytes()).unwrap();
    let about = Descriptor::of(media::MANIFEST, text.as_bytes());
    layout.list(&about).unwrap();
    about
}

/// A layout as a place.
pub fn folder(layout: &Layout) -> Place {
    Place::Folder(layout.clone(), layout.root().display().to_string())
}

/// What asks registries in tests.
pub fn client() -> Client {
    Client::new(PATIENCE, Insecure::default())
}

/// A repository of a registry, asked by nobody in particular.
pub fn at(host: &str, name: &str) -> Place {
    with(host, name, Login::default())
}

/// A repository of a registry, asked by somebody.
pub fn with(host: &str, name: &str, login: Login) -> Place {
    let registry = client().registry(host, login).unwrap();
    Place::Repository(Arc::clone(&registry).repository(name))
}

/// Waits for an answer.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(answer)
}

/// What skopeo says; `None`, said loudly, where it is not installed.
#[track_caller]
pub fn skopeo(args: &[&str]) -> Option<Vec<u8>> {
    if !has_program("skopeo") {
        skip("there is no skopeo; `tests/setup-registry.sh` installs it");
        return None;
    }
    let out = Command::new("skopeo")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "skopeo {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Some(out.stdout)
}

/// The digest that skopeo computes of what a reference stands for.
#[track_caller]
pub fn digest_by_skopeo(reference: &str) -> Option<String> {
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", reference])?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest");
    std::fs::write(&file, raw).unwrap();
    let digest = skopeo(&["manifest-digest", &file.display().to_string()])?;
    Some(String::from_utf8(digest).unwrap().trim().to_owned())
}

/// A layout in a folder of its own.
pub fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::at(Path::new(folder.path()));
    (folder, layout)
}

/// Digests replaced by the number of their first appearance.
pub fn numbered(text: &str) -> String {
    let (mut seen, mut out): (Vec<&str>, String) = (Vec::new(), String::new());
    for (at, part) in text.split("sha256:").enumerate() {
        let hex = part
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(part.len());
        if at == 0 || hex < 12 {
            out += if at == 0 { "" } else { "sha256:" };
            out += part;
            continue;
        }
        let digest = &part[..12];
        let number = seen.iter().position(|s| *s == digest).unwrap_or_else(|| {
            seen.push(digest);
            seen.len() - 1
        });
        let length = if hex > 12 { "whole" } else { "short" };
        let _ = write!(out, "sha256:[{length} {number}]{}", &part[hex..]);
    }
    out
}
