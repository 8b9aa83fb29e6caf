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
    insta::assert_snapshot!(project.pipe(&[]).whole(), @"
    exit 0
    --- stdout
     app  2 stages, 3 steps
       test           unit · lint
       ship           ship
     never run here
       pipe run       run what this commit selects
       pipe plan      see what that is, and why
       pipe graph     draw it
       pipe list      see every step, parameter and secret
    ");
    assert!(!project.path(".pipe").exists());
}

#[test]
fn a_folder_without_a_pipeline_is_told_what_to_do() {
    insta::assert_snapshot!(Project::new().pipe(&["run"]).whole(), @"
    exit 2
    --- stderr
    error: there is no pipeline.kdl in [root] or above it
    hint: `pipe init` writes a first one; `--file` names another
    ");
}

#[test]
fn check_says_ok_or_all_mistakes_at_once() {
    insta::assert_snapshot!(Project::with(SMALL).pipe(&["check"]).whole(), @"
    exit 0
    --- stdout
     ok  pipeline.kdl: 2 stages, 3 steps
    ");
    let broken = SMALL
        .replace("job lint", "jbo lint")
        .replace("branch=main", "brunch=main");
    insta::assert_snapshot!(Project::with(&broken).pipe(&["check"]).whole(), @r#"
    exit 2
    --- stdout
    E201

      × there is no `jbo` in `stage`
       ╭─[pipeline.kdl:4:5]
     3 │     job unit { run "echo unit" }
     4 │     jbo lint { run "echo lint" }
       ·     ─┬─
       ·      ╰── unknown here
     5 │ }
       ╰────
      help: did you mean `job`?

    E202

      × `when` has no property `brunch`
       ╭─[pipeline.kdl:7:21]
     6 │ stage ship {
     7 │     when event=push brunch=main
       ·                     ───┬──
       ·                        ╰── unknown property
     8 │     job ship { run "echo ship" }
       ╰────
      help: did you mean `branch`?

    2 errors in pipeline.kdl
    `pipe explain E201` tells more about a code
    "#);
}

#[test]
fn plan_says_what_runs_and_why_the_rest_does_not() {
    let project = Project::with(SMALL).git();
    insta::assert_snapshot!(project.pipe(&["plan"]).whole(), @"
    exit 0
    --- stdout
     Plan for manual on main e4991a7   2 steps to run · 1 left out
     test
       + unit  echo unit
       + lint  echo lint
     left out
       - ship  when event=push branch=main; this run is manual on main
     Nothing was changed. Run it: pipe run
    ");
    insta::assert_snapshot!(project.pipe(&["plan", "--event", "push"]).whole(), @"
    exit 0
    --- stdout
     Plan for push on main e4991a7   3 steps to run
     test
       + unit  echo unit
       + lint  echo lint
     ship
       + ship  echo ship
     Nothing was changed. Run it: pipe run --event push
    ");
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let project = Project::with(SMALL).git();
    insta::assert_snapshot!(project.pipe(&["run", "unti", "--param", "x=1"]).whole(), @"
    exit 2
    --- stderr
    error: there is no step or stage named `unti`
    hint: did you mean `unit`? `pipe list` shows all
    error: the pipeline has no parameter `x`
    hint: the pipeline declares no parameters; add `param NAME default=…`
    ");
}

#[test]
fn list_shows_every_step() {
    insta::assert_snapshot!(Project::with(SMALL).pipe(&["list"]).whole(), @"
    exit 0
    --- stdout
    test
      unit  echo unit
      lint  echo lint
    ship
      ship  echo ship
    ");
}
