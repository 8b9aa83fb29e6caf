//! One step's work: its commands or its other task with retries, its clean-up, what it hands on. Knows no graph.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dsl::model::{Command, Retry, Shell};
use dsl::units::show_duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use super::contained::Contained;
use super::directories::Directory;
use super::environment::Environment;
use super::event::Event;
use super::outcome::Failure;
use super::place::{self, Place};
use super::recipe::Recipe;
use super::rivals::Rivals;
use super::spare::{Spare, Spares};
use super::task::{Outputs, Task, Try};
use super::{results, tools};
use crate::cache::{Action, Digest};
use crate::container::{Engine, Late};
use crate::oci::Layout;
use crate::output::{Masker, OuterCi};
use crate::process::{self, Exit, Spec, Stop};

/// How long clean-up and undo may take where nothing is said.
const CLEAN_UP: Duration = Duration::from_secs(600);

/// What to do.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// The step's full name.
    pub(super) name: Arc<str>,
    pub(super) task: Task,
    pub(super) always: Vec<Command>,
    pub(super) shell: Option<Shell>,
    pub(super) workdir: Option<String>,
    pub(super) env: Environment,
    pub(super) timeout: Option<Duration>,
    pub(super) retry: Option<Retry>,
    /// Patterns of files that must be there afterwards.
    pub(super) outputs: Vec<String>,
    /// Artifacts to keep: the name and the patterns.
    pub(super) artifacts: Vec<(String, Vec<String>)>,
    /// Directories that stay from run to run.
    pub(super) kept: Vec<Directory>,
    /// Artifacts to put in place: where they are kept, and where they go beneath the pipeline's folder.
    pub(super) takes: Vec<(PathBuf, PathBuf)>,
    /// The container in which it runs.
    pub(super) contained: Option<Contained>,
    /// What decides its result, where that can be kept.
    pub(super) recipe: Option<Arc<Recipe>>,
}

/// Where it is done, and who listens.
#[derive(Clone)]
pub(super) struct Site {
    /// The pipeline's folder.
    pub(super) root: PathBuf,
    /// The folder of the run, and in it the one of this step's artifacts; `None` where nothing can be kept.
    pub(super) artifacts: Option<(PathBuf, PathBuf)>,
    /// The log of this step.
    pub(super) log: Option<PathBuf>,
    /// A folder for files that live as long as the run.
    pub(super) scratch: PathBuf,
    /// Files in it that can be used again.
    pub(super) spares: Spares,
    pub(super) masker: Arc<Masker>,
    pub(super) outer: OuterCi,
    pub(super) grace: Duration,
    /// Asks the step to end.
    pub(super) cancel: CancellationToken,
    /// Ends it at once.
    pub(super) kill: CancellationToken,
    pub(super) news: mpsc::Sender<News>,
    /// The vertex, for the listener.
    pub(super) vertex: u32,
    /// What the commands of keys printed in this run.
    pub(super) printed: Arc<tools::Printed>,
    /// Which steps of this run may make the same files.
    pub(super) rivals: Arc<Rivals>,
    /// Who makes the results of this run, for a person.
    pub(super) origin: Arc<str>,
    /// The container engine, where the run needs one.
    pub(super) engine: Option<Arc<Engine>>,
    /// The engine for what may not need it.
    pub(super) late: Option<Arc<Late>>,
    /// Where images are kept that the run builds.
    pub(super) images: Layout,
}

/// What a step tells while it works.
#[derive(Debug)]
pub(super) enum News {
    Lines {
        vertex: u32,
        lines: Vec<String>,
    },
    Retry {
        vertex: u32,
        attempt: u32,
        failure: Failure,
        wait: Duration,
    },
    Warning {
        text: String,
    },
    /// A target is about to be touched: heard of again when that is on the disk.
    Intent {
        event: Event,
        written: oneshot::Sender<Result<(), String>>,
    },
    /// Something else that everybody is to know.
    Tell {
        event: Event,
    },
    Done {
        vertex: u32,
        done: Done,
    },
    Undone {
        vertex: u32,
        done: Done,
    },
}

/// How the work ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) result: Result<(), NotDone>,
    pub(super) attempts: u32,
    pub(super) outputs: BTreeMap<String, String>,
    /// Under which key its result stands, if it can be kept.
    pub(super) key: Option<Digest>,
    /// The result as it is kept.
    pub(super) made: Option<Arc<Action>>,
    /// Whether the result was there already.
    pub(super) cached: bool,
    /// The earlier run that did it, where this one continues that.
    pub(super) in_run: Option<u64>,
}

impl Done {
    /// The end of work of which nothing is kept.
    pub(super) fn new(result: Result<(), NotDone>, attempts: u32) -> Self {
        Self {
            result,
            attempts,
            outputs: BTreeMap::new(),
            key: None,
            made: None,
            cached: false,
            in_run: None,
        }
    }

    /// The end of work that did not begin.
    pub(super) fn not_begun(why: NotDone) -> Self {
        Self::new(Err(why), 0)
    }
}

/// Why the work did not succeed.
#[derive(Debug)]
pub(super) enum NotDone {
    Failed(Failure),
    /// It failed before its first command ran.
    NotBegun(Failure),
    /// There is nothing to do, for this reason.
    NotNeeded(String),
    Cancelled,
}

impl NotDone {
    /// What is known when this is not the beginning.
    fn later(self) -> Self {
        match self {
            Self::NotBegun(failure) => Self::Failed(failure),
            other => other,
        }
    }
}

impl From<Failure> for NotDone {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Does the work: artifacts in place, the commands with retries, clean-up, artifacts and outputs kept.
pub(super) async fn work(work: &Work, site: &Site) -> Done {
    let mut capture = Capture::new(site);
    let setup = place::setup(work, site);
    let mut place = Place::of(site, setup.as_ref());
    let mut attempt = 0;
    let deadline = work.timeout.map(|t| Instant::now() + t);
    let mut result = prepare(work, site).map_err(NotDone::NotBegun);
    let mut outputs = BTreeMap::new();
    while result.is_ok() {
        attempt += 1;
        result = tried(work, site, &mut place, &mut capture, deadline, attempt)
            .await
            .map(|found| outputs = found)
            .map_err(|e| if attempt > 1 { e.later() } else { e });
        let (Err(NotDone::Failed(failure)), Some(retry)) = (&result, &work.retry) else {
            break;
        };
        let Some(wait) = next_try(retry, attempt, failure) else {
            break;
        };
        // The time of a step is for all its tries: there is none left for another one.
        if deadline.is_some_and(|d| d <= Instant::now() + wait) {
            break;
        }
        let failure = failure.clone();
        let _ = site
            .news
            .send(News::Retry {
                vertex: site.vertex,
                attempt,
                failure,
                wait,
            })
            .await;
        tokio::select! {
            () = tokio::time::sleep(wait) => result = Ok(()),
            () = site.cancel.cancelled() => result = Err(NotDone::Cancelled),
        }
    }
    if matches!(result, Err(NotDone::Failed(_))) && !site.cancel.is_cancelled() {
        place.blame(site, &mut capture).await;
    }
    if let Err(failure) = clean_up(work, site, &mut place, &mut capture).await
        && result.is_ok()
    {
        result = Err(failure);
    }
    place.end(site).await;
    if let Some(text) = capture.finish() {
        let _ = site.news.send(News::Warning { text }).await;
    }
    Done {
        outputs,
        ..Done::new(result, attempt.max(1))
    }
}

/// Runs the commands of a rollback: not stopped by the first signal, with a time of their own.
pub(super) async fn undo(work: &Work, site: &Site) -> Done {
    let mut capture = Capture::new(site);
    let setup = place::setup(work, site);
    let mut place = Place::of(site, setup.as_ref());
    let never = CancellationToken::new();
    let deadline = Instant::now() + work.timeout.unwrap_or(CLEAN_UP);
    let deadline = Some(deadline);
    let result = if let Some(list) = work.task.commands() {
        let (place, capture) = (&mut place, &mut capture);
        commands(work, list, site, place, capture, &never, deadline, 1, None).await
    } else {
        let mut a_try = Try {
            work,
            site,
            capture: &mut capture,
            cancel: &never,
            deadline,
        };
        work.task.run(&mut a_try).await.map(|_| ())
    };
    place.end(site).await;
    if let Some(text) = capture.finish() {
        let _ = site.news.send(News::Warning { text }).await;
    }
    Done::new(result, 1)
}

fn next_try(retry: &Retry, attempt: u32, failure: &Failure) -> Option<Duration> {
    let wanted = retry.on_exit.is_empty()
        || failure
            .exit
            .is_some_and(|code| retry.on_exit.contains(&code));
    let doubled = retry.backoff.saturating_mul(1 << (attempt - 1).min(16));
    (wanted && attempt <= retry.count).then(|| doubled.min(Duration::from_secs(3600)))
}

fn prepare(work: &Work, site: &Site) -> Result<(), Failure> {
    for kept in &work.kept {
        let path = kept.path.display();
        std::fs::create_dir_all(&kept.path)
            .map_err(|e| Failure::new(format!("its cache {path} cannot be made: {e}")))?;
    }
    let mut takes = work.takes.iter();
    takes.try_for_each(|(kept, into)| results::place(kept, site, into))
}

/// The folder in which a command runs. An earlier command may have put a link there.
fn workdir(work: &Work, site: &Site) -> Result<PathBuf, Failure> {
    let Some(relative) = &work.workdir else {
        return Ok(site.root.clone());
    };
    let folder = site.root.join(relative);
    match (folder.canonicalize(), site.root.canonicalize()) {
        (Ok(real), Ok(root)) if !real.starts_with(&root) => Err(Failure::new(format!(
            "its workdir {relative} leads out of the pipeline's folder"
        ))
        .help("remove the link, or name a folder of the repository")),
        _ => Ok(folder),
    }
}

/// One try: the commands, then what they had to make.
async fn tried(
    work: &Work,
    site: &Site,
    place: &mut Place<'_>,
    capture: &mut Capture,
    deadline: Option<Instant>,
    attempt: u32,
) -> Result<BTreeMap<String, String>, NotDone> {
    let outputs = site.spares.file(&site.scratch).map_err(|e| {
        let failure = Failure::new(format!("its file for outputs cannot be made: {e}"));
        NotDone::NotBegun(failure.help("is the disk full?"))
    })?;
    let mut put_out = Outputs::new();
    if let Some(list) = work.task.commands() {
        let cancel = &site.cancel;
        let into = Some(outputs.path());
        commands(
            work, list, site, place, capture, cancel, deadline, attempt, into,
        )
        .await?;
    } else {
        let mut a_try = Try {
            work,
            site,
            capture,
            cancel: &site.cancel,
            deadline,
        };
        put_out = work.task.run(&mut a_try).await?;
    }
    for pattern in &work.outputs {
        results::made(pattern, &site.root)?;
    }
    let mut kept = Vec::new();
    let handed_on = hand_on(work, site, outputs, &mut kept);
    if handed_on.is_err() {
        kept.iter().for_each(|k| results::forget(k, site));
    }
    put_out.extend(handed_on?);
    Ok(put_out)
}

/// Keeps the artifacts and reads the outputs.
fn hand_on(
    work: &Work,
    site: &Site,
    outputs: Spare,
    kept: &mut Vec<results::Kept>,
) -> Result<BTreeMap<String, String>, Failure> {
    for (name, patterns) in &work.artifacts {
        kept.push(results::keep(name, patterns, site)?);
    }
    if outputs.is_untouched() {
        site.spares.take_back(outputs);
        return Ok(BTreeMap::new());
    }
    results::read(outputs.path())
}

/// Until the grace after the first signal is over.
async fn grace_after_cancel(site: &Site) {
    site.cancel.cancelled().await;
    tokio::time::sleep(site.grace).await;
}

/// The clean-up of a step: its own time, and after the first signal the grace.
async fn clean_up(
    work: &Work,
    site: &Site,
    place: &mut Place<'_>,
    capture: &mut Capture,
) -> Result<(), NotDone> {
    if work.always.is_empty() || site.kill.is_cancelled() || !place.has_begun() {
        return Ok(());
    }
    let own = Work {
        timeout: Some(CLEAN_UP),
        ..work.clone()
    };
    let deadline = Some(Instant::now() + CLEAN_UP);
    let late = CancellationToken::new();
    let always = &own.always;
    let cleaning = commands(&own, always, site, place, capture, &late, deadline, 1, None);
    tokio::pin!(cleaning);
    let done = tokio::select! {
        done = &mut cleaning => done,
        () = grace_after_cancel(site) => {
            late.cancel();
            cleaning.await
        }
    };
    done.map_err(|e| match e.later() {
        NotDone::Failed(mut failure) => {
            failure.what = format!("clean-up failed: {}", failure.what);
            NotDone::Failed(failure)
        }
        other => other,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "all of it differs between a try, a clean-up and an undo"
)]
async fn commands(
    work: &Work,
    list: &[Command],
    site: &Site,
    place: &mut Place<'_>,
    capture: &mut Capture,
    cancel: &CancellationToken,
    deadline: Option<Instant>,
    attempt: u32,
    outputs: Option<&Path>,
) -> Result<(), NotDone> {
    for (at, command) in list.iter().enumerate() {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let not_started = |failure: Failure| {
            let failure = Failure {
                command: Some(command.title()),
                ..failure
            };
            let not_begun = NotDone::NotBegun(failure);
            if at == 0 {
                not_begun
            } else {
                not_begun.later()
            }
        };
        let spec = spec(work, command, site, attempt, outputs).map_err(not_started)?;
        let ran = place.run(&spec, left, site, cancel, capture).await;
        let ended = ran.map_err(|e| if at == 0 { e } else { e.later() })?;
        if ended.leaked > 0 {
            let text = format!(
                "{} left {} running, ended now",
                work.name,
                processes(ended.leaked)
            );
            let _ = site.news.send(News::Warning { text }).await;
        }
        let failure = match (ended.stopped, &ended.exit) {
            (Some(Stop::Cancelled | Stop::Killed), _) => return Err(NotDone::Cancelled),
            (Some(Stop::TimedOut), _) => timed_out(work, deadline),
            (None, Exit::Code(0)) => continue,
            (None, Exit::Code(code)) => Failure {
                exit: Some(*code),
                ..Failure::new(format!("exit {code}"))
            }
            .help_for(*code),
            (None, Exit::Signal(signal)) => signalled(*signal),
            (None, Exit::NotStarted(why)) => {
                let failure = Failure::new(why.to_string()).help(why.remedy());
                let failure = place.explain(&spec, &ended.exit, failure);
                return Err(not_started(failure));
            }
        };
        let failure = match ended.stopped {
            None => place.explain(&spec, &ended.exit, failure),
            Some(_) => failure,
        };
        return Err(NotDone::Failed(Failure {
            command: Some(command.title()),
            ..failure
        }));
    }
    Ok(())
}

impl Failure {
    /// What is known about an exit code that shells use.
    fn help_for(self, code: i32) -> Self {
        match code {
            126 => self.help("126: a command in it cannot be executed; is it `chmod +x`?"),
            127 => self.help("127: a command in it was not found; a job gets PATH and little else of your environment"),
            141 => self.help("141: a program in it wrote to one that had ended already, such as `head`; with `pipefail` that counts"),
            _ => self,
        }
    }
}

pub(super) fn timed_out(work: &Work, deadline: Option<Instant>) -> Failure {
    let limit = match (work.timeout, deadline) {
        (Some(limit), Some(_)) => show_duration(limit),
        _ => "its time".to_owned(),
    };
    Failure::new(format!("timed out after {limit}"))
        .help("raise its `timeout`, or find out what it waits for")
}

fn signalled(signal: i32) -> Failure {
    let (name, help) = match signal {
        9 => (
            "SIGKILL",
            Some("somebody killed it; often the system, because memory was short"),
        ),
        11 => ("SIGSEGV", Some("it crashed")),
        6 => ("SIGABRT", Some("it aborted itself")),
        15 => ("SIGTERM", Some("somebody asked it to end")),
        13 => ("SIGPIPE", None),
        2 => ("SIGINT", None),
        _ => ("", None),
    };
    let name = if name.is_empty() {
        format!("signal {signal}")
    } else {
        format!("signal {signal} ({name})")
    };
    let failure = Failure::new(format!("ended by {name}"));
    match help {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn processes(count: usize) -> String {
    if count == 1 {
        "a process".to_owned()
    } else {
        format!("{count} processes")
    }
}

pub(super) fn spec(
    work: &Work,
    command: &Command,
    site: &Site,
    attempt: u32,
    outputs: Option<&Path>,
) -> Result<Spec, Failure> {
    let cwd = workdir(work, site)?;
    let mut env = work.env.clone();
    env.set("PIPE_ATTEMPT", attempt.to_string());
    if let Some(outputs) = outputs {
        env.set("PIPE_OUTPUT", outputs.as_os_str());
    }
    let (program, args) = match (command, &work.shell, &work.contained) {
        (Command::Shell(text), None, Some(_)) => any_shell(&text.value),
        (_, shell, _) => argv(command, shell.as_ref()),
    };
    Ok(Spec {
        program,
        args,
        cwd,
        env: env.vars(),
        marker: marker(site),
    })
}

/// By which the processes of a step are found.
pub(super) fn marker(site: &Site) -> String {
    format!(
        "{}-{}-{}",
        std::process::id(),
        site.scratch.display(),
        site.vertex
    )
}

/// Images have `sh`, and not all of them `bash`: the better one that is there, ending at the first failure.
fn any_shell(text: &str) -> (OsString, Vec<OsString>) {
    const FIND: &str = "command -v bash >/dev/null 2>&1 && exec bash -euo pipefail -c \"$1\"; exec sh -eu -c \"$1\"";
    (
        "sh".into(),
        ["-c", FIND, "sh", text].map(OsString::from).to_vec(),
    )
}

/// The program and its arguments. Shell text is one argument, so that no value is ever part of another text.
fn argv(command: &Command, shell: Option<&Shell>) -> (OsString, Vec<OsString>) {
    let text = match command {
        Command::Exec(words) => {
            let args = words[1..]
                .iter()
                .map(|w| OsString::from(&w.value))
                .collect();
            return (OsString::from(&words[0].value), args);
        }
        Command::Shell(text) => OsString::from(&text.value),
    };
    let program = shell.map_or("bash", |s| s.program.value.as_str());
    let mut args: Vec<OsString> = match shell {
        Some(shell) if !shell.args.is_empty() => shell.args.iter().map(OsString::from).collect(),
        _ => match program.rsplit('/').next() {
            Some("bash" | "zsh" | "ksh") => process::BASH.map(Into::into).into(),
            Some("sh" | "dash" | "ash") => process::SH.map(Into::into).into(),
            _ => vec!["-c".into()],
        },
    };
    args.push(text);
    (program.into(), args)
}
