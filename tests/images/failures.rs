//! What a build that fails says.

use super::{BOX, project, run};
use crate::containers::engines::{Engine, on, on_both};
use crate::containers::fake::{Fault, listen};
use crate::support::{Output, Project};

/// The last part of what a run prints: why, and what to do.
fn why(out: &Output) -> String {
    let at = out.stdout.rfind("─────\n").unwrap_or(0);
    let lines = out.stdout[at..].lines().skip(1);
    let own = lines.take_while(|l| !l.is_empty());
    own.map(|l| l.trim_end().to_owned() + "\n").collect()
}

fn failed(engine: Engine, project: &Project) -> String {
    why(&run(engine, project, &[]).exits(1))
}

#[test]
fn a_docker_whose_images_cannot_be_taken_out_builds_nothing() {
    let project = project("", "FROM scratch\nCOPY Dockerfile /\n");
    let socket = project.home().join("engine");
    let calls = listen(&socket, "GET /info", Fault::OtherStore);
    let host = format!("unix://{}", socket.display());
    let out = project
        .pipe_env(
            &["run"],
            &[("DOCKER_HOST", &host), ("TOKEN", "a-secret-of-some-length")],
        )
        .exits(1);
    let why = "Docker keeps its images in the store of containerd here, from which pipe cannot take one as it was built";
    assert!(out.stdout.contains(why), "{}", out.whole());
    assert!(out.stdout.contains("nothing was built"), "{}", out.whole());
    let calls = calls.lock().unwrap().clone();
    assert!(calls.iter().all(|c| c.starts_with("GET ")), "{calls:?}");
}

#[test]
fn an_instruction_that_fails_is_named_with_its_line_and_exit_code() {
    on_both(|engine| {
        let dockerfile =
            format!("FROM {BOX}\n\nRUN echo fine && \\\n    echo the reason && \\\n    exit 3\n");
        let project = project("", &dockerfile);
        let out = run(engine, &project, &[]).exits(1);
        assert!(out.stdout.contains("the reason"), "{}", out.stdout);
        let why = why(&out);
        assert!(why.contains("exit 3 at Dockerfile:3"), "{why}");
    });
}

#[test]
fn what_is_not_there_is_said_before_anything_is_built() {
    on(Engine::Podman, || {
        let project = project("", "FROM scratch AS one\nFROM one AS two\n");
        let with = |from: &str, to: &str| {
            let text = "pipeline app\nstage build { build app }\n";
            project.write("pipeline.kdl", &text.replace(from, to));
            failed(Engine::Podman, &project)
        };
        let all = [
            with("build app", "build app target=three"),
            with("build app", "build app dockerfile=\"docker/Dockerfile\""),
            with("build app", "build app dockerfile=\"Dockerfil\""),
            with("build app", "build app context=\"src\""),
        ];
        insta::assert_snapshot!(all.concat(), @r#"
        Dockerfile has no stage three   defined at pipeline.kdl:2
        hint Dockerfile has one, two
        there is no docker/Dockerfile   defined at pipeline.kdl:2
        hint write one, or say where it is: `dockerfile="docker/Dockerfile"`
        there is no Dockerfil   defined at pipeline.kdl:2
        hint there is Dockerfile; `dockerfile="…"` names it
        there is no folder src   defined at pipeline.kdl:2
        hint name the folder with the files of the image: `context="…"`
        "#);
    });
}

#[test]
fn a_command_line_without_its_builder_says_what_to_install() {
    on(Engine::Docker, || {
        let project = project("", &format!("FROM {BOX}\n"))
            .file("bin/docker", "#!/bin/sh\n[ \"$1\" = --version ] || exit 1\necho 'Docker version 28.2.2, build e6534b4'\n");
        let program = project.path("bin/docker");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(program, mode).unwrap();
        let mut command = Engine::Docker.building(&project, &["run"]);
        command.env(
            "PATH",
            format!("{}:/usr/bin:/bin", project.path("bin").display()),
        );
        let out = project.output(&mut command).exits(1);
        insta::assert_snapshot!(why(&out), @"
        Docker version 28.2.2, build e6534b4 cannot build: its plugin buildx is missing   defined at pipeline.kdl:4
        hint install the plugin (`docker-buildx-plugin`, on Debian `docker-buildx`), or build with Podman: `--engine podman`
        ");
    });
}
