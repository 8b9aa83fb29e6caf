//! What is on the disk: written before it is needed, believed only where it is sound, never in the way of a result.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::started::{Started, lines, nothing_is_left_of, stage};
use crate::support::{Output, PIPE, Project, has_program, skip, wait_until};

const TWO: &str = r#"    job a { run "echo a; touch did-a"; rollback { run "true" } }
    job b { needs a; run "echo b; touch did-b" }"#;

#[test]
fn runs_at_once_get_different_numbers_and_all_end_well() {
    let project = Project::with(&stage(
        "    job a { artifact x \"made-*\"; run \"touch made-$PIPE_RUN_ID; echo $PIPE_RUN_ID\" }",
    ));
    let runs: Vec<Started<'_>> = (0..20).map(|_| Started::new(&project, &["run"])).collect();
    let outs: Vec<Output> = runs.into_iter().map(|r| r.end().exits(0)).collect();
    let numbers: BTreeSet<&str> = outs
        .iter()
        .map(|o| {
            o.stdout
                .split("run ")
                .nth(1)
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers.len(), 20);
    let listed = project.pipe(&["runs", "--format", "json"]).exits(0).stdout;
    assert_eq!(listed.matches("\"passed\"").count(), 20, "{listed}");
}

#[test]
fn a_group_waits_for_the_run_that_holds_it() {
    let project = Project::with(&group("wait"));
    let first = Started::new(&project, &["run"]).until_there("ready");
    let second = Started::new(&project, &["run"]);
    wait_until("both are there", || project.path(".pipe/groups").exists());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(lines(&project, "order"), ["begin"]);
    project.write("go", "");
    let _ = first.end().exits(0);
    let second = second.end().exits(0);
    assert!(
        second.stderr.contains("waiting for the run of process"),
        "{}",
        second.stderr
    );
    assert_eq!(lines(&project, "order"), ["begin", "end", "begin", "end"]);
}

#[test]
fn a_group_cancels_the_run_that_holds_it() {
    let project = Project::with(&group("cancel"));
    let first = Started::new(&project, &["run"]).until_there("ready");
    project.write("go-second", "");
    let second = Started::new(&project, &["run"]);
    let _ = first.end().exits(143);
    project.write("go", "");
    let second = second.end().exits(0);
    assert!(
        second.stderr.contains("cancelling the run of process"),
        "{}",
        second.stderr
    );
    assert_eq!(lines(&project, "order"), ["begin", "begin", "end"]);
}

#[test]
fn a_group_whose_run_was_killed_is_free() {
    let project = Project::with(&group("wait"));
    let first = Started::new(&project, &["run", "--grace", "200ms"]).until_there("ready");
    rustix::process::kill_process(first.engine(), rustix::process::Signal::KILL).unwrap();
    let _ = first.end().exits(137);
    project.write("go", "");
    let second = project.pipe(&["run"]).exits(0);
    assert_eq!(second.stderr, "");
}

fn group(on_new: &str) -> String {
    format!(
        "pipeline app {{\n    concurrency \"one\" on-new={on_new}\n}}\nstage t {{ job a {{ run \"echo begin >> order; touch ready; while ! test -e go; do sleep 0.05; done; echo end >> order\" }} }}\n"
    )
}

#[test]
fn a_hundred_runs_are_kept_and_one_that_goes_on_is_never_removed() {
    let project = Project::with(
        "pipeline app\nstage t {\n    job slow { when event=push; run \"touch ready; while ! test -e go; do sleep 0.05; done\" }\n    job quick { when event=manual; run \"true\" }\n}\n",
    );
    let slow = Started::new(&project, &["run", "--event", "push"]).until_there("ready");
    let _ = project.pipe(&["run"]).exits(0);
    // As if many had been made since.
    for id in 3..=101 {
        std::fs::create_dir_all(project.path(&format!(".pipe/runs/{id}/logs"))).unwrap();
        std::fs::copy(
            project.path(".pipe/runs/2/journal"),
            project.path(&format!(".pipe/runs/{id}/journal")),
        )
        .unwrap();
    }
    let _ = project.pipe(&["run"]).exits(0);
    let there = |id: u64| project.path(&format!(".pipe/runs/{id}/journal")).exists();
    assert_eq!(
        [there(1), there(2), there(3), there(102)],
        [true, false, true, true]
    );
    project.write("go", "");
    let _ = slow.end().exits(0);
    let _ = project.pipe(&["run"]).exits(0);
    assert_eq!(
        [there(1), there(3), there(4), there(103)],
        [false, false, true, true]
    );
}

#[test]
fn no_damage_to_a_journal_is_a_panic_or_a_success() {
    let project = Project::with(&stage(
        "    job a { run \"echo a\" }\n    job b { run \"exit 1\" }",
    ));
    let _ = project.pipe(&["run"]).exits(1);
    let path = project.path(".pipe/runs/1/journal");
    let sound = std::fs::read(&path).unwrap();
    let mut broken: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"\n".to_vec(),
        vec![0; 4096],
        vec![b'x'; 100_000],
    ];
    for at in (0..sound.len()).step_by(sound.len() / 24) {
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        broken.push(flipped);
        broken.push(sound[..at].to_vec());
    }
    let passed = String::from_utf8_lossy(&sound)
        .replace("\"failed\"", "\"passed\"")
        .into_bytes();
    broken.push(passed);
    for bytes in broken {
        std::fs::write(&path, &bytes).unwrap();
        for args in [
            &["runs"][..],
            &["runs", "--format", "json"],
            &["logs"],
            &["logs", "1", "b"],
            &["plan"],
            &[],
        ] {
            let out = project.pipe(args);
            assert!(matches!(out.code, Some(0 | 2 | 3)), "{args:?} {out:?}");
            assert!(!out.stderr.contains("panicked"), "{}", out.stderr);
            assert!(
                out.code == Some(0) || out.stderr.contains("hint: "),
                "{args:?} {}",
                out.stderr
            );
            if args.first() == Some(&"runs") || args.is_empty() {
                let claims = ["1  passed", "\"passed\"", "run 1: passed"];
                assert!(
                    !claims.iter().any(|c| out.stdout.contains(c)),
                    "{}",
                    out.stdout
                );
            }
        }
    }
    let _ = project.pipe(&["run"]).exits(1);
}

#[test]
fn a_journal_of_a_newer_version_is_left_alone() {
    let project = Project::with(&stage("    job a { run \"echo a\" }"));
    let _ = project.pipe(&["run"]).exits(0);
    let path = project.path(".pipe/runs/1/journal");
    let text = std::fs::read_to_string(&path).unwrap();
    let first = text
        .lines()
        .next()
        .unwrap()
        .replace("\"format\":1", "\"format\":2");
    let content = &first[17..];
    let sum = &blake3::hash(content.as_bytes()).to_hex()[..16];
    std::fs::write(&path, format!("{sum} {content}\n")).unwrap();
    let logs = project.pipe(&["logs", "1"]).exits(3);
    assert!(
        logs.stderr.contains("the journal has format 2")
            && logs.stderr.contains("use a newer pipe"),
        "{}",
        logs.stderr
    );
    let _ = project.pipe(&["run"]).exits(0);
    assert!(path.exists());
}

#[test]
fn missing_logs_and_strange_folders_are_no_trouble() {
    let project = Project::with(&stage("    job a { run \"echo a\" }"));
    let _ = project.pipe(&["run"]).exits(0);
    std::fs::remove_dir_all(project.path(".pipe/runs/1/logs")).unwrap();
    let _ = project.pipe(&["logs"]).exits(0);
    for name in [
        "18446744073709551615",
        "99999999999999999999999",
        "-1",
        "x",
        "2",
    ] {
        std::fs::create_dir_all(project.path(&format!(".pipe/runs/{name}"))).unwrap();
    }
    let out = project.pipe(&["run"]).exits(0);
    assert!(out.stdout.contains("run 3  "), "{}", out.stdout);
    for args in [&["runs"][..], &["logs", "3"], &["plan"]] {
        let _ = project.pipe(args).exits(0);
    }
}

/// Every call by which the engine changes the disk. `openat` is not among them: it is not what is left behind.
const CALLS: [&str; 5] = ["write", "fdatasync", "fsync", "mkdir", "unlink"];

#[test]
fn killed_at_any_write_it_leaves_a_record_that_is_sound_and_claims_nothing() {
    if !has_program("strace") {
        return skip("there is no `strace`");
    }
    let mut swept = 0;
    for call in CALLS {
        let mut at = 1;
        loop {
            let project = Project::with(&stage(TWO));
            if !killed(&project, call, at) {
                break;
            }
            swept += 1;
            at += 1;
            sound(&project, &format!("{call} {at}"));
        }
        assert!(at > 1, "{call} was never killed");
    }
    println!("swept {swept} kill points");
    assert!(swept > 20, "{swept}");
}

/// Runs the engine, without its guardian, until the nth call; whether it was killed there.
fn killed(project: &Project, call: &str, at: usize) -> bool {
    let mut strace = Command::new("strace");
    // A job's calls are none of the engine's: only the engine is traced.
    strace.args([
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={call}"),
        "-e",
    ]);
    strace.arg(format!("inject={call}:signal=KILL:when={at}"));
    // The engine believes that whoever started it is its guardian, if that one says so.
    strace.args([
        "bash",
        "-c",
        &format!("PIPE_GUARDED=$PPID exec -a pipe {PIPE} run"),
    ]);
    prepared(project, &mut strace);
    let status = strace
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    std::os::unix::process::ExitStatusExt::signal(&status).is_some() || status.code() == Some(137)
}

fn prepared(project: &Project, command: &mut Command) {
    command
        .env_clear()
        .current_dir(project.root())
        .stdin(Stdio::null());
    command
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", project.home());
    command.process_group(0);
}

#[track_caller]
fn sound(project: &Project, what: &str) {
    nothing_is_left_of(project);
    for args in [&["runs"][..], &["logs"], &["plan"]] {
        let out = project.pipe(args);
        assert!(
            matches!(out.code, Some(0 | 2 | 3)) && !out.stderr.contains("panicked"),
            "{what} {args:?} {out:?}"
        );
        assert!(
            out.code == Some(0) || out.stderr.contains("hint: "),
            "{what} {args:?} {}",
            out.stderr
        );
    }
    let journal = std::fs::read_to_string(project.path(".pipe/runs/1/journal")).unwrap_or_default();
    for job in ["a", "b"] {
        let done =
            format!("\"step-ended\",\"step\":\"test.{job}\",\"outcome\":{{\"is\":\"passed\"");
        assert!(
            !journal.contains(&done) || project.path(&format!("did-{job}")).exists(),
            "{what}\n{journal}"
        );
    }
    // What can be undone was written down before it began.
    assert!(
        !project.path("did-a").exists() || journal.contains("\"armed\",\"step\":\"test.a\""),
        "{what}\n{journal}"
    );
    let listed = project.pipe(&["runs"]).stdout;
    let ended = journal.contains("\"run-ended\",\"outcome\":\"passed\"");
    assert_eq!(
        listed.contains("1  passed"),
        ended,
        "{what}\n{listed}\n{journal}"
    );
    let again = project.pipe(&["run"]).exits(0);
    assert!(
        again.stdout.contains(" ok  2 steps"),
        "{what}\n{}",
        again.stdout
    );
}

#[test]
fn only_what_can_be_undone_waits_for_the_disk_and_before_it_begins() {
    if !has_program("strace") {
        return skip("there is no `strace`");
    }
    let calls = |job: &str| {
        let project = Project::with(&stage(job));
        let mut strace = Command::new("strace");
        strace.args(["-fqq", "-e", "signal=none", "-o", "calls", "-e"]);
        strace.args(["trace=fsync,fdatasync,execve", PIPE, "run"]);
        prepared(&project, &mut strace);
        let _ = project.output(&mut strace).exits(0);
        let job = |line: &&str| line.contains("\"bash\", \"-euo\"");
        let name = |line: &str| {
            line.split([' ', '('])
                .find(|w| w.contains("sync"))
                .map(str::to_owned)
        };
        let calls = project.read("calls");
        let calls: Vec<&str> = calls.lines().filter(|l| !l.contains("resumed>")).collect();
        let begins = calls.iter().position(job).unwrap();
        let (before, after) = calls.split_at(begins);
        let names = |lines: &[&str]| lines.iter().filter_map(|l| name(l)).collect::<Vec<_>>();
        (names(before), names(after))
    };
    let none: [&str; 0] = [];
    let (before, after) = calls("    job a { run \"echo a\" }");
    assert_eq!(
        (before, after),
        (none.map(str::to_owned).to_vec(), Vec::new())
    );
    let (before, after) = calls("    job a { run \"echo a\"; rollback { run \"true\" } }");
    // The journal, then the names above it: the run, the runs, `.pipe`, the pipeline's folder.
    assert_eq!(before, ["fdatasync", "fsync", "fsync", "fsync", "fsync"]);
    // The end of the step, and of the run.
    assert_eq!(after, ["fdatasync", "fdatasync"]);
}

#[test]
fn what_has_happened_is_recorded_and_shown_while_the_run_waits() {
    use std::io::BufRead;
    let project = Project::with(&stage(
        "    job a { run \"echo one; while ! test -e go; do sleep 0.05; done\" }",
    ));
    for (id, format, told) in [(1, "plain", "a | one"), (2, "json", r#""lines":["one"]"#)] {
        let mut command = project.command(&["run", "--format", format]);
        let mut run = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut shown = std::io::BufReader::new(run.stdout.take().unwrap()).lines();
        assert!(shown.any(|line| line.unwrap().contains(told)), "{format}");
        let journal = project.read(&format!(".pipe/runs/{id}/journal"));
        assert!(journal.contains("\"step-started\""), "{journal}");
        project.write("go", "");
        assert!(run.wait().unwrap().success());
        std::fs::remove_file(project.path("go")).unwrap();
    }
}

/// Runs shell text as root of a mount namespace of its own; `None` where that is not possible.
pub fn in_namespace(project: &Project, text: &str) -> Option<Output> {
    let mut probe = Command::new("unshare");
    prepared(project, probe.args(["-rm", "true"]));
    let alone: &[&str] = match probe.stderr(Stdio::null()).status() {
        Ok(status) if status.success() => &["-rm"],
        _ => &["-m"],
    };
    let mut probe = Command::new("unshare");
    probe
        .args(alone)
        .args(["sh", "-c", "mount -t tmpfs none /mnt"]);
    prepared(project, &mut probe);
    if !probe
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(alone).args(["bash", "-euc", text]);
    prepared(project, &mut command);
    Some(project.output(command.env("PIPE", PIPE)))
}

macro_rules! in_namespace {
    ($project:expr, $text:expr) => {
        match in_namespace($project, $text) {
            Some(out) => out,
            None => return skip("nothing can be mounted here"),
        }
    };
}

#[test]
fn a_full_disk_ends_the_record_and_not_the_run() {
    let project = Project::with(&stage(
        "    job loud { run \"seq 400000\" }\n    job last { needs loud; run \"touch ../done\" }",
    ));
    let out = in_namespace!(
        &project,
        "mkdir .pipe; mount -t tmpfs -o size=1m none .pipe; \"$PIPE\" run --format plain | grep -v '^loud |'; df .pipe | tail -1 >&2"
    );
    assert!(
        out.stdout
            .contains("is not complete: No space left on device"),
        "{out:?}"
    );
    assert!(
        out.stdout.contains("the run is no longer recorded") || out.stdout.contains(" ok  2 steps"),
        "{out:?}"
    );
    assert!(project.path("../done").exists(), "{out:?}");
}

#[test]
fn what_can_be_undone_is_not_begun_when_it_cannot_be_written_down() {
    let project = Project::with(&stage(
        "    job fill { run \"printf 'v=%05000d\\\\n' 0 >> $PIPE_OUTPUT; cat /dev/zero > .pipe/fill || true\" }\n    job change { needs fill; run \"touch ../changed\"; rollback { run \"true\" } }",
    ));
    let out = in_namespace!(
        &project,
        "mkdir .pipe; mount -t tmpfs -o size=1m none .pipe; \"$PIPE\" run"
    );
    let out = out.exits(1);
    assert!(
        out.stdout
            .contains("not begun, because its rollback could not be recorded"),
        "{}",
        out.stdout
    );
    assert!(!project.path("../changed").exists());
}

#[test]
fn a_disk_that_is_full_from_the_start_is_no_reason_not_to_run() {
    let project = Project::with(&stage(
        "    job a { run \"touch ../did; echo v=1 >> $PIPE_OUTPUT\" }\n    job b { env V=\"${a.outputs.v}\"; run \"test $V = 1\" }",
    ));
    let out = in_namespace!(
        &project,
        "mkdir .pipe; mount -t tmpfs -o size=64k none .pipe; cat /dev/zero > .pipe/fill || true; \"$PIPE\" run"
    );
    let out = out.exits(0);
    assert!(
        out.stderr.contains("No space left on device")
            || out.stdout.contains("No space left on device"),
        "{out:?}"
    );
    assert!(project.path("../did").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_the_run_goes_on() {
    let readonly = "mount --bind . .; mount -o remount,bind,ro .; cd \"$PWD\"; \"$PIPE\" run";
    let project = Project::with(&stage("    job a { run \"echo ran\" }"));
    let out = in_namespace!(&project, readonly).exits(0);
    assert!(
        out.stderr
            .contains("cannot be written: Read-only file system"),
        "{out:?}"
    );
    assert!(
        out.stderr
            .contains("the run is not recorded, and has no logs"),
        "{out:?}"
    );
    assert!(out.stdout.contains("a | ran"), "{out:?}");
    let project = Project::with(&stage(
        "    job a { run \"echo ran\"; rollback { run \"true\" } }",
    ));
    let out = in_namespace!(&project, readonly).exits(3);
    assert!(
        out.stderr.contains("needs it, so nothing was begun"),
        "{out:?}"
    );
    assert!(!out.stdout.contains("ran"), "{out:?}");
}

#[test]
fn a_read_only_home_or_none_at_all_is_no_trouble() {
    let project = Project::with(&stage("    job a { run \"echo ran\" }"));
    let home =
        "mount --bind \"$HOME\" \"$HOME\"; mount -o remount,bind,ro \"$HOME\"; \"$PIPE\" run";
    let out = in_namespace!(&project, home).exits(0);
    assert_eq!(out.stderr, "");
    let mut command = project.command(&["run"]);
    let out = project.output(command.env_remove("HOME")).exits(0);
    assert_eq!(out.stderr, "");
}

#[test]
fn few_file_descriptors_are_enough_or_the_reason_is_told() {
    let jobs: String = (0..40)
        .map(|n| format!("    job j{n} {{ run \"sleep 0.1; echo {n}\" }}\n"))
        .collect();
    let project = Project::with(&stage(&jobs));
    let limited = |n: u32, jobs: u32| {
        let mut command = Command::new("bash");
        command.args([
            "-c",
            &format!("ulimit -n {n}; exec {PIPE} run --jobs {jobs}"),
        ]);
        prepared(&project, &mut command);
        project.output(&mut command)
    };
    let _ = limited(64, 4).exits(0);
    for n in [4, 8, 12, 16, 24, 32, 64] {
        let out = limited(n, 40);
        assert!(matches!(out.code, Some(0..=3)), "{n}: {out:?}");
        assert!(!out.stderr.contains("panicked"), "{n}: {out:?}");
        let told = out.stdout.contains("Too many open files")
            || out.stderr.contains("Too many open files")
            || out.stdout.contains("hint");
        assert!(out.code == Some(0) || told, "{n}: {out:?}");
        nothing_is_left_of(&project);
    }
}
