//! How the program grows with the pipeline: `cargo bench --bench scale`.
//!
//! Prints, for pipelines of 10, 100, 1 000 and 10 000 jobs: the median time and the peak memory of `pipe check` and
//! `pipe plan`; of running trivial jobs, and of the same work by a bare spawn loop beside it; and how fast a job's output
//! passes.

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
        "{:>8} {:>12} {:>12} {:>10}   each job",
        "jobs", "run", "bare loop", "ratio"
    );
    for each in [nothing as fn(usize) -> String, copy] {
        for jobs in [1, 100, 1_000] {
            beside_bare(folder.path(), jobs, each);
        }
    }
    println!("{:>8} {:>12} {:>10}", "output", "a second", "peak");
    for secret in [false, true] {
        output(folder.path(), secret);
    }
}

fn nothing(_: usize) -> String {
    "true".to_owned()
}

fn copy(at: usize) -> String {
    format!("cp in/{at} out/{at}")
}

/// Runs independent jobs, and the same commands without pipe.
fn beside_bare(folder: &Path, jobs: usize, each: fn(usize) -> String) {
    let mut text = String::from("pipeline scale\nstage all {\n");
    for name in ["in", "out"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    for at in 0..jobs {
        let _ = writeln!(text, "    job j{at} {{ shell sh; run \"{}\" }}", each(at));
        std::fs::write(folder.join(format!("in/{at}")), "in").expect("a file");
    }
    text.push_str("}\n");
    std::fs::write(folder.join("pipeline.kdl"), text).expect("the pipeline is written");
    // Interleaved, so that both see the same machine. The first time is for the caches of the system.
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        ours.push(time(folder, &["run", "--format", "plain"]));
        bare.push(bare_loop(folder, jobs, each));
    }
    let (ours, bare) = (middle(ours.split_off(1)), middle(bare.split_off(1)));
    println!(
        "{jobs:>8} {:>12} {:>12} {:>10.2}   {}",
        show(ours),
        show(bare),
        ours.as_secs_f64() / bare.as_secs_f64(),
        each(0)
    );
}

/// How fast the output of a job passes, without a secret in it or with one to look for.
fn output(folder: &Path, secret: bool) {
    const MEGABYTES: u32 = 256;
    let (secrets, own) = if secret {
        ("secret TOKEN", "secrets TOKEN; ")
    } else {
        ("", "")
    };
    let command = format!("yes 0123456789abcdef0123456789abcde | head -c {MEGABYTES}M; true");
    let text = format!(
        "pipeline scale\n{secrets}\nstage all {{ job j {{ {own}shell sh; run \"{command}\" }} }}\n"
    );
    std::fs::write(folder.join("pipeline.kdl"), text).expect("the pipeline is written");
    let mut peak = 0;
    let time = median(3, || {
        let (time, memory) = run(folder, &["run", "--format", "plain"]);
        peak = peak.max(memory);
        time
    });
    println!(
        "{:>8} {:>8.0} MiB {:>7} MB",
        if secret { "masked" } else { "plain" },
        f64::from(MEGABYTES) / time.as_secs_f64(),
        peak / 1024
    );
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

fn pipe(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PIPE);
    command
        .args(args)
        .current_dir(folder)
        .env("TOKEN", "correct-horse-battery-staple")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs the program, undisturbed; gives its time.
fn time(folder: &Path, args: &[&str]) -> Duration {
    let began = Instant::now();
    let status = pipe(folder, args).status();
    assert!(status.is_ok_and(|s| s.success()));
    began.elapsed()
}

/// Runs the program; gives its time and its peak memory in KiB, or that of the engine which it starts.
fn run(folder: &Path, args: &[&str]) -> (Duration, u64) {
    let began = Instant::now();
    let mut child = pipe(folder, args).spawn().expect("pipe starts");
    let own = child.id();
    let engine = format!("/proc/{own}/task/{own}/children");
    let mut peak = 0;
    while child.try_wait().expect("pipe is waited for").is_none() {
        let engine = std::fs::read_to_string(&engine).unwrap_or_default();
        let pid = engine.split(' ').next().and_then(|pid| pid.parse().ok());
        let status = format!("/proc/{}/status", pid.unwrap_or(own));
        let text = std::fs::read_to_string(status).unwrap_or_default();
        let high = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let high = high.and_then(|h| h.split_whitespace().next()?.parse().ok());
        peak = peak.max(high.unwrap_or(0));
        std::thread::sleep(Duration::from_micros(500));
    }
    (began.elapsed(), peak)
}

/// The same commands, as many at once as there are processors, by nothing but spawning.
fn bare_loop(folder: &Path, jobs: usize, each: fn(usize) -> String) -> Duration {
    let began = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || {
                for at in (worker..jobs).step_by(workers) {
                    let status = Command::new("sh")
                        .args(["-eu", "-c", &each(at)])
                        .current_dir(folder)
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
