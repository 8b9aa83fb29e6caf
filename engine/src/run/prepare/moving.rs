//! Images that go into registries and from one to the next, with every value put in. Starts nothing.

use dsl::expr::Template;
use dsl::model::{Made, StepKind};
use dsl::source::Spanned;
use secrecy::SecretString;

use super::{filled, logins};
use crate::oci::Known;
use crate::oci::place::{Place, check_tag};
use crate::plan;
use crate::run::after::Releasing;
use crate::run::deliver::About;
use crate::run::gate::Between;
use crate::run::outcome::{Failure, Means};
use crate::run::push::Push;
use crate::run::registries::{self, Reached};
use crate::run::sign::Sign;
use crate::run::transfer::{Destination, Transfer};
use crate::world::Git;

/// What is pushed, and where.
///
/// # Errors
/// When a value is missing, an image is nowhere, or the registry does not accept it.
pub(super) fn push_of(about: About<'_>, push: &dsl::model::Push) -> Result<Push, Failure> {
    let (plan, planned, options, facts) = (about.plan, about.planned, about.options, about.facts);
    let pipeline = &plan.pipeline;
    let registry = pipeline.registries.get(&push.registry.value);
    let registry = registry.ok_or_else(|| Failure::new("there is no such registry"))?;
    if let Some(why) = plan::refused(registry, &plan.request.context) {
        return Err(Failure::new(why).means(Means::Refused));
    }
    let fill = |template: &Template| filled(plan, planned, template, facts);
    let prefix = fill(&registry.prefix.value)?;
    let registries = &options.registries;
    let to = registries.reach(registry, &prefix, &options.root, &options.secrets);
    let images = push.images.iter().map(|image| {
        let name = &image.value;
        let digest = facts.image(name, true);
        let digest = digest.unwrap_or_else(|| Err("nobody knows its digest".to_owned()));
        let digest = digest.map_err(|why| Failure::new(format!("{name} is not here: {why}")))?;
        let digest = digest
            .parse()
            .map_err(|e| Failure::new(format!("{name} is `{digest}`: {e}")))?;
        let repository = registries::repository(pipeline, name);
        Ok((name.clone(), repository.to_owned(), digest))
    });
    let tags = push.tags.iter().map(|tag| {
        let tag = fill(&tag.value)?;
        check_tag(&tag).map_err(|e| Failure::new(e.to_string()))?;
        Ok(tag)
    });
    let images = images.collect::<Result<_, Failure>>()?;
    let from = options.images.clone();
    Ok(Push {
        images,
        to: to.map_err(Failure::new)?,
        tags: tags.collect::<Result<_, Failure>>()?,
        from,
    })
}

/// Under which references this pipeline pushes an image, as far as its values are known before that.
pub(super) fn pushed_as(
    plan: &plan::Plan,
    image: &str,
    fill: &dyn Fn(&Template) -> Result<String, Failure>,
) -> Vec<String> {
    let mut found = Vec::new();
    for step in &plan.pipeline.steps {
        let StepKind::Push(push) = &step.kind else {
            continue;
        };
        if push.images.iter().all(|i| i.value != image) {
            continue;
        }
        let registry = plan.pipeline.registries.get(&push.registry.value);
        let prefix = registry.and_then(|r| fill(&r.prefix.value).ok());
        let Some(prefix) = prefix.filter(|p| !p.starts_with(['.', '/'])) else {
            continue;
        };
        let repository = registries::repository(&plan.pipeline, image);
        let tags = push.tags.iter().filter_map(|tag| fill(&tag.value).ok());
        found.extend(tags.map(|tag| format!("{prefix}/{repository}:{tag}")));
    }
    found
}

/// What is signed: the images in every registry to which a step before it pushed them.
///
/// # Errors
/// When a value is missing, or an image is in no registry that has a server.
pub(super) fn sign_of(about: About<'_>, sign: &dsl::model::Sign) -> Result<Sign, Failure> {
    let (plan, options) = (about.plan, about.options);
    let fill = |template: &Template| filled(plan, about.planned, template, about.facts);
    let mut images = Vec::new();
    for image in &sign.images {
        let name = &image.value;
        let digest = about.facts.image(name, true);
        let digest = digest.unwrap_or_else(|| Err("nobody knows its digest".to_owned()));
        let digest =
            digest.map_err(|why| Failure::new(format!("{name} cannot be signed: {why}")))?;
        let digest = digest
            .parse()
            .map_err(|e| Failure::new(format!("{name} is `{digest}`: {e}")))?;
        let made = Made::Image {
            name: name.clone(),
            pushed: true,
        };
        let before = images.len();
        for vertex in plan.makers(about.planned, &made) {
            let step = plan.step(vertex).map(|s| plan.definition(s));
            let Some(StepKind::Push(push)) = step.map(|s| &s.kind) else {
                continue;
            };
            let Some(registry) = plan.pipeline.registries.get(&push.registry.value) else {
                continue;
            };
            let prefix = fill(&registry.prefix.value)?;
            let reached =
                options
                    .registries
                    .reach(registry, &prefix, &options.root, &options.secrets);
            let place = reached.map_err(Failure::new)?;
            let place = place.place(registries::repository(&plan.pipeline, name));
            let place = place.map_err(|e| Failure::new(e.to_string()))?;
            if let Place::Repository(repository) = &place {
                let is_plain = repository.registry().is_plain();
                let one = (name.clone(), place.by_digest(&digest), is_plain);
                if !images.contains(&one) {
                    images.push(one);
                }
            }
        }
        if images.len() == before {
            let what = format!(
                "{name} cannot be signed: it is in a folder, and cosign keeps signatures in registries"
            );
            let help = "push it to a registry with a server before it is signed";
            return Err(Failure::new(what).help(help));
        }
    }
    let secret = |name: &Option<Spanned<String>>| -> Option<SecretString> {
        options.secrets.get(&name.as_ref()?.value).cloned()
    };
    let key = secret(&sign.key);
    if key.is_none() && !sign.keyless {
        return Err(Failure::new("the key has no value"));
    }
    Ok(Sign {
        images,
        key,
        password: secret(&sign.password),
        is_logged: sign.is_logged,
        logins: logins(plan, options, &fill),
    })
}

/// What moves from registry to registry.
///
/// # Errors
/// When a value is missing, or one of the destinations does not accept it.
pub(super) fn transfer_of(
    about: About<'_>,
    promote: &dsl::model::Promote,
) -> Result<Transfer, Failure> {
    let (plan, options) = (about.plan, about.options);
    let pipeline = &plan.pipeline;
    let missing = || Failure::new("there is no such promotion between registries");
    let rule = pipeline.promotions.get(&promote.rule.value);
    let rule = rule.ok_or_else(missing)?;
    let fill = |template: &Template| filled(plan, about.planned, template, about.facts);
    let reach = |name: &str| -> Result<(String, Reached), Failure> {
        let registry = pipeline.registries.get(name).ok_or_else(missing)?;
        let prefix = fill(&registry.prefix.value)?;
        let reached = options
            .registries
            .reach(registry, &prefix, &options.root, &options.secrets);
        Ok((name.to_owned(), reached.map_err(Failure::new)?))
    };
    let mut to = Vec::new();
    for place in rule.destinations() {
        let registry = pipeline.registries.get(&place.value).ok_or_else(missing)?;
        if let Some(why) = plan::refused(registry, &plan.request.context) {
            return Err(Failure::new(why).means(Means::Refused));
        }
        let own = rule.tags.iter().filter(|(_, registry)| {
            let registry = registry.as_ref().unwrap_or(&rule.to);
            registry.value == place.value
        });
        let tags = own.map(|(tag, _)| {
            let tag = fill(&tag.value)?;
            check_tag(&tag).map_err(|e| Failure::new(e.to_string()))?;
            Ok(tag)
        });
        let tags = tags.collect::<Result<_, Failure>>()?;
        let (name, at) = reach(&place.value)?;
        to.push(Destination { name, at, tags });
    }
    let images = rule.images.iter().map(|image| {
        let name = &image.value;
        let digest = about.facts.image(name, true).and_then(Result::ok);
        let digest = digest.and_then(|d| d.parse().ok());
        let repository = registries::repository(pipeline, name);
        (name.clone(), repository.to_owned(), digest)
    });
    Ok(Transfer {
        rule: rule.name.value.clone(),
        from: reach(&rule.from.value)?,
        to,
        gate: Between::of(about, rule),
        images: images.collect(),
        known: Known::beside(&options.images),
        commit: commit(about),
        release: Releasing::of(about, rule),
    })
}

/// The commit that a run is for; of one that was asked for by hand the one that is checked out.
fn commit(about: About<'_>) -> Option<String> {
    let known = about.plan.request.context.git.sha.clone();
    known.or_else(|| {
        let git = Git::new(&about.options.root, &|name| std::env::var(name).ok());
        let head = git.output(&["rev-parse", "--verify", "--quiet", "HEAD"]);
        head.ok().map(|h| h.trim().to_owned())
    })
}
