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
