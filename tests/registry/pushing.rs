//! `push` from outside.

use crate::support::Project;

/// A pipeline that builds two images and pushes them.
fn project(registry: &str, push: &str) -> Project {
    let pipeline = format!(
        "pipeline shop\n{registry}\nstage deliver {{\n    build app\n    build tool dockerfile=\"Toolfile\"\n    {push}\n}}\n"
    );
    Project::with(&pipeline)
        .file("Dockerfile", "FROM scratch\nCOPY app.txt /app.txt\n")
        .file(
            "Toolfile",
            "FROM scratch\nCOPY app.txt /app.txt\nCOPY tool.txt /tool.txt\n",
        )
        .file("app.txt", "the app\n")
        .file("tool.txt", "the tool\n")
        .git()
}

#[test]
fn a_push_that_is_not_accepted_is_refused_before_the_run() {
    let pushes = "registry live \"./registry\" {\n    accept branch=main\n    accept tag=\"v*\"\n}";
    let project = project(pushes, "push app to=live tag=\"1\"");
    let run = |args: &[&str]| project.pipe(&[&["run"], args].concat());
    let out = run(&["--event", "push", "--branch", "topic"]).exits(5);
    insta::assert_snapshot!(out.whole(), @r#"
exit 5
--- stderr
error: deliver.push-app: `live` accepts branch main or tag v*, and this run is for branch topic (pipeline.kdl:3)
hint: nothing was begun; `pipe plan` shows what this event selects
"#);
    let out = run(&[
        "--event",
        "pull-request",
        "--branch",
        "main",
        "--into",
        "main",
    ])
    .exits(5);
    assert!(
        out.stderr.contains("and this is a pull request"),
        "{}",
        out.stderr
    );
}
