//! Buildkite's environments.

use super::*;

const BUILD: Variables<'_> = &[
    ("CI", "true"),
    ("BUILDKITE", "true"),
    ("BUILDKITE_BUILD_AUTHOR", "Ann"),
    ("BUILDKITE_BUILD_AUTHOR_EMAIL", "ann@example.com"),
    ("BUILDKITE_BUILD_NUMBER", "1514"),
    (
        "BUILDKITE_BUILD_URL",
        "https://buildkite.com/acme/app/builds/1514",
    ),
    ("BUILDKITE_COMMIT", SHA),
    ("BUILDKITE_MESSAGE", "fix it"),
    ("BUILDKITE_REPO", "git@github.com:acme/app.git"),
];

fn buildkite() -> Ci {
    Ci {
        provider: Some(Provider::Buildkite),
        sha: text(SHA),
        author: text("Ann <ann@example.com>"),
        message: text("fix it"),
        build_url: text("https://buildkite.com/acme/app/builds/1514"),
        run_number: text("1514"),
        ..Ci::default()
    }
}

#[test]
fn what_started_a_build_on_buildkite_is_its_event() {
    for (source, tag, event) in [
        ("webhook", "", Event::Push),
        ("webhook", "v1", Event::Tag),
        ("schedule", "", Event::Schedule),
        ("ui", "", Event::Manual),
        ("trigger_job", "", Event::Manual),
    ] {
        let more = [
            ("BUILDKITE_SOURCE", source),
            ("BUILDKITE_TAG", tag),
            ("BUILDKITE_BRANCH", "main"),
            ("BUILDKITE_PULL_REQUEST", "false"),
        ];
        let tag = Some(tag.to_owned()).filter(|tag| !tag.is_empty());
        let branch = if tag.is_some() { None } else { text("main") };
        let expected = Ci {
            event: Some(event),
            branch,
            tag,
            ..buildkite()
        };
        assert_eq!(read_from(&[BUILD, &more]), Some(expected), "{source}");
    }
}

#[test]
fn a_pull_request_on_buildkite_is_trusted_when_it_comes_from_the_same_repository() {
    for (branch, from, trust) in [
        ("fix", "git://github.com/acme/app.git", Trust::Yes),
        ("fix", "https://token@github.com/Acme/App", Trust::Yes),
        ("fix", "git://github.com/eve/app.git", Trust::No),
        ("fix", "git://evil.example/acme/app.git", Trust::No),
        ("eve:fix", "git://github.com/acme/app.git", Trust::No),
    ] {
        let more = [
            ("BUILDKITE_SOURCE", "webhook"),
            ("BUILDKITE_BRANCH", branch),
            ("BUILDKITE_PULL_REQUEST", "12"),
            ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
            ("BUILDKITE_PULL_REQUEST_REPO", from),
        ];
        let expected = Ci {
            event: Some(Event::PullRequest),
            trust,
            branch: text("fix"),
            pr: pull(12, "main"),
            ..buildkite()
        };
        assert_eq!(
            read_from(&[BUILD, &more]),
            Some(expected),
            "{branch} {from}"
        );
    }
}

#[test]
fn a_commit_that_buildkite_has_not_resolved_is_left_to_git() {
    let variables = [("BUILDKITE", "true"), ("BUILDKITE_COMMIT", "HEAD")];
    let expected = Ci {
        provider: Some(Provider::Buildkite),
        event: Some(Event::Manual),
        ..Ci::default()
    };
    assert_eq!(read_from(&[&variables]), Some(expected));
}
