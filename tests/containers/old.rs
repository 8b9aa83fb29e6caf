//! `pipe prune --images-older-than` on real engines, with images as old as they say.

use std::process::Command;

use engine::oci::Digest;

use super::engines::{Engine, on_both};
use crate::support::Project;

/// Puts an image into an engine that says that it was made so many days ago; gives its name.
fn put(engine: Engine, project: &Project, name: &str, days: i64, ours: bool) -> String {
    let folder = project.home().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let tar = |args: &[&str]| {
        let done = Command::new("tar").current_dir(&folder).args(args).status();
        assert!(done.unwrap().success());
    };
    std::fs::write(folder.join("what"), format!("{name} {engine:?}")).unwrap();
    tar(&["-cf", "layer.tar", "what"]);
    let layer = Digest::of(&std::fs::read(folder.join("layer.tar")).unwrap());
    let made = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","created":"{made}","config":{{"Cmd":["/none"]}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#
    );
    std::fs::write(folder.join("config.json"), &config).unwrap();
    let tag = match ours {
        true => format!("sha256-{}", Digest::of(config.as_bytes()).hex()),
        false => "1".to_owned(),
    };
    let whole = format!("localhost/{name}:{tag}");
    let manifest =
        format!(r#"[{{"Config":"config.json","RepoTags":["{whole}"],"Layers":["layer.tar"]}}]"#);
    std::fs::write(folder.join("manifest.json"), manifest).unwrap();
    tar(&[
        "-cf",
        "image.tar",
        "manifest.json",
        "config.json",
        "layer.tar",
    ]);
    let file = folder.join("image.tar");
    let said = engine.client(&["load", "--input", &file.display().to_string()]);
    assert!(said.contains("Loaded image"), "{said}");
    whole
}

#[test]
fn old_images_that_pipe_built_go_when_that_is_said_and_nothing_else() {
    on_both(|engine| {
        let project = Project::with("pipeline app\nstage s {\n    job j { run \"true\" }\n}\n");
        let old = put(engine, &project, "prune-old", 40, true);
        let used = put(engine, &project, "prune-used", 41, true);
        let young = put(engine, &project, "prune-young", 1, true);
        let other = put(engine, &project, "prune-other", 42, false);
        let made = engine.client(&["create", "--name", "prune-uses", &used]);
        let there = |name: &str| {
            let listed = engine.client(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
            listed.lines().any(|line| line == name)
        };
        let prune = |more: &[&str]| {
            let args = [&["prune", "--images-older-than", "30d"], more].concat();
            engine.pipe(&project, &args).exits(0)
        };
        let shown = prune(&[]);
        let own = |line: &&str| line.contains("prune-");
        let lines: Vec<&str> = shown.stdout.lines().filter(own).map(str::trim).collect();
        assert_eq!(lines.len(), 2, "{}", shown.whole());
        assert!(
            lines[0].starts_with(&format!("- remove {used}  41d old, ")),
            "{lines:?}"
        );
        assert!(
            lines[1].starts_with(&format!("- remove {old}  40d old, ")),
            "{lines:?}"
        );
        assert!([&old, &used, &young, &other].iter().all(|name| there(name)));
        let gone = prune(&["--yes"]);
        let stays = format!("{used} stays: a container uses it");
        assert!(gone.stdout.contains(&stays), "{made}\n{}", gone.whole());
        assert!(!there(&old), "{}", gone.whole());
        assert!([&used, &young, &other].iter().all(|name| there(name)));
        let _ = engine.client(&["rm", "--force", "prune-uses"]);
        for name in [&used, &young, &other] {
            let _ = engine.client(&["rmi", "--force", name]);
        }
    });
}
