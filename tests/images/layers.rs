//! Layers that are kept in a registry, and images for several platforms, by Docker's command line with its plugin buildx and
//! without it: both real, with the engine's own BuildKit.

use std::path::Path;
use std::process::Command;

use engine::oci::{Digest, Layout};

use super::{BOX, digest_of, images, lines};
use crate::containers::engines::{Engine, on};
use crate::support::{Output, Project, skip, wait_until};

/// Puts the plugin where the project's user has it.
#[track_caller]
fn with_plugin(project: &Project) -> bool {
    let plugin = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/supply/config/cli-plugins/docker-buildx");
    if !plugin.is_file() {
        skip("there is no buildx; `tests/setup-supply.sh` gets one");
        return false;
    }
    let folder = project.home().join(".docker/cli-plugins");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(&plugin, folder.join("docker-buildx")).unwrap();
    true
}

fn run(project: &Project, args: &[&str]) -> Output {
    let mut command: Command = Engine::Docker.beside_registry(project, &[&["run"], args].concat());
    command.env("TOKEN", "~~~???>>>~~~???");
    project.output(&mut command)
}

/// Takes away what the engine knows of an instruction.
fn forget(mark: &str, image: &str) {
    let engine = Engine::Docker;
    let _ = engine.client(&["rmi", "--force", image]);
    // It fails where a container goes away meanwhile, as those of other tests do.
    let (mut told, mut records) = (String::new(), None::<Vec<serde_json::Value>>);
    wait_until("the engine says what it keeps", || {
        told = engine.client(&["system", "df", "-v", "--format", "{{json .BuildCache}}"]);
        records = serde_json::from_str(&told).ok();
        records.is_some()
    });
    let records = records.unwrap();
    let own = records.iter().filter(|r| r.to_string().contains(mark));
    let mut gone = 0;
    for record in own {
        let filter = format!("id={}", record["ID"].as_str().unwrap());
        let _ = engine.client(&["builder", "prune", "-af", "--filter", &filter]);
        gone += 1;
    }
    assert_ne!(gone, 0, "{told}");
}

/// The layers of an image that was built.
fn layers(project: &Project, digest: &str) -> Vec<Digest> {
    let layout = Layout::at(&images(project));
    let manifest = layout.manifest(&digest.parse().unwrap(), None).unwrap();
    let config = manifest.config().unwrap().digest;
    let all = manifest.blobs().map(|b| b.digest);
    all.filter(|d| *d != config).collect()
}

/// What cannot be made twice is the same, because it comes from the registry.
#[track_caller]
fn comes_from_the_registry(
    name: &str,
    (cache, more, said): (&str, &str, &str),
    prepare: impl Fn(&Project) -> bool,
) {
    let text = format!(
        "pipeline app\nsecret TOKEN\nregistry team \"127.0.0.1:5000/team\" {{ login user=ci password=TOKEN }}\nstage build {{\n    build {name} {{ cache {cache} mode=max }}\n{more}}}\n"
    );
    let mark = format!("mark-of-{name}");
    let dockerfile = format!("FROM {BOX}\nRUN : {mark}; head -c 8 /dev/urandom >/random\n");
    let project = Project::with(&text)
        .file("Dockerfile", &dockerfile)
        .file(".dockerignore", "*\n");
    if !prepare(&project) {
        return;
    }
    let first = run(&project, &[]).exits(0);
    let told = lines(&first, &format!("build-{name}"));
    assert!(first.stdout.contains(said), "{}", first.whole());
    assert!(
        told[0].starts_with("layers of the last stage only are kept"),
        "{}",
        first.whole()
    );
    let before = digest_of(&first, name);
    let local = format!("localhost/{name}:{}", before.replace(':', "-"));
    forget(&mark, &local);
    let again = format!("--no-cache=build-{name}");
    // A build that is named has the login of the registry with whose image it begins, although nothing is pushed.
    let named = format!("build-{name}");
    let second = run(&project, &[&named, &again]).exits(0);
    let after = digest_of(&second, name);
    assert_eq!(
        layers(&project, &after),
        layers(&project, &before),
        "{}",
        second.whole()
    );
}

#[test]
fn layers_are_kept_in_a_registry_without_the_plugin() {
    on(Engine::Docker, || {
        let said = "layers are kept in 127.0.0.1:5000/team/kept-plain:layers";
        comes_from_the_registry("kept-plain", ("registry=team", "", said), |_| true);
    });
}

#[test]
fn layers_are_kept_in_a_registry_with_the_plugin() {
    on(Engine::Docker, || {
        let said = "layers are kept in 127.0.0.1:5000/team/kept-buildx:layers";
        comes_from_the_registry("kept-buildx", ("registry=team", "", said), with_plugin);
    });
}

#[test]
fn layers_in_the_image_itself_are_found_where_it_was_pushed() {
    on(Engine::Docker, || {
        let push = "    push kept-inline to=team tag=\"main\"\n";
        let said = "127.0.0.1:5000/team/kept-inline:main";
        comes_from_the_registry("kept-inline", ("inline=#true", push, said), |_| true);
    });
}

#[test]
fn an_image_for_several_platforms_is_built_with_the_plugin() {
    on(Engine::Docker, || {
        let text = "pipeline app\nstage build {\n    build app { platforms \"linux/amd64\" \"linux/arm64\" }\n}\n";
        let project = Project::with(text).file(
            "Dockerfile",
            "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n",
        );
        if !with_plugin(&project) {
            return;
        }
        let out = run(&project, &[]).exits(0);
        let layout = Layout::at(&images(&project));
        let digest = digest_of(&out, "app").parse().unwrap();
        let index = layout.manifest(&digest, None).unwrap();
        let machines: Vec<_> = index
            .manifests()
            .iter()
            .map(|m| m.platform.as_ref().unwrap()["architecture"].clone())
            .collect();
        assert_eq!(machines, ["amd64", "arm64"], "{}", out.whole());
    });
}
