//! What a promotion makes when its destination has the bundle: a release of it, and for targets tags of the digests that
//! moved. Whether both can be made is found out before anything changes. Knows no rules that must hold.

use std::sync::Arc;

use dsl::expr::Template;
use dsl::model::{Promotion, VersionScheme};

use super::deliver::fields::Fields;
use super::deliver::{About, Delivery};
use super::outcome::{Failure, Means};
use super::prepare::filled;
use super::push::{not_moved, travel};
use super::registries::{self, Reached};
use super::release::{Forge, no_release, publish};
use super::task::{Outputs, Try};
use super::work::NotDone;
use crate::ledger::Bundle;
use crate::oci::copy::Journey;
use crate::oci::place::check_tag;
use crate::oci::{Digest, Place};
use crate::release;
use crate::world::Git;

/// What follows, before a bundle is known.
#[derive(Clone)]
pub(super) struct After {
    /// The tags, and in which registry, where that is said.
    tags: Vec<(Template, Option<String>)>,
    /// The registries by name, with their addresses put in.
    registries: Vec<Registry>,
    /// The images' names in registries.
    repositories: Vec<(String, String)>,
    release: Option<Releasing>,
    fields: Arc<Fields>,
}

/// The release of what is promoted.
#[derive(Debug, Clone)]
pub(super) struct Releasing {
    forge: Forge,
    request: release::Request,
}

#[derive(Debug, Clone)]
struct Registry {
    name: String,
    prefix: String,
    reached: Reached,
}

/// The same for one bundle.
pub(super) struct Ready {
    tags: Vec<Tagging>,
    release: Option<Releasing>,
}

/// One image that gets tags in one place.
struct Tagging {
    image: String,
    digest: Digest,
    from: Place,
    to: Place,
    tags: Vec<String>,
    moves: bool,
}

impl std::fmt::Debug for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("After").finish_non_exhaustive()
    }
}

impl After {
    /// What a rule says.
    ///
    /// # Errors
    /// A registry's address that has no value, or cannot be one.
    pub(super) fn of(
        about: About<'_>,
        rule: &Promotion,
        delivery: &Delivery,
    ) -> Result<Self, Failure> {
        let pipeline = &about.plan.pipeline;
        let mut registries = Vec::new();
        for registry in about.plan.tagging(rule) {
            let prefix = filled(
                about.plan,
                about.planned,
                &registry.prefix.value,
                about.facts,
            )?;
            let (options, all) = (about.options, &about.options.registries);
            let reached = all.reach(registry, &prefix, &options.root, &options.secrets);
            registries.push(Registry {
                name: registry.name.value.clone(),
                reached: reached.map_err(Failure::new)?,
                prefix,
            });
        }
        let repository = |image: &dsl::source::Spanned<String>| {
            let repository = registries::repository(pipeline, &image.value);
            (image.value.clone(), repository.to_owned())
        };
        let tags = rule.tags.iter().map(|(tag, registry)| {
            let registry = registry.as_ref().map(|r| r.value.clone());
            (tag.value.clone(), registry)
        });
        Ok(Self {
            tags: tags.collect(),
            registries,
            repositories: rule.images.iter().map(repository).collect(),
            release: Releasing::of(about, rule),
            fields: delivery.fields(),
        })
    }

    /// Finds out whether it can be done for this bundle.
    ///
    /// # Errors
    /// Why not. Nothing has changed.
    pub(super) async fn prepare(
        &self,
        bundle: &Bundle,
        a_try: &mut Try<'_>,
    ) -> Result<Ready, NotDone> {
        let tags = self.taggings(bundle).map_err(NotDone::NotBegun)?;
        for tagging in &tags {
            for tag in &tagging.tags {
                let may = tagging.to.may_tag(&tagging.digest, tag, tagging.moves);
                let may = a_try.wait(may).await?;
                may.map_err(|e| {
                    let what = format!(
                        "{} is not promoted, as it could not get its tag: {e}; nothing was changed",
                        tagging.image
                    );
                    NotDone::NotBegun(not_moved(what, &e))
                })?;
            }
        }
        let release = match &self.release {
            Some(release) => release.prepare(bundle, a_try).await?,
            None => None,
        };
        Ok(Ready { tags, release })
    }

    fn taggings(&self, bundle: &Bundle) -> Result<Vec<Tagging>, Failure> {
        let mut found: Vec<Tagging> = Vec::new();
        for (image, repository) in &self.repositories {
            if self.tags.is_empty() {
                break;
            }
            let Some(at) = bundle.images.get(image) else {
                continue;
            };
            let digest: Digest = at
                .digest
                .parse()
                .map_err(|e| Failure::new(format!("the digest of {image}: {e}")))?;
            let (registry, from) = self.place_of(image, &at.repository)?;
            for (tag, named) in &self.tags {
                let tag = self.fields.filled(tag, bundle);
                let tag = tag.map_err(|f| Failure::new(f.what).means(Means::Refused))?;
                check_tag(&tag).map_err(|e| Failure::new(e.to_string()))?;
                let known = |name: &String| self.registries.iter().find(|r| r.name == *name);
                let (to, place) = match named.as_ref().and_then(known) {
                    Some(to) if to.name != registry.name => {
                        let place = to.reached.place(repository);
                        (to, place.map_err(|e| Failure::new(e.to_string()))?)
                    }
                    _ => (registry, from.clone()),
                };
                let shown = place.to_string();
                match found.iter_mut().find(|f| f.to.to_string() == shown) {
                    Some(tagging) => tagging.tags.push(tag),
                    None => found.push(Tagging {
                        image: image.clone(),
                        digest,
                        from: from.clone(),
                        to: place,
                        tags: vec![tag],
                        moves: to.reached.moves,
                    }),
                }
            }
        }
        Ok(found)
    }

    /// Where the image is that the source runs.
    fn place_of(&self, image: &str, repository: &str) -> Result<(&Registry, Place), Failure> {
        let within = |registry: &'_ &Registry| {
            let rest = repository.strip_prefix(registry.prefix.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let found = self.registries.iter().find(within);
        let Some(registry) = found else {
            let place = match repository {
                "" => "it is in no registry".to_owned(),
                known => format!("{known} is in no registry of this pipeline"),
            };
            let failure = Failure::new(format!("{image} cannot get its tag: {place}"));
            let help = "push it to a registry of the pipeline, and deploy it from there";
            return Err(failure.help(help).means(Means::Refused));
        };
        let rest = &repository[registry.prefix.trim_end_matches('/').len() + 1..];
        let place = registry.reached.place(rest);
        Ok((registry, place.map_err(|e| Failure::new(e.to_string()))?))
    }
}

impl Releasing {
    /// What a rule says, if it wants a release.
    pub(super) fn of(about: About<'_>, rule: &Promotion) -> Option<Self> {
        let (options, version) = rule.release.as_ref()?;
        let versions = &about.plan.pipeline.versions;
        let version = match version {
            Some(named) => versions.get(&named.value),
            None => versions.values().next(),
        };
        Some(Self {
            forge: Forge::of(options),
            request: release::Request {
                scheme: version?.scheme.clone(),
                in_file: None,
                sha: String::new(),
                branch: None,
                day: about.plan.request.date.clone(),
                changelog: None,
                annotated: options.annotated,
            },
        })
    }

    /// The release of a bundle, if there is one to be made.
    ///
    /// # Errors
    /// Why it cannot be made. Nothing has changed.
    pub(super) async fn prepare(
        &self,
        bundle: &Bundle,
        a_try: &mut Try<'_>,
    ) -> Result<Option<Self>, NotDone> {
        self.forge.is_there(a_try).await?;
        let mut request = release::Request {
            sha: bundle.commit.clone(),
            ..self.request.clone()
        };
        match (&bundle.version, &request.scheme) {
            (Some(version), _) => request.scheme = VersionScheme::Fixed(version.clone()),
            // Not the file that is checked out.
            (None, VersionScheme::File(path)) => {
                let git = Git::new(&a_try.site.root, &|name| std::env::var(name).ok());
                request.in_file = release::in_commit(&git, &bundle.commit, path);
            }
            (None, _) => {}
        }
        if bundle.commit.is_empty() {
            let failure = Failure::new("what is promoted has no commit that could be released");
            let help = "deploy from a git repository, or take `release` out of the promotion";
            return Err(NotDone::NotBegun(failure.help(help).means(Means::Refused)));
        }
        let git = Git::new(&a_try.site.root, &|name| std::env::var(name).ok());
        let asked = request.clone();
        let looking = tokio::task::spawn_blocking(move || release::possible(&git, &asked));
        let possible = looking.await.map_err(|e| {
            NotDone::NotBegun(Failure::new(format!(
                "pipe has a bug, please report it: {e}"
            )))
        })?;
        match possible {
            Ok(()) => Ok(Some(Self {
                request,
                forge: self.forge.clone(),
            })),
            Err(release::NoRelease::NotNeeded(why)) => {
                a_try.say(format!("no release: {why}")).await;
                Ok(None)
            }
            Err(why) => Err(no_release(why, true)),
        }
    }

    /// Makes it; `stays` says what is so all the same where that fails.
    ///
    /// # Errors
    /// What could not be made.
    pub(super) async fn publish(
        &self,
        stays: &str,
        a_try: &mut Try<'_>,
    ) -> Result<Outputs, NotDone> {
        let made = publish(&self.request, &self.forge, false, a_try).await;
        let made = made.map_err(|e| all_the_same(e, stays))?;
        Ok(Outputs::from([
            ("version".to_owned(), made.version),
            ("tag".to_owned(), made.tag),
        ]))
    }
}

impl Ready {
    /// Makes the tags and the release.
    ///
    /// # Errors
    /// What could not be made, and that the target runs the bundle all the same.
    pub(super) async fn publish(
        self,
        target: &str,
        a_try: &mut Try<'_>,
    ) -> Result<Outputs, NotDone> {
        let mut outputs = Outputs::new();
        let stays = format!("{target} runs what was promoted");
        for tagging in &self.tags {
            let journey = Journey {
                from: &tagging.from,
                to: &tagging.to,
                digest: tagging.digest,
                tags: &tagging.tags,
                moves: tagging.moves,
                mount: tagging.from.mount_for(&tagging.to),
                known: None,
            };
            travel(&tagging.image, &journey, a_try)
                .await
                .map_err(|e| all_the_same(e, &stays))?;
        }
        if let Some(release) = &self.release {
            outputs.extend(release.publish(&stays, a_try).await?);
        }
        Ok(outputs)
    }
}

/// A tag or a release that is missing undoes nothing: what is there is what was tested. For the run the step is one that
/// has nothing to undo.
fn all_the_same(error: NotDone, stays: &str) -> NotDone {
    let failure = match error {
        NotDone::NotBegun(failure) | NotDone::Failed(failure) => failure,
        NotDone::NotNeeded(why) => Failure::new(why),
        other => return other,
    };
    let again = "promote again: what is done already is not done twice";
    let help = match &failure.help {
        Some(help) => format!("{help}; then {again}"),
        None => again.to_owned(),
    };
    NotDone::NotBegun(Failure {
        what: format!("{}; {stays}", failure.what),
        help: Some(help),
        ..failure
    })
}
