//! How steps follow each other, fail, are tried again and are undone. A file tells the order in which things happened.

use crate::started::{Started, lines};
use crate::support::{Output, Project, wait_until};

/// Runs a pipeline; `log WORD` in a job appends to the order.
fn run_with(stages: &str, args: &[&str]) -> (Project, Output) {
    let project = Project::with(&format!(
        "pipeline app\n{}",
        stages.replace("log ", "echo >>order ")
    ));
    let out = project.pipe(&[&["run"], args].concat());
    (project, out)
}

/// Runs a pipeline that must end with this code; what it did, in order.
#[track_caller]
fn order(stages: &str, code: i32) -> String {
    order_with(stages, &[], code)
}

#[track_caller]
fn order_with(stages: &str, args: &[&str], code: i32) -> String {
    let (project, out) = run_with(stages, args);
    let _ = out.exits(code);
    lines(&project, "order").join(" ")
}

#[test]
fn stages_run_in_file_order_unless_one_needs_nothing() {
    let stages = "stage a { job one { run \"sleep 0.2; log one\" } }\nstage b { job two { run \"log two\" } }\n";
    assert_eq!(order(stages, 0), "one two");
    let free = stages.replace("stage b {", "stage b {\n needs nothing=#true\n");
    assert_eq!(order_with(&free, &["--jobs", "2"], 0), "two one");
}

#[test]
fn needs_after_and_on_failure_follow_the_outcome() {
    let stages = r#"stage t {
        job good { run "log good" }
        job bad { needs good; run "log bad; exit 1" }
        job blocked { needs bad; run "log blocked" }
        job report { after bad; run "log report" }
        job diagnose { on-failure bad; needs optional=#true absent; run "log diagnose" }
        job absent { when event=push; run "log absent" }
        job fine { on-failure good; run "log fine" }
        job later { after report diagnose; run "log later" }
    }"#;
    let (project, out) = run_with(stages, &["--jobs", "1"]);
    let out = out.exits(1).stdout;
    let mut seen = lines(&project, "order");
    assert_eq!(
        (seen.remove(0), seen.remove(0), seen.pop()),
        ("good".into(), "bad".into(), Some("later".into()))
    );
    seen.sort();
    assert_eq!(seen, ["diagnose", "report"]);
    assert!(out.contains("skipped blocked  bad failed"), "{out}");
    assert!(
        out.contains("skipped fine  nothing failed that it waits for"),
        "{out}"
    );
}

#[test]
fn a_failed_stage_keeps_the_next_from_beginning() {
    let (project, out) = run_with(
        "stage a { job one { run \"exit 1\" } }\nstage b { job two { run \"log two\" } }\n",
        &[],
    );
    let out = out.exits(1).stdout;
    assert_eq!(lines(&project, "order"), [""; 0]);
    assert!(out.contains("skipped two"), "{out}");
}

#[test]
fn a_failure_stops_what_depends_on_it_or_everything() {
    let stages = r#"stage t {
        job bad { run "exit 1" }
        job other { run "sleep 0.3; log other" }
        job next { needs other; run "log next" }
    }"#;
    assert_eq!(order_with(stages, &["--jobs", "2"], 1), "other next");
    assert_eq!(
        order_with(stages, &["--jobs", "2", "--keep-going"], 1),
        "other next"
    );
    assert_eq!(order_with(stages, &["--jobs", "2", "--fail-fast"], 1), "");
}

#[test]
fn a_retry_tries_again_after_the_codes_that_it_names() {
    let flaky = |retry: &str, code: u8| {
        format!(
            "stage t {{ job flaky {{ retry {retry}; run \"log $PIPE_ATTEMPT; test $PIPE_ATTEMPT = 3 || exit {code}\" }} }}"
        )
    };
    assert_eq!(order(&flaky("2 backoff=\"10ms\"", 1), 0), "1 2 3");
    assert_eq!(order(&flaky("1 backoff=\"10ms\"", 1), 1), "1 2");
    assert_eq!(
        order(&flaky("2 backoff=\"10ms\" { on-exit 75 }", 75), 0),
        "1 2 3"
    );
    assert_eq!(
        order(&flaky("2 backoff=\"10ms\" { on-exit 75 }", 1), 1),
        "1"
    );
    let (_, out) = run_with(&flaky("2 backoff=\"10ms\"", 9), &[]);
    assert!(
        out.stdout.contains("retry flaky  exit 9; again in"),
        "{}",
        out.stdout
    );
    assert!(out.stdout.contains("after 3 tries"), "{}", out.stdout);
}

#[test]
fn the_time_of_a_step_is_for_all_its_tries() {
    let stages = "stage t { job slow { timeout \"1s\"; retry 9 backoff=\"100ms\"; run \"log $PIPE_ATTEMPT; sleep 0.6; exit 1\" } }";
    let (project, out) = run_with(stages, &[]);
    let out = out.exits(1).stdout;
    assert_eq!(lines(&project, "order"), ["1", "2"]);
    assert!(out.contains("timed out after 1"), "{out}");
    let (project, out) = run_with(
        "stage t { job slow { timeout \"200ms\"; run \"log a; sleep 9; log b\"; always { run \"log always\" } } }",
        &[],
    );
    let _ = out.exits(1);
    assert_eq!(lines(&project, "order"), ["a", "always"]);
}

#[test]
fn a_failure_that_is_allowed_fails_nothing() {
    let (project, out) = run_with(
        "stage t {\n job soft { allow-failure; run \"exit 3\" }\n job next { needs soft; run \"log next\" }\n job trigger { on-failure soft; run \"log trigger\" }\n}",
        &["--jobs", "1"],
    );
    let out = out.exits(0).stdout;
    assert!(
        lines(&project, "order").contains(&"next".to_owned()),
        "{out}"
    );
    assert!(
        out.contains("soft-failed soft  [t]  exit 3") || out.contains("soft-failed soft"),
        "{out}"
    );
}

#[test]
fn a_lock_is_held_by_as_many_as_it_has_slots() {
    let job = |n: u32, lock: &str| {
        format!(" job j{n} {{ lock {lock}; run \"log +; sleep 0.2; log -\" }}\n")
    };
    let all = |lock: &str| {
        format!(
            "stage t {{\n{}}}",
            (0..3).map(|n| job(n, lock)).collect::<String>()
        )
    };
    assert_eq!(order_with(&all("db"), &["--jobs", "8"], 0), "+ - + - + -");
    let two = order_with(&all("db slots=2"), &["--jobs", "8"], 0);
    assert!(two.starts_with("+ + -"), "{two}");
}

#[test]
fn jobs_that_need_more_than_the_machine_has_wait_for_each_other() {
    let stages = "stage t {\n job a { resources cpu=1024; run \"log +; sleep 0.2; log -\" }\n job b { resources cpu=1024; run \"log +; sleep 0.2; log -\" }\n job c { resources memory=\"900TiB\"; run \"log +; log -\" }\n}";
    let seen = order_with(stages, &["--jobs", "8"], 0);
    assert_eq!(seen.matches('+').count(), 3, "{seen}");
    assert!(!seen.starts_with("+ + +"), "{seen}");
}

#[test]
fn a_matrix_runs_every_leg_and_a_leg_can_be_needed_alone() {
    let stages = r#"stage t {
        job m {
            matrix { os linux mac; v "1" "2"; exclude os=mac v="2" }
            env NAME="${matrix.os}-${matrix.v}"
            run "test $NAME = $MATRIX_OS-$MATRIX_V; log $NAME; test $NAME != mac-1"
        }
        job on-linux { needs m os=linux; run "log on-linux" }
        job on-all { needs m; run "log on-all" }
    }"#;
    let (project, out) = run_with(stages, &["--jobs", "1"]);
    let out = out.exits(1).stdout;
    let mut seen = lines(&project, "order");
    seen.sort();
    assert_eq!(seen, ["linux-1", "linux-2", "mac-1", "on-linux"], "{out}");
    assert!(out.contains("failed m (mac, 1)"), "{out}");
}

#[test]
fn a_step_that_fails_is_undone_and_its_clean_up_comes_first() {
    let stages = "stage t { job a { run \"log up; exit 3\"; always { run \"log always\" }; rollback { run \"log undo\" } } }";
    assert_eq!(order(stages, 6), "up always undo");
}

#[test]
fn a_step_that_succeeds_is_not_undone_when_another_stage_fails() {
    let stages = "stage a { job a { run \"log up\"; rollback { run \"log undo\" } } }\nstage b { job b { run \"exit 1\" } }";
    assert_eq!(order(stages, 1), "up");
}

#[test]
fn a_stage_is_undone_in_reverse_order_of_completion() {
    let stages = r#"stage t rollback=reverse {
        job c { run "log c"; rollback { run "log undo-c" } }
        job a { needs c; run "log a"; rollback { run "log undo-a" } }
        job plain { needs a; run "log plain" }
        job b { needs plain; run "log b; exit 1"; rollback { run "log undo-b" } }
        job never { needs b; run "log never"; rollback { run "log undo-never" } }
    }"#;
    assert_eq!(order(stages, 6), "c a plain b undo-b undo-a undo-c");
}

#[test]
fn an_undo_that_fails_says_what_is_left_and_does_not_stop_the_others() {
    let stages = r#"stage t rollback=reverse {
        job a { run "log a"; rollback { run "log undo-a" } }
        job b { needs a; run "log b"; rollback { run "exit 4" } }
        job c { needs b; run "exit 1" }
    }"#;
    let (project, out) = run_with(stages, &[]);
    let out = out.exits(7).stdout;
    assert_eq!(lines(&project, "order"), ["a", "b", "undo-a"]);
    assert!(
        out.contains("attention b (passed) is not undone: exit 4; undo it by hand: `exit 4`"),
        "{out}"
    );
    assert!(out.contains("needs attention"), "{out}");
    let runs = project.pipe(&["runs"]).exits(0).stdout;
    assert!(runs.contains("needs attention"), "{runs}");
}

#[test]
fn an_undo_has_a_time_of_its_own() {
    let stages =
        "stage t { job a { run \"exit 1\"; rollback { run \"sleep 60\"; timeout \"200ms\" } } }";
    let (_, out) = run_with(stages, &["--grace", "200ms"]);
    let out = out.exits(7).stdout;
    assert!(
        out.contains("attention a (failed) is not undone: timed out after"),
        "{out}"
    );
}

#[test]
fn a_step_that_never_began_is_not_undone() {
    let (_, out) = run_with(
        "stage t { job a { run no-such-program \"x\"; rollback { run \"log undo\" } } }",
        &[],
    );
    let out = out.exits(1).stdout;
    assert!(!out.contains("undoing"), "{out}");
    let stages = r#"stage t rollback=reverse {
        job a { run "log a"; rollback { run "log undo-a" } }
        job b { needs a; env X="${a.outputs.x}"; run "log b"; rollback { run "log undo-b" } }
    }"#;
    assert_eq!(order(stages, 6), "a undo-a");
    let later = "stage t { job a { run \"log a\" \n run no-such-program \"x\"; rollback { run \"log undo\" } } }";
    assert_eq!(order(later, 6), "a undo");
}

#[test]
fn a_clean_up_that_fails_fails_the_step() {
    let (project, out) = run_with(
        "stage t { job a { run \"log a\"; always { run \"log always; exit 5\" } } }",
        &[],
    );
    let out = out.exits(1).stdout;
    assert_eq!(lines(&project, "order"), ["a", "always"]);
    assert!(out.contains("clean-up failed: exit 5"), "{out}");
}

#[test]
fn several_commands_run_one_after_the_other_and_stop_at_the_first_failure() {
    assert_eq!(
        order(
            "stage t { job a { run \"log 1\" \n run \"log 2; false; log 2b\" \n run \"log 3\" } }",
            1
        ),
        "1 2"
    );
    assert_eq!(
        order(
            "stage t { job a { run \"log 1; false | true; log 2\" } }",
            1
        ),
        "1"
    );
    let words =
        "stage t { job a { run sh \"-c\" \"echo \\\"$#:$1\\\" >>order\" \"zero\" \"a b;$HOME\" } }";
    assert_eq!(order(words, 0), "1:a b;$HOME");
    let other = "stage t { job a { shell sh; run \"log $0\" } \n job b { needs a; shell bash \"-c\"; run \"false; log b\" } }";
    assert_eq!(order(other, 0), "sh b");
}

#[test]
fn a_killed_run_is_told_and_is_neither_passed_nor_undone_silently() {
    let project = Project::with(
        "pipeline app\nstage t { job a { run \"touch up; sleep 60\"; rollback { run \"touch undone\" } } }\n",
    );
    let run = Started::new(&project, &["run", "--grace", "1s"]).until_there("up");
    let engine = run.engine();
    rustix::process::kill_process(engine, rustix::process::Signal::KILL).unwrap();
    let _ = run.end().exits(137);
    let runs = project.pipe(&["runs"]).exits(0).stdout;
    assert!(runs.contains("interrupted"), "{runs}");
    project.write(
        "pipeline.kdl",
        "pipeline app\nstage t { job b { run \"true\" } }\n",
    );
    let next = project.pipe(&["run"]).exits(0);
    assert_eq!(
        next.stderr,
        "warning: run 1 was interrupted: t.a had begun, and was not undone\nhint: look at what it left, then undo it by hand or run it again; `pipe logs 1` shows how far it came\n"
    );
    // It is said once, by the run that comes next.
    assert_eq!(project.pipe(&["run"]).exits(0).stderr, "");
}

#[test]
fn exit_codes_tell_the_truth() {
    let code = |stages: &str| run_with(stages, &[]).1.code;
    assert_eq!(code("stage t { job a { run \"true\" } }"), Some(0));
    assert_eq!(code("stage t { job a { run \"exit 200\" } }"), Some(1));
    assert_eq!(code("stage t { job a { run \"kill -9 $$\" } }"), Some(1));
    assert_eq!(
        code("stage t { job a { allow-failure; run \"exit 1\" } }"),
        Some(0)
    );
    assert_eq!(code("stage t { jbo a { run \"true\" } }"), Some(2));
    assert_eq!(code("stage t { job a { needs a; run \"true\" } }"), Some(2));
    assert_eq!(
        code("secret NONE\nstage t { job a { secrets NONE; run \"true\" } }"),
        Some(2)
    );
    assert_eq!(
        code("stage t { job a { run \"exit 1\"; rollback { run \"true\" } } }"),
        Some(6)
    );
    assert_eq!(
        code("stage t { job a { run \"exit 1\"; rollback { run \"false\" } } }"),
        Some(7)
    );
    assert_eq!(
        run_with("stage t { job a { run \"true\" } }", &["nothing-like-it"])
            .1
            .code,
        Some(2)
    );
    assert_eq!(
        run_with("stage t { job a { run \"true\" } }", &["--no-such-flag"])
            .1
            .code,
        Some(2)
    );
    assert_eq!(
        run_with("stage t { job a { run \"true\" } }", &["--grace", "soon"])
            .1
            .code,
        Some(2)
    );
    let project = Project::with("pipeline app\nstage t { job a { run \"touch up; sleep 60\" } }\n");
    let run = Started::new(&project, &["run"]).until_there("up");
    run.signal(rustix::process::Signal::TERM);
    let _ = run.end().exits(143);
    wait_until("the run is recorded", || {
        project.path(".pipe/runs/1/journal").exists()
    });
}
