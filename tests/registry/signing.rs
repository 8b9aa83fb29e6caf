//! `sign` and `attest provenance` from outside: what a real `cosign` and a real registry say of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use engine::oci::client::{Login, Origin};

use super::images::{wait, with};
use super::server::{PASSWORD, locked};
use crate::containers::engines::{Engine, on};
use crate::support::{Output, Project, skip};

const ENGINE: Engine = Engine::Podman;
/// The password of the keys.
const WORD: &str = "the-word-of-the-key";

/// The folder with `cosign`; none where it is not there.
#[track_caller]
fn programs() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/supply/bin");
    if !folder.join("cosign").is_file() {
        skip("there is no cosign; `tests/setup-supply.sh` gets one");
        return None;
    }
    Some(folder)
}

fn cosign(project: &Project, args: &[&str]) -> (bool, String) {
    let out = Command::new(programs().unwrap().join("cosign"))
        .args(args)
        .current_dir(project.root())
        .env("HOME", project.home())
        .env("DOCKER_CONFIG", project.home().join(".docker"))
        .env("COSIGN_PASSWORD", WORD)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.success(), text(&out.stdout) + &text(&out.stderr))
}

/// A project that builds, pushes and signs.
fn project(registry: &str, build: &str) -> Project {
    let text = format!(
        "pipeline shop\nsecret PASSWORD\nsecret SIGNING_KEY\nsecret SIGNING_WORD\nregistry live \"{registry}\" {{\n    login user=ci password=PASSWORD\n}}\nstage deliver {{\n    build app {{\n{build}    }}\n    push app to=live tag=\"1\"\n    sign app key=SIGNING_KEY password=SIGNING_WORD log=#false\n}}\n"
    );
    Project::with(&text)
        .file(
            "Dockerfile",
            "FROM scratch\nARG GREETING\nCOPY app.txt /app.txt\n",
        )
        .file(".dockerignore", "registry\n*.key\n*.pub\n")
        .file(".gitignore", "registry\n*.key\n*.pub\n")
        .file("app.txt", "the app\n")
        .git()
}

/// Builds where the engine is, and does the rest here.
#[track_caller]
fn run(project: &Project, path: &Path) -> Output {
    let key = std::fs::read_to_string(project.root().join("cosign.key")).unwrap_or("none".into());
    let with = |command: &mut Command| {
        command
            .env("PASSWORD", PASSWORD)
            .env("SIGNING_KEY", &key)
            .env("SIGNING_WORD", WORD);
    };
    let mut build = ENGINE.building(project, &["run", "deliver.build-app"]);
    with(&mut build);
    let _ = project.output(&mut build).exits(0);
    // The project is that user's now, and git would not read it for anybody else.
    let settings = project.home().join(".gitconfig");
    std::fs::write(settings, "[safe]\n\tdirectory = *\n").unwrap();
    let mut rest = project.command(&["run", "--yes"]);
    with(&mut rest);
    let old = std::env::var("PATH").unwrap();
    rest.env("PATH", format!("{}:{old}", path.display()));
    project.output(&mut rest)
}

#[test]
fn what_is_signed_and_attested_is_verified_by_cosign() {
    let Some(path) = programs() else { return };
    on(ENGINE, || {
        let Some(registry) = locked() else { return };
        let build = "        args GREETING=\"hello\"\n        attest provenance sbom scanner=#\"echo '{\"spdxVersion\":\"SPDX-2.3\"}'\"#\n";
        let project = project(&format!("{}/live", registry.host()), build);
        project.run_git(&["remote", "add", "origin", "https://example.com/shop.git"]);
        for name in ["cosign", "other"] {
            let prefix = format!("--output-key-prefix={name}");
            let (done, said) = cosign(&project, &["generate-key-pair", &prefix]);
            assert!(done, "{said}");
        }
        let out = run(&project, &path).exits(0);
        assert!(!out.whole().contains("BEGIN ENCRYPTED"), "{}", out.whole());
        let login = || Login {
            from: Origin::Password("ci".to_owned(), PASSWORD.into()),
            realm: None,
        };
        let place = with(&registry.host(), "live/app", login());
        let digest = wait(place.resolve("1")).unwrap().unwrap().digest();
        let reference = format!("{}/live/app@{digest}", registry.host());
        assert!(
            out.stdout.contains(&format!("signed {reference}")),
            "{}",
            out.whole()
        );
        let docker = project.home().join(".docker");
        std::fs::create_dir_all(&docker).unwrap();
        let auth = "Y2k6fn5+Pz8/Pj4+fn5+Pz8/";
        let config = format!(
            r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#,
            registry.host()
        );
        std::fs::write(docker.join("config.json"), config).unwrap();
        let verify = |args: &[&str]| {
            let rest = [
                "--insecure-ignore-tlog",
                "--allow-http-registry",
                &reference,
            ];
            cosign(&project, &[args, &rest].concat())
        };
        let (good, said) = verify(&["verify", "--key=cosign.pub"]);
        assert!(good, "{said}");
        let (good, said) = verify(&["verify", "--key=other.pub"]);
        assert!(!good, "{said}");
        // The provenance stands beside the image as it is, and signed.
        let kind = "https://slsa.dev/provenance/v1";
        let (good, said) = verify(&["verify-attestation", "--key=cosign.pub", "--type", kind]);
        assert!(good, "{said}");
        let (good, said) = verify(&["verify-attestation", "--key=cosign.pub", "--type=spdxjson"]);
        assert!(good, "{said}");
        let mut about = wait(place.referrers(&digest)).unwrap();
        about.sort_by_key(|d| d.artifact_type.clone());
        let kinds: Vec<_> = about.iter().map(|d| d.artifact_type.as_deref()).collect();
        let wanted = ["application/spdx+json", "application/vnd.in-toto+json"];
        assert_eq!(kinds, wanted.map(Some));
        let statement = wait(place.manifest(&about[1].digest)).unwrap().unwrap();
        let blob = statement
            .blobs()
            .find(|b| b.media_type.contains("in-toto"))
            .unwrap();
        let text = wait(place.blob(blob)).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(document["subject"][0]["digest"]["sha256"], digest.hex());
        let parameters = &document["predicate"]["buildDefinition"]["externalParameters"];
        assert_eq!(
            parameters,
            &serde_json::json!({
                "image": "app", "context": ".", "dockerfile": "Dockerfile",
                "args": {"GREETING": "hello"}, "labels": {},
            })
        );
        let head = project.run_git(&["rev-parse", "HEAD"]).trim().to_owned();
        let sources = &document["predicate"]["buildDefinition"]["resolvedDependencies"];
        let source = format!("git+https://example.com/shop.git@{head}");
        assert_eq!(
            sources,
            &serde_json::json!([{"uri": source, "digest": {"gitCommit": head}}])
        );
    });
}

#[test]
fn what_cannot_be_signed_says_why() {
    on(ENGINE, || {
        let project = project("./registry", "");
        let out = run(&project, Path::new("/nowhere")).exits(1);
        let why =
            "app cannot be signed: it is in a folder, and cosign keeps signatures in registries";
        assert!(out.stdout.contains(why), "{}", out.whole());
    });
    on(ENGINE, || {
        let Some(registry) = locked() else { return };
        let project = project(&format!("{}/live", registry.host()), "");
        let out = run(&project, Path::new("/nowhere")).exits(1);
        let why = "the program cosign was not found in PATH";
        assert!(out.stdout.contains(why), "{}", out.whole());
    });
}
