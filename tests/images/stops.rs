//! Builds that end before their time: cancelled, killed, timed out. No process of theirs is left.

use rustix::process::{Signal, kill_process};

use super::{BOX, project};
use crate::containers::engines::{Engine, on_both_at_once};
use crate::started::Started;
use crate::support::{Project, wait_until};

/// A project whose build waits, and a text that only its process has.
fn waiting(engine: Engine, more: &str) -> (Project, String) {
    let project = project(more, "");
    let root = project.root();
    let mark = root
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let mark: u64 = mark
        .bytes()
        .fold(7, |sum, b| (sum * 31 + u64::from(b)) % 1_000_000_007);
    let mark = format!("10000{mark}");
    // Buildah calls a container after the image with which it begins.
    let base = format!("localhost/m{mark}:1");
    engine.client(&["tag", BOX, &base]);
    project.write("Dockerfile", &format!("FROM {base}\nRUN sleep {mark}\n"));
    (project, mark)
}

/// The containers in which Podman's builder was working and that it left; BuildKit has none.
fn working(engine: Engine, project: &Project, mark: &str) -> usize {
    if engine == Engine::Docker {
        return 0;
    }
    let args = ["ps", "--all", "--external", "--format", "{{.Names}}"];
    let names = Engine::podman(project, &args);
    names.lines().filter(|name| name.contains(mark)).count()
}

/// Whether the build's own process runs.
fn runs(mark: &str) -> bool {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.into_iter().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line == format!("sleep\0{mark}\0").as_bytes()
    })
}

fn started(engine: Engine, project: &Project) -> Started<'_> {
    // Podman's builder waits for a process that does not end when it is asked to.
    let args = ["run", "--grace", "1s"];
    Started::of(project, &mut engine.building(project, &args))
}

fn begun<'p>(engine: Engine, project: &'p Project, mark: &str) -> Started<'p> {
    let run = started(engine, project);
    wait_until("the build runs", || runs(mark));
    run
}

#[test]
fn a_cancelled_build_leaves_no_process() {
    on_both_at_once(|engine| {
        let (project, mark) = waiting(engine, "");
        let run = begun(engine, &project, &mark);
        kill_process(engine.guardian(&run), Signal::TERM).unwrap();
        let _ = run.end().exits(143);
        wait_until("its process is gone", || !runs(&mark));
        assert_eq!(working(engine, &project, &mark), 0);
    });
}

#[test]
fn a_build_that_takes_too_long_is_ended() {
    on_both_at_once(|engine| {
        // On a busy machine a build may take a while until it waits.
        let waited = ["4s", "16s", "50s"].iter().any(|limit| {
            let (project, mark) = waiting(engine, &format!("        timeout \"{limit}\""));
            let run = started(engine, &project);
            let mut waited = false;
            wait_until("the build waits, or its time is over", || {
                waited = runs(&mark);
                waited || run.has_ended()
            });
            let out = run.end().exits(1);
            let line = format!("timed out after {limit}");
            assert!(out.stdout.contains(&line), "{}", out.stdout);
            wait_until("its process is gone", || !runs(&mark));
            waited
        });
        assert!(waited, "no build has begun in its time");
    });
}

#[test]
fn a_build_of_a_killed_run_is_ended() {
    on_both_at_once(|engine| {
        let (project, mark) = waiting(engine, "");
        let run = begun(engine, &project, &mark);
        let guardian = engine.guardian(&run);
        let inner = crate::started::children(guardian.as_raw_pid());
        let inner = rustix::process::Pid::from_raw(inner[0]).unwrap();
        kill_process(inner, Signal::KILL).unwrap();
        let _ = run.end();
        wait_until("its process is gone", || !runs(&mark));
        let other = super::project("", &format!("FROM {BOX}\nRUN echo {mark}\n"));
        let _ = super::run(engine, &other, &[]).exits(0);
        assert_eq!(working(engine, &project, &mark), 0);
    });
}

#[test]
fn a_second_signal_ends_a_build_at_once() {
    on_both_at_once(|engine| {
        let (project, mark) = waiting(engine, "");
        let run = begun(engine, &project, &mark);
        let guardian = engine.guardian(&run);
        kill_process(guardian, Signal::TERM).unwrap();
        // Two signals that come at once are one.
        wait_until("the first one was heard", || {
            project.read(".pipe/runs/1/journal").contains("cancelling")
        });
        kill_process(guardian, Signal::TERM).unwrap();
        let _ = run.end().exits(143);
        wait_until("its process is gone", || !runs(&mark));
    });
}
