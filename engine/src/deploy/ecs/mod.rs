//! A target that is a service of Amazon ECS, by the user's own `aws` command line. A release is a revision of the task
//! definition that differs from the one before in its images alone. What runs is what the tasks say, never what was ordered:
//! a service that went back by itself is calm, too.

mod task;
mod unmanaged;
mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::task::text;
use super::driver::{Answer, Driver, Failure, Observed, Release};
use super::hands::{Call, Hands, write};
use super::places::{self, Container};
use super::ready::Readiness;
use super::settings::Settings;
use crate::ledger::{Bundle, ImageAt, Place};

/// The time between two questions; the service may be asked a few times in a second by everybody together.
const EVERY: Duration = Duration::from_secs(3);
/// The pause before an order is given again that AWS could not take, doubled each time.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is given.
const TRIES: u32 = 5;
/// How many tasks are described at once; more are not allowed.
const AT_ONCE: usize = 100;
/// How many revisions are looked at for an earlier release.
const REVISIONS: &str = "20";
/// Runs what follows with the input in a file.
const OVER_SSH: &str =
    "f=$(mktemp) && trap 'rm -f \"$f\"' EXIT && cat >\"$f\" && \"$@\" <\"$f\" || exit 1";
/// How long tasks may take to stop.
const GONE: Duration = Duration::from_secs(300);

/// A service.
#[derive(Debug, Clone)]
pub struct Ecs {
    /// The target's name.
    pub target: String,
    /// The cluster.
    pub cluster: String,
    /// The service.
    pub service: String,
    /// The region.
    pub region: String,
    /// The container that gets the image.
    pub container: Option<String>,
    /// Variables of the command line.
    pub env: Vec<(String, String)>,
    /// The images of the bundle for which it was made.
    pub images: BTreeMap<String, ImageAt>,
    /// When the target counts as ready.
    pub ready: Option<Readiness>,
    /// What was ordered.
    pub ordered: Arc<Mutex<Ordered>>,
    /// What its containers must be told.
    pub settings: Settings,
}

/// What was ordered of a service, what it was before, and what AWS has told.
#[derive(Debug, Clone, Default)]
pub struct Ordered {
    /// The revision that is to run.
    revision: Option<String>,
    /// The revision before the first order.
    before: Option<String>,
    /// The events that are from before.
    events: Vec<String>,
    /// The service as AWS told of it with the last order, until it is asked for again.
    told: Option<Value>,
    /// The revisions that were asked for. One that is registered never changes.
    known: BTreeMap<String, Value>,
}

impl Ecs {
    /// The command line with these arguments.
    fn call(&self, args: &[&str], hands: &Hands) -> Call {
        let mut words: Vec<&str> = vec!["ecs"];
        words.extend(args);
        words.extend(["--region", &self.region, "--output", "json"]);
        // With 255, ssh's own failure looks like one of the command line; and what it reads behind ssh is no file, where it
        // opens its input twice by its name. A file there is its owner's alone, as what is in it may be secret.
        let call = match hands.ssh.is_some() {
            true => {
                let around = ["-c", OVER_SSH, "sh", "aws"];
                Call::new("sh", around.iter().chain(&words))
            }
            false => Call::new("aws", words),
        };
        call.env("AWS_PAGER", "").envs(&self.env).quiet().muted()
    }

    /// Gives an order, again where AWS could not take it.
    async fn aws(&self, call: Call, hands: &mut Hands) -> Result<Value, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match hands.run(call.clone()).await {
                Ok(printed) if printed.trim().is_empty() => return Ok(Value::Null),
                Ok(printed) => {
                    return serde_json::from_str(&printed)
                        .map_err(|e| Failure::new(format!("aws printed no JSON: {e}")));
                }
                Err(failure) => failure,
            };
            if !passes(&failure.what) {
                return Err(self.understood(failure));
            }
            if tries == TRIES {
                return Err(Failure {
                    what: format!("AWS does not answer ({tries} tries): {}", failure.what),
                    ..failure
                }
                .unreachable()
                .help("is there a way to AWS from here? `aws sts get-caller-identity` asks it"));
            }
            hands
                .say(&format!("once more in a moment: {}", failure.what))
                .await;
            hands.pause(PAUSE * 2_u32.pow(tries - 1)).await?;
        }
    }

    /// What AWS's refusal means.
    fn understood(&self, failure: Failure) -> Failure {
        let says = |texts: &[&str]| texts.iter().any(|t| failure.what.contains(t));
        if says(&["ServiceNotFoundException", "ClusterNotFoundException"]) {
            return self.no_service();
        }
        if says(&[
            "Unable to locate credentials",
            "ExpiredToken",
            "UnrecognizedClient",
        ]) {
            return failure.infrastructure().help(
                "log in as you do for `aws`; `pass-env AWS_PROFILE` (or AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN) in the pipeline hands the variables on",
            );
        }
        failure
    }

    fn no_service(&self) -> Failure {
        Failure::new(format!(
            "the cluster {} has no service {}",
            self.cluster, self.service
        ))
        .help("make the service first, with whatever makes the rest of the account; pipe only gives it new images")
    }

    fn of_service(&self) -> [&str; 4] {
        ["--cluster", &self.cluster, "--service", &self.service]
    }

    /// The service as it is now.
    async fn now(&self, hands: &mut Hands) -> Result<Value, Failure> {
        let args = [
            "describe-services",
            "--cluster",
            &self.cluster,
            "--services",
            &self.service,
        ];
        let call = self.call(&args, hands);
        let mut told = self.aws(call, hands).await?;
        let service = told["services"][0].take();
        if service.is_null() || service["status"] == "INACTIVE" {
            return Err(self.no_service());
        }
        Ok(service)
    }

    async fn definition(&self, revision: &str, hands: &mut Hands) -> Result<Value, Failure> {
        if let Some(known) = self.ordered.lock().await.known.get(revision) {
            return Ok(known.clone());
        }
        let args = [
            "describe-task-definition",
            "--task-definition",
            revision,
            "--include",
            "TAGS",
        ];
        let call = self.call(&args, hands);
        let told = self.aws(call, hands).await?;
        let known = &mut self.ordered.lock().await.known;
        known.insert(revision.to_owned(), told.clone());
        Ok(told)
    }

    /// Which container of a task runs which image.
    fn placed(
        &self,
        definition: &Value,
        images: &BTreeMap<String, ImageAt>,
    ) -> Result<Vec<(Container, Option<String>)>, Failure> {
        let containers = task::containers(&definition["taskDefinition"]["containerDefinitions"]);
        let places = places::places(&containers, images, self.container.as_deref())?;
        Ok(containers.into_iter().zip(places).collect())
    }

    async fn look(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let images = &release.bundle.images;
        if let Some((name, _)) = images.iter().find(|(_, i)| i.repository.is_empty()) {
            return Err(Failure::new(format!(
                "the image {name} is known by its digest alone, and ECS fetches images from a registry"
            ))
            .help(format!("push it first, or say `digest {name}=\"repository@sha256:…\"`")));
        }
        let service = self.now(hands).await?;
        let controller = text(&service["deploymentController"]["type"]);
        if !matches!(controller.as_str(), "" | "ECS") {
            return Err(Failure::new(format!(
                "the service {} is deployed by {controller}, and not by ECS itself",
                self.service
            ))
            .help("pipe drives services whose deploymentController is ECS; use `run` with your own commands for others"));
        }
        let definition = self
            .definition(&text(&service["taskDefinition"]), hands)
            .await?;
        self.placed(&definition, images).map(|_| ())
    }

    /// Whether the containers that get the images are told what they must be, by the revision that is renewed or gone back to.
    async fn assert(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        if self.settings.0.is_empty() {
            return Ok(());
        }
        let service = self.now(hands).await?;
        let current = text(&service["taskDefinition"]);
        let mut definition = self.definition(&current, hands).await?;
        if release.is_back
            && let Some(earlier) = self.earlier(&definition, release, hands).await?
        {
            definition = self.definition(&earlier, hands).await?;
        }
        let placed = self.placed(&definition, &release.bundle.images)?;
        let told = task::variables(&definition, &placed);
        self.settings.in_containers(&self.target, &told)
    }

    async fn make_run(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let service = self.now(hands).await?;
        let current = text(&service["taskDefinition"]);
        {
            let mut ordered = self.ordered.lock().await;
            ordered.before.get_or_insert(current.clone());
            ordered.events = task::events(&service).map(|e| text(&e["id"])).collect();
        }
        let definition = self.definition(&current, hands).await?;
        let images = &release.bundle.images;
        let placed = self.placed(&definition, images)?;
        let known = match (task::runs(&definition, &placed, images), release.is_back) {
            (true, _) => Some(current.clone()),
            (false, true) => self.earlier(&definition, release, hands).await?,
            (false, false) => None,
        };
        let revision = match known {
            Some(revision) => revision,
            None => self.registered(&definition, &placed, images, hands).await?,
        };
        self.update(&revision, revision == current, hands).await
    }

    /// The revision with these images, if there is one: all its settings are those of then.
    async fn earlier(
        &self,
        definition: &Value,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<Option<String>, Failure> {
        let family = text(&definition["taskDefinition"]["family"]);
        let args = [
            "list-task-definitions",
            "--family-prefix",
            &family,
            "--sort",
            "DESC",
            "--max-items",
            REVISIONS,
        ];
        let call = self.call(&args, hands);
        let told = self.aws(call, hands).await?;
        let own = text(&definition["taskDefinition"]["taskDefinitionArn"]);
        let images = &release.bundle.images;
        for arn in told["taskDefinitionArns"].as_array().into_iter().flatten() {
            let arn = text(arn);
            if arn == own {
                continue;
            }
            let other = self.definition(&arn, hands).await?;
            // The prefix may be that of another family, too.
            if text(&other["taskDefinition"]["family"]) != family {
                continue;
            }
            if let Ok(placed) = self.placed(&other, images)
                && task::runs(&other, &placed, images)
            {
                return Ok(Some(arn));
            }
        }
        Ok(None)
    }

    /// A new revision that differs in its images alone.
    async fn registered(
        &self,
        definition: &Value,
        placed: &[(Container, Option<String>)],
        images: &BTreeMap<String, ImageAt>,
        hands: &mut Hands,
    ) -> Result<String, Failure> {
        let new = task::renewed(definition, placed, images);
        let file = hands.scratch.join("task.json");
        write(&file, &new.to_string())?;
        let args = [
            "register-task-definition",
            "--cli-input-json",
            "file:///dev/stdin",
        ];
        let call = self.call(&args, hands).input(&file);
        let told = self.aws(call, hands).await;
        // Its variables may be secrets.
        let _ = std::fs::remove_file(&file);
        let arn = text(&told?["taskDefinition"]["taskDefinitionArn"]);
        hands
            .say(&format!("registered {}", task::short(&arn)))
            .await;
        Ok(arn)
    }

    async fn update(&self, revision: &str, anew: bool, hands: &mut Hands) -> Result<(), Failure> {
        let mut args = vec!["update-service"];
        args.extend(self.of_service());
        args.extend(["--task-definition", revision]);
        if anew {
            args.push("--force-new-deployment");
        }
        let call = self.call(&args, hands);
        let mut told = self.aws(call, hands).await?;
        {
            let mut ordered = self.ordered.lock().await;
            ordered.revision = Some(revision.to_owned());
            ordered.told = Some(told["service"].take()).filter(|service| !service.is_null());
        }
        hands
            .say(&format!(
                "{} is to run {}",
                self.service,
                task::short(revision)
            ))
            .await;
        Ok(())
    }

    /// The tasks of the service that are to be so.
    async fn tasks(&self, state: &str, hands: &mut Hands) -> Result<Vec<Value>, Failure> {
        let args = [
            "list-tasks",
            "--cluster",
            &self.cluster,
            "--service-name",
            &self.service,
            "--desired-status",
            state,
        ];
        let call = self.call(&args, hands);
        let told = self.aws(call, hands).await?;
        let arns: Vec<String> = told["taskArns"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        let mut tasks = Vec::new();
        for some in arns.chunks(AT_ONCE) {
            let mut args = vec!["describe-tasks", "--cluster", &self.cluster, "--tasks"];
            args.extend(some.iter().map(String::as_str));
            let call = self.call(&args, hands);
            let mut told = self.aws(call, hands).await?;
            if let Some(all) = told["tasks"].as_array_mut() {
                tasks.append(all);
            }
        }
        Ok(tasks)
    }

    async fn observed(&self, hands: &mut Hands) -> Result<Observed, Failure> {
        let mut observed = Observed::default();
        for task in self.tasks("RUNNING", hands).await? {
            if task["lastStatus"] != "RUNNING" {
                continue;
            }
            let containers = task::containers(&task["containers"]);
            let places = places::places(&containers, &self.images, self.container.as_deref());
            // Where nobody knows which is which, all of them are told.
            let places = places.unwrap_or_else(|_| vec![Some(String::new()); containers.len()]);
            let all = task["containers"].as_array().into_iter().flatten();
            for (container, place) in all.zip(places) {
                if let (Some(name), Some(digest)) = (place, task::digest(container)) {
                    observed.add(&name, &digest);
                }
            }
        }
        Ok(observed)
    }

    /// Back to the revision from before, with which nothing ran.
    async fn to_nothing(&self, hands: &mut Hands) -> Result<(), Failure> {
        let ordered = self.ordered.lock().await.clone();
        let Some(before) = ordered.before else {
            return Err(Failure::new(format!(
                "nothing is known that {} ran before; it keeps the task definition of the release that failed",
                self.service
            )));
        };
        self.update(&before, false, hands).await?;
        let began = Instant::now();
        while !self.observed(hands).await?.is_empty() {
            if began.elapsed() > GONE {
                return Err(Failure::new("its tasks do not stop"));
            }
            hands.pause(EVERY).await?;
        }
        Ok(())
    }
}

/// Whether a complaint is about something that passes.
fn passes(complaint: &str) -> bool {
    let passing = [
        "Throttl",
        "TooManyRequests",
        "Rate exceeded",
        "RequestLimitExceeded",
        "ServerException",
        "InternalFailure",
        "InternalServerError",
        "ServiceUnavailable",
        "(500)",
        "(502)",
        "(503)",
        "(504)",
        "Could not connect to the endpoint",
        "Connection was closed",
        "timeout on endpoint",
        "Failed to connect to proxy",
    ];
    passing.iter().any(|p| complaint.contains(p))
}

impl Driver for Ecs {
    fn word(&self) -> &'static str {
        "ecs"
    }

    fn goes_on(&self) -> bool {
        true
    }

    fn observe<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, Observed> {
        Box::pin(self.observed(hands))
    }

    fn look_before<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.assert(release, hands))
    }

    fn can_have<'a>(&'a self, _: &'a Bundle, _: &'a mut Hands) -> Answer<'a, bool> {
        // Tasks fetch images, with rights that are theirs.
        Box::pin(async { Ok(true) })
    }

    fn check<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.look(release, hands))
    }

    fn apply<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.make_run(release, hands))
    }

    fn ready<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.rolled_out(hands))
    }

    fn remembers<'a>(
        &'a self,
        hands: &'a mut Hands,
    ) -> Answer<'a, Option<BTreeMap<String, Place>>> {
        Box::pin(self.remembered(hands))
    }

    fn restore<'a>(
        &'a self,
        _: &'a Release,
        places: &'a BTreeMap<String, Place>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(self.restored(places, hands))
    }

    fn undo<'a>(
        &'a self,
        _: &'a Release,
        to: Option<&'a Release>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            match to {
                Some(to) => self.make_run(to, hands).await,
                None => self.to_nothing(hands).await,
            }
        })
    }
}
