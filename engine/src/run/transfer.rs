//! `promote` from registry to registry: the images that this run pushed, or that the source has of this commit, are copied
//! by digest, all or none of them begun. What has to hold before is known in `promote`.

use std::collections::BTreeMap;

use dsl::model::{Pipeline, Promotion};

use super::after::Releasing;
use super::gate::{self, Between};
use super::outcome::{Failure, Means};
use super::push::{not_moved, travel};
use super::registries::{self, Reached};
use super::task::{Outputs, Try, image_output};
use super::work::NotDone;
use crate::ledger::{Bundle, ImageAt};
use crate::oci::copy::Journey;
use crate::oci::place::{Failed, Place};
use crate::oci::{Digest, Known, Manifest, retention};

/// The label with the commit from which an image was built.
const COMMIT: &str = "org.opencontainers.image.revision";

/// A promotion from registry to registry.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    /// The rule.
    pub(super) rule: String,
    /// What has to hold before.
    pub(super) gate: Between,
    /// The source: its name, and how it is reached.
    pub(super) from: (String, Reached),
    /// The destination, and after it the other registries that get tags.
    pub(super) to: Vec<Destination>,
    /// The images: their names, their repositories, their digests where this run pushed them.
    pub(super) images: Vec<(String, String, Option<Digest>)>,
    /// What is remembered of registries.
    pub(super) known: Known,
    /// The commit of the run.
    pub(super) commit: Option<String>,
    /// The release that is made when all have moved.
    pub(super) release: Option<Releasing>,
}

/// A registry to which images move.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// Its name.
    pub(super) name: String,
    /// How it is reached.
    pub(super) at: Reached,
    /// The tags that they get there.
    pub(super) tags: Vec<String>,
}

/// Moves the images.
///
/// # Errors
/// Why not, and what has moved all the same.
pub(super) async fn run(transfer: &Transfer, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let mut found = Vec::new();
    for (image, repository, digest) in &transfer.images {
        let from = place(&transfer.from.1, repository)?;
        let digest = match digest {
            Some(digest) => *digest,
            None => {
                let commit = transfer.commit.as_deref();
                let asking = of_commit(&transfer.from.0, commit, image, &from);
                a_try.wait(asking).await?.map_err(NotDone::NotBegun)?
            }
        };
        found.push((image, repository, from, digest));
    }
    let moved = found.iter();
    let moved = moved.map(|(image, _, _, digest)| ((*image).clone(), by_digest(digest)));
    let (moved, commit) = (moved.collect(), transfer.commit.as_deref());
    transfer.gate.holds(moved, commit, a_try).await?;
    let mut moves = Vec::new();
    for (image, repository, from, digest) in &found {
        for destination in &transfer.to {
            let to = place(&destination.at, repository)?;
            // Of several images none moves where one may not get its tag.
            for tag in &destination.tags {
                let may = to.may_tag(digest, tag, destination.at.moves);
                let may = a_try.wait(may).await?;
                may.map_err(|e| {
                    let way = format!("to {} by {}", destination.name, transfer.rule);
                    NotDone::NotBegun(failure(image, &way, &e))
                })?;
            }
            moves.push((*image, from, destination, to, *digest));
        }
    }
    let release = match &transfer.release {
        Some(release) => {
            let bundle = Bundle {
                commit: transfer.commit.clone().unwrap_or_default(),
                ..Bundle::default()
            };
            release.prepare(&bundle, a_try).await?
        }
        None => None,
    };
    let mut outputs = Outputs::new();
    for (image, from, destination, to, digest) in &moves {
        let journey = Journey {
            from,
            to,
            digest: *digest,
            tags: &destination.tags,
            moves: destination.at.moves,
            mount: None,
            known: Some(&transfer.known),
        };
        travel(image, &journey, a_try).await?;
        let name = image_output(image, false);
        // The first one is where it is from now on.
        outputs.entry(name).or_insert_with(|| to.by_digest(digest));
        outputs.insert(image_output(image, true), digest.to_string());
    }
    if let (Some(release), Some(to)) = (release, transfer.to.first()) {
        let stays = format!("{} has what was promoted", to.name);
        outputs.extend(release.publish(&stays, a_try).await?);
    }
    Ok(outputs)
}

/// What a promotion from registry to registry would move: what an approval of it is bound to.
///
/// # Errors
/// When the source has not exactly one image of the commit.
pub async fn proven(
    pipeline: &Pipeline,
    rule: &Promotion,
    from: &Reached,
    commit: Option<&str>,
    config: &str,
) -> Result<Bundle, Failure> {
    let mut images = BTreeMap::new();
    for image in &rule.images {
        let name = &image.value;
        let place = from.place(registries::repository(pipeline, name));
        let place = place.map_err(|e| Failure::new(e.to_string()))?;
        let digest = of_commit(&rule.from.value, commit, name, &place).await?;
        images.insert(name.clone(), by_digest(&digest));
    }
    Ok(gate::moved(images, commit, config))
}

fn by_digest(digest: &Digest) -> ImageAt {
    ImageAt {
        repository: String::new(),
        digest: digest.to_string(),
    }
}

fn place(reached: &Reached, repository: &str) -> Result<Place, NotDone> {
    let place = reached.place(repository);
    place.map_err(|e| NotDone::NotBegun(Failure::new(e.to_string()).means(Means::Refused)))
}

/// The one image that a repository has of the run's commit. Never the newest, never guessed.
async fn of_commit(
    source: &str,
    commit: Option<&str>,
    image: &str,
    from: &Place,
) -> Result<Digest, Failure> {
    let refused = |what: String, help: &str| Failure::new(what).help(help).means(Means::Refused);
    let Some(commit) = commit else {
        return Err(refused(
            format!(
                "{image} is not promoted: this run is for no commit, so nobody knows which image of {source} is meant"
            ),
            "run it in the repository, at the commit that was pushed",
        ));
    };
    let found = retention::labelled(from, COMMIT, commit).await;
    let found = found.map_err(|e| failure(image, &format!("from {source}"), &e))?;
    let manifests: Vec<Digest> = found.iter().map(Manifest::digest).collect();
    match manifests[..] {
        [one] => Ok(one),
        [] => Err(refused(
            format!("{image} is not promoted: {source} has no image of the commit {commit}"),
            "push it there first; promote at the commit from which it was built",
        )),
        _ => {
            let all: Vec<String> = manifests.iter().map(Digest::short).collect();
            Err(refused(
                format!(
                    "{image} is not promoted: {source} has several images of the commit {commit}: {}",
                    all.join(", ")
                ),
                "take away the tags of those that are not meant, or promote in the run that pushes",
            ))
        }
    }
}

fn failure(image: &str, way: &str, error: &Failed) -> Failure {
    let what = format!("{image} is not promoted {way}: {error}; nothing has moved");
    not_moved(what, error)
}
