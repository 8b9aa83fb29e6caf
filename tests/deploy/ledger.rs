//! A remote of the ledger that does not answer: a run ends with 3 before anything is changed, and says why. Real git, and
//! nobody at the other end; and one that answers and takes no records, which is a rule.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::started::Started;
use crate::support::{Project, has_program, skip, wait_until};

const PIPELINE: &str = "\
pipeline p
target live {
    run {
        apply \"touch applied\"
    }
    ready command=\"true\" within=\"5s\"
    no-rollback \"a test\"
}
target next {
    run {
        apply \"touch applied\"
    }
    ready command=\"true\" within=\"5s\"
    no-rollback \"a test\"
}
promotion up from=live to=next {
    images app
}
stage gate {
    approve go by=people
}
stage ship {
    deploy app to=live { digest app=\"r/app@sha256:DIGEST\"; }
}
";

/// A project whose ledger is on this remote.
fn project(remote: &str) -> Project {
    let project = Project::with(&PIPELINE.replace("DIGEST", &"1".repeat(64))).git();
    project.run_git(&["remote", "add", "origin", remote]);
    project
}

/// What is told of a deployment that has changed nothing.
fn told(project: &Project, code: i32) -> String {
    let out = project.pipe(&["run", "deploy-live", "--yes"]);
    let out = out.exits(code).stdout;
    assert!(!project.path("applied").exists(), "{out}");
    end_of(&out)
}

fn end_of(out: &str) -> String {
    let (_, told) = out.rsplit_once("─\n").unwrap();
    let told = told.split("   defined at").next().unwrap();
    let hint = out.lines().find(|l| l.starts_with(" hint "));
    let lines = [Some(told.trim_end()), hint];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// A port that is open, and what accepts there.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_remote_that_is_not_there_ends_it_with_3_and_nothing_was_changed() {
    insta::assert_snapshot!(told(&project("/nowhere/shop.git"), 3), @r"
     the ledger on the remote `origin` cannot be reached: '/nowhere/shop.git' does not appear to be a git repository
     hint try `git ls-remote origin`; nothing was changed
    ");
    insta::assert_snapshot!(told(&project("file:///nowhere/shop.git"), 3), @r"
     the ledger on the remote `origin` cannot be reached: '/nowhere/shop.git' does not appear to be a git repository
     hint try `git ls-remote origin`; nothing was changed
    ");
}

#[test]
fn a_host_of_the_remote_that_does_not_answer_ends_it_with_3() {
    if !has_program("ssh") {
        return skip("there is no ssh; tests/setup-ssh.sh gets it");
    }
    insta::assert_snapshot!(told(&project("ssh://git@127.0.0.1:1/shop.git"), 3), @r"
     the ledger on the remote `origin` cannot be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused
     hint try `git ls-remote origin`; nothing was changed
    ");
    // It accepts, and says nothing.
    let (listener, port) = listener();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let told = told(&project(&format!("ssh://git@127.0.0.1:{port}/shop.git")), 3);
    // Which of the two ssh sees depends on how quick it is.
    let told = told.replace("Connection reset by", "Connection closed by");
    insta::assert_snapshot!(told.replace(&port.to_string(), "PORT"), @r"
     the ledger on the remote `origin` cannot be reached: Connection closed by 127.0.0.1 port PORT
     hint try `git ls-remote origin`; nothing was changed
    ");
}

#[test]
fn a_name_that_nobody_knows_and_a_port_where_nobody_is_end_it_with_3() {
    // curl's words and times are not ours.
    for (remote, what) in [
        ("https://git.invalid/shop.git", "git.invalid"),
        ("http://127.0.0.1:1/shop.git", "127.0.0.1"),
    ] {
        let told = told(&project(remote), 3);
        let begin = " the ledger on the remote `origin` cannot be reached: unable to access";
        assert!(told.starts_with(begin), "{told}");
        assert!(told.contains(what), "{told}");
        let hint = " hint try `git ls-remote origin`; nothing was changed";
        assert!(told.ends_with(hint), "{told}");
    }
}

#[test]
fn a_remote_that_takes_no_records_has_a_rule_and_that_is_a_5() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("shop.git");
    let place = folder.path().display().to_string();
    let project = project(&remote.display().to_string());
    project.run_git(&["init", "--quiet", "--bare", &remote.display().to_string()]);
    let hook = remote.join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho 'only branches here' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    insta::assert_snapshot!(told(&project, 5).replace(&place, "FOLDER"), @r"
     the remote `origin` refuses `refs/pipe/locks/live`: failed to push some refs to 'FOLDER/shop.git'; the other side says: only branches here
     hint let refs/pipe/* be written there (a rule or a hook of the server forbids it, or the token may only read); for one machine alone, `pipeline NAME ledger=files` keeps the ledger in .pipe; nothing was changed
    ");
    let out = project.pipe(&["approve", "go", "--yes"]).exits(5);
    insta::assert_snapshot!(out.stderr.replace(&place, "FOLDER"), @r"
    error: the remote `origin` refuses `refs/pipe/targets/@steps`: failed to push some refs to 'FOLDER/shop.git'; the other side says: only branches here
    hint: let refs/pipe/* be written there (a rule or a hook of the server forbids it, or the token may only read); for one machine alone, `pipeline NAME ledger=files` keeps the ledger in .pipe
    ");
}

#[test]
fn a_remote_that_goes_away_while_the_target_is_changed_leaves_what_runs_unrecorded() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("shop.git");
    let place = folder.path().display().to_string();
    let project = project(&remote.display().to_string());
    project.run_git(&["init", "--quiet", "--bare", &remote.display().to_string()]);
    let away = folder.path().join("away.git");
    let text = project.read("pipeline.kdl").replacen(
        "touch applied",
        &format!("touch applied; mv {} {}", remote.display(), away.display()),
        1,
    );
    project.write("pipeline.kdl", &text);
    let out = project
        .pipe(&["run", "deploy-live", "--yes"])
        .exits(7)
        .stdout;
    let told = end_of(&out).replace(&place, "FOLDER");
    insta::assert_snapshot!(told, @r"
     live is healthy, and the ledger could not be told: the ledger on the remote `origin` cannot be reached: 'FOLDER/shop.git' does not appear to be a git repository
     hint the next `pipe run` asks live what runs and records it; try `git ls-remote origin`
    ");
    std::fs::rename(&away, &remote).unwrap();
    let out = project.pipe(&["targets", "live"]).stdout;
    assert!(out.contains("unknown"), "{out}");
}

#[test]
fn commands_that_ask_the_ledger_end_with_3_where_it_does_not_answer() {
    let project = project("/nowhere/shop.git");
    for args in [
        &["targets"][..],
        &["history", "live"],
        &["metrics", "live"],
        &["unlock", "live", "--yes"],
        &["approve", "go", "--yes"],
        &["rollback", "live", "--yes"],
    ] {
        let out = project.pipe(args).exits(3);
        insta::allow_duplicates! {
            insta::assert_snapshot!(out.stderr, @r"
            error: the ledger on the remote `origin` cannot be reached: '/nowhere/shop.git' does not appear to be a git repository
            hint: try `git ls-remote origin`
            ");
        }
    }
    for args in [&["promote", "up", "--yes"][..], &["run", "approve-go"]] {
        let out = project.pipe(args).exits(3).stdout;
        insta::allow_duplicates! {
            insta::assert_snapshot!(end_of(&out), @r"
             the ledger on the remote `origin` cannot be reached: '/nowhere/shop.git' does not appear to be a git repository
             hint try `git ls-remote origin`; nothing was changed
            ");
        }
    }
}

#[test]
fn a_run_that_is_ended_does_not_wait_for_a_remote_that_hangs() {
    let (listener, port) = listener();
    let project = project(&format!("git://127.0.0.1:{port}/shop.git"));
    let args = ["run", "deploy-live", "--yes", "--grace", "1s"];
    let run = Started::new(&project, &args);
    listener.set_nonblocking(true).unwrap();
    let mut asked = None;
    wait_until("it asks the remote", || {
        asked = listener.accept().ok();
        asked.is_some() || run.has_ended()
    });
    let began = Instant::now();
    run.signal(Signal::INT);
    let out = run.end();
    // Git would have been given a minute.
    assert!(began.elapsed() < Duration::from_secs(45), "{out:?}");
    assert_eq!(out.code, Some(130), "{out:?}");
    let left = crate::support::processes_with(&format!("127.0.0.1:{port}"));
    assert_eq!(left, Vec::<i32>::new());
    assert!(!project.path("applied").exists());
}
