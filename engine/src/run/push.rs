//! `push`: images into a registry, under tags. Nothing is built and nothing changes its digest on the way.

use dsl::units::show_size;
use tokio::sync::mpsc;

use super::outcome::{Failure, Means};
use super::registries::Reached;
use super::task::{Outputs, Try, image_output};
use super::work::NotDone;
use crate::oci::copy::{Copied, Journey, Told, copy};
use crate::oci::place::{Failed, Place, Was};
use crate::oci::{Digest, Known, Layout};

/// From this size on a content is told of when it begins to travel, in bytes.
const LARGE: u64 = 32 << 20;

/// What is pushed, with every value put in.
#[derive(Debug, Clone)]
pub(super) struct Push {
    /// The images: their names in the pipeline, their repositories, their digests.
    pub(super) images: Vec<(String, String, Digest)>,
    /// The registry.
    pub(super) to: Reached,
    /// The tags.
    pub(super) tags: Vec<String>,
    /// Where the images are.
    pub(super) from: Layout,
}

/// Pushes the images.
///
/// # Errors
/// Why not, and what is there all the same.
pub(super) async fn run(push: &Push, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let from = Place::Folder(push.from.clone(), "the images that pipe made".to_owned());
    let mut outputs = Outputs::new();
    let mut before: Option<Place> = None;
    let mut places = Vec::new();
    for (image, repository, digest) in &push.images {
        let place = push.to.place(repository);
        let place = place.map_err(|e| NotDone::NotBegun(Failure::new(e.to_string())))?;
        // Of several images none is sent where one may not get its tag.
        for tag in &push.tags {
            let may = place.may_tag(digest, tag, push.to.moves);
            let may = a_try.wait(may).await?;
            may.map_err(|e| failure(image, &e, &[]))?;
        }
        places.push(place);
    }
    let known = Known::beside(&push.from);
    for ((image, _, digest), place) in push.images.iter().zip(places) {
        let mount = before.as_ref().and_then(|b| b.mount_for(&place));
        let journey = Journey {
            from: &from,
            to: &place,
            digest: *digest,
            tags: &push.tags,
            moves: push.to.moves,
            mount,
            known: Some(&known),
        };
        travel(image, &journey, a_try).await?;
        let reference = place.by_digest(digest);
        if push.images.len() == 1 {
            outputs.insert("digest".to_owned(), digest.to_string());
            outputs.insert("reference".to_owned(), reference.clone());
        }
        outputs.insert(image_output(image, true), digest.to_string());
        outputs.insert(image_output(image, false), reference);
        before = Some(place);
    }
    Ok(outputs)
}

/// Brings one image to its place, and says in the log what happens.
pub(super) async fn travel(
    image: &str,
    journey: &Journey<'_>,
    a_try: &mut Try<'_>,
) -> Result<Copied, NotDone> {
    enum Next {
        Line(String),
        End(Result<Copied, Failed>),
    }
    let (lines, mut said) = mpsc::unbounded_channel();
    let (tagged, mut tags) = mpsc::unbounded_channel();
    let tell = |told: Told<'_>| match told {
        Told::Begins(blob) if blob.size >= LARGE => {
            // Whoever listens is there until the end.
            let _ = lines.send(format!(
                "{} ({})",
                blob.digest.short(),
                show_size(blob.size)
            ));
        }
        Told::Begins(_) => {}
        Told::Tagged(tag) => {
            let _ = tagged.send(tag.to_owned());
        }
    };
    let mut copying = Box::pin(copy(journey, &tell));
    let copied = loop {
        let next = async {
            tokio::select! {
                biased;
                Some(line) = said.recv() => Next::Line(line),
                end = &mut copying => Next::End(end),
            }
        };
        match a_try.wait(next).await? {
            Next::Line(line) => a_try.say(line).await,
            Next::End(Ok(copied)) => break copied,
            Next::End(Err(error)) => {
                let done: Vec<String> = std::iter::from_fn(|| tags.try_recv().ok()).collect();
                return Err(failure(image, &error, &done).into());
            }
        }
    };
    for line in told(image, journey, &copied) {
        a_try.say(line).await;
    }
    Ok(copied)
}

fn told(image: &str, journey: &Journey<'_>, copied: &Copied) -> Vec<String> {
    let Copied {
        sent,
        bytes,
        there,
        mounted,
        ..
    } = copied;
    let mut parts = Vec::new();
    if *sent > 0 {
        parts.push(format!("{sent} sent ({})", show_size(*bytes)));
    }
    if *mounted > 0 {
        parts.push(format!("{mounted} mounted from another repository"));
    }
    if *there > 0 {
        parts.push(format!("{there} there already"));
    }
    let platforms = match copied.images {
        0 | 1 => String::new(),
        n => format!(" for {n} platforms"),
    };
    let about = match copied.about {
        0 => String::new(),
        n => format!(
            "; with {n} signed or attested {}",
            if n == 1 { "document" } else { "documents" }
        ),
    };
    let mut lines = vec![format!(
        "{image}{platforms}: contents {}{about}",
        parts.join(", ")
    )];
    for (tag, was) in &copied.tags {
        let named = journey.to.named(tag);
        lines.push(match was {
            Was::Nothing => named,
            Was::Same => format!("{named} is this image already"),
            Was::Other(other) => format!("{named}, which was {}", other.short()),
        });
    }
    lines.push(format!("pushed {}", journey.to.by_digest(&journey.digest)));
    lines
}

/// Why an image is not where it should be, and which tags have moved all the same.
fn failure(image: &str, error: &Failed, tagged: &[String]) -> Failure {
    let state = match (error.is_refusal(), tagged) {
        (true, _) => "nothing was sent".to_owned(),
        (false, []) => "no tag has moved".to_owned(),
        (false, tags) => format!("{} has moved already", tags.join(", ")),
    };
    not_moved(format!("{image} is not pushed: {error}; {state}"), error)
}

/// A failure of a place for images: forbidden by it, or that it does not do its part.
pub(super) fn not_moved(what: String, error: &Failed) -> Failure {
    let means = match error.is_refusal() {
        true => Means::Refused,
        false => Means::Infrastructure,
    };
    Failure::new(what).help(error.help()).means(means)
}
