//! Signals: the first asks, the second kills, the third leaves. What a run says then, and its exit code.

use std::io::Read;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::started::{Started, lines, nothing_is_left_of, stage};
use crate::support::{PIPE, Project, wait_until};

const SLOW: &str = r#"
    job slow {
        run "touch ready; sleep 300"
        always { run "echo cleaned >> order" }
        rollback { run "echo undone >> order" }
    }
    job later { needs slow; run "echo later >> order" }
"#;

#[test]
fn the_first_signal_asks_the_jobs_cleans_up_undoes_and_is_told_by_the_exit_code() {
    for (signal, code) in [
        (Signal::INT, 130),
        (Signal::TERM, 143),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
    ] {
        let project = Project::with(&stage(SLOW));
        let run = Started::new(&project, &["run"]).until_there("ready");
        run.signal(signal);
        let out = run.end().exits(code);
        assert_eq!(
            lines(&project, "order"),
            ["cleaned", "undone"],
            "{}",
            out.stdout
        );
        assert!(
            out.stdout.contains("stopping slow (once more kills)"),
            "{}",
            out.stdout
        );
        assert!(out.stdout.contains("rolled back slow"), "{}", out.stdout);
        let runs = project.pipe(&["runs"]).exits(0);
        assert!(runs.stdout.contains("cancelled"), "{}", runs.stdout);
    }
}

#[test]
fn a_job_gets_the_first_signal_as_sigterm() {
    let project = Project::with(&stage(
        "    job polite { run \"trap 'echo asked > asked; exit 0' TERM; touch ready; sleep 300 & wait\" }",
    ));
    let run = Started::new(&project, &["run"]).until_there("ready");
    run.signal(Signal::INT);
    let _ = run.end().exits(130);
    assert_eq!(lines(&project, "asked"), ["asked"]);
}

#[test]
fn a_job_that_ignores_the_signal_is_killed_after_the_grace() {
    let project = Project::with(&stage(
        "    job deaf { run \"trap '' TERM INT HUP; touch ready; while :; do sleep 1; done\" }",
    ));
    let run = Started::new(&project, &["run", "--grace", "500ms"]).until_there("ready");
    run.signal(Signal::TERM);
    let _ = run.end().exits(143);
    nothing_is_left_of(&project);
}

#[test]
fn the_second_signal_kills_and_says_what_was_not_undone() {
    let project = Project::with(&stage(
        r#"    job deaf {
        run "trap '' TERM; touch ready; while :; do sleep 1; done"
        rollback { run "echo undone >> order" }
    }"#,
    ));
    let run = Started::new(&project, &["run", "--grace", "10m"]).until_there("ready");
    run.signal(Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    run.signal(Signal::INT);
    let out = run.end().exits(7);
    assert!(
        out.stdout.contains("killing what still runs"),
        "{}",
        out.stdout
    );
    assert!(
        out.stdout.contains("deaf (cancelled) is not undone"),
        "{}",
        out.stdout
    );
    assert_eq!(lines(&project, "order"), [""; 0]);
    nothing_is_left_of(&project);
}

#[test]
fn a_clean_up_has_the_grace_also_when_the_signal_comes_while_it_runs() {
    let job = "    job slow {\n        run \"true\"\n        always { run \"touch cleaning; sleep 300\" }\n    }";
    let project = Project::with(&stage(job));
    let run = Started::new(&project, &["run", "--grace", "300ms"]).until_there("cleaning");
    run.signal(Signal::TERM);
    let _ = run.end().exits(143);
    let project = Project::with(&stage(&job.replace("true", "touch ready; sleep 300")));
    let run = Started::new(&project, &["run", "--grace", "300ms"]).until_there("ready");
    run.signal(Signal::TERM);
    let _ = run.end().exits(143);
    assert!(project.path("cleaning").exists());
    nothing_is_left_of(&project);
}

#[test]
fn an_undo_is_not_stopped_by_the_first_signal() {
    let project = Project::with(&stage(
        r#"    job change {
        run "exit 1"
        rollback { run "touch undoing; sleep 1; echo undone >> order" }
    }"#,
    ));
    let run = Started::new(&project, &["run"]).until_there("undoing");
    run.signal(Signal::INT);
    let _ = run.end().exits(130);
    assert_eq!(lines(&project, "order"), ["undone"]);
}

#[test]
fn nobody_who_does_not_read_holds_a_run_that_is_asked_to_end() {
    let job = "    job loud {\n        run \"touch ready; yes\"\n        always { run \"echo cleaned >> order\" }\n        rollback { run \"echo undone >> order\" }\n    }";
    let project = Project::with(&stage(job));
    let run = Started::new(&project, &["run", "--grace", "500ms"]).until_there("ready");
    std::thread::sleep(std::time::Duration::from_millis(500));
    run.signal(Signal::TERM);
    wait_until("undone", || {
        lines(&project, "order") == ["cleaned", "undone"]
    });
    nothing_is_left_of(&project);
    let _ = run.end().exits(143);
    let runs = project.pipe(&["runs"]).exits(0).stdout;
    assert!(runs.contains("cancelled"), "{runs}");
}

#[test]
fn a_third_signal_ends_an_engine_that_is_stuck() {
    let project = Project::with(&stage("    job slow { run \"touch ready; sleep 300\" }"));
    let run = Started::new(&project, &["run", "--grace", "500ms"]).until_there("ready");
    rustix::process::kill_process(run.engine(), Signal::STOP).unwrap();
    for _ in 0..3 {
        run.signal(Signal::TERM);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let _ = run.end().exits(137);
    nothing_is_left_of(&project);
}

#[test]
fn a_closed_output_ends_the_output_and_not_the_run() {
    let project = Project::with(&stage(
        "    job loud { run \"seq 100000\" }\n    job last { needs loud; run \"echo done > done\" }",
    ));
    let mut child = project
        .command(&["run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    assert_eq!(project.read("done"), "done\n");
    assert_eq!(
        lines(&project, ".pipe/runs/1/logs/test.loud.log").len(),
        100_000
    );
}

#[test]
fn a_full_output_is_told_and_is_no_success() {
    let project = Project::with(&stage("    job unit { run \"echo done | tee done\" }"));
    for args in [
        &["run"][..],
        &["plan"],
        &["runs"],
        &["logs"],
        &["list"],
        &["explain"],
        &["--version"],
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let out = project
            .command(args)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            matches!(out.status.code(), Some(3)),
            "{args:?} {:?} {err}",
            out.status
        );
        assert!(err.contains("No space left on device"), "{args:?} {err}");
    }
    assert_eq!(project.read("done"), "done\n");
}

#[test]
fn a_command_that_ignores_hangups_keeps_them_ignored() {
    let project = Project::with(&stage(
        "    job unit { run \"touch ready; sleep 1; echo done > done\" }",
    ));
    let mut nohup = Command::new("nohup");
    nohup
        .arg(PIPE)
        .arg("run")
        .current_dir(project.root())
        .stdin(Stdio::null());
    nohup
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", project.home());
    let run = Started::of(&project, &mut nohup).until_there("ready");
    run.signal(Signal::HUP);
    let _ = run.end().exits(0);
    wait_until("done", || project.path("done").exists());
}
