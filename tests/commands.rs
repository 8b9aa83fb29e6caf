//! The commands, as a user sees them.

use crate::support::Project;

const SMALL: &str = r#"pipeline app
stage test {
    job unit { run "echo unit" }
    job lint { run "echo lint" }
}
stage ship {
    when event=push branch=main
    job ship { run "echo ship" }
}
"#;

#[test]
fn pipe_alone_shows_the_pipeline_and_starts_nothing() {
    let project = Project::with(SMALL).git();
    insta::assert_snapshot!(project.pipe(&[]).whole(), @"");
    assert!(!project.path(".pipe").exists());
}

#[test]
fn a_folder_without_a_pipeline_is_told_what_to_do() {
    insta::assert_snapshot!(Project::new().pipe(&["run"]).whole(), @"");
}

#[test]
fn check_says_ok_or_all_mistakes_at_once() {
    insta::assert_snapshot!(Project::with(SMALL).pipe(&["check"]).whole(), @"");
    let broken = SMALL
        .replace("job lint", "jbo lint")
        .replace("branch=main", "brunch=main");
    insta::assert_snapshot!(Project::with(&broken).pipe(&["check"]).whole(), @"");
}

#[test]
fn plan_says_what_runs_and_why_the_rest_does_not() {
    let project = Project::with(SMALL).git();
    insta::assert_snapshot!(project.pipe(&["plan"]).whole(), @"");
    insta::assert_snapshot!(project.pipe(&["plan", "--event", "push"]).whole(), @"");
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let project = Project::with(SMALL).git();
    insta::assert_snapshot!(project.pipe(&["run", "unti", "--param", "x=1"]).whole(), @"");
}

#[test]
fn list_shows_every_step() {
    insta::assert_snapshot!(Project::with(SMALL).pipe(&["list"]).whole(), @"");
}
