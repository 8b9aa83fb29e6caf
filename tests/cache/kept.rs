//! What is kept of a step that ran and what is not; what a hit gives back besides files: the log, the outputs, artifacts.

use std::fs;

use rustix::process::{Signal, kill_process};

use super::{App, join, joined, told, without_longest_path};
use crate::started::{Started, nothing_is_left_of};
use crate::support::tree::{files, tree};

#[test]
fn a_failure_is_never_kept() {
    let mut app = App::new(
        r##"job a { inputs "src"; outputs "out"; run #"echo a >> ../ran; echo tried > out; test -e ../good; echo good"# }"##,
    )
    .file("src", "");
    for _ in 0..2 {
        let out = app.run().exits(1);
        assert!(
            out.stdout.contains("      failed a  [t]  exit 1\n"),
            "{}",
            out.stdout
        );
    }
    assert_eq!(app.ran(), ["a", "a"]);
    app.project.write("../good", "");
    app.tells(&[("a", "passed", "good")]);
    app.tells(&[("a", "cached", "good")]);
}

#[test]
fn neither_is_a_success_that_did_not_make_its_outputs_or_was_cleaned_up_badly() {
    for body in [
        r##"outputs "out"; run "echo a >> ../ran""##,
        r##"run "echo a >> ../ran"; always { run "exit 1" }"##,
        r##"run "echo a >> ../ran; echo 'no line' >> $PIPE_OUTPUT""##,
        r##"artifact x "none/*"; run "echo a >> ../ran""##,
        r##"timeout "50ms"; run "echo a >> ../ran; sleep 60""##,
        r##"allow-failure #true; run "echo a >> ../ran; exit 1""##,
    ] {
        let mut app = App::new(&format!("job a {{ inputs \"src\"; {body}; }}")).file("src", "");
        for _ in 0..2 {
            let out = app.run();
            assert!(
                !out.stdout.contains("cached") && !out.stdout.contains("passed a"),
                "{}",
                out.stdout
            );
        }
        assert_eq!(app.ran(), ["a", "a"], "{body}");
    }
}

#[test]
fn what_was_killed_half_way_runs_again() {
    let mut app = App::new(
        r##"job a { inputs "src"; outputs "out"; run #"rm -rf out; mkdir out; echo half > out/x; touch ready; while ! test -e go; do sleep 0.05; done; echo whole > out/x; echo a >> ../ran"# }"##,
    )
    .file("src", "");
    // Whoever comes first: the engine, or the guardian, whose end it notices.
    for first in ["engine", "guardian"] {
        let run = Started::new(&app.project, &["run", "--grace", "100ms"]).until_there("ready");
        let (engine, guardian) = (run.engine(), run.guardian());
        let (first, second) = if first == "engine" {
            (engine, guardian)
        } else {
            (guardian, engine)
        };
        for pid in [first, second] {
            kill_process(pid, Signal::KILL).unwrap();
        }
        let _ = run.end();
        app.runs += 1;
        // Both are gone, so that nobody was left to end the job.
        app.project.write("go", "");
        nothing_is_left_of(&app.project);
        fs::remove_file(app.path("ready")).unwrap();
        fs::remove_file(app.path("go")).unwrap();
    }
    app.project.write("go", "");
    let before = app.ran().len();
    app.runs += 1;
    let out = app.project.pipe(&["run"]).exits(0);
    assert_eq!(
        without_longest_path(&out.stdout),
        told(app.runs, "manual", &[("a", "passed", "")])
    );
    assert_eq!(app.tree("out"), ["out/ 755", "out/x 644 \"whole\\n\""]);
    assert_eq!(app.ran().len(), before + 1);
    app.tells(&[("a", "cached", "")]);
}

#[test]
fn a_cancelled_job_runs_again() {
    let mut app = App::new(
        r##"job a { inputs "src"; run #"trap 'exit 0' TERM; touch ready; while ! test -e go; do sleep 0.05; done; echo a >> ../ran"# }"##,
    )
    .file("src", "");
    let run = Started::new(&app.project, &["run"]).until_there("ready");
    run.signal(Signal::TERM);
    let _ = run.end().exits(143);
    app.runs += 1;
    app.project.write("go", "");
    app.tells(&[("a", "passed", "")]);
}

#[test]
fn the_log_is_told_again_on_the_screen_and_in_the_record() {
    let mut app = App::new(
        "job a { inputs \"src\"; run #\"echo a >> ../ran; printf 'one\\n\\033[31mred\\033[0m\\033[2J\\r\\ntwo no end'; seq 20000; printf 'half'\"# }",
    )
    .file("src", "");
    let raw = |app: &App, run: u64| {
        fs::read(app.path(&format!(".pipe/runs/{run}/logs/t.a.log"))).unwrap()
    };
    let first = app.run().exits(0).stdout;
    let second = app.run().exits(0).stdout;
    assert_eq!(
        second,
        first.replace("run 1", "run 2").replace("passed", "cached")
    );
    assert!(
        first.contains("a | two no end1\n") && first.contains("a | half\n"),
        "{first}"
    );
    assert_eq!(raw(&app, 1), raw(&app, 2));
    assert!(raw(&app, 2).starts_with(b"one\n\x1b[31mred\x1b[0m\x1b[2J\r\n"));
    let logs = |n: &str| app.project.pipe(&["logs", n, "a"]).exits(0).stdout;
    assert_eq!(logs("2"), logs("1"));
    // Once more, now that the result was given by a hit.
    assert_eq!(app.run().exits(0).stdout, second.replace("run 2", "run 3"));
    assert_eq!(raw(&app, 3), raw(&app, 1));
    assert_eq!(app.ran(), ["a"]);
}

#[test]
fn a_silent_job_has_no_log() {
    let mut app = App::new("job a { inputs \"src\"; run \"true\" }").file("src", "");
    for _ in 0..2 {
        let _ = app.run().exits(0);
    }
    assert!(app.path(".pipe/runs/2/journal").exists());
    assert!(!app.path(".pipe/runs/2/logs").exists());
}

#[test]
fn values_reach_whoever_uses_them() {
    let mut app = App::new(
        r##"
    job a { inputs "src"; run #"echo a >> ../ran; echo "v=$(cat src)" >> $PIPE_OUTPUT; echo 'odd= $x `y` "z"' >> $PIPE_OUTPUT"# }
    job b { env V="${a.outputs.v}" ODD="${a.outputs.odd}"; run #"echo b >> ../ran; echo "$V$ODD""# }
    job c { needs b; env V="${a.outputs.v}"; key "c"; run #"echo c >> ../ran; echo "$V""# }
"##,
    )
    .file("src", "1");
    let b = |v: &str| format!("{v} $x `y` \"z\"");
    app.tells(&[
        ("a", "passed", ""),
        ("b", "passed", &b("1")),
        ("c", "passed", "1"),
    ]);
    app.tells(&[
        ("a", "cached", ""),
        ("b", "passed", &b("1")),
        ("c", "cached", "1"),
    ]);
    app.project.write("src", "2");
    app.tells(&[
        ("a", "passed", ""),
        ("b", "passed", &b("2")),
        ("c", "passed", "2"),
    ]);
    app.project.write("src", "1");
    app.tells(&[
        ("a", "cached", ""),
        ("b", "passed", &b("1")),
        ("c", "cached", "1"),
    ]);
    // They are in the record of the run as well.
    let journal = app.project.read(".pipe/runs/4/journal");
    assert!(
        journal.contains(r#""outputs":{"odd":" $x `y` \"z\"","v":"1"}"#),
        "{journal}"
    );
}

/// A job with an artifact, and one that takes it.
const HANDED: &str = r##"
    job a {
        inputs "src"
        artifact site "public/**"
        run #"echo a >> ../ran; rm -rf public; mkdir -p public/deep; cp src public/deep/file; cp src public/run; chmod 755 public/run; ln -s deep/file public/link"#
    }
    job b {
        artifact site from=a into="taken"
        key "b"
        run #"echo b >> ../ran; cat taken/public/link; rm -rf taken"#
    }
"##;

#[test]
fn artifacts_of_a_hit_are_in_the_folder_of_the_run_and_reach_a_later_job() {
    let mut app = App::new(HANDED).file("src", "1\n");
    let kept = |app: &App| {
        tree(
            &app.path(&format!(".pipe/runs/{}/artifacts/t/a", app.runs)),
            "site",
        )
    };
    let made = |n: u8| {
        [
            "site/ 755".to_owned(),
            "site/public/ 755".to_owned(),
            "site/public/deep/ 755".to_owned(),
            format!("site/public/deep/file 644 \"{n}\\n\""),
            "site/public/link -> deep/file".to_owned(),
            format!("site/public/run 755 \"{n}\\n\""),
        ]
    };
    app.tells(&[("a", "passed", ""), ("b", "passed", "1")]);
    assert_eq!(kept(&app), made(1));
    app.tells(&[("a", "cached", ""), ("b", "cached", "1")]);
    assert_eq!(kept(&app), made(1));
    app.project.write("src", "2\n");
    app.tells(&[("a", "passed", ""), ("b", "passed", "2")]);
    fs::remove_dir_all(app.path("public")).unwrap();
    app.project.write("src", "1\n");
    app.tells(&[("a", "cached", ""), ("b", "cached", "1")]);
    assert_eq!(kept(&app), made(1));
    app.define("cat taken", "echo; cat taken");
    app.tells(&[("a", "cached", ""), ("b", "passed", "\n1")]);
}

#[test]
fn a_job_that_changes_its_own_input_is_not_kept_and_says_so() {
    let mut app =
        App::new(r##"job a { inputs "src/*"; run #"echo a >> ../ran; echo more >> src/grows"# }"##)
            .file("src/one", "");
    let mut warned = || app.tells_and_warns(&[("a", "passed", "")]);
    let text = "the result of t.a is not kept: input src/grows changed while it ran";
    assert_eq!([warned(), warned()], [[text], [text]]);
}

#[test]
fn an_input_that_somebody_changes_meanwhile_is_noticed() {
    let mut app = App::new(
        r##"job a { inputs "src"; outputs "out"; run #"echo a >> ../ran; touch ../ready; while ! test -e ../go; do sleep 0.02; done; cp src out"# }"##,
    )
    .file("src", "1");
    let run = Started::new(&app.project, &["run"]).until_there("../ready");
    app.runs += 1;
    app.project.write("src", "2");
    app.project.write("../go", "");
    let out = run.end().exits(0);
    assert!(
        out.stdout
            .contains("warning the result of t.a is not kept: input src changed while it ran\n"),
        "{}",
        out.stdout
    );
    app.project.write("src", "1");
    app.tells(&[("a", "passed", "")]);
    assert_eq!(app.project.read("out"), "1");
    app.project.write("src", "2");
    app.tells(&[("a", "passed", "")]);
    app.project.write("src", "1");
    app.tells(&[("a", "cached", "")]);
    assert_eq!(app.project.read("out"), "1");
}

#[test]
fn inputs_that_match_nothing_are_told_when_the_job_runs() {
    let mut app = App::new(r##"job a { inputs "src/**" "*.none"; run "echo a >> ../ran" }"##);
    let warnings = app.tells_and_warns(&[("a", "passed", "")]);
    assert_eq!(
        warnings,
        ["no file matches the inputs of t.a: src/** *.none"]
    );
    app.tells(&[("a", "cached", "")]);
    app.project.write("src/one", "");
    app.tells(&[("a", "passed", "")]);
}

#[test]
fn a_job_without_inputs_or_with_an_undo_always_runs() {
    let mut app = App::new(
        r##"
    job a { outputs "out"; run "echo a >> ../ran; touch out" }
    job b { needs a; inputs "out"; run "echo b >> ../ran"; rollback { run "true" } }
"##,
    );
    for _ in 0..2 {
        let run = app.run().exits(0);
        assert!(run.stdout.ends_with("· 2 passed\n"), "{}", run.stdout);
        // That `inputs` decides nothing there is told before.
        assert!(run.stderr.starts_with("W701"), "{}", run.stderr);
    }
    assert_eq!(app.ran(), ["a", "b", "a", "b"]);
    assert_eq!(
        files(&app.store().join("action")),
        Vec::<std::path::PathBuf>::new()
    );
}

/// Two jobs, one after the other.
const TWO: &str = r##"
    job a { inputs "src"; outputs "a"; run "echo a >> ../ran; cp src a" }
    job b { needs a; inputs "src"; outputs "b"; run "echo b >> ../ran; cp src b" }
"##;

#[test]
fn whoever_wants_no_cache_gets_none() {
    let mut app = App::new(TWO).file("src", "1");
    let both = |one, two| [("a", one, ""), ("b", two, "")];
    app.args(&["--no-cache"]);
    app.tells(&both("passed", "passed"));
    assert!(!app.store().exists());
    app.args(&[]);
    app.tells(&both("passed", "passed"));
    app.args(&["--no-cache"]);
    app.tells(&both("passed", "passed"));
    for name in ["b", "t.b"] {
        app.args(&[&format!("--no-cache={name}")]);
        app.tells(&both("cached", "passed"));
    }
    for names in ["t", "a,b"] {
        app.args(&[&format!("--no-cache={names}")]);
        app.tells(&both("passed", "passed"));
    }
    app.args(&[]);
    app.tells(&both("cached", "cached"));
}

#[test]
fn a_refresh_runs_everything_and_keeps_the_new_result() {
    let mut app = App::new(
        r##"job a { inputs "src"; outputs "out"; run #"echo a >> ../ran; cp ../clock out; cat out"# }"##,
    )
    .file("src", "")
    .file("../clock", "1");
    app.tells(&[("a", "passed", "1")]);
    app.project.write("../clock", "2");
    app.tells(&[("a", "cached", "1")]);
    app.args(&["--refresh"]);
    app.tells(&[("a", "passed", "2")]);
    app.args(&[]);
    app.project.write("../clock", "3");
    app.tells(&[("a", "cached", "2")]);
    assert_eq!(app.project.read("out"), "2");
}

#[test]
fn the_store_is_where_somebody_says() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    app.args(&["--cache-dir", "../elsewhere"]);
    joined(&mut app, "passed", "1\n2\n");
    app.args(&[]);
    app.env("PIPE_CACHE_DIR", app.path("../elsewhere").to_str().unwrap());
    joined(&mut app, "cached", "1\n2\n");
    app.env.clear();
    app.env("XDG_CACHE_HOME", app.path("../xdg").to_str().unwrap());
    joined(&mut app, "passed", "1\n2\n");
    for folder in [
        "../elsewhere/v2/action",
        "../xdg/pipe/v2/action",
        "../home/.cache/pipe/v2/action",
    ] {
        assert_eq!(files(&app.path(folder)).len(), 1, "{folder}");
    }
}
