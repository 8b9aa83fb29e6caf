//! Looks at processes through `/proc`.

use super::super::{MARKER, group::leaders};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, child_subreaper, getpgrp, getpid, kill_process,
    pidfd_open, pidfd_send_signal, set_child_subreaper, waitid,
};
use std::{collections::BTreeMap, fs};

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

pub(super) fn become_subreaper() {
    // Fails only on kernels before 3.4, where there is no such thing.
    let _ = set_child_subreaper(Some(getpid()));
}

/// All living descendants of this process.
pub(super) fn descendants() -> Vec<Process> {
    below(getpid().as_raw_pid(), |_| true)
        .into_iter()
        .filter(Stat::is_alive)
        .map(|stat| stat.process)
        .collect()
}

/// The living members of a leader's group, the processes with the marker, and all below these;
/// without the leader.
pub(super) fn tree(leader: Pid, marker: &str) -> Vec<Process> {
    let leader = leader.as_raw_pid();
    let entry = format!("{MARKER}={marker}");
    let marked = |pid| !marker.is_empty() && carries(pid, &entry);
    let (mut inside, mut others): (Vec<_>, Vec<_>) = candidates(leader)
        .into_iter()
        .filter(|stat| stat.pid() != getpid().as_raw_pid())
        .partition(|stat| stat.group == leader || marked(stat.pid()));
    let mut next = 0;
    while let Some(parent) = inside.get(next).map(Stat::pid) {
        inside.extend(others.extract_if(.., |stat| stat.parent == parent));
        next += 1;
    }
    inside
        .into_iter()
        .filter(|stat| stat.pid() != leader && stat.is_alive())
        .map(|stat| stat.process)
        .collect()
}

pub(super) fn group_has_others(leader: Pid) -> bool {
    let leader = leader.as_raw_pid();
    candidates(leader)
        .iter()
        .any(|stat| stat.group == leader && stat.pid() != leader && stat.is_alive())
}

/// Signals exactly this process, or nobody.
pub(super) fn signal(process: Process, signal: Signal) {
    let Some(pid) = Pid::from_raw(process.pid) else {
        return;
    };
    let handle = pidfd_open(pid, PidfdFlags::empty());
    if stat(process.pid).is_none_or(|now| now.process != process) {
        return;
    }
    // The other way is for old kernels and for a process without free file descriptors.
    let _ = match handle {
        Ok(handle) => pidfd_send_signal(handle, signal),
        Err(_) => kill_process(pid, signal),
    };
}

pub(super) fn reap_orphans() {
    let own = getpgrp().as_raw_pid();
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
fn candidates(leader: i32) -> Vec<Stat> {
    if !matches!(child_subreaper(), Ok(Some(_))) {
        return everything();
    }
    let others = leaders().clone();
    below(getpid().as_raw_pid(), |pid| {
        pid == leader || !others.contains(&pid)
    })
}

/// All processes below one, without those that `enter` refuses and their trees.
fn below(root: i32, enter: impl Fn(i32) -> bool) -> Vec<Stat> {
    let mut found = BTreeMap::new();
    let mut queue = children(root);
    while let Some(pid) = queue.pop() {
        if enter(pid)
            && !found.contains_key(&pid)
            && let Some(stat) = stat(pid)
        {
            found.insert(pid, stat);
            queue.extend(children(pid));
        }
    }
    found.into_values().collect()
}

/// The children of all threads of a process.
fn children(parent: i32) -> Vec<i32> {
    let mut all = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return all;
    };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => all.extend(text.split(' ').filter_map(|pid| pid.parse::<i32>().ok())),
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

/// Whether a process was started with this entry in its environment.
fn carries(pid: i32, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| {
        text.split(|&byte| byte == 0)
            .any(|one| one == entry.as_bytes())
    })
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
    fn this_process_is_found_by_its_own_stat() {
        let own = stat(getpid().as_raw_pid()).unwrap();
        assert_eq!(own.group, getpgrp().as_raw_pid());
        assert!(own.is_alive());
    }
}
