//! The smallest program with a guardian, for the tests in `tests/process.rs`:
//! `guarded LOG SCRIPT` runs a shell script as a job and notes in LOG what happened.
#![expect(clippy::unwrap_used, reason = "a part of a test")]

use engine::process::{Exit, Spec, guardian, kill_descendants, run};
use std::{env, fs::OpenOptions, io::Write, process::ExitCode, time::Duration};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

const GRACE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    if let Some(code) = guardian::guard(|| GRACE) {
        return ExitCode::from(code as u8);
    }
    guardian::leave_group();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let code = runtime.block_on(job());
    kill_descendants(GRACE);
    note(&format!("children {}", children()));
    note(&format!("memory {}", peak_memory()));
    ExitCode::from(code as u8)
}

async fn job() -> i32 {
    let cancel = CancellationToken::new();
    for (name, kind) in [
        ("INT", SignalKind::interrupt()),
        ("TERM", SignalKind::terminate()),
        ("HUP", SignalKind::hangup()),
    ] {
        let mut signals = signal(kind).unwrap();
        let cancel = cancel.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                note(name);
                cancel.cancel();
            }
        });
    }
    let orphan = cancel.clone();
    tokio::spawn(async move {
        guardian::orphaned().cancelled().await;
        note("orphaned");
        orphan.cancel();
    });
    let (sender, mut receiver) = mpsc::channel::<engine::process::Chunk>(8);
    let counting = tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(chunk) = receiver.recv().await {
            bytes += chunk.bytes.len();
        }
        bytes
    });
    note(&format!("engine {}", std::process::id()));
    let spec = Spec {
        program: "sh".into(),
        args: vec!["-c".into(), env::args_os().nth(2).unwrap()],
        cwd: "/".into(),
        env: vec![("PATH".into(), env::var_os("PATH").unwrap())],
        marker: format!("guarded-{}", std::process::id()),
    };
    let ended = run(
        &spec,
        None,
        GRACE,
        &cancel,
        &CancellationToken::new(),
        sender,
    )
    .await;
    note(&format!("bytes {}", counting.await.unwrap()));
    note(&format!("leaked {}", ended.leaked));
    match (ended.stopped, ended.exit) {
        (Some(_), _) => 130,
        (None, Exit::Code(code)) => code,
        (None, other) => {
            note(&format!("{other:?}"));
            1
        }
    }
}

fn note(text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(env::args_os().nth(1).unwrap())
        .unwrap();
    file.write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// All children of this process, ended ones too.
fn children() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .map(|text| text.split_ascii_whitespace().count())
        .sum()
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().to_owned()
}
