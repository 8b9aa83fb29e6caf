//! What a promotion to a target makes when the target runs the bundle: tags of the digests that moved, and the release.
//! Whether both can be made is found out before anything changes. Knows no rules that must hold.

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
    release: Option<(Forge, release::Request)>,
    fields: Arc<Fields>,
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
    release: Option<(Forge, release::Request)>,
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
        let release = rule.release.as_ref().and_then(|(options, version)| {
            let version = match version {
                Some(named) => pipeline.versions.get(&named.value),
                None => pipeline.versions.values().next(),
            };
            Some((options, version?))
        });
        let release = release.map(|(options, version)| {
            let request = release::Request {
                scheme: version.scheme.clone(),
                in_file: None,
                sha: String::new(),
                branch: None,
                day: about.plan.request.date.clone(),
                changelog: None,
                annotated: options.annotated,
            };
            (Forge::of(options), request)
        });
        Ok(Self {
            tags: tags.collect(),
            registries,
            repositories: rule.images.iter().map(repository).collect(),
            release,
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
            Some((forge, request)) => {
                forge.is_there(a_try).map_err(NotDone::NotBegun)?;
                releasable(request, bundle, a_try)
                    .await?
                    .map(|request| (forge.clone(), request))
            }
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

/// The release of a bundle, if there is one to be made.
async fn releasable(
    request: &release::Request,
    bundle: &Bundle,
    a_try: &mut Try<'_>,
) -> Result<Option<release::Request>, NotDone> {
    let mut request = release::Request {
        sha: bundle.commit.clone(),
        ..request.clone()
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
        Ok(()) => Ok(Some(request)),
        Err(release::NoRelease::NotNeeded(why)) => {
            a_try.say(format!("no release: {why}")).await;
            Ok(None)
        }
        Err(why) => Err(no_release(why)),
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
                .map_err(|e| runs_all_the_same(e, target))?;
        }
        if let Some((forge, request)) = &self.release {
            let made = publish(request, forge, a_try).await;
            let made = made.map_err(|e| runs_all_the_same(e, target))?;
            outputs.insert("version".to_owned(), made.version);
            outputs.insert("tag".to_owned(), made.tag);
        }
        Ok(outputs)
    }
}

/// A tag or a release that is missing undoes no deployment: what runs is what was tested. For the run the step is one that
/// has nothing to undo.
fn runs_all_the_same(error: NotDone, target: &str) -> NotDone {
    let failure = match error {
        NotDone::NotBegun(failure) | NotDone::Failed(failure) => failure,
        NotDone::NotNeeded(why) => Failure::new(why),
        other => return other,
    };
    let again = "promote again: what is done already is not done twice";
    let help = failure.help.as_deref();
    // Of the release alone it is true.
    let help = help.map(|h| h.strip_prefix("nothing was changed; ").unwrap_or(h));
    NotDone::NotBegun(Failure {
        what: format!("{}; {target} runs what was promoted", failure.what),
        help: Some(help.map_or(again.to_owned(), |help| format!("{help}; then {again}"))),
        ..failure
    })
}
