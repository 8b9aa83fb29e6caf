//! One operating system process with everything it starts: run it, stop it, leave nothing behind.
//! Knows nothing of steps, logs or retries; the caller says when to stop and takes the output.
//!
//! A process has its own group and carries a marker in its environment. It ends in this order:
//! the leader exits (by itself, or asked with SIGTERM and after the grace killed) but is not reaped,
//! so that its group's number stays ours; the output is drained, for a short time only, as a
//! descendant may hold the pipe for ever; whatever is left of the group and of the descendants that
//! carry the marker is killed; the leader is reaped.

mod group;
pub mod guardian;
mod plain;
mod pump;
mod start;
mod stop;
mod sweep;
mod watch;

pub use group::{Reserved, start_leader};
pub use start::{StartError, in_path, is_there};
#[cfg(test)]
pub(crate) use sweep::reap_orphans;
pub use sweep::{become_subreaper, has_no_orphans, kill_descendants};

use group::Leader;
use pump::Pump;
use std::{ffi::OsString, fs::File, io, path::PathBuf, time::Duration};
use stop::Stopper;
use tokio::{
    runtime::{self, Runtime},
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// The environment variable by which runaway descendants are found.
pub const MARKER: &str = "PIPE_MARKER";

/// How long the output may be silent after the leader's exit before it counts as held by others.
const QUIET: Duration = Duration::from_millis(200);
/// How long the output is read after the leader's exit at most.
const DRAIN: Duration = Duration::from_secs(2);

/// The options with which bash ends at the first failure of a text.
pub const BASH: [&str; 3] = ["-euo", "pipefail", "-c"];

/// The same for other shells.
pub const SH: [&str; 2] = ["-eu", "-c"];

/// The program and the arguments that run a text of bash, ending at its first failure.
#[must_use]
pub fn bash(text: &str) -> (OsString, Vec<OsString>) {
    let words = BASH.into_iter().chain([text]);
    ("bash".into(), words.map(OsString::from).collect())
}

/// How many file descriptors a runtime takes, and the signals that the first one sets up.
const OF_A_RUNTIME: usize = 8;

/// A runtime for the thread that asks for it.
///
/// # Errors
/// When there are too few file descriptors. The crate would panic where it can set its signals up no more.
pub fn runtime() -> io::Result<Runtime> {
    let free = (0..OF_A_RUNTIME).map(|_| File::open("/dev/null"));
    drop(free.collect::<io::Result<Vec<_>>>()?);
    runtime::Builder::new_current_thread().enable_all().build()
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// A path, or a name to look up in the `PATH` of `env`.
    pub program: OsString,
    /// The arguments after the program's name.
    pub args: Vec<OsString>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// A text that no other process has, put into the environment as [`MARKER`].
    pub marker: String,
}

/// Which of its two outputs a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// Some bytes of output, at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where they were written.
    pub stream: Stream,
    /// The bytes as they were written.
    pub bytes: Vec<u8>,
}

/// How the leader ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It never ran.
    NotStarted(StartError),
}

/// Why a process was stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its run was cancelled.
    Cancelled,
    /// Its time was over.
    TimedOut,
    /// It was killed without being asked.
    Killed,
}

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How the leader ended.
    pub exit: Exit,
    /// Why it was stopped, if it was.
    pub stopped: Option<Stop>,
    /// How many descendants outlived the leader, and its grace, and had to be killed.
    pub leaked: usize,
    /// Whether output may be missing: someone held the pipe to the last, or nobody took the chunks.
    pub cut: bool,
    /// From the start to the leader's exit.
    pub elapsed: Duration,
}

/// Runs a process to its end and the end of all it started.
///
/// `cancel` asks it to end and `kill` ends it at once; after `timeout` it is asked as well. A process
/// that was asked has `grace` to end. Output goes to `output`, which holds the process back while it
/// is full; if its receiver is gone the output is read and thrown away.
pub async fn run(
    spec: &Spec,
    timeout: Option<Duration>,
    grace: Duration,
    cancel: &CancellationToken,
    kill: &CancellationToken,
    output: mpsc::Sender<Chunk>,
) -> Ended {
    let began = Instant::now();
    let (mut leader, mut pump) = match start(spec, output).await {
        Ok(started) => started,
        Err(error) => return Ended::not_started(error, began.elapsed()),
    };
    // The arguments may hold what is nobody's business; the program and the folder do not.
    tracing::debug!(program = ?spec.program, cwd = %spec.cwd.display(), "started");
    let mut stopper = Stopper::new(timeout, grace, cancel, kill);

    until_exit(&mut leader, &mut pump, &mut stopper).await;
    let elapsed = began.elapsed();
    wind_down(&leader, &mut pump, &mut stopper).await;
    drain(&mut pump, QUIET, &stopper).await;
    let leaked = leader.kill_leftovers().await;
    // Nobody writes any more: what is left in the pipe is read to its end. But a receiver that had
    // its time and did not take a chunk does not get it twice.
    if !(stopper.was_asked() && pump.is_sending()) {
        drain(&mut pump, QUIET, &stopper).await;
    }
    let exit = leader.reap();
    tracing::debug!(program = ?spec.program, ?exit, ?elapsed, leaked, "ended");
    Ended {
        exit,
        stopped: stopper.stopped,
        leaked,
        cut: !pump.ended(),
        elapsed,
    }
}

async fn start(spec: &Spec, output: mpsc::Sender<Chunk>) -> Result<(Leader, Pump), StartError> {
    let (leader, pipes) = Leader::start(spec).await?;
    let pump = Pump::new(pipes, output).map_err(|error| StartError::find(&error, spec))?;
    Ok((leader, pump))
}

impl Ended {
    fn not_started(error: StartError, elapsed: Duration) -> Self {
        Self {
            exit: Exit::NotStarted(error),
            stopped: None,
            leaked: 0,
            cut: false,
            elapsed,
        }
    }
}

async fn until_exit(leader: &mut Leader, pump: &mut Pump, stopper: &mut Stopper<'_>) {
    loop {
        tokio::select! {
            biased;
            () = leader.exited() => return,
            next = stopper.next() => {
                if stopper.act(next, leader) == stop::Hope::Lost {
                    return;
                }
            }
            () = pump.step(), if !pump.ended() => {}
        }
    }
}

/// Leaves to the rest of a group that was asked to end what remains of its grace.
async fn wind_down(leader: &Leader, pump: &mut Pump, stopper: &mut Stopper<'_>) {
    while stopper.is_waiting() && leader.has_company() {
        let look_again = sleep(Duration::from_millis(50));
        tokio::pin!(look_again);
        loop {
            tokio::select! {
                biased;
                () = &mut look_again => break,
                next = stopper.next() => {
                    stopper.act(next, leader);
                    break;
                }
                () = pump.step(), if !pump.ended() => {}
            }
        }
    }
}

/// Reads on until the end of the output, or until it is silent for `quiet`, or for [`DRAIN`].
///
/// Time in which the receiver is busy does not count, or a slow disk would lose lines; unless the
/// run is cancelled, for then even a receiver that hangs must not hold it.
async fn drain(pump: &mut Pump, quiet: Duration, stopper: &Stopper<'_>) {
    let mut end = Instant::now() + DRAIN;
    let mut asked = stopper.was_asked();
    while !pump.ended() {
        let sending = pump.is_sending();
        let now = Instant::now();
        let limited = asked || !sending;
        if limited && now >= end {
            return;
        }
        // The times come last: what is there already is read without asking a clock to wake anybody.
        tokio::select! {
            biased;
            () = stopper.asked(), if !asked => {
                asked = true;
                end = end.min(now + DRAIN);
            }
            () = pump.step() => {
                if sending {
                    end += now.elapsed();
                }
            }
            () = tokio::time::sleep_until(end), if limited => return,
            () = sleep(quiet), if !sending => return,
        }
    }
}
