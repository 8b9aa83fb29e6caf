//! What runs of a Compose project, as the engine tells it: containers with their images by digest, what is amiss with them,
//! and their last words. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{ComposeProject, once};
use crate::container::PATIENCE;
use crate::deploy::container::no_engine;
use crate::deploy::driver::{Failure, Observed};
use crate::deploy::hands::Hands;
use crate::ledger::{Bundle, ImageAt};

/// How many lines of a service's log are shown when it fails.
const LINES: &str = "--tail=40";

/// What the engine knows of a container of the project.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) service: String,
    /// The one-shot service and the bundle, where pipe made it for one.
    pub(super) once: Option<(String, String)>,
    pub(super) is_oneoff: bool,
    pub(super) state: String,
    health: String,
    pub(super) exit: String,
    image: String,
}

/// A container as `inspect` prints it: <https://docs.docker.com/reference/api/engine/>, `ContainerInspect`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    image: String,
    config: Config,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    exit_code: i64,
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    status: String,
}

impl From<Inspected> for Container {
    fn from(it: Inspected) -> Self {
        let labels = it.config.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let once = label(once::SERVICE);
        Self {
            service: label("com.docker.compose.service"),
            is_oneoff: label("com.docker.compose.oneoff").eq_ignore_ascii_case("true"),
            once: (!once.is_empty()).then(|| (once, label(once::BUNDLE))),
            state: it.state.status,
            health: it.state.health.map(|h| h.status).unwrap_or_default(),
            exit: it.state.exit_code.to_string(),
            id: it.id,
            image: it.image,
        }
    }
}

impl Container {
    /// Why it is not as it should be.
    pub(super) fn amiss(&self) -> Option<String> {
        match (self.state.as_str(), self.health.as_str()) {
            ("running", "unhealthy") => Some("is unhealthy".to_owned()),
            ("running", _) => None,
            ("exited" | "dead" | "stopped", _) => Some(format!("ended with exit {}", self.exit)),
            ("restarting", _) => Some(format!("ends with exit {} each time", self.exit)),
            (other, _) => Some(format!("is {other}")),
        }
    }
}

impl ComposeProject {
    /// The containers of the project, those that ended too.
    pub(super) async fn containers(&self, hands: &mut Hands) -> Result<Vec<Container>, Failure> {
        let help = no_engine(hands);
        let lost = |f: Failure| match f.unreachable || f.refused {
            true => f,
            false => Failure {
                what: format!("the engine of {} cannot be asked: {}", self.target, f.what),
                ..f.unreachable().help(&help)
            },
        };
        let filter = format!("label=com.docker.compose.project={}", self.project);
        let list = self.engine(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        let list = list.quiet().muted().within(PATIENCE);
        let ids = hands.run(list).await.map_err(lost)?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut args = vec!["container", "inspect", "--"];
        args.extend(ids);
        // One that goes away in between is no mistake: the others are told all the same.
        let told = hands.ask(self.engine(&args).quiet().muted()).await?;
        let inspected: Vec<Inspected> = serde_json::from_str(&told.out)
            .map_err(|_| lost(Failure::new(told.complaint.clone())))?;
        Ok(inspected.into_iter().map(Container::from).collect())
    }

    /// The digests by which the engine knows images, by their ids.
    async fn names(
        &self,
        ids: &BTreeSet<&str>,
        hands: &mut Hands,
    ) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        let mut args = vec![
            "image",
            "inspect",
            "--format={{.Id}} {{json .RepoDigests}} {{json .RepoTags}}",
            "--",
        ];
        args.extend(ids.iter().copied());
        let told = hands.ask(self.engine(&args).quiet().muted()).await?;
        let mut all = BTreeMap::new();
        for line in told.out.lines() {
            let mut words = line.split(' ');
            let id = words.next().unwrap_or_default();
            let lists =
                words.flat_map(|w| serde_json::from_str::<Vec<String>>(w).unwrap_or_default());
            all.insert(id.to_owned(), lists.collect());
        }
        Ok(all)
    }

    pub(super) async fn what_runs(&self, hands: &mut Hands) -> Result<Observed, Failure> {
        self.rendered(hands).await?;
        let images = self.images();
        let containers = self.containers(hands).await?;
        let of = |c: &&Container| !c.is_oneoff && images.contains_key(&c.service);
        let ours: Vec<&Container> = containers.iter().filter(of).collect();
        let running: Vec<&&Container> = ours.iter().filter(|c| c.state == "running").collect();
        let ids: BTreeSet<&str> = running.iter().map(|c| c.image.as_str()).collect();
        let names = match ids.is_empty() {
            true => BTreeMap::new(),
            false => self.names(&ids, hands).await?,
        };
        let mut observed = Observed::default();
        for container in &running {
            let image = images[&container.service];
            let known = names.get(&container.image).map_or(&[][..], Vec::as_slice);
            observed.add(image, digest(&container.image, known, image, &self.bundle));
        }
        for service in images.keys() {
            let mut own = ours.iter().filter(|c| c.service == *service).peekable();
            if own.peek().is_none() {
                observed
                    .amiss
                    .push(format!("the service {service} does not run"));
            }
            observed
                .amiss
                .extend(own.filter_map(|c| Some(format!("the service {service} {}", c.amiss()?))));
        }
        Ok(observed)
    }

    /// Shows the logs of services that are not as they should be; says of each why, with its last words.
    pub(super) async fn explain(
        &self,
        services: &BTreeSet<&str>,
        hands: &mut Hands,
    ) -> Vec<String> {
        let mut why = Vec::new();
        for container in self.containers(hands).await.unwrap_or_default() {
            let is_meant = !container.is_oneoff && services.contains(container.service.as_str());
            let Some(amiss) = container.amiss().filter(|_| is_meant) else {
                continue;
            };
            let last = self.show_log(&container, hands).await;
            let last = if last.is_empty() {
                last
            } else {
                format!(": {last}")
            };
            why.push(format!("{} {amiss}{last}", container.service));
        }
        why
    }

    /// Shows the end of a container's log; gives the last line of it.
    pub(super) async fn show_log(&self, container: &Container, hands: &mut Hands) -> String {
        hands
            .say(&format!("the log of {}:", container.service))
            .await;
        let call = self.engine(&["logs", LINES, &container.id]);
        match hands.ask(call).await {
            Ok(told) if told.complaint.is_empty() => {
                let mut lines = told.out.lines().rev().map(str::trim);
                let last = lines.find(|l| !l.is_empty()).unwrap_or_default();
                last.chars().filter(|c| !c.is_control()).take(200).collect()
            }
            Ok(told) => told.complaint,
            Err(_) => String::new(),
        }
    }
}

/// The digest of an image that runs: the one that is asked for where it is that, otherwise what the engine calls it.
fn digest<'a>(id: &'a str, names: &'a [String], image: &str, bundle: &'a Bundle) -> &'a str {
    let wanted: Option<&ImageAt> = bundle.images.get(image);
    if let Some(at) = wanted {
        let local = at.on_engine(image);
        let is_it = |n: &String| {
            n.rsplit_once('@')
                .is_some_and(|(_, digest)| digest == at.digest)
                || *n == local
        };
        if names.iter().any(is_it) {
            return &at.digest;
        }
    }
    let mut digests = names.iter().filter_map(|n| Some(n.rsplit_once('@')?.1));
    digests.next_back().unwrap_or(id)
}
