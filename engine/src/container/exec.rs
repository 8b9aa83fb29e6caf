//! One command in a container: started, its output streamed, ended when it is to end. An exec cannot be signalled through
//! the API; its container can: process 1 hands SIGTERM on, and SIGKILL ends everything in it.

use std::future::pending;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::query_parameters::KillContainerOptions;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::room::Room;
use super::{Engine, Trouble};
use crate::process::{Chunk, Ended, Exit, Spec, StartError, Stop, Stream};

/// How often it is asked whether the command has ended, while it writes nothing: something that it started may hold its
/// output.
const LOOK: Duration = Duration::from_millis(500);
/// How long after its output a command has usually ended, if it has not at once.
const SOON: Duration = Duration::from_millis(2);
/// How often that is asked before the container is looked at too, which takes longer.
const FEW: u32 = 4;
/// How long the output may be silent after the command's end, and how long it is read at most.
const QUIET: Duration = Duration::from_millis(200);
const DRAIN: Duration = Duration::from_secs(2);
/// How long a kill may take.
const DEATH: Duration = Duration::from_secs(3);

/// When a command is to end.
pub(super) struct Stops<'a> {
    pub(super) end: Option<Instant>,
    pub(super) grace: Duration,
    pub(super) cancel: &'a CancellationToken,
    pub(super) kill: &'a CancellationToken,
}

impl Stops<'_> {
    /// Waits until the time is over.
    pub(super) async fn over(&self) {
        until(self.end).await;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// How far the stopping is.
#[derive(Clone, Copy)]
enum Stage {
    Running,
    Asked(Option<Instant>),
    Killed(Instant),
}

/// Messages with which engines say in a command's output that it could not be started.
const REFUSALS: [&[u8]; 4] = [
    b"OCI runtime exec failed",
    b"Error: runc: ",
    b"Error: crun: ",
    b"Error: OCI runtime",
];

/// A command on its way.
struct Running<'a> {
    engine: &'a Engine,
    job: &'a str,
    id: String,
    stops: &'a Stops<'a>,
    output: mpsc::Sender<Chunk>,
    stage: Stage,
    stopped: Option<Stop>,
    /// A chunk that waits for its receiver.
    pending: Option<Chunk>,
    /// What may be the engine's message that it could not start the command.
    refusal: Option<Chunk>,
    is_first: bool,
    exit: Option<i64>,
    checking: Option<BoxFuture<'a, Result<Option<i64>, Trouble>>>,
    /// When reading ends, once the command has ended.
    drained: Option<Instant>,
    heard: Instant,
}

impl Room<'_> {
    /// Runs a command in the job's container.
    pub(super) async fn exec(
        &mut self,
        spec: &Spec,
        stops: &Stops<'_>,
        output: mpsc::Sender<Chunk>,
    ) -> Result<Ended, Trouble> {
        let job = self.job.clone().unwrap_or_default();
        let engine = self.engine;
        let starting = engine.start_command(&job, options(spec));
        let late = async {
            tokio::select! {
                () = stops.kill.cancelled() => Stop::Killed,
                stop = asked(stops) => {
                    sleep(stops.grace).await;
                    stop
                }
            }
        };
        let (id, mut stream) = tokio::select! {
            biased;
            started = starting => started?,
            stop = late => {
                engine.signal(&job, "SIGKILL");
                self.job = None;
                return Ok(ended(Exit::Code(1), Some(stop)));
            }
        };
        let mut running = Running {
            engine,
            job: &job,
            id,
            stops,
            output,
            stage: Stage::Running,
            stopped: None,
            pending: None,
            refusal: None,
            is_first: true,
            exit: None,
            checking: None,
            drained: None,
            heard: Instant::now(),
        };
        let done = running.until_the_end(&mut stream).await;
        let (stage, stopped, exit) = (running.stage, running.stopped, running.exit);
        if matches!(stage, Stage::Killed(_)) {
            self.job = None;
        }
        let refusal = done?;
        if stopped.is_none()
            && let Some(refusal) = refusal
        {
            let why = String::from_utf8_lossy(&refusal.bytes).into_owned();
            return Ok(ended(Exit::NotStarted(not_started(spec, &why)), None));
        }
        let code = exit.and_then(|e| i32::try_from(e).ok()).unwrap_or(1);
        Ok(ended(Exit::Code(code), stopped))
    }
}

fn ended(exit: Exit, stopped: Option<Stop>) -> Ended {
    Ended {
        exit,
        stopped,
        leaked: 0,
        cut: false,
        elapsed: Duration::ZERO,
    }
}

async fn asked(stops: &Stops<'_>) -> Stop {
    tokio::select! {
        () = stops.cancel.cancelled() => Stop::Cancelled,
        () = stops.over() => Stop::TimedOut,
    }
}

fn options(spec: &Spec) -> CreateExecOptions<String> {
    let text = |t: &std::ffi::OsStr| t.to_string_lossy().into_owned();
    let args = spec.args.iter().map(|a| text(a));
    CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: Some(
            spec.env
                .iter()
                .map(|(name, value)| format!("{}={}", text(name), text(value)))
                .collect(),
        ),
        cmd: Some([text(&spec.program)].into_iter().chain(args).collect()),
        working_dir: Some(spec.cwd.to_string_lossy().into_owned()),
        ..CreateExecOptions::default()
    }
}

type Output = std::pin::Pin<
    Box<dyn futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>,
>;

impl Engine {
    pub(super) async fn start_command(
        &self,
        container: &str,
        options: CreateExecOptions<String>,
    ) -> Result<(String, Output), Trouble> {
        let what = "the command cannot be started in its container";
        let made = self
            .ask(what, self.docker.create_exec(container, options))
            .await?;
        match self
            .ask(what, self.docker.start_exec(&made.id, None))
            .await?
        {
            StartExecResults::Attached { output, .. } => Ok((made.id, output)),
            StartExecResults::Detached => Err(Trouble::new(what)),
        }
    }

    /// The exit code of a command; none while it runs.
    pub(super) async fn code_of(&self, exec: &str) -> Result<Option<i64>, Trouble> {
        let what = "how the command ended is not known: its container is gone or the engine does not say it";
        let seen = self.ask(what, self.docker.inspect_exec(exec)).await?;
        Ok(match seen.running {
            Some(true) => None,
            _ => seen.exit_code,
        })
    }

    /// Signals process 1 of a container. Nobody waits for the answer.
    fn signal(&self, container: &str, signal: &str) {
        let (docker, container) = (self.docker.clone(), container.to_owned());
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        tokio::spawn(async move {
            let call = docker.kill_container(&container, Some(options));
            let _ = tokio::time::timeout(DEATH, call).await;
        });
    }
}

impl Running<'_> {
    /// Until the command and its output have ended, or nothing more is to be hoped for. Gives the engine's message if it
    /// could not start it.
    async fn until_the_end(&mut self, stream: &mut Output) -> Result<Option<Chunk>, Trouble> {
        let mut is_open = true;
        let mut looks = 0;
        loop {
            if !is_open && self.pending.is_none() && self.exit.is_some() {
                break;
            }
            if self.checking.is_none() && self.exit.is_none() && !is_open {
                // The exit code comes at once or a little later, with Podman up to some tens of milliseconds; unless the
                // command goes on without its outputs.
                let after = match looks {
                    0 => Duration::ZERO,
                    _ => (SOON * (1 << looks.min(9))).min(LOOK),
                };
                self.check(after, looks >= FEW);
                looks += 1;
            }
            let look = self.heard + LOOK;
            let end = self.drained.map(|d| d.min(self.heard + QUIET));
            let (room, stage, stops) = (self.output.clone(), self.stage, self.stops);
            tokio::select! {
                biased;
                stop = next_stop(stage, stops) => if self.act(stop) { break },
                permit = room.reserve(), if self.pending.is_some() => {
                    if let (Ok(permit), Some(chunk)) = (permit, self.pending.take()) {
                        permit.send(chunk);
                    }
                    self.heard = Instant::now();
                }
                next = stream.next(), if is_open && self.pending.is_none() => match next {
                    Some(Ok(output)) => self.hear(output),
                    _ => is_open = false,
                },
                answer = checked(&mut self.checking), if self.checking.is_some() => {
                    self.checking = None;
                    self.heard = Instant::now();
                    match answer {
                        Ok(None) => {}
                        Ok(Some(code)) => {
                            self.exit = Some(code);
                            self.drained = Some(Instant::now() + DRAIN);
                        }
                        Err(_) if self.stopped.is_some() => break,
                        Err(trouble) => return Err(trouble),
                    }
                }
                () = sleep_until(look), if is_open && self.exit.is_none() && self.checking.is_none() && self.pending.is_none() => {
                    self.check(Duration::ZERO, false);
                }
                () = until(end), if end.is_some() && self.pending.is_none() => break,
            }
        }
        let refusal = self.refusal.take();
        if matches!(self.exit, Some(126 | 127)) {
            return Ok(refusal);
        }
        if let Some(chunk) = refusal {
            let _ = self.output.send(chunk).await;
        }
        Ok(None)
    }

    /// Asks whether the command has ended; where its output has, its container may have ended with it.
    fn check(&mut self, after: Duration, container_too: bool) {
        let (engine, job, id) = (self.engine, self.job, self.id.clone());
        let call = async move {
            sleep(after).await;
            let code = engine.code_of(&id).await?;
            if code.is_none() && container_too && !engine.state(job).await?.is_running {
                return Err(Trouble::new("its container ended while the command ran")
                    .help("somebody ended it, or the system did because memory was short"));
            }
            Ok(code)
        };
        self.checking = Some(call.boxed());
    }

    fn hear(&mut self, output: LogOutput) {
        self.heard = Instant::now();
        let (stream, bytes) = match output {
            LogOutput::StdErr { message } => (Stream::Stderr, message),
            LogOutput::StdOut { message }
            | LogOutput::Console { message }
            | LogOutput::StdIn { message } => (Stream::Stdout, message),
        };
        let mut chunk = Chunk {
            stream,
            bytes: bytes.to_vec(),
        };
        if std::mem::take(&mut self.is_first) && REFUSALS.iter().any(|r| chunk.bytes.starts_with(r))
        {
            self.refusal = Some(chunk);
            return;
        }
        if let Some(held) = &mut self.refusal {
            // More of the same message, or not one after all: it is told by the exit code.
            if held.bytes.len() < 4096 {
                held.bytes.append(&mut chunk.bytes);
                return;
            }
            std::mem::swap(&mut chunk, held);
            chunk.bytes.append(&mut held.bytes);
            self.refusal = None;
        }
        self.pending = Some(chunk);
    }

    /// Does the next step of the stopping. Whether there is nothing more to wait for.
    fn act(&mut self, stop: Option<Stop>) -> bool {
        match (&self.stage, stop) {
            (Stage::Killed(_), _) => return true,
            (Stage::Running, Some(stop @ (Stop::Cancelled | Stop::TimedOut))) => {
                self.stopped = Some(stop);
                self.stage = Stage::Asked(Instant::now().checked_add(self.stops.grace));
                self.engine.signal(self.job, "SIGTERM");
            }
            (_, stop) => {
                self.stopped = stop.or(self.stopped);
                self.stage = Stage::Killed(Instant::now() + DEATH);
                self.engine.signal(self.job, "SIGKILL");
            }
        }
        false
    }
}

async fn next_stop(stage: Stage, stops: &Stops<'_>) -> Option<Stop> {
    match stage {
        Stage::Running => tokio::select! {
            biased;
            () = stops.kill.cancelled() => Some(Stop::Killed),
            stop = asked(stops) => Some(stop),
        },
        Stage::Asked(end) => tokio::select! {
            biased;
            () = stops.kill.cancelled() => Some(Stop::Killed),
            () = until(end) => None,
        },
        Stage::Killed(end) => {
            sleep_until(end).await;
            None
        }
    }
}

async fn checked(
    checking: &mut Option<BoxFuture<'_, Result<Option<i64>, Trouble>>>,
) -> Result<Option<i64>, Trouble> {
    match checking {
        Some(check) => check.await,
        None => pending().await,
    }
}

/// What an engine means that could not start a command.
fn not_started(spec: &Spec, why: &str) -> StartError {
    let program = spec.program.to_string_lossy().into_owned();
    let low = why.to_lowercase();
    if low.contains("chdir to cwd") || low.contains("working directory") {
        return StartError::CwdMissing {
            cwd: spec.cwd.clone(),
        };
    }
    if low.contains("not found") || low.contains("no such file") {
        return StartError::ProgramNotFound { program };
    }
    if low.contains("permission denied") || low.contains("exec format error") {
        return StartError::NotExecutable { program };
    }
    StartError::Other {
        program,
        reason: super::said(why),
    }
}
