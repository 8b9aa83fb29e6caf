//! Processes of jobs: none is left, whatever they do and however the run ends; none holds the run.

use rustix::process::{Signal, kill_process};

use crate::started::{Started, nothing_is_left_of, processes_of, stage};
use crate::support::{Project, wait_until};

/// A job with four processes: its shell, a grandchild, one in a session of its own, one whose parent has gone.
const FOUR: &str = r##"
    job four {
        run """
            sleep 300 &
            setsid sleep 300 &
            (setsid sh -c 'sleep 300 & exit' &)
            echo up > ready
            sleep 300
            """
    }
"##;

#[track_caller]
fn four() -> Project {
    Project::with(&stage(FOUR))
}

#[track_caller]
fn begin(project: &Project) -> Started<'_> {
    let run = Started::new(project, &["run", "--grace", "1s"]).until_there("ready");
    wait_until("four processes", || {
        processes_of(&project.root()).len() >= 4
    });
    run
}

#[test]
fn a_signal_leaves_no_process() {
    let project = four();
    let run = begin(&project);
    run.signal(Signal::TERM);
    let _ = run.end().exits(143);
    nothing_is_left_of(&project);
}

#[test]
fn a_killed_guardian_leaves_no_process() {
    let project = four();
    let run = begin(&project);
    kill_process(run.guardian(), Signal::KILL).unwrap();
    assert_eq!(run.end().code, None);
    nothing_is_left_of(&project);
    let runs = project.pipe(&["runs"]).exits(0);
    assert!(runs.stdout.contains("cancelled"), "{}", runs.stdout);
}

#[test]
fn a_killed_engine_leaves_no_process_and_the_guardian_tells_it() {
    let project = four();
    let run = begin(&project);
    kill_process(run.engine(), Signal::KILL).unwrap();
    let _ = run.end().exits(137);
    nothing_is_left_of(&project);
    let runs = project.pipe(&["runs"]).exits(0);
    assert!(runs.stdout.contains("interrupted"), "{}", runs.stdout);
}

#[test]
fn a_killed_process_group_leaves_no_process() {
    use std::os::unix::process::CommandExt;
    let project = four();
    let run = Started::of(
        &project,
        project.command(&["run", "--grace", "1s"]).process_group(0),
    )
    .until_there("ready");
    wait_until("four processes", || {
        processes_of(&project.root()).len() >= 4
    });
    rustix::process::kill_process_group(run.guardian(), Signal::KILL).unwrap();
    assert_eq!(run.end().code, None);
    nothing_is_left_of(&project);
}

#[test]
fn a_step_that_ends_takes_what_it_left_running_with_it_and_says_so() {
    let project = Project::with(&stage(
        "    job leak { run \"setsid sleep 300 & sleep 300 & echo done\" }",
    ));
    let run = project.pipe(&["run"]).exits(0);
    assert!(
        run.stdout
            .contains("test.leak left 2 processes running, ended now"),
        "{}",
        run.stdout
    );
    nothing_is_left_of(&project);
}

#[test]
fn a_grandchild_that_holds_the_pipe_holds_no_run() {
    // With its environment emptied it cannot be found by its marker: it lives, and the run ends all the same.
    let project = Project::with(&stage(
        r#"    job hold { run "env -i setsid sleep 20 & echo $! > held; echo said" }"#,
    ));
    let run = project.pipe(&["run"]).exits(0);
    assert!(run.stdout.contains("hold | said"), "{}", run.stdout);
}

#[test]
fn a_job_that_stops_itself_is_ended_by_its_timeout() {
    let project = Project::with(&stage(
        "    job stopped {\n        timeout \"300ms\"\n        run \"kill -STOP $$\"\n    }",
    ));
    let run = project.pipe(&["run", "--grace", "200ms"]).exits(1);
    assert!(run.stdout.contains("timed out after [t]"), "{}", run.stdout);
    nothing_is_left_of(&project);
}

#[test]
fn a_missing_shell_is_named_with_what_to_do() {
    let project = Project::with(&stage("    job unit { run \"echo unit\" }"));
    let mut command = project.command(&["run"]);
    command.env("PATH", project.home());
    let run = project.output(&mut command).exits(1);
    insta::assert_snapshot!(run.whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual  1 step
          failed unit  [t]  program bash was not found

    ── unit · echo unit ──────────────────────────────────────────────────────────
    ── it wrote nothing ──────────────────────────────────────────────────────────
     program bash was not found   defined at pipeline.kdl:3
     hint Install it, or add its directory to the PATH that the step gets.

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 unit
       again      pipe run unit
    ");
}

#[test]
fn a_missing_program_is_named_with_what_to_do() {
    let project = Project::with(&stage("    job unit { run no-such-program \"--version\" }"));
    insta::assert_snapshot!(project.pipe(&["run"]).exits(1).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual  1 step
          failed unit  [t]  program no-such-program was not found

    ── unit · no-such-program --version ──────────────────────────────────────────
    ── it wrote nothing ──────────────────────────────────────────────────────────
     program no-such-program was not found   defined at pipeline.kdl:3
     hint Install it, or add its directory to the PATH that the step gets.

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 unit
       again      pipe run unit
    ");
    let project = Project::with(&stage("    job unit { run \"no-such-program --version\" }"));
    insta::assert_snapshot!(project.pipe(&["run"]).exits(1).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual  1 step
    unit | bash: line 1: no-such-program: command not found
          failed unit  [t]  exit 127

    ── unit · no-such-program --version ──────────────────────────────────────────
    bash: line 1: no-such-program: command not found
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 127   defined at pipeline.kdl:3
     hint 127: a command in it was not found; a job gets PATH and little else of your environment

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 unit
       again      pipe run unit
    ");
}

#[test]
fn a_program_that_may_not_be_executed_is_named_with_what_to_do() {
    let project = Project::with(&stage("    job unit { run \"./script\" \"now\" }"))
        .file("script", "echo no\n");
    insta::assert_snapshot!(project.pipe(&["run"]).exits(1).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual  1 step
          failed unit  [t]  program ./script cannot be executed

    ── unit · ./script now ───────────────────────────────────────────────────────
    ── it wrote nothing ──────────────────────────────────────────────────────────
     program ./script cannot be executed   defined at pipeline.kdl:3
     hint Make it executable (chmod +x), and check that it is built for this machine or begins with a #! line.

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 unit
       again      pipe run unit
    ");
}
