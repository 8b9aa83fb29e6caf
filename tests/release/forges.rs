//! Releases at GitLab and at Gitea, against fakes of the parts of their REST APIs that make them
//! (<https://docs.gitlab.com/api/releases/>, <https://docs.gitea.com/api/#tag/repository/operation/repoCreateRelease>).

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::api::{Asked, listen};
use super::{commit, push, repository};
use crate::support::{Output, Project};

/// A fake forge: the releases that it was given, with who gave them.
struct Forge {
    address: String,
    made: Arc<Mutex<Vec<(String, Value)>>>,
    /// What it answers instead; 0 for nothing.
    instead: Arc<AtomicU16>,
}

impl Forge {
    fn start(list: &'static str, by_tag: &'static str, login: &'static str) -> Self {
        let made: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let instead = Arc::new(AtomicU16::new(0));
        let (own, other) = (Arc::clone(&made), Arc::clone(&instead));
        let address = listen(move |asked: Asked| {
            let mut made = own.lock().unwrap();
            let of_tag = asked.target.strip_prefix(by_tag);
            let tag = of_tag.or_else(|| asked.body["tag_name"].as_str());
            let known = made.iter().any(|(_, r)| r["tag_name"].as_str() == tag);
            let who = asked.head.iter().find(|line| line.starts_with(login));
            match (asked.method.as_str(), other.load(Ordering::SeqCst)) {
                _ if who.is_none() => (401, json!({"message": "401 Unauthorized"})),
                ("POST", status) if status != 0 => (status, json!({"message": "no room"})),
                ("GET", _) if of_tag.is_some() && known => (200, json!({"tag_name": tag})),
                ("POST", _) if asked.target == list && known => {
                    (409, json!({"message": "Release already exists"}))
                }
                ("POST", _) if asked.target == list => {
                    made.push((who.unwrap().clone(), asked.body));
                    (201, json!({}))
                }
                _ => (404, json!({"message": "404 Not Found"})),
            }
        });
        Self {
            address,
            made,
            instead,
        }
    }

    fn gitlab() -> Self {
        let list = "/api/v4/projects/7/releases";
        Self::start(list, "/api/v4/projects/7/releases/", "job-token:")
    }

    fn gitea() -> Self {
        let list = "/api/v1/repos/o/r/releases";
        Self::start(list, "/api/v1/repos/o/r/releases/tags/", "authorization:")
    }

    fn run(&self, project: &Project, token: Option<&str>) -> Output {
        let address = &self.address;
        let mut command = project.command(&["run"]);
        command
            .env("CI_API_V4_URL", format!("http://{address}/api/v4"))
            .env("CI_PROJECT_ID", "7")
            .env("GITEA_ACTIONS", "true")
            .env("GITHUB_API_URL", format!("http://{address}/api/v1"))
            .env("GITHUB_REPOSITORY", "o/r");
        if let Some(token) = token {
            command.env("CI_JOB_TOKEN", token).env("GITEA_TOKEN", token);
        }
        project.output(&mut command)
    }

    fn made(&self) -> Vec<(String, Value)> {
        self.made.lock().unwrap().clone()
    }
}

/// What is told behind the first line.
fn end(out: &Output) -> String {
    out.stdout
        .lines()
        .skip(1)
        .map(|l| format!("{l}\n"))
        .collect()
}

/// A repository with something to release at this forge.
fn at(forge: &str) -> Project {
    let project = repository(&format!(
        "pipeline app\nversion next semantic=conventional-commits\nstage release {{\n    release next forge={forge}\n}}\n"
    ));
    commit(&project, "feat: pages");
    push(&project);
    project
}

#[test]
fn gitlab_and_gitea_get_a_release_once() {
    for (name, forge, text, login) in [
        ("gitlab", Forge::gitlab(), "description", "job-token: t-1"),
        ("gitea", Forge::gitea(), "body", "authorization: token t-1"),
    ] {
        let project = at(name);
        let shown = if name == "gitlab" { "GitLab" } else { "Gitea" };
        let out = forge.run(&project, Some("t-1")).exits(0);
        let line = format!("release-next | {shown} has a release of v0.1.0 now\n");
        assert!(out.stdout.contains(&line), "{out:?}");
        let again = forge.run(&project, Some("t-1")).exits(0);
        let line = format!("release-next | {shown} has a release of v0.1.0\n");
        assert!(again.stdout.contains(&line), "{again:?}");
        let made = forge.made();
        assert_eq!(made.len(), 1, "{made:?}");
        let (who, release) = &made[0];
        assert_eq!(who, login);
        assert_eq!(release["tag_name"], "v0.1.0");
        assert_eq!(release["name"], "v0.1.0");
        let notes = release[text].as_str().unwrap();
        assert!(notes.starts_with("### Features\n\n- pages ("), "{notes}");
    }
}

#[test]
fn a_forge_that_refuses_leaves_a_tag_and_a_run_that_mends_it() {
    let (project, forge) = (at("gitlab"), Forge::gitlab());
    forge.instead.store(403, Ordering::SeqCst);
    let out = forge.run(&project, Some("t-1")).exits(1);
    assert_snapshot!(end(&out), @"
    release-next | v0.1.0 is tagged on origin
          failed release-next  [t]  v0.1.0 is tagged, and GitLab has no release of it: it answers 403…

    ── release-next ──────────────────────────────────────────────────────────────
    v0.1.0 is tagged on origin
    ── 1 line ────────────────────────────────────────────────────────────────────
     v0.1.0 is tagged, and GitLab has no release of it: it answers 403: no room   defined at pipeline.kdl:4
     hint mend that and run again: the tag is not made twice, and what is missing is made

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 release-next
       again      pipe run release-next --yes
    ");
    forge.instead.store(503, Ordering::SeqCst);
    let out = forge.run(&project, Some("t-1")).exits(3);
    assert!(
        out.stdout.contains(
            " v0.1.0 is tagged, and GitLab has no release of it: it answers 503: no room "
        ),
        "{out:?}"
    );
    forge.instead.store(0, Ordering::SeqCst);
    let _ = forge.run(&project, Some("t-1")).exits(0);
    assert_eq!(forge.made().len(), 1);
}

#[test]
fn without_a_token_nothing_begins() {
    let (project, forge) = (at("gitea"), Forge::gitea());
    let out = forge.run(&project, None).exits(1);
    assert_snapshot!(end(&out), @"
          failed release-next  [t]  there is no token for Gitea

    ── release-next ──────────────────────────────────────────────────────────────
    ── it wrote nothing ──────────────────────────────────────────────────────────
     there is no token for Gitea   defined at pipeline.kdl:4
     hint set GITEA_TOKEN to an access token that may write the repository; in Gitea Actions GITHUB_TOKEN will do; nothing was changed

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 release-next
       again      pipe run release-next --yes
    ");
    assert_eq!(project.run_git(&["tag"]), "");
    assert!(forge.made().is_empty());
}

#[test]
fn a_remote_that_is_no_forge_is_said_before_anything_begins() {
    let project = at("gitlab");
    let mut command = project.command(&["run"]);
    let out = project.output(command.env("GITLAB_TOKEN", "t-1")).exits(1);
    assert_snapshot!(end(&out), @"
          failed release-next  [t]  the address of the remote does not say which repository at GitLab…

    ── release-next ──────────────────────────────────────────────────────────────
    ── it wrote nothing ──────────────────────────────────────────────────────────
     the address of the remote does not say which repository at GitLab this is   defined at pipeline.kdl:4
     hint add one, such as `https://gitlab.com/GROUP/PROJECT.git`, or set CI_API_V4_URL and CI_PROJECT_ID; nothing was changed

     failed  1 of 1 step in [t] · 1 failed
       see all    pipe logs 1 release-next
       again      pipe run release-next --yes
    ");
    assert_eq!(project.run_git(&["tag"]), "");
}

#[test]
fn a_text_that_no_forge_writes_is_a_mistake() {
    let project = Project::with(
        "pipeline app\nversion next semantic=conventional-commits\nstage release {\n    release next forge=gitea notes=auto\n    release next notes=auto as=again\n}\n",
    );
    let out = project.pipe(&["check"]).exits(2);
    assert_snapshot!(out.stdout, @"
    E208

      × Gitea writes no texts of releases
       ╭─[pipeline.kdl:4:36]
     3 │ stage release {
     4 │     release next forge=gitea notes=auto
       ·                                    ──┬─
       ·                                      ╰── left to the forge
     5 │     release next notes=auto as=again
       ╰────
      help: write `forge=github`, or leave `notes` out: the text is made of the commits

    E208

      × there is no release at a forge that could have a text
       ╭─[pipeline.kdl:5:24]
     4 │     release next forge=gitea notes=auto
     5 │     release next notes=auto as=again
       ·                        ──┬─
       ·                          ╰── left to the forge
     6 │ }
       ╰────
      help: write `forge=github`, or leave `notes` out: the text is made of the commits

    2 errors in pipeline.kdl
    `pipe explain E208` tells more about a code
    ");
}
