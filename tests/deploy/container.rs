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
