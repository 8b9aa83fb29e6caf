//! `promote` from registry to registry: the images that this run pushed, or that the source has of this commit, are copied
//! by digest, all or none of them begun. What has to hold before is known in `promote`.

use super::outcome::{Failure, Means};
use super::push::travel;
use super::registries::Reached;
use super::task::{Outputs, Try, image_output};
use super::work::NotDone;
use crate::oci::copy::Journey;
use crate::oci::place::{Failed, Place};
use crate::oci::{Digest, Manifest, retention};

/// The label with the commit from which an image was built.
const COMMIT: &str = "org.opencontainers.image.revision";

/// A promotion from registry to registry.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    /// The rule.
    pub(super) rule: String,
    /// The source and the destination: their names, and how they are reached.
    pub(super) from: (String, Reached),
    pub(super) to: (String, Reached),
    /// The images: their names, their repositories, their digests where this run pushed them.
    pub(super) images: Vec<(String, String, Option<Digest>)>,
    /// The tags that they get.
    pub(super) tags: Vec<String>,
    /// The commit of the run.
    pub(super) commit: Option<String>,
}

/// Moves the images.
///
/// # Errors
/// Why not, and what has moved all the same.
pub(super) async fn run(transfer: &Transfer, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let refused = |e: String| NotDone::NotBegun(Failure::new(e).means(Means::Refused));
    let mut moves = Vec::new();
    for (image, repository, digest) in &transfer.images {
        let place = |reached: &Reached| {
            reached
                .place(repository)
                .map_err(|e| refused(e.to_string()))
        };
        let (from, to) = (place(&transfer.from.1)?, place(&transfer.to.1)?);
        let digest = match digest {
            Some(digest) => *digest,
            None => {
                let found = a_try.wait(of_commit(transfer, image, &from)).await?;
                found.map_err(NotDone::NotBegun)?
            }
        };
        // Of several images none moves where one may not get its tag.
        for tag in &transfer.tags {
            let may = a_try
                .wait(to.may_tag(&digest, tag, transfer.to.1.moves))
                .await?;
            may.map_err(|e| NotDone::NotBegun(failure(transfer, image, &e)))?;
        }
        moves.push((image, from, to, digest));
    }
    let mut outputs = Outputs::new();
    for (image, from, to, digest) in &moves {
        let journey = Journey {
            from,
            to,
            digest: *digest,
            tags: &transfer.tags,
            moves: transfer.to.1.moves,
            mount: None,
        };
        travel(image, &journey, a_try).await?;
        outputs.insert(image_output(image, true), digest.to_string());
        outputs.insert(image_output(image, false), to.by_digest(digest));
    }
    Ok(outputs)
}

/// The one image that a repository has of the run's commit. Never the newest, never guessed.
async fn of_commit(transfer: &Transfer, image: &str, from: &Place) -> Result<Digest, Failure> {
    let refused = |what: String, help: &str| Failure::new(what).help(help).means(Means::Refused);
    let source = &transfer.from.0;
    let Some(commit) = &transfer.commit else {
        return Err(refused(
            format!(
                "{image} is not promoted: this run is for no commit, so nobody knows which image of {source} is meant"
            ),
            "run it in the repository, at the commit that was pushed",
        ));
    };
    let found = retention::labelled(from, COMMIT, commit).await;
    let found = found.map_err(|e| failure(transfer, image, &e))?;
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

fn failure(transfer: &Transfer, image: &str, error: &Failed) -> Failure {
    let (rule, to) = (&transfer.rule, &transfer.to.0);
    let means = match error.is_refusal() {
        true => Means::Refused,
        false => Means::Infrastructure,
    };
    let what = format!("{image} is not promoted to {to} by {rule}: {error}; nothing has moved");
    Failure::new(what).help(error.help()).means(means)
}
