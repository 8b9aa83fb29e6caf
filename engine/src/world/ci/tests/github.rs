//! GitHub's environments, with the payloads of its events.

use super::*;

const ACTIONS: Variables<'_> = &[
    ("CI", "true"),
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_SHA", SHA),
    ("GITHUB_SERVER_URL", "https://github.com"),
    ("GITHUB_REPOSITORY", "acme/app"),
    ("GITHUB_RUN_ID", "99"),
    ("GITHUB_RUN_NUMBER", "12"),
];

fn actions(git_ref: &str) -> Ci {
    Ci {
        provider: Some(Provider::GitHub),
        sha: text(SHA),
        git_ref: text(git_ref),
        build_url: text("https://github.com/acme/app/actions/runs/99"),
        run_number: text("12"),
        ..Ci::default()
    }
}

/// Reads GitHub's variables with an event's payload in a file.
fn read_actions(payload: &str, variables: Variables<'_>) -> Option<Ci> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("event.json");
    std::fs::write(&file, payload).unwrap();
    read_from(&[
        ACTIONS,
        variables,
        &[("GITHUB_EVENT_PATH", file.to_str().unwrap())],
    ])
}

const CHANGE: Variables<'_> = &[
    ("GITHUB_EVENT_NAME", "pull_request"),
    ("GITHUB_REF", "refs/pull/3/merge"),
    ("GITHUB_REF_NAME", "3/merge"),
    ("GITHUB_HEAD_REF", "fix"),
    ("GITHUB_BASE_REF", "main"),
];

fn change() -> Ci {
    Ci {
        event: Some(Event::PullRequest),
        branch: text("fix"),
        pr: pull(3, "main"),
        ..actions("refs/pull/3/merge")
    }
}

fn change_from(repository: &str) -> String {
    format!(
        r#"{{"pull_request":{{"number":3,
            "head":{{"sha":"{BASE}","repo":{{"full_name":"{repository}"}}}},
            "base":{{"sha":"{SHA}","repo":{{"full_name":"acme/app"}}}}}}}}"#
    )
}

#[test]
fn a_pull_request_on_github_has_its_real_head_and_the_trust_of_its_repository() {
    let inside = Ci {
        sha: text(BASE),
        ..change()
    };
    assert_eq!(
        read_actions(&change_from("acme/app"), CHANGE),
        Some(inside.clone())
    );
    let fork = Ci {
        trust: Trust::No,
        ..inside
    };
    assert_eq!(
        read_actions(&change_from("eve/app"), CHANGE),
        Some(fork.clone())
    );
    let target = [&[("GITHUB_EVENT_NAME", "pull_request_target")], CHANGE].concat();
    assert_eq!(read_actions(&change_from("eve/app"), &target), Some(fork));
}

#[test]
fn a_pull_request_whose_fork_was_deleted_is_not_trusted() {
    let payload = r#"{"pull_request":{"number":3,"head":{"repo":null},
        "base":{"repo":{"full_name":"acme/app"}}}}"#;
    let note = "this run is not trusted: the CI does not say whether the pull request comes from \
                a fork; no secrets, no changes outside";
    let expected = Ci {
        trust: Trust::No,
        notes: vec![note.into()],
        ..change()
    };
    assert_eq!(read_actions(payload, CHANGE), Some(expected));
}

#[test]
fn a_pull_request_without_a_payload_has_the_number_of_its_ref_and_no_trust() {
    let notes = vec![
        "the event's payload is not known: `GITHUB_EVENT_PATH` is not set".to_owned(),
        "this run is not trusted: the CI does not say whether the pull request comes from a fork; no secrets, no changes outside"
            .to_owned(),
    ];
    let expected = Ci {
        trust: Trust::No,
        notes,
        ..change()
    };
    assert_eq!(read_from(&[ACTIONS, CHANGE]), Some(expected));
}

#[test]
fn pushes_of_branches_and_tags_on_github_are_told_apart() {
    let before = format!(r#"{{"before":"{BASE}"}}"#);
    let push = Ci {
        event: Some(Event::Push),
        branch: text("main"),
        base: text(BASE),
        ..actions("refs/heads/main")
    };
    let name = ("GITHUB_EVENT_NAME", "push");
    assert_eq!(
        read_actions(&before, &[name, ("GITHUB_REF", "refs/heads/main")]),
        Some(push)
    );
    let tag = Ci {
        event: Some(Event::Tag),
        tag: text("v1"),
        ..actions("refs/tags/v1")
    };
    let variables = [name, ("GITHUB_REF", "refs/tags/v1")];
    assert_eq!(read_actions(&before, &variables), Some(tag.clone()));
    let short = [name, ("GITHUB_REF_NAME", "v1"), ("GITHUB_REF_TYPE", "tag")];
    assert_eq!(
        read_actions(&before, &short),
        Some(Ci {
            git_ref: None,
            ..tag
        })
    );
}

#[test]
fn the_other_events_of_github_have_ours_as_counterparts() {
    let on_main = |event| Ci {
        event,
        branch: text("main"),
        ..actions("refs/heads/main")
    };
    let strange = Ci {
        trust: Trust::Unknown,
        notes: vec![
            r#"`GITHUB_EVENT_NAME` names an event that is not known here: "issue_comment""#.into(),
        ],
        ..on_main(None)
    };
    let queued = Ci {
        pr: pull_request(None, text("main")),
        base: text(BASE),
        ..on_main(Some(Event::PullRequest))
    };
    for (name, expected) in [
        ("workflow_dispatch", on_main(Some(Event::Manual))),
        ("schedule", on_main(Some(Event::Schedule))),
        ("merge_group", queued),
        ("issue_comment", strange),
    ] {
        let payload =
            format!(r#"{{"merge_group":{{"base_ref":"refs/heads/main","base_sha":"{BASE}"}}}}"#);
        let variables = [
            ("GITHUB_EVENT_NAME", name),
            ("GITHUB_REF", "refs/heads/main"),
        ];
        assert_eq!(read_actions(&payload, &variables), Some(expected), "{name}");
    }
}
