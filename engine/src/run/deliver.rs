//! Steps that make targets run something: from the file and the run to a deployment, and from its end to a step's outcome.
//! What a deployment does, and in which order, is not known here.

pub(super) mod fields;

use std::path::PathBuf;
use std::sync::Arc;

use dsl::model::{Command, Deploy, Earlier, Target};
use tokio::sync::{mpsc, oneshot};

use self::fields::Fields;
use super::event::{Event, StepName};
use super::outcome::{Failure, Means};
use super::task::{Outputs, Try};
use super::work::{self, News, NotDone, Site};
use crate::deploy::{self, Before, Call, Ending, Hands, Migrated, Request};
use crate::ledger::{Bundle, Cause, History, ImageAt, Ledger, LedgerError, Record, Way, unique};
use crate::plan::{Plan, PlannedStep, RunFacts};
use crate::process::Chunk;
use crate::world::{self, Git};

/// A deployment as a step has it.
#[derive(Clone)]
pub(super) struct Delivery {
    /// The target's name.
    pub(super) target: String,
    /// What it is to run.
    pub(super) what: What,
    is_explicit: bool,
    rollback: Vec<Call>,
    stays: Option<String>,
    floor: Option<String>,
    fields: Arc<Fields>,
    pub(super) ledger: LedgerAt,
    step: StepName,
}

/// What a target is to run.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// This.
    Bundle(Bundle),
    /// A release that it had before.
    Earlier(Option<String>),
    /// What it had before this deployment.
    Before(String),
}

/// Where the ledger is.
#[derive(Debug, Clone)]
pub(super) struct LedgerAt {
    root: PathBuf,
    files: bool,
    run: String,
}

/// This run, for a person who reads the ledger: its address in a CI, its number elsewhere.
#[must_use]
pub fn origin(run_id: u64) -> String {
    let ci = world::build_url(&|name| std::env::var(name).ok());
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    match (ci, run_id) {
        (Some(address), _) => address,
        (None, 0) => format!("somebody on {host}"),
        (None, id) => format!("run {id} on {host}"),
    }
}

impl LedgerAt {
    pub(super) fn of(about: About<'_>) -> Self {
        Self {
            files: about.plan.pipeline.ledger_files,
            run: origin(about.run_id),
            root: about.options.root.clone(),
        }
    }

    /// Opens it.
    pub(super) async fn open(&self) -> Result<Arc<Ledger>, Failure> {
        let at = self.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let env = |name: &str| std::env::var(name).ok();
            Ledger::open(&at.root, &env, at.files, &at.run)
        });
        match opened.await {
            Ok(Ok(ledger)) => Ok(Arc::new(ledger)),
            Ok(Err(error)) => Err(of_ledger(&error)),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    }
}

impl Delivery {
    /// What the target's fields are filled with.
    pub(super) fn fields(&self) -> Arc<Fields> {
        Arc::clone(&self.fields)
    }

    /// The same target, back to what it had before this deployment.
    pub(super) fn before(&self, deployment: &str) -> Self {
        Self {
            what: What::Before(deployment.to_owned()),
            is_explicit: true,
            ..self.clone()
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("target", &self.target)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

/// What a step's preparation knows.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) plan: &'a Plan,
    pub(super) planned: &'a PlannedStep,
    pub(super) options: &'a super::Options,
    pub(super) run_id: u64,
    pub(super) facts: &'a dyn RunFacts,
}

impl About<'_> {
    /// Whether somebody named exactly this step.
    pub(super) fn is_named(self) -> bool {
        let step = self.plan.definition(self.planned);
        let full = self.plan.pipeline.full_name(self.planned.id);
        let names = [&step.name.value, &full];
        self.plan.request.names.iter().any(|n| names.contains(&n))
    }
}

/// Prepares a `deploy`.
///
/// # Errors
/// A value that is missing, or a target that this run may not reach.
pub(super) fn of_deploy(about: About<'_>, deploy: &Deploy) -> Result<Delivery, Failure> {
    let pipeline = &about.plan.pipeline;
    let Some(target) = pipeline.targets.get(&deploy.target.value) else {
        return Err(Failure::new(format!(
            "there is no target {}",
            deploy.target.value
        )));
    };
    let what = match &deploy.earlier {
        Some(Earlier { to }) => What::Earlier(to.clone()),
        None => {
            protected(about, target)?;
            What::Bundle(fields::bundle(about, deploy, target)?)
        }
    };
    let is_explicit = deploy.earlier.is_some() || about.is_named();
    Ok(delivery(about, target, what, is_explicit))
}

/// A deployment to a target.
pub(super) fn delivery(
    about: About<'_>,
    target: &Target,
    what: What,
    is_explicit: bool,
) -> Delivery {
    let step = about.plan.definition(about.planned);
    let commands = step.rollback.iter().flat_map(|r| &r.run);
    Delivery {
        target: target.name.value.clone(),
        what,
        is_explicit,
        rollback: commands.map(call).collect(),
        stays: target.no_rollback.clone(),
        floor: target.rollback_floor.as_ref().map(|f| f.value.clone()),
        fields: Arc::new(Fields::of(about, target)),
        ledger: LedgerAt::of(about),
        step: about.planned.name.as_str().into(),
    }
}

fn call(command: &Command) -> Call {
    match command {
        Command::Shell(text) => Call::shell(&text.value),
        Command::Exec(words) => Call::new(&words[0].value, words[1..].iter().map(|w| &w.value)),
    }
}

/// A protected target is reached by promotions, by what people approved, and by a CI's own events; not from a laptop.
fn protected(about: About<'_>, target: &Target) -> Result<(), Failure> {
    let is_ci = about.plan.request.context.provider.is_some();
    let selected = about.plan.request.names.is_empty() && is_ci;
    let approved = about.plan.is_approved(about.planned.id);
    if !target.protected || selected || approved {
        return Ok(());
    }
    let name = &target.name.value;
    Err(Failure::new(format!("{name} is protected"))
        .help(format!(
            "it is reached by `pipe promote`, by a step that needs an `approve`, or by the CI's own runs; `pipe rollback {name}` always goes"
        ))
        .means(Means::Refused))
}

/// Does it.
pub(super) async fn run(delivery: &Delivery, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let ledger = delivery.ledger.open().await.map_err(NotDone::NotBegun)?;
    let found = a_try.wait(found(delivery, &ledger)).await?;
    let (bundle, way) = match found.map_err(NotDone::NotBegun)? {
        Some(found) => found,
        None => return Ok(Outputs::new()),
    };
    with_bundle(delivery, bundle, way, &ledger, a_try).await
}

/// Makes the target run this bundle.
pub(super) async fn with_bundle(
    delivery: &Delivery,
    bundle: Bundle,
    way: Way,
    ledger: &Arc<Ledger>,
    a_try: &mut Try<'_>,
) -> Result<Outputs, NotDone> {
    if delivery.fields.wants_engine() {
        let engine = a_try.engine().await?;
        delivery.fields.take_engine(&engine);
    }
    let request = request(delivery, bundle, way, a_try.site);
    let (log, chunks) = mpsc::channel(16);
    let migrated = migrated(Arc::clone(ledger), delivery.target.clone());
    let mut hands = hands(delivery, a_try, log, migrated).map_err(NotDone::NotBegun)?;
    let deploying = async move {
        let (ending, back) = deploy::deploy(&request, ledger, &mut hands).await;
        if let Some(ssh) = &hands.ssh {
            ssh.close(&hands.root);
        }
        let _ = std::fs::remove_dir_all(&hands.scratch);
        (ending, back, request)
    };
    let taking = a_try.capture.take(a_try.site, chunks);
    let ((ending, back, request), ()) = tokio::join!(deploying, taking);
    let event = Event::Deployed {
        step: delivery.step.clone(),
        target: delivery.target.clone(),
        bundle: request.bundle.id(),
        title: request.bundle.title(),
        images: request
            .bundle
            .images
            .iter()
            .map(|(name, image)| (name.clone(), image.reference()))
            .collect(),
        ending: word(&ending).to_owned(),
    };
    let _ = a_try.site.news.send(News::Tell { event }).await;
    ended(ending, &back, &request)
}

/// The bundle that is meant; none where there is nothing to go back from.
async fn found(
    delivery: &Delivery,
    ledger: &Arc<Ledger>,
) -> Result<Option<(Bundle, Way)>, Failure> {
    let target = delivery.target.clone();
    let read = {
        let (ledger, target) = (Arc::clone(ledger), target.clone());
        move || ledger.history(&target)
    };
    let history = async {
        let read = tokio::task::spawn_blocking(read).await;
        match read {
            Ok(Ok(history)) => Ok(history),
            // What this is to undo is still there.
            Ok(Err(error)) if matches!(delivery.what, What::Before(_)) => {
                Err(of_ledger(&error).help(error.remedy()))
            }
            Ok(Err(error)) => Err(of_ledger(&error)),
            Err(error) => Err(Failure::new(error.to_string())),
        }
    };
    match &delivery.what {
        What::Bundle(bundle) => Ok(Some((bundle.clone(), Way::Deploy))),
        What::Earlier(to) => {
            let history = history.await?;
            let bundle = earlier(&history, to.as_deref())?;
            Ok(Some((bundle, Way::Rollback)))
        }
        What::Before(deployment) => {
            let history = history.await?;
            let deployment = deployment.clone();
            let Some(begun) = history.intent(&deployment) else {
                return Ok(None);
            };
            match begun.back {
                Some(id) => {
                    let way = Way::Undo { deployment };
                    Ok(history.bundle(id).cloned().map(|b| (b, way)))
                }
                None if begun.unmanaged.is_some() || begun.from_nothing => {
                    let bundle = begun.bundle.clone();
                    Ok(Some((bundle, Way::TakeAway { deployment })))
                }
                None => {
                    let what = format!(
                        "what ran on {target} before was not deployed by pipe, and cannot be brought back by it"
                    );
                    Err(Failure::new(what).means(Means::NeedsAttention))
                }
            }
        }
    }
}

/// The earlier release that is meant.
///
/// # Errors
/// When there is none, or several.
pub fn earlier(history: &History, to: Option<&str>) -> Result<Bundle, Failure> {
    let target = &history.target;
    let refused = |what: String, help: String| Failure::new(what).help(help).means(Means::Refused);
    let now = history.running();
    let Some(wanted) = to else {
        let ways = history.ways_back(now.as_deref().unwrap_or_default());
        return ways.into_iter().next().map(|r| r.bundle).ok_or_else(|| {
            refused(
                format!("{target} has no earlier release that was healthy"),
                format!("`pipe history {target}` shows what it had"),
            )
        });
    };
    let mut found: Vec<Bundle> = Vec::new();
    for release in history.releases().into_iter().rev() {
        let bundle = release.bundle;
        let is_meant = bundle.id().starts_with(wanted)
            || bundle.version.as_deref() == Some(wanted)
            || wanted.len() >= 4 && bundle.commit.starts_with(wanted);
        if is_meant && found.iter().all(|f| f.id() != bundle.id()) {
            found.push(bundle);
        }
    }
    let named: Vec<String> = found
        .iter()
        .map(|b| format!("{} ({})", b.title(), b.id()))
        .collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let mut known: Vec<String> = Vec::new();
            for release in history.releases().into_iter().rev() {
                let text = format!("{} ({})", release.bundle.title(), release.bundle.id());
                if !known.contains(&text) {
                    known.push(text);
                }
            }
            known.truncate(5);
            let help = match known.is_empty() {
                true => "it has none yet".to_owned(),
                false => format!("it had {}", known.join(", ")),
            };
            Err(refused(
                format!(
                    "{target} had no healthy release `{}`",
                    wanted.escape_debug()
                ),
                help,
            ))
        }
        _ => Err(refused(
            format!(
                "`{}` could be several releases of {target}",
                wanted.escape_debug()
            ),
            format!("name one by its bundle: {}", named.join(", ")),
        )),
    }
}

fn request(delivery: &Delivery, bundle: Bundle, way: Way, site: &Site) -> Request {
    let (floor, root) = (delivery.floor.clone(), delivery.ledger.root.clone());
    let news = site.news.clone();
    let (step, target) = (delivery.step.clone(), delivery.target.clone());
    Request {
        target: delivery.target.clone(),
        name: unique(),
        way,
        is_explicit: delivery.is_explicit,
        rollback: delivery.rollback.clone(),
        stays: delivery.stays.clone(),
        above_floor: Arc::new(move |commit| {
            let Some(floor) = &floor else { return true };
            let git = Git::new(&root, &|name| std::env::var(name).ok());
            let args = [
                "merge-base",
                "--is-ancestor",
                "--end-of-options",
                floor,
                commit,
            ];
            git.output(&args).is_ok()
        }),
        make: Fields::make(&delivery.fields),
        journal: Arc::new(move |deployment| {
            let (ask, answer) = oneshot::channel();
            let event = Event::Intent {
                step: step.clone(),
                target: target.clone(),
                deployment: deployment.to_owned(),
            };
            let news = news.clone();
            Box::pin(async move {
                let said = news
                    .send(News::Intent {
                        event,
                        written: ask,
                    })
                    .await;
                let lost = || deploy::Failure::new("the run has ended");
                said.map_err(|_| lost())?;
                answer.await.map_err(|_| lost())?.map_err(|why| {
                    deploy::Failure::new(format!(
                        "not begun, because its intent could not be recorded: {why}"
                    ))
                    .help("make room on the disk, or make the folder .pipe writable; nothing was changed")
                })
            })
        }),
        bundle,
    }
}

fn hands(
    delivery: &Delivery,
    a_try: &Try<'_>,
    log: mpsc::Sender<Chunk>,
    migrated: Migrated,
) -> Result<Hands, Failure> {
    let (site, work) = (a_try.site, a_try.work);
    let scratch = tempfile::Builder::new()
        .prefix("deploy-")
        .tempdir_in(&site.scratch)
        .map_err(|e| Failure::new(format!("no temporary folder can be made: {e}")))?
        .keep();
    let ssh = delivery.fields.ssh(&scratch)?;
    Ok(Hands {
        root: site.root.clone(),
        scratch,
        env: work.env.clone(),
        said: Vec::new(),
        ssh,
        marker: work::marker(site),
        grace: site.grace,
        cancel: a_try.cancel.clone(),
        kill: site.kill.clone(),
        deadline: a_try.deadline,
        log,
        migrated,
    })
}

/// Writes down that a one-shot service has run.
fn migrated(ledger: Arc<Ledger>, target: String) -> Migrated {
    Arc::new(move |bundle, service| {
        let record = Record::Migrated {
            bundle: bundle.to_owned(),
            service: service.to_owned(),
        };
        let (ledger, target) = (Arc::clone(&ledger), target.clone());
        Box::pin(async move {
            let noted = tokio::task::spawn_blocking(move || ledger.note(&target, &record));
            match noted.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(deploy::Failure::new(error.to_string())),
                Err(error) => Err(deploy::Failure::new(error.to_string())),
            }
        })
    })
}

fn word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Healthy => "healthy",
        Ending::Already => "unchanged",
        Ending::NotBegun(_) | Ending::Cancelled => "not begun",
        Ending::Stays(_) => "failed",
        Ending::RolledBack(_) => "rolled back",
        Ending::PartlyRolledBack { .. } => "partly rolled back",
        Ending::Unknown(_) | Ending::Lost(_) | Ending::NotRecorded { .. } => "unknown",
    }
}

/// What a deployment's end means for its step. Whatever it had to undo it has undone, or nobody can: the run does not
/// undo the step once more.
fn ended(ending: Ending, back: &Before, request: &Request) -> Result<Outputs, NotDone> {
    let target = &request.target;
    let look = || {
        format!(
            "look at it, put it right, then `pipe unlock {target}`; `pipe rollback {target}` tries once more to go back"
        )
    };
    let failure = match ending {
        Ending::Healthy => {
            let mut outputs = Outputs::new();
            outputs.insert("bundle".to_owned(), request.bundle.id());
            outputs.insert(DEPLOYMENT.to_owned(), request.name.clone());
            return Ok(outputs);
        }
        Ending::Already => {
            return Ok([("bundle".to_owned(), request.bundle.id())].into());
        }
        Ending::Cancelled => return Err(NotDone::Cancelled),
        Ending::NotBegun(failure) => not_begun(failure),
        Ending::Stays(failure) => of_deploy_failure(failure, ""),
        // That was all that there was to do.
        Ending::RolledBack(_) if matches!(request.way, Way::TakeAway { .. }) => {
            return Ok(Outputs::new());
        }
        Ending::RolledBack(failure) => Failure {
            means: Some(Means::RolledBack),
            ..of_deploy_failure(failure, &is_back_at(back))
        },
        Ending::PartlyRolledBack { failure, undo } => {
            let what = format!(
                "{}; its undo failed, too: {}; {target} is locked",
                failure.what, undo.what
            );
            Failure {
                what,
                command: undo.command.or(failure.command),
                help: Some(look()),
                exit: None,
                means: Some(Means::NeedsAttention),
            }
        }
        Ending::Unknown(failure) => Failure {
            what: format!(
                "{}; nobody knows what {target} runs, and it is locked",
                failure.what
            ),
            help: Some(look()),
            means: Some(Means::NeedsAttention),
            ..of_deploy_failure(failure, "")
        },
        Ending::Lost(failure) => Failure {
            what: format!(
                "{}; this run changes {target} no more, and nobody knows what it runs",
                failure.what
            ),
            help: Some(format!(
                "`pipe targets {target}` says whether another run is at it; the next deployment asks {target} what runs, and puts it right"
            )),
            means: Some(Means::NeedsAttention),
            ..of_deploy_failure(failure, "")
        },
        Ending::NotRecorded { outcome, failure } => Failure {
            what: format!(
                "{target} is {}, and the ledger could not be told: {}",
                outcome.word(),
                failure.what
            ),
            help: Some(format!(
                "the next `pipe run` asks {target} what runs and records it; {}",
                failure.help.clone().unwrap_or_default()
            )),
            means: Some(Means::NeedsAttention),
            ..of_deploy_failure(failure, "")
        },
    };
    Err(NotDone::NotBegun(failure))
}

/// Under which name a step puts out the deployment that it made.
pub(super) const DEPLOYMENT: &str = "deployment";

fn is_back_at(back: &Before) -> String {
    match back {
        Before::Release(bundle) => format!("; rolled back to {}", bundle.title()),
        Before::Unmanaged(before) => format!(
            "; back at what ran before, which pipe had not deployed: {}",
            before.title()
        ),
        Before::Nothing => "; nothing runs, as before".to_owned(),
    }
}

/// What it means that nothing was changed: only then it can be the infrastructure that failed, and nothing else.
fn not_begun(failure: deploy::Failure) -> Failure {
    let is_infrastructure = failure.infrastructure && !failure.refused;
    let failure = of_deploy_failure(failure, "");
    match is_infrastructure {
        true => failure.means(Means::Infrastructure),
        false => failure,
    }
}

fn of_deploy_failure(failure: deploy::Failure, more: &str) -> Failure {
    Failure {
        what: failure.what + more,
        command: failure.command,
        help: failure.help,
        exit: None,
        means: failure.refused.then_some(Means::Refused),
    }
}

/// What a ledger's error means for a step that has changed nothing.
pub(super) fn of_ledger(error: &LedgerError) -> Failure {
    let help = format!("{}; nothing was changed", error.remedy());
    let failure = Failure::new(error.to_string()).help(help);
    match error.cause() {
        Cause::Refused => failure.means(Means::Refused),
        Cause::Infrastructure => failure.means(Means::Infrastructure),
        Cause::Content => failure,
    }
}

/// An image by its digest.
pub(super) fn image_at(name: &str, text: &str) -> Result<ImageAt, Failure> {
    ImageAt::parse(text).map_err(|why| Failure::new(format!("the image {name}: {why}")))
}
