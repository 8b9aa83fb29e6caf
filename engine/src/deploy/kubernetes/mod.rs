//! A target that is a Kubernetes workload, by the user's own `kubectl`, here or on a host that has one. Manifests get the
//! images by digest before the cluster sees them, and are checked by it before anything is changed. What runs is what the
//! pods say, never what was ordered.

mod asserted;
mod canary;
mod objects;
mod rollout;
mod source;
mod stuck;
mod unmanaged;
mod wait;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

pub use self::canary::Canary;
use self::objects::{Placed, Workload, text, title};
use super::driver::{Answer, Driver, Failure, Observed, Release};
use super::hands::{Call, Hands, write};
use super::places::Container;
use super::ready::Readiness;
use super::settings::Settings;
use crate::ledger::{Bundle, ImageAt, Place};

/// The annotation of a workload that a deployment made: the bundle that it was made for.
const FIRST: &str = "dev.pipe/first-release";
/// What `kubectl rollout history` shows of a revision.
const CAUSE: &str = "kubernetes.io/change-cause";
/// How long the cluster may take to know a new kind.
const KNOWN: &str = "--timeout=60s";
/// What to do where the cluster does not answer.
const KUBECONFIG: &str = "look at the context and at the kubeconfig; `pass-env KUBECONFIG` in the pipeline hands the variable on";
/// The time between two questions.
const EVERY: Duration = Duration::from_secs(1);
/// How long pods may take to go away.
const GONE: Duration = Duration::from_secs(180);

/// Workloads of a cluster.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// The target's name.
    pub target: String,
    /// kubectl, with its first arguments.
    pub kubectl: Vec<String>,
    /// The context of the kubeconfig.
    pub context: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// A file or folder of manifests, relative to the pipeline's folder.
    pub manifests: Option<PathBuf>,
    /// The Deployment that gets the images; all workloads of the manifests where none is named.
    pub deployment: Option<String>,
    /// The container that gets the image.
    pub container: Option<String>,
    /// Variables of kubectl.
    pub env: Vec<(String, String)>,
    /// The images of the bundle for which it was made.
    pub images: BTreeMap<String, ImageAt>,
    /// When the target counts as ready.
    pub ready: Option<Readiness>,
    /// The steps of a canary, where there are some.
    pub canary: Option<Canary>,
    /// What its containers must be told.
    pub settings: Settings,
    /// What was read of the manifests.
    pub manifested: Arc<Manifested>,
}

/// The objects of the manifests, each read once: kubectl asks the cluster for it.
#[derive(Debug, Default)]
pub struct Manifested {
    /// Those that are here.
    here: OnceCell<Vec<Value>>,
    /// Those of the release that it goes back to.
    then: OnceCell<Vec<Value>>,
}

/// What a release is in the cluster.
struct Rendered {
    /// Everything that is applied; nothing where there are no manifests.
    objects: Vec<Value>,
    /// What is waited for.
    workloads: Vec<Workload>,
    /// Which container runs which image.
    placed: Placed,
}

impl Kubernetes {
    /// kubectl with these arguments.
    fn call<S: AsRef<str>>(&self, args: &[S]) -> Call {
        let mut words = self.kubectl.iter();
        let program = words.next().map_or("kubectl", String::as_str);
        let mut all: Vec<String> = words.cloned().collect();
        all.extend(self.context.iter().map(|c| format!("--context={c}")));
        all.extend(self.namespace.iter().map(|n| format!("--namespace={n}")));
        all.extend(args.iter().map(|a| a.as_ref().to_owned()));
        Call::new(program, all).envs(&self.env)
    }

    /// The same for what belongs to a workload.
    fn call_at(&self, workload: &Workload, args: &[&str]) -> Call {
        let mut all: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        // The last one counts.
        all.extend(
            workload
                .namespace
                .iter()
                .map(|n| format!("--namespace={n}")),
        );
        self.call(&all)
    }

    async fn run(&self, call: Call, hands: &mut Hands) -> Result<String, Failure> {
        hands.run(call).await.map_err(understood)
    }

    /// Sends objects to a command that reads them.
    async fn send(
        &self,
        objects: &[Value],
        args: &[&str],
        hands: &mut Hands,
    ) -> Result<String, Failure> {
        let is_asked = args.contains(&"--dry-run=server");
        let file = hands.scratch.join("objects.json");
        write(&file, &objects::written(objects))?;
        let call = self.call(args).input(&file);
        let call = if is_asked { call.quiet() } else { call };
        let sent = self.run(call, hands).await;
        // There may be secrets in them.
        let _ = std::fs::remove_file(&file);
        sent
    }

    /// A workload as it is now; `None` where there is none.
    async fn live(&self, workload: &Workload, hands: &mut Hands) -> Result<Option<Value>, Failure> {
        let args = [
            "get",
            &workload.kind,
            &workload.name,
            "--ignore-not-found",
            "--output=json",
        ];
        let printed = self
            .run(self.call_at(workload, &args).quiet().muted(), hands)
            .await?;
        Ok(objects::read(&printed)?.into_iter().next())
    }

    /// The Deployment that is named, or the workloads of the manifests.
    fn chosen(&self, objects: &[Value]) -> Result<Vec<Workload>, Failure> {
        let all: Vec<Workload> = objects.iter().filter_map(Workload::of).collect();
        let Some(name) = &self.deployment else {
            if all.is_empty() {
                return Err(Failure::new("the manifests have no Deployment, StatefulSet or DaemonSet")
                    .help("name the Deployment that gets the image with `deployment=`, if it is made elsewhere"));
            }
            return Ok(all);
        };
        if self.manifests.is_none() {
            return Ok(vec![self.named(name)]);
        }
        let found: Vec<Workload> = all.iter().filter(|w| w.name == *name).cloned().collect();
        if found.is_empty() {
            let names: Vec<String> = all.iter().map(Workload::title).collect();
            let there = match names.is_empty() {
                true => "nothing that runs".to_owned(),
                false => dsl::text::list(&names),
            };
            return Err(Failure::new(format!(
                "the manifests have no Deployment `{name}`: there is {there}"
            ))
            .help("correct `deployment` in the target, or the name in the manifest"));
        }
        Ok(found)
    }

    fn named(&self, name: &str) -> Workload {
        Workload {
            kind: "deployment".to_owned(),
            name: name.to_owned(),
            namespace: self.namespace.clone(),
        }
    }

    /// What a release is, with its images in place.
    async fn rendered(&self, release: &Release, hands: &mut Hands) -> Result<Rendered, Failure> {
        let images = &release.bundle.images;
        if let Some((name, _)) = images.iter().find(|(_, i)| i.repository.is_empty()) {
            return Err(Failure::new(format!(
                "the image {name} is known by its digest alone, and nodes fetch images from a registry"
            ))
            .help(format!("push it first, or say `digest {name}=\"repository@sha256:…\"`")));
        }
        let mut objects = self.objects(release, hands).await?;
        let workloads = self.chosen(&objects)?;
        let is_chosen = |o: &Value| Workload::of(o).is_some_and(|w| workloads.contains(&w));
        let placed = match self.manifests.is_some() {
            true => {
                let chosen: Vec<&Value> = objects.iter().filter(|o| is_chosen(o)).collect();
                objects::placed(&chosen, images, self.container.as_deref())?
            }
            false => {
                let live = self.live(&workloads[0], hands).await?.ok_or_else(|| {
                    Failure::new(format!("there is no {}", workloads[0].title()))
                        .help("make it first, or name the manifests that make it with `manifests=`")
                })?;
                objects::placed(&[&live], images, self.container.as_deref())?
            }
        };
        for object in objects.iter_mut().filter(|o| is_chosen(o)) {
            objects::put(object, &placed, images);
            objects::annotate(object, CAUSE, &release.bundle.title());
        }
        Ok(Rendered {
            objects,
            workloads,
            placed,
        })
    }

    /// The images as `kubectl set image` takes them.
    fn set_image(&self, rendered: &Rendered, images: &BTreeMap<String, ImageAt>) -> Vec<String> {
        let workload = &rendered.workloads[0];
        let mut args = vec!["set".to_owned(), "image".to_owned(), workload.title()];
        let places = rendered.placed.get(&workload.title()).into_iter().flatten();
        for (container, image) in places {
            if let Some(image) = images.get(image) {
                args.push(format!("{container}={}", image.reference()));
            }
        }
        args
    }

    /// Lets the cluster say whether it would take it.
    async fn dry(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let rendered = self.rendered(release, hands).await?;
        let refused = |f: Failure| match f.unreachable {
            true => f,
            false => Failure {
                what: format!("the cluster does not take it: {}", f.what),
                ..f
            },
        };
        if self.manifests.is_none() {
            let mut args = self.set_image(&rendered, &release.bundle.images);
            args.push("--dry-run=server".to_owned());
            let call = self.call(&args).quiet();
            return self.run(call, hands).await.map(|_| ()).map_err(refused);
        }
        let objects = self.answerable(rendered.objects, hands).await?;
        if objects.is_empty() {
            return Ok(());
        }
        let args = ["apply", "--dry-run=server", "--output=name", "--filename=-"];
        self.send(&objects, &args, hands)
            .await
            .map(|_| ())
            .map_err(refused)
    }

    /// The objects without those whose kind or namespace is only made with them: the cluster can say nothing about them yet.
    async fn answerable(
        &self,
        objects: Vec<Value>,
        hands: &mut Hands,
    ) -> Result<Vec<Value>, Failure> {
        let kinds = objects::defined(&objects);
        let is_defined = |o: &Value| kinds.contains(&objects::kind(o));
        let (new, objects): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_defined);
        for object in &new {
            let line = format!(
                "{} is checked when it is applied: its kind is defined by these manifests",
                title(object)
            );
            hands.say(&line).await;
        }
        let made = objects.iter().filter(|o| o["kind"] == "Namespace");
        let made: Vec<String> = made.map(|o| text(&o["metadata"]["name"])).collect();
        if made.is_empty() {
            return Ok(objects);
        }
        let mut args = vec!["get", "namespace", "--ignore-not-found", "--output=name"];
        args.extend(made.iter().map(String::as_str));
        let there = self.run(self.call(&args).quiet(), hands).await?;
        let is_there = |name: &str| {
            there
                .lines()
                .any(|l| l.trim() == format!("namespace/{name}"))
        };
        let is_new = |o: &Value| {
            let namespace = text(&o["metadata"]["namespace"]);
            made.contains(&namespace) && !is_there(&namespace)
        };
        let (new, known): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_new);
        for object in &new {
            let line = format!("{} is checked when its namespace is there", title(object));
            hands.say(&line).await;
        }
        Ok(known)
    }

    async fn make_run(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let mut rendered = self.rendered(release, hands).await?;
        if self.manifests.is_none() {
            let args = self.set_image(&rendered, &release.bundle.images);
            return self.run(self.call(&args), hands).await.map(|_| ());
        }
        for workload in rendered.workloads.clone() {
            if self.live(&workload, hands).await?.is_none() {
                let made = rendered.objects.iter_mut();
                for object in made.filter(|o| Workload::of(o).as_ref() == Some(&workload)) {
                    objects::annotate(object, FIRST, &release.bundle.id());
                }
            }
        }
        if let Some(canary) = self.canary.as_ref().filter(|_| !release.is_back) {
            self.try_out(canary, release, &rendered, hands).await?;
        }
        // Objects of a kind can only be sent when the cluster knows it.
        let (kinds, rest): (Vec<Value>, Vec<Value>) =
            rendered.objects.into_iter().partition(objects::defines);
        if !kinds.is_empty() {
            self.send(&kinds, &["apply", "--filename=-"], hands).await?;
            let names: Vec<String> = kinds.iter().map(title).collect();
            let mut args = vec!["wait", "--for=condition=established", KNOWN];
            args.extend(names.iter().map(String::as_str));
            self.run(self.call(&args).quiet(), hands).await?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        self.send(&rest, &["apply", "--filename=-"], hands)
            .await
            .map(|_| ())
    }

    /// What the pods of workloads run. Which container has which image is seen in all of them together, as when they were
    /// applied.
    async fn observed(
        &self,
        workloads: Vec<Workload>,
        hands: &mut Hands,
    ) -> Result<Observed, Failure> {
        let mut lives = Vec::new();
        for workload in workloads {
            if let Some(live) = self.live(&workload, hands).await? {
                lives.push((workload, live));
            }
        }
        let all: Vec<&Value> = lives.iter().map(|(_, live)| live).collect();
        let placed = objects::placed(&all, &self.images, self.container.as_deref());
        let mut observed = Observed::default();
        for (workload, live) in &lives {
            let containers = objects::containers(live);
            for pod in self.pods(workload, live, hands).await? {
                for (container, digest) in objects::digests(&pod) {
                    let name = match &placed {
                        Ok(placed) => placed
                            .get(&workload.title())
                            .and_then(|p| p.get(&container))
                            .cloned(),
                        Err(_) => self.guess(&containers, &container),
                    };
                    if let Some(name) = name {
                        observed.add(&name, &digest);
                    }
                }
            }
        }
        Ok(observed)
    }

    /// The image that a container runs, where not every image has its place: by the container's name or its repository,
    /// or nobody knows and it has none.
    fn guess(&self, containers: &[Container], name: &str) -> Option<String> {
        let container = containers.iter().find(|c| c.name == name)?;
        let repository = super::places::repository(&container.image);
        let by_repository = self.images.iter().find(|(_, i)| i.repository == repository);
        match (self.images.get_key_value(name), by_repository) {
            (Some((name, _)), _) | (None, Some((name, _))) => Some(name.clone()),
            (None, None) if self.deployment.is_some() => Some(String::new()),
            (None, None) => None,
        }
    }

    async fn pods(
        &self,
        workload: &Workload,
        live: &Value,
        hands: &mut Hands,
    ) -> Result<Vec<Value>, Failure> {
        let selector = format!("--selector={}", objects::selector(live));
        let args = ["get", "pods", &selector, "--output=json"];
        let printed = self
            .run(self.call_at(workload, &args).quiet(), hands)
            .await?;
        objects::read(&printed)
    }

    /// Takes away what this release brought. What was there before it stays, without pods.
    async fn to_nothing(&self, from: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let rendered = self.rendered(from, hands).await?;
        for workload in &rendered.workloads {
            let Some(live) = self.live(workload, hands).await? else {
                continue;
            };
            let first = text(&live["metadata"]["annotations"][FIRST]);
            let title = workload.title();
            let args = match first == from.bundle.id() {
                true => ["delete", title.as_str(), "--ignore-not-found"],
                false if workload.kind == "daemonset" => {
                    return Err(Failure::new(format!(
                        "{title} was there before, and has no pods to go back to"
                    )));
                }
                false => ["scale", title.as_str(), "--replicas=0"],
            };
            self.run(self.call_at(workload, &args), hands).await?;
        }
        self.until_gone(&rendered.workloads, hands).await?;
        let is_left = |o: &&Value| Workload::of(o).is_none();
        let left: Vec<String> = rendered.objects.iter().filter(is_left).map(title).collect();
        if !left.is_empty() {
            let line = format!("left there, as nothing runs by them: {}", left.join(", "));
            hands.say(&line).await;
        }
        Ok(())
    }

    /// Waits until workloads have no pods.
    async fn until_gone(&self, workloads: &[Workload], hands: &mut Hands) -> Result<(), Failure> {
        let began = Instant::now();
        while !self.left(workloads, hands).await?.is_empty() {
            if began.elapsed() > GONE {
                return Err(Failure::new("its pods do not go away"));
            }
            hands.pause(EVERY).await?;
        }
        Ok(())
    }

    /// The pods of workloads that may be gone already.
    async fn left(
        &self,
        workloads: &[Workload],
        hands: &mut Hands,
    ) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for workload in workloads {
            let args = ["get", "pods", "--output=json"];
            let printed = self
                .run(self.call_at(workload, &args).quiet(), hands)
                .await?;
            let pods = objects::read(&printed)?.into_iter();
            let of_it = pods.filter(|pod| {
                wait::belongs(pod, workload) && pod["metadata"]["deletionTimestamp"].is_null()
            });
            names.extend(of_it.map(|pod| text(&pod["metadata"]["name"])));
        }
        Ok(names)
    }
}

/// What kubectl's complaint means.
fn understood(failure: Failure) -> Failure {
    let away = [
        "was refused - did you specify the right host",
        "Unable to connect to the server",
        "connection refused",
        "i/o timeout",
        "TLS handshake timeout",
        "connection reset by peer",
        "no route to host",
        "context deadline exceeded",
        "client connection lost",
        "the server is currently unable to handle the request",
        "etcdserver: ",
    ];
    // The cluster answers, and not to this login.
    if failure.what.contains("must be logged in to the server") {
        return failure.infrastructure().help(KUBECONFIG);
    }
    if !away.iter().any(|a| failure.what.contains(a)) {
        return failure;
    }
    failure.unreachable().help(KUBECONFIG)
}

impl Driver for Kubernetes {
    fn word(&self) -> &'static str {
        "kubernetes"
    }

    fn goes_on(&self) -> bool {
        true
    }

    fn observe<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, Observed> {
        Box::pin(async move {
            let workloads = match (self.here(hands).await, &self.deployment) {
                (Ok(objects), _) => self.chosen(&objects)?,
                // What runs can be asked whatever stands in the files.
                (Err(failure), Some(name)) if !failure.unreachable => vec![self.named(name)],
                (Err(failure), _) => return Err(failure),
            };
            self.observed(workloads, hands).await
        })
    }

    fn look_before<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.assert(release, hands))
    }

    fn can_have<'a>(&'a self, _: &'a Bundle, _: &'a mut Hands) -> Answer<'a, bool> {
        // Nodes fetch images, with rights that are theirs.
        Box::pin(async { Ok(true) })
    }

    fn check<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.dry(release, hands))
    }

    fn apply<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.make_run(release, hands))
    }

    fn ready<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(async move {
            let objects = self.objects(release, hands).await?;
            for workload in self.chosen(&objects)? {
                self.rolled_out(&workload, release, hands).await?;
            }
            Ok(())
        })
    }

    fn settle<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.remove_canary(hands))
    }

    fn remembers<'a>(
        &'a self,
        hands: &'a mut Hands,
    ) -> Answer<'a, Option<BTreeMap<String, Place>>> {
        Box::pin(self.remembered(hands))
    }

    fn restore<'a>(
        &'a self,
        from: &'a Release,
        places: &'a BTreeMap<String, Place>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(self.restored(from, places, hands))
    }

    fn undo<'a>(
        &'a self,
        from: &'a Release,
        to: Option<&'a Release>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            self.remove_canary(hands).await?;
            match to {
                Some(to) => self.make_run(to, hands).await,
                None => self.to_nothing(from, hands).await,
            }
        })
    }
}
