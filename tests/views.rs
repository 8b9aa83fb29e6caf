//! How a run looks: plain lines, a terminal, GitHub, GitLab, JSON; narrow and without colour.

use crate::support::{Output, Project};

const MIXED: &str = r#"pipeline app
stage test {
    job good { run "echo fine" }
    job bad { needs good; run "echo oops"; run "exit 4" }
    job never { needs bad; run "echo never" }
    job soft { needs good; lock one; allow-failure; run "exit 1" }
}
"#;

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let project = Project::with(MIXED).git();
    let mut all = vec!["run", "--jobs", "1"];
    all.extend_from_slice(args);
    project.pipe_env(&all, env).exits(1)
}

#[test]
fn plain_lines_carry_the_name_of_their_step() {
    insta::assert_snapshot!(run(&[], &[]).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual on main de0f3f1  4 steps
    good  | fine
          passed good  [t]
    bad   | oops
          failed bad  [t]  exit 4
         skipped never  bad failed
     soft-failed soft  [t]  exit 1

    ── bad · exit 4 ──────────────────────────────────────────────────────────────
    oops
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 4   defined at pipeline.kdl:4

     failed  1 of 4 steps in [t] · 1 passed · 1 soft-failed · 1 failed · 1 skipped
       see all    pipe logs 1 bad
       again      pipe run bad
    ");
}

#[test]
fn a_narrow_terminal_cuts_names_and_nothing_else() {
    insta::assert_snapshot!(run(&[], &[("COLUMNS", "60")]).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual on main de0f3f1  4 steps
    good  | fine
          passed good  [t]
    bad   | oops
          failed bad  [t]  exit 4
         skipped never  bad failed
     soft-failed soft  [t]  exit 1

    ── bad · exit 4 ────────────────────────────────────────────
    oops
    ── 1 line ──────────────────────────────────────────────────
     exit 4   defined at pipeline.kdl:4

     failed  1 of 4 steps in [t] · 1 passed · 1 soft-failed · 1 failed · 1 skipped
       see all    pipe logs 1 bad
       again      pipe run bad
    ");
}

#[test]
fn quiet_says_nothing_but_what_goes_wrong() {
    insta::assert_snapshot!(run(&["--quiet"], &[]).whole(), @"
    exit 1
    --- stdout

    ── bad · exit 4 ──────────────────────────────────────────────────────────────
    oops
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 4   defined at pipeline.kdl:4

     failed  1 of 4 steps in [t] · 1 passed · 1 soft-failed · 1 failed · 1 skipped
       see all    pipe logs 1 bad
       again      pipe run bad
    ");
    let project = Project::with(MIXED).git();
    for args in [
        &["run", "-q", "good", "soft"][..],
        &["run", "--format", "quiet", "good"],
    ] {
        assert_eq!(project.pipe(args).exits(0).whole(), "exit 0");
    }
    let out = project.pipe(&["run", "-q", "--output", "good"]).exits(2);
    assert!(out.stderr.contains("cannot be used with"), "{}", out.stderr);
}

#[test]
fn redirected_output_has_no_escape_codes_and_asked_for_it_has() {
    assert!(!run(&[], &[]).stdout.contains('\x1b'));
    assert!(
        !run(&["--color", "always"], &[("NO_COLOR", "1")])
            .stdout
            .is_empty()
    );
    assert!(run(&["--color", "always"], &[]).stdout.contains("\x1b[1m"));
    assert!(!run(&[], &[("NO_COLOR", "1")]).stdout.contains('\x1b'));
}

#[test]
fn github_gets_groups_annotations_and_a_summary() {
    let project = Project::with(MIXED).git();
    let summary = project.path("summary.md");
    let env = [
        ("GITHUB_ACTIONS", "true"),
        ("CI", "true"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
    ];
    insta::assert_snapshot!(project.pipe_env(&["run", "--jobs", "1"], &env).exits(1).whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  push on main de0f3f1  4 steps
    ::group::passed good [t]
    fine
    ::endgroup::
    failed bad [t]
    oops
    ::error file=pipeline.kdl,line=4,title=bad failed::exit 4
         skipped never  bad failed
    soft-failed soft [t]
    ::warning file=pipeline.kdl,line=6,title=soft failed::exit 1

    ── bad · exit 4 ──────────────────────────────────────────────────────────────
    oops
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 4   defined at pipeline.kdl:4

     failed  1 of 4 steps in [t] · 1 passed · 1 soft-failed · 1 failed · 1 skipped
       see all    pipe logs 1 bad
       again      pipe run bad
    ");
    insta::assert_snapshot!(project.filtered(&project.read("summary.md")), @r#"
    ### app

    | step | outcome | time |
    |---|---|--:|
    | good | passed | [t] |
    | bad | failed | [t] |
    | never | skipped | [t] |
    | soft | soft-failed | [t] |

    ```mermaid
    flowchart TD
      subgraph s0["test"]
        n0["good<br/>passed"]
        n1["bad<br/>failed"]
        n2["never<br/>skipped"]
        n3["soft<br/>soft-failed"]
      end
      n0 --> n1
      n1 --> n2
      n0 --> n3
      classDef ispassed fill:#d3f0d5,stroke:#2c7a33,color:#10310f
      class n0 ispassed
      classDef isskipped fill:#ececec,stroke:#8a8a8a,color:#555555,stroke-dasharray:4 3
      class n2 isskipped
      classDef issoftfailed fill:#fdf0c4,stroke:#a17c09,color:#3f3000
      class n3 issoftfailed
      classDef isfailed fill:#fbd5d5,stroke:#b42323,color:#4c0b0b,stroke-width:2px
      class n1 isfailed
    ```
    "#);
}

#[test]
fn gitlab_gets_sections_that_are_open_where_something_failed() {
    let project = Project::with(MIXED).git();
    let env = [
        ("GITLAB_CI", "true"),
        ("CI", "true"),
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_COMMIT_BRANCH", "main"),
    ];
    let out = project.pipe_env(&["run", "--jobs", "1"], &env).exits(1);
    let shown: Vec<String> = out
        .stdout
        .replace('\x1b', "ESC")
        .replace('\r', "CR")
        .lines()
        .map(stamps)
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @"
     pipe 0.1.0  run 1  push on main de0f3f1  4 steps
    ESC[0Ksection_start:[now]:pipe_1[collapsed=true]CRESC[0K      passed good  [t]
    fine
    ESC[0Ksection_end:[now]:pipe_1CRESC[0K
    ESC[0Ksection_start:[now]:pipe_2[collapsed=false]CRESC[0K      failed bad  [t]  exit 4
    oops
    ESC[0Ksection_end:[now]:pipe_2CRESC[0K
         skipped never  bad failed
    ESC[0Ksection_start:[now]:pipe_3[collapsed=false]CRESC[0K soft-failed soft  [t]  exit 1
    ESC[0Ksection_end:[now]:pipe_3CRESC[0K

    ── bad · exit 4 ──────────────────────────────────────────────────────────────
    oops
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 4   defined at pipeline.kdl:4

     failed  1 of 4 steps in [t] · 1 passed · 1 soft-failed · 1 failed · 1 skipped
       see all    pipe logs 1 bad
       again      pipe run bad
    ");
}

/// Replaces the seconds since 1970 in a section marker.
fn stamps(line: &str) -> String {
    let words: Vec<&str> = line.split(':').collect();
    words
        .iter()
        .map(|w| {
            if w.len() == 10 && w.parse::<u64>().is_ok() {
                "[now]"
            } else {
                w
            }
        })
        .collect::<Vec<_>>()
        .join(":")
}

#[test]
fn json_is_one_versioned_object_a_line_for_each_event() {
    let out = run(&["--format", "json"], &[]);
    let events: Vec<String> = out
        .stdout
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["v"], 1);
            assert!(value["at"].is_u64());
            let event = &value["event"];
            let step = event["step"].as_str().unwrap_or_default();
            let outcome = event["outcome"]["is"]
                .as_str()
                .or(event["outcome"].as_str())
                .unwrap_or_default();
            format!("{} {step} {outcome}", event["event"].as_str().unwrap())
                .trim_end()
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!(events.join("\n"), @"
    run-started
    step-started test.good
    output test.good
    step-ended test.good passed
    step-started test.bad
    output test.bad
    step-ended test.bad failed
    step-ended test.never skipped
    step-started test.soft
    step-ended test.soft soft-failed
    run-ended  failed
    ");
}

#[test]
fn a_terminal_shows_what_moves_and_ends_with_plain_lines() {
    let project = Project::with(
        "pipeline app\nstage test {\n    job slow { run \"echo working; sleep 0.4\" }\n    job quick { run \"true\" }\n}\n",
    );
    let mut script = project.at_terminal("run");
    script.env("TERM", "xterm");
    let out = project.output(&mut script).exits(0);
    let screen = screen(&out.stdout);
    insta::assert_snapshot!(project.filtered(&screen), @"
    pipe 0.1.0  run 1  manual  2 steps
         passed quick  [t]
         passed slow  [t]

    ok  2 steps in [t] · 2 passed
    ");
    assert!(out.stdout.contains("running slow"), "{:?}", out.stdout);
}

/// What is left on the screen: cursor-up and clear-to-end are obeyed, colours dropped.
fn screen(bytes: &str) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    let mut row = 0;
    let mut chars = bytes.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(String::new());
                }
            }
            '\r' => {}
            '\x1b' => {
                chars.next();
                let mut number = String::new();
                let kind = loop {
                    match chars.next() {
                        Some(d) if d.is_ascii_digit() || d == ';' => number.push(d),
                        other => break other,
                    }
                };
                match kind {
                    Some('A') => row = row.saturating_sub(number.parse().unwrap_or(1)),
                    Some('J') => lines.truncate(row + 1),
                    _ => {}
                }
                if kind == Some('J') {
                    lines[row].clear();
                }
            }
            c => lines[row].push(c),
        }
    }
    lines.join("\n")
}
