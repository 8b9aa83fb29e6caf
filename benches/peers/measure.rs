//! Runs one program and says how long it took and how much memory it and what it started held. Does not know what it ran.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How the memory is measured, for people.
pub const MEMORY: &str = "peak memory: VmHWM of all processes of the tree that are alive together, added up; memory shared \
     before an exec counts once; looked at every 10 ms from the 50th on, which a short run ends before; where it is up to \
     date it runs once more for that";

/// How often, when a run is not a short one.
const LATER: Duration = Duration::from_millis(10);

/// What came of one run.
pub struct Run {
    pub time: Duration,
    /// In KiB; nothing where nobody looked.
    pub peak: u64,
    /// What went wrong.
    pub fault: Option<String>,
}

/// Its memory is looked at only after a while: looking takes a processor that the run may want.
pub const TIMED: Duration = Duration::from_millis(50);
/// Its memory is looked at all the time, from the beginning.
pub const WATCHED: Duration = Duration::ZERO;

/// Runs a program to its end, or until it has taken too long. Its memory is looked at from `first` on.
pub fn run(command: &mut Command, limit: Duration, first: Duration) -> Run {
    // What was written before must not be paid for now.
    rustix::fs::sync();
    let began = Instant::now();
    let mut child = match command.stdin(Stdio::null()).process_group(0).spawn() {
        Ok(child) => child,
        Err(e) => return failed(format!("does not start: {e}")),
    };
    let pid = child.id();
    let (over, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || watch(pid, began, (limit, first), &ended));
        let status = child.wait();
        let time = began.elapsed();
        drop(over);
        let (peak, late) = watcher.join().expect("the watcher does not panic");
        let fault = match status {
            _ if late => Some(format!("stopped after {} s", limit.as_secs())),
            Ok(status) => (!status.success()).then(|| status.to_string()),
            Err(e) => Some(e.to_string()),
        };
        Run { time, peak, fault }
    })
}

/// Times what this program does itself.
pub fn time(work: impl FnOnce()) -> Run {
    rustix::fs::sync();
    let began = Instant::now();
    work();
    Run {
        time: began.elapsed(),
        peak: 0,
        fault: None,
    }
}

fn failed(fault: String) -> Run {
    Run {
        time: Duration::ZERO,
        peak: 0,
        fault: Some(fault),
    }
}

/// Looks at the memory until the run has ended, and ends it when it is too late.
fn watch(
    pid: u32,
    began: Instant,
    (limit, first): (Duration, Duration),
    ended: &Receiver<()>,
) -> (u64, bool) {
    let (mut peak, mut late, mut pause) = (0, false, first);
    loop {
        if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return (peak, late);
        }
        peak = peak.max(held_by_tree(pid));
        if first > WATCHED || began.elapsed() > Duration::from_millis(100) {
            pause = LATER;
        }
        if began.elapsed() > limit && !late {
            late = true;
            if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
    }
}

/// The peak sizes of the processes that are alive now, in KiB.
fn held_by_tree(root: u32) -> u64 {
    let mut open = vec![root];
    let mut held: BTreeMap<u64, u64> = BTreeMap::new();
    while let Some(pid) = open.pop() {
        // A process that has not called exec has the stack, and most of the memory, of the one that started it: the
        // larger one counts.
        if let Some((stack, size)) = size(pid) {
            let most = held.entry(stack).or_default();
            *most = size.max(*most);
        }
        open.extend(children(pid));
    }
    held.values().sum()
}

/// Where the stack of a process begins, and its peak size in KiB.
fn size(pid: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields 1 and 2 end with the last `)`; this is field 28.
    let (_, fields) = stat.rsplit_once(')')?;
    let stack = fields.split_whitespace().nth(28 - 3)?.parse().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let high = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some((stack, high.split_whitespace().next()?.parse().ok()?))
}

fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let files = threads.into_iter().flatten().flatten();
    let texts = files.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok());
    texts
        .flat_map(|t| {
            t.split_whitespace()
                .filter_map(|w| w.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
