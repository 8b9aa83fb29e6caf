//! Which engine is taken, what is said where there is none, and `pipe doctor`.

use super::engines::{Engine, on, on_both};
use crate::started::stage;
use crate::support::Project;

const JOB: &str = "job unit { container \"localhost/box:1\"; run \"echo ran\" }\njob plain { run \"echo plain\" }";

#[test]
fn without_an_engine_nothing_begins() {
    let project = Project::with(&stage(JOB));
    let none = [("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    insta::assert_snapshot!(project.pipe_env(&["run"], &none).exits(3).whole(), @"
    exit 3
    --- stderr
    error: no container engine answers:
      unix:///nowhere/docker.sock (DOCKER_HOST): there is no socket
    hint: start the engine at unix:///nowhere/docker.sock, or unset DOCKER_HOST
    ");
    assert!(!project.path(".pipe").exists());
    let out = project.pipe_env(&["run", "plain"], &none).exits(0);
    assert!(out.stdout.contains("plain | plain"), "{}", out.stdout);
}

#[test]
fn an_address_that_pipe_does_not_speak_is_refused() {
    let project = Project::with(&stage(JOB));
    let why = |host: &str| {
        let out = project
            .pipe_env(&["run"], &[("DOCKER_HOST", host)])
            .exits(3);
        out.stderr.lines().nth(1).unwrap().trim().to_owned()
    };
    assert_eq!(
        [why("ssh://host"), why("nonsense")],
        [
            "ssh://host (DOCKER_HOST): pipe does not speak ssh:// with an engine; a job needs its folder on the same machine",
            "nonsense (DOCKER_HOST): it is no address; write unix:///path or tcp://host:port",
        ]
    );
}

#[test]
fn a_container_never_becomes_the_host() {
    let project = Project::with(&stage(JOB));
    let out = project.pipe(&["run", "--engine", "host"]).exits(2);
    let why = "a job that names a container never runs outside of one; take its `container` away";
    assert!(out.stderr.contains(why), "{}", out.stderr);
}

#[test]
fn the_engine_that_is_named_is_the_one_that_is_taken() {
    on_both(|engine| {
        let (own, other) = match engine {
            Engine::Docker => ("docker", "podman"),
            Engine::Podman => ("podman", "docker"),
        };
        let project = Project::with(&stage(JOB));
        let out = engine.pipe(&project, &["run", "--engine", own]).exits(0);
        assert!(
            out.stderr.contains("(`--engine` asks for it)"),
            "{}",
            out.stderr
        );
        let out = engine.pipe(&project, &["run", "--engine", other]).exits(3);
        assert!(
            out.stderr
                .contains("does not answer (`--engine` asks for it)"),
            "{}",
            out.stderr
        );
        let project = Project::with(
            &stage(JOB).replace("pipeline app", &format!("pipeline app engine={other}")),
        );
        let out = engine.pipe(&project, &["run"]).exits(3);
        assert!(
            out.stderr
                .contains("does not answer (the pipeline asks for it)"),
            "{}",
            out.stderr
        );
        let _ = engine.pipe(&project, &["run", "--engine", own]).exits(0);
    });
}

#[test]
fn the_podman_of_the_user_is_found() {
    on(Engine::Podman, || {
        let project = Project::with(&stage(JOB));
        let mut command = Engine::Podman.command(&project, &["run", "unit"]);
        let socket = Engine::Podman.host();
        let run = socket
            .trim_start_matches("unix://")
            .trim_end_matches("/podman/podman.sock");
        command
            .env_remove("DOCKER_HOST")
            .env("XDG_RUNTIME_DIR", run);
        let out = project.output(&mut command).exits(0);
        assert!(
            out.stderr.starts_with("containers by rootless Podman ")
                && out
                    .stderr
                    .contains("(Podman of this user, the first one that answers)"),
            "{}",
            out.stderr
        );
    });
}

#[test]
fn a_socket_that_one_may_not_use_is_named_with_what_to_do() {
    on(Engine::Docker, || {
        let project = Project::with(&stage(JOB));
        let locked = project.path("locked");
        std::os::unix::net::UnixListener::bind(&locked).unwrap();
        let host = format!("unix://{}", locked.display());
        let mut command = Engine::Docker.command(&project, &["run"]);
        command.env("DOCKER_HOST", &host);
        std::os::unix::fs::chown(&locked, Some(0), Some(0)).unwrap();
        let out = project.output(&mut command).exits(3);
        assert!(
            out.stderr
                .contains("hint: you may not use unix://[root]/locked: join the group"),
            "{}",
            out.stderr
        );
    });
}

#[test]
fn doctor_says_what_is_missing_for_this_pipeline() {
    let project = Project::with(&stage(JOB));
    let none = [("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    let out = project.pipe_env(&["doctor"], &none).exits(3);
    let missing = " ✗ containers    no container engine answers\n                 start the engine at unix:///nowhere/docker.sock, or unset DOCKER_HOST\n";
    assert!(out.stdout.contains(missing), "{}", out.stdout);
    assert!(
        out.stdout
            .ends_with(" The pipeline cannot run here as it is.\n")
    );
    // Without a job that needs one it is no fault.
    let plain = Project::with(&stage("job plain { run \"true\" }"));
    let out = plain
        .pipe_env(&["doctor", "--format", "json"], &none)
        .exits(0);
    let told: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    let looks = told["looks"].as_array().unwrap();
    let one = looks.iter().find(|l| l["name"] == "containers").unwrap();
    assert_eq!((&told["ok"], &one["is"]), (&true.into(), &"absent".into()));
}

#[test]
fn doctor_says_which_programs_the_targets_want() {
    let text = "pipeline p\ntarget near {\n    kubernetes manifests=\"k8s\"\n}\ntarget far {\n    ssh \"a@b\"\n    \
                ecs cluster=c service=s region=r\n}\nstage test {\n    job unit { run \"true\" }\n}\n";
    let project = Project::with(text);
    let nowhere = project.home().display().to_string();
    let out = project
        .pipe_env(&["doctor"], &[("PATH", &nowhere)])
        .exits(3)
        .stdout;
    let wanted = " ✗ ssh           not in PATH\n                 install the OpenSSH client; a target is behind it\n \
                  ✗ kubectl       not in PATH\n";
    assert!(out.contains(wanted), "{out}");
    // Behind ssh the host has it.
    assert!(!out.contains("aws"), "{out}");
}

#[test]
fn doctor_shows_the_engine_that_a_run_takes() {
    on_both(|engine| {
        let project = Project::with(&stage(JOB));
        let out = engine.pipe(&project, &["doctor"]).exits(0);
        let name = match engine {
            Engine::Docker => "containers    by Docker ",
            Engine::Podman => "containers    by rootless Podman ",
        };
        assert!(out.stdout.contains(name), "{}", out.stdout);
    });
}
