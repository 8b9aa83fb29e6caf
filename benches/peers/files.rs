//! The file that each peer reads, for the same jobs, as its own documentation writes it. Does not know what the jobs are.

use std::fmt::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::jobs::{Job, last_ones};
use crate::peer::installed_to;

/// `pipeline.kdl`
pub fn pipe(folder: &Path, jobs: &[Job]) {
    pipe_with(folder, jobs, "");
}

/// The same with commands that are more than words, so that a shell has to start for each.
pub fn pipe_by_shell(folder: &Path, jobs: &[Job]) {
    pipe_with(folder, jobs, ";");
}

fn pipe_with(folder: &Path, jobs: &[Job], end: &str) {
    let mut text = String::from("pipeline bench\nstage all {\n");
    for (at, job) in jobs.iter().enumerate() {
        let needs = job.need.map_or(String::new(), |n| format!("needs j{n}; "));
        let Job {
            input,
            output,
            command,
            ..
        } = job;
        let _ = writeln!(
            text,
            "    job j{at} {{ {needs}inputs \"{input}\"; outputs \"{output}\"; shell sh; run \"{command}{end}\" }}"
        );
    }
    put(folder, "pipeline.kdl", &(text + "}\n"));
}

/// `build.ninja`: one rule, as a generator would write it, and one more for each command that is not like it.
pub fn ninja(folder: &Path, jobs: &[Job]) {
    let mut text = String::from("rule cp\n  command = cp $in $out\n");
    for (
        at,
        Job {
            input,
            output,
            command,
            ..
        },
    ) in jobs.iter().enumerate()
    {
        let usual = *command == format!("cp {input} {output}");
        let rule = if usual {
            "cp".to_owned()
        } else {
            format!("rule{at}")
        };
        if !usual {
            let _ = writeln!(text, "rule {rule}\n  command = {command}");
        }
        let _ = writeln!(text, "build {output}: {rule} {input}");
    }
    put(folder, "build.ninja", &text);
}

/// `Makefile`: file targets.
pub fn make(folder: &Path, jobs: &[Job]) {
    let goals: Vec<_> = last_ones(jobs).map(|at| jobs[at].output.as_str()).collect();
    let mut text = format!(
        "MAKEFLAGS += --no-builtin-rules\n.PHONY: all\nall: {}\n",
        goals.join(" ")
    );
    for Job {
        input,
        output,
        command,
        ..
    } in jobs
    {
        let _ = writeln!(text, "{output}: {input}\n\t{command}");
    }
    put(folder, "Makefile", &text);
}

/// `Taskfile.yml`
pub fn task(folder: &Path, jobs: &[Job]) {
    let mut text = format!(
        "version: '3'\ntasks:\n  default:\n    deps: [{}]\n",
        names(last_ones(jobs), ", ")
    );
    for (at, job) in jobs.iter().enumerate() {
        let deps = job
            .need
            .map_or(String::new(), |n| format!("    deps: [j{n}]\n"));
        let Job {
            output, command, ..
        } = job;
        let _ = write!(
            text,
            "  j{at}:\n{deps}    sources: ['{}']\n    generates: ['{output}']\n    method: checksum\n    cmds: ['{command}']\n",
            all_files(&job.input)
        );
    }
    put(folder, "Taskfile.yml", &text);
}

/// `justfile`
pub fn just(folder: &Path, jobs: &[Job]) {
    let mut text = format!("[parallel]\nall: {}\n", names(last_ones(jobs), " "));
    for (at, job) in jobs.iter().enumerate() {
        let need = job.need.map_or(String::new(), |n| format!(" j{n}"));
        let _ = writeln!(text, "\nj{at}:{need}\n    {}", job.command);
    }
    put(folder, "justfile", &text);
}

/// `turbo.json` and `package.json` of a single-package workspace. The hash of a task has those of the tasks that it depends
/// on; what these write is no input, for turbo hashes the inputs of all tasks before it runs any.
pub fn turbo(folder: &Path, jobs: &[Job]) {
    let (mut scripts, mut tasks) = (Map::new(), Map::new());
    for (at, job) in jobs.iter().enumerate() {
        scripts.insert(format!("j{at}"), job.command.clone().into());
        let task = match job.need {
            None => json!({ "inputs": [job.input], "outputs": [job.output] }),
            Some(need) => json!({
                "dependsOn": [format!("j{need}")], "inputs": ["package.json"], "outputs": [job.output]
            }),
        };
        tasks.insert(format!("j{at}"), task);
    }
    let goals: Vec<_> = last_ones(jobs).map(|at| format!("j{at}")).collect();
    tasks.insert(
        "all".to_owned(),
        json!({ "dependsOn": goals, "cache": false }),
    );
    put_json(
        folder,
        "turbo.json",
        &json!({ "noUpdateNotifier": true, "tasks": tasks }),
    );
    let package = json!({
        "name": "bench", "version": "0.0.0", "private": true, "packageManager": "bun@1.4.5", "scripts": scripts
    });
    put_json(folder, "package.json", &package);
    let lock =
        json!({ "lockfileVersion": 1, "workspaces": { "": { "name": "bench" } }, "packages": {} });
    put_json(folder, "bun.lock", &lock);
}

/// `.moon/workspace.yml`, and the `moon.yml` of a project that is the whole repository.
pub fn moon(folder: &Path, jobs: &[Job]) {
    std::fs::create_dir_all(folder.join(".moon")).expect("a folder is made");
    put(
        folder,
        ".moon/workspace.yml",
        "projects:\n  root: '.'\ntelemetry: false\n",
    );
    let mut text = String::from("tasks:\n");
    for (at, job) in jobs.iter().enumerate() {
        let deps = job
            .need
            .map_or(String::new(), |n| format!("    deps: ['~:j{n}']\n"));
        let _ = write!(
            text,
            "  j{at}:\n{deps}    script: '{}'\n    inputs: ['{}']\n    outputs: ['{}']\n",
            job.command,
            all_files(&job.input),
            whole(&job.output)
        );
    }
    put(folder, "moon.yml", &text);
}

/// `nx.json`, and the `project.json` of a standalone project.
pub fn nx(folder: &Path, jobs: &[Job]) {
    let mut targets = Map::new();
    for (at, job) in jobs.iter().enumerate() {
        let needs: Vec<_> = job.need.iter().map(|n| format!("j{n}")).collect();
        let target = json!({
            "command": job.command,
            "cache": true,
            "dependsOn": needs,
            "inputs": [format!("{{projectRoot}}/{}", all_files(&job.input))],
            "outputs": [format!("{{projectRoot}}/{}", whole(&job.output))],
        });
        targets.insert(format!("j{at}"), target);
    }
    let workspace =
        json!({ "neverConnectToCloud": true, "useDaemonProcess": false, "analytics": false });
    put_json(folder, "nx.json", &workspace);
    put_json(
        folder,
        "project.json",
        &json!({ "name": "bench", "targets": targets }),
    );
    symlink(
        installed_to().join("node/node_modules"),
        folder.join("node_modules"),
    )
    .expect("a link is made");
}

fn names(jobs: impl Iterator<Item = usize>, between: &str) -> String {
    jobs.map(|at| format!("j{at}"))
        .collect::<Vec<_>>()
        .join(between)
}

/// `tree/**` in the words of those for whom that is folders only.
fn all_files(pattern: &str) -> String {
    pattern
        .strip_suffix("/**")
        .map_or(pattern.to_owned(), |folder| format!("{folder}/**/*"))
}

/// `out/**` in the words of those who name the folder.
fn whole(pattern: &str) -> &str {
    pattern.strip_suffix("/**").unwrap_or(pattern)
}

fn put_json(folder: &Path, name: &str, value: &Value) {
    put(folder, name, &format!("{value:#}\n"));
}

fn put(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file is written");
}
