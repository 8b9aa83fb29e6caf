//! Versions and releases in real repositories with a remote: which version is next, who gets it, what is left of a failure.

mod api;
mod forges;
mod github;
mod promoted;

use std::process::Command;

use insta::assert_snapshot;

use crate::support::{Project, has_program, skip};
use github::GitHub;

const PIPELINE: &str = r#"pipeline app
version next semantic=conventional-commits
stage release {
    release next changelog="CHANGELOG.md"
    job note { env V="${version.next}"; run "echo \"version $V\"" }
}
stage docs { when released; job publish { run "echo docs" } }
stage other { job always { run "true" } }
"#;

/// A repository with a remote beside it.
fn repository(pipeline: &str) -> Project {
    let project = Project::with(pipeline).git();
    project.run_git(&["init", "-q", "--bare", "-b", "main", "../remote"]);
    project.run_git(&["remote", "add", "origin", "../remote"]);
    push(&project);
    project
}

/// The same, with something to release at GitHub.
fn at_github() -> Project {
    let pipeline = "pipeline app\nversion next semantic=conventional-commits\nstage release {\n    release next forge=github\n}\n";
    let project = repository(pipeline);
    commit(&project, "feat: pages");
    push(&project);
    project
}

fn push(project: &Project) {
    project.run_git(&["push", "-q", "origin", "HEAD:main"]);
}

fn commit(project: &Project, message: &str) {
    project.run_git(&["commit", "-q", "--allow-empty", "-m", message]);
}

fn remote(project: &Project, args: &[&str]) -> String {
    project.run_git(&[&["--git-dir", "../remote"], args].concat())
}

/// The refs of the remote, without what they point to.
fn refs(project: &Project) -> String {
    remote(
        project,
        &["for-each-ref", "--format=%(refname) %(objecttype)"],
    )
}

#[test]
fn commits_decide_the_version_and_the_changelog_and_the_tag_arrive_together() {
    let project = repository(PIPELINE);
    commit(&project, "feat(api): pages of results");
    commit(&project, "docs: more words");
    push(&project);
    let out = project.pipe(&["run"]).exits(0);
    assert_snapshot!(out.stdout, @"
     pipe 0.1.0  run 1  manual on main dacb74c  4 steps
    release-next | v0.1.0 is tagged on origin
          passed release-next  [t]
    note         | version 0.1.0
          passed note  [t]
    publish      | docs
          passed publish  [t]
          passed always  [t]

     ok  4 steps in [t] · 4 passed
    ");
    assert_eq!(
        refs(&project),
        "refs/heads/main commit\nrefs/tags/v0.1.0 tag\n"
    );
    let log = remote(&project, &["log", "--format=%s", "main"]);
    assert_eq!(
        log,
        "chore(release): v0.1.0 [skip ci]\ndocs: more words\nfeat(api): pages of results\nfirst\n"
    );
    let text = remote(&project, &["show", "v0.1.0:CHANGELOG.md"]);
    let (head, day) = text.split_once(" (").unwrap();
    assert_eq!(head, "# Changelog\n\n## v0.1.0");
    assert!(
        day.contains("\n### Features\n\n- **api:** pages of results ("),
        "{text}"
    );
    // The checkout is as it was.
    assert_eq!(
        project.run_git(&["status", "--porcelain", "--", "CHANGELOG.md"]),
        ""
    );
    assert!(!project.path("CHANGELOG.md").exists());
}

#[test]
fn a_commit_is_released_once_and_its_changelog_never() {
    let project = repository(PIPELINE);
    commit(&project, "fix: a");
    push(&project);
    let _ = project.pipe(&["run"]).exits(0);
    let before = refs(&project);
    let again = project.pipe(&["run"]).exits(0);
    assert!(
        again
            .stdout
            .contains("release-next | v0.1.0 was released before\n"),
        "{again:?}"
    );
    assert!(
        again.stdout.contains("note         | version 0.1.0\n"),
        "{again:?}"
    );
    project.run_git(&["pull", "-q", "origin", "main"]);
    let changelog = project.pipe(&["run"]).exits(0);
    let sha = project.run_git(&["rev-parse", "--short", "HEAD"]);
    assert_snapshot!(changelog.stdout.replace(sha.trim(), "[sha]"), @"
     pipe 0.1.0  run 3  manual on main [sha]  4 steps
         skipped release-next  this commit is the changelog of a release
         skipped note  release-next had nothing to do
         skipped publish  release-next had nothing to do
          passed always  [t]

     ok  4 steps in [t] · 1 passed · 3 not needed
    ");
    commit(&project, "docs: b");
    let nothing = project.pipe(&["run"]).exits(0);
    let line = "skipped release-next  no commit since v0.1.0 asks for a release\n";
    assert!(nothing.stdout.contains(line), "{nothing:?}");
    assert_eq!(refs(&project), before);
}

#[test]
fn a_branch_that_has_moved_meanwhile_is_not_released() {
    let project = repository(PIPELINE);
    commit(&project, "feat: a");
    push(&project);
    project.run_git(&["clone", "-q", "../remote", "../other"]);
    let other = ["-C", "../other"];
    project.run_git(
        &[
            &other[..],
            &["commit", "-q", "--allow-empty", "-m", "feat: b"],
        ]
        .concat(),
    );
    project.run_git(&[&other[..], &["push", "-q", "origin", "HEAD:main"]].concat());
    let before = refs(&project);
    let out = project.pipe(&["run", "--yes", "release-next"]).exits(1);
    assert!(
        out.stdout.contains("the release could not be published: "),
        "{out:?}"
    );
    let hint =
        " hint nothing was changed; if the branch has moved meanwhile, run on its new commit\n";
    assert!(out.stdout.contains(hint), "{out:?}");
    assert_eq!(refs(&project), before);
    assert_eq!(project.run_git(&["tag"]), "");
}

#[test]
fn a_shallow_checkout_is_not_released() {
    let project = repository(PIPELINE);
    commit(&project, "feat: a");
    push(&project);
    let from = format!(
        "file://{}",
        project.path("../remote").canonicalize().unwrap().display()
    );
    project.run_git(&["clone", "-q", "--depth=1", &from, "shallow"]);
    let mut run = project.command(&["run", "--yes", "release-next"]);
    let out = project
        .output(run.current_dir(project.path("shallow")))
        .exits(1);
    let hint = " hint fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` in a GitHub workflow\n";
    assert!(out.stdout.contains(hint), "{out:?}");
}

#[test]
fn of_many_who_release_on_one_day_each_gets_a_number_of_its_own() {
    const PIPELINE: &str = "pipeline app\nversion day calver=\"vYY.MM.DD.i\"\nstage release {\n    release day annotated=#false\n}\n";
    let project = repository(PIPELINE);
    let clones: Vec<String> = (0..8).map(|n| format!("clone{n}")).collect();
    for clone in &clones {
        project.run_git(&["clone", "-q", "../remote", clone]);
        project.run_git(&["-C", clone, "commit", "-q", "--allow-empty", "-m", clone]);
    }
    let running: Vec<std::process::Child> = clones
        .iter()
        .map(|clone| {
            let mut command = project.command(&["run"]);
            command.current_dir(project.path(clone));
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let tags = remote(&project, &["tag"]);
    let mut numbers: Vec<u32> = tags
        .lines()
        .map(|t| t.rsplit('.').next().unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    // Around midnight there may be two days.
    let days: std::collections::BTreeSet<&str> = tags
        .lines()
        .map(|t| t.rsplit_once('.').unwrap().0)
        .collect();
    match days.len() {
        1 => assert_eq!(numbers, (1..=8).collect::<Vec<_>>()),
        _ => assert_eq!(numbers.len(), 8, "{tags}"),
    }
}

#[test]
fn a_version_of_a_file_is_known_before_the_run() {
    let pipeline = r#"pipeline app
version app from="package.json"
stage release {
    job show { env V="${version.app}"; run "echo \"$V\"" }
    release app
}
"#;
    let project = repository(pipeline);
    let missing = project.pipe(&["plan"]).exits(2);
    assert_snapshot!(missing.stderr, @"
    E409

      × `${version.app}` has no value in this run
       ╭─[pipeline.kdl:4:23]
     3 │ stage release {
     4 │     job show { env V=\"${version.app}\"; run \"echo \\\"$V\\\"\" }
       ·                       ───────┬──────
       ·                              ╰── used by show; package.json is not there
     5 │     release app
       ╰────
      help: restrict the step with `when`, or say what to take instead: `${version.app.default('…')}`

    1 error in pipeline.kdl
    `pipe explain E409` tells more about a code
    ");
    project.write("package.json", "{\"version\": \"1.4.0\"}");
    let out = project.pipe(&["run"]).exits(0);
    assert!(out.stdout.contains("show        | 1.4.0\n"), "{out:?}");
    assert_eq!(remote(&project, &["tag"]), "v1.4.0\n");
    commit(&project, "feat: more");
    let again = project.pipe(&["run", "--yes", "release-app"]).exits(1);
    assert!(
        again
            .stdout
            .contains(" v1.4.0 is the tag of another commit, "),
        "{again:?}"
    );
    assert!(
        again
            .stdout
            .contains(" hint raise the version in package.json\n"),
        "{again:?}"
    );
}

#[test]
fn without_a_remote_the_tag_is_made_here() {
    let project = Project::with(PIPELINE).git();
    commit(&project, "feat!: a");
    let _ = project.pipe(&["run"]).exits(0);
    assert_eq!(project.run_git(&["tag"]), "v0.1.0\n");
    assert_eq!(
        project.run_git(&["log", "-1", "--format=%s"]),
        "chore(release): v0.1.0 [skip ci]\n"
    );
}

#[test]
fn github_gets_a_release_once() {
    if !has_program("gh") {
        return skip("there is no `gh`");
    }
    let project = at_github();
    let github = GitHub::start(&project);
    let run = || {
        let mut command = project.command(&["run"]);
        project.output(command.envs(github.environment()))
    };
    let out = run().exits(0);
    assert!(
        out.stdout
            .contains("release-next | v0.1.0 is tagged on origin\n"),
        "{out:?}"
    );
    let again = run().exits(0);
    assert!(
        again
            .stdout
            .contains("release-next | GitHub has a release of v0.1.0\n"),
        "{again:?}"
    );
    let releases = github.releases();
    assert_eq!(releases.len(), 1, "{releases:?}");
    assert_eq!(releases[0]["tag_name"], "v0.1.0");
    let body = releases[0]["body"].as_str().unwrap();
    assert!(body.starts_with("### Features\n\n- pages ("), "{body}");
}

#[test]
fn what_github_refuses_leaves_a_tag_and_says_so() {
    if !has_program("gh") {
        return skip("there is no `gh`");
    }
    let project = at_github();
    let github = GitHub::start(&project);
    github.refuse(true);
    let mut command = project.command(&["run"]);
    let out = project.output(command.envs(github.environment())).exits(1);
    assert!(
        out.stdout
            .contains(" v0.1.0 is tagged, and GitHub has no release of it"),
        "{out:?}"
    );
    github.refuse(false);
    let mut command = project.command(&["run"]);
    let _ = project.output(command.envs(github.environment())).exits(0);
    assert_eq!(github.releases().len(), 1);
}

#[test]
fn without_the_forges_program_nothing_begins() {
    let pipeline = "pipeline app\nversion next semantic=conventional-commits\nstage release {\n    release next forge=github\n}\n";
    let project = repository(pipeline);
    commit(&project, "feat: pages");
    // A folder with git and nothing else.
    let programs = project.path("../programs");
    std::fs::create_dir(&programs).unwrap();
    let which = Command::new("sh")
        .args(["-c", "command -v git"])
        .output()
        .unwrap();
    let git = String::from_utf8(which.stdout).unwrap();
    std::os::unix::fs::symlink(git.trim(), programs.join("git")).unwrap();
    let mut command = project.command(&["run"]);
    let out = project.output(command.env("PATH", &programs)).exits(1);
    let hint = " hint install GitHub's `gh`, or write `forge=none`; nothing was changed\n";
    assert!(out.stdout.contains(hint), "{out:?}");
    assert_eq!(project.run_git(&["tag"]), "");
}
