//! `push` from outside: images that a real engine built, into folders and into real registries.

use engine::oci::Layout;
use engine::oci::client::{Login, Origin};

use super::images::{digest_by_skopeo, numbered, wait, with};
use super::server::{PASSWORD, locked, registry};
use crate::containers::engines::{Engine, on};
use crate::support::{Output, Project};

/// Which engine builds is no matter of a registry.
const ENGINE: Engine = Engine::Podman;

/// A pipeline that builds two images and pushes them.
fn project(registry: &str, push: &str) -> Project {
    let pipeline = format!(
        "pipeline shop\n{registry}\nstage deliver {{\n    build app\n    build tool dockerfile=\"Toolfile\"\n    {push}\n}}\n"
    );
    Project::with(&pipeline)
        .file("Dockerfile", "FROM scratch\nCOPY app.txt /app.txt\n")
        .file(
            "Toolfile",
            "FROM scratch\nCOPY app.txt /app.txt\nCOPY tool.txt /tool.txt\n",
        )
        .file(".dockerignore", "registry\ntold\n")
        .file("app.txt", "the app\n")
        .file("tool.txt", "the tool\n")
        .git()
}

/// Builds both images where the engine is, so that they are kept when the next run pushes them from here.
#[track_caller]
fn build(project: &Project) {
    let args = ["run", "deliver.build-app", "deliver.build-tool"];
    let _ = project
        .output(&mut ENGINE.building(project, &args))
        .exits(0);
    // The project is that user's now, and git would not read it for anybody else.
    let settings = project.home().join(".gitconfig");
    std::fs::write(settings, "[safe]\n\tdirectory = *\n").unwrap();
}

/// What the pushing step wrote.
#[track_caller]
fn lines(out: &Output) -> String {
    let own = |line: &str| {
        let (step, text) = line.split_once('|')?;
        step.trim()
            .starts_with("push-")
            .then(|| text.trim().to_owned())
    };
    let lines: Vec<String> = out.stdout.lines().filter_map(own).collect();
    let lines = lines.iter().map(|l| match l.split_once(" sent (") {
        // How large a configuration is differs from engine to engine.
        Some((before, _)) => format!("{before} sent"),
        None => l.clone(),
    });
    numbered(&lines.collect::<Vec<_>>().join("\n"))
}

/// Why the push failed, and what to do.
fn why(text: &str) -> String {
    let lines = text
        .lines()
        .skip_while(|l| !l.starts_with(" app is not pushed"));
    lines.take(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_image_goes_into_a_folder_and_is_found_there_by_other_programs() {
    on(ENGINE, || {
        let project = project(
            "registry live \"./registry\"",
            "push app tool to=live { tag \"v1\"; tag latest }",
        );
        build(&project);
        let out = project.pipe(&["run"]).exits(0);
        insta::assert_snapshot!(lines(&out), @"
        app: contents 2 sent
        ./registry/app:v1
        ./registry/app:latest
        pushed ./registry/app@sha256:[whole 0]
        tool: contents 3 sent
        ./registry/tool:v1
        ./registry/tool:latest
        pushed ./registry/tool@sha256:[whole 1]
        ");
        let layout = Layout::at(&project.path("registry/app"));
        let digest = layout.resolve("v1").unwrap().unwrap().digest.to_string();
        let reference = format!("oci:{}:v1", layout.root().display());
        assert!(digest_by_skopeo(&reference).is_none_or(|d| d == digest));
        let again = project.pipe(&["run"]).exits(0);
        insta::assert_snapshot!(lines(&again), @"
        app: contents 2 there already
        ./registry/app:v1 is this image already
        ./registry/app:latest is this image already
        pushed ./registry/app@sha256:[whole 0]
        tool: contents 3 there already
        ./registry/tool:v1 is this image already
        ./registry/tool:latest is this image already
        pushed ./registry/tool@sha256:[whole 1]
        ");
    });
}

#[test]
fn an_image_has_the_same_digest_in_a_registry_as_in_the_run() {
    on(ENGINE, || {
        let Some(server) = locked() else { return };
        let project = project(
            &format!(
                "secret REGISTRY_PASSWORD\nregistry live \"{}/team\" {{\n    login user=ci password=REGISTRY_PASSWORD\n}}",
                server.host()
            ),
            "push app to=live tag=\"v1\"\n    job told { env D=\"${push-app.outputs.digest}\" R=\"${push-app.outputs.reference}\" I=\"${image.app}\"; run \"echo $D $R $I >told\" }",
        );
        build(&project);
        let run = |password: &str| project.pipe_env(&["run"], &[("REGISTRY_PASSWORD", password)]);
        let out = run(PASSWORD).exits(0);
        assert!(!out.whole().contains(PASSWORD));
        let login = Login {
            from: Origin::Password("ci".to_owned(), PASSWORD.into()),
            realm: None,
        };
        let place = with(&server.host(), "team/app", login);
        let there = wait(place.resolve("v1")).unwrap().unwrap().digest();
        let reference = format!("{}/team/app@{there}", server.host());
        assert_eq!(
            project.read("told"),
            format!("{there} {reference} {reference}\n")
        );
        let out = run("wrong-password").exits(3);
        let text = numbered(&out.stdout).replace(&server.host(), "[host]");
        let why = text.lines().find(|l| l.starts_with(" app is not pushed"));
        insta::assert_snapshot!(why.unwrap_or(&text), @r#"
 app is not pushed: [host]: getting the manifest v1 of team/app: 401 Unauthorized (UNAUTHORIZED: authentication required); no tag has moved   defined at pipeline.kdl:9
"#);
    });
}

#[test]
fn a_tag_of_an_immutable_registry_stays_and_nothing_is_sent() {
    on(ENGINE, || {
        let Some(server) = registry() else { return };
        let project = project(
            &format!("registry live \"{}\" immutable=#true", server.host()),
            "push app to=live tag=\"v1\"",
        );
        build(&project);
        for _ in 0..2 {
            let _ = project.pipe(&["run"]).exits(0);
        }
        let blobs = server.blobs();
        project.write("app.txt", "another app\n");
        build(&project);
        let out = project.pipe(&["run"]).exits(5);
        assert_eq!(server.blobs(), blobs);
        let text = numbered(&out.stdout).replace(&server.host(), "[host]");
        let end = why(&text);
        insta::assert_snapshot!(end, @r#"
 app is not pushed: the tag v1 of [host]/app is sha256:[whole 0] already, and may not move to sha256:[whole 1]; nothing was sent   defined at pipeline.kdl:6
 hint the registry is `immutable=#true`: give the new image a tag of its own, such as `"sha-${git.sha}"`
"#);
    });
}

#[test]
fn a_registry_that_is_not_there_ends_the_run_with_the_code_for_that() {
    on(ENGINE, || {
        let port = {
            let Some(server) = registry() else { return };
            server.port
        };
        let project = project(
            &format!("registry live \"127.0.0.1:{port}\""),
            "push app to=live tag=\"v1\"",
        );
        build(&project);
        let out = project.pipe_env(&["run"], &[("PIPE_REGISTRY_TIMEOUT", "300ms")]);
        let text = numbered(&out.exits(3).stdout).replace(&port.to_string(), "[port]");
        let end = why(&text);
        insta::assert_snapshot!(end, @r#"
 app is not pushed: 127.0.0.1:[port]: getting the manifest v1 of app: no connection: Connection refused (os error 111), tried 6 times; no tag has moved   defined at pipeline.kdl:6
 hint check that 127.0.0.1:[port] is the right name and that this machine reaches it
"#);
    });
}

#[test]
fn images_are_promoted_from_registry_to_registry_by_the_commit() {
    on(ENGINE, || {
        let (Some(dev), Some(live)) = (registry(), registry()) else {
            return;
        };
        let places = format!(
            "registry dev \"{}/dev\"\nregistry live \"{}/live\" immutable=#true\npromotion go from=dev to=live {{\n    images app tool\n    tag \"v7\"\n}}",
            dev.host(),
            live.host()
        );
        let push =
            "push app tool to=dev tag=\"1\"\n}\nstage go {\n    when event=manual\n    promote go";
        let project = project(&places, push);
        build(&project);
        let _ = project.pipe(&["run", "deliver", "--yes"]).exits(0);
        // In a run that pushes nothing it is found by the commit, or not at all.
        let out = project.pipe(&["promote", "go", "--yes"]).exits(0);
        let there = |server: &super::server::Registry, name: &str, tag: &str| {
            let place = with(&server.host(), name, Login::default());
            wait(place.resolve(tag)).unwrap().map(|m| m.digest())
        };
        for image in ["app", "tool"] {
            let pushed = there(&dev, &format!("dev/{image}"), "1");
            assert!(pushed.is_some());
            let promoted = there(&live, &format!("live/{image}"), "v7");
            assert_eq!(promoted, pushed, "{}", out.whole());
        }
        let again = project.pipe(&["run", "--yes"]).exits(0);
        let same = "live/tool:v7 is this image already";
        assert!(again.stdout.contains(same), "{}", again.whole());
        project.write("app.txt", "another app\n");
        project.run_git(&["commit", "-qam", "another"]);
        let out = project.pipe(&["promote", "go", "--yes"]).exits(5);
        let none = "app is not promoted: dev has no image of the commit";
        assert!(out.stdout.contains(none), "{}", out.whole());
    });
}

#[test]
fn a_promotion_sets_tags_in_further_registries_or_moves_nothing() {
    on(ENGINE, || {
        let (Some(dev), Some(live)) = (registry(), registry()) else {
            return;
        };
        let places = |tags: &str| {
            format!(
                "registry dev \"{}/dev\"\nregistry live \"{}/live\"\nregistry third \"./third\" immutable=#true\npromotion go from=dev to=live {{\n    images app tool\n{tags}}}",
                dev.host(),
                live.host()
            )
        };
        let tags = "    tag now\n    tag \"v7\" in=third\n    tag \"as-7\" in=dev\n";
        let push = "push app tool to=dev tag=\"1\"\n    promote go";
        let project = project(&places(tags), push).file(".dockerignore", "registry\ntold\nthird\n");
        build(&project);
        let out = project.pipe(&["run", "--yes"]).exits(0);
        let there = |place: &str| digest_by_skopeo(place).expect("skopeo is there");
        let root = project.root().display().to_string();
        for image in ["app", "tool"] {
            let pushed = there(&format!("docker://{}/dev/{image}:1", dev.host()));
            let places = [
                format!("docker://{}/live/{image}:now", live.host()),
                format!("docker://{}/dev/{image}:as-7", dev.host()),
                format!("oci:{root}/third/{image}:v7"),
            ];
            for place in places {
                assert_eq!(there(&place), pushed, "{place}\n{}", out.whole());
            }
        }
        // The tag may not move in the third registry, so that nothing moves in the first one either.
        project.write("app.txt", "another app\n");
        let tags = "    tag later\n    tag \"v7\" in=third\n";
        let text = std::fs::read_to_string(project.root().join("pipeline.kdl")).unwrap();
        let (_, steps) = text.split_once("stage deliver").unwrap();
        project.write(
            "pipeline.kdl",
            &format!("pipeline shop\n{}\nstage deliver{steps}", places(tags)),
        );
        build(&project);
        let out = project.pipe(&["run", "--yes"]).exits(5);
        assert!(
            out.stdout
                .contains("app is not promoted to third by go: the tag v7 of"),
            "{}",
            out.whole()
        );
        let later = with(&live.host(), "live/app", Login::default());
        assert_eq!(
            wait(later.resolve("later")).unwrap().map(|m| m.digest()),
            None
        );
    });
}

#[test]
fn a_promotion_between_registries_waits_for_all_that_it_requires() {
    on(ENGINE, || {
        let places = "version app from=\"package.json\"\nregistry dev \"./registry/dev\"\nregistry live \"./registry/live\"\npromotion go from=dev to=live {\n    images app\n    tag \"v7\"\n    release\n    require window from=\"00:00\" until=\"00:00\"\n    require from-commit branch=release\n    require approval by=ops\n}";
        let push =
            "push app tool to=dev tag=\"1\"\n}\nstage go {\n    when event=manual\n    promote go";
        let project = project(places, push);
        project.write("package.json", "{\"version\":\"1.2.3\"}");
        project.run_git(&["add", "package.json"]);
        project.run_git(&["commit", "-qm", "feat: one"]);
        build(&project);
        let _ = project.pipe(&["run", "deliver", "--yes"]).exits(0);
        let out = project.pipe(&["promote", "go", "--yes"]).exits(5);
        for part in [
            "in UTC, outside of the window from 00:00 until 00:00",
            "there is no branch release here",
            " has to be approved by ops",
        ] {
            assert!(out.stdout.contains(part), "{part}: {}", out.whole());
        }
        // What is left is for people.
        let text = std::fs::read_to_string(project.root().join("pipeline.kdl")).unwrap();
        project.write(
            "pipeline.kdl",
            &text.replace("until=\"00:00\"", "until=\"24:00\""),
        );
        project.run_git(&["branch", "release"]);
        let _ = project.pipe(&["promote", "go", "--yes"]).exits(4);
        let approved = project.pipe(&["approve", "go", "--yes"]).exits(0);
        assert!(
            approved.stdout.contains(" approved promotion go for "),
            "{}",
            approved.whole()
        );
        // What moves could not be released: nothing moves.
        project.run_git(&["tag", "v1.2.3", "HEAD~1"]);
        let out = project.pipe(&["promote", "go", "--yes"]).exits(1);
        let other = "v1.2.3 is the tag of another commit";
        assert!(out.stdout.contains(other), "{}", out.whole());
        assert!(!project.root().join("registry/live").exists());
        project.run_git(&["tag", "-d", "v1.2.3"]);
        let _ = project.pipe(&["promote", "go", "--yes"]).exits(0);
        let tagged = project.run_git(&["rev-parse", "v1.2.3^{commit}"]);
        assert_eq!(tagged, project.run_git(&["rev-parse", "HEAD"]));
        let live = Layout::at(&project.root().join("registry/live/app"));
        let dev = Layout::at(&project.root().join("registry/dev/app"));
        assert_eq!(
            live.resolve("v7").unwrap().map(|d| d.digest),
            dev.resolve("1").unwrap().map(|d| d.digest)
        );
    });
}

#[test]
fn a_push_that_is_not_accepted_is_refused_before_the_run() {
    let pushes = "registry live \"./registry\" {\n    accept branch=main\n    accept tag=\"v*\"\n}";
    let project = project(pushes, "push app to=live tag=\"1\"");
    let run = |args: &[&str]| project.pipe(&[&["run"], args].concat());
    let out = run(&["--event", "push", "--branch", "topic"]).exits(5);
    insta::assert_snapshot!(out.whole(), @r#"
    exit 5
    --- stderr
    error: deliver.push-app: `live` accepts branch main or tag v*, and this run is for branch topic (pipeline.kdl:3)
    hint: nothing was begun; `pipe plan` shows what this event selects
    "#);
    let plan = project.pipe(&["plan", "--event", "push", "--branch", "topic"]);
    let told = plan.stdout.lines().find(|l| l.starts_with(" !"));
    insta::assert_snapshot!(told.unwrap_or(&plan.stdout), @" !: push-app would be refused: `live` accepts branch main or tag v*, and this run is for branch topic");
    let out = run(&[
        "--event",
        "pull-request",
        "--branch",
        "main",
        "--into",
        "main",
    ])
    .exits(5);
    assert!(
        out.stderr.contains("and this is a pull request"),
        "{}",
        out.stderr
    );
}
