//! A run in the background: started, watched, signalled, waited for.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Output, Project, processes_with, wait_until};

/// How long a run may take to end that ought to end soon.
const PATIENCE: Duration = Duration::from_secs(120);

/// A run that goes on.
pub struct Started<'p> {
    project: &'p Project,
    child: Child,
}

impl<'p> Started<'p> {
    /// Starts the binary with these arguments.
    pub fn new(project: &'p Project, args: &[&str]) -> Self {
        Self::of(project, &mut project.command(args))
    }

    /// Starts a prepared command; its outputs are kept.
    pub fn of(project: &'p Project, command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { project, child }
    }

    /// Waits until the run has made a file. A run that ends without it will never make it.
    #[track_caller]
    pub fn until_there(self, name: &str) -> Self {
        let is_there = || self.project.path(name).exists();
        wait_until(name, || is_there() || self.has_ended());
        if !is_there() {
            panic!("ended without {name}: {:?}", self.end());
        }
        self
    }

    /// The guardian: the process that was started.
    pub fn guardian(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The engine: the guardian's only child.
    #[track_caller]
    pub fn engine(&self) -> Pid {
        let guardian = self.guardian().as_raw_pid();
        children(guardian)
            .first()
            .copied()
            .and_then(Pid::from_raw)
            .expect("the guardian has a child")
    }

    /// Whether it has ended already.
    pub fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.unwrap().rsplit_once(')').unwrap().1.starts_with(" Z")
    }

    /// Sends a signal to the process that was started.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.guardian(), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(self) -> Output {
        let (tell, hear) = mpsc::channel();
        let child = self.child;
        std::thread::spawn(move || tell.send(child.wait_with_output()));
        let out = hear.recv_timeout(PATIENCE).expect("the run ends").unwrap();
        Output {
            code: out.status.code(),
            stdout: self.project.filtered(&String::from_utf8_lossy(&out.stdout)),
            stderr: self.project.filtered(&String::from_utf8_lossy(&out.stderr)),
        }
    }

    /// Throws away what it prints, and waits for its end: its exit code.
    pub fn drained(mut self) -> Option<i32> {
        let mut out = self.child.stdout.take().unwrap();
        let _ = std::io::copy(&mut out, &mut std::io::sink());
        self.end().code
    }
}

/// The first process of what a script has put into a machine of its own, with `unshare`.
pub fn inside(script: &Child) -> i32 {
    let unshare = children(i32::try_from(script.id()).unwrap())[0];
    children(unshare)[0]
}

/// The numbers of a process's children.
pub fn children(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let parent_of = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse::<i32>()
            .ok()
    };
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// Asserts that no process is left that a job of the project started.
#[track_caller]
pub fn nothing_is_left_of(project: &Project) {
    let root = project.root();
    wait_until("no process of a job is left", || {
        processes_of(&root).is_empty()
    });
}

/// The processes that jobs of a project in this folder started: every job gets the folder's name.
pub fn processes_of(root: &Path) -> Vec<i32> {
    processes_with(&format!("PIPE_WORKSPACE={}", root.display()))
}

/// The lines of a file of the project; none if it is not there.
pub fn lines(project: &Project, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(project.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A pipeline of one stage.
pub fn stage(jobs: &str) -> String {
    format!("pipeline app\nstage test {{\n{jobs}\n}}\n")
}
