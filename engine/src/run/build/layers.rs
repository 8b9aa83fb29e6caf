//! Layers that are kept in a registry for the next build, where the builder cannot write them there itself: the image says
//! what its layers were made of, and is pushed under a tag of its own. What fails here changes no result.

use super::super::task::Try;
use super::super::work::NotDone;
use super::Build;
use crate::oci::copy::{Journey, copy};
use crate::oci::{Known, Manifest, Place};

/// The tag beside the image.
pub(super) const LAYERS: &str = "layers";

/// A repository in which layers are kept.
#[derive(Debug, Clone)]
pub(in crate::run) struct Layers {
    /// As a builder is told of it.
    pub(in crate::run) repository: String,
    /// Where it is; none where this run may not write there.
    pub(in crate::run) place: Option<Place>,
}

/// Puts the image where the next build looks for its layers.
///
/// # Errors
/// When the step is to end.
pub(super) async fn keep(
    build: &Build,
    image: &Manifest,
    a_try: &mut Try<'_>,
) -> Result<(), NotDone> {
    let from = Place::Folder(a_try.site.images.clone(), "the image".to_owned());
    let known = Known::beside(&a_try.site.images);
    for layers in &build.layers {
        let Some(place) = &layers.place else { continue };
        let tags = [LAYERS.to_owned()];
        let journey = Journey {
            from: &from,
            to: place,
            digest: image.digest(),
            tags: &tags,
            moves: true,
            mount: None,
            known: Some(&known),
        };
        match a_try.wait(copy(&journey, &|_| {})).await? {
            Ok(_) => {
                let line = format!("layers are kept in {}", place.named(LAYERS));
                a_try.say(line).await;
            }
            Err(error) => {
                let text = format!("{}: layers are not kept: {error}", a_try.work.name);
                a_try.warn(text).await;
            }
        }
    }
    Ok(())
}
