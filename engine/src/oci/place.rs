//! Where images are: a repository of a registry, or a layout in a folder, which then is a registry without a server. The
//! same can be asked of both. Knows no steps.

mod name;
mod store;

use std::fmt;
use std::path::PathBuf;

pub use name::{NoName, Prefix, check_repository, check_tag};

use super::client::{Repository, Took, Trouble, Why, fallback_tag};
use super::layout::{Lost, NotNamed};
use super::{Descriptor, Digest, Layout, Manifest};

/// A place for the manifests of one image.
#[derive(Debug, Clone)]
pub enum Place {
    /// A layout; how it is called for a person.
    Folder(Layout, String),
    /// A repository.
    Repository(Repository),
}

/// Why something could not be done at a place.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The registry did not do it.
    #[error("{0}")]
    Registry(#[from] Trouble),
    /// The folder did not do it.
    #[error("{0}")]
    Folder(#[from] Lost),
    /// It is not there.
    #[error("{what} is not in {place}")]
    Missing {
        /// What.
        what: String,
        /// Where.
        place: String,
    },
    /// The tag stands for something else, and may not move.
    #[error("the tag {tag} of {place} is {has} already, and may not move to {wanted}")]
    Taken {
        /// The tag.
        tag: String,
        /// Where.
        place: String,
        /// What it stands for.
        has: Digest,
        /// What it was to stand for.
        wanted: Digest,
    },
}

impl Failed {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Registry(trouble) => trouble.help(),
            Self::Folder(Lost::Io(..)) => {
                "check that the folder can be written and the disk is not full".to_owned()
            }
            Self::Folder(_) | Self::Missing { .. } => {
                "run what makes it again: `--refresh` does not take kept results".to_owned()
            }
            Self::Taken { .. } => {
                "the registry is `immutable=#true`: give the new image a tag of its own, such as \
                 `\"sha-${git.sha}\"`"
                    .to_owned()
            }
        }
    }

    /// Whether a rule forbade it, rather than something being broken.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }
}

/// What a tag stood for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Was {
    /// Nothing.
    Nothing,
    /// The same.
    Same,
    /// Another manifest.
    Other(Digest),
}

impl Place {
    /// How a person finds an image here.
    #[must_use]
    pub fn named(&self, tag: &str) -> String {
        format!("{self}:{tag}")
    }

    /// How a machine finds an image here, whatever happens to tags.
    #[must_use]
    pub fn by_digest(&self, digest: &Digest) -> String {
        format!("{self}@{digest}")
    }

    /// The repository, where it is one of a registry.
    pub(super) fn repository(&self) -> Option<&Repository> {
        match self {
            Self::Repository(repository) => Some(repository),
            Self::Folder(..) => None,
        }
    }

    /// The repository, where it is one of that registry.
    pub(crate) fn mount_for(&self, to: &Self) -> Option<&str> {
        match (self, to) {
            (Self::Repository(from), Self::Repository(to))
                if from.registry().host() == to.registry().host() && from.name() != to.name() =>
            {
                Some(from.name())
            }
            _ => None,
        }
    }

    /// What a tag stands for; `None` where there is no such tag.
    ///
    /// # Errors
    /// When the place does not answer.
    pub async fn resolve(&self, tag: &str) -> Result<Option<Manifest>, Failed> {
        match self {
            Self::Repository(repository) => Ok(repository.manifest(tag).await?),
            Self::Folder(layout, _) => match layout.resolve(tag)? {
                Some(named) => self.manifest(&named.digest).await,
                None => Ok(None),
            },
        }
    }

    /// A manifest by its digest; `None` where it is not there.
    ///
    /// # Errors
    /// When the place does not answer, or has something else.
    pub async fn manifest(&self, digest: &Digest) -> Result<Option<Manifest>, Failed> {
        match self {
            Self::Repository(repository) => Ok(repository.manifest(&digest.to_string()).await?),
            Self::Folder(layout, _) => match layout.manifest(digest, None) {
                Ok(manifest) => Ok(Some(manifest)),
                Err(Lost::Missing(_)) => Ok(None),
                Err(e) => Err(e.into()),
            },
        }
    }

    /// The manifests that are about another one.
    ///
    /// # Errors
    /// When the place does not answer.
    pub async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Failed> {
        match self {
            Self::Repository(repository) => Ok(repository.referrers(subject).await?),
            Self::Folder(layout, _) => Ok(layout.referrers(subject)?),
        }
    }

    /// All tags.
    ///
    /// # Errors
    /// When the place does not answer.
    pub async fn tags(&self) -> Result<Vec<String>, Failed> {
        match self {
            Self::Repository(repository) => Ok(repository.tags().await?),
            Self::Folder(layout, _) => Ok(layout.names()?.into_iter().map(|(n, _)| n).collect()),
        }
    }

    /// A short content, such as an image's configuration.
    ///
    /// # Errors
    /// When it is not there, or something else.
    pub async fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, Failed> {
        match self {
            Self::Repository(repository) => Ok(repository.blob(blob).await?),
            Self::Folder(layout, _) => Ok(layout.read(&blob.digest, blob.size)?),
        }
    }

    /// Makes a content that is elsewhere be here as well.
    ///
    /// # Errors
    /// When it is not there, or one of the places does not answer.
    pub async fn take(
        &self,
        blob: &Descriptor,
        from: &Self,
        mount: Option<&str>,
    ) -> Result<Took, Failed> {
        match (from, self) {
            (_, Self::Folder(to, _)) if to.size(&blob.digest) == Some(blob.size) => {
                Ok(Took::Nothing)
            }
            (Self::Folder(from, _), Self::Folder(to, _)) => {
                store::copy(from.clone(), to.clone(), blob.digest).await
            }
            (Self::Repository(from), Self::Folder(to, _)) => store::fetch(from, to, blob).await,
            (Self::Folder(from, _), Self::Repository(to)) => {
                let path: PathBuf = from.path(&blob.digest);
                let sent = to.upload(blob, path.as_path().into(), mount).await;
                match sent {
                    Err(Trouble {
                        why: Why::Here(_), ..
                    }) => {
                        // The content says what is wrong with it, and goes if it is damaged.
                        store::check(from.clone(), blob.digest).await?;
                        Ok(sent?)
                    }
                    sent => Ok(sent?),
                }
            }
            (Self::Repository(from), Self::Repository(to)) => {
                let own = mount.or(match to.registry().host() == from.registry().host() {
                    true => Some(from.name()),
                    false => None,
                });
                Ok(to.upload(blob, from.into(), own).await?)
            }
        }
    }

    /// Puts a manifest here, without a tag. What it names has to be here.
    ///
    /// # Errors
    /// When the place does not take it.
    pub async fn put(&self, manifest: &Manifest) -> Result<(), Failed> {
        match self {
            Self::Repository(repository) => Ok(repository.put_manifest(manifest, None).await?),
            Self::Folder(layout, _) => {
                layout.put(manifest.bytes())?;
                match manifest.subject() {
                    Some(_) => Ok(layout.list(&manifest.descriptor())?),
                    None => Ok(()),
                }
            }
        }
    }

    /// What a tag stands for, against what it is to stand for.
    ///
    /// # Errors
    /// When it stands for something else and may not move, or the place does not answer.
    pub async fn may_tag(&self, digest: &Digest, tag: &str, moves: bool) -> Result<Was, Failed> {
        let has = match self {
            Self::Repository(_) => self.resolve(tag).await?.map(|m| m.digest()),
            Self::Folder(layout, _) => layout.resolve(tag)?.map(|d| d.digest),
        };
        match has {
            None => Ok(Was::Nothing),
            Some(has) if has == *digest => Ok(Was::Same),
            Some(has) if moves => Ok(Was::Other(has)),
            Some(has) => Err(self.taken(tag, has, *digest)),
        }
    }

    /// Makes a tag stand for a manifest that is here; says what it stood for.
    ///
    /// # Errors
    /// When it stands for something else and may not move, or the place does not answer.
    pub async fn tag(&self, manifest: &Manifest, tag: &str, moves: bool) -> Result<Was, Failed> {
        match self {
            Self::Repository(repository) => {
                let was = self.may_tag(&manifest.digest(), tag, moves).await?;
                if was != Was::Same {
                    repository.put_manifest(manifest, Some(tag)).await?;
                }
                Ok(was)
            }
            Self::Folder(layout, _) => {
                let digest = manifest.digest();
                match layout.name(tag, &manifest.descriptor(), moves) {
                    Ok(None) => Ok(Was::Nothing),
                    Ok(Some(same)) if same == digest => Ok(Was::Same),
                    Ok(Some(other)) => Ok(Was::Other(other)),
                    Err(NotNamed::Taken(has)) => Err(self.taken(tag, has, digest)),
                    Err(NotNamed::Lost(e)) => Err(e.into()),
                }
            }
        }
    }

    /// Removes an image with its tags and what is about it; what other images need stays.
    ///
    /// # Errors
    /// When the place does not do it.
    pub async fn remove(&self, digest: &Digest, tags: &[String]) -> Result<(), Failed> {
        match self {
            Self::Repository(repository) => {
                for about in repository.referrers(digest).await? {
                    repository.delete(&about.digest).await?;
                }
                repository.delete(digest).await?;
                for tag in beside(digest) {
                    if let Some(found) = repository.manifest(&tag).await? {
                        repository.delete(&found.digest()).await?;
                    }
                }
                Ok(())
            }
            Self::Folder(layout, _) => {
                for tag in tags.iter().chain(&beside(digest)) {
                    layout.forget(tag)?;
                }
                Ok(())
            }
        }
    }

    fn taken(&self, tag: &str, has: Digest, wanted: Digest) -> Failed {
        Failed::Taken {
            tag: tag.to_owned(),
            place: self.to_string(),
            has,
            wanted,
        }
    }
}

/// The tags under which registries and `cosign` keep what is about an image.
pub(super) fn beside(digest: &Digest) -> [String; 4] {
    let tag = fallback_tag(digest);
    ["", ".sig", ".att", ".sbom"].map(|end| format!("{tag}{end}"))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_, shown) => f.write_str(shown),
            Self::Repository(repository) => repository.fmt(f),
        }
    }
}
