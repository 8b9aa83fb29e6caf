//! Images that `pipe` built and named in an engine: found by their names, removed where nothing uses them. Knows no
//! registries: what is needed again is in `pipe`'s own store, or is built again.

use std::time::Duration;

use bollard::query_parameters::{ListImagesOptions, RemoveImageOptions};

use super::{Engine, Trouble};
use crate::oci::Digest;

/// An image of an engine that `pipe` named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name there.
    pub name: String,
    /// How long ago it was made.
    pub age: Duration,
    /// Its size in bytes; what it shares with others is counted too.
    pub size: u64,
}

impl Engine {
    /// The images that `pipe` named, oldest first. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn named_images(&self, now: i64) -> Result<Vec<Named>, Trouble> {
        let options = ListImagesOptions::default();
        let listing = self.docker.list_images(Some(options));
        let images = self.ask("the images cannot be listed", listing).await?;
        let mut named: Vec<Named> = images
            .into_iter()
            .flat_map(|image| {
                let age = u64::try_from(now - image.created).unwrap_or_default();
                let size = u64::try_from(image.size).unwrap_or_default();
                let own = image.repo_tags.into_iter().filter(|t| is_ours(t));
                own.map(move |name| Named {
                    name,
                    age: Duration::from_secs(age),
                    size,
                })
            })
            .collect();
        named.sort_by_key(|n| (std::cmp::Reverse(n.age), n.name.clone()));
        Ok(named)
    }

    /// Removes a name of an image, and the image with its last name; says whether it did. One that a container uses stays.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn remove_named(&self, name: &str) -> Result<bool, Trouble> {
        let options = RemoveImageOptions::default();
        let what = format!("{name} cannot be removed");
        let removing = async {
            match self.docker.remove_image(name, Some(options), None).await {
                Ok(_) => Ok(true),
                Err(bollard::errors::Error::DockerResponseServerError {
                    status_code: 404 | 409,
                    ..
                }) => Ok(false),
                Err(e) => Err(e),
            }
        };
        self.ask(&what, removing).await
    }
}

/// `localhost/NAME:sha256-…`, which nobody else writes.
fn is_ours(name: &str) -> bool {
    let tag = name
        .strip_prefix("localhost/")
        .and_then(|n| n.rsplit_once(':'))
        .and_then(|(_, tag)| tag.strip_prefix("sha256-"));
    tag.is_some_and(|hex| format!("sha256:{hex}").parse::<Digest>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_names_that_say_what_the_image_is_are_ours() {
        let hex = "0".repeat(64);
        assert!(is_ours(&format!("localhost/app:sha256-{hex}")));
        for other in [
            "localhost/app:latest".to_owned(),
            format!("localhost/app:sha256-{}", &hex[1..]),
            format!("ghcr.io/app:sha256-{hex}"),
            format!("app:sha256-{hex}"),
        ] {
            assert!(!is_ours(&other), "{other}");
        }
    }
}
