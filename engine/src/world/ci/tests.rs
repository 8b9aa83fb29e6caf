//! Environments as the CIs make them, and what we read from them.

use std::collections::BTreeSet;

use super::*;

mod buildkite;
mod github;

const SHA: &str = "83a20ec058e2fb00e7fa4558c4c6e81e2dcf253d";
const BASE: &str = "1111111111111111111111111111111111111111";
const ZERO: &str = "0000000000000000000000000000000000000000";

type Variables<'a> = &'a [(&'a str, &'a str)];

fn lookup(variables: Variables<'_>, name: &str) -> Option<String> {
    let set = variables.iter().find(|(key, _)| *key == name);
    set.map(|(_, value)| (*value).to_owned())
}

fn read_from(variables: &[Variables<'_>]) -> Option<Ci> {
    let variables = variables.concat();
    read(&|name| lookup(&variables, name))
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn pull(number: u64, target: &str) -> Option<PullRequest> {
    pull_request(Some(number), text(target))
}

const GITLAB: Variables<'_> = &[
    ("CI", "true"),
    ("GITLAB_CI", "true"),
    ("CI_COMMIT_SHA", SHA),
    ("CI_COMMIT_AUTHOR", "Ann <ann@example.com>"),
    ("CI_COMMIT_MESSAGE", "fix it"),
    (
        "CI_PIPELINE_URL",
        "https://gitlab.example/g/p/-/pipelines/7",
    ),
    ("CI_PIPELINE_IID", "7"),
];

fn gitlab() -> Ci {
    Ci {
        provider: Some(Provider::GitLab),
        sha: text(SHA),
        author: text("Ann <ann@example.com>"),
        message: text("fix it"),
        build_url: text("https://gitlab.example/g/p/-/pipelines/7"),
        run_number: text("7"),
        ..Ci::default()
    }
}

const MERGE_REQUEST: Variables<'_> = &[
    ("CI_PIPELINE_SOURCE", "merge_request_event"),
    ("CI_COMMIT_BEFORE_SHA", ZERO),
    ("CI_MERGE_REQUEST_IID", "3"),
    ("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/3/head"),
    ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "fix"),
    ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
    ("CI_MERGE_REQUEST_PROJECT_ID", "1"),
    ("CI_MERGE_REQUEST_DIFF_BASE_SHA", BASE),
];

fn merge_request() -> Ci {
    Ci {
        event: Some(Event::PullRequest),
        branch: text("fix"),
        git_ref: text("refs/merge-requests/3/head"),
        pr: pull(3, "main"),
        base: text(BASE),
        ..gitlab()
    }
}

#[test]
fn a_merge_request_inside_of_a_gitlab_project_is_trusted() {
    let inside = &[("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "1")];
    assert_eq!(
        read_from(&[GITLAB, MERGE_REQUEST, inside]),
        Some(merge_request())
    );
}

#[test]
fn a_merge_request_from_a_fork_on_gitlab_is_not_trusted() {
    let fork = &[("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "10")];
    let expected = Ci {
        trust: Trust::No,
        ..merge_request()
    };
    assert_eq!(read_from(&[GITLAB, MERGE_REQUEST, fork]), Some(expected));
}

#[test]
fn the_head_of_a_merged_results_pipeline_is_the_real_one() {
    let head = "2222222222222222222222222222222222222222";
    let more = &[
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "1"),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", head),
    ];
    let expected = Ci {
        sha: text(head),
        ..merge_request()
    };
    assert_eq!(read_from(&[GITLAB, MERGE_REQUEST, more]), Some(expected));
}

#[test]
fn an_external_pull_request_on_gitlab_compares_its_repositories() {
    let external = |from: &'static str| {
        [
            ("CI_PIPELINE_SOURCE", "external_pull_request_event"),
            ("CI_EXTERNAL_PULL_REQUEST_IID", "4"),
            ("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY", from),
            ("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY", "acme/app"),
            ("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME", "fix"),
            ("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA", BASE),
            ("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME", "main"),
        ]
    };
    let expected = Ci {
        event: Some(Event::PullRequest),
        sha: text(BASE),
        branch: text("fix"),
        pr: pull(4, "main"),
        ..gitlab()
    };
    assert_eq!(
        read_from(&[GITLAB, &external("acme/app")]),
        Some(expected.clone())
    );
    let fork = Ci {
        trust: Trust::No,
        ..expected
    };
    assert_eq!(read_from(&[GITLAB, &external("eve/app")]), Some(fork));
}

#[test]
fn a_push_on_gitlab_knows_the_commit_before_it_unless_the_branch_is_new() {
    let push = |before: &'static str| {
        [
            ("CI_PIPELINE_SOURCE", "push"),
            ("CI_COMMIT_BRANCH", "main"),
            ("CI_COMMIT_BEFORE_SHA", before),
        ]
    };
    let new = Ci {
        event: Some(Event::Push),
        branch: text("main"),
        ..gitlab()
    };
    assert_eq!(read_from(&[GITLAB, &push(ZERO)]), Some(new.clone()));
    assert_eq!(
        read_from(&[GITLAB, &push(BASE)]),
        Some(Ci {
            base: text(BASE),
            ..new
        })
    );
}

#[test]
fn tags_schedules_and_buttons_on_gitlab_are_told_apart() {
    let tag: Variables<'_> = &[("CI_COMMIT_TAG", "v1"), ("CI_COMMIT_REF_NAME", "v1")];
    let branch: Variables<'_> = &[("CI_COMMIT_REF_NAME", "main")];
    for (source, names, event) in [
        ("push", tag, Event::Tag),
        ("web", tag, Event::Manual),
        ("web", branch, Event::Manual),
        ("schedule", branch, Event::Schedule),
    ] {
        let (tagged, more) = (names == tag, [("CI_PIPELINE_SOURCE", source)]);
        let expected = Ci {
            event: Some(event),
            tag: tagged.then(|| "v1".into()),
            branch: (!tagged).then(|| "main".into()),
            ..gitlab()
        };
        assert_eq!(
            read_from(&[GITLAB, names, &more]),
            Some(expected),
            "{source}"
        );
    }
}

const JOB: Variables<'_> = &[
    ("JENKINS_URL", "https://jenkins.example/"),
    ("BUILD_URL", "https://jenkins.example/job/app/5/"),
    ("BUILD_NUMBER", "5"),
    ("GIT_COMMIT", SHA),
    ("GIT_PREVIOUS_COMMIT", BASE),
];

fn jenkins() -> Ci {
    Ci {
        provider: Some(Provider::Jenkins),
        sha: text(SHA),
        build_url: text("https://jenkins.example/job/app/5/"),
        run_number: text("5"),
        ..Ci::default()
    }
}

#[test]
fn a_branch_and_a_tag_of_a_jenkins_multibranch_job_are_push_and_tag() {
    let push = Ci {
        event: Some(Event::Push),
        branch: text("main"),
        base: text(BASE),
        ..jenkins()
    };
    assert_eq!(read_from(&[JOB, &[("BRANCH_NAME", "main")]]), Some(push));
    let tag = Ci {
        event: Some(Event::Tag),
        tag: text("v1"),
        ..jenkins()
    };
    assert_eq!(
        read_from(&[JOB, &[("BRANCH_NAME", "v1"), ("TAG_NAME", "v1")]]),
        Some(tag)
    );
}

#[test]
fn a_change_on_jenkins_is_trusted_only_when_it_says_where_it_comes_from() {
    let change: Variables<'_> = &[
        ("BRANCH_NAME", "PR-8"),
        ("CHANGE_ID", "8"),
        ("CHANGE_TARGET", "main"),
    ];
    let branch: Variables<'_> = &[("CHANGE_BRANCH", "fix")];
    let inside = Ci {
        event: Some(Event::PullRequest),
        branch: text("fix"),
        pr: pull(8, "main"),
        ..jenkins()
    };
    assert_eq!(read_from(&[JOB, change, branch]), Some(inside.clone()));
    let fork = Ci {
        trust: Trust::No,
        ..inside
    };
    assert_eq!(
        read_from(&[JOB, change, branch, &[("CHANGE_FORK", "eve")]]),
        Some(fork.clone())
    );
    assert_eq!(
        read_from(&[JOB, change]),
        Some(Ci {
            branch: None,
            ..fork
        })
    );
}

#[test]
fn a_jenkins_job_that_is_not_multibranch_does_not_say_its_event() {
    let expected = Ci {
        trust: Trust::Unknown,
        branch: text("main"),
        notes: vec!["the event is not known: only Jenkins' multibranch jobs say it".into()],
        ..jenkins()
    };
    assert_eq!(
        read_from(&[JOB, &[("GIT_BRANCH", "origin/main")]]),
        Some(expected)
    );
}

const PIPELINE: Variables<'_> = &[
    ("CI", "woodpecker"),
    ("CI_COMMIT_SHA", SHA),
    ("CI_COMMIT_AUTHOR", "ann"),
    ("CI_COMMIT_AUTHOR_EMAIL", "ann@example.com"),
    ("CI_COMMIT_BRANCH", "main"),
    ("CI_COMMIT_MESSAGE", "fix it"),
    ("CI_PIPELINE_NUMBER", "8"),
    ("CI_PIPELINE_URL", "https://ci.example/repos/7/pipeline/8"),
    ("CI_PREV_COMMIT_SHA", BASE),
];

fn woodpecker() -> Ci {
    Ci {
        provider: Some(Provider::Woodpecker),
        sha: text(SHA),
        author: text("ann <ann@example.com>"),
        message: text("fix it"),
        build_url: text("https://ci.example/repos/7/pipeline/8"),
        run_number: text("8"),
        ..Ci::default()
    }
}

#[test]
fn the_events_of_woodpecker_have_ours_as_counterparts() {
    for (name, tag, event, base) in [
        ("push", "", Event::Push, Some(BASE)),
        ("tag", "v1", Event::Tag, None),
        ("release", "v1", Event::Tag, None),
        ("cron", "", Event::Schedule, None),
        ("manual", "", Event::Manual, None),
        ("deployment", "", Event::Manual, None),
    ] {
        let more = [("CI_PIPELINE_EVENT", name), ("CI_COMMIT_TAG", tag)];
        let tag = Some(tag.to_owned()).filter(|tag| !tag.is_empty());
        let expected = Ci {
            event: Some(event),
            branch: if tag.is_some() { None } else { text("main") },
            tag,
            base: base.map(str::to_owned),
            ..woodpecker()
        };
        assert_eq!(read_from(&[PIPELINE, &more]), Some(expected), "{name}");
    }
}

#[test]
fn a_pull_request_on_woodpecker_is_not_trusted_as_its_origin_is_not_said() {
    let more = [
        ("CI_PIPELINE_EVENT", "pull_request"),
        ("CI_COMMIT_REF", "refs/pull/9/head"),
        ("CI_COMMIT_PULL_REQUEST", "9"),
        ("CI_COMMIT_SOURCE_BRANCH", "fix"),
        ("CI_COMMIT_TARGET_BRANCH", "main"),
    ];
    let note = "this run is not trusted: the CI does not say whether the pull request comes from \
                a fork; no secrets, no changes outside";
    let expected = Ci {
        event: Some(Event::PullRequest),
        trust: Trust::No,
        branch: text("fix"),
        git_ref: text("refs/pull/9/head"),
        pr: pull(9, "main"),
        notes: vec![note.into()],
        ..woodpecker()
    };
    assert_eq!(read_from(&[PIPELINE, &more]), Some(expected));
}

#[test]
fn another_ci_is_known_as_one_and_a_laptop_is_none() {
    let other = Ci {
        provider: Some(Provider::Other),
        trust: Trust::Unknown,
        ..Ci::default()
    };
    assert_eq!(read_from(&[&[("CI", "true")]]), Some(other));
    assert_eq!(read_from(&[&[("CI", "false")]]), None);
    assert_eq!(read_from(&[]), None);
}

#[test]
fn malformed_values_are_dropped_with_a_note() {
    let variables = [
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_COMMIT_BRANCH", "--upload-pack=touch PWNED"),
        ("CI_COMMIT_SHA", "HEAD;id"),
        ("CI_PIPELINE_URL", "https://x/\u{1b}[2J"),
    ];
    let notes = vec![
        r#"`CI_PIPELINE_URL` is not used: "https://x/\u{1b}[2J": it contains a control character"#
            .to_owned(),
        r#"`CI_COMMIT_SHA` is not used: "HEAD;id": it is no commit id"#.to_owned(),
        r#"`CI_COMMIT_BRANCH` is not used: "--upload-pack=touch PWNED": it begins with `-`"#
            .to_owned(),
    ];
    let expected = Ci {
        provider: Some(Provider::GitLab),
        event: Some(Event::Push),
        notes,
        ..Ci::default()
    };
    assert_eq!(read_from(&[&variables]), Some(expected));
}

#[test]
fn a_legal_branch_with_the_look_of_a_command_stays_a_string() {
    let branch = r#"x";touch${IFS}PWNED;#"#;
    let variables = [("CI_PIPELINE_SOURCE", "push"), ("CI_COMMIT_BRANCH", branch)];
    let expected = Ci {
        event: Some(Event::Push),
        branch: text(branch),
        ..gitlab()
    };
    assert_eq!(read_from(&[GITLAB, &variables]), Some(expected));
}

#[test]
fn a_run_in_a_job_is_about_the_same_thing_and_no_more_trusted() {
    let around = [
        ("CI", "true"),
        ("PIPE", "true"),
        ("PIPE_EVENT", "push"),
        ("PIPE_BRANCH", "dev"),
        ("PIPE_TAG", ""),
        ("PIPE_SHA", ""),
    ];
    let expected = Ci {
        event: Some(Event::Push),
        branch: text("dev"),
        ..Ci::default()
    };
    let trusted = [("PIPE_TRUSTED", "true")];
    assert_eq!(read_from(&[&around, &trusted]), Some(expected.clone()));
    let stranger = [("PIPE_TRUSTED", "false")];
    let expected = Ci {
        trust: Trust::No,
        ..expected
    };
    assert_eq!(read_from(&[&around, &stranger]), Some(expected));
}

#[test]
fn every_variable_that_is_read_is_in_the_table_and_the_table_has_no_other() {
    let asked = RefCell::new(BTreeSet::new());
    let ask = |variables: Variables<'_>| {
        read(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            lookup(variables, name)
        });
    };
    ask(&[("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_IID", "1")]);
    ask(&[
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_SOURCE", "external_pull_request_event"),
    ]);
    ask(&[("GITLAB_CI", "true")]);
    ask(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_SERVER_URL", "x"),
        ("GITHUB_REPOSITORY", "x"),
    ]);
    ask(&[("BUILDKITE", "true"), ("BUILDKITE_PULL_REQUEST", "1")]);
    ask(&[("CI", "woodpecker"), ("CI_PIPELINE_EVENT", "pull_request")]);
    ask(&[("CI", "woodpecker"), ("CI_PIPELINE_EVENT", "push")]);
    ask(&[("JENKINS_URL", "x"), ("CHANGE_ID", "1")]);
    ask(&[("JENKINS_URL", "x")]);
    ask(&[("PIPE", "true")]);
    let table: BTreeSet<_> = TABLE
        .iter()
        .map(|variable| variable.name.to_owned())
        .collect();
    assert_eq!(asked.into_inner(), table);
    assert_eq!(table.len(), TABLE.len(), "each is listed once");
}
