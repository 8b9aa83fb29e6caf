//! What a build gets, and what becomes of it.

use std::process::Command;

use super::{BOX, digest, images, lines, project, run, with};
use crate::containers::engines::{Engine, on_both};
use crate::support::Project;

/// What an engine says of the image of a run, in this form.
fn inspect(engine: Engine, digest: &str, format: &str) -> String {
    let name = format!("localhost/app:{}", digest.replace(':', "-"));
    engine.client(&["image", "inspect", "--format", format, &name])
}

#[test]
fn a_build_gets_its_target_arguments_labels_and_secrets() {
    on_both(|engine| {
        let dockerfile = format!(
            "FROM {BOX} AS base\nARG GREETING=none\nRUN echo \"$GREETING\" > /greeting\nRUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN\nFROM base AS other\nRUN false\nFROM base AS prod\nLABEL team=x\n"
        );
        // Neither is an option, and neither is a command.
        let build = "        args GREETING=\"--file=/etc/passwd $(id) \\\"'\"\n        labels team=\"-a b\" \"more.of=it\"=\"${git.branch}\"\n        secrets TOKEN";
        let steps = format!(
            "    build app target=prod {{\n{build}\n    }}\n    job see {{ container image=app; run \"cat /greeting; echo $DIGEST\"; env DIGEST=\"${{image.app.digest}}\" }}\n"
        );
        let project = with(&steps, &dockerfile).git();
        let commit = project.run_git(&["rev-parse", "HEAD"]);
        let time = project.run_git(&["log", "-1", "--format=%cI"]);
        let out = run(engine, &project, &[]).exits(0);
        let digest = digest(&out);
        let seen = lines(&out, "see");
        assert_eq!(seen[1..], ["--file=/etc/passwd $(id) \"'", digest.as_str()]);
        let whole = out.whole();
        assert!(!whole.contains("a-secret-of-some-length"), "{whole}");
        assert!(whole.contains("***"), "{whole}");
        let label = |name: &str| {
            let format = format!("{{{{index .Config.Labels \"{name}\"}}}}");
            inspect(engine, &digest, &format)
        };
        assert_eq!(label("team"), "-a b");
        assert_eq!(label("more.of=it"), "");
        assert_eq!(label("org.opencontainers.image.revision"), commit.trim());
        assert_eq!(label("org.opencontainers.image.created")[..19], time[..19]);
        let history = Command::new("grep")
            .args(["-rl", "a-secret-of-some-length"])
            .args([images(&project), project.path(".pipe")])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&history.stdout), "");
    });
}

#[test]
fn what_an_image_says_holds_for_its_builds() {
    on_both(|engine| {
        let text = "pipeline app\nimage app dockerfile=\"deploy/Dockerfile\" context=\"src\" target=prod {\n    args A=\"1\" B=\"2\"\n}\nstage build {\n    build app { args B=\"3\" }\n    job see { container image=app; run \"cat /said /file\" }\n}\n";
        let dockerfile = format!(
            "FROM {BOX} AS prod\nARG A\nARG B\nRUN echo $A $B >/said\nCOPY file /file\nFROM prod AS dev\nRUN false\n"
        );
        let project = Project::with(text)
            .file("deploy/Dockerfile", &dockerfile)
            .file("src/file", "a file\n");
        let out = run(engine, &project, &[]).exits(0);
        assert_eq!(lines(&out, "see")[1..], ["1 3", "a file"]);
    });
}

#[test]
fn all_lines_of_a_build_are_in_its_log() {
    on_both(|engine| {
        let project = project("", &format!("FROM {BOX}\nRUN seq 10000 12999\n"));
        let out = run(engine, &project, &[]).exits(0);
        let numbers = lines(&out, "build-app").into_iter().filter_map(|line| {
            let last = line.rsplit(' ').next()?;
            last.parse::<u32>()
                .ok()
                .filter(|n| (10_000..13_000).contains(n))
        });
        let all: std::collections::BTreeSet<u32> = numbers.collect();
        assert_eq!(all.len(), 3000);
    });
}

#[test]
fn a_cache_of_a_build_stays() {
    on_both(|engine| {
        let dockerfile = |what: &str| {
            format!(
                "FROM {BOX}\nRUN --mount=type=cache,target=/kept,id={{ID}} echo {what} >>/kept/all; cat /kept/all >/all\n"
            )
        };
        let steps = "    build app\n    job see { container image=app; run \"cat /all\" }\n";
        let project = with(steps, "");
        let id = project.root().display().to_string().replace('/', "-");
        project.write("Dockerfile", &dockerfile("one").replace("{ID}", &id));
        let _ = run(engine, &project, &[]).exits(0);
        project.write("Dockerfile", &dockerfile("two").replace("{ID}", &id));
        let out = run(engine, &project, &[]).exits(0);
        assert_eq!(lines(&out, "see")[1..], ["one", "two"]);
    });
}

#[test]
fn several_platforms_are_one_image() {
    on_both(|engine| {
        let build = "        platforms \"linux/amd64\" \"linux/arm64\"";
        let project = project(build, "FROM scratch\nARG TARGETARCH\nCOPY file /file\n")
            .file("file", "a file\n");
        let out = run(engine, &project, &[]).exits(0);
        let path = images(&project)
            .join("blobs/sha256")
            .join(&digest(&out)[7..]);
        let index: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let platforms: Vec<&str> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["platform"]["architecture"].as_str().unwrap())
            .collect();
        assert_eq!(platforms, ["amd64", "arm64"]);
    });
}

#[test]
fn the_login_of_a_registry_reaches_the_build_that_keeps_layers_there() {
    on_both(|engine| {
        let text = format!(
            "pipeline app\nsecret TOKEN\nregistry team \"127.0.0.1:5000/team\" {{ login user=ci password=TOKEN }}\nstage build {{\n    build {} {{ cache registry=team }}\n}}\n",
            if engine == Engine::Docker {
                "app"
            } else {
                "layers"
            }
        );
        let dockerfile = "FROM 127.0.0.1:5000/team/box:1\nRUN echo kept >/kept\n";
        let project = Project::with(&text).file("Dockerfile", dockerfile);
        engine.client(&["rmi", "--force", "127.0.0.1:5000/team/box:1"]);
        let mut command = engine.beside_registry(&project, &["run"]);
        command.env("TOKEN", "~~~???>>>~~~???");
        let out = project.output(&mut command).exits(0);
        let left = Command::new("grep")
            .args(["-rlF", "Y2k6fn5+"])
            .arg(project.root().parent().unwrap())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
        let words = match engine {
            Engine::Docker => "layers are kept in 127.0.0.1:5000/team/app:layers",
            Engine::Podman => "Pushing cache",
        };
        assert!(out.stdout.contains(words), "{}", out.stdout);
    });
}

#[test]
fn a_private_base_image_is_fetched_with_the_login_that_is_there() {
    on_both(|engine| {
        let login = "{\"auths\":{\"127.0.0.1:5000\":{\"auth\":\"Y2k6fn5+Pz8/Pj4+fn5+Pz8/\"}}}";
        let project = project(
            "",
            "FROM 127.0.0.1:5000/team/box:1\nRUN echo built >/built\n",
        )
        .file(".docker/config.json", login);
        engine.client(&["rmi", "127.0.0.1:5000/team/box:1"]);
        let mut command = engine.building(&project, &["run"]);
        command
            .env("DOCKER_CONFIG", project.path(".docker"))
            .env("REGISTRY_AUTH_FILE", project.path(".docker/config.json"));
        let _ = project.output(&mut command).exits(0);
    });
}

#[test]
fn what_a_builder_cannot_do_of_a_cache_is_said_and_fails_nothing() {
    on_both(|engine| {
        let cache = "        cache inline=#true local=\"kept\" compression=zstd mode=max";
        let project = project(cache, "FROM scratch\nCOPY Dockerfile /\n");
        let out = run(engine, &project, &[]).exits(0);
        let said: Vec<&str> = lines(&out, "build-app")
            .into_iter()
            .take_while(|line| line.contains('`'))
            .filter_map(|line| line.split_once(':').map(|(what, _)| what))
            .collect();
        let wanted: &[&str] = match engine {
            Engine::Docker => &[
                "layers of the last stage only are kept",
                "no layers are kept in a directory",
                "layers are packed with gzip",
            ],
            Engine::Podman => &[
                "no layers are kept in the image itself",
                "no layers are kept in a directory",
                "layers are packed as Buildah does it",
            ],
        };
        assert_eq!(said, wanted);
    });
}
