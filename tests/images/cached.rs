//! A build that need not run asks no engine; one whose inputs changed runs.

use super::{BOX, digest, images, lines, project, run, with};
use crate::containers::engines::on_both;
use crate::support::Project;

/// The word for how the build ended.
fn ended(out: &crate::support::Output) -> &'static str {
    ["cached", "passed", "failed"]
        .into_iter()
        .find(|word| out.stdout.contains(&format!("{word} build-app")))
        .unwrap_or("?")
}

fn nowhere(
    project: &Project,
    engine: crate::containers::engines::Engine,
) -> crate::support::Output {
    let mut command = engine.building(project, &["run"]);
    command
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .env("TOKEN", "a-secret-of-some-length");
    project.output(&mut command)
}

#[test]
fn an_unchanged_build_asks_no_engine_and_is_the_same_image() {
    on_both(|engine| {
        let project = project(
            "        secrets TOKEN",
            &format!("FROM {BOX}\nCOPY . /all\n"),
        )
        .file(".dockerignore", "*\n!kept\nkept/*.tmp\n")
        .file("kept/a", "a")
        .file("README.md", "one");
        let first = run(engine, &project, &[]).exits(0);
        let again = nowhere(&project, engine).exits(0);
        assert_eq!((ended(&again), digest(&again)), ("cached", digest(&first)));

        project.write("README.md", "another");
        project.write("kept/b.tmp", "left out");
        assert_eq!(ended(&nowhere(&project, engine).exits(0)), "cached");

        project.write("kept/a", "b");
        let changed = run(engine, &project, &[]).exits(0);
        assert_eq!(ended(&changed), "passed");
        assert_ne!(digest(&changed), digest(&first));
    });
}

#[test]
fn what_decides_an_image_is_shown_with_what_has_changed() {
    on_both(|engine| {
        let dockerfile = format!("FROM {BOX} AS one\nARG A\nRUN echo $A >/a\nFROM one AS two\n");
        let project = project("        args A=\"1\"", &dockerfile);
        let _ = run(engine, &project, &[]).exits(0);
        let text = project.read("pipeline.kdl");
        project.write("pipeline.kdl", &text.replace("A=\"1\"", "A=\"2\""));
        let out = project.pipe(&["explain", "build-app"]).exits(0);
        let changed: Vec<&str> = out.stdout.lines().filter(|l| l.contains("arg A")).collect();
        assert_eq!(changed[1..], ["   ~ key      arg A         1 → 2"]);
        for change in [text.replace("build app", "build app target=one"), text] {
            project.write("pipeline.kdl", &change);
            let plan = project.pipe(&["plan"]).exits(0);
            let is_cached = plan.stdout.contains("= build-app  cached");
            assert_eq!(is_cached, !change.contains("target"), "{}", plan.stdout);
        }
    });
}

#[test]
fn an_image_that_is_gone_is_built_again_to_the_same_digest() {
    on_both(|engine| {
        let project = project("", &format!("FROM {BOX}\nRUN echo a >/a\n"));
        let first = run(engine, &project, &[]).exits(0);
        std::fs::remove_dir_all(images(&project)).unwrap();
        assert!(!project.pipe(&["plan"]).stdout.contains("cached"));
        let again = run(engine, &project, &[]).exits(0);
        assert_eq!((ended(&again), digest(&again)), ("passed", digest(&first)));
    });
}

#[test]
fn a_job_in_a_built_image_is_kept_by_its_digest() {
    on_both(|engine| {
        let steps = "    build app\n    job see { container image=app; inputs \"input\"; run \"cat /a\" }\n";
        let project = with(steps, &format!("FROM {BOX}\nRUN echo one >/a\n")).file("input", "");
        let first = run(engine, &project, &[]).exits(0);
        let again = run(engine, &project, &[]).exits(0);
        assert!(again.stdout.contains("2 cached"), "{}", again.stdout);
        project.write("Dockerfile", &format!("FROM {BOX}\nRUN echo two >/a\n"));
        let changed = run(engine, &project, &[]).exits(0);
        assert!(
            lines(&changed, "see").contains(&"two"),
            "{}",
            changed.stdout
        );
        let why = project.pipe(&["explain", "see", "--against", "1"]).exits(0);
        let reasons: Vec<&str> = why.stdout.lines().filter(|l| l.contains(" ~ ")).collect();
        let [line] = reasons[..] else {
            panic!("{}", why.stdout);
        };
        let [before, now] = [&first, &changed].map(|out| digest(out)[..30].to_owned());
        let start = format!("   ~ setting  image  {before}");
        assert!(line.starts_with(&start), "{start}: {line}");
        assert!(line.contains(&format!("→ {now}")), "{now}: {line}");
    });
}
