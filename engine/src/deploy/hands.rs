//! How a driver gets something done: commands on this machine or, over the system's `ssh`, on another one; with a log, an
//! end to the patience and a way to be stopped. Does not know what the commands are for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::driver::Failure;
use super::ssh::{self, Asks, Ssh};
use crate::process::{self, Chunk, Exit, Spec, Stop, Stream};
use crate::run::environment::Environment;

/// What to do where the step's time was over.
const LATE: &str = "raise the `timeout` of the step, or find out why it does not answer";

/// How long it may take to connect to a host.
const CONNECT: Duration = Duration::from_secs(60);

/// How much of an answer is kept.
const MOST: usize = 4 << 20;

/// Writes down that a one-shot service of a bundle has run to its end.
pub type Migrated =
    Arc<dyn Fn(&str, &str) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

/// What a driver works with.
pub struct Hands {
    /// The pipeline's folder.
    pub root: PathBuf,
    /// A folder for files that live as long as the run. Only its owner can look into it.
    pub scratch: PathBuf,
    /// The variables of every command.
    pub env: Environment,
    /// What a driver says of its target, for commands that ask whether it is ready.
    pub said: Vec<(String, String)>,
    /// The host on which it works, where it is not this machine.
    pub ssh: Option<Ssh>,
    /// Tells descendants of other processes from ours.
    pub marker: String,
    /// How long a command that is asked to end may take.
    pub grace: Duration,
    /// Asks to end.
    pub cancel: CancellationToken,
    /// Ends at once.
    pub kill: CancellationToken,
    /// When the patience ends.
    pub deadline: Option<Instant>,
    /// Where output goes.
    pub log: mpsc::Sender<Chunk>,
    /// Writes down what must not be done twice.
    pub migrated: Migrated,
}

/// A command.
#[derive(Debug, Clone, Default)]
pub struct Call {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    input: Option<PathBuf>,
    /// Whether its output is an answer, and not for the log.
    quiet: bool,
    /// Whether its complaints are, too.
    muted: bool,
    dir: Option<PathBuf>,
    /// On this machine, whatever the target is.
    here: bool,
    limit: Option<Duration>,
    /// What it is called where a person reads it, where that is not what it is.
    called: Option<String>,
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to its standard output.
    pub out: String,
    /// The last line that it wrote to its error output.
    pub complaint: String,
    /// Everything that it wrote to its error output, as far as that is kept.
    pub errors: String,
}

impl Call {
    /// A program with its arguments.
    pub fn new<S: Into<OsString>>(
        program: impl Into<OsString>,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Text for a shell, ending at the first failure.
    #[must_use]
    pub fn shell(text: &str) -> Self {
        let (program, args) = process::bash(text);
        Self::new(program, args)
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets variables.
    #[must_use]
    pub fn envs(mut self, vars: &[(String, String)]) -> Self {
        self.env.extend_from_slice(vars);
        self
    }

    /// Reads this file of this machine.
    #[must_use]
    pub fn input(mut self, file: &Path) -> Self {
        self.input = Some(file.to_path_buf());
        self
    }

    /// Keeps its output out of the log: it is an answer.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Keeps its complaints out of the log, too: failing is one of its answers.
    #[must_use]
    pub fn muted(mut self) -> Self {
        self.muted = true;
        self
    }

    /// Runs in this folder of the host.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Runs on this machine.
    #[must_use]
    pub fn here(mut self) -> Self {
        self.here = true;
        self
    }

    /// Gives it this much time at most.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Calls it something else where a person reads it.
    #[must_use]
    pub fn called(mut self, title: impl Into<String>) -> Self {
        self.called = Some(title.into());
        self
    }

    /// One line that shows it.
    #[must_use]
    pub fn title(&self) -> String {
        if let Some(called) = &self.called {
            return called.clone();
        }
        let words: Vec<_> = [&self.program]
            .into_iter()
            .chain(&self.args)
            .map(|w| w.to_string_lossy())
            .collect();
        let text = match words.as_slice() {
            [_, options @ .., text] if options == process::BASH => text.to_string(),
            words => words.join(" "),
        };
        let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        let first: String = lines.next().unwrap_or_default().chars().take(120).collect();
        first
    }
}

impl Hands {
    /// Runs a command that has to succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn run(&mut self, call: Call) -> Result<String, Failure> {
        let title = call.title();
        let told = self.ask(call).await?;
        if told.code == 0 {
            return Ok(told.out);
        }
        Err(failed(&title, &told))
    }

    /// Runs a command, and gives what it said.
    ///
    /// # Errors
    /// When it did not run to its end, or the host could not be reached.
    pub async fn ask(&mut self, call: Call) -> Result<Told, Failure> {
        let title = call.title();
        let remote = self.ssh.clone().filter(|_| !call.here);
        let spec = self.spec(&call, remote.as_ref())?;
        let left = self
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()));
        let limit = [left, call.limit].into_iter().flatten().min();
        let (output, mut chunks) = mpsc::channel(4);
        let running = process::run(&spec, limit, self.grace, &self.cancel, &self.kill, output);
        let (mut out, mut complaint) = (Vec::new(), Vec::new());
        let taking = async {
            while let Some(chunk) = chunks.recv().await {
                let kept = match chunk.stream {
                    Stream::Stdout => &mut out,
                    Stream::Stderr => &mut complaint,
                };
                let room = MOST.saturating_sub(kept.len());
                kept.extend_from_slice(&chunk.bytes[..chunk.bytes.len().min(room)]);
                let told = match chunk.stream {
                    Stream::Stdout => !call.quiet,
                    Stream::Stderr => !call.muted,
                };
                if told {
                    // Nobody may be listening any more; the command goes on.
                    let _ = self.log.send(chunk).await;
                }
            }
        };
        let (ended, ()) = tokio::join!(running, taking);
        let complaint = String::from_utf8_lossy(&complaint).into_owned();
        let what = match (ended.stopped, &ended.exit) {
            (Some(Stop::Cancelled | Stop::Killed), _) => "cancelled".to_owned(),
            (Some(Stop::TimedOut), _) => format!("`{title}` did not end in time"),
            (None, Exit::Code(255)) if remote.is_some() => {
                return Err(match remote {
                    Some(ssh) => ssh.explain(&complaint, self).await,
                    None => Failure::new("ssh failed"),
                });
            }
            (None, Exit::Code(code)) => {
                return Ok(Told {
                    code: *code,
                    out: String::from_utf8_lossy(&out).into_owned(),
                    complaint: last_line(&complaint),
                    errors: complaint,
                });
            }
            (None, Exit::Signal(signal)) => format!("`{title}` was ended by signal {signal}"),
            (None, Exit::NotStarted(why)) => {
                return Err(Failure {
                    command: Some(title),
                    ..Failure::new(why.to_string()).help(why.remedy())
                });
            }
        };
        let is_late = ended.stopped == Some(Stop::TimedOut);
        Err(Failure {
            command: Some(title),
            // A command that was cut off over the network may go on there.
            unreachable: remote.is_some() && is_late,
            // What a driver asks is answered soon.
            infrastructure: is_late,
            help: (is_late && limit == left).then(|| LATE.to_owned()),
            ..Failure::new(what)
        })
    }

    /// Connects to the host, where it is another one, and asks it for nothing: a host that runs one command whatever it is
    /// asked for would run that. The connection is the one of the commands that follow.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        let Some(ssh) = self.ssh.clone() else {
            return Ok(());
        };
        let call = Call::new("ssh", ssh.connection()).called("ssh");
        let call = call.here().quiet().muted().within(CONNECT);
        let told = self.ask(call).await?;
        match told.code {
            0 => Ok(()),
            _ => Err(ssh.explain(&told.errors, self).await),
        }
    }

    /// The host on which it works, for a person.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.ssh {
            Some(ssh) => ssh.host().to_owned(),
            None => "this machine".to_owned(),
        }
    }

    /// Waits; not longer than somebody wants the run to go on, nor than the time that the step has.
    ///
    /// # Errors
    /// When one of them is over.
    pub async fn pause(&self, time: Duration) -> Result<(), Failure> {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.cancel.cancelled() => return Err(Failure::new("cancelled")),
            () = self.kill.cancelled() => return Err(Failure::new("cancelled")),
        }
        if self.deadline.is_some_and(|d| d <= Instant::now()) {
            return Err(Failure::new(
                "it was not ready before the step's time was over",
            ));
        }
        Ok(())
    }

    /// Sets a variable for the commands that ask whether the target is ready, and for those of this machine.
    pub fn tell(&mut self, name: &str, value: &str) {
        self.env.set(name, value);
        self.said.retain(|(said, _)| said != name);
        self.said.push((name.to_owned(), value.to_owned()));
    }

    /// Says a line in the log.
    pub async fn say(&self, line: &str) {
        let chunk = Chunk {
            stream: Stream::Stdout,
            bytes: format!("{line}\n").into_bytes(),
        };
        let _ = self.log.send(chunk).await;
    }

    fn spec(&self, call: &Call, remote: Option<&Ssh>) -> Result<Spec, Failure> {
        let mut env = self.env.clone();
        let mut input = call.input.clone();
        let (program, args) = match remote {
            None => {
                for (name, value) in &call.env {
                    env.set(name, value);
                }
                (call.program.clone(), call.args.clone())
            }
            Some(ssh) => {
                if !call.env.is_empty() {
                    input = Some(self.with_values(&call.env, input.as_deref())?);
                }
                let asks = Asks {
                    reads_values: !call.env.is_empty(),
                    reads_input: call.input.is_some(),
                };
                ssh.command(&call.program, &call.args, asks, call.dir.as_deref())
            }
        };
        let (program, args) = match &input {
            None => (program, args),
            // What is read is named in an argument, and never part of the text.
            Some(file) => {
                let text = ["-c", "f=$1; shift; exec \"$@\" <\"$f\"", "sh"].map(OsString::from);
                let words = [file.clone().into_os_string(), program];
                (
                    "sh".into(),
                    text.into_iter().chain(words).chain(args).collect(),
                )
            }
        };
        let cwd = match (remote, &call.dir) {
            (None, Some(dir)) => self.root.join(dir),
            _ => self.root.clone(),
        };
        Ok(Spec {
            program,
            args,
            cwd,
            env: env.vars(),
            marker: self.marker.clone(),
        })
    }

    /// A file with what another host reads: values first, which are in no argument that others could see, then the input.
    fn with_values(
        &self,
        env: &[(String, String)],
        input: Option<&Path>,
    ) -> Result<PathBuf, Failure> {
        use std::io::Write;
        let file = self.scratch.join("values");
        let write = || -> std::io::Result<()> {
            let mut out = std::fs::File::create(&file)?;
            out.write_all(ssh::values(env).as_bytes())?;
            if let Some(input) = input {
                std::io::copy(&mut std::fs::File::open(input)?, &mut out)?;
            }
            Ok(())
        };
        write().map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
        Ok(file)
    }
}

/// What a command said, as a failure.
pub(super) fn failed(title: &str, told: &Told) -> Failure {
    let why = match told.complaint.as_str() {
        "" => String::new(),
        complaint => format!(": {complaint}"),
    };
    Failure {
        command: Some(title.to_owned()),
        ..Failure::new(format!("exit {}{why}", told.code))
    }
}

/// Writes a file that only its owner can read.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(file);
    let made = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut f| f.write_all(text.as_bytes()));
    made.map_err(|e| Failure::new(format!("{} cannot be written: {e}", file.display())))
}

/// What a program said last, fit for one line.
fn last_line(text: &str) -> String {
    let mut lines = text.lines().rev().map(str::trim).filter(|l| !l.is_empty());
    let line = lines.next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
