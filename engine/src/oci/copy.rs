//! Images that travel: an image, or an index with all its images, with what is about them, from place to place. Their
//! digests stay, because their bytes do; a tag moves when everything that it leads to is there.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

use super::client::Took;
use super::place::{Failed, Place, Was, beside};
use super::{Descriptor, Digest, Known, Manifest, media};

/// How many contents travel at once.
const AT_ONCE: usize = 4;
/// How deep an index may stand in an index, and what is about something in what is about something.
const DEEPEST: usize = 8;
/// What is to travel, and where.
#[derive(Debug)]
pub struct Journey<'a> {
    /// Where it is.
    pub from: &'a Place,
    /// Where it goes.
    pub to: &'a Place,
    /// The image, or the index.
    pub digest: Digest,
    /// Its tags there.
    pub tags: &'a [String],
    /// Whether a tag there may move from another image to this one.
    pub moves: bool,
    /// A repository of the registry there that may have the same contents.
    pub mount: Option<&'a str>,
    /// What is remembered of registries.
    pub known: Option<&'a Known>,
}

/// What travelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Contents that were sent.
    pub sent: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Contents that were there.
    pub there: usize,
    /// Contents that another repository of the same registry had.
    pub mounted: usize,
    /// How many images there are, one for each platform.
    pub images: usize,
    /// What is about them: signatures, SBOMs and the like.
    pub about: usize,
    /// The tags, and what they stood for.
    pub tags: Vec<(String, Was)>,
}

/// What is told on the way.
#[derive(Debug, Clone, Copy)]
pub enum Told<'a> {
    /// A content begins to travel.
    Begins(&'a Descriptor),
    /// A tag stands for the image.
    Tagged(&'a str),
}

/// Brings an image to a place.
///
/// # Errors
/// When a tag is taken and may not move: then nothing was sent. When a place does not answer: what was sent stays, and is
/// not sent again.
pub async fn copy(
    journey: &Journey<'_>,
    tell: &(dyn Fn(Told<'_>) + Sync),
) -> Result<Copied, Failed> {
    for tag in journey.tags {
        let may = journey.to.may_tag(&journey.digest, tag, journey.moves);
        may.await?;
    }
    let travel = Travel {
        journey,
        tell,
        copied: Mutex::default(),
    };
    let root = travel.manifest(&journey.digest, 0).await?;
    travel.about(&root, 0).await?;
    let mut copied = travel
        .copied
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    for tag in journey.tags {
        let was = journey.to.tag(&root, tag, journey.moves).await?;
        tell(Told::Tagged(tag));
        copied.tags.push((tag.clone(), was));
    }
    Ok(copied)
}

struct Travel<'a> {
    journey: &'a Journey<'a>,
    tell: &'a (dyn Fn(Told<'_>) + Sync),
    copied: Mutex<Copied>,
}

impl Travel<'_> {
    fn count(&self, change: impl FnOnce(&mut Copied)) {
        change(&mut self.copied.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Brings a manifest with everything that it names, which comes first.
    async fn manifest(&self, digest: &Digest, depth: usize) -> Result<Manifest, Failed> {
        let Journey { from, to, .. } = self.journey;
        let missing = || Failed::Missing {
            what: format!("the image {digest}"),
            place: from.to_string(),
        };
        let manifest = from.manifest(digest).await?.ok_or_else(missing)?;
        for child in manifest.manifests() {
            if depth >= DEEPEST {
                return Err(missing());
            }
            Box::pin(self.manifest(&child.digest, depth + 1)).await?;
        }
        // A registry takes a manifest only with everything that it names; of a folder nobody knows what happened to it.
        let whole = matches!(to, Place::Repository(_)) && to.manifest(digest).await?.is_some();
        if !media::is_index(manifest.media_type()) {
            self.count(|c| c.images += 1);
            if whole {
                self.count(|c| c.there += manifest.blobs().count());
            } else {
                self.blobs(&manifest).await?;
            }
        }
        if !whole {
            to.put(&manifest).await?;
        }
        Ok(manifest)
    }

    async fn blobs(&self, manifest: &Manifest) -> Result<(), Failed> {
        let Journey {
            from, to, mount, ..
        } = self.journey;
        let near = mount.or(from.mount_for(to));
        let known = self.journey.known.zip(to.repository());
        let seen = known.map_or_else(BTreeMap::new, |(known, to)| known.of(to.registry().host()));
        let elsewhere = |blob: &Descriptor| {
            let seen = seen.get(&blob.digest).map(String::as_str);
            seen.filter(|name| to.repository().is_some_and(|to| to.name() != *name))
        };
        let mut blobs = manifest
            .blobs()
            .filter(|b| !media::is_foreign(&b.media_type));
        let mut travelling = FuturesUnordered::new();
        let mut new = Vec::new();
        loop {
            while travelling.len() < AT_ONCE
                && let Some(blob) = blobs.next()
            {
                travelling.push(self.blob(blob, near.or_else(|| elsewhere(blob))));
            }
            match travelling.next().await {
                // What had to be sent is not where it was seen any more.
                Some(arrived) => match arrived? {
                    (digest, took) if took == Took::Bytes || !seen.contains_key(&digest) => {
                        new.push(digest);
                    }
                    _ => {}
                },
                None => break,
            }
        }
        if let Some((known, to)) = known {
            known.add(to.registry().host(), to.name(), &new);
        }
        Ok(())
    }

    async fn blob(&self, blob: &Descriptor, mount: Option<&str>) -> Result<(Digest, Took), Failed> {
        let Journey { from, to, .. } = self.journey;
        (self.tell)(Told::Begins(blob));
        let took = to.take(blob, from, mount).await?;
        self.count(|c| match took {
            Took::Nothing => c.there += 1,
            Took::Mount => c.mounted += 1,
            Took::Bytes => {
                c.sent += 1;
                c.bytes += blob.size;
            }
        });
        Ok((blob.digest, took))
    }

    /// Brings what is about a manifest and about the images in it.
    async fn about(&self, manifest: &Manifest, depth: usize) -> Result<(), Failed> {
        let Journey { from, to, .. } = self.journey;
        let own = manifest.digest();
        let subjects = manifest.manifests().iter().map(|m| m.digest);
        for subject in subjects.chain([own]) {
            for referrer in from.referrers(&subject).await? {
                if depth >= DEEPEST {
                    continue;
                }
                let images = self.images();
                let about = self.manifest(&referrer.digest, depth + 1).await?;
                self.count(|c| {
                    c.images = images;
                    c.about += 1;
                });
                // A folder lists it when it is put; one that was there already is listed now.
                to.put(&about).await?;
                Box::pin(self.about(&about, depth + 1)).await?;
            }
        }
        if depth > 0 {
            return Ok(());
        }
        // The list of a registry that keeps none itself is made anew; the others are what `cosign` writes.
        let [_, tags @ ..] = beside(&own);
        let found = tags.each_ref().map(|tag| from.resolve(tag));
        for (tag, found) in tags.iter().zip(join_all(found).await) {
            let Some(found) = found? else { continue };
            let images = self.images();
            self.manifest(&found.digest(), 1).await?;
            // More signatures may come: this tag moves in every registry.
            to.tag(&found, tag, true).await?;
            self.count(|c| {
                c.images = images;
                c.about += 1;
            });
        }
        Ok(())
    }

    fn images(&self) -> usize {
        self.copied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .images
    }
}
