//! Contexts in real repositories.

use super::*;
use crate::world::testing::{Place, path_of};

const ANN: &str = "Ann Author <ann@example.com>";

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// A manual run on a laptop, on `main`.
fn laptop(sha: &str) -> Context {
    Context {
        event: Event::Manual,
        provider: None,
        trusted: true,
        git: GitInfo {
            sha: text(sha),
            branch: text("main"),
            git_ref: text("refs/heads/main"),
            author: text(ANN),
            message: text("first\n\nbody"),
            ..GitInfo::default()
        },
        pr: None,
        build_url: None,
        run_number: None,
        base: None,
    }
}

/// The same where git cannot say anything.
fn nothing() -> Context {
    Context {
        git: GitInfo::default(),
        ..laptop("")
    }
}

fn no_flags() -> Flags {
    Flags::default()
}

fn refused(flags: &Flags) -> (String, String) {
    let error = context(Path::new("/"), &|_| None, flags, true).unwrap_err();
    (error.to_string(), error.remedy())
}

#[test]
fn a_laptop_is_manual_on_the_current_branch() {
    let place = Place::repository();
    assert_eq!(
        place.context(&[], &no_flags()),
        (laptop(&place.head()), vec![])
    );
}

#[test]
fn a_directory_without_repository_has_no_commit_and_a_note() {
    let place = Place::empty();
    let root = place.root().display();
    let note = format!(
        "the commit is not known: `{root}` is not in a git repository (run `git init`, or check \
         the repository out)"
    );
    assert_eq!(place.context(&[], &no_flags()), (nothing(), vec![note]));
}

#[test]
fn a_machine_without_git_has_the_commit_and_a_note_where_that_is_not_enough() {
    let place = Place::repository();
    let sha = place.head();
    let git = "git is not installed: there is no `git` in PATH (install git, or put its directory into PATH)";
    let path = [("PATH", "/nowhere")];
    let mut expected = laptop(&sha);
    (expected.git.author, expected.git.message) = (None, None);
    let note = format!("author and message of {sha} are not known: {git}");
    assert_eq!(place.context(&path, &no_flags()), (expected, vec![note]));
    let place = Place::unborn();
    let note = format!("the commit is not known: {git}");
    assert_eq!(place.context(&path, &no_flags()), (nothing(), vec![note]));
}

#[test]
fn a_branch_without_commits_is_still_the_branch() {
    let place = Place::unborn();
    let git = GitInfo {
        branch: text("main"),
        git_ref: text("refs/heads/main"),
        ..GitInfo::default()
    };
    let note = "the commit is not known: the branch has no commit yet (make a first commit)";
    let expected = Context { git, ..laptop("") };
    assert_eq!(
        place.context(&[], &no_flags()),
        (expected, vec![note.into()])
    );
}

#[test]
fn a_detached_head_has_no_branch_and_its_commit_as_ref() {
    let place = Place::repository();
    place.run(&["tag", "v1"]);
    place.run(&["checkout", "--quiet", "v1"]);
    let mut expected = laptop(&place.head());
    expected.git.branch = None;
    expected.git.git_ref = text(&place.head());
    assert_eq!(place.context(&[], &no_flags()), (expected, vec![]));
}

#[test]
fn a_worktree_is_on_its_own_branch() {
    let place = Place::repository();
    place.run(&["worktree", "add", "--quiet", "-b", "side", "../side"]);
    let place = place.at("side");
    let mut expected = laptop(&place.head());
    expected.git.branch = text("side");
    expected.git.git_ref = text("refs/heads/side");
    assert_eq!(place.context(&[], &no_flags()), (expected, vec![]));
}

#[test]
fn a_shallow_clone_says_that_it_is_one() {
    let place = Place::shallow();
    let mut expected = laptop(&place.head());
    expected.git.message = text("second");
    expected.git.shallow = true;
    assert_eq!(place.context(&[], &no_flags()), (expected, vec![]));
}

#[test]
fn git_is_called_only_where_somebody_asks() {
    let place = Place::repository();
    let script = format!(
        "echo x >>'{}/calls'; PATH='{}' exec git \"$@\"",
        place.root().display(),
        path_of()
    );
    let bin = place
        .program("bin/git", &script)
        .parent()
        .unwrap()
        .display()
        .to_string();
    let calls = |told: bool| {
        let env = |name: &str| match name {
            "PATH" => Some(bin.clone()),
            name => place.env(name),
        };
        let (context, notes) = context(place.root(), &env, &no_flags(), told).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(context.git.sha, text(&place.head()));
        assert_eq!(context.git.author, text(ANN).filter(|_| told));
        let calls = std::fs::read_to_string(place.root().join("calls"));
        calls.unwrap_or_default().lines().count()
    };
    assert_eq!(calls(false), 0);
    assert_eq!(calls(true), 1);
}

#[test]
fn an_evil_branch_name_is_only_ever_a_string() {
    let place = Place::repository();
    let branch = r#"x";touch${IFS}PWNED;#"#;
    place.run(&["checkout", "--quiet", "-b", branch]);
    let mut expected = laptop(&place.head());
    expected.git.branch = text(branch);
    expected.git.git_ref = Some(format!("refs/heads/{branch}"));
    assert_eq!(place.context(&[], &no_flags()), (expected, vec![]));
    assert!(!place.root().join("PWNED").exists());
}

#[test]
fn flags_win_over_the_repository() {
    let place = Place::repository();
    let first = place.head();
    place.commit("README", "second");
    let flags = Flags {
        event: Some(Event::Push),
        branch: text("prod"),
        sha: text(&first[..8]),
        base: text("HEAD~1"),
        ..no_flags()
    };
    let mut expected = laptop(&first);
    expected.event = Event::Push;
    expected.git.branch = text("prod");
    expected.git.git_ref = text("refs/heads/prod");
    expected.base = text("HEAD~1");
    let head = place.head();
    let note = format!("the run is for commit {first}, but {head} is checked out");
    assert_eq!(place.context(&[], &flags), (expected, vec![note]));
}

#[test]
fn flags_imply_their_event() {
    let place = Place::repository();
    let mut expected = laptop(&place.head());
    expected.event = Event::PullRequest;
    let source = text("main");
    expected.pr = Some(PullRequest {
        number: Some(7),
        source,
        target: text("release/1"),
    });
    let flags = Flags {
        into: text("release/1"),
        pr: Some(7),
        ..no_flags()
    };
    assert_eq!(place.context(&[], &flags), (expected, vec![]));

    let mut expected = laptop(&place.head());
    expected.event = Event::Tag;
    expected.git.branch = None;
    expected.git.tag = text("v1");
    expected.git.git_ref = text("refs/tags/v1");
    let flags = Flags {
        tag: text("v1"),
        ..no_flags()
    };
    assert_eq!(place.context(&[], &flags), (expected, vec![]));
}

const FORK: &[(&str, &str)] = &[
    ("JENKINS_URL", "https://jenkins.example/"),
    ("CHANGE_ID", "8"),
    ("CHANGE_TARGET", "main"),
    ("CHANGE_BRANCH", "fix"),
    ("CHANGE_FORK", "eve"),
];

fn fork(sha: &str) -> Context {
    let mut expected = laptop(sha);
    expected.event = Event::PullRequest;
    expected.provider = Some(Provider::Jenkins);
    expected.trusted = false;
    expected.git.branch = text("fix");
    expected.git.git_ref = text("refs/heads/fix");
    let (source, target) = (text("fix"), text("main"));
    expected.pr = Some(PullRequest {
        number: Some(8),
        source,
        target,
    });
    expected
}

#[test]
fn a_pull_request_from_a_fork_is_not_trusted() {
    let place = Place::repository();
    assert_eq!(
        place.context(FORK, &no_flags()),
        (fork(&place.head()), vec![])
    );
}

#[test]
fn no_flag_makes_a_fork_trusted() {
    let place = Place::repository();
    let push = Some(Event::Push);
    let flags = Flags {
        event: push,
        branch: text("main"),
        ..no_flags()
    };
    let mut expected = laptop(&place.head());
    expected.event = Event::Push;
    expected.provider = Some(Provider::Jenkins);
    expected.trusted = false;
    assert_eq!(place.context(FORK, &flags), (expected, vec![]));
}

#[test]
fn an_unknown_ci_is_trusted_once_its_configuration_says_the_event() {
    let place = Place::repository();
    let mut expected = laptop(&place.head());
    expected.provider = Some(Provider::Other);
    expected.trusted = false;
    let note = "this run is not trusted, as the CI does not say what it is for: no secrets, no \
                targets; `--event push --branch NAME` in the CI's configuration says it";
    let (known, notes) = place.context(&[("CI", "true")], &no_flags());
    assert_eq!((&known, notes), (&expected, vec![note.to_owned()]));
    let flags = Flags {
        event: Some(Event::Manual),
        ..no_flags()
    };
    expected.trusted = true;
    assert_eq!(place.context(&[("CI", "true")], &flags), (expected, vec![]));
}

#[test]
fn a_commit_that_is_not_in_the_clone_keeps_its_id_and_loses_its_author() {
    let place = Place::repository();
    let sha = "1".repeat(40);
    let variables = [("GITLAB_CI", "true"), ("CI_COMMIT_SHA", &sha)];
    let mut expected = laptop(&sha);
    expected.provider = Some(Provider::GitLab);
    (expected.git.author, expected.git.message) = (None, None);
    let note =
        format!("author and message of {sha} are not known: `git log` failed: bad object {sha}");
    assert_eq!(
        place.context(&variables, &no_flags()),
        (expected, vec![note])
    );
}

#[test]
fn flags_that_contradict_each_other_are_refused_with_a_remedy() {
    let (v1, main) = (text("v1"), text("main"));
    let cases = [
        (
            Flags {
                tag: v1.clone(),
                branch: main.clone(),
                ..no_flags()
            },
            (
                "`--tag` and `--branch` exclude each other",
                "a run is for a branch or for a tag: leave one out",
            ),
        ),
        (
            Flags {
                tag: v1.clone(),
                pr: Some(1),
                ..no_flags()
            },
            (
                "`--tag` and `--pr` exclude each other",
                "a pull request has no tag: leave one out",
            ),
        ),
        (
            Flags {
                tag: v1,
                event: Some(Event::Push),
                ..no_flags()
            },
            (
                "`--tag` and `--event push` exclude each other",
                "a pushed tag is `--event tag`",
            ),
        ),
        (
            Flags {
                branch: main.clone(),
                event: Some(Event::Tag),
                ..no_flags()
            },
            (
                "`--branch` and `--event tag` exclude each other",
                "a pushed branch is `--event push`",
            ),
        ),
        (
            Flags {
                into: main,
                event: Some(Event::Push),
                ..no_flags()
            },
            (
                "`--into` and `--event push` exclude each other",
                "use `--event pull-request`",
            ),
        ),
        (
            Flags {
                event: Some(Event::Tag),
                ..no_flags()
            },
            (
                "the event `tag` needs the tag's name",
                "add `--tag NAME`, or name another event",
            ),
        ),
    ];
    for (flags, (error, remedy)) in cases {
        assert_eq!(refused(&flags), (error.to_owned(), remedy.to_owned()));
    }
}

#[test]
fn flags_that_are_no_names_are_refused() {
    let name = "give the name as `git branch` or `git tag` list it";
    let cases = [
        (
            Flags {
                branch: text("--upload-pack=x"),
                ..no_flags()
            },
            r#"`--branch "--upload-pack=x"`: it begins with `-`"#,
            name,
        ),
        (
            Flags {
                tag: text("v1\u{1b}[2J"),
                ..no_flags()
            },
            r#"`--tag "v1\u{1b}[2J"`: it contains a control character"#,
            name,
        ),
        (
            Flags {
                into: text("a..b"),
                ..no_flags()
            },
            r#"`--into "a..b"`: it contains `..`"#,
            name,
        ),
        (
            Flags {
                sha: text("HEAD"),
                ..no_flags()
            },
            r#"`--sha "HEAD"`: it is no commit id"#,
            "give the id that `git log` prints",
        ),
        (
            Flags {
                base: text("--all"),
                ..no_flags()
            },
            r#"`--base "--all"`: it begins with `-`"#,
            "give a commit id, a branch, a tag or `HEAD~1`",
        ),
    ];
    for (flags, error, remedy) in cases {
        assert_eq!(refused(&flags), (error.to_owned(), remedy.to_owned()));
    }
}

#[test]
fn a_context_survives_being_written_down() {
    let context = fork("83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d");
    let written = serde_json::to_string(&context).unwrap();
    assert_eq!(
        written,
        concat!(
            r#"{"event":"pull-request","provider":"jenkins","trusted":false,"#,
            r#""git":{"sha":"83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d","branch":"fix","#,
            r#""tag":null,"ref":"refs/heads/fix","author":"Ann Author <ann@example.com>","#,
            r#""message":"first\n\nbody","dirty":null,"shallow":false},"#,
            r#""pr":{"number":8,"source":"fix","target":"main"},"#,
            r#""build_url":null,"run_number":null,"base":null}"#
        )
    );
    assert_eq!(serde_json::from_str::<Context>(&written).unwrap(), context);
}
