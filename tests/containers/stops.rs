//! How jobs in containers end before their time: cancelled, killed, timed out, orphaned. Nothing is left.

use rustix::process::{Signal, kill_process};

use super::engines::{Engine, on_both, on_both_at_once};
use crate::started::stage;
use crate::support::{Project, wait_until};

fn job(commands: &str) -> Project {
    Project::with(&stage(&format!(
        "job unit {{\n container \"localhost/box:1\"\n service web \"localhost/web:1\" {{ ready tcp=\"web:8080\" }}\n{commands}\n}}"
    )))
}

/// Whether no process is left that was started with this text.
fn gone(engine: Engine, project: &Project) {
    engine.has_nothing_of(project);
    wait_until("no process is left", || {
        crate::started::processes_of(&project.root()).is_empty()
    });
}

#[test]
fn a_cancelled_job_is_asked_to_end_and_cleans_up() {
    on_both(|engine| {
        let project = job(
            "run \"trap 'echo asked >asked; exit 0' TERM; touch up; sleep 300 & wait\"\nalways { run \"cp asked cleaned\" }",
        );
        let run = engine.begin(&project, &["run"]).until_there("up");
        run.signal(Signal::TERM);
        let out = run.end().exits(143);
        assert_eq!(project.read("cleaned"), "asked\n", "{}", out.stdout);
        gone(engine, &project);
    });
}

#[test]
fn a_job_that_does_not_end_is_killed_after_the_grace() {
    on_both(|engine| {
        let project = job(
            "run \"trap '' TERM; touch up; while true; do sleep 1; done\"\nalways { run \"touch cleaned\" }",
        );
        let args = ["run", "--grace", "500ms"];
        let run = engine.begin(&project, &args).until_there("up");
        run.signal(Signal::INT);
        let _ = run.end().exits(130);
        gone(engine, &project);
    });
}

#[test]
fn a_second_signal_kills_at_once() {
    on_both(|engine| {
        let project =
            job("run \"trap 'touch asked' TERM; touch up; while true; do sleep 1; done\"");
        let run = engine.begin(&project, &["run"]).until_there("up");
        run.signal(Signal::INT);
        wait_until("it was asked", || project.path("asked").exists());
        run.signal(Signal::INT);
        let _ = run.end().exits(130);
        gone(engine, &project);
    });
}

#[test]
fn a_job_whose_time_is_over_ends_and_cleans_up_in_a_new_container() {
    on_both_at_once(|engine| {
        let project = job(
            "timeout \"10s\"\nrun \"trap '' TERM; touch up; while true; do sleep 1; done\"\nalways { run \"touch cleaned\" }",
        );
        let args = ["run", "--grace", "300ms"];
        let out = engine.pipe(&project, &args).exits(1);
        assert!(out.stdout.contains("timed out after"), "{}", out.stdout);
        assert!(project.path("cleaned").exists(), "{}", out.stdout);
        gone(engine, &project);
    });
}

#[test]
fn what_a_killed_pipe_leaves_ends_by_itself_and_is_removed_by_the_next_command() {
    on_both(|engine| {
        let project = job("run \"touch up; while true; do date >>beat; sleep 0.1; done\"");
        let run = engine.begin(&project, &["run"]).until_there("up");
        kill_process(run.engine(), Signal::KILL).unwrap();
        let _ = run.end().exits(137);
        let label = format!("label=dev.pipe.folder={}", project.root().display());
        wait_until("the job's container ends without anybody's help", || {
            let running = engine.client(&["ps", "--filter", &label, "--format", "{{.Names}}"]);
            !running.contains("-job-")
        });
        assert!(!engine.left_of(&project).is_empty());
        let other = Project::new();
        let out = engine.pipe(&other, &["doctor"]).exits(0);
        assert!(
            out.stdout.contains("removed what a killed run left"),
            "{}",
            out.stdout
        );
        gone(engine, &project);
    });
}
