//! The leader of a process group: started, watched, signalled, and reaped last of all.
//! Does not decide when.
//!
//! The leader stays a zombie until its group was killed for the last time: as long as it is there,
//! neither its number nor its group's can belong to anybody else.

use super::{Exit, MARKER, Spec, StartError, plain, start, sweep, watch::Watch};
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io,
    os::{
        fd::OwnedFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::sleep;

/// How often a program is started again that some other child still has open for writing.
const BUSY_RETRIES: u32 = 10;

/// The leaders that are not reaped yet. Whoever reaps orphans holds this, so that the number it
/// reaps is not a new leader's.
static LEADERS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// The right to reap a child that leads a group of its own. As long as it is held nobody else takes the child for an
/// orphan, and its exit status is its holder's.
#[derive(Debug)]
pub struct Reserved(i32);

impl Drop for Reserved {
    fn drop(&mut self) {
        leaders().remove(&self.0);
    }
}

/// Starts a child as the leader of a group of its own. Its caller reaps it before it gives up the right to.
///
/// # Errors
/// The operating system's.
pub fn start_leader(command: &mut Command) -> io::Result<(Child, Reserved)> {
    let mut leaders = leaders();
    let child = command.process_group(0).spawn()?;
    let pid = Pid::from_child(&child).as_raw_pid();
    leaders.insert(pid);
    Ok((child, Reserved(pid)))
}

/// A started process, the leader of its own group.
pub(super) struct Leader {
    child: Child,
    /// Until it is reaped.
    reserved: Option<Reserved>,
    pid: Pid,
    marker: String,
    watch: Watch,
    ended: bool,
    /// Whether this process has children that nobody waits for.
    orphans: bool,
}

impl Leader {
    /// Starts a process with closed input and piped outputs.
    pub(super) async fn start(spec: &Spec) -> Result<(Self, (OwnedFd, OwnedFd)), StartError> {
        let (child, reserved) = spawn(spec)
            .await
            .map_err(|error| StartError::find(&error, spec))?;
        let pid = Pid::from_child(&child);
        let mut leader = Self {
            pid,
            child,
            reserved: Some(reserved),
            marker: spec.marker.clone(),
            watch: Watch::over(pid),
            ended: false,
            orphans: false,
        };
        let pipes = leader
            .pipes()
            .map_err(|error| StartError::find(&error, spec))?;
        Ok((leader, pipes))
    }

    /// Waits until the leader is a zombie. May be dropped and called again.
    pub(super) async fn exited(&mut self) {
        self.watch.ended().await;
        self.ended = true;
    }

    /// Signals all members of the group.
    pub(super) fn signal_group(&self, signal: Signal) {
        if self.reserved.is_some() {
            // An error means that nobody is left, or nobody whom we may signal.
            let _ = kill_process_group(self.pid, signal);
        }
    }

    /// Whether the group has other living members.
    pub(super) fn has_company(&self) -> bool {
        sweep::group_has_others(self.pid)
    }

    /// Kills the group and all descendants with the marker; returns how many outlived the leader.
    pub(super) async fn kill_leftovers(&mut self) -> usize {
        // As long as the leader lives, its children are no orphans, and not seen by a look for these.
        self.orphans = !(self.ended && sweep::kill_where_no_orphans_are(self.pid));
        if !self.orphans {
            return 0;
        }
        sweep::kill_leftovers(self.pid, &self.marker).await
    }

    /// Takes the exit status; after this the leader's number may belong to anybody.
    pub(super) fn reap(&mut self) -> Exit {
        let status = self.child.try_wait();
        self.reserved = None;
        if self.orphans {
            sweep::reap_orphans();
        }
        match status {
            Ok(Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, signal) => Exit::Signal(signal.unwrap_or(Signal::KILL.as_raw())),
            },
            // Killed, but the kernel still holds it.
            Ok(None) => Exit::Signal(Signal::KILL.as_raw()),
            Err(error) => Exit::NotStarted(StartError::Other {
                program: "the process".to_owned(),
                reason: format!("its exit status was lost: {error}"),
            }),
        }
    }

    fn pipes(&mut self) -> io::Result<(OwnedFd, OwnedFd)> {
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdout = self.child.stdout.take().ok_or_else(missing)?;
        let stderr = self.child.stderr.take().ok_or_else(missing)?;
        Ok((stdout.into(), stderr.into()))
    }
}

/// A leader that was dropped before its end takes its tree with it.
impl Drop for Leader {
    fn drop(&mut self) {
        if self.reserved.is_none() {
            return;
        }
        self.signal_group(Signal::KILL);
        sweep::kill_once(self.pid, &self.marker);
        // If it is still dying, the next reaping of orphans takes it.
        let _ = self.child.try_wait();
    }
}

/// The numbers of all leaders that are not reaped yet.
pub(super) fn leaders() -> MutexGuard<'static, BTreeSet<i32>> {
    LEADERS.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn spawn(spec: &Spec) -> io::Result<(Child, Reserved)> {
    for _ in 0..BUSY_RETRIES {
        match spawn_once(spec) {
            // Between fork and exec another child has a copy of every open file, also of a program
            // that was written just now.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                sleep(Duration::from_millis(10)).await;
            }
            result => return result,
        }
    }
    spawn_once(spec)
}

/// Starts it without a shell where it needs none.
fn spawn_once(spec: &Spec) -> io::Result<(Child, Reserved)> {
    let plain = plain::without_shell(spec);
    let plain =
        plain.and_then(|(path, plain)| start_leader(&mut command(&plain, path.as_os_str())).ok());
    plain.map_or_else(|| spawn_as_asked(spec), Ok)
}

/// Starts it by its path if it has one: a name that is looked up in a `PATH` of its own makes the standard library copy
/// this whole process first. What cannot be started so is started by its name, which also says best what is wrong.
fn spawn_as_asked(spec: &Spec) -> io::Result<(Child, Reserved)> {
    let start = |program: &OsStr| start_leader(&mut command(spec, program));
    let by_path = start::path(spec).and_then(|path| start(path.as_os_str()).ok());
    by_path.map_or_else(|| start(&spec.program), Ok)
}

fn command(spec: &Spec, program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command
        .arg0(&spec.program)
        .args(&spec.args)
        .current_dir(&spec.cwd)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .env(MARKER, &spec.marker)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_plain_command_that_cannot_be_started_is_the_shells() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "exit 7\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        // It has no `#!`, which only a shell makes up for; the other is not there.
        for (text, code) in [("./script a", 7), ("./nowhere a", 127)] {
            let (program, args) = super::super::bash(text);
            let spec = Spec {
                program,
                args,
                cwd: dir.path().to_owned(),
                env: vec![("PATH".into(), "/usr/bin:/bin".into())],
                marker: "marker".into(),
            };
            assert!(plain::without_shell(&spec).is_some(), "{text}");
            let (mut child, _reserved) = spawn_once(&spec).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(code), "{text}");
        }
    }

    #[test]
    fn a_leader_that_has_ended_is_its_holders_to_reap() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        let (mut child, reserved) = start_leader(&mut command).unwrap();
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(300) {
            sweep::reap_orphans();
        }
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert!(leaders().contains(&reserved.0));
        let pid = reserved.0;
        drop(reserved);
        assert!(!leaders().contains(&pid));
    }
}
