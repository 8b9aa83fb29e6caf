//! Several at once: runs that share a store, runs in one checkout, jobs that make files in the same folder.

use std::fs;

use super::{App, without_warnings};
use crate::started::Started;
use crate::support::tree::{files, tree};

#[test]
fn twenty_runs_at_once_share_a_store() {
    let app = App::of(
        r##"
pipeline app { shell sh; }
secret TOKEN
stage t {
    job a { inputs "src/**"; outputs "out"; secrets TOKEN; run #"rm -rf out; mkdir out; cat src/* > out/all; seq 500 > out/long; ln -s all out/link; cat out/all"# }
    job b { needs a; key "b"; artifact site "site"; run #"cat out/all > site; cat out/long"# }
}
"##,
    )
    .file("src/one", "1\n");
    let made = [
        "out/ 755".to_owned(),
        "out/all 644 \"1\\n\"".to_owned(),
        "out/link -> all".to_owned(),
    ];
    let checkouts: Vec<_> = (0..20)
        .map(|n| app.path(&format!("../checkout-{n}")))
        .collect();
    for checkout in &checkouts {
        fs::create_dir_all(checkout.join("src")).unwrap();
        for name in ["pipeline.kdl", "src/one"] {
            fs::copy(app.path(name), checkout.join(name)).unwrap();
        }
    }
    let all_at_once = || {
        let runs: Vec<Started<'_>> = checkouts
            .iter()
            .map(|checkout| {
                let mut command = app.project.command(&["run"]);
                let command = command
                    .current_dir(checkout)
                    .env("TOKEN", "a-token-of-a-user");
                Started::of(&app.project, command)
            })
            .collect();
        let mut cached = 0;
        for (run, checkout) in runs.into_iter().zip(&checkouts) {
            let out = run.end().exits(0);
            let (stdout, warnings) = without_warnings(&out.stdout);
            assert_eq!((warnings, out.stderr), (Vec::new(), String::new()));
            assert!(
                stdout.contains("a | 1\n") && stdout.contains("b | 500\n"),
                "{stdout}"
            );
            cached += stdout.matches("      cached ").count();
            let mut there = tree(checkout, "out");
            assert!(there.remove(3).starts_with("out/long 644 \"1\\n2\\n"));
            assert_eq!(there, made);
            assert_eq!(tree(checkout, "site"), ["site 644 \"1\\n\""]);
        }
        cached
    };
    let first = all_at_once();
    println!("{first} of 40 were cached in the first round");
    assert_eq!(all_at_once(), 40);
    for checkout in &checkouts {
        fs::remove_dir_all(checkout.join("out")).unwrap();
    }
    assert_eq!(all_at_once(), 40);
    assert_eq!(tree(&app.store(), "tmp"), ["tmp/ 700"]);
    assert_eq!(files(&app.store().join("action")).len(), 2);
}

#[test]
fn runs_at_once_in_one_checkout_do_not_harm_each_other() {
    let mut app = App::new(
        r##"job a { inputs "src/**"; outputs "out"; run #"cat src/* > ../all.$$; mkdir -p out/empty; mv ../all.$$ out/all"# }"##,
    )
    .file("src/one", "1\n");
    for round in 0..8 {
        let gone = round % 2 == 1;
        if gone {
            let _ = fs::remove_dir_all(app.path("out"));
        } else {
            app.project.write("src/one", &format!("{round}\n"));
        }
        let runs: Vec<Started<'_>> = (0..4)
            .map(|_| Started::new(&app.project, &["run"]))
            .collect();
        for run in runs {
            let out = run.end().exits(0);
            let (stdout, warnings) = without_warnings(&out.stdout);
            assert_eq!(
                (warnings, out.stderr),
                (Vec::new(), String::new()),
                "{round}: {stdout}"
            );
            assert!(!gone || stdout.contains("cached a"), "{round}: {stdout}");
        }
        app.runs += 4;
        let all = format!("out/all 644 \"{}\\n\"", round - round % 2);
        assert_eq!(
            app.tree("out"),
            ["out/ 755".to_owned(), all, "out/empty/ 755".to_owned()]
        );
    }
    app.tells(&[("a", "cached", "")]);
}

/// Jobs that put files into one folder, each its own.
fn side_by_side(patterns: [&str; 2], matrix: bool) -> App {
    let job = |name: &str, pattern: &str| {
        format!(
            "job {name} {{ inputs \"src/{name}\"; outputs \"{pattern}\"; run #\"mkdir -p out; rm -f out/{name}; sleep 0.0$(cat src/{name}); cp src/{name} out/{name}\"# }}\n"
        )
    };
    let legs = format!(
        "job all {{ matrix {{ leg a b; }}; inputs \"src/*\"; outputs \"{}\"; run #\"mkdir -p out; rm -f out/$MATRIX_LEG; cp src/$MATRIX_LEG out/$MATRIX_LEG\"# }}",
        patterns[0]
    );
    let jobs = if matrix {
        legs
    } else {
        job("a", patterns[0]) + &job("b", patterns[1])
    };
    App::new(&jobs).file("src/a", "1").file("src/b", "1")
}

#[test]
fn jobs_whose_patterns_overlap_neither_remove_nor_overwrite_each_others_files() {
    for (patterns, matrix) in [
        (["out", "out"], false),
        (["**/a", "out/{a,b}"], false),
        (["out/*", ""], true),
    ] {
        let mut app = side_by_side(patterns, matrix);
        // Back and forth, so that old results come up again; with the files there, changed and gone.
        for (round, (a, b)) in [
            (1, 1),
            (1, 2),
            (1, 2),
            (2, 2),
            (1, 1),
            (2, 1),
            (1, 2),
            (2, 2),
            (2, 1),
        ]
        .into_iter()
        .enumerate()
        {
            app.project.write("src/a", &a.to_string());
            app.project.write("src/b", &b.to_string());
            match round % 3 {
                0 => {}
                1 => {
                    let _ = fs::remove_dir_all(app.path("out"));
                }
                _ => app.project.write("out/a", "by hand"),
            }
            let what = format!("{patterns:?} {matrix} round {round}");
            let out = app.run().exits(0);
            let made = [
                "out/ 755".to_owned(),
                format!("out/a 644 \"{a}\""),
                format!("out/b 644 \"{b}\""),
            ];
            assert_eq!(app.tree("out"), made, "{what}\n{}", out.stdout);
        }
    }
}

#[test]
fn what_two_jobs_may_have_made_is_kept_of_neither_and_said() {
    let mut app = side_by_side(["out/**", "out/b"], false);
    app.args(&["--jobs", "1"]);
    let text = "the result of t.a is not kept: out/b may as well be of t.b, which runs beside it and has the same outputs";
    for round in 0..3 {
        // With both files there already, so that it does not matter who comes first.
        app.project.write("out/b", "1");
        let out = app.run().exits(0);
        let (stdout, mut warnings) = without_warnings(&out.stdout);
        let other = "the result of t.b is not kept: out/b may as well be of t.a, which runs beside it and has the same outputs";
        warnings.sort();
        assert_eq!(warnings, [text, other], "{round}");
        assert!(
            stdout.ends_with("\n ok  2 steps in [t] · 2 passed\n"),
            "{stdout}"
        );
    }
    // Alone it may keep what it finds, and take it again.
    app.args(&["--jobs", "1", "a"]);
    for word in ["passed", "cached"] {
        let out = app.run().exits(0).stdout;
        let told = super::told(app.runs, "manual", &[("a", word, "")]);
        assert_eq!(out, told);
    }
    // But not beside the other.
    app.project.write("src/b", "2");
    app.args(&[]);
    let _ = app.run().exits(0);
    assert_eq!(
        app.tree("out"),
        ["out/ 755", "out/a 644 \"1\"", "out/b 644 \"2\""]
    );
}

#[test]
fn folders_of_their_own_are_no_matter() {
    let mut app = App::new(
        r##"
    job a { inputs "src"; outputs "out/a/**"; run #"mkdir -p out/a; cp src out/a/x"# }
    job b { inputs "src"; outputs "out/b"; run #"mkdir -p out; cp src out/b"# }
    job c { inputs "src"; outputs "out/ab/*.o"; run #"mkdir -p out/ab; cp src out/ab/x.o"# }
"##,
    )
    .file("src", "1");
    let first = app.run().exits(0).stdout;
    assert!(
        first.ends_with("\n ok  3 steps in [t] · 3 passed\n") && !first.contains("warning"),
        "{first}"
    );
    let second = app.run().exits(0).stdout;
    assert!(
        second.ends_with("\n ok  3 steps in [t] · 3 cached\n"),
        "{second}"
    );
}

#[test]
fn jobs_that_wait_for_each_other_may_share_a_folder() {
    let mut app = App::new(
        r##"
    job a { inputs "src/a"; outputs "out/**"; run #"echo a >> ../ran; mkdir -p out; cp src/a out/a"# }
    job b { after a; inputs "src/b"; outputs "out/b"; run #"echo b >> ../ran; cp src/b out/b"# }
"##,
    )
    .file("src/a", "1")
    .file("src/b", "1");
    let mut gives = |a: u8, b: u8, words: [&str; 2]| {
        app.project.write("src/a", &a.to_string());
        app.project.write("src/b", &b.to_string());
        app.tells(&[("a", words[0], ""), ("b", words[1], "")]);
        let made = [
            "out/ 755".to_owned(),
            format!("out/a 644 \"{a}\""),
            format!("out/b 644 \"{b}\""),
        ];
        assert_eq!(app.tree("out"), made);
    };
    gives(1, 1, ["passed", "passed"]);
    gives(1, 1, ["cached", "cached"]);
    gives(2, 1, ["passed", "cached"]);
    gives(2, 2, ["cached", "passed"]);
    gives(2, 2, ["cached", "cached"]);
    gives(1, 2, ["cached", "cached"]);
    gives(1, 1, ["cached", "cached"]);
}

#[test]
fn the_files_of_a_job_that_always_runs_stay() {
    let mut app = App::new(
        r##"
    job a { inputs "src"; outputs "out/**"; run #"mkdir -p out; cp src out/a"# }
    job b { outputs "out/b"; run #"mkdir -p out; echo b > out/b; sleep 0.05"# }
"##,
    )
    .file("src", "1");
    app.args(&["a"]);
    let _ = app.run().exits(0);
    app.args(&[]);
    for _ in 0..5 {
        let _ = app.run().exits(0);
        assert_eq!(
            app.tree("out"),
            ["out/ 755", "out/a 644 \"1\"", "out/b 644 \"b\\n\""]
        );
    }
}
