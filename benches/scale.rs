//! How the program grows with the pipeline: `cargo bench --bench scale`.
//!
//! Prints, for pipelines of 10, 100, 1 000 and 10 000 jobs: the median time and the peak memory of `pipe check` and
//! `pipe plan`, of running trivial jobs, and the same work by a bare spawn loop beside it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PIPE: &str = env!("CARGO_BIN_EXE_pipe");

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = median(20, || run(folder.path(), &["--version"]).0);
    println!("start-up (pipe --version)      {}", show(start));
    println!(
        "{:>8} {:>12} {:>12} {:>10}",
        "jobs", "check", "plan", "peak"
    );
    for jobs in [10, 100, 1_000, 10_000] {
        write_pipeline(folder.path(), jobs);
        let mut peak = 0;
        let mut timed = |args: &[&str]| {
            median(5, || {
                let (time, memory) = run(folder.path(), args);
                peak = peak.max(memory);
                time
            })
        };
        let check = timed(&["check"]);
        let plan = timed(&["plan", "--format", "json"]);
        println!(
            "{jobs:>8} {:>12} {:>12} {:>7} MB",
            show(check),
            show(plan),
            peak / 1024
        );
    }
    println!(
        "{:>8} {:>12} {:>12} {:>10}",
        "jobs", "run", "bare loop", "ratio"
    );
    for jobs in [1, 100, 1_000] {
        write_pipeline(folder.path(), jobs);
        // Interleaved, so that both see the same machine.
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            ours.push(run(folder.path(), &["run", "--format", "plain"]).0);
            bare.push(bare_loop(jobs));
        }
        let (ours, bare) = (middle(ours), middle(bare));
        println!(
            "{jobs:>8} {:>12} {:>12} {:>10.2}",
            show(ours),
            show(bare),
            ours.as_secs_f64() / bare.as_secs_f64()
        );
    }
}

/// Jobs in layers of a hundred; each needs one of the layer before.
fn write_pipeline(folder: &Path, jobs: usize) {
    let mut text = String::from("pipeline scale\nstage all {\n");
    for at in 0..jobs {
        let needs = if at >= 100 {
            format!("needs j{}; ", at - 100)
        } else {
            String::new()
        };
        let _ = writeln!(text, "    job j{at} {{ {needs}shell sh; run \"true\" }}");
    }
    text.push_str("}\n");
    std::fs::write(folder.join("pipeline.kdl"), text).expect("the pipeline is written");
}

/// Runs the program; gives its time and its peak memory in KiB.
fn run(folder: &Path, args: &[&str]) -> (Duration, u64) {
    let began = Instant::now();
    let mut child = Command::new(PIPE)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pipe starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("pipe is waited for").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        peak = high
            .and_then(|h| h.split_whitespace().next()?.parse().ok())
            .unwrap_or(peak);
        std::thread::sleep(Duration::from_micros(500));
    }
    (began.elapsed(), peak)
}

/// The same commands, as many at once as there are processors, by nothing but spawning.
fn bare_loop(jobs: usize) -> Duration {
    let began = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || {
                for _ in (worker..jobs).step_by(workers) {
                    let status = Command::new("sh")
                        .args(["-eu", "-c", "true"])
                        .stdin(Stdio::null())
                        .status();
                    assert!(status.is_ok_and(|s| s.success()));
                }
            });
        }
    });
    began.elapsed()
}

fn median(times: usize, mut once: impl FnMut() -> Duration) -> Duration {
    middle((0..times).map(|_| once()).collect())
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn show(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
