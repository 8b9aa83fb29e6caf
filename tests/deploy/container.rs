//! Targets that are one container, on real Docker and real rootless Podman: images by digest, health by HTTP against what
//! runs, and somebody who asks all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::containers::engines::{Engine, on_both_at_once};
use crate::support::{Output, Project};

/// A target on the engine, with `more` in it. Which image is deployed is a parameter.
fn project(name: &str, more: &str) -> Project {
    let ready = "docker --host $DOCKER_HOST exec $PIPE_CONTAINER wget -qO- http://127.0.0.1:8080/ | grep -q hello";
    let text = format!(
        "pipeline p {{\n    pass-env DOCKER_HOST\n}}\nparam digest\ntarget live {{\n    container {name}\n{more}    ready command=\"{ready}\" within=\"10s\" every=\"300ms\"\n}}\nstage ship {{\n    deploy app to=live {{\n        digest app=\"${{param.digest}}\"\n    }}\n}}\n"
    );
    Project::with(&text).git()
}

/// An image of the web server with these variables, under the name that a `build` would give it; its digest.
pub fn image(engine: Engine, env: &str) -> String {
    let name = env.replace('=', "-").to_lowercase();
    let id = engine.web_with(env, &format!("localhost/made:{name}"));
    let tag = format!("localhost/app:sha256-{id}");
    let _ = engine.client(&["tag", &id, &tag]);
    format!("sha256:{id}")
}

fn deploy(engine: Engine, project: &Project, digest: &str) -> Output {
    let param = format!("digest={digest}");
    engine.pipe(project, &["run", "deploy-live", "--yes", "--param", &param])
}

pub fn says(engine: Engine, name: &str) -> String {
    engine.client(&["exec", name, "wget", "-qO-", "http://127.0.0.1:8080/"])
}

fn names(engine: Engine, name: &str) -> Vec<String> {
    let filter = format!("name={name}");
    let list = engine.client(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
    list.lines().map(str::to_owned).collect()
}

#[test]
fn a_container_is_replaced_and_a_bad_one_makes_way_for_the_one_before() {
    on_both_at_once(|engine| {
        let name = format!("live-{engine:?}").to_lowercase();
        let project = project(&name, "");
        let (one, two) = (
            image(engine, "GREETING=hello-1"),
            image(engine, "GREETING=hello-2"),
        );
        let bad = image(engine, "BROKEN=1");
        let _ = deploy(engine, &project, &one).exits(0);
        assert_eq!(says(engine, &name), "hello-1");
        let _ = deploy(engine, &project, &two).exits(0);
        assert_eq!(says(engine, &name), "hello-2");
        assert_eq!(names(engine, &name), std::slice::from_ref(&name));
        let out = deploy(engine, &project, &bad).exits(6);
        assert!(out.stdout.contains("; rolled back to "), "{}", out.stdout);
        assert_eq!(says(engine, &name), "hello-2");
        assert_eq!(names(engine, &name), std::slice::from_ref(&name));
        let _ = engine
            .pipe(
                &project,
                &[
                    "rollback",
                    "live",
                    "--yes",
                    "--param",
                    &format!("digest={one}"),
                ],
            )
            .exits(0);
        assert_eq!(says(engine, &name), "hello-1");
        let _ = engine.client(&["rm", "-f", &name]);
    });
}

#[test]
fn a_container_that_somebody_has_started_runs_again_when_the_first_release_fails() {
    on_both_at_once(|engine| {
        let name = format!("byhand-{engine:?}").to_lowercase();
        let project = project(&name, "");
        let (zero, one) = (
            image(engine, "GREETING=hello-0"),
            image(engine, "GREETING=hello-1"),
        );
        let bad = image(engine, "BROKEN=1");
        let zero = format!("localhost/app:{}", zero.replace(':', "-"));
        let by_hand = |more: &[&str]| {
            let run = ["run", "--detach", "--name", &name, "--label", "own=kept"];
            let _ = engine.client(&[&run[..], more, &[&zero]].concat());
        };
        by_hand(&[]);
        let out = deploy(engine, &project, &bad).exits(6).stdout;
        let before = "if it fails, it goes back to what runs there now, which pipe has not deployed: container/";
        assert!(out.contains(before), "{out}");
        let back = "; back at what ran before, which pipe had not deployed: container/";
        assert!(out.contains(back), "{out}");
        assert_eq!(says(engine, &name), "hello-0");
        assert_eq!(names(engine, &name), std::slice::from_ref(&name));
        let label = "{{index .Config.Labels \"own\"}}";
        assert_eq!(
            engine.client(&["inspect", "--format", label, &name]),
            "kept"
        );

        // A good one takes its place for good: a later failure finds nothing to go back to, and leaves the good one.
        let text = project.read("pipeline.kdl");
        let smoke = "    job smoke { needs deploy-live; run \"exit 1\" }\n}\n";
        let text = text.replace("stage ship {", "stage ship rollback=reverse {");
        let text = text.strip_suffix("}\n").unwrap().to_owned() + smoke;
        project.write("pipeline.kdl", &text);
        let param = format!("digest={one}");
        let ship = ["run", "ship", "--yes", "--param", &param];
        let out = engine.pipe(&project, &ship).exits(7).stdout;
        let gone = format!(
            "what ran on live before is gone, and was not deployed by pipe: container/{name} ("
        );
        assert!(out.contains(&gone), "{out}");
        assert_eq!(says(engine, &name), "hello-1");
        let told = engine.pipe(&project, &["targets", "live"]).stdout;
        assert!(told.contains("healthy"), "{told}");
        let _ = engine.client(&["rm", "-f", &name]);
    });
}

#[test]
fn a_container_that_would_be_gone_is_not_replaced() {
    on_both_at_once(|engine| {
        let name = format!("fleeting-{engine:?}").to_lowercase();
        let project = project(&name, "");
        let (zero, one) = (
            image(engine, "GREETING=hello-0"),
            image(engine, "GREETING=hello-1"),
        );
        let zero = format!("localhost/app:{}", zero.replace(':', "-"));
        let _ = engine.client(&["run", "--detach", "--rm", "--name", &name, &zero]);
        let out = deploy(engine, &project, &one).exits(5).stdout;
        let why = format!("{name} is a container that was started with `--rm` and not by pipe");
        assert!(out.contains(&why), "{out}");
        assert_eq!(says(engine, &name), "hello-0");
        let _ = engine.client(&["rm", "-f", &name]);
    });
}

#[test]
fn blue_green_never_interrupts_for_a_release_that_is_bad() {
    on_both_at_once(|engine| {
        let name = format!("blue-{engine:?}").to_lowercase();
        let project = project(&name, "    strategy blue-green\n");
        let (one, bad) = (image(engine, "GREETING=hello-1"), image(engine, "BROKEN=1"));
        let _ = deploy(engine, &project, &one).exits(0);
        // The bad one never answers, and the good one does already.
        let text = project.read("pipeline.kdl");
        project.write(
            "pipeline.kdl",
            &text.replace("within=\"10s\"", "within=\"5s\""),
        );
        let stop = Arc::new(AtomicBool::new(false));
        let asking = {
            let (stop, name) = (Arc::clone(&stop), name.clone());
            std::thread::spawn(move || {
                let mut said = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = says(engine, &name);
                    if said.last() != Some(&answer) {
                        said.push(answer);
                    }
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
                said
            })
        };
        let _ = deploy(engine, &project, &bad).exits(6);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(asking.join().unwrap(), ["hello-1"]);
        assert_eq!(names(engine, &name), std::slice::from_ref(&name));
        let _ = engine.client(&["rm", "-f", &name]);
    });
}
