//! Who made a container: which process, on which machine, since when. So that what a dead one left can be told from
//! what a living one uses.

use std::collections::BTreeMap;
use std::path::Path;

/// The label that everything carries, with the id of the process's runs.
pub(super) const RUN: &str = "dev.pipe.run";
const FOLDER: &str = "dev.pipe.folder";
const HOST: &str = "dev.pipe.host";
const BOOT: &str = "dev.pipe.boot";
const PID: &str = "dev.pipe.pid";
const STARTED: &str = "dev.pipe.started";

/// A process, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    host: String,
    boot: String,
    pid: u32,
    started: String,
}

impl Mark {
    /// The mark of this process.
    pub(super) fn own() -> Self {
        let pid = std::process::id();
        let node = rustix::system::uname();
        let node = node.nodename().to_string_lossy().into_owned();
        // Numbers of processes mean something in their name space alone.
        let space = std::fs::read_link("/proc/self/ns/pid")
            .map(|p| p.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self {
            host: format!("{node} {space}"),
            boot: boot(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// The beginning of the names of what it makes.
    pub(super) fn name(&self) -> String {
        format!("pipe-{}-{}", self.pid, self.started)
    }

    /// The labels of what it makes for a pipeline in this folder.
    pub(super) fn labels<L: FromIterator<(String, String)>>(&self, folder: &Path) -> L {
        [
            (FOLDER, folder.to_string_lossy().into_owned()),
            (RUN, self.name()),
            (HOST, self.host.clone()),
            (BOOT, self.boot.clone()),
            (PID, self.pid.to_string()),
            (STARTED, self.started.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Whether these labels are of a process of this machine that is no more.
    pub(super) fn outlived(&self, labels: &BTreeMap<String, String>) -> bool {
        let get = |name: &str| labels.get(name).map_or("", String::as_str);
        if labels.get(HOST) != Some(&self.host) {
            return false;
        }
        let same_boot = get(BOOT) == self.boot;
        let alive = get(PID).parse().ok().and_then(started);
        !(same_boot && alive.is_some_and(|s| s == get(STARTED)))
    }
}

pub(super) fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

/// When a process was started, if it is there: no other one of the same number has the same.
pub(super) fn started(pid: u32) -> Option<String> {
    if cfg!(not(target_os = "linux")) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
        let alive = rustix::process::test_kill_process(pid).is_ok();
        return alive.then(|| "0".to_owned());
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie holds nothing any more.
    if fields.next() == Some("Z") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{BOOT, HOST, Mark, PID, STARTED};

    #[test]
    fn only_what_a_dead_process_of_this_machine_made_is_outlived() {
        let own = Mark::own();
        let labels: BTreeMap<String, String> = own.labels(std::path::Path::new("/work"));
        let with = |name: &str, value: &str| {
            let mut labels = labels.clone();
            labels.insert(name.to_owned(), value.to_owned());
            own.outlived(&labels)
        };
        assert_eq!(
            (
                own.outlived(&labels),
                with(STARTED, "1"),
                with(BOOT, "another"),
                with(PID, "4194999"),
                with(HOST, "another"),
                own.outlived(&BTreeMap::new()),
            ),
            (false, true, true, true, false, false)
        );
    }
}
