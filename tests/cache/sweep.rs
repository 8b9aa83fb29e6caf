//! The engine killed, or its calls made to fail, at every call by which it changes the store or puts outputs in place.
//! What runs next has the right result, and nothing is left over but what nobody takes for a file of the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{App, without_warnings};
use crate::oracle::is_sound;
use crate::started::{Started, nothing_is_left_of};
use crate::support::tree::files;
use crate::support::{has_program, skip, wait_until};

/// Job `w` leaves a thread that has nothing to do, job `g` waits until that one is watched, and job `a` is what it is
/// all about.
const JOBS: &str = r##"
    job w { inputs "src/**"; run "true" }
    job g { needs w; run "touch ready; while ! test -e go; do sleep 0.01; done" }
    job a {
        needs g
        inputs "src/**"
        outputs "out"
        artifact site "out/all"
        run #"rm -rf out; mkdir -p out/empty out/closed; cat src/* > out/all; ln -s all out/link; echo run > out/run; chmod 755 out/run; echo x > out/closed/x; chmod 555 out/closed; echo made; echo v=1 >> $PIPE_OUTPUT"#
    }
"##;

fn made(src: &str) -> Vec<String> {
    vec![
        "out/ 755".into(),
        format!("out/all 644 {src:?}"),
        "out/closed/ 555".into(),
        "out/closed/x 644 \"x\\n\"".into(),
        "out/empty/ 755".into(),
        "out/link -> all".into(),
        "out/run 755 \"run\\n\"".into(),
    ]
}

/// What is done to a call.
#[derive(Clone, Copy)]
enum Fault {
    Kill,
    Error(&'static str),
}

/// Which thread: the one with the loop, or one of those that do what takes a while.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    Main,
    Worker,
}

/// Whether job `a` runs and its result is kept, or is there and is put in place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Keep,
    Restore,
}

impl Way {
    /// By which it is known that it was seen.
    fn work(self) -> &'static str {
        match self {
            Self::Keep => "/v2/action/",
            Self::Restore => "renameat",
        }
    }
}

/// The nth call of a kind, after job `g`, and what happened to it.
struct Case {
    way: Way,
    thread: Thread,
    call: &'static str,
    fault: Fault,
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There are not so many.
    Never,
    /// There were several threads that might do the work, or one that came later did it.
    Elsewhere,
    /// It was a call by which a thread wakes another one.
    NoneOfOurs,
    Done,
}

impl Case {
    /// Runs it, and looks at what comes out and what is left.
    fn run(&self, app: &mut App) -> Outcome {
        let src = format!("{}\n", self.at);
        app.project.write("src/one", &src);
        let _ = fs::remove_file(app.path("ready"));
        app.project.write("go", "");
        match self.way {
            Way::Keep => {
                let _ = fs::remove_dir_all(app.store());
            }
            Way::Restore => {
                let _ = app.run().exits(0);
                fs::remove_dir_all(app.path("out")).unwrap();
                // What has to make way, and what has to go.
                app.project.write("out/all/deep", "");
                app.project.write("out/run", "edited");
                app.project.write("out/stale/deep", "");
            }
        }
        let _ = fs::remove_file(app.path("ready"));
        fs::remove_file(app.path("go")).unwrap();
        let run = Started::new(&app.project, &["run"]).until_there("ready");
        app.runs += 1;
        let log = app.path("../strace");
        // Each thread has a count of its own, so there must be one.
        let thread = match (self.thread, &*workers(&run)) {
            (Thread::Main, _) => run.engine().as_raw_pid().to_string(),
            (Thread::Worker, [one]) => one.clone(),
            (Thread::Worker, _) => {
                app.project.write("go", "");
                assert_eq!(run.end().code, Some(0));
                return Outcome::Elsewhere;
            }
        };
        let mut strace = self.strace(&run, &thread, &log);
        app.project.write("go", "");
        let out = run.end();
        strace.wait().unwrap();
        let log = fs::read_to_string(log).unwrap();
        let Some(hit) = self.hit(&log) else {
            assert_eq!(out.code, Some(0), "{out:?}");
            let seen = self.thread == Thread::Main || log.contains(self.way.work());
            return if seen {
                Outcome::Never
            } else {
                Outcome::Elsewhere
            };
        };
        let wakes = ["anon_inode:", "socket:", "pipe:"];
        let what = format!("{} {} {hit}", self.call, self.at);
        if let Fault::Kill = self.fault {
            assert_eq!(out.code, Some(137), "{what}: {out:?}");
        } else if wakes.iter().any(|w| hit.contains(w)) {
            return Outcome::NoneOfOurs;
        } else {
            let (_, warnings) = without_warnings(&out.stdout);
            assert_eq!((out.code, &*out.stderr), (Some(0), ""), "{what}: {out:?}");
            assert!(warnings.len() <= 1, "{what}: {warnings:?}");
            assert_eq!(app.tree("out"), made(&src), "{what}: {out:?}");
        }
        nothing_is_left_of(&app.project);
        only_files_of_the_store(app, &what);
        // Whatever it was, it is right now, and nothing is said of it; and then there is nothing to do.
        for round in 0..2 {
            let out = app.run().exits(0);
            let (stdout, warnings) = without_warnings(&out.stdout);
            assert_eq!((warnings, &*out.stderr), (Vec::new(), ""), "{what}");
            assert_eq!(app.tree("out"), made(&src), "{what}");
            assert!(
                round == 0 || stdout.contains(" · 1 passed · 2 cached\n"),
                "{what}: {stdout}"
            );
            let must_hit = self.way == Way::Restore && matches!(self.fault, Fault::Kill);
            assert!(!must_hit || stdout.contains("cached a"), "{what}: {stdout}");
        }
        Outcome::Done
    }

    /// Watches a thread of a run.
    fn strace(&self, run: &Started<'_>, thread: &str, log: &Path) -> std::process::Child {
        let engine = run.engine().as_raw_pid();
        let fault = match self.fault {
            Fault::Kill => "signal=KILL".to_owned(),
            Fault::Error(error) => format!("error={error}"),
        };
        let call = self.call;
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-y", "-o"]).arg(log);
        strace.args(["-e", &format!("trace=?{call},?rename,?renameat,?linkat")]);
        strace.args(["-e", &format!("inject=?{call}:{fault}:when={}", self.at)]);
        strace.args(["-p", thread]);
        let strace = strace
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the thread is watched", || {
            let status = fs::read_to_string(format!("/proc/{engine}/task/{thread}/status"));
            // One that is gone was hit at once.
            status.map_or(true, |s| !s.contains("TracerPid:\t0\n"))
        });
        strace
    }

    /// The call that was meant, as it was seen.
    fn hit(&self, log: &str) -> Option<String> {
        let meant = |line: &&str| match self.fault {
            Fault::Error(_) => line.contains("(INJECTED)"),
            Fault::Kill => log.contains("+++ killed by SIGKILL") && line.contains(self.call),
        };
        log.lines().rfind(meant).map(str::to_owned)
    }
}

/// The threads of a run that do what takes a while.
fn workers(run: &Started<'_>) -> Vec<String> {
    let tasks = format!("/proc/{}/task", run.engine().as_raw_pid());
    let tasks = fs::read_dir(&tasks).unwrap().flatten().map(|t| t.path());
    let is_worker = |task: &PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("tokio-rt"))
    };
    let name = |task: PathBuf| task.file_name().unwrap().to_string_lossy().into_owned();
    tasks.filter(is_worker).map(name).collect()
}

/// Nothing is in the store but what belongs there, sound, and what is in `tmp`.
#[track_caller]
fn only_files_of_the_store(app: &App, what: &str) {
    for path in files(&app.store()) {
        let relative = path
            .strip_prefix(app.store())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let top = relative.split('/').next().unwrap();
        let name = relative.rsplit('/').next().unwrap();
        let fine = match top {
            "tmp" => true,
            "blob" | "action" => is_sound(&path),
            "checkout" => ["definition", "files", "steps", "lock"].contains(&name),
            "lock" | "trimmed" => true,
            _ => false,
        };
        assert!(fine, "{what}: {relative}");
    }
    let own = tree_of(app).into_iter().find(|path| {
        path.contains("put-") && !path.contains("/.pipe/runs/") || path.contains("new-")
    });
    assert_eq!(own, None, "{what}");
}

fn tree_of(app: &App) -> Vec<String> {
    let all = files(&app.project.root());
    all.iter()
        .map(|p| p.to_string_lossy().into_owned())
        .collect()
}

/// Every call of these kinds.
fn sweep(way: Way, thread: Thread, calls: &[&'static str], faults: &[Fault], least: usize) {
    if !has_program("strace") {
        return skip("there is no `strace`");
    }
    let mut swept = 0;
    // What is said where too little was found.
    let mut seen: Vec<(&str, usize, Outcome)> = Vec::new();
    // The one call that is meant is there: it is looked for longer, as another thread may have made it.
    let enough = if calls.len() == 1 { 40 } else { 3 };
    for call in calls {
        for fault in faults {
            let mut app = App::new(JOBS);
            let mut at = 1;
            let mut again = 0;
            // A part of the work may be done by a thread that comes later: once not seen is not yet never.
            let mut nevers = 0;
            loop {
                let case = Case {
                    way,
                    thread,
                    call,
                    fault: *fault,
                    at,
                };
                let outcome = case.run(&mut app);
                seen.push((call, at, outcome));
                match outcome {
                    Outcome::Never => {
                        nevers += 1;
                        if nevers == 3 && swept > 0 || nevers == enough {
                            break;
                        }
                        continue;
                    }
                    Outcome::Elsewhere => {
                        again += 1;
                        assert!(
                            again < 100,
                            "{call} {at}: it is never where it is looked for"
                        );
                        continue;
                    }
                    Outcome::NoneOfOurs => {}
                    Outcome::Done => swept += 1,
                }
                at += 1;
                again = 0;
                nevers = 0;
            }
        }
    }
    println!("swept {swept} points");
    assert!(swept >= least, "{swept}: {seen:?}");
}

/// What the threads that do what takes a while call to change something.
const CHANGES: [&str; 13] = [
    "write",
    "chmod",
    "fchmod",
    "rename",
    "renameat",
    "linkat",
    "mkdir",
    "mkdirat",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "utimensat",
];

const ERRORS: [Fault; 2] = [Fault::Error("ENOSPC"), Fault::Error("EIO")];

#[test]
fn killed_at_any_call_that_keeps_a_result_the_next_run_is_right() {
    sweep(Way::Keep, Thread::Worker, &CHANGES, &[Fault::Kill], 25);
}

#[test]
fn killed_at_any_call_that_puts_outputs_in_place_the_next_run_is_right() {
    sweep(Way::Restore, Thread::Worker, &CHANGES, &[Fault::Kill], 15);
}

#[test]
fn killed_while_it_writes_down_what_it_learnt_the_next_run_is_right() {
    sweep(
        Way::Keep,
        Thread::Main,
        &["write", "rename", "mkdir"],
        &[Fault::Kill],
        10,
    );
}

#[test]
fn no_error_of_a_call_that_keeps_a_result_is_more_than_a_warning() {
    sweep(Way::Keep, Thread::Worker, &CHANGES[..1], &ERRORS, 8);
    sweep(Way::Keep, Thread::Worker, &CHANGES[1..], &ERRORS[..1], 15);
}

#[test]
fn no_error_of_a_call_that_puts_outputs_in_place_is_more_than_a_warning() {
    sweep(Way::Restore, Thread::Worker, &CHANGES[..1], &ERRORS, 4);
    sweep(
        Way::Restore,
        Thread::Worker,
        &CHANGES[1..],
        &ERRORS[1..],
        15,
    );
}

#[test]
fn nor_is_a_content_that_cannot_be_opened_or_read() {
    sweep(
        Way::Restore,
        Thread::Worker,
        &["openat", "read"],
        &[Fault::Error("EIO")],
        15,
    );
}

#[test]
fn nor_is_a_memory_that_cannot_be_written_down() {
    sweep(Way::Keep, Thread::Main, &["rename", "mkdir"], &ERRORS, 4);
}
