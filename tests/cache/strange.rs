//! Inputs and outputs that are no ordinary files, have odd names, or are many. And commands of a `key` that hang.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, mknodat};
use rustix::process::Signal;

use super::App;
use crate::started::{Started, nothing_is_left_of};
use crate::support::tree::files;

fn pipe(path: &std::path::Path) {
    mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap();
}

/// Its inputs are a folder.
fn over(more: &str) -> App {
    App::new(&format!(
        "job a {{ inputs \"src/**\"; {more} run #\"echo a >> ../ran; echo made\"# }}"
    ))
    .file("src/one", "1")
}

#[test]
fn a_pipe_a_socket_or_a_link_to_a_device_is_an_input_that_is_not_read() {
    let mut app = over("");
    app.tells(&[("a", "passed", "made")]);
    let odd = app.path("src/odd");
    pipe(&odd);
    app.tells(&[("a", "passed", "made")]);
    app.tells(&[("a", "cached", "made")]);
    fs::remove_file(&odd).unwrap();
    let _socket = UnixListener::bind(&odd).unwrap();
    app.tells(&[("a", "passed", "made")]);
    app.tells(&[("a", "cached", "made")]);
    for to in ["/dev/zero", "/dev/null", "one", "odd", "../..", "gone"] {
        fs::remove_file(&odd).unwrap();
        symlink(to, &odd).unwrap();
        app.tells(&[("a", "passed", "made")]);
        app.tells(&[("a", "cached", "made")]);
    }
    // One that is named by itself, which is looked at in another way.
    let mut app = App::new(
        "job a { inputs \"odd\"; key (file)\"odd\"; run #\"echo a >> ../ran; echo made\"# }",
    );
    for make in [pipe, |path: &std::path::Path| {
        symlink("/dev/zero", path).unwrap();
    }] {
        make(&app.path("odd"));
        app.tells(&[("a", "passed", "made")]);
        app.tells(&[("a", "cached", "made")]);
        fs::remove_file(app.path("odd")).unwrap();
    }
}

#[test]
fn names_with_newlines_escapes_and_quotes_are_names() {
    let mut app = over("outputs \"out\";");
    app.define("echo made", "rm -rf out; cp -r src out; ls out | wc -l");
    let names = [
        "new\nline",
        "esc\u{1b}[2J",
        "quote\"'",
        "-rf",
        "$(touch hacked)",
        "ünï",
        " ",
        "a\\b",
        "*",
    ];
    for name in names {
        app.project.write(&format!("src/{name}"), name);
    }
    // A newline counts as one more for `wc`.
    app.tells(&[("a", "passed", "11")]);
    let made = app.tree("out");
    assert_eq!(made.len(), names.len() + 2);
    app.tells(&[("a", "cached", "11")]);
    fs::remove_dir_all(app.path("out")).unwrap();
    app.tells(&[("a", "cached", "11")]);
    assert_eq!(app.tree("out"), made);
    fs::rename(app.path("src/new\nline"), app.path("src/new line")).unwrap();
    app.tells(&[("a", "passed", "10")]);
}

#[test]
fn a_name_that_is_not_utf_8_among_the_inputs_or_outputs_means_that_nothing_is_kept() {
    let name = OsStr::from_bytes(b"odd-\xff");
    let mut app = over("");
    fs::write(app.path("src").join(name), "").unwrap();
    for _ in 0..2 {
        let warnings = app.tells_and_warns(&[("a", "passed", "made")]);
        assert_eq!(
            warnings,
            ["the result of t.a is not kept: src/odd-\u{fffd}: its name is not UTF-8"]
        );
    }
    let mut app = over("outputs \"out\";");
    app.define(
        "echo made",
        "rm -rf out; mkdir out; touch out/$(printf 'odd-\\377')",
    );
    for _ in 0..2 {
        let warnings = app.tells_and_warns(&[("a", "passed", "")]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("its name is not UTF-8"),
            "{warnings:?}"
        );
    }
    // Stale ones go all the same.
    let mut app = over("outputs \"out\";");
    app.define("echo made", "rm -rf out; mkdir out; touch out/x");
    app.tells(&[("a", "passed", "")]);
    fs::create_dir(app.path("out/deep")).unwrap();
    fs::write(app.path("out/deep").join(name), "").unwrap();
    app.tells(&[("a", "cached", "")]);
    assert_eq!(app.tree("out"), ["out/ 755", "out/x 644 \"\""]);
}

#[test]
fn outputs_that_cannot_be_kept_cost_a_warning_and_nothing_else() {
    for (make, why) in [
        (
            "mkfifo out/odd",
            "out/odd: this is neither a file, a folder nor a link",
        ),
        (
            "ln -s $(printf 'to-\\377') out/odd",
            "out/odd: its target is not UTF-8",
        ),
    ] {
        let mut app = over("outputs \"out\";");
        app.define("echo made", &format!("rm -rf out; mkdir out; {make}"));
        for _ in 0..2 {
            let warnings = app.tells_and_warns(&[("a", "passed", "")]);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].contains(why), "{warnings:?}");
        }
    }
}

#[test]
fn an_output_that_leads_out_of_the_folder_is_not_kept() {
    let mut app = over("outputs \"out\" \"!out/odd\"; artifact x \"out/odd\" \"out/fine\";");
    app.define(
        "echo made",
        "rm -rf out; mkdir out; touch out/fine; ln -s /etc/passwd out/odd",
    );
    for _ in 0..2 {
        let out = app.run();
        assert!(!out.stdout.contains("cached"), "{}", out.stdout);
    }
    assert_eq!(
        files(&app.store().join("action")),
        Vec::<std::path::PathBuf>::new()
    );
}

#[test]
fn ten_thousand_inputs_are_one_key() {
    let mut app = over("");
    for folder in 0..100 {
        let folder = app.path(&format!("src/{folder}"));
        fs::create_dir(&folder).unwrap();
        for file in 0..100 {
            fs::write(folder.join(file.to_string()), file.to_string()).unwrap();
        }
    }
    app.tells(&[("a", "passed", "made")]);
    app.tells(&[("a", "cached", "made")]);
    app.project.write("src/57/31", "other");
    app.tells(&[("a", "passed", "made")]);
    app.project.write("src/57/31", "31");
    app.tells(&[("a", "cached", "made")]);
}

#[test]
fn a_command_of_a_key_that_hangs_is_cut_by_a_cancel() {
    let mut app = App::new(
        "job a { key (run)\"touch ready; sleep 600\"; run #\"echo a >> ../ran\"# }\njob b { needs a; run \"true\" }",
    );
    let run = Started::new(&app.project, &["run"]).until_there("ready");
    run.signal(Signal::TERM);
    let out = run.end().exits(143);
    assert!(out.stdout.contains("cancelled a"), "{}", out.stdout);
    nothing_is_left_of(&app.project);
    assert_eq!(app.ran(), Vec::<String>::new());
    // And what it printed does not count as a result.
    app.define("sleep 600", "true");
    app.runs += 1;
    app.define("\njob b { needs a; run \"true\" }", "");
    app.tells(&[("a", "passed", "")]);
}

#[test]
fn all_that_a_command_of_a_key_prints_counts_also_at_the_end_of_much() {
    let mut app =
        App::new("job a { key (run)\"seq 100000; cat end\"; run #\"echo a >> ../ran\"# }")
            .file("end", "1");
    app.tells(&[("a", "passed", "")]);
    app.tells(&[("a", "cached", "")]);
    app.project.write("end", "2");
    app.tells(&[("a", "passed", "")]);
}

#[test]
fn bytes_that_a_command_of_a_key_prints_are_told_apart() {
    let mut app = App::new("job a { key (run)\"cat printed\"; run #\"echo a >> ../ran\"# }");
    for (bytes, word) in [
        (b"\xff", "passed"),
        (b"\xfe", "passed"),
        (b"\xff", "cached"),
    ] {
        fs::write(app.path("printed"), bytes).unwrap();
        app.tells(&[("a", word, "")]);
    }
}

#[test]
fn a_command_of_a_key_that_prints_without_an_end_is_a_failure() {
    let mut app = App::new("job a { key (run)\"yes\"; run #\"echo a >> ../ran\"# }");
    let out = app.run().exits(1).stdout;
    assert!(
        out.contains(
            "      failed a  [t]  its key cannot be made: `yes` printed more than 16 MiB\n"
        ),
        "{out}"
    );
    nothing_is_left_of(&app.project);
}
