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
    assert!(out.contains("   see all    pipe logs 1 test.unit\n"), "{out}");
    let logs = project.pipe(&["logs", "1", "test.unit"]).exits(0).stdout;
    assert!(
        logs.contains("on linux") && logs.contains("on mac"),
        "{logs}"
    );
    let leg = project.pipe(&["logs", "test.unit (mac)"]).exits(0).stdout;
    assert_eq!(leg, "on mac\n");
}
