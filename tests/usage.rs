//! What a user of every day meets: the commands that are proposed, flags in each combination, words in messages.

use crate::support::Project;

/// Two stages with a job of the same name, one of them a matrix of which a leg fails.
const TWICE: &str = r#"pipeline app
stage test {
    job unit { matrix { os linux mac }; run "echo on $MATRIX_OS; test $MATRIX_OS = linux" }
}
stage more { job unit { run "echo more" } }
"#;

#[test]
fn the_logs_of_a_failed_leg_are_shown_by_the_command_that_is_proposed() {
    let project = Project::with(TWICE);
    let out = project.pipe(&["run"]).exits(1).stdout;
    assert!(
        out.contains("   see all    pipe logs 1 test.unit\n"),
        "{out}"
    );
    let logs = project.pipe(&["logs", "1", "test.unit"]).exits(0).stdout;
    assert!(
        logs.contains("on linux") && logs.contains("on mac"),
        "{logs}"
    );
    let leg = project.pipe(&["logs", "test.unit (mac)"]).exits(0).stdout;
    assert_eq!(leg, "on mac\n");
}

#[test]
fn what_is_proposed_is_about_the_same_run_in_the_same_place() {
    let project = Project::new().file(
        "a b/ci.kdl",
        "pipeline app\nparam p default=x\nstage test { job unit { env P=\"${param.p}\"; run \"test $P = x\" } }\n",
    );
    let place = ["-C", "a b", "-f", "ci.kdl"];
    let about = ["--tag", "v1", "--param", "p=it's"];
    let out = project
        .pipe(&[&place[..], &["run"], &about].concat())
        .exits(1)
        .stdout;
    let next: Vec<&str> = out.lines().rev().take(2).collect();
    assert_eq!(
        next,
        [
            r"   again      pipe -C 'a b' -f ci.kdl run unit --tag v1 --param 'p=it'\''s'",
            "   see all    pipe -C 'a b' -f ci.kdl logs 1 unit",
        ]
    );
    let plan = project
        .pipe(&[&place[..], &["plan", "unit"], &about].concat())
        .exits(0)
        .stdout;
    assert!(
        plan.ends_with(
            r"Run it: pipe -C 'a b' -f ci.kdl run unit --tag v1 --param 'p=it'\''s'
"
        ),
        "{plan}"
    );
}

#[test]
fn a_secret_in_a_parameter_is_hidden_in_what_is_proposed() {
    let project = Project::with(
        "pipeline app\nparam p default=x\nsecret TOKEN\nstage s { job j { secrets TOKEN; env P=\"${param.p}\"; run \"test $P = x\" } }\n",
    );
    let out = project.pipe_env(
        &["run", "--param", "p=geheim-geheim"],
        &[("TOKEN", "geheim-geheim")],
    );
    let out = out.exits(1).stdout;
    assert!(
        out.ends_with("   again      pipe run j --param 'p=***'\n"),
        "{out}"
    );
}

#[test]
fn a_dry_run_for_a_program_is_the_plan_for_a_program() {
    let project = Project::with(TWICE);
    let dry = project
        .pipe(&["run", "--dry-run", "--format", "json"])
        .exits(0)
        .stdout;
    assert_eq!(
        dry,
        project.pipe(&["plan", "--format", "json"]).exits(0).stdout
    );
}

#[test]
fn a_run_of_nothing_writes_no_words_for_a_person_among_the_events() {
    let project =
        Project::with("pipeline app\nstage s { when event=push; job j { run \"echo j\" } }\n");
    let out = project.pipe(&["run", "--format", "json"]).exits(0);
    assert_eq!(
        (out.stdout.as_str(), out.stderr.as_str()),
        ("", "nothing to do; `pipe plan` says why\n")
    );
}

#[test]
fn a_name_that_is_left_out_is_not_answered_with_the_advice_to_name_it() {
    let project = Project::with(
        "pipeline app\nsecret TOKEN\nstage s { job j { secrets TOKEN; run \"echo j\" } }\n",
    );
    let out = project.pipe_env(&["run", "j"], &[("CI", "true"), ("TOKEN", "geheim")]);
    let out = out.exits(0).stdout;
    assert!(
        out.ends_with(" Nothing to do: all of it is left out.\n"),
        "{out}"
    );
}

#[test]
fn what_is_to_be_undone_by_hand_stands_apart_from_the_words_about_it() {
    let project = Project::with(
        "pipeline app\nstage s { job j { run \"exit 1\"; rollback { run \"exit 4\" } } }\n",
    );
    let out = project.pipe(&["run"]).exits(7).stdout;
    assert!(
        out.contains("j (failed) is not undone: exit 4; undo it by hand: `exit 4`\n"),
        "{out}"
    );
}
