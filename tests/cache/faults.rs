//! A store that cannot be written, is full, is missing or cannot be named: the run has the same result, with one warning
//! at most.

use std::fs;
use std::process::Command;

use super::{App, join, without_warnings};
use crate::state::in_namespace;
use crate::support::{Output, skip};

const MADE: [&str; 2] = ["out/ 755", "out/all 644 \"1\\n2\\n\""];

/// The result is there, and nothing was said but what is expected.
#[track_caller]
fn right(app: &App, out: &Output, word: &str) -> Vec<String> {
    let (stdout, mut warnings) = without_warnings(&out.stdout);
    assert!(
        stdout.contains(&format!(
            "a | made\n      {word} a  [t]\n\n ok  1 step in [t] · 1 {word}\n"
        )),
        "{out:?}"
    );
    assert_eq!(app.tree("out"), MADE);
    for line in out.stderr.lines() {
        if let Some(warning) = line.strip_prefix("warning: ") {
            warnings.push(warning.to_owned());
        } else {
            assert!(line.starts_with("hint: "), "{out:?}");
        }
    }
    warnings
}

#[test]
fn a_file_in_place_of_the_store_is_told_once_and_nothing_is_kept() {
    let mut app = join();
    for place in [
        "..",
        "../file",
        "/dev/null",
        "/proc/1/nothing",
        "../link",
        "../pipe",
    ] {
        let _ = fs::write(app.path("../file"), "x");
        let _ = std::os::unix::fs::symlink("nowhere/at/all", app.path("../link"));
        let _ = rustix::fs::mknodat(
            rustix::fs::CWD,
            app.path("../pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        );
        if place == ".." {
            // The folder itself is fine, what stands in it is not.
            fs::write(app.path("../v2"), "x").unwrap();
        }
        app.args(&["--cache-dir", place]);
        for _ in 0..2 {
            let out = app.run().exits(0);
            let warnings = right(&app, &out, "passed");
            assert_eq!(warnings.len(), 1, "{place}: {warnings:?}");
            assert!(
                warnings[0].starts_with("the cache cannot be ")
                    && warnings[0].ends_with("; the run goes on without it"),
                "{place}: {warnings:?}"
            );
        }
    }
}

#[test]
fn without_a_home_nothing_is_kept_and_that_is_told() {
    let app = join();
    for _ in 0..2 {
        let mut command = app.project.command(&["run"]);
        let out = app.project.output(command.env_remove("HOME")).exits(0);
        let out = Output {
            stdout: super::without_longest_path(&out.stdout),
            ..out
        };
        assert_eq!(
            right(&app, &out, "passed"),
            ["there is no folder for results, so nothing is kept"]
        );
    }
    let mut command = app.project.command(&["run", "--no-cache"]);
    let out = app.project.output(command.env_remove("HOME")).exits(0);
    assert_eq!(out.stderr, "");
}

#[test]
fn a_store_that_was_removed_begins_anew() {
    let mut app = join();
    for _ in 0..2 {
        let out = app.run().exits(0);
        assert_eq!(right(&app, &out, "passed"), Vec::<String>::new());
        let out = app.run().exits(0);
        assert_eq!(right(&app, &out, "cached"), Vec::<String>::new());
        fs::remove_dir_all(app.store()).unwrap();
    }
    // While the job runs.
    app.define("echo made", "rm -rf ../home/.cache; echo made");
    let out = app.run().exits(0);
    assert_eq!(right(&app, &out, "passed"), Vec::<String>::new());
    let out = app.run().exits(0);
    assert_eq!(right(&app, &out, "cached"), Vec::<String>::new());
}

/// Runs shell text in a mount namespace, in which `$PIPE run` runs it; none where nothing can be mounted.
fn mounted(app: &App, text: &str) -> Option<Output> {
    // The language of every other run.
    let out = in_namespace(&app.project, &format!("export LANG=C.UTF-8; {text}"))?;
    Some(Output {
        stdout: super::without_longest_path(&out.stdout),
        ..out
    })
}

#[test]
fn a_store_that_is_read_only_gives_and_does_not_take() {
    let mut app = join();
    let out = app.run().exits(0);
    assert_eq!(right(&app, &out, "passed"), Vec::<String>::new());
    fs::remove_dir_all(app.path("out")).unwrap();
    let read_only =
        "mount --bind \"$HOME\" \"$HOME\"; mount -o remount,bind,ro \"$HOME\"; \"$PIPE\" run";
    let Some(out) = mounted(&app, read_only) else {
        return skip("nothing can be mounted here");
    };
    let warnings = right(&app, &out.exits(0), "cached");
    assert!(warnings.len() <= 1, "{warnings:?}");
    app.project.write("src/three", "");
    let out = mounted(&app, read_only).unwrap().exits(0);
    let warnings = right(&app, &out, "passed");
    assert_eq!(
        warnings,
        [
            "the cache cannot be written: out/all: Read-only file system (os error 30); the run goes on without it"
        ]
    );
}

#[test]
fn a_store_that_is_full_is_told_once_and_holds_nothing_half() {
    let app = join();
    app.define(
        "echo made",
        "echo made; head -c 3000000 /dev/urandom > out/large",
    );
    app.define("outputs \"out\"", "outputs \"out/all\" \"out/large\"");
    let full = "mkdir -p \"$HOME/.cache\"; mount -t tmpfs -o size=1m none \"$HOME/.cache\"; \"$PIPE\" run; ls \"$HOME/.cache/pipe/v2/tmp\" >&2; rm out/large; \"$PIPE\" run; rm out/large";
    let Some(out) = mounted(&app, full) else {
        return skip("nothing can be mounted here");
    };
    let out = out.exits(0);
    assert_eq!(out.stderr, "");
    let (stdout, warnings) = without_warnings(&out.stdout);
    assert_eq!(
        stdout.matches(" ok  1 step in [t] · 1 passed\n").count(),
        2,
        "{stdout}"
    );
    let text = "the cache cannot be written: out/large: No space left on device (os error 28); the run goes on without it";
    assert_eq!(warnings, [text, text]);
    assert_eq!(app.tree("out"), MADE);
}

#[test]
fn no_room_at_all_is_told_once() {
    let app = join();
    let full = "mkdir -p \"$HOME/.cache\"; mount -t tmpfs -o size=4k none \"$HOME/.cache\"; cat /dev/zero > \"$HOME/.cache/fill\" 2>/dev/null || true; \"$PIPE\" run";
    let Some(out) = mounted(&app, full) else {
        return skip("nothing can be mounted here");
    };
    let warnings = right(&app, &out.exits(0), "passed");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // And no more files at all.
    let full = "mkdir -p \"$HOME/.cache\"; mount -t tmpfs -o nr_inodes=2 none \"$HOME/.cache\"; \"$PIPE\" run";
    let warnings = right(&app, &mounted(&app, full).unwrap().exits(0), "passed");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn somebody_elses_store_is_told_once() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let app = join();
    let folder = app.project.root().parent().unwrap().to_path_buf();
    let nobody = |command: &mut Command| {
        command.uid(65534).gid(65534);
    };
    let owned = Command::new("chown")
        .arg("-R")
        .arg("65534:65534")
        .arg(&folder)
        .status();
    let mut probe = app.project.command(&["--version"]);
    nobody(&mut probe);
    if !owned.is_ok_and(|s| s.success()) || !probe.output().is_ok_and(|o| o.status.success()) {
        return skip("the binary cannot be run by somebody else");
    }
    for mode in [0o700, 0o755] {
        fs::create_dir_all(app.store()).unwrap();
        crate::support::tree::set_mode(&app.store(), mode);
        for _ in 0..2 {
            let mut command = app.project.command(&["run"]);
            nobody(&mut command);
            let out = app.project.output(&mut command).exits(0);
            let out = Output {
                stdout: super::without_longest_path(&out.stdout),
                ..out
            };
            let warnings = right(&app, &out, "passed");
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains("Permission denied"), "{warnings:?}");
        }
    }
}
