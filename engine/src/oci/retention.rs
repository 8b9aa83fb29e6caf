//! What of a repository is old and wanted by nobody. Knows no targets: whoever asks says what they run.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;

use super::place::{Failed, Place};
use super::{Digest, Manifest};

/// How many tags are asked for at once.
const AT_ONCE: usize = 8;

/// A tag, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The tag.
    pub tag: String,
    /// What it stands for.
    pub digest: Digest,
    /// How long ago the image was made, where it says so.
    pub age: Option<Duration>,
    /// Why it stays; none where it goes.
    pub stays: Option<Stays>,
}

/// Why a tag stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stays {
    /// It is not old.
    Young,
    /// It does not say how old it is.
    Ageless,
    /// Somebody wants it.
    Wanted(String),
}

/// Judges all tags of a repository. `wanted` says of images who wants them; what is older than `keep` and wanted by nobody
/// goes. An image is as old as it says it is: registries do not tell when a tag was pushed.
///
/// # Errors
/// When the place does not answer.
pub async fn look(
    place: &Place,
    keep: Duration,
    now: Timestamp,
    wanted: &BTreeMap<Digest, String>,
) -> Result<Vec<Judged>, Failed> {
    let mut tags = place.tags().await?;
    tags.retain(|tag| !is_beside(tag));
    tags.sort();
    let mut judged = Vec::new();
    for tags in tags.chunks(AT_ONCE) {
        let asked = tags.iter().map(|tag| judge(place, tag, keep, now, wanted));
        for one in join_all(asked).await {
            judged.extend(one?);
        }
    }
    Ok(judged)
}

async fn judge(
    place: &Place,
    tag: &str,
    keep: Duration,
    now: Timestamp,
    wanted: &BTreeMap<Digest, String>,
) -> Result<Option<Judged>, Failed> {
    // Somebody else may be faster.
    let Some(manifest) = place.resolve(tag).await? else {
        return Ok(None);
    };
    let parts = manifest.manifests().iter().map(|m| m.digest);
    let wanted = parts
        .chain([manifest.digest()])
        .find_map(|d| wanted.get(&d));
    let age = made(place, &manifest).await?.map(|made| {
        let age = now.duration_since(made);
        Duration::try_from(age).unwrap_or_default()
    });
    let stays = match (wanted, age) {
        (Some(who), _) => Some(Stays::Wanted(who.clone())),
        (None, None) => Some(Stays::Ageless),
        (None, Some(age)) if age <= keep => Some(Stays::Young),
        (None, Some(_)) => None,
    };
    Ok(Some(Judged {
        tag: tag.to_owned(),
        digest: manifest.digest(),
        age,
        stays,
    }))
}

/// The images of a repository that have a label with this value, each once, whatever tags it has.
///
/// # Errors
/// When the place does not answer.
pub async fn labelled(place: &Place, label: &str, value: &str) -> Result<Vec<Manifest>, Failed> {
    let mut tags = place.tags().await?;
    tags.retain(|tag| !is_beside(tag));
    tags.sort();
    let mut found: Vec<Manifest> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for tags in tags.chunks(AT_ONCE) {
        let asked = tags.iter().map(|tag| place.resolve(tag));
        for manifest in join_all(asked).await {
            let Some(manifest) = manifest? else { continue };
            if !seen.insert(manifest.digest()) {
                continue;
            }
            let configs = configs(place, &manifest).await?;
            let has = |c: &Value| c["config"]["Labels"][label] == value;
            if !configs.is_empty() && configs.iter().all(has) {
                found.push(manifest);
            }
        }
    }
    Ok(found)
}

/// When an image says that it was made: its youngest part counts.
async fn made(place: &Place, manifest: &Manifest) -> Result<Option<Timestamp>, Failed> {
    let mut youngest = None;
    for document in configs(place, manifest).await? {
        let labels = &document["config"]["Labels"];
        let said = [
            &document["created"],
            &labels["org.opencontainers.image.created"],
        ];
        let times = said.iter().filter_map(|t| t.as_str()?.parse().ok());
        youngest = times.filter(is_a_time).chain(youngest).max();
    }
    Ok(youngest)
}

/// What an image, or each image of an index, says of itself.
async fn configs(place: &Place, manifest: &Manifest) -> Result<Vec<Value>, Failed> {
    let mut named = Vec::new();
    for part in manifest.manifests() {
        if let Some(part) = place.manifest(&part.digest).await? {
            named.extend(part.config().cloned());
        }
    }
    named.extend(manifest.config().cloned());
    let mut read = Vec::new();
    for config in named {
        match place.blob(&config).await {
            Ok(bytes) => read.push(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(Failed::Registry(e)) if e.is_missing() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(read)
}

/// Whether a time means something: builders that make the same image every time write the beginning of all time.
fn is_a_time(time: &Timestamp) -> bool {
    const YEARS: i64 = 20 * 365 * 86_400;
    time.as_second() > YEARS
}

/// Whether a tag is that of something about another image, which goes with that one.
fn is_beside(tag: &str) -> bool {
    let hex = tag.strip_prefix("sha256-").and_then(|t| t.get(..64));
    hex.is_some_and(|h| format!("sha256:{h}").parse::<Digest>().is_ok())
}
