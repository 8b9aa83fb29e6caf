//! Engines that hang, die or refuse in the middle of something: the run ends in time and says what happened.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::fake::{Fault, listen};
use crate::started::{Started, stage};
use crate::support::{Output, Project, wait_until};

/// Long enough for everything that waits for an engine, far too short for one that waits for ever.
const SOON: Duration = Duration::from_secs(30);

fn project(image: &str) -> Project {
    Project::with(&stage(&format!(
        "job unit {{ container \"{image}\"; run \"echo hello\" }}"
    )))
}

fn run(image: &str, call: &'static str, fault: Fault) -> (Output, Vec<String>) {
    run_of(&project(image), call, fault)
}

fn run_of(project: &Project, call: &'static str, fault: Fault) -> (Output, Vec<String>) {
    let socket = project.home().join("engine");
    let calls = listen(&socket, call, fault);
    let host = format!("unix://{}", socket.display());
    let began = Instant::now();
    let out = project.pipe_env(
        &["run"],
        &[("DOCKER_HOST", &host), ("PIPE_ENGINE_TIMEOUT", "300ms")],
    );
    assert!(began.elapsed() < SOON, "{call} {fault:?}");
    let calls = calls.lock().unwrap().clone();
    (out, calls)
}

#[test]
fn the_fake_engine_does_its_work() {
    let (out, _) = run("near:1", "", Fault::None);
    let out = out.exits(0);
    assert!(out.stdout.contains("unit | hello"), "{}", out.stdout);
}

#[test]
fn an_engine_that_fails_at_first_is_no_engine() {
    for (fault, calls) in [
        (Fault::Hang, ["GET /_ping", "GET /info"]),
        (Fault::Close, ["GET /_ping", "GET /info"]),
        (Fault::Cut, ["GET /_ping", "GET /info"]),
        (Fault::Refuse, ["GET /", "GET /info"]),
    ] {
        for call in calls {
            let (out, _) = run("near:1", call, fault);
            let out = out.exits(3);
            assert!(
                out.stderr.contains("error: no container engine answers:"),
                "{}",
                out.stderr
            );
        }
    }
}

#[test]
fn an_engine_that_cannot_be_pinged_is_asked_for_its_version() {
    let (out, calls) = run("near:1", "GET /_ping", Fault::Refuse);
    let out = out.exits(0);
    assert!(
        out.stderr.contains("containers by Docker 1.0 at "),
        "{}",
        out.stderr
    );
    assert_eq!(calls[..2], ["GET /_ping", "GET /version"]);
}

#[test]
fn an_engine_that_fails_in_the_middle_fails_the_step() {
    for fault in [Fault::Hang, Fault::Close, Fault::Cut, Fault::Refuse] {
        for (image, call, what) in [
            (
                "near:1",
                "GET /images/",
                "the image docker.io/library/near:1 cannot be looked at: ",
            ),
            ("far:1", "POST /images/create", "the image far:1 "),
            (
                "near:1",
                "POST /containers/create",
                "the container cannot be made: ",
            ),
            ("near:1", "POST /containers/pipe", "the con"),
            (
                "near:1",
                "POST /exec/",
                "the command cannot be started in its container: ",
            ),
            (
                "near:1",
                "GET /exec/",
                "how the command ended is not known: ",
            ),
        ] {
            let (out, calls) = run(image, call, fault);
            // An engine that answers says no to what it was asked for, except of a registry.
            let answers = matches!(fault, Fault::Refuse) && image == "near:1";
            let out = out.exits(if answers { 1 } else { 3 });
            let says = match fault {
                Fault::Hang => "the engine did not answer within",
                Fault::Refuse => "the disk is on fire",
                Fault::Close | Fault::Cut | Fault::None | Fault::OtherStore | Fault::Going => "",
            };
            let line = out.stdout.lines().find(|l| l.contains("defined at"));
            let line = line.unwrap_or_else(|| panic!("{call} {fault:?}: {}", out.stdout));
            assert!(line.trim().starts_with(what), "{call} {fault:?}: {line}");
            assert!(line.contains(says), "{call} {fault:?}: {line}");
            let is_made = calls
                .iter()
                .any(|c| c.starts_with("POST /containers/create"));
            let is_removed = calls
                .iter()
                .any(|c| c.starts_with("DELETE /containers/pipe-"));
            assert_eq!(is_made, is_removed, "{call} {fault:?}: {calls:?}");
        }
    }
}

#[test]
fn an_interface_that_goes_away_is_no_reason_to_have_no_network() {
    let project = Project::with(&stage(
        "job unit {\n container \"near:1\"\n service web \"near:1\"\n run \"echo hello\"\n}",
    ));
    let call = "POST /networks/create";
    for (fault, code, times) in [(Fault::Going, 0, 3), (Fault::Refuse, 1, 1)] {
        let _ = std::fs::remove_file(project.home().join("engine"));
        let (out, calls) = run_of(&project, call, fault);
        let out = out.exits(code);
        let asked = calls.iter().filter(|c| c.starts_with(call)).count();
        assert_eq!(asked, times, "{fault:?}: {}", out.stdout);
    }
}

#[test]
fn what_cannot_be_removed_is_a_warning() {
    for fault in [Fault::Hang, Fault::Close, Fault::Refuse] {
        let (out, _) = run("near:1", "DELETE /containers/", fault);
        let out = out.exits(0);
        let why = "a container cannot be removed: ";
        assert!(out.stdout.contains(why), "{fault:?}: {}", out.stdout);
        assert!(
            out.stdout
                .contains("; the next run on this machine removes it")
        );
    }
}

#[test]
fn what_killed_runs_left_is_no_reason_not_to_run() {
    for call in ["GET /containers/json", "GET /networks", "GET /volumes"] {
        for fault in [Fault::Hang, Fault::Close, Fault::Cut, Fault::Refuse] {
            let (out, _) = run("near:1", call, fault);
            let out = out.exits(0);
            let why = "warning: what killed runs left cannot be listed: ";
            assert!(out.stderr.contains(why), "{call} {fault:?}: {}", out.stderr);
        }
    }
}

#[test]
fn a_hanging_engine_does_not_hold_a_cancelled_run() {
    for call in [
        "GET /images/",
        "POST /containers/create",
        "POST /exec/",
        "the output",
    ] {
        let project = project("near:1");
        let socket = project.home().join("engine");
        let calls = listen(&socket, call, Fault::Hang);
        let host = format!("unix://{}", socket.display());
        let mut command = project.command(&["run", "--grace", "300ms"]);
        command
            .env("DOCKER_HOST", host)
            .env("PIPE_ENGINE_TIMEOUT", "1h");
        let run = Started::of(&project, &mut command);
        let wanted = if call == "the output" {
            "POST /exec/"
        } else {
            call
        };
        wait_until(call, || {
            calls.lock().unwrap().iter().any(|c| c.starts_with(wanted))
        });
        let began = Instant::now();
        run.signal(Signal::TERM);
        let _ = run.end().exits(143);
        assert!(began.elapsed() < SOON, "{call}");
    }
}
