//! What Compose makes of a file once every value is in it: which services there are, what they run, what they are told. And
//! whether that is what a deployment brings. Pure; does not know how it was asked.

use std::collections::{BTreeMap, BTreeSet};

use dsl::diagnostic::nearest;
use serde::Deserialize;

use super::super::driver::Failure;
use super::Doing;
use crate::ledger::{Bundle, ImageAt};

/// A Compose file with every value in it, as `docker compose config --format json` prints it: the schema is that of the
/// Compose specification (<https://github.com/compose-spec/compose-spec>).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Rendered {
    /// The services by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
}

/// A service.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Service {
    /// What it runs; empty where Compose would build it.
    #[serde(default)]
    pub image: String,
    /// Its variables; `None` is one that has no value.
    #[serde(default)]
    environment: BTreeMap<String, Option<String>>,
}

/// What is held against the rendered file.
pub struct Wanted<'w> {
    /// How the file is called.
    pub file: &'w str,
    /// What is to be done with its services.
    pub steps: &'w [Doing],
    /// What the deployment brings.
    pub bundle: &'w Bundle,
    /// The variables that the target sets.
    pub env: &'w [(String, String)],
}

/// The services of all `up`s, or of all `run`s.
pub fn named(steps: &[Doing], is_up: bool) -> BTreeSet<&str> {
    let services = steps.iter().filter_map(|step| match step {
        Doing::Up(services) if is_up => Some(services),
        Doing::Run(services) if !is_up => Some(services),
        _ => None,
    });
    services.flatten().map(String::as_str).collect()
}

impl Rendered {
    /// Reads what Compose printed.
    ///
    /// # Errors
    /// When that is something else.
    pub fn read(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|e| {
            Failure::new(format!(
                "what Compose says about the file cannot be read: {e}"
            ))
            .help("Compose 2 is wanted: `docker compose version`")
        })
    }

    /// Which image of a bundle each of these services runs.
    pub fn images<'b>(
        &self,
        services: &BTreeSet<&str>,
        bundle: &'b Bundle,
    ) -> BTreeMap<String, &'b str> {
        let mut images = BTreeMap::new();
        for (name, service) in &self.services {
            let found = bundle
                .images
                .iter()
                .find(|(image, at)| is_image(&service.image, image, at));
            if let (true, Some((image, _))) = (services.contains(name.as_str()), found) {
                images.insert(name.clone(), image.as_str());
            }
        }
        images
    }

    /// The values of a variable in these services, by service. Compose writes a dollar as two.
    pub fn values(&self, services: &BTreeSet<&str>, variable: &str) -> BTreeMap<&str, String> {
        let of = |(name, service): (&'_ String, &'_ Service)| {
            let value = service.environment.get(variable)?.as_ref()?;
            services
                .contains(name.as_str())
                .then(|| value.replace("$$", "$"))
        };
        let all = self.services.iter();
        all.filter_map(|(name, service)| Some((name.as_str(), of((name, service))?)))
            .collect()
    }

    /// Whether it has the services that are named, and whether they run what the deployment brings.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self, wanted: &Wanted<'_>) -> Result<(), Failure> {
        let (up, once) = (named(wanted.steps, true), named(wanted.steps, false));
        let all: BTreeSet<&str> = up.union(&once).copied().collect();
        let mut wrong: Vec<(String, String)> = Vec::new();
        for name in &all {
            if !self.services.contains_key(*name) {
                wrong.push(self.no_service(name, wanted.file));
            }
        }
        let images = self.images(&all, wanted.bundle);
        for (image, at) in &wanted.bundle.images {
            if !images.values().any(|used| used == image) {
                wrong.push(self.unused(image, at, wanted));
            }
        }
        let Some((_, help)) = wrong.first().cloned() else {
            return Ok(());
        };
        let what: Vec<String> = wrong.into_iter().map(|(what, _)| what).collect();
        Err(Failure::new(what.join("; ")).help(help))
    }

    fn no_service(&self, name: &str, file: &str) -> (String, String) {
        let known: Vec<&str> = self.services.keys().map(String::as_str).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", known.join(", ")),
        };
        (format!("{file} has no service `{name}`"), help)
    }

    /// What is to be said of an image that no named service runs.
    fn unused(&self, image: &str, at: &ImageAt, wanted: &Wanted<'_>) -> (String, String) {
        let file = wanted.file;
        let reference = at.on_engine(image);
        let variable = wanted.env.iter().find(|(_, value)| *value == reference);
        let (name, add) = match variable {
            Some((name, _)) => (name.clone(), String::new()),
            None => {
                let name = super::super::own::variable_name(image) + "_IMAGE";
                let add = format!("add `env {name}=\"${{image.{image}}}\"` to `compose`, and ");
                (name, add)
            }
        };
        let is_same = |service: &Service| {
            let rest = service.image.strip_prefix(at.repository.as_str());
            !at.repository.is_empty()
                && rest.is_some_and(|r| r.is_empty() || r.starts_with([':', '@']))
        };
        let is_named = |name: &String| {
            let (up, once) = (named(wanted.steps, true), named(wanted.steps, false));
            up.contains(name.as_str()) || once.contains(name.as_str())
        };
        let mut all = self.services.iter();
        let same = all.find(|(name, service)| is_named(name) && is_same(service));
        let elsewhere = self
            .services
            .iter()
            .find(|(_, service)| is_image(&service.image, image, at));
        if let (None, Some((service, _))) = (same, elsewhere) {
            return (
                format!(
                    "the image {image} runs in the service `{service}`, which is in no `up` and no `run` of the target"
                ),
                format!(
                    "add `up {service}` to `compose`, or `run {service}` where it does one thing and ends"
                ),
            );
        }
        match same {
            Some((service, found)) => (
                format!(
                    "the service `{service}` of {file} has the image {}, and not the one of this deployment, {reference}",
                    found.image
                ),
                format!("{add}write `image: ${{{name}}}` in the service `{service}`"),
            ),
            None => (
                format!("no service of {file} runs the image {image}"),
                format!("{add}write `image: ${{{name}}}` in the service that runs it"),
            ),
        }
    }
}

/// Whether a service's image is this one, exactly.
fn is_image(text: &str, name: &str, at: &ImageAt) -> bool {
    let by_digest = text
        .rsplit_once('@')
        .is_some_and(|(_, digest)| digest == at.digest);
    by_digest || text == at.on_engine(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u8) -> String {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
    }

    fn bundle(images: &[(&str, &str, u8)]) -> Bundle {
        let images = images.iter().map(|(name, repository, n)| {
            let at = ImageAt {
                repository: (*repository).to_owned(),
                digest: digest(*n),
            };
            ((*name).to_owned(), at)
        });
        Bundle {
            images: images.collect(),
            ..Bundle::default()
        }
    }

    fn rendered(services: &[(&str, String)]) -> Rendered {
        let services = services.iter().map(|(name, image)| {
            let json =
                serde_json::json!({ "image": image, "environment": { "A": "x$$y", "B": null } });
            ((*name).to_owned(), json)
        });
        let services: serde_json::Map<_, _> = services.collect();
        Rendered::read(&serde_json::json!({ "name": "p", "services": services }).to_string())
            .unwrap()
    }

    fn up(services: &[&str]) -> Doing {
        Doing::Up(services.iter().map(|s| (*s).to_owned()).collect())
    }

    fn said(rendered: &Rendered, steps: &[Doing], env: &[(&str, String)]) -> String {
        let env: Vec<(String, String)> = env
            .iter()
            .map(|(n, v)| ((*n).to_owned(), v.clone()))
            .collect();
        let bundle = bundle(&[("app", "r.test/app", 1)]);
        let wanted = Wanted {
            file: "compose.yml",
            steps,
            bundle: &bundle,
            env: &env,
        };
        match rendered.check(&wanted) {
            Ok(()) => "fine".to_owned(),
            Err(f) => format!("{}\n  {}", f.what, f.help.unwrap_or_default()),
        }
    }

    #[test]
    fn every_image_of_a_deployment_is_run_by_its_digest_in_a_service_that_is_named() {
        let right = format!("r.test/app@{}", digest(1));
        let has =
            |image: &str| rendered(&[("app", image.to_owned()), ("db", "postgres:16".into())]);
        let set = [("APP_IMAGE", right.clone())];
        let cases = [
            said(&has(&right), &[up(&["db"]), up(&["app"])], &set),
            said(&has(&right), &[up(&["db", "ap"])], &set),
            said(&has("r.test/app:latest"), &[up(&["app"])], &set),
            said(&has("other:1"), &[up(&["app"])], &set),
            said(&has("other:1"), &[up(&["app"])], &[]),
            said(
                &has(&format!("r.test/app@{}", digest(2))),
                &[up(&["app"])],
                &[],
            ),
            said(
                &has(&format!("mirror.test/app@{}", digest(1))),
                &[up(&["app"])],
                &[],
            ),
        ];
        insta::assert_snapshot!(cases.join("\n"), @r#"
        fine
        compose.yml has no service `ap`; the image app runs in the service `app`, which is in no `up` and no `run` of the target
          did you mean `app`?
        the service `app` of compose.yml has the image r.test/app:latest, and not the one of this deployment, r.test/app@sha256:0101010101010101010101010101010101010101010101010101010101010101
          write `image: ${APP_IMAGE}` in the service `app`
        no service of compose.yml runs the image app
          write `image: ${APP_IMAGE}` in the service that runs it
        no service of compose.yml runs the image app
          add `env APP_IMAGE="${image.app}"` to `compose`, and write `image: ${APP_IMAGE}` in the service that runs it
        the service `app` of compose.yml has the image r.test/app@sha256:0202020202020202020202020202020202020202020202020202020202020202, and not the one of this deployment, r.test/app@sha256:0101010101010101010101010101010101010101010101010101010101010101
          add `env APP_IMAGE="${image.app}"` to `compose`, and write `image: ${APP_IMAGE}` in the service `app`
        fine
        "#);
    }

    #[test]
    fn the_values_of_a_variable_are_those_that_the_services_get() {
        let rendered = rendered(&[("app", "a:1".into()), ("other", "a:1".into())]);
        let services = BTreeSet::from(["app"]);
        let values = rendered.values(&services, "A");
        assert_eq!(values, BTreeMap::from([("app", "x$y".to_owned())]));
        assert!(rendered.values(&services, "B").is_empty());
        assert!(Rendered::read("services: {}").is_err());
    }

    #[test]
    fn an_image_that_was_pushed_nowhere_is_known_by_the_name_that_its_build_gave_it() {
        let bundle = bundle(&[("Web", "", 7)]);
        let name = format!("localhost/web:sha256-{}", "07".repeat(32));
        let rendered = rendered(&[("web", name)]);
        let services = BTreeSet::from(["web"]);
        let images = rendered.images(&services, &bundle);
        assert_eq!(images, BTreeMap::from([("web".to_owned(), "Web")]));
    }
}
