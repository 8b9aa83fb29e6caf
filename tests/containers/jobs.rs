//! What a job in a container sees, does and leaves.

use std::os::unix::fs::MetadataExt;

use super::engines::{Engine, USER, on, on_both};
use crate::started::stage;
use crate::support::{Project, wait_until};

/// A job in the image that has a shell and little else.
fn boxed(job: &str) -> Project {
    Project::with(&stage(&format!(
        "job unit {{\n container \"localhost/box:1\"\n{job}\n}}"
    )))
}

/// What the job wrote, without the line about its image.
fn said(out: &crate::support::Output) -> String {
    let lines = out.stdout.lines().filter_map(|l| l.strip_prefix("unit | "));
    let lines: Vec<&str> = lines.filter(|l| !l.starts_with("in localhost/")).collect();
    lines.join("\n")
}

#[test]
fn a_job_runs_in_its_image_as_whoever_runs_pipe() {
    on_both(|engine| {
        let project = boxed(
            r#"
            env WORDS="a b" QUOTED="it's \"x\" $y"
            pass-env OUTER
            run "id -u; id -g; pwd; echo \"$HOME $USER\"; echo \"$WORDS|$QUOTED|$OUTER|${LANG-none}\"; ls / | grep usr"
            run "touch made $HOME/there; echo error >&2; exit 4"
            "#,
        );
        let out = project
            .output(engine.command(&project, &["run"]).env("OUTER", "outer"))
            .exits(1);
        let nobody = "/home/pipe pipe\na b|it's \"x\" $y|outer|none";
        let wanted = format!("{USER}\n{USER}\n[root]\n{nobody}");
        assert_eq!(said(&out), wanted, "{}", out.stdout);
        engine.has_nothing_of(&project);
    });
}

#[test]
fn what_a_job_makes_belongs_to_whoever_runs_pipe() {
    on_both(|engine| {
        let project = boxed("run \"mkdir -p out; echo made >out/file; echo error >&2; exit 4\"");
        let out = engine.pipe(&project, &["run"]).exits(1);
        assert_eq!(said(&out), "error");
        assert!(out.stdout.contains("exit 4"), "{}", out.stdout);
        let made = std::fs::metadata(project.path("out/file")).unwrap();
        assert_eq!((made.uid(), made.gid()), (USER, USER));
        assert_eq!(project.read("out/file"), "made\n");
        engine.has_nothing_of(&project);
    });
}

#[test]
fn all_commands_of_a_job_share_one_container_and_its_undo_has_another() {
    on_both(|engine| {
        let project = boxed(
            r#"
            run "hostname >host; echo kept >/tmp/kept"
            run "cat /tmp/kept; test $(cat host) = $(hostname)"
            run "false"
            always { run "cat /tmp/kept; hostname" }
            rollback { run "test ! -e /tmp/kept; echo undone >undone" }
            "#,
        );
        let out = engine.pipe(&project, &["run"]).exits(6);
        let host = project.read("host");
        assert_eq!(said(&out), format!("kept\nkept\n{}", host.trim()));
        assert_eq!(project.read("undone"), "undone\n");
        engine.has_nothing_of(&project);
    });
}

#[test]
fn outputs_artifacts_and_kept_directories_work_as_on_this_machine() {
    on_both(|engine| {
        let project = boxed(
            r#"
            cache home "~/.cache/tool"
            cache inside "kept/inside"
            artifact result "result.txt"
            run "echo x >>$HOME/.cache/tool/count; echo y >>kept/inside/count"
            run "cat $HOME/.cache/tool/count kept/inside/count; echo value=1 >>$PIPE_OUTPUT; echo r >result.txt"
            "#,
        );
        let _ = engine.pipe(&project, &["run"]).exits(0);
        let out = engine.pipe(&project, &["run"]).exits(0);
        assert_eq!(said(&out), "x\nx\ny\ny");
        let kept = project.home().join(".cache/tool/count");
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "x\nx\n");
        assert!(
            project
                .path(".pipe/runs/2/artifacts/test/unit/result/result.txt")
                .exists()
        );
    });
}

#[test]
fn a_secret_reaches_the_job_and_nobody_else() {
    on_both(|engine| {
        let project = Project::with(
            "pipeline app\nsecret TOKEN\nstage test { job unit { container \"localhost/box:1\"; secrets TOKEN; run \"echo got $TOKEN; touch up; sleep 300\" } }\n",
        );
        let mut command = engine.command(&project, &["run"]);
        command.env("TOKEN", "hunter2-hunter2");
        let run = crate::started::Started::of(&project, &mut command).until_there("up");
        let name = engine.left_of(&project).concat();
        let seen = engine.client(&["inspect", &name]);
        let top = engine.client(&["top", &name]);
        run.signal(rustix::process::Signal::TERM);
        let out = run.end().exits(143);
        assert!(seen.contains("no-new-privileges"), "{seen}");
        assert!(!(seen + &top).contains("hunter2"), "{top}");
        assert_eq!(said(&out), "got ***");
    });
}

#[test]
fn an_image_without_a_shell_runs_programs() {
    on_both(|engine| {
        let project = Project::with(&stage(
            "job unit { container \"localhost/bare:1\"; run busybox echo \"no shell\"; run \"echo shell\" }",
        ));
        let out = engine.pipe(&project, &["run"]).exits(1);
        assert_eq!(said(&out), "no shell");
        let why = "its image has no shell   defined at pipeline.kdl:3\n hint write `run` as a program and its arguments, or take an image with a shell\n";
        assert!(out.stdout.contains(why), "{}", out.stdout);
        engine.has_nothing_of(&project);
    });
}

#[test]
fn a_command_that_cannot_be_started_says_why() {
    on_both(|engine| {
        let why = |job: &str| {
            let project = boxed(job).file("plain", "no program\n");
            let out = engine.pipe(&project, &["run"]).exits(1);
            assert_eq!(said(&out), "", "{}", out.stdout);
            let line = out
                .stdout
                .lines()
                .find(|l| l.contains("defined at"))
                .unwrap();
            line.split("   ").next().unwrap().trim().to_owned()
        };
        assert_eq!(
            [
                why("run nosuch \"x\""),
                why("run \"./plain\" \"x\""),
                why("workdir \"gone\"\nrun \"true\" \"x\""),
            ],
            [
                "program nosuch was not found",
                "program ./plain cannot be executed",
                "working directory [root]/gone does not exist",
            ]
        );
        // What a program itself says with these codes is its own.
        let project = boxed("run \"nosuch --version\"");
        let out = engine.pipe(&project, &["run"]).exits(1);
        assert_eq!(said(&out), "sh: nosuch: not found");
    });
}

#[test]
fn every_line_is_in_the_log() {
    on_both(|engine| {
        let project = boxed("run \"seq 1 100000; echo last >&2\"");
        let _ = engine.pipe(&project, &["run"]).exits(0);
        let out = engine.pipe(&project, &["logs"]).exits(0);
        let numbers = out.stdout.lines().filter(|l| l.parse::<u32>().is_ok());
        assert_eq!(numbers.count(), 100_000);
        assert!(out.stdout.contains("last\n"));
    });
}

#[test]
fn a_container_gets_what_its_job_says_of_the_machine() {
    on(Engine::Docker, || {
        let project = boxed(
            "resources cpu=1 memory=\"32MiB\"\nrun \"touch up; head -c 200m /dev/zero | tail >/dev/null\"",
        );
        let out = Engine::Docker.pipe(&project, &["run"]).exits(1);
        assert!(out.stdout.contains("exit 137"), "{}", out.stdout);
        let why =
            "hint 137: it was killed, most likely because the memory of its container was short";
        assert!(out.stdout.contains(why), "{}", out.stdout);
    });
}

#[test]
fn anonymous_volumes_go_with_their_container() {
    on_both(|engine| {
        let project = boxed("run \"touch up; while [ ! -e go ]; do sleep 0.1; done\"");
        let run = engine.begin(&project, &["run"]).until_there("up");
        let name = engine.left_of(&project).concat();
        let volumes = engine.client(&[
            "inspect",
            "-f",
            "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}}{{end}}{{end}}",
            &name,
        ]);
        assert_eq!(volumes.len(), 64, "{volumes}");
        project.write("go", "");
        let _ = run.end().exits(0);
        let left = engine.client(&["volume", "ls", "-q"]);
        assert!(!left.contains(&volumes), "{left}");
        engine.has_nothing_of(&project);
    });
}

#[test]
fn a_process_that_holds_the_output_holds_no_run() {
    on_both(|engine| {
        let project = boxed("run \"sleep 300 & echo said\"\nrun echo again");
        let began = std::time::Instant::now();
        let out = engine.pipe(&project, &["run"]).exits(0);
        assert_eq!(said(&out), "said\nagain");
        assert!(began.elapsed().as_secs() < 60);
        engine.has_nothing_of(&project);
    });
}

#[test]
fn podman_is_asked_for_one_container_at_a_time() {
    on(Engine::Podman, || {
        let project = boxed("run \"touch made\"");
        let host = Engine::Podman.host();
        let socket = std::path::Path::new(host.strip_prefix("unix://").unwrap());
        let held = std::fs::File::open(socket.parent().unwrap()).unwrap();
        held.lock().unwrap();
        let run = Engine::Podman.begin(&project, &["run"]);
        let logs = project.path(".pipe/runs/1/logs");
        let has_begun = || {
            let files = std::fs::read_dir(&logs).into_iter().flatten().flatten();
            files
                .into_iter()
                .any(|f| f.metadata().is_ok_and(|m| m.len() > 0))
        };
        wait_until("it knows its image", has_begun);
        std::thread::sleep(std::time::Duration::from_millis(500));
        assert!(!project.path("made").exists());
        Engine::Podman.has_nothing_of(&project);
        drop(held);
        let _ = run.until_there("made").end().exits(0);
    });
}
