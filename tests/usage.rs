//! What a user of every day meets: the commands that are proposed, flags in each combination, words in messages.

use crate::support::{PIPE, Project};

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
    let out = out.exits(5).stdout;
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

/// A pipeline with one green job.
const GREEN: &str = "pipeline app\nstage s { job j { run \"echo j\" } }\n";

#[test]
fn a_wrong_number_is_answered_with_what_may_be_written() {
    let project = Project::with(GREEN);
    for (args, message) in [
        (
            ["run", "--jobs", "x"],
            "error: invalid value 'x' for '--jobs <N>': write a whole number from 1 to 10000\n",
        ),
        (
            ["run", "--jobs", "0"],
            "error: invalid value '0' for '--jobs <N>': write a whole number from 1 to 10000\n",
        ),
        (
            ["plan", "--pr", "#7"],
            "error: invalid value '#7' for '--pr <N>': write a whole number, such as 7\n",
        ),
        (
            ["runs", "-n", "0"],
            "error: invalid value '0' for '--number <N>': write a whole number from 1\n",
        ),
    ] {
        let out = project.pipe(&args).exits(2).stderr;
        assert!(out.starts_with(message), "{out}");
    }
}

#[test]
fn paths_of_the_command_line_are_relative_to_the_folder_in_which_one_is() {
    let project = Project::with(GREEN);
    project.write(
        "docs/graph.md",
        "<!-- pipe graph -->\n<!-- /pipe graph -->\n",
    );
    project.write("docs/more.kdl", "job   x\n");
    let in_docs = |args: &[&str]| {
        let mut command = project.command(args);
        command.current_dir(project.path("docs"));
        project.output(&mut command)
    };
    let _ = in_docs(&["graph", "--into", "graph.md", "--check"]).exits(1);
    let _ = in_docs(&["graph", "--into", "graph.md"]).exits(0);
    assert!(project.read("docs/graph.md").contains("flowchart TD"));
    let checked = project.pipe(&["-C", "docs", "graph", "--into", "graph.md", "--check"]);
    let _ = checked.exits(0);
    let _ = project.pipe(&["-C", "docs", "fmt", "more.kdl"]).exits(0);
    assert_eq!(project.read("docs/more.kdl"), "job x\n");
}

#[test]
fn a_file_or_folder_that_is_not_there_is_told_in_these_words() {
    let project = Project::with(GREEN);
    for (args, message) in [
        (
            &["-C", "nope", "list"][..],
            "error: there is no folder nope\n",
        ),
        (
            &["-C", "pipeline.kdl", "init"],
            "error: pipeline.kdl is not a folder\n",
        ),
        (&["fmt", "nope.kdl"], "error: there is no file nope.kdl\n"),
        (&["fmt", "."], "error: . is a folder\n"),
        (
            &["graph", "--into", "nope.md"],
            "error: there is no file [root]/nope.md\n",
        ),
    ] {
        let out = project.pipe(args).exits(2);
        assert_eq!(out.stderr, message);
    }
}

#[test]
fn flags_that_would_have_no_effect_are_refused() {
    let project = Project::with(GREEN);
    let _ = project.pipe(&["run"]).exits(0);
    for args in [
        &["graph", "--run", "1", "j"][..],
        &["graph", "--run", "1", "--event", "push"],
        &["fmt", "-", "pipeline.kdl"],
    ] {
        let _ = project.pipe(args).exits(2);
    }
}

#[test]
fn standard_input_that_is_not_formatted_is_said_to_be_so() {
    let project = Project::new().file("unformatted", "job   x\n");
    let mut command = project.command(&["fmt", "-", "--check"]);
    command.stdin(std::fs::File::open(project.path("unformatted")).unwrap());
    let out = project.output(&mut command).exits(1);
    assert_eq!(out.stdout, "standard input is not formatted\n");
}

#[test]
fn the_logs_of_failures_say_that_there_are_none() {
    let project = Project::with(GREEN);
    let _ = project.pipe(&["run"]).exits(0);
    let out = project.pipe(&["logs", "--failed"]).exits(0);
    assert_eq!(
        (out.stdout.as_str(), out.stderr.as_str()),
        ("", "nothing failed in run 1\n")
    );
}

#[test]
fn the_list_says_what_a_parameter_can_be() {
    let project = Project::with(
        "pipeline app\n\
         param level type=enum default=low doc=\"how much\" { values low high }\n\
         param to\n\
         stage s { job j { env L=\"${param.level}\" T=\"${param.to}\"; run \"echo j\" } }\n",
    );
    let out = project.pipe(&["list"]).exits(0).stdout;
    let want = "s\n  j  echo j\nparameters\n  level  low or high, default low  how much\n  \
                to     a text, must be given\n";
    assert_eq!(out, want);
}

#[test]
fn a_run_that_is_not_trusted_says_why_and_what_to_do() {
    let project = Project::with(GREEN);
    let out = project.pipe_env(&["plan"], &[("CI", "true")]).exits(0);
    assert_eq!(
        out.stderr,
        "warning: this run is not trusted, as the CI does not say what it is for: no secrets, no targets; \
         `--event push --branch NAME` in the CI's configuration says it\n"
    );
}

#[test]
fn a_second_pipeline_node_is_not_to_be_given_another_name() {
    let project = Project::with(
        "pipeline a\npipeline b\nstage s { job j { retry 1 limit=\"1s\"; run \"x\" } }\n",
    );
    let out = project.pipe(&["check"]).exits(2).stdout;
    assert!(
        out.contains("help: a file has one: move what it says into the first\n"),
        "{out}"
    );
    assert!(
        out.contains("help: its only property is `backoff`\n"),
        "{out}"
    );
}

#[test]
fn the_overview_of_the_language_is_made_of_whole_sentences() {
    let out = Project::new().pipe(&["explain"]).exits(0).stdout;
    let cut: Vec<&str> = out.lines().filter(|l| l.ends_with(':')).collect();
    assert_eq!(cut, [""; 0]);
}

#[test]
fn a_pipe_that_is_closed_early_is_explained() {
    let project = Project::with("pipeline app\nstage s { job j { run \"yes | head -n 1\" } }\n");
    let out = project.pipe(&["run"]).exits(1).stdout;
    assert!(
        out.contains(" exit 141   defined at pipeline.kdl:2\n hint 141: a program in it wrote to one that had ended already"),
        "{out}"
    );
}

#[test]
fn a_job_that_cleans_the_run_away_is_told_how_to_leave_it() {
    let project =
        Project::with("pipeline app\nstage s { job j { run \"git clean -qfdx\" } }\n").git();
    let out = project.pipe(&["run"]).exits(1).stdout;
    assert!(
        out.contains(" its outputs cannot be read: it removed the file `$PIPE_OUTPUT`   defined at pipeline.kdl:2\n \
             hint the run is kept in `.pipe`, so leave that: `git clean -fdx -e .pipe`\n"),
        "{out}"
    );
    project.write(
        "pipeline.kdl",
        "pipeline app\nstage s { job j { run \"git clean -qfdx -e .pipe -e pipeline.kdl\" } }\n",
    );
    let _ = project.pipe(&["run"]).exits(0);
}

#[test]
fn a_log_filter_that_cannot_be_read_is_not_passed_over() {
    let project = Project::with(GREEN);
    let warning =
        "warning: `PIPE_LOG` has no effect: write `debug`, or a filter such as `engine=trace`\n";
    for (filter, told) in [("%%%=%", warning), ("", ""), ("off", "")] {
        let out = project
            .pipe_env(&["list"], &[("PIPE_LOG", filter)])
            .exits(0);
        assert_eq!(out.stderr, told, "{filter}");
    }
}

#[test]
fn slots_that_differ_are_shown_as_they_are_written() {
    let project = Project::with(
        "pipeline app\nstage s {\n    job a { lock db slots=2; run \"x\" }\n    job b { lock db; run \"x\" }\n}\n",
    );
    let out = project.pipe(&["check"]).exits(2).stdout;
    assert!(
        out.contains("× the lock `db` has `slots=1` here and `slots=2` there\n"),
        "{out}"
    );
}

#[test]
fn a_variable_that_pipe_sets_itself_cannot_be_set_but_ci_can() {
    let project = Project::with(
        "pipeline app\nstage s { job j { env PIPE_STEP=\"x\" PIPE_MINE=\"y\"; run \"echo $PIPE_MINE\" } }\n",
    );
    let out = project.pipe(&["check"]).exits(2).stdout;
    assert!(out.contains("× `PIPE_STEP` cannot be set\n"), "{out}");
    assert!(
        out.ends_with("1 error in pipeline.kdl\n`pipe explain E208` tells more about a code\n"),
        "{out}"
    );
    project.write(
        "pipeline.kdl",
        "pipeline app\nenv CI=\"false\"\nstage s {\n    job j { run \"echo $CI\" }\n    job k { env CI=\"\"; run \"echo [$CI]\" }\n}\n",
    );
    let _ = project.pipe(&["run"]).exits(0);
    assert_eq!(project.pipe(&["logs", "j"]).exits(0).stdout, "false\n");
    assert_eq!(project.pipe(&["logs", "k"]).exits(0).stdout, "[]\n");
}

#[test]
fn a_stage_without_steps_is_told() {
    let project =
        Project::with("pipeline app\nstage s { job j { run \"x\" } }\nstage later {\n}\n");
    let out = project.pipe(&["check"]).exits(0).stdout;
    assert!(out.contains("⚠ the stage `later` has no steps\n"), "{out}");
    let _ = project.pipe(&["check", "--strict"]).exits(2);
}

#[test]
fn a_run_in_a_job_is_about_what_the_run_around_is_about() {
    let pipeline = format!(
        "pipeline app\nstage outer {{\n    when event=push branch=dev\n    job inner {{ run \"{PIPE} plan --event tag --tag v1; {PIPE} plan\" }}\n}}\n"
    );
    let project = Project::with(&pipeline).git();
    let out = project
        .pipe(&["run", "--event", "push", "--branch", "dev"])
        .exits(0)
        .stdout;
    assert!(out.contains("Plan for tag on v1"), "{out}");
    assert!(out.contains("Plan for push on dev"), "{out}");
    assert!(!out.contains("not trusted"), "{out}");
}

#[test]
fn a_job_that_runs_its_own_pipeline_is_stopped() {
    let project = Project::with(&format!(
        "pipeline app\nstage test {{ job again {{ run \"{PIPE} run\" }} }}\n"
    ))
    .git();
    let out = project.pipe(&["run"]).exits(1).stdout;
    assert!(
        out.contains("this would be run number 9 inside of another"),
        "{out}"
    );
}

#[test]
fn what_was_named_and_cannot_run_is_refused() {
    let project = Project::with(
        "pipeline app\nsecret TOKEN\nstage test {\n    job deploy { secrets TOKEN; run \"true\" }\n    job unit { run \"true\" }\n}\n",
    )
    .git();
    let stranger = [("CI", "true"), ("TOKEN", "abcdefgh")];
    let _ = project.pipe_env(&["run", "deploy"], &stranger).exits(5);
    let _ = project.pipe_env(&["run", "unit"], &stranger).exits(0);
}

#[test]
fn a_leg_is_not_run_alone_and_that_is_said() {
    let project = Project::with(
        "pipeline app\nstage test {\n    job unit { matrix { os a b }; run \"true\" }\n}\n",
    );
    let out = project.pipe(&["run", "unit (a)"]).exits(2).stderr;
    assert!(
        out.contains("a leg of a matrix is not run alone; `unit` runs all of them"),
        "{out}"
    );
}
