//! Runs: what is printed, what is recorded, how they end.

use crate::support::Project;

#[test]
fn a_green_run_ends_with_zero_and_is_recorded() {
    let project =
        Project::with("pipeline app\nstage test {\n    job unit { run \"echo hello\" }\n}\n").git();
    insta::assert_snapshot!(project.pipe(&["run"]).whole(), @"");
    insta::assert_snapshot!(project.pipe(&["logs"]).whole(), @"");
}

#[test]
fn a_failure_is_shown_whole_and_last_with_the_commands_that_help() {
    let project = Project::with(
        "pipeline app\nstage test {\n    job unit { run \"echo before; exit 7\" }\n    job after { needs unit; run \"echo no\" }\n}\n",
    )
    .git();
    insta::assert_snapshot!(project.pipe(&["run"]).whole(), @"");
}
