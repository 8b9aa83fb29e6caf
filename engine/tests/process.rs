//! Real processes: what they write, how they end, and that nothing of them is left.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use engine::{
    output::{LONGEST_LINE, Lines, SPLIT_MARK},
    process::{Chunk, Ended, Exit, Spec, StartError, Stop, Stream, run},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

mod guarded;

const GRACE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// A number of seconds to sleep that no other test uses, to find its processes by.
pub fn tag() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("98765.{}{count:03}", std::process::id())
}

/// How many living processes have the tag among their arguments.
pub fn sleepers(tag: &str) -> usize {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let arguments = read("cmdline");
            arguments.starts_with(b"sleep\0")
                && String::from_utf8_lossy(&arguments).contains(tag)
                && !String::from_utf8_lossy(&read("stat")).contains(") Z ")
        })
        .count()
}

/// Starts a child, a grandchild, a session of its own and a daemon, each sleeping.
pub fn four(tag: &str) -> String {
    format!(
        "sleep {tag} & (sleep {tag} & wait) & setsid sleep {tag} & \
         (setsid sh -c '(sleep {tag} >/dev/null 2>&1 &)' &); "
    )
}

fn shell(script: &str) -> Spec {
    Spec {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        cwd: "/".into(),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
        marker: tag(),
    }
}

/// Runs to the end; stdout and stderr as text.
async fn ended(spec: &Spec) -> (Ended, String, String) {
    let never = CancellationToken::new();
    stopped(spec, None, GRACE, &never, &never).await
}

async fn stopped(
    spec: &Spec,
    timeout: Option<Duration>,
    grace: Duration,
    cancel: &CancellationToken,
    kill: &CancellationToken,
) -> (Ended, String, String) {
    let (sender, receiver) = mpsc::channel(4);
    let (ended, (out, err)) = tokio::join!(
        run(spec, timeout, grace, cancel, kill, sender),
        collect(receiver)
    );
    (ended, out, err)
}

async fn collect(mut receiver: mpsc::Receiver<Chunk>) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(chunk) = receiver.recv().await {
        match chunk.stream {
            Stream::Stdout => out.extend(chunk.bytes),
            Stream::Stderr => err.extend(chunk.bytes),
        }
    }
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

/// Cancels when so many processes with the tag are there.
async fn when(count: usize, tag: &str, token: &CancellationToken) {
    while sleepers(tag) < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    token.cancel();
}

#[tokio::test]
async fn a_process_gives_its_outputs_and_its_code() {
    let (ended, out, err) = ended(&shell("echo one; echo two >&2; exit 7")).await;
    assert_eq!((out.as_str(), err.as_str()), ("one\n", "two\n"));
    assert_eq!(
        (ended.exit, ended.stopped, ended.leaked, ended.cut),
        (Exit::Code(7), None, 0, false)
    );
}

#[tokio::test]
async fn a_process_may_end_by_a_signal() {
    assert_eq!(ended(&shell("kill -9 $$")).await.0.exit, Exit::Signal(9));
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let mut spec = shell("exec env");
    spec.program = "/usr/bin/env".into();
    spec.args = Vec::new();
    spec.env = vec![("A".into(), "b c".into())];
    let (_, out, _) = ended(&spec).await;
    let mut lines: Vec<_> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=b c", &format!("PIPE_MARKER={}", spec.marker)]);
}

#[tokio::test]
async fn there_is_nothing_to_read() {
    assert_eq!(
        ended(&shell("cat; readlink /proc/$$/fd/0")).await.1,
        "/dev/null\n"
    );
}

#[tokio::test]
async fn a_name_is_looked_up_in_the_path_that_the_process_gets() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    file("first/tool", "#!/bin/sh\necho never\n", 0o644);
    file("second/tool", "#!/bin/sh\necho second $0\n", 0o755);
    file("third/tool", "#!/bin/sh\necho third $0\n", 0o755);
    file("plain/tool", "echo without a first line\n", 0o755);
    let under = |name: &str| format!("{}/{name}", directory.path().display());
    let said = async |path: String| {
        let mut spec = shell("");
        spec.program = "tool".into();
        spec.args = Vec::new();
        spec.cwd = directory.path().to_owned();
        spec.env = vec![("PATH".into(), path.into())];
        ended(&spec).await.1.replace(&under(""), "/")
    };
    let absolute = format!("{}:{}:{}", under("first"), under("second"), under("third"));
    assert_eq!(said(absolute).await, "second /second/tool\n");
    let relative = format!("third:{}", under("second"));
    assert_eq!(said(relative).await, "third third/tool\n");
    assert_eq!(said(under("plain")).await, "without a first line\n");
}

async fn start_error(spec: &Spec) -> StartError {
    match ended(spec).await.0.exit {
        Exit::NotStarted(error) => error,
        exit => panic!("started: {exit:?}"),
    }
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.into_os_string()
    };
    let started = async |program: std::ffi::OsString| {
        let name = program.to_string_lossy().into_owned();
        let error = start_error(&Spec {
            program,
            ..shell("")
        })
        .await;
        error.to_string().replace(&name, "X")
    };
    assert_eq!(
        started("no-such-program".into()).await,
        "program X was not found"
    );
    assert_eq!(
        started("/no/such/program".into()).await,
        "program X was not found"
    );
    assert_eq!(
        started(file("plain", "", 0o644)).await,
        "program X cannot be executed"
    );
    assert_eq!(
        started(file("noise", "\x01\x02", 0o755)).await,
        "program X cannot be executed"
    );
    assert_eq!(started("/tmp".into()).await, "program X cannot be executed");
    assert_eq!(
        started(file("script", "#!/no/such/interpreter\n", 0o755)).await,
        "the interpreter of X was not found"
    );
}

#[tokio::test]
async fn a_missing_directory_and_too_long_arguments_are_told_apart() {
    let cwd = Path::new("/no/such/directory").to_owned();
    assert_eq!(
        start_error(&Spec {
            cwd: cwd.clone(),
            ..shell("true")
        })
        .await,
        StartError::CwdMissing { cwd }
    );
    let mut spec = shell("true");
    spec.args = vec!["x".repeat(100_000).into(); 100];
    assert_eq!(
        start_error(&spec).await.to_string().split(':').next(),
        Some("the argument list and the environment are too long")
    );
}

#[tokio::test]
async fn nothing_outlives_a_process_that_ends() {
    let tag = tag();
    let (ended, out, _) = ended(&shell(&format!("{} echo over", four(&tag)))).await;
    assert_eq!(out, "over\n");
    assert_eq!(ended.exit, Exit::Code(0));
    assert!(ended.leaked >= 4, "{}", ended.leaked);
    assert_eq!(sleepers(&tag), 0);
}

#[tokio::test]
async fn nothing_outlives_a_process_whose_time_is_over() {
    let tag = tag();
    let spec = shell(&format!("{} sleep {tag}", four(&tag)));
    let never = CancellationToken::new();
    let (ended, ..) = stopped(&spec, Some(SHORT), GRACE, &never, &never).await;
    assert_eq!(
        (ended.exit, ended.stopped),
        (Exit::Signal(15), Some(Stop::TimedOut))
    );
    assert_eq!(sleepers(&tag), 0);
}

#[tokio::test]
async fn nothing_outlives_a_process_that_is_cancelled() {
    let tag = tag();
    let spec = shell(&format!("{} sleep {tag}", four(&tag)));
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let ((ended, ..), ()) = tokio::join!(
        stopped(&spec, None, GRACE, &cancel, &kill),
        when(5, &tag, &cancel)
    );
    assert_eq!(
        (ended.exit, ended.stopped),
        (Exit::Signal(15), Some(Stop::Cancelled))
    );
    assert_eq!(ended.leaked, 2, "the session and the daemon");
    assert_eq!(sleepers(&tag), 0);
}

#[tokio::test]
async fn who_ignores_the_request_is_killed_after_the_grace() {
    let tag = tag();
    let spec = shell(&format!(
        "trap '' TERM; {} sleep {tag}; sleep {tag}",
        four(&tag)
    ));
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let ((ended, ..), ()) = tokio::join!(
        stopped(&spec, None, SHORT, &cancel, &kill),
        when(5, &tag, &cancel)
    );
    assert_eq!(
        (ended.exit, ended.stopped),
        (Exit::Signal(9), Some(Stop::Cancelled))
    );
    assert_eq!(sleepers(&tag), 0);
}

#[tokio::test]
async fn killing_needs_no_grace() {
    let tag = tag();
    let spec = shell(&format!("trap '' TERM; {} sleep {tag}", four(&tag)));
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let ((ended, ..), ()) =
        tokio::join!(stopped(&spec, None, Duration::MAX, &cancel, &kill), async {
            when(5, &tag, &cancel).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            kill.cancel();
        });
    assert_eq!(
        (ended.exit, ended.stopped),
        (Exit::Signal(9), Some(Stop::Killed))
    );
    assert_eq!(sleepers(&tag), 0);
}

#[tokio::test]
async fn a_stopped_process_is_asked_and_may_end_its_own_way() {
    let tag = tag();
    let spec = shell(&format!(
        "trap 'echo asked; exit 3' TERM; sleep {tag} & kill -STOP $$; wait; sleep {tag}"
    ));
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let ((ended, out, _), ()) = tokio::join!(
        stopped(&spec, None, GRACE, &cancel, &kill),
        when(1, &tag, &cancel)
    );
    assert_eq!((out.as_str(), ended.exit), ("asked\n", Exit::Code(3)));
    assert_eq!(ended.stopped, Some(Stop::Cancelled));
}

#[tokio::test]
async fn the_rest_of_the_group_keeps_its_grace_after_the_leader() {
    let tag = tag();
    let spec = shell(&format!(
        "sh -c 'trap \"sleep 0.5; echo late; exit\" TERM; sleep {tag} & wait' & sleep {tag}"
    ));
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let ((ended, out, _), ()) = tokio::join!(
        stopped(&spec, None, GRACE, &cancel, &kill),
        when(2, &tag, &cancel)
    );
    assert_eq!(
        (out.as_str(), ended.exit, ended.leaked),
        ("late\n", Exit::Signal(15), 0)
    );
}

#[tokio::test]
async fn a_cancelled_process_ends_although_nobody_takes_its_output() {
    let (cancel, kill) = (CancellationToken::new(), CancellationToken::new());
    let (sender, mut receiver) = mpsc::channel(1);
    let spec = shell("exec yes");
    let full = async {
        while receiver.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(run(&spec, None, GRACE, &cancel, &kill, sender), full);
    assert_eq!((ended.exit, ended.cut), (Exit::Signal(15), true));
    assert_eq!(receiver.recv().await.unwrap().stream, Stream::Stdout);
}

#[tokio::test]
async fn a_process_whose_output_nobody_wants_runs_to_its_end() {
    let (sender, _) = mpsc::channel::<Chunk>(1);
    let never = CancellationToken::new();
    let spec = shell("head -c 1000000 /dev/zero; exit 4");
    let ended = run(&spec, None, GRACE, &never, &never, sender).await;
    assert_eq!((ended.exit, ended.cut), (Exit::Code(4), false));
}

#[tokio::test]
async fn a_slow_receiver_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel::<Chunk>(1);
    let never = CancellationToken::new();
    let spec = shell("head -c 400000 /dev/zero");
    let slow = async {
        let mut bytes = 0;
        while let Some(chunk) = receiver.recv().await {
            bytes += chunk.bytes.len();
            tokio::time::sleep(Duration::from_millis(350)).await;
        }
        bytes
    };
    let (ended, bytes) = tokio::join!(run(&spec, None, GRACE, &never, &never, sender), slow);
    assert_eq!(
        (ended.exit, ended.cut, bytes),
        (Exit::Code(0), false, 400_000)
    );
}

#[tokio::test]
async fn a_run_that_is_dropped_takes_its_processes_along() {
    let tag = tag();
    let spec = shell(&format!("{} sleep {tag}", four(&tag)));
    let (cancel, seen) = (CancellationToken::new(), CancellationToken::new());
    let (sender, _receiver) = mpsc::channel::<Chunk>(1);
    tokio::select! {
        ended = run(&spec, None, GRACE, &cancel, &cancel, sender) => panic!("{ended:?}"),
        () = when(5, &tag, &seen) => {}
    }
    while sleepers(&tag) > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_line_of_200_megabytes_comes_in_pieces() {
    let (sender, mut receiver) = mpsc::channel::<Chunk>(4);
    let never = CancellationToken::new();
    let spec = shell("head -c 200000000 /dev/zero | tr '\\0' x");
    let cut = async {
        let (mut lines, mut whole, mut longest) = (Lines::default(), 0, 0);
        let mut each = |line: &str| {
            longest = longest.max(line.len());
            whole += line.strip_suffix(SPLIT_MARK).unwrap_or(line).len();
        };
        while let Some(chunk) = receiver.recv().await {
            lines.feed(std::str::from_utf8(&chunk.bytes).unwrap(), &mut each);
        }
        lines.finish(&mut each);
        (whole, longest)
    };
    let (ended, seen) = tokio::join!(run(&spec, None, GRACE, &never, &never, sender), cut);
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!(seen, (200_000_000, LONGEST_LINE + SPLIT_MARK.len()));
}
