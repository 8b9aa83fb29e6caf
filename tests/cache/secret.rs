//! Secrets and strangers: a value stands nowhere in the store, and what a stranger's change makes is taken by no other
//! run.

use super::App;
use crate::secrets::{CANARY, has_none, scan};
use crate::support::Output;
use crate::support::tree::files;

/// A job that prints a secret in the usual encodings, and has it in everything that is kept of a job.
const LEAKY: &str = r##"
pipeline app { shell bash; }
secret TOKEN
param note default=""
stage t {
    job a {
        inputs "src"
        outputs "out"
        secrets TOKEN
        env NOTE="${param.note}"
        key (env)"TOKEN" (run)#"echo "version of $TOKEN""#
        artifact site "out"
        run #"""
            echo a >> ../ran
            echo "plain $TOKEN"; echo "err $TOKEN" >&2
            printf '%s' "$TOKEN" | base64 -w0; echo
            printf 'x%s' "$TOKEN" | base64 -w0; echo
            printf 'xy%s' "$TOKEN" | base64 -w0; echo
            printf '%s' "$TOKEN" | od -An -tx1 | tr -d ' \n'; echo
            printf '%s' "$TOKEN" | od -An -tx1 | tr -d ' \n' | tr a-f A-F; echo
            printf '%s' "$TOKEN" | sed 's/+/%2B/g; s/=/%3D/g; s/&/%26/g; s,/,%2F,g'; echo
            printf '{"token":"%s"}' "$TOKEN" | sed 's,/,\\/,g'; echo
            printf '%q\n' "$TOKEN"
            echo "length=${#TOKEN}" >> "$PIPE_OUTPUT"
            echo "${#TOKEN}" > out
            """#
    }
}
"##;

fn words(app: &mut App) -> String {
    let out = app.run().exits(0).stdout;
    let word = |line: &str| Some(line.strip_suffix(" a  [t]")?.trim().to_owned());
    out.lines().find_map(word).unwrap_or(out)
}

#[test]
fn a_secret_stands_nowhere_in_the_store_in_no_encoding() {
    let mut app = App::of(LEAKY).file("src", "");
    app.env("TOKEN", CANARY);
    app.args(&["--param", &format!("note=before {CANARY} after")]);
    assert_eq!(words(&mut app), "passed");
    assert_eq!(app.project.read("out"), "30\n");
    assert!(scan(&app.store()) >= 6);
    for name in files(&app.store()) {
        has_none("a name", &name.to_string_lossy());
    }
    let again = app.run().exits(0).stdout;
    assert!(
        again.contains("      cached a  [t]\n") && again.contains("a | plain ***\n"),
        "{again}"
    );
    has_none("what is told again", &again);
    scan(&app.store());
    scan(&app.path(".pipe"));
}

#[test]
fn another_secret_is_another_result() {
    let mut app = App::of(LEAKY).file("src", "");
    for (token, word) in [
        (CANARY, "passed"),
        (CANARY, "cached"),
        ("another-token-as-long-as-that1", "passed"),
        ("another-token-as-long-as-that2", "passed"),
        (CANARY, "cached"),
    ] {
        app.env("TOKEN", token);
        assert_eq!(words(&mut app), word, "{token}");
    }
    // What stands for it can be made by this store alone: another one begins anew.
    std::fs::remove_file(app.store().join("salt")).unwrap();
    assert_eq!(words(&mut app), "passed");
}

#[test]
fn a_result_whose_outputs_have_a_secret_is_not_kept() {
    let mut app = App::of(
        "pipeline app { shell sh; }\nsecret TOKEN\nstage t { job a { key \"k\"; secrets TOKEN; run #\"echo a >> ../ran; echo \"v=<$TOKEN>\" >> \"$PIPE_OUTPUT\"\"# } }",
    );
    app.env("TOKEN", CANARY);
    for _ in 0..2 {
        let warnings = app.tells_and_warns(&[("a", "passed", "")]);
        assert_eq!(
            warnings,
            ["the result of t.a is not kept: one of its outputs has a secret in it"]
        );
    }
    scan(&app.store());
}

/// A job whose result somebody can falsify who does not change what it names.
const FALSIFIED: &str = r##"job a { inputs "src"; outputs "out"; run #"cat src ../evil > out 2>/dev/null || true; cat out"# }"##;

/// Runs as for a pull request of this number from a fork, or for nobody else.
#[track_caller]
fn run_for(app: &App, stranger: Option<u32>) -> Output {
    let mut command = app.project.command(&["run", "--format", "plain"]);
    if let Some(number) = stranger {
        let event = format!(
            r#"{{"number":{number},"pull_request":{{"number":{number},"head":{{"ref":"evil","sha":"0123456789012345678901234567890123456789","repo":{{"full_name":"mallory/app","fork":true}}}},"base":{{"ref":"main","repo":{{"full_name":"acme/app"}}}}}},"repository":{{"full_name":"acme/app"}}}}"#
        );
        app.project.write("event.json", &event);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", "pull_request")
            .env("GITHUB_REPOSITORY", "acme/app")
            .env("GITHUB_REF", format!("refs/pull/{number}/merge"))
            .env("GITHUB_HEAD_REF", "evil")
            .env("GITHUB_BASE_REF", "main")
            .env("GITHUB_EVENT_PATH", app.path("event.json"));
    }
    app.project.output(&mut command).exits(0)
}

#[test]
fn a_stranger_takes_what_was_kept_and_nobody_takes_what_a_stranger_made() {
    let app = App::new(FALSIFIED);
    let gives = |src: &str, stranger: Option<u32>, evil: bool, word: &str, out: &str| {
        app.project.write("src", src);
        let path = app.path("../evil");
        if evil {
            std::fs::write(&path, "evil\n").unwrap();
        } else {
            let _ = std::fs::remove_file(&path);
        }
        let told = run_for(&app, stranger);
        let what = format!("{src:?} {stranger:?}: {}", told.stdout);
        assert_eq!(
            told.stderr.contains("not trusted"),
            stranger.is_some(),
            "{}",
            told.stderr
        );
        assert!(
            told.stdout.contains(&format!("      {word} a  [t]\n")),
            "{what}"
        );
        assert_eq!(app.project.read("out"), out, "{what}");
    };
    gives("1\n", None, false, "passed", "1\n");
    // It takes what a trusted run made, also while it could make something else.
    gives("1\n", Some(7), true, "cached", "1\n");
    // What it makes itself it may have again.
    gives("2\n", Some(7), true, "passed", "2\nevil\n");
    gives("2\n", Some(7), false, "cached", "2\nevil\n");
    // Nobody else does.
    gives("2\n", Some(8), false, "passed", "2\n");
    gives("2\n", Some(7), false, "cached", "2\nevil\n");
    gives("2\n", None, false, "passed", "2\n");
    gives("2\n", None, true, "cached", "2\n");
    // And from then on what a trusted run made comes first.
    gives("1\n", Some(9), true, "cached", "1\n");
    gives("2\n", Some(9), true, "cached", "2\n");
}
