//! Two processes instead of one, each of which survives the other and cleans up: the guardian, which
//! the caller starts, and the engine, its fork, which does the work. Nothing runs yet when it parts,
//! no thread and no runtime, so that both have all that they need; starting the program a second
//! time would cost a small run a fifth of its time.
//! Knows neither jobs nor options; does not decide what a signal means.
//!
//! - **The engine dies**, by `kill -9` too: its descendants become the guardian's, which is a
//!   sub-reaper. It asks them to end, kills them after the grace, and passes the exit status on.
//! - **The guardian dies**: the engine sees its parent's end at once ([`orphaned`]) and cancels
//!   itself. It is a sub-reaper too, so nothing escapes it.
//!
//! The lifeline is a descriptor of the parent process, which becomes readable at its end: no file
//! descriptor is handed down, so none can leak into a job, and nothing goes stale.
//!
//! **One signal is one signal.** An engine at work leads its own process group. What a terminal sends to
//! its foreground group (Ctrl-C), what a script sends to the guardian's number, and what `timeout`
//! or a CI runner sends to the guardian's whole group, each reaches the guardian, and it passes each
//! on exactly once. There is no time window in which two signals count as one. It also means that a
//! `kill -9` of the whole group leaves the engine alive to clean up. The price: to the terminal the
//! engine is a background process then. It may write (not under `stty tostop`), but it cannot read keys:
//! whoever is to be asked is asked before ([`leave_group`]). Ctrl-Z stops the guardian and the engine;
//! jobs go on.

use super::{become_subreaper, has_no_orphans, kill_descendants, runtime};
use fork::{Fork, fork};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, setpgid, waitpid,
};
use std::{
    env, fs,
    future::{Future, pending},
    io,
    mem::ManuallyDrop,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// The environment variable with which a parent says that it is the guardian: its process number. Then this process does
/// not part, which whoever traces it wants.
pub const GUARDED: &str = "PIPE_GUARDED";

/// Signals that the guardian passes on.
const FORWARDED: [Signal; 7] = [
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// Signals that ask for the end.
const ENDING: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];

/// The exit status when the engine's own cannot be had.
const LOST: i32 = 3;

/// How long the engine may take to end after the second and the third signal that asks it to. It needs a moment only,
/// unless it is stuck: in a write to a terminal that is stopped, for example.
const STUCK: [Duration; 2] = [Duration::from_secs(15), Duration::from_secs(1)];

/// Whether this is an engine in its guardian's group.
static PARTED: AtomicBool = AtomicBool::new(false);

static ORPHANED: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Parts the process in two; to be called first of all, before any thread or runtime is started. `grace` says how long
/// processes have to end that the engine has left behind.
///
/// In the guardian it returns when all is over, with the status to exit with: the engine's own, or
/// 128 and the number of the signal that ended it. In the engine it returns `None` at once. It also
/// does so where no second process can be started: the run is then only as safe as its own process.
pub fn guard(grace: impl FnOnce() -> Duration) -> Option<i32> {
    become_subreaper();
    if let Some(guardian) = told() {
        watch(guardian);
        return None;
    }
    let guardian = getpid();
    match fork() {
        Ok(Fork::Child) => {
            PARTED.store(true, Ordering::Relaxed);
            // A fork does not inherit it.
            become_subreaper();
            watch(guardian);
            None
        }
        Ok(Fork::Parent(engine)) => Some(guard_engine(Pid::from_raw(engine)?, grace)),
        Err(_) => None,
    }
}

/// Leaves the guardian's group for one of its own, if this process is an engine; to be called before anything is
/// started, and before signals are listened for. Until then it belongs to the terminal's foreground, so that a person can
/// be asked.
pub fn leave_group() {
    if PARTED.swap(false, Ordering::Relaxed) {
        // It can only fail where it is not needed: for the leader of a session.
        let _ = setpgid(None, None);
    }
}

/// A token that is cancelled when the guardian of this process is gone.
pub fn orphaned() -> CancellationToken {
    ORPHANED.clone()
}

/// The guardian that a variable names. The variable alone proves nothing: it may have been inherited from an engine
/// further up.
fn told() -> Option<Pid> {
    let told: i32 = env::var(GUARDED).ok()?.parse().ok()?;
    getppid().filter(|parent| parent.as_raw_pid() == told)
}

/// There is an engine: whatever happens, this process must not become a second one.
fn guard_engine(engine: Pid, grace: impl FnOnce() -> Duration) -> i32 {
    // It ends with the process.
    let Ok(runtime) = runtime().map(ManuallyDrop::new) else {
        // Without descriptors no signal can be passed on; what ends is still cleaned up.
        let status = waitpid(Some(engine), WaitOptions::empty());
        kill_descendants(grace());
        return status
            .ok()
            .flatten()
            .map_or(LOST, |(_, status)| code(status));
    };
    runtime.block_on(async {
        let mut signals = listen();
        let status = watch_over(engine, &mut signals).await;
        if !has_no_orphans() {
            let grace = grace();
            let sweep = task::spawn_blocking(move || kill_descendants(grace));
            if impatient(sweep, &mut signals).await {
                kill_descendants(Duration::ZERO);
            }
        }
        status.map_or(LOST, code)
    })
}

async fn watch_over(engine: Pid, signals: &mut mpsc::Receiver<Signal>) -> io::Result<WaitStatus> {
    let mut ends = signal(SignalKind::child())?;
    let mut asked: usize = 0;
    let mut stuck = None;
    loop {
        // It may have ended before anybody listened.
        if let Some((_, status)) = waitpid(Some(engine), WaitOptions::NOHANG)? {
            return Ok(status);
        }
        tokio::select! {
            _ = ends.recv() => {}
            Some(signal) = signals.recv() => {
                pass_on(signal, engine);
                asked += usize::from(ENDING.contains(&signal));
                stuck = asked.checked_sub(2).map(|n| Instant::now() + STUCK[n.min(1)]).or(stuck);
            }
            () = until(stuck), if stuck.is_some() => {
                stuck = None;
                kill_process(engine, Signal::KILL)?;
            }
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

fn pass_on(signal: Signal, engine: Pid) {
    if signal == Signal::TSTP {
        let _ = kill_process(engine, Signal::STOP);
        let _ = kill_process(getpid(), Signal::STOP);
    } else {
        // Not reaped yet, so the number is still the engine's.
        let _ = kill_process(engine, signal);
    }
}

/// Waits for the work's end; true if somebody asks for the end earlier.
async fn impatient(work: impl Future, signals: &mut mpsc::Receiver<Signal>) -> bool {
    tokio::pin!(work);
    loop {
        tokio::select! {
            _ = &mut work => return false,
            Some(signal) = signals.recv() => {
                if ENDING.contains(&signal) {
                    return true;
                }
            }
        }
    }
}

/// Receives the signals that are passed on, but for those that were ignored when this process
/// began: `nohup` and `&` in a script mean that.
fn listen() -> mpsc::Receiver<Signal> {
    let (sender, receiver) = mpsc::channel(16);
    let ignored = ignored();
    for one in FORWARDED.into_iter().chain([Signal::TSTP, Signal::CONT]) {
        let number = one.as_raw();
        if ignored & (1 << (number - 1)) != 0 {
            continue;
        }
        let Ok(mut stream) = signal(SignalKind::from_raw(number)) else {
            continue;
        };
        let sender = sender.clone();
        task::spawn(async move {
            while stream.recv().await.is_some() && sender.send(one).await.is_ok() {}
        });
    }
    receiver
}

/// The set of ignored signals as the kernel shows it, one bit for each.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

fn code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, signal) => 128 + signal.unwrap_or(0),
    }
}

/// Cancels [`orphaned`] at the guardian's end, from a thread that does nothing else.
fn watch(guardian: Pid) {
    let token = orphaned();
    let watcher = thread::Builder::new().name("lifeline".to_owned());
    // Without a thread the run goes on unguarded, which is better than none.
    let _ = watcher.spawn(move || {
        while getppid() == Some(guardian) {
            wait_a_while(guardian);
        }
        token.cancel();
    });
}

/// Waits for the end of a process, or for a moment where the system cannot say it.
fn wait_a_while(process: Pid) {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            event::{PollFd, PollFlags, poll},
            process::{PidfdFlags, pidfd_open},
        };
        if let Ok(handle) = pidfd_open(process, PidfdFlags::empty())
            // The parent may have ended, and its number been given away, before it was opened.
            && getppid() == Some(process)
        {
            let _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], None);
        }
    }
    // Also gives the kernel time to say who the new parent is.
    thread::sleep(Duration::from_millis(if cfg!(target_os = "linux") {
        5
    } else {
        100
    }));
    let _ = process;
}
