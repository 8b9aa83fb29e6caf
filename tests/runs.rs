//! Runs: what is printed, what is recorded, how they end.

use crate::support::Project;

#[test]
fn a_green_run_ends_with_zero_and_is_recorded() {
    let project =
        Project::with("pipeline app\nstage test {\n    job unit { run \"echo hello\" }\n}\n").git();
    insta::assert_snapshot!(project.pipe(&["run"]).whole(), @"
    exit 0
    --- stdout
     pipe 0.1.0  run 1  manual on main 64e41f4  1 step
    unit | hello
          passed unit  [t]

     ok  1 step in [t] · 1 passed
    ");
    insta::assert_snapshot!(project.pipe(&["logs"]).whole(), @"
    exit 0
    --- stdout
    hello
    ");
}

#[test]
fn a_failure_is_shown_whole_and_last_with_the_commands_that_help() {
    let project = Project::with(
        "pipeline app\nstage test {\n    job unit { run \"echo before; exit 7\" }\n    job after { needs unit; run \"echo no\" }\n}\n",
    )
    .git();
    insta::assert_snapshot!(project.pipe(&["run"]).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual on main ac78824  2 steps
    unit  | before
          failed unit  [t]  exit 7
         skipped after  unit failed

    ── unit · echo before; exit 7 ────────────────────────────────────────────────
    before
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 7   defined at pipeline.kdl:3

     failed  1 of 2 steps in [t] · 1 failed · 1 skipped
       see all    pipe logs 1 unit
       again      pipe run unit
    ");
}

/// What `cat order` says after a run: each job appends its name.
fn order(pipeline: &str, code: i32) -> Vec<String> {
    let project = Project::with(pipeline).git();
    let _ = project.pipe(&["run", "--jobs", "1"]).exits(code);
    project.read("order").lines().map(str::to_owned).collect()
}

#[test]
fn a_stage_waits_for_all_stages_before_it() {
    let pipeline = "pipeline app
stage test { job unit { run \"sleep 0.2; echo unit >> order\" } }
stage docs { needs nothing=#true; job pages { run \"echo pages >> order\" } }
stage ship { job ship { run \"echo ship >> order\" } }
";
    assert_eq!(order(pipeline, 0).last().map(String::as_str), Some("ship"));
}

#[test]
fn a_stage_that_runs_on_failure_does_not_let_the_next_one_begin() {
    let pipeline = "pipeline app
stage test { job unit { run \"echo unit >> order; exit 1\" } }
stage tell { on-failure test; job tell { run \"echo tell >> order\" } }
stage report { after test; job report { run \"echo report >> order\" } }
stage ship { job ship { run \"echo ship >> order\" } }
";
    let mut ran = order(pipeline, 1);
    ran.sort();
    assert_eq!(ran, ["report", "tell", "unit"]);
}

#[test]
fn an_unused_failure_branch_holds_nothing_up() {
    let pipeline = "pipeline app
stage test {
    job unit { run \"echo unit >> order\" }
    job collect { on-failure unit; run \"echo collect >> order\" }
    job send { needs collect; run \"echo send >> order\" }
}
stage ship { job ship { run \"echo ship >> order\" } }
";
    assert_eq!(order(pipeline, 0), ["unit", "ship"]);
}

#[test]
fn what_a_stage_needs_holds_for_all_its_steps() {
    let pipeline = "pipeline app
stage test { job unit { run \"echo unit >> order; exit 1\" } job lint { run \"echo lint >> order\" } }
stage late { needs test; job report { after test.lint; run \"echo report >> order\" } }
";
    let mut ran = order(&pipeline.replace("} job lint", "}\n    job lint"), 1);
    ran.sort();
    assert_eq!(ran, ["lint", "unit"]);
}

#[test]
fn a_kept_directory_is_there_and_stays() {
    let pipeline = "pipeline app
stage test {
    job unit {
        cache tool \"~/.cache/tool\"
        cache local \"kept/here\" { key os }
        run \"echo once >> ~/.cache/tool/log; echo once >> kept/here/log\"
    }
}
";
    let project = Project::with(pipeline).git();
    for _ in 0..2 {
        let _ = project.pipe(&["run"]).exits(0);
    }
    assert_eq!(project.read("kept/here/log"), "once\nonce\n");
    let home = project.home().join(".cache/tool/log");
    assert_eq!(std::fs::read_to_string(home).unwrap(), "once\nonce\n");
}
