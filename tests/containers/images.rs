//! Where images come from, with which login, and what of them decides a kept result.

use std::os::unix::fs::PermissionsExt;

use super::engines::{Engine, on, on_both};
use crate::started::stage;
use crate::support::{Output, Project};

/// `ci` and a password whose login, written as base64, has the two characters that engines read differently.
const LOGIN: &str = "Y2k6fn5+Pz8/Pj4+fn5+Pz8/";
const PRIVATE: &str = "127.0.0.1:5000/team/box:1";

fn private() -> Project {
    Project::with(&stage(&format!(
        "job unit {{ container \"{PRIVATE}\" pull=always; run \"echo ran\" }}"
    )))
}

fn run(engine: Engine, project: &Project, env: &[(&str, &str)]) -> Output {
    let mut command = engine.command(project, &["run"]);
    command.envs(env.iter().copied());
    project.output(&mut command)
}

#[test]
fn a_private_image_is_fetched_with_the_login_that_is_there() {
    on_both(|engine| {
        let login = format!("{{\"auths\":{{\"127.0.0.1:5000\":{{\"auth\":\"{LOGIN}\"}}}}}}");
        let project = private().file(".docker/config.json", &login);
        let config = project.path(".docker").display().to_string();
        let out = run(engine, &project, &[("DOCKER_CONFIG", &config)]).exits(0);
        let lines: Vec<&str> = out
            .stdout
            .lines()
            .filter(|l| l.starts_with("unit | "))
            .collect();
        assert_eq!(lines[0], format!("unit | fetching the image {PRIVATE}"));
        let digest = format!("unit | in {PRIVATE} sha256:");
        assert!(lines.iter().any(|l| l.starts_with(&digest)), "{lines:?}");
        assert_eq!(lines.last(), Some(&"unit | ran"));

        let project = private().file("auth.json", &login);
        let file = project.path("auth.json").display().to_string();
        let _ = run(engine, &project, &[("REGISTRY_AUTH_FILE", &file)]).exits(0);
    });
}

#[test]
fn a_credential_helper_is_asked() {
    on_both(|engine| {
        let helper = "#!/bin/sh\nread server\n[ \"$1 $server\" = 'get 127.0.0.1:5000' ] || exit 1\necho '{\"ServerURL\":\"x\",\"Username\":\"ci\",\"Secret\":\"~~~???>>>~~~???\"}'\n";
        for config in [
            "{\"credsStore\":\"mine\"}",
            "{\"credsStore\":\"other\",\"credHelpers\":{\"127.0.0.1:5000\":\"mine\"}}",
        ] {
            let project = private()
                .file("home/.docker/config.json", config)
                .file("bin/docker-credential-mine", helper);
            let program = project.path("bin/docker-credential-mine");
            std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
            let path = format!(
                "{}:{}",
                project.path("bin").display(),
                std::env::var("PATH").unwrap()
            );
            let home = project.path("home").display().to_string();
            let _ = run(engine, &project, &[("PATH", &path), ("HOME", &home)]).exits(0);
        }
    });
}

#[test]
fn a_registry_that_refuses_is_named_with_what_to_do() {
    on_both(|engine| {
        let program = match engine {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
        };
        let project = private();
        let out = run(engine, &project, &[]).exits(3);
        let hint =
            format!("hint log in to it: `{program} login 127.0.0.1:5000`; or is the name wrong?");
        assert!(out.stdout.contains(&hint), "{}", out.stdout);
        let wrong = "{\"auths\":{\"127.0.0.1:5000\":{\"auth\":\"Y2k6d3Jvbmc=\"}}}";
        let project = private().file(".docker/config.json", wrong);
        let config = project.path(".docker").display().to_string();
        let out = run(engine, &project, &[("DOCKER_CONFIG", &config)]).exits(3);
        let hint = "hint your login for 127.0.0.1:5000 was refused";
        assert!(out.stdout.contains(hint), "{}", out.stdout);
        assert!(!out.stdout.contains("wrong\""), "{}", out.stdout);
    });
}

#[test]
fn an_image_that_is_not_there_is_named() {
    on_both(|engine| {
        let why = |container: &str, code: i32| {
            let project = Project::with(&stage(&format!(
                "job unit {{ container {container}; run \"echo ran\" }}"
            )));
            let out = engine.pipe(&project, &["run"]).exits(code);
            let line = out
                .stdout
                .lines()
                .find(|l| l.contains("defined at"))
                .unwrap();
            line.split("   ").next().unwrap().trim().to_owned()
        };
        assert_eq!(
            why("\"localhost/none:1\"", 1),
            "the image localhost/none:1 is not there"
        );
        assert_eq!(
            why("\"none:1\" pull=never", 1),
            "the image none:1 is not there"
        );
        let far = why("\"none.invalid/x:1\"", 3);
        assert!(
            far.starts_with("the image none.invalid/x:1 cannot be fetched: "),
            "{far}"
        );
    });
}

#[test]
fn a_result_is_kept_for_the_image_that_made_it() {
    on(Engine::Docker, || {
        let engine = Engine::Docker;
        let tag = |image: &str| engine.client(&["tag", image, "localhost/moving:1"]);
        tag("localhost/box:1");
        let project = Project::with(&stage(
            "job unit { container \"localhost/moving:1\"; inputs \"in\"; outputs \"out\"; run \"cp in out; echo made\" }",
        ))
        .file("in", "1");
        let outcome = || {
            let out = engine.pipe(&project, &["run"]).exits(0);
            let line = out.stdout.lines().find(|l| l.contains(" unit "));
            line.unwrap().split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!(
            (outcome(), outcome()),
            ("passed".to_owned(), "cached".to_owned())
        );
        let plan = engine.pipe(&project, &["explain", "unit"]).exits(0);
        assert!(plan.stdout.contains("cached"), "{}", plan.stdout);
        let asks_nobody = "   ? as in the last run, until a run looks: localhost/moving:1\n";
        assert!(plan.stdout.contains(asks_nobody), "{}", plan.stdout);
        let plan = engine.pipe(&project, &["plan"]).exits(0).stdout;
        let lines: Vec<&str> = plan.lines().skip(1).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
         test
           = unit  cached
         as in the last run, until a run looks: localhost/moving:1
         Nothing was changed. Run it: pipe run
        ");
        let json = engine
            .pipe(&project, &["plan", "--format", "json"])
            .exits(0);
        let told: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(told["steps"][0]["assumed"][0], "localhost/moving:1");
        tag("localhost/web:1");
        assert_eq!(
            (outcome(), outcome()),
            ("passed".to_owned(), "cached".to_owned())
        );
        let why = engine
            .pipe(&project, &["explain", "unit", "--against", "1"])
            .exits(0);
        let id = |name: &str| engine.client(&["inspect", "--format", "{{.Id}}", name]);
        let [before, now] = ["localhost/box:1", "localhost/web:1"].map(id);
        let changed: Vec<&str> = why.stdout.lines().filter(|l| l.contains(" ~ ")).collect();
        let [line] = changed[..] else {
            panic!("{}", why.whole());
        };
        let shown = |id: &str| format!("localhost/moving:1 {}", &id[..16]);
        assert!(line.starts_with("   ~ setting  image  "), "{line}");
        assert!(line.contains(&shown(&before)), "{before}: {line}");
        assert!(line.contains(&shown(&now)), "{now}: {line}");
        engine.has_nothing_of(&project);
    });
}
