//! What jobs write: kept whole or said to be missing, shown without harm, in bounded memory.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::started::{Started, lines, stage};
use crate::support::{Project, has_program, skip};

/// The most memory that the engine may have had, in KiB.
const MEMORY: u64 = 48 * 1024;

/// Runs a project and gives the most memory that its engine had, in KiB, with the exit code.
fn most_memory(project: &Project, args: &[&str]) -> (u64, Option<i32>) {
    let run = Started::of(project, project.command(args).env("PIPE_FORMAT", "plain"));
    let engine = loop {
        if let Some(pid) = crate::started::children(run.guardian().as_raw_pid()).first() {
            break *pid;
        }
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                let status =
                    std::fs::read_to_string(format!("/proc/{engine}/status")).unwrap_or_default();
                let peak = status.lines().find_map(|l| {
                    l.strip_prefix("VmHWM:")?
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                });
                most = most.max(peak.unwrap_or(0));
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            most
        });
        let code = run.drained();
        over.store(true, Ordering::Relaxed);
        (watch.join().unwrap(), code)
    })
}

#[test]
fn a_flood_of_output_costs_no_memory_and_its_log_is_complete() {
    let project = Project::with(&stage(
        "    job flood { run \"yes 0123456789abcdef0123456789abcde | head -c 24M || true\" }",
    ));
    let (most, code) = most_memory(&project, &["run"]);
    assert_eq!(code, Some(0));
    assert!((1..MEMORY).contains(&most), "{most} KiB");
    assert_eq!(log(&project, "flood").metadata().unwrap().len(), 24 << 20);
}

#[test]
fn bytes_that_are_no_text_cost_no_more_than_others() {
    let project = Project::with(&stage(
        "    job bytes { run \"head -c 4M /dev/zero | tr '\\\\0' '\\\\377'\" }",
    ));
    let (most, code) = most_memory(&project, &["run"]);
    assert_eq!(code, Some(0));
    assert!((1..MEMORY).contains(&most), "{most} KiB");
    assert_eq!(log(&project, "bytes").metadata().unwrap().len(), 4 << 20);
}

#[test]
fn empty_lines_cost_no_more_than_others() {
    let project = Project::with(&stage(
        "    job empty { run \"head -c 1M /dev/zero | tr '\\\\0' '\\\\n'\" }",
    ));
    let (most, code) = most_memory(&project, &["run"]);
    assert_eq!(code, Some(0));
    assert!((1..MEMORY).contains(&most), "{most} KiB");
}

#[test]
fn a_line_without_an_end_is_split_with_a_mark_and_costs_no_memory() {
    let project = Project::with(&stage(
        "    job endless { run \"head -c 24M /dev/zero | tr '\\\\0' x\" }",
    ));
    let (most, code) = most_memory(&project, &["run"]);
    assert_eq!(code, Some(0));
    assert!((1..MEMORY).contains(&most), "{most} KiB");
    assert_eq!(log(&project, "endless").metadata().unwrap().len(), 24 << 20);
    let shown = project.pipe(&["logs", "endless"]).exits(0).stdout;
    assert!(shown.lines().all(|l| l.len() <= 64 * 1024 + 8));
    assert_eq!(
        shown.lines().filter(|l| l.ends_with('⏎')).count(),
        shown.lines().count() - 1
    );
}

const HOSTILE: &str = r#"    job hostile {
        run "printf 'a\\x00b\\xffc\\n\\x1b]0;title\\x07\\x1b[2J\\x1b[1;1H\\x1b[31mred\\x1b[0m\\n\\x1bP1$q\\x1b\\\\dcs\\n\\xc2\\x9b31mc1\\n'"
        run "printf 'over\\rwritten\\n\\x1b[?1049h\\x1b]8;;http://evil\\x1b\\\\link\\x1b]52;c;ZXZpbA==\\x07\\n'; exit 1"
    }"#;

#[test]
fn what_moves_the_cursor_or_talks_to_the_terminal_is_not_shown() {
    let project = Project::with(&stage(HOSTILE));
    for args in [
        &["run"][..],
        &["run", "--color", "always"],
        &["logs", "hostile"],
        &["logs", "--failed"],
    ] {
        let out = project.pipe(args);
        assert!(out.stdout.contains("red"), "{args:?}\n{}", out.stdout);
        let bad = forbidden(&out.stdout);
        assert_eq!(bad, "", "{args:?}\n{:?}", out.stdout);
    }
    let json = project.pipe(&["run", "--format", "json"]).stdout;
    assert!(
        !json.bytes().any(|b| b == 0x1b || b == 0 || b == 7),
        "{json:?}"
    );
}

#[test]
fn a_terminal_sees_no_more_than_a_file() {
    if !has_program("script") {
        return skip("there is no `script`");
    }
    let project = Project::with(&stage(HOSTILE));
    let mut script = project.at_terminal("run --output");
    script.env("TERM", "xterm-256color");
    let out = script.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains("link"), "{text:?}");
    for bad in [
        "\x1b]0;",
        "\x1b]52",
        "\x1b]8",
        "\x1b[?1049h",
        "\x1bP",
        "\x1b[1;1H",
        "\0",
    ] {
        assert!(!text.contains(bad), "{bad:?} in {text:?}");
    }
}

/// Control characters and sequences other than colours.
fn forbidden(text: &str) -> String {
    let mut bad = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n') {
        rest = &rest[at..];
        let colour = rest.strip_prefix("\x1b[").and_then(|r| r.split_once('m'));
        match colour {
            Some((numbers, after)) if numbers.chars().all(|c| c.is_ascii_digit() || c == ';') => {
                rest = after;
            }
            _ => {
                let c = rest.chars().next().unwrap();
                if c != '\t' {
                    bad.extend(c.escape_default());
                }
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    bad
}

#[test]
fn the_log_has_the_bytes_as_they_were_written() {
    let project = Project::with(&stage(
        "    job raw { run \"printf 'a\\\\x00\\\\xff\\\\x1b[2J\\\\r\\\\n'\" }",
    ));
    let _ = project.pipe(&["run"]).exits(0);
    assert_eq!(
        std::fs::read(log(&project, "raw")).unwrap(),
        b"a\0\xff\x1b[2J\r\n"
    );
    let raw = project
        .command(&["logs", "raw", "--raw"])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(raw, b"a\0\xff\x1b[2J\r\n");
}

#[test]
fn commands_of_the_outer_ci_do_not_reach_it() {
    let job = r#"    job tricky {
        run "echo '::set-env name=PATH::/evil'; echo '  ::add-mask::x'; echo '##[add-path]/evil'; echo '##vso[task.setvariable variable=x]y'; echo ok ::error::x; exit 1"
    }"#;
    let github = [
        ("GITHUB_ACTIONS", "true"),
        ("CI", "true"),
        ("GITHUB_EVENT_NAME", "workflow_dispatch"),
    ];
    let project = Project::with(&stage(job));
    let out = project.pipe_env(&["run"], &github).exits(1).stdout;
    for line in out.lines() {
        let line = line.trim_start();
        for command in ["::set-env", "::add-mask", "##[add-path"] {
            assert!(!line.starts_with(command), "{line:?}\n{out}");
        }
    }
    assert!(out.contains("set-env name=PATH"), "{out}");
    let azure = project.pipe_env(&["run"], &[("TF_BUILD", "True")]).stdout;
    assert!(!azure.contains("##vso["), "{azure}");
}

#[test]
fn both_outputs_of_a_step_and_its_lines_keep_their_order() {
    let project = Project::with(&stage(
        "    job both { run \"for i in 1 2 3; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done\" }",
    ));
    let out = project.pipe(&["run"]).exits(0).stdout;
    let shown: Vec<&str> = out
        .lines()
        .filter_map(|l| l.strip_prefix("both | "))
        .collect();
    assert_eq!(
        shown,
        ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"]
    );
    assert_eq!(lines(&project, ".pipe/runs/1/logs/test.both.log"), shown);
}

#[test]
fn a_last_line_without_an_end_is_shown() {
    let project = Project::with(&stage(
        "    job last { run \"printf 'no end'\" }\n    job next { needs last; run \"echo next\" }",
    ));
    let out = project.pipe(&["run"]).exits(0).stdout;
    assert!(out.contains("last | no end\n"), "{out}");
}

fn log(project: &Project, job: &str) -> std::path::PathBuf {
    project.path(&format!(".pipe/runs/1/logs/test.{job}.log"))
}
