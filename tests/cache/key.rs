//! What decides a result, one thing at a time: what is part of the key, and what is not.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::{App, join, joined};
use crate::support::tree::{rewrite, set_mode, set_modified};

#[test]
fn what_is_as_it_was_does_not_run_again() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    joined(&mut app, "cached", "1\n2\n");
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn a_file_that_was_touched_is_the_same() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    set_modified(&app.path("src/one"), 1_000_000_000);
    joined(&mut app, "cached", "1\n2\n");
    // Another file with the same bytes.
    fs::remove_file(app.path("src/one")).unwrap();
    app.project.write("src/one", "1\n");
    joined(&mut app, "cached", "1\n2\n");
    // And permission bits that do not make it a program.
    set_mode(&app.path("src/one"), 0o600);
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn other_bytes_are_another_result_and_the_old_ones_the_old_result() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    app.project.write("src/one", "one\n");
    joined(&mut app, "passed", "one\n2\n");
    app.project.write("src/one", "1\n");
    joined(&mut app, "cached", "1\n2\n");
    app.project.write("src/one", "one\n");
    joined(&mut app, "cached", "one\n2\n");
}

#[test]
fn other_bytes_with_the_old_size_and_time_are_another_result() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    for digit in ["3", "4", "5", "6"] {
        rewrite(&app.path("src/one"), &format!("{digit}\n"));
        joined(&mut app, "passed", &format!("{digit}\n2\n"));
    }
    rewrite(&app.path("src/one"), "1\n");
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn other_commands_are_another_result() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    app.define("cat src/*", "cat src/* src/*");
    joined(&mut app, "passed", "1\n2\n1\n2\n");
    app.define("cat src/* src/*", "cat src/*");
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn how_commands_are_started_is_part_of_the_result() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    app.define("outputs", "shell bash \"-c\"; outputs");
    joined(&mut app, "passed", "1\n2\n");
    app.define("outputs", "workdir \".\"; outputs");
    joined(&mut app, "passed", "1\n2\n");
    app.define("outputs", "always { run \"true\"; }; outputs");
    joined(&mut app, "passed", "1\n2\n");
    joined(&mut app, "cached", "1\n2\n");
    // How long it may take and how often it is tried is not.
    app.define("outputs", "timeout \"1m\"; retry 2; outputs");
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn another_list_of_outputs_is_another_result() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    app.define("outputs \"out\"", "outputs \"out/all\"");
    joined(&mut app, "passed", "1\n2\n");
    app.define("outputs \"out/all\"", "artifact all \"out/all\"");
    joined(&mut app, "passed", "1\n2\n");
    joined(&mut app, "cached", "1\n2\n");
}

/// A job that prints a variable.
fn printing(more: &str) -> App {
    App::new(&format!(
        "job a {{\n inputs \"src\"; {more}\n run #\"echo a >> ../ran; echo \"${{SEEN-unset}}\"\"#\n}}"
    ))
    .file("src", "")
}

#[test]
fn a_variable_that_is_not_declared_is_neither_seen_nor_part_of_the_result() {
    let mut app = printing("");
    app.tells(&[("a", "passed", "unset")]);
    app.env("SEEN", "1");
    app.tells(&[("a", "cached", "unset")]);
    app.args(&["--no-cache"]);
    app.tells(&[("a", "passed", "unset")]);
}

#[test]
fn a_declared_variable_is_part_of_the_result() {
    let mut app = printing("env SEEN=\"one\"");
    app.tells(&[("a", "passed", "one")]);
    app.define("\"one\"", "\"two\"");
    app.tells(&[("a", "passed", "two")]);
    app.define("\"two\"", "\"one\"");
    app.tells(&[("a", "cached", "one")]);
    // The same value from further out is the same.
    app.define("env SEEN=\"one\"", "");
    app.define("stage t {", "env SEEN=\"one\"\nstage t {");
    app.tells(&[("a", "cached", "one")]);
}

#[test]
fn a_variable_that_is_passed_on_is_part_of_the_result() {
    let mut app = printing("pass-env SEEN");
    app.tells(&[("a", "passed", "unset")]);
    app.env("SEEN", "1");
    app.tells(&[("a", "passed", "1")]);
    app.env("SEEN", "");
    app.tells(&[("a", "passed", "\n")]);
    app.env("SEEN", "1");
    app.tells(&[("a", "cached", "1")]);
    app.env.clear();
    app.tells(&[("a", "cached", "unset")]);
}

#[test]
fn variables_that_choose_a_language_or_a_tool_are_part_of_the_result_and_where_things_are_is_not() {
    let mut app = printing("");
    app.tells(&[("a", "passed", "unset")]);
    let deciding = [
        "LANG",
        "LC_ALL",
        "TZ",
        "RUSTUP_TOOLCHAIN",
        "JAVA_HOME",
        "GOROOT",
        "VIRTUAL_ENV",
    ];
    for name in deciding {
        let before = app.env.clone();
        app.env(name, "C");
        app.tells(&[("a", "passed", "unset")]);
        app.env = before;
        app.tells(&[("a", "cached", "unset")]);
    }
    for name in [
        "USER",
        "TMPDIR",
        "XDG_CONFIG_HOME",
        "https_proxy",
        "GOPATH",
        "COLUMNS",
    ] {
        app.env(name, "/tmp");
        app.tells(&[("a", "cached", "unset")]);
    }
}

#[test]
fn a_job_whose_result_is_kept_does_not_see_which_run_it_is_in() {
    let mut app = App::new(
        "job a {\n inputs \"src\"\n run #\"echo a >> ../ran; env | grep ^PIPE_ | cut -d= -f1 | sort | tr '\\n' ' '\"#\n}",
    )
    .file("src", "");
    let seen =
        "PIPE_ATTEMPT PIPE_DEPTH PIPE_MARKER PIPE_OUTPUT PIPE_STAGE PIPE_STEP PIPE_WORKSPACE ";
    app.tells(&[("a", "passed", seen)]);
    app.tells(&[("a", "cached", seen)]);
}

#[test]
fn an_input_that_becomes_a_program_is_another_one() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    set_mode(&app.path("src/one"), 0o755);
    joined(&mut app, "passed", "1\n2\n");
    // For whom does not matter.
    set_mode(&app.path("src/one"), 0o744);
    joined(&mut app, "cached", "1\n2\n");
    set_mode(&app.path("src/one"), 0o644);
    joined(&mut app, "cached", "1\n2\n");
}

#[test]
fn an_input_that_was_renamed_added_or_removed_is_another_set_of_inputs() {
    let mut app = join();
    joined(&mut app, "passed", "1\n2\n");
    fs::rename(app.path("src/one"), app.path("src/uno")).unwrap();
    joined(&mut app, "passed", "2\n1\n");
    fs::rename(app.path("src/uno"), app.path("src/one")).unwrap();
    joined(&mut app, "cached", "1\n2\n");
    app.project.write("src/three", "3\n");
    joined(&mut app, "passed", "1\n3\n2\n");
    fs::remove_file(app.path("src/three")).unwrap();
    joined(&mut app, "cached", "1\n2\n");
    fs::remove_file(app.path("src/two")).unwrap();
    joined(&mut app, "passed", "1\n");
    // The bytes of two files changed places.
    app.project.write("src/two", "1\n");
    app.project.write("src/one", "2\n");
    joined(&mut app, "passed", "2\n1\n");
}

#[test]
fn what_is_no_input_changes_nothing() {
    let mut app = join();
    app.define(
        "inputs \"src/**\"",
        "inputs \"src/**\" \"!src/*.md\" \"!src/skip\"",
    );
    app.define("cat src/*", "cat src/one src/two");
    joined(&mut app, "passed", "1\n2\n");
    for name in ["other", "src/a.md", "src/skip/deep"] {
        app.project.write(name, "x");
        joined(&mut app, "cached", "1\n2\n");
    }
}

#[test]
fn values_that_are_not_utf_8_are_told_apart() {
    let app = App::new(
        "job a {\n key \"k\"; pass-env SEEN\n run #\"printf '%s' \"$SEEN\" | od -An -tx1\"#\n}\njob b {\n needs a; inputs \"link\"\n run #\"readlink link | od -An -tx1\"#\n}",
    );
    for (byte, word) in [(0xff, "passed"), (0xfe, "passed"), (0xff, "cached")] {
        let bytes = [byte];
        let value = OsStr::from_bytes(&bytes);
        let _ = fs::remove_file(app.path("link"));
        symlink(value, app.path("link")).unwrap();
        let mut command = app.project.command(&["run", "--format", "json"]);
        let out = app
            .project
            .output(command.env("SEEN", value))
            .exits(0)
            .stdout;
        let ended = format!("\"outcome\":{{\"is\":\"{word}\"}}");
        assert_eq!(out.matches(&ended).count(), 2, "{out}");
        for line in [format!("[\" {byte:x}\"]"), format!("[\" {byte:x} 0a\"]")] {
            assert!(out.contains(&format!("\"lines\":{line}")), "{out}");
        }
    }
}

/// A job that reads a link.
fn linked(to: &str) -> App {
    let app = App::new(
        "job a {\n inputs \"link\"\n run #\"echo a >> ../ran; readlink link || true; cat link 2>/dev/null || echo nothing; if test -x link; then echo program; fi\"#\n}",
    )
    .file("one", "1")
    .file("two", "2");
    symlink(to, app.path("link")).unwrap();
    app
}

fn retarget(app: &App, to: &str) {
    fs::remove_file(app.path("link")).unwrap();
    symlink(to, app.path("link")).unwrap();
}

#[test]
fn of_a_link_counts_where_it_leads_and_what_is_there() {
    let mut app = linked("one");
    app.tells(&[("a", "passed", "one\n1")]);
    retarget(&app, "two");
    app.tells(&[("a", "passed", "two\n2")]);
    retarget(&app, "./one");
    app.tells(&[("a", "passed", "./one\n1")]);
    retarget(&app, "one");
    app.tells(&[("a", "cached", "one\n1")]);
    app.project.write("one", "I");
    app.tells(&[("a", "passed", "one\nI")]);
    rewrite(&app.path("one"), "J");
    app.tells(&[("a", "passed", "one\nJ")]);
    fs::remove_file(app.path("one")).unwrap();
    app.tells(&[("a", "passed", "one\nnothing")]);
    fs::create_dir(app.path("one")).unwrap();
    app.tells(&[("a", "passed", "one\nnothing\nprogram")]);
    fs::remove_dir(app.path("one")).unwrap();
    app.tells(&[("a", "cached", "one\nnothing")]);
    // And a file in place of the link, with what was behind it.
    fs::remove_file(app.path("link")).unwrap();
    app.project.write("link", "J");
    app.tells(&[("a", "passed", "J")]);
}

#[test]
fn what_is_behind_a_link_becomes_a_program_as_well() {
    let mut app = linked("one");
    app.tells(&[("a", "passed", "one\n1")]);
    set_mode(&app.path("one"), 0o755);
    app.tells(&[("a", "passed", "one\n1program")]);
    set_mode(&app.path("one"), 0o644);
    app.tells(&[("a", "cached", "one\n1")]);
}

#[test]
fn what_a_key_says_is_part_of_the_result() {
    let mut app = App::new(
        "job a {\n key os arch (file)\"lock*\" (env)\"MODE\" \"text\"\n run #\"echo a >> ../ran; echo made\"#\n}",
    )
    .file("lock", "1");
    let passed = [("a", "passed", "made")];
    let cached = [("a", "cached", "made")];
    app.tells(&passed);
    app.tells(&cached);
    app.project.write("lock", "2");
    app.tells(&passed);
    app.project.write("lock.more", "");
    app.tells(&passed);
    app.env("MODE", "fast");
    app.tells(&passed);
    app.env("MODE", "");
    app.tells(&passed);
    app.define("\"text\"", "\"other\"");
    app.tells(&passed);
    app.define("\"other\"", "\"text\"");
    app.tells(&cached);
}

#[test]
fn two_texts_of_a_key_are_not_one() {
    let mut app =
        App::new("job a {\n key \"one\" \"two\"\n run #\"echo a >> ../ran; echo made\"#\n}");
    app.tells(&[("a", "passed", "made")]);
    app.define("\"one\" \"two\"", "\"one\\ntwo\"");
    app.tells(&[("a", "passed", "made")]);
    app.define("\"one\\ntwo\"", "\"two\" \"one\"");
    app.tells(&[("a", "passed", "made")]);
    app.define("\"two\" \"one\"", "\"one\"; key \"two\"");
    app.tells(&[("a", "cached", "made")]);
}

#[test]
fn what_a_command_of_a_key_prints_is_part_of_the_result() {
    let mut app = App::new(
        "job a {\n key (run)\"cat version; echo k >> ../asked\"\n run #\"echo a >> ../ran; echo made\"#\n}\njob b {\n needs a; key (run)\"cat version; echo k >> ../asked\"\n run #\"echo b >> ../ran; echo made\"#\n}",
    )
    .file("version", "1\n");
    app.tells(&[("a", "passed", "made"), ("b", "passed", "made")]);
    app.tells(&[("a", "cached", "made"), ("b", "cached", "made")]);
    app.project.write("version", "2\n");
    app.tells(&[("a", "passed", "made"), ("b", "passed", "made")]);
    app.project.write("version", "1\n");
    app.tells(&[("a", "cached", "made"), ("b", "cached", "made")]);
    // Once in each run, although two jobs want to know.
    assert_eq!(app.project.read("../asked"), "k\n".repeat(4));
}

#[test]
fn a_command_of_a_key_that_fails_is_told_and_nothing_runs() {
    let mut app = App::new(
        "job a {\n key (run)\"echo no such tool >&2; exit 7\"\n run #\"echo a >> ../ran\"#\n}",
    );
    let out = app.run().exits(1);
    insta::assert_snapshot!(out.whole(), @"
    exit 1
    --- stdout
     pipe 0.1.0  run 1  manual  1 step
          failed a  [t]  its key cannot be made: `echo no such tool >&2; exit 7`: exit 7: no such tool

    ── a · echo no such tool >&2; exit 7 ─────────────────────────────────────────
    ── it wrote nothing ──────────────────────────────────────────────────────────
     its key cannot be made: `echo no such tool >&2; exit 7`: exit 7: no such tool   defined at pipeline.kdl:3
     hint mend the command, or take it out of `key`

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 a
       again      pipe run a
    ");
    assert_eq!(app.ran(), Vec::<String>::new());
}

#[test]
fn parameters_and_legs_have_results_of_their_own() {
    let mut app = App::of(
        r##"
pipeline app { shell sh; }
param mode default="debug"
stage t {
    job a {
        inputs "src"
        matrix { os linux mac; }
        env MODE="${param.mode}"
        run #"echo "$MATRIX_OS" >> ../ran; cat src; echo "$MATRIX_OS $MODE""#
    }
}
"##,
    )
    .file("src", "1\n");
    let leg = |app: &mut App, mode: &str, word: &str| {
        app.args(&["--jobs", "1", "--param", &format!("mode={mode}")]);
        let out = app.run().exits(0).stdout;
        // Which of them comes first depends on how long each took.
        let mut lines: Vec<&str> = out.lines().collect();
        lines.sort_unstable();
        let wanted = format!(
            "\n\n      {word} a (linux)  [t]\n      {word} a (mac)  [t]\n ok  2 steps in [t] · 2 {word}\n pipe 0.1.0  run {}  manual  2 steps\na (linux) | 1\na (linux) | linux {mode}\na (mac)   | 1\na (mac)   | mac {mode}",
            app.runs
        );
        assert_eq!(lines.join("\n"), wanted[1..]);
    };
    leg(&mut app, "debug", "passed");
    leg(&mut app, "debug", "cached");
    leg(&mut app, "fast", "passed");
    leg(&mut app, "debug", "cached");
    leg(&mut app, "fast", "cached");
    let mut ran = app.ran();
    ran.sort();
    assert_eq!(ran, ["linux", "linux", "mac", "mac"]);
    // A new leg leaves the others alone.
    app.define("linux mac", "linux mac bsd");
    let out = app.run().exits(0);
    assert!(
        out.stdout
            .contains(" ok  3 steps in [t] · 1 passed · 2 cached\n"),
        "{}",
        out.stdout
    );
}

#[test]
fn what_a_needed_job_made_is_part_of_the_result() {
    let mut app = App::new(
        r##"
    job a { inputs "src"; outputs "a"; run #"echo a >> ../ran; cut -c1 src > a"# }
    job b { needs a; key "b"; outputs "b"; run #"echo b >> ../ran; cat a a > b; cat b"# }
"##,
    )
    .file("src", "1x\n");
    app.tells(&[("a", "passed", ""), ("b", "passed", "1\n1")]);
    app.project.write("src", "2x\n");
    app.tells(&[("a", "passed", ""), ("b", "passed", "2\n2")]);
    // Another input, the same product: what follows need not run.
    app.project.write("src", "2y\n");
    app.tells(&[("a", "passed", ""), ("b", "cached", "2\n2")]);
    app.project.write("src", "1x\n");
    app.tells(&[("a", "cached", ""), ("b", "cached", "1\n1")]);
    assert_eq!(
        [app.project.read("a"), app.project.read("b")],
        ["1\n", "1\n1\n"]
    );
}
