//! A store whose files are damaged, one at a time: the run has the right result with one warning at most, does not hang,
//! and what can mend itself has done so one run later.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, mknodat};

use super::App;
use crate::started::Started;
use crate::support::tree::{files, set_modified, tree};

/// Two jobs whose results have everything: files, a log, values, a secret in the key.
const BOTH: &str = r##"
pipeline app { shell sh; }
secret TOKEN
stage t {
    job a {
        inputs "src"
        outputs "out"
        secrets TOKEN
        run #"echo a >> ../ran; rm -rf out; mkdir out; cp src out/file; echo of a > out/a; echo a says so; echo "v=$(cat src)" >> $PIPE_OUTPUT"#
    }
    job b {
        needs a
        env V="${a.outputs.v}"
        key "b"
        outputs "b"
        run #"echo b >> ../ran; rm -f b; echo "$V" > b; echo b says so"#
    }
}
"##;

const MADE: [&str; 4] = [
    "out/ 755",
    "out/a 644 \"of a\\n\"",
    "out/file 644 \"1\"",
    "b 644 \"1\\n\"",
];

fn both() -> App {
    let mut app = App::of(BOTH).file("src", "1");
    app.env("TOKEN", "a-token-of-a-user");
    assert_eq!(runs(&mut app), ["passed", "passed"]);
    app
}

/// Runs it: it succeeds, and the outputs are right. How the two jobs ended, and then the warnings.
#[track_caller]
fn runs(app: &mut App) -> Vec<String> {
    let args: Vec<&str> = app.args.iter().map(String::as_str).collect();
    let mut command = app.project.command(&args);
    command.envs(app.env.iter().cloned());
    app.runs += 1;
    // It must not wait for ever for somebody who writes to a pipe.
    let out = Started::of(&app.project, &mut command).end().exits(0);
    assert_eq!(out.stderr, "");
    let (stdout, warnings) = super::without_warnings(&out.stdout);
    let word = |job: &str| {
        let cached = stdout.contains(&format!("      cached {job}  [t]\n"));
        if cached { "cached" } else { "passed" }
    };
    let words = ["a", "b"].map(|job| word(job).to_owned());
    let told = [
        ("a", &*words[0], "a says so"),
        ("b", &*words[1], "b says so"),
    ];
    assert_eq!(
        stdout,
        super::told(app.runs, "manual", &told),
        "{warnings:?}"
    );
    assert_eq!([app.tree("out"), app.tree("b")].concat(), MADE);
    [words.to_vec(), warnings].concat()
}

const DAMAGES: [&str; 9] = [
    "flipped",
    "half",
    "longer",
    "gone",
    "full folder",
    "dangling",
    "to zeros",
    "to a copy",
    "pipe",
];

/// Does something to a file.
fn damage(path: &Path, how: &str) {
    let bytes = fs::read(path).unwrap();
    let elsewhere = path.with_file_name("elsewhere");
    fs::remove_file(path).unwrap();
    match how {
        "flipped" => {
            let mut bytes = bytes;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        "half" => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
        "longer" => fs::write(path, [&bytes[..], b"x"].concat()).unwrap(),
        "gone" => {}
        "to itself" => symlink(path, path).unwrap(),
        "full folder" => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
        "dangling" => symlink("nowhere", path).unwrap(),
        "to zeros" => symlink("/dev/zero", path).unwrap(),
        "to a copy" => {
            fs::write(&elsewhere, bytes).unwrap();
            symlink(&elsewhere, path).unwrap();
        }
        "pipe" => mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap(),
        other => panic!("{other}"),
    }
}

/// Damages what `which` names in every way, with the outputs in place, and without them and what the checkout remembers.
/// Every time it mends itself.
#[track_caller]
fn sweep(which: impl Fn(&App) -> PathBuf) {
    let mut app = both();
    let path = which(&app);
    for how in DAMAGES {
        for gone in [&[][..], &["outputs", "memory"]] {
            let what = format!("{how}, without {gone:?}");
            let sound = fs::read(&path).unwrap();
            let without_outputs = |app: &App| {
                if gone.contains(&"outputs") {
                    fs::remove_dir_all(app.path("out")).unwrap();
                    fs::remove_file(app.path("b")).unwrap();
                }
            };
            without_outputs(&app);
            for file in checkout(&app) {
                if gone.contains(&"memory") && file != path {
                    fs::remove_file(file).unwrap();
                }
            }
            damage(&path, how);
            let first = runs(&mut app);
            assert!(first.len() <= 3, "{what}: {first:?}");
            // Whatever it was, it is over.
            without_outputs(&app);
            assert_eq!(runs(&mut app), ["cached", "cached"], "{what}: {first:?}");
            let _ = fs::remove_file(path.with_file_name("elsewhere"));
            let is_file = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file());
            if !is_file || fs::read(&path).unwrap() != sound {
                // Nobody has missed it yet.
                app.args(&["--refresh"]);
                assert_eq!(runs(&mut app), ["passed", "passed"], "{what}");
                app.args(&[]);
            }
        }
    }
}

/// What the checkout remembers.
fn checkout(app: &App) -> Vec<PathBuf> {
    files(&app.store().join("checkout"))
}

fn remembered(app: &App, name: &str) -> PathBuf {
    let all = checkout(app);
    all.into_iter().find(|p| p.ends_with(name)).unwrap()
}

fn blob(app: &App, content: &[u8]) -> PathBuf {
    let hex = blake3::hash(content).to_hex().to_string();
    app.store().join("blob").join(&hex[..1]).join(&hex[1..])
}

/// The record of the job that has this in its record.
fn record(app: &App, text: &str) -> PathBuf {
    let all = files(&app.store().join("action"));
    let has = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|t| t.contains(text));
    all.into_iter().find(has).unwrap()
}

#[test]
fn a_damaged_content_costs_a_run_and_nothing_else() {
    sweep(|app| blob(app, b"1"));
}

#[test]
fn a_damaged_log_costs_a_run_and_nothing_else() {
    sweep(|app| blob(app, b"b says so\n"));
}

#[test]
fn a_damaged_record_of_a_result_costs_a_run_and_nothing_else() {
    sweep(|app| record(app, "out/file"));
}

#[test]
fn a_damaged_memory_of_files_costs_nothing() {
    sweep(|app| remembered(app, "files"));
}

#[test]
fn a_damaged_memory_of_steps_costs_nothing() {
    sweep(|app| remembered(app, "steps"));
}

#[test]
fn a_damaged_lock_costs_nothing() {
    sweep(|app| {
        let lock = remembered(app, "steps").with_file_name("lock");
        // It has nothing in it that could be damaged.
        fs::write(&lock, "xx").unwrap();
        lock
    });
}

#[test]
fn a_file_a_link_or_a_pipe_in_place_of_a_folder_of_the_store_is_one_warning_at_most() {
    let mut app = both();
    for folder in ["tmp", "blob", "action", "action/trusted", "checkout", "."] {
        for how in ["file", "pipe", "dangling", "elsewhere"] {
            let path = match folder {
                "." => app.store(),
                folder => app.store().join(folder),
            };
            let aside = app.store().parent().unwrap().join("aside");
            fs::rename(&path, &aside).unwrap();
            match how {
                "file" => fs::write(&path, "x").unwrap(),
                "pipe" => mknodat(CWD, &path, FileType::Fifo, 0o600.into(), 0).unwrap(),
                "dangling" => symlink("nowhere", &path).unwrap(),
                _ => {
                    let _ = fs::create_dir(app.path("../elsewhere"));
                    symlink(app.path("../elsewhere"), &path).unwrap();
                }
            }
            let told = runs(&mut app);
            assert!(told.len() <= 3, "{folder} {how}: {told:?}");
            fs::remove_file(&path).unwrap();
            fs::rename(&aside, &path).unwrap();
        }
    }
    assert_eq!(runs(&mut app), ["cached", "cached"]);
    assert_eq!(tree(&app.store(), "tmp"), ["tmp/ 700"]);
}

#[test]
fn a_damaged_salt_costs_a_run_and_nothing_else() {
    sweep(|app| app.store().join("salt"));
}

#[test]
fn neither_the_lock_nor_the_date_of_a_trim_can_hold_a_run() {
    let mut app = both();
    // Only who keeps something looks after the store.
    app.args(&["--refresh"]);
    for name in ["lock", "trimmed"] {
        for how in ["pipe", "full folder", "to zeros", "dangling", "to itself"] {
            let path = app.store().join(name);
            // So that it wants to trim again.
            let _ = fs::remove_file(app.store().join("trimmed"));
            fs::write(&path, "").unwrap();
            damage(&path, how);
            if name == "trimmed" && how != "to itself" {
                set_modified(&path, 1_000_000_000);
            }
            for _ in 0..2 {
                assert_eq!(runs(&mut app), ["passed", "passed"], "{name} {how}");
            }
            assert!(
                fs::symlink_metadata(app.store().join("trimmed"))
                    .unwrap()
                    .is_file()
            );
        }
    }
}
