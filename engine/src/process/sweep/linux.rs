//! Looks at processes through `/proc`.

use super::super::{MARKER, group::leaders};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, child_subreaper, getpid, kill_process,
    kill_process_group, pidfd_open, pidfd_send_signal, set_child_subreaper, waitid,
};
use rustix::thread::gettid;
use std::{cell::Cell, collections::BTreeMap, fs, os::unix::fs::FileExt, sync::LazyLock};

/// A process by its number and the time of its start, which no later process shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pid: i32,
    started: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    process: Process,
    state: u8,
    parent: i32,
    group: i32,
}

impl Stat {
    fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Zombies wait for their parent only.
    fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The result of a search.
pub(crate) struct Found {
    pub(super) alive: Vec<Process>,
    /// False if a process ended during the search: it may have started another one unseen.
    pub(super) settled: bool,
    /// Whether some process showed no environment: it has thrown the marker away, begins a program just now, or
    /// has ended since it was found and may have started another one.
    pub(super) unsure: bool,
}

/// What a search saw on its way.
struct Seen {
    stats: Vec<Stat>,
    settled: bool,
}

/// The group of this process, which it never leaves. 0 where it is none of this PID namespace's, as after `nsenter`: then
/// asking the kernel for it gives no valid number.
fn own_group() -> i32 {
    static OWN: LazyLock<i32> =
        LazyLock::new(|| stat(getpid().as_raw_pid()).map_or(0, |stat| stat.group));
    *OWN
}

pub(super) fn become_subreaper() {
    // Fails only on kernels before 3.4, where there is no such thing.
    let _ = set_child_subreaper(Some(getpid()));
}

/// All living descendants of this process.
pub(super) fn descendants() -> Found {
    let seen = below(getpid().as_raw_pid(), |_| true);
    Found {
        alive: alive(seen.stats, None),
        settled: seen.settled,
        unsure: false,
    }
}

/// The living members of a leader's group, the processes with the marker, and all below these;
/// without the leader.
pub(super) fn tree(leader: Pid, marker: &str) -> Found {
    let leader = leader.as_raw_pid();
    let entry = format!("{MARKER}={marker}");
    let blank = Cell::new(false);
    let marked = |stat: &Stat| {
        let environment = environment(stat.pid());
        let is_blank = environment.as_ref().is_none_or(Vec::is_empty);
        blank.set(blank.get() || (is_blank && stat.is_alive()));
        !marker.is_empty() && environment.is_some_and(|text| carries(&text, &entry))
    };
    let seen = candidates(leader);
    let (mut inside, mut others): (Vec<_>, Vec<_>) = seen
        .stats
        .into_iter()
        .filter(|stat| stat.pid() != getpid().as_raw_pid())
        .partition(|stat| stat.group == leader || marked(stat));
    let mut next = 0;
    while let Some(parent) = inside.get(next).map(Stat::pid) {
        inside.extend(others.extract_if(.., |stat| stat.parent == parent));
        next += 1;
    }
    Found {
        alive: alive(inside, Some(leader)),
        settled: seen.settled,
        unsure: blank.get(),
    }
}

fn alive(stats: Vec<Stat>, leader: Option<i32>) -> Vec<Process> {
    stats
        .into_iter()
        .filter(|stat| Some(stat.pid()) != leader && stat.is_alive())
        .map(|stat| stat.process)
        .collect()
}

pub(super) fn group_has_others(leader: Pid) -> bool {
    let leader = leader.as_raw_pid();
    candidates(leader)
        .stats
        .iter()
        .any(|stat| stat.group == leader && stat.pid() != leader && stat.is_alive())
}

/// Kills exactly this process, or nobody, and with it its group: a process that forks and ends
/// quicker than it can be found cannot run from a signal to its group.
pub(super) fn kill(process: Process) {
    if let Some(now) = signal(process, Signal::KILL)
        && now.group != own_group()
        && !leaders().contains(&now.group)
        && let Some(group) = Pid::from_raw(now.group)
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Asks exactly this process, or nobody, to end. A stopped process gets the signal when it goes on.
pub(super) fn ask(process: Process) {
    signal(process, Signal::TERM);
    signal(process, Signal::CONT);
}

/// Signals a process if it still is the same, and returns what it is now.
fn signal(process: Process, signal: Signal) -> Option<Stat> {
    let pid = Pid::from_raw(process.pid)?;
    let handle = pidfd_open(pid, PidfdFlags::empty());
    let now = stat(process.pid).filter(|now| now.process == process)?;
    // The other way is for old kernels and for a process without free file descriptors.
    let _ = match handle {
        Ok(handle) => pidfd_send_signal(handle, signal),
        Err(_) => kill_process(pid, signal),
    };
    Some(now)
}

/// Whether this process takes over orphans and has none: all its children are leaders.
pub(super) fn has_no_orphans() -> bool {
    // Held while a leader is started, so that none is taken for an orphan.
    let leaders = leaders();
    matches!(child_subreaper(), Ok(Some(_)))
        && adopted().is_some_and(|all| all.iter().all(|pid| leaders.contains(pid)))
}

/// The children of this process among which all orphans are; `None` where that cannot be said.
///
/// The kernel gives an orphan to the first thread that lives, which is the main one.
fn adopted() -> Option<Vec<i32>> {
    /// Kept open: this is asked at the end of every process.
    static OF_MAIN: LazyLock<Option<fs::File>> = LazyLock::new(|| {
        let main = getpid();
        fs::File::open(format!("/proc/{main}/task/{main}/children")).ok()
    });
    if gettid() != getpid() {
        // The main thread may be gone.
        return Some(children(getpid().as_raw_pid()));
    }
    list(OF_MAIN.as_ref()?)
}

/// So much of a list the kernel gives at once, in whole numbers: less than that is the end of the list.
const PAGE: usize = 4096;

/// More than a number and a blank are long.
const LONGEST: usize = 16;

/// Reads a list of children from its beginning.
fn list(file: &fs::File) -> Option<Vec<i32>> {
    let (mut text, mut length) = (vec![0; PAGE], 0);
    loop {
        let count = file.read_at(&mut text[length..], length as u64).ok()?;
        length += count;
        if count < PAGE - LONGEST {
            break;
        }
        text.resize(length + PAGE, 0);
    }
    let text = std::str::from_utf8(&text[..length]).ok()?;
    Some(numbers(text).collect())
}

pub(super) fn reap_orphans() {
    let own = own_group();
    let leaders = leaders();
    for pid in children(getpid().as_raw_pid()) {
        if let Some(stat) = stat(pid)
            && let Some(id) = Pid::from_raw(pid)
            && !stat.is_alive()
            && stat.group != own
            && !leaders.contains(&pid)
        {
            let _ = waitid(
                WaitId::Pid(id),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
            );
        }
    }
}

/// Everything that may belong to a leader. With a sub-reaper that is this process's own tree without
/// the trees of other leaders: an orphan is a child of this process, never of another leader.
fn candidates(leader: i32) -> Seen {
    if !matches!(child_subreaper(), Ok(Some(_))) {
        // On a whole machine something always vanishes: that says nothing here.
        return Seen {
            stats: everything(),
            settled: true,
        };
    }
    let others = leaders().clone();
    below(getpid().as_raw_pid(), |pid| {
        pid == leader || !others.contains(&pid)
    })
}

/// All processes below one, without those that `enter` refuses and their trees.
fn below(root: i32, enter: impl Fn(i32) -> bool) -> Seen {
    let mut found = BTreeMap::new();
    let mut settled = true;
    let mut queue = children(root);
    while let Some(pid) = queue.pop() {
        if !enter(pid) || found.contains_key(&pid) {
            continue;
        }
        match stat(pid) {
            Some(stat) => {
                found.insert(pid, stat);
                queue.extend(children(pid));
            }
            None => settled = false,
        }
    }
    let stats: Vec<_> = found.into_values().collect();
    let settled = settled && !stats.iter().any(is_ended_orphan);
    Seen { stats, settled }
}

/// Whether a process has ended and only [`reap_orphans`] will take notice of it.
fn is_ended_orphan(stat: &Stat) -> bool {
    !stat.is_alive()
        && stat.parent == getpid().as_raw_pid()
        && stat.group != own_group()
        && !leaders().contains(&stat.pid())
}

/// The children of all threads of a process.
fn children(parent: i32) -> Vec<i32> {
    let mut all = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return all;
    };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => all.extend(numbers(&text)),
            // A kernel without this file: the long way.
            Err(_) if parent == getpid().as_raw_pid() || thread.path().exists() => {
                let every = everything().into_iter();
                return every
                    .filter(|stat| stat.parent == parent)
                    .map(|stat| stat.pid())
                    .collect();
            }
            Err(_) => {}
        }
    }
    all
}

fn numbers(text: &str) -> impl Iterator<Item = i32> {
    text.split(' ').filter_map(|pid| pid.parse().ok())
}

fn everything() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect()
}

fn stat(pid: i32) -> Option<Stat> {
    parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the fields after the name, which is in parentheses and may hold anything.
fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(&text[name_end + 1..]).ok()?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    Some(Stat {
        process: Process {
            pid,
            started: fields.get(19)?.parse().ok()?,
        },
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
    })
}

/// The environment with which a process was started. While it begins another program it reads as empty, and when it
/// has ended there is none.
fn environment(pid: i32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ")).ok()
}

/// Whether an environment has this entry.
fn carries(environment: &[u8], entry: &str) -> bool {
    environment
        .split(|&byte| byte == 0)
        .any(|one| one == entry.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name_is() {
        let line = b"42 (a) R 1 (b) S 7 8 9 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n";
        assert_eq!(
            parse(42, line),
            Some(Stat {
                process: Process {
                    pid: 42,
                    started: 12345
                },
                state: b'S',
                parent: 7,
                group: 8,
            })
        );
        assert_eq!(parse(42, b"42 (a"), None);
    }

    #[test]
    fn a_list_of_children_is_read_to_its_end_however_long_it_is() {
        let mut all = Vec::new();
        let mut numbers = Vec::new();
        let mut length = 0;
        // The kernel gives it in pieces.
        while length < PAGE + PAGE / 8 {
            let sleep = std::process::Command::new("sleep").arg("60").spawn();
            let child = sleep.unwrap();
            let pid = Pid::from_child(&child).as_raw_pid();
            length += format!("{pid} ").len();
            numbers.push(pid);
            all.push(child);
        }
        let file = fs::File::open("/proc/thread-self/children").unwrap();
        let seen = [list(&file), list(&file)];
        for child in &mut all {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(seen, [Some(numbers.clone()), Some(numbers)]);
        assert_eq!(list(&file), Some(Vec::new()));
    }

    #[test]
    fn this_process_is_found_by_its_own_stat() {
        let own = stat(getpid().as_raw_pid()).unwrap();
        assert_eq!(own.group, own_group());
        assert_eq!(own.group, rustix::process::getpgrp().as_raw_pid());
        assert!(own.is_alive());
    }
}
