//! Images: looked up once in a run, fetched where that is wanted, and from then on known by what they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::query_parameters::CreateImageOptions;
use dsl::model::Pull;
use futures_util::StreamExt;
use tokio::sync::OnceCell;

use super::reference::Reference;
use super::{Built, Engine, Kind, Trouble, auth};

/// How much longer than for an answer an engine is waited for that fetches an image and says nothing.
const SILENCE: u32 = 10;

/// Which image, and how it is come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The reference as it was written.
    pub reference: String,
    /// The platform, where one is named.
    pub platform: Option<String>,
    /// When it is fetched.
    pub pull: Pull,
    /// Which one it is, where this pipeline built it.
    pub built: Option<Built>,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration, which names its content: `sha256:…`. The same for both engines.
    pub id: String,
    /// What it was fetched as, where a registry has it.
    pub digest: Option<String>,
}

type Known = BTreeMap<(String, Option<String>), Arc<OnceCell<Image>>>;

/// The images that this run knows: a tag is never looked up twice in one run.
#[derive(Debug, Default)]
pub(super) struct Images(Mutex<Known>);

impl Engine {
    /// The image behind a reference; fetches it where that is wanted. `say` gets lines for the log.
    ///
    /// # Errors
    /// When it is not there and cannot be had.
    pub async fn image(
        &self,
        source: &Source,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<Image, Trouble> {
        let key = (source.reference.clone(), source.platform.clone());
        let cell = {
            let mut known = self.images.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(key).or_default())
        };
        let image = cell.get_or_try_init(|| self.look_up(source, say)).await?;
        Ok(image.clone())
    }

    async fn look_up(
        &self,
        source: &Source,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<Image, Trouble> {
        if let Some(built) = &source.built {
            return self.built(built, &source.reference, say).await;
        }
        let reference = Reference::of(&source.reference);
        let full = reference.full();
        let mut here = None;
        if source.pull != Pull::Always {
            here = self.local(&full, source).await?;
            if here.is_none() && full != source.reference {
                here = self.local(&source.reference, source).await?;
            }
        }
        if let Some(image) = here {
            return Ok(image);
        }
        if source.pull == Pull::Never {
            let name = &source.reference;
            return Err(Trouble::new(format!("the image {name} is not there"))
                .help("`pull=never` does not fetch it; build or load it, or take `pull` away"));
        }
        if is_local(&full) {
            let name = &source.reference;
            return Err(Trouble::new(format!("the image {name} is not there"))
                .help("names with localhost/ are of images that were built or loaded here"));
        }
        self.pull(&reference, &full, source, say).await?;
        let fetched = self.local(&full, source).await?;
        fetched.ok_or_else(|| {
            Trouble::new(format!(
                "the image {} is not there although it was fetched",
                source.reference
            ))
        })
    }

    async fn local(&self, name: &str, source: &Source) -> Result<Option<Image>, Trouble> {
        let what = format!("the image {name} cannot be looked at");
        let seen = match self.ask(&what, self.docker.inspect_image(name)).await {
            Ok(seen) => seen,
            Err(trouble) if trouble.is_not_there() => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let platform = [seen.os, seen.architecture]
            .map(Option::unwrap_or_default)
            .join("/");
        let fits = |wanted: &str| {
            // A variant is the registry's to choose.
            let mut parts = wanted.splitn(3, '/');
            let two = [parts.next(), parts.next()].map(Option::unwrap_or_default);
            platform == "/" || platform == two.join("/")
        };
        if source.platform.as_deref().is_some_and(|p| !fits(p)) {
            return Ok(None);
        }
        let id = seen.id.unwrap_or_default();
        Ok(Some(Image {
            // Podman says it without the algorithm.
            id: match id.contains(':') {
                true => id,
                false => format!("sha256:{id}"),
            },
            // Podman makes one up for what was never in a registry.
            digest: seen
                .repo_digests
                .filter(|_| !is_local(name))
                .and_then(|all| {
                    let digest = all.into_iter().next()?;
                    Some(digest.split_once('@')?.1.to_owned())
                }),
        }))
    }

    async fn pull(
        &self,
        reference: &Reference<'_>,
        full: &str,
        source: &Source,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<(), Trouble> {
        let what = format!("the image {} cannot be fetched", source.reference);
        say(format!("fetching the image {full}"));
        let env = |name: &str| std::env::var(name).ok();
        let login = auth::login(reference, self.found.kind, &env, self.patience)
            .await
            .map_err(|why| Trouble::new(format!("{what}: {why}")).infrastructure())?;
        let has_login = login.is_some();
        let options = CreateImageOptions {
            from_image: Some(full.to_owned()),
            platform: source.platform.clone().unwrap_or_default(),
            ..CreateImageOptions::default()
        };
        let mut progress = self.docker.create_image(Some(options), None, login);
        let mut last = None;
        let limit = self.patience * SILENCE;
        loop {
            let next = tokio::time::timeout(limit, progress.next()).await;
            let step = match next {
                Err(_) => return Err(Trouble::silent(&what, limit)),
                Ok(None) => return Ok(()),
                Ok(Some(Err(e))) => Err(Trouble::of(&what, e)),
                Ok(Some(Ok(info))) => match info.error_detail.and_then(|e| e.message) {
                    Some(why) => Err(Trouble::new(format!("{what}: {}", super::said(&why)))),
                    None => Ok((info.id, info.status.unwrap_or_default())),
                },
            };
            let (id, status) =
                step.map_err(|t| refused(t, reference, has_login, self.found.kind))?;
            let wanted = ["Pull complete", "Already exists", "Digest", "Status"];
            if wanted.iter().any(|w| status.starts_with(w)) {
                let line = id.map_or(status.clone(), |id| format!("{id}: {status}"));
                if last.as_ref() != Some(&line) {
                    say(line.clone());
                }
                last = Some(line);
            }
        }
    }
}

/// Whether a registry's answer means that there is no such image, so that whoever named it has to look.
pub(crate) fn is_named_wrong(answer: &str) -> bool {
    let low = answer.to_lowercase();
    let gone = ["manifest unknown", "not found", "no such image"];
    gone.iter().any(|g| low.contains(g))
}

fn is_local(name: &str) -> bool {
    name.starts_with("localhost/")
}

/// Adds what can be done about a registry's answer.
fn refused(trouble: Trouble, reference: &Reference<'_>, has_login: bool, kind: Kind) -> Trouble {
    let low = trouble.what.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| low.contains(w));
    let host = reference.host;
    let program = match kind {
        Kind::Docker => "docker",
        Kind::Podman => "podman",
    };
    if has(&[
        "unauthorized",
        "denied",
        "no basic auth",
        "authentication required",
        "forbidden",
    ]) {
        let trouble = trouble.infrastructure();
        return if has_login {
            trouble.help(format!(
                "your login for {host} was refused; log in again: `{program} login {host}`"
            ))
        } else {
            trouble.help(format!(
                "log in to it: `{program} login {host}`; or is the name wrong?"
            ))
        };
    }
    if is_named_wrong(&trouble.what) {
        return trouble
            .help("is the name right? `docker.io/library` is meant where no registry is named");
    }
    if has(&[
        "no such host",
        "connection refused",
        "timeout",
        "unreachable",
        "dial tcp",
        "temporary failure",
    ]) {
        return trouble.infrastructure().help(format!("the engine cannot reach {host}; with the image there, `pull=missing` does not ask for it"));
    }
    trouble.infrastructure()
}
