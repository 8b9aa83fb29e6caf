//! Finds and kills what a process left behind: members of its group, descendants that carry its
//! marker, and at the end all descendants of this process. Does not know who started them, or why.
//!
//! Where this process is the sub-reaper, orphans become its children, so its own tree is all there
//! is to look at; elsewhere the whole of `/proc` is read. Every search is repeated until it finds
//! nothing, a bounded number of times, as a process may fork while it is looked for. A process is
//! signalled through a descriptor that is opened before its identity is checked: a number that was
//! given to somebody else meanwhile is never hit.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
#[path = "sweep/groups_only.rs"]
mod linux;

use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

/// How long killed processes may take to vanish.
const DEATH: Duration = Duration::from_secs(2);

/// How long a process that shows no environment is looked for again: beginning a program takes less.
const UNSURE: Duration = Duration::from_millis(50);

/// The pause between two searches, which grows with their number.
fn pause(round: u32) -> Duration {
    Duration::from_millis(u64::from(round.min(25)) * 2 + 1)
}

/// Makes orphaned descendants children of this process instead of the machine's first one, so that
/// they can be found. Without effect where the system does not know this.
pub fn become_subreaper() {
    linux::become_subreaper();
}

/// Asks all descendants of this process to end, kills them after `grace`, and reaps the orphans.
/// Returns how many there were. Blocks the thread.
///
/// Processes that other code of this process waits for are killed too, but left to it.
pub fn kill_descendants(grace: Duration) -> usize {
    let mut found = BTreeSet::new();
    let asked = Instant::now();
    let mut round = 0;
    while asked.elapsed() < grace {
        let search = linux::descendants();
        if search.alive.is_empty() {
            break;
        }
        for process in search.alive {
            if found.insert(process) {
                linux::ask(process);
            }
        }
        reap_orphans();
        thread::sleep(pause(round));
        round += 1;
    }
    let killed = Instant::now();
    loop {
        let search = linux::descendants();
        for &process in &search.alive {
            linux::kill(process);
        }
        reap_orphans();
        if is_over(&search, killed) {
            return found.len();
        }
        found.extend(search.alive);
        thread::sleep(pause(round));
        round += 1;
    }
}

/// Whether nothing is left of whatever has ended: where this process is the sub-reaper, whoever outlives a leader is
/// below an orphan, and every orphan is a child of this process. False where that cannot be known.
pub fn has_no_orphans() -> bool {
    linux::has_no_orphans()
}

/// Whether nothing is left of the tree of a leader that has ended, because there are no orphans: nothing needs to be
/// looked for. The group is killed all the same: somebody below another leader may have joined it.
pub(super) fn kill_where_no_orphans_are(leader: Pid) -> bool {
    let none = has_no_orphans();
    if none {
        let _ = kill_process_group(leader, Signal::KILL);
    }
    none
}

/// Kills what is left of a tree until nothing is found; returns how many there were.
pub(super) async fn kill_leftovers(leader: Pid, marker: &str) -> usize {
    let mut found = BTreeSet::new();
    let began = Instant::now();
    let mut round = 0;
    loop {
        let search = kill_once(leader, marker);
        reap_orphans();
        if is_over(&search, began) {
            return found.len();
        }
        found.extend(search.alive);
        tokio::time::sleep(pause(round)).await;
        round += 1;
    }
}

/// One search and kill; returns what was found.
pub(super) fn kill_once(leader: Pid, marker: &str) -> linux::Found {
    let search = linux::tree(leader, marker);
    // Only after looking: this would hide how many there were.
    let _ = kill_process_group(leader, Signal::KILL);
    for &process in &search.alive {
        linux::kill(process);
    }
    search
}

fn is_over(search: &linux::Found, began: Instant) -> bool {
    let sure = !search.unsure || began.elapsed() > UNSURE;
    (search.alive.is_empty() && search.settled && sure) || began.elapsed() > DEATH
}

/// Whether the leader's group has other living members.
pub(super) fn group_has_others(leader: Pid) -> bool {
    linux::group_has_others(leader)
}

/// Reaps ended orphans that became children of this process.
///
/// Whoever else starts processes here must leave them in this process's own group: by this an
/// orphan of a job is told from a child that somebody waits for.
pub(crate) fn reap_orphans() {
    linux::reap_orphans();
}
