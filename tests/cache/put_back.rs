//! What is put back in place of a run: contents, permission bits, links, folders, and nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;

use super::{App, join, joined};
use crate::support::skip;
use crate::support::tree::{rewrite, set_mode, tree};

#[test]
fn outputs_that_were_deleted_come_back() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    fs::remove_file(app.path("out/all")).unwrap();
    joined(&mut app, "cached", "1\n2\n");
    fs::remove_dir_all(app.path("out")).unwrap();
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn an_output_that_was_edited_is_put_back() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    app.project.write("out/all", "by hand");
    joined(&mut app, "cached", "1\n2\n");
    app.project.write("out/all", "");
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn an_output_that_was_edited_with_its_size_and_time_kept_is_put_back() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    rewrite(&app.path("out/all"), "3\n4\n");
    joined(&mut app, "cached", "1\n2\n");
    // The same of one that was put in place.
    rewrite(&app.path("out/all"), "5\n6\n");
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn permission_bits_are_put_back() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    for mode in [0o600, 0o666, 0o755, 0o444, 0o000, 0o4755] {
        set_mode(&app.path("out/all"), mode);
        joined(&mut app, "cached", "1\n2\n");
    }
    for mode in [0o700, 0o777] {
        set_mode(&app.path("out"), mode);
        joined(&mut app, "cached", "1\n2\n");
    }
}

#[test]
fn a_folder_or_a_link_in_place_of_an_output_makes_way() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    let all = app.path("out/all");
    fs::remove_file(&all).unwrap();
    app.project.write("out/all/deep/file", "x");
    joined(&mut app, "cached", "1\n2\n");
    // To a file with the same content, to nothing, to a file elsewhere that must not be written to.
    let outside = app.project.home().join("outside");
    fs::write(&outside, "precious").unwrap();
    app.project.write("same", "1\n2\n");
    for to in ["../same", "nowhere", outside.to_str().unwrap()] {
        fs::remove_file(&all).unwrap();
        symlink(to, &all).unwrap();
        joined(&mut app, "cached", "1\n2\n");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    assert_eq!(app.project.read("same"), "1\n2\n");
}

#[test]
fn a_file_or_a_link_in_place_of_a_folder_makes_way() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    fs::remove_dir_all(app.path("out")).unwrap();
    app.project.write("out", "a file");
    joined(&mut app, "cached", "1\n2\n");
    let outside = app.project.home().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("all"), "precious").unwrap();
    for to in [outside.to_str().unwrap(), "src", "nowhere"] {
        fs::remove_dir_all(app.path("out")).unwrap();
        symlink(to, app.path("out")).unwrap();
        joined(&mut app, "cached", "1\n2\n");
    }
    assert_eq!(fs::read_to_string(outside.join("all")).unwrap(), "precious");
    assert_eq!(
        app.tree("src"),
        ["src/ 755", "src/one 644 \"1\\n\"", "src/two 644 \"2\\n\""]
    );
}

#[test]
fn what_a_run_would_not_have_left_is_removed_where_outputs_are_put_back() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    let outside = app.project.home().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    app.project.write("out/stale", "x");
    app.project.write("out/deep/er/stale", "x");
    fs::create_dir(app.path("out/empty")).unwrap();
    symlink(&outside, app.path("out/link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        app.path("out/pipe"),
        rustix::fs::FileType::Fifo,
        0o644.into(),
        0,
    )
    .unwrap();
    app.project.write("beside", "stays");
    joined(&mut app, "cached", "1\n2\n");
    assert!(outside.join("precious").exists());
    assert_eq!(app.project.read("beside"), "stays");
}

/// A job that makes one of everything.
const EVERYTHING: &str = r##"
    job a {
        inputs "src"
        outputs "out" "single"
        run #"""
            umask 022
            echo a >> ../ran
            chmod -R u+w out 2>/dev/null || true
            rm -rf out single
            mkdir -p out/empty out/full/deep/er out/closed out/writable
            echo '#!/bin/sh' > out/run; chmod 755 out/run
            echo owner > out/owner; chmod 700 out/owner
            echo read > out/read-only; chmod 444 out/read-only
            echo read > out/read-only-run; chmod 555 out/read-only-run
            echo again > out/again; chmod 444 out/again
            ln -s run out/link; ln -s ../single out/up; ln -s nowhere out/dangling; ln -s full/deep out/folder
            echo deep > out/full/deep/er/file
            : > out/nothing
            echo closed > out/closed/file; chmod 555 out/closed
            chmod 777 out/writable
            cat src > single
            """#
    }
"##;

const MADE: [&str; 20] = [
    "out/ 755",
    "out/again 444 \"again\\n\"",
    "out/closed/ 555",
    "out/closed/file 644 \"closed\\n\"",
    "out/dangling -> nowhere",
    "out/empty/ 755",
    "out/folder -> full/deep",
    "out/full/ 755",
    "out/full/deep/ 755",
    "out/full/deep/er/ 755",
    "out/full/deep/er/file 644 \"deep\\n\"",
    "out/link -> run",
    "out/nothing 644 \"\"",
    "out/owner 700 \"owner\\n\"",
    "out/read-only 444 \"read\\n\"",
    "out/read-only-run 555 \"read\\n\"",
    "out/run 755 \"#!/bin/sh\\n\"",
    "out/up -> ../single",
    "out/writable/ 777",
    "single 644 \"1\"",
];

#[test]
fn programs_links_closed_folders_and_empty_ones_come_back() {
    let mut app = App::new(EVERYTHING).file("src", "1");
    let all = |app: &App| [app.tree("out"), app.tree("single")].concat();
    app.tells(&[("a", "passed", "")]);
    assert_eq!(all(&app), MADE);
    app.tells(&[("a", "cached", "")]);
    assert_eq!(all(&app), MADE);
    fs::remove_dir_all(app.path("out")).unwrap();
    fs::remove_file(app.path("single")).unwrap();
    app.tells(&[("a", "cached", "")]);
    assert_eq!(all(&app), MADE);
    // One by one, out of folders that stay.
    for line in MADE {
        let path = app.path(line.split(' ').next().unwrap());
        if line.contains('/') && fs::symlink_metadata(&path).unwrap().is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        app.tells(&[("a", "cached", "")]);
        assert_eq!(all(&app), MADE, "{line}");
    }
}

#[test]
fn a_read_only_output_stays_one_whatever_somebody_does_to_it() {
    let mut app = App::new(EVERYTHING).file("src", "1");
    let all = |app: &App| [app.tree("out"), app.tree("single")].concat();
    app.tells(&[("a", "passed", "")]);
    fs::remove_dir_all(app.path("out")).unwrap();
    app.tells(&[("a", "cached", "")]);
    // It may be another name of what the store has.
    for mode in [0o644, 0o000, 0o777] {
        set_mode(&app.path("out/read-only"), mode);
        app.tells(&[("a", "cached", "")]);
        assert_eq!(all(&app), MADE, "{mode:o}");
    }
    let scratch = crate::support::tree::files(&app.path(".pipe"));
    assert!(
        !scratch.iter().any(|p| p.to_string_lossy().contains("put-")),
        "{scratch:?}"
    );
}

#[test]
fn editing_a_read_only_output_changes_nothing_but_that_file() {
    let mut app = App::new(
        r##"
    job a { inputs "src"; outputs "a"; run #"echo a >> ../ran; rm -f a; cat src > a; chmod 444 a"# }
    job b { inputs "src"; needs a; outputs "b"; run #"echo b >> ../ran; rm -f b; cat src > b; chmod 444 b"# }
"##,
    )
    .file("src", "1\n");
    let all = |app: &App| [app.tree("a"), app.tree("b")].concat();
    let made = ["a 444 \"1\\n\"", "b 444 \"1\\n\""];
    app.tells(&[("a", "passed", ""), ("b", "passed", "")]);
    for name in ["a", "b"] {
        fs::remove_file(app.path(name)).unwrap();
    }
    app.tells(&[("a", "cached", ""), ("b", "cached", "")]);
    assert_eq!(all(&app), made);
    set_mode(&app.path("a"), 0o644);
    app.project.write("a", "by hand");
    assert_eq!(app.tree("b"), made[1..]);
    app.tells(&[("a", "cached", ""), ("b", "cached", "")]);
    assert_eq!(all(&app), made);
}

#[test]
fn files_that_are_in_place_are_left_alone() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    let seen = |app: &App| {
        let meta = fs::metadata(app.path("out/all")).unwrap();
        (
            meta.ino(),
            meta.ctime(),
            meta.ctime_nsec(),
            meta.mtime_nsec(),
        )
    };
    let before = seen(&app);
    joined(&mut app, "cached", "1\n2\n");
    app.project.write("out/stale", "");
    joined(&mut app, "cached", "1\n2\n");
    assert_eq!(seen(&app), before);
}

#[test]
fn another_checkout_of_the_same_user_gets_the_same() {
    let mut app = App::new(EVERYTHING).file("src", "1");
    app.tells(&[("a", "passed", "")]);
    let other = app.project.root().parent().unwrap().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["pipeline.kdl", "src"] {
        fs::copy(app.path(name), other.join(name)).unwrap();
    }
    let mut command = app.project.command(&["run"]);
    let out = app.project.output(command.current_dir(&other)).exits(0);
    assert!(
        out.stdout.ends_with(" ok  1 step in [t] · 1 cached\n"),
        "{}",
        out.stdout
    );
    assert_eq!([tree(&other, "out"), tree(&other, "single")].concat(), MADE);
    assert_eq!(app.ran(), ["a"]);
}

#[test]
fn stale_files_go_also_where_the_inputs_are_a_file_or_two() {
    let mut app = App::new(
        r##"job a { inputs "src"; outputs "gen/*.g"; run #"echo a >> ../ran; rm -rf gen; mkdir gen; cp src gen/$(cat src).g"# }"##,
    )
    .file("src", "one");
    let one = ["gen/ 755", "gen/one.g 644 \"one\""];
    let two = ["gen/ 755", "gen/two.g 644 \"two\""];
    app.tells(&[("a", "passed", "")]);
    assert_eq!(app.tree("gen"), one);
    app.project.write("src", "two");
    app.tells(&[("a", "passed", "")]);
    assert_eq!(app.tree("gen"), two);
    app.project.write("src", "one");
    app.tells(&[("a", "cached", "")]);
    assert_eq!(app.tree("gen"), one);
    // All that was made is in place, and something else is there as well.
    app.project.write("gen/two.g", "two");
    app.project.write("gen/other", "none of its outputs");
    app.tells(&[("a", "cached", "")]);
    assert_eq!(
        app.tree("gen"),
        [
            "gen/ 755",
            "gen/one.g 644 \"one\"",
            "gen/other 644 \"none of its outputs\""
        ]
    );
}

#[test]
fn they_also_come_back_for_somebody_who_is_not_root() {
    if !rustix::process::geteuid().is_root() {
        // Then every other test is of somebody who is not.
        return;
    }
    let app = App::new(EVERYTHING).file("src", "1");
    let folder = app.project.root().parent().unwrap().to_path_buf();
    let nobody = |command: &mut std::process::Command| {
        command.uid(65534).gid(65534);
    };
    let owned = std::process::Command::new("chown")
        .arg("-R")
        .arg("65534:65534")
        .arg(&folder)
        .status();
    let mut probe = app.project.command(&["--version"]);
    nobody(&mut probe);
    if !owned.is_ok_and(|s| s.success()) || !probe.output().is_ok_and(|o| o.status.success()) {
        return skip("the binary cannot be run by somebody else");
    }
    let gives = |word: &str| {
        let mut command = app.project.command(&["run"]);
        nobody(&mut command);
        let out = app.project.output(&mut command).exits(0);
        assert!(
            out.stdout.ends_with(&format!(
                "      {word} a  [t]\n\n ok  1 step in [t] · 1 {word}\n"
            )),
            "{}",
            out.stdout
        );
        assert_eq!([app.tree("out"), app.tree("single")].concat(), MADE);
    };
    gives("passed");
    gives("cached");
    fs::remove_dir_all(app.path("out")).unwrap();
    gives("cached");
    // What is in a folder that nobody may write to.
    fs::remove_file(app.path("out/closed/file")).unwrap();
    gives("cached");
    app.project.write("out/closed/stale", "");
    gives("cached");
    set_mode(&app.path("out/read-only"), 0o644);
    gives("cached");
}
