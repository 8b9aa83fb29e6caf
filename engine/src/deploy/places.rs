//! Which container runs which image: what platforms with several containers in one unit have in common. Pure.

use std::collections::BTreeMap;

use super::driver::Failure;
use crate::ledger::ImageAt;

/// A container as a platform describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Container {
    /// What it belongs to, for a person: `deployment/shop`, `the task`.
    pub of: String,
    /// Its name.
    pub name: String,
    /// The image that is written for it.
    pub image: String,
    /// Whether it runs before the others, to its end.
    pub is_first: bool,
}

/// The image's name for each container that runs one of these images, in the containers' order.
///
/// A container runs the image of its name, or else the one whose repository it names. What is left over is clear where
/// there is one image and one container.
///
/// # Errors
/// An image that no container runs, with the containers that there are.
pub(super) fn places(
    containers: &[Container],
    images: &BTreeMap<String, ImageAt>,
    named: Option<&str>,
) -> Result<Vec<Option<String>>, Failure> {
    if let Some(named) = named {
        return by_name_given(containers, images, named);
    }
    let mut places: Vec<Option<String>> = Vec::new();
    for container in containers {
        places.push(match images.contains_key(&container.name) {
            true => Some(container.name.clone()),
            false => by_repository(container, images)?,
        });
    }
    let is_placed = |name: &String| places.iter().flatten().any(|p| p == name);
    let missing: Vec<&String> = images.keys().filter(|n| !is_placed(n)).collect();
    let for_good: Vec<usize> = (0..containers.len())
        .filter(|at| !containers[*at].is_first)
        .collect();
    match (missing.as_slice(), for_good.as_slice()) {
        ([], _) => Ok(places),
        ([one], [only]) if places[*only].is_none() => {
            let (one, only) = ((*one).clone(), *only);
            places[only] = Some(one);
            Ok(places)
        }
        (missing, _) => Err(no_place(missing[0], containers)),
    }
}

fn by_name_given(
    containers: &[Container],
    images: &BTreeMap<String, ImageAt>,
    named: &str,
) -> Result<Vec<Option<String>>, Failure> {
    let mut names = images.keys();
    let (Some(image), None) = (names.next(), names.next()) else {
        let names: Vec<&str> = images.keys().map(String::as_str).collect();
        return Err(Failure::new(format!(
            "`container={named}` is one container, and the deployment brings {}",
            dsl::text::list(&names)
        ))
        .help("leave `container` out and call each container as its image is called"));
    };
    let place = |c: &Container| (c.name == named).then(|| image.clone());
    let places: Vec<Option<String>> = containers.iter().map(place).collect();
    if places.iter().all(Option::is_none) {
        return Err(Failure::new(format!(
            "there is no container `{named}`: {}",
            has(containers)
        ))
        .help("correct `container` in the target"));
    }
    Ok(places)
}

fn by_repository(
    container: &Container,
    images: &BTreeMap<String, ImageAt>,
) -> Result<Option<String>, Failure> {
    let repository = repository(&container.image);
    let fits = |image: &ImageAt| !image.repository.is_empty() && image.repository == repository;
    let found: Vec<&str> = images
        .iter()
        .filter(|(_, image)| fits(image))
        .map(|(name, _)| name.as_str())
        .collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        several => Err(Failure::new(format!(
            "the container {} of {} could run {}, which are all in {repository}",
            container.name,
            container.of,
            dsl::text::list(several)
        ))
        .help("call each container as its image is called")),
    }
}

fn no_place(image: &str, containers: &[Container]) -> Failure {
    Failure::new(format!(
        "no container is known to run the image {image}: {}",
        has(containers)
    ))
    .help(format!(
        "call the container `{image}`, or name it with `container=` in the target"
    ))
}

/// What there is, for a person.
fn has(containers: &[Container]) -> String {
    if containers.is_empty() {
        return "there are no containers".to_owned();
    }
    let mut by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for container in containers {
        let text = format!("{} ({})", container.name, container.image);
        by.entry(&container.of).or_default().push(text);
    }
    let each: Vec<String> = by
        .iter()
        .map(|(of, names)| format!("{of} has {}", dsl::text::list(names)))
        .collect();
    each.join("; ")
}

/// An image's repository, without its tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before a slash is that of a port.
        Some((before, after)) if !after.contains('/') => before,
        _ => image,
    }
}

/// The digest in a reference, where it has one.
pub(super) fn digest_in(reference: &str) -> Option<&str> {
    let digest = reference.rsplit(['@', '/']).next()?;
    digest.starts_with("sha256:").then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, image: &str) -> Container {
        Container {
            of: "deployment/shop".to_owned(),
            name: name.to_owned(),
            image: image.to_owned(),
            is_first: name.starts_with("init"),
        }
    }

    fn images(all: &[(&str, &str)]) -> BTreeMap<String, ImageAt> {
        let digest = format!("sha256:{}", "a".repeat(64));
        let one = |(name, repository): &(&str, &str)| {
            let image = ImageAt::parse(&format!("{repository}@{digest}")).unwrap();
            ((*name).to_owned(), image)
        };
        all.iter().map(one).collect()
    }

    fn placed(containers: &[Container], all: &[(&str, &str)], named: Option<&str>) -> String {
        match places(containers, &images(all), named) {
            Ok(places) => {
                let shown = |p: Option<String>| p.unwrap_or_else(|| "-".to_owned());
                places.into_iter().map(shown).collect::<Vec<_>>().join(" ")
            }
            Err(failure) => failure.what,
        }
    }

    #[test]
    fn a_container_runs_the_image_of_its_name_or_of_its_repository() {
        let two = [
            container("proxy", "envoy:1"),
            container("app", "whatever:2"),
            container("init-db", "ghcr.io:443/acme/migrator:dev"),
        ];
        let bundle = [
            ("app", "ghcr.io/acme/app"),
            ("migrator", "ghcr.io:443/acme/migrator"),
        ];
        assert_eq!(placed(&two, &bundle, None), "- app migrator");
    }

    #[test]
    fn one_image_and_one_container_belong_together() {
        let one = [container("web", "nginx"), container("init", "busybox")];
        assert_eq!(placed(&one, &[("app", "ghcr.io/acme/app")], None), "app -");
    }

    #[test]
    fn an_image_without_a_container_is_named_with_what_there_is() {
        let two = [container("web", "nginx"), container("log", "fluentd:1")];
        assert_eq!(
            placed(&two, &[("app", "ghcr.io/acme/app")], None),
            "no container is known to run the image app: deployment/shop has `web (nginx)` and `log (fluentd:1)`"
        );
        assert_eq!(
            placed(&two, &[("app", "ghcr.io/acme/app")], Some("log")),
            "- app"
        );
        assert_eq!(
            placed(&two, &[("app", "ghcr.io/acme/app")], Some("lag")),
            "there is no container `lag`: deployment/shop has `web (nginx)` and `log (fluentd:1)`"
        );
        assert_eq!(
            placed(&two, &[("app", "a/app"), ("two", "a/two")], Some("log")),
            "`container=log` is one container, and the deployment brings `app` and `two`"
        );
    }

    #[test]
    fn two_images_of_one_repository_are_told_apart_by_names_only() {
        let one = [
            container("web", "acme/all:1"),
            container("app", "acme/all:1"),
        ];
        assert_eq!(
            placed(&one, &[("app", "acme/all"), ("job", "acme/all")], None),
            "the container web of deployment/shop could run `app` and `job`, which are all in acme/all"
        );
    }

    #[test]
    fn a_digest_is_found_in_what_platforms_say() {
        let digest = format!("sha256:{}", "b".repeat(64));
        for text in [
            format!("docker-pullable://127.0.0.1:5000/app@{digest}"),
            format!("ghcr.io/acme/app@{digest}"),
            format!("docker://{digest}"),
            digest.clone(),
        ] {
            assert_eq!(digest_in(&text), Some(digest.as_str()), "{text}");
        }
        assert_eq!(digest_in("ghcr.io/acme/app:1"), None);
    }
}
