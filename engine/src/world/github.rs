//! GitHub Actions, and those that speak its language: variables, and the event's payload in a
//! file, which alone says where a pull request comes from. Unaware of flags and of git.

use std::{fs::File, io::Read};

use serde_json::Value;

use super::{
    ci::{Ci, Reader, Trust, pull_request},
    context::Provider,
    event::Event,
    refname,
    variables::*,
};

/// GitHub sends no larger payload.
const MOST_PAYLOAD: u64 = 25 << 20;

pub(super) fn read(env: &Reader<'_>) -> Ci {
    let name = env.text(GITHUB_EVENT_NAME);
    let payload = payload(env).unwrap_or_else(|why| {
        env.note(format!("the event's payload is not known: {why}"));
        Value::Null
    });
    let (branch, tag) = names(env);
    let ci = Ci {
        provider: Some(Provider::GitHub),
        sha: env.commit(GITHUB_SHA),
        git_ref: env.full_ref(GITHUB_REF),
        build_url: build_url(env),
        run_number: env.line(GITHUB_RUN_NUMBER),
        ..Ci::default()
    };
    let event = match name.as_deref() {
        Some("push") if tag.is_some() => Event::Tag,
        Some("push") => Event::Push,
        Some("release") => Event::Tag,
        Some("schedule") => Event::Schedule,
        Some("workflow_dispatch" | "repository_dispatch") => Event::Manual,
        Some("merge_group") => return merge_group(env, &payload, Ci { branch, ..ci }),
        Some(name) if name.starts_with("pull_request") => {
            return change(env, &payload, ci);
        }
        name => {
            return Ci {
                trust: env.strange(GITHUB_EVENT_NAME, name),
                branch,
                tag,
                ..ci
            };
        }
    };
    let base = text(&payload, "/before").filter(|_| event == Event::Push);
    let base = env.commit_of("the payload's before", base);
    Ci {
        event: Some(event),
        branch,
        tag,
        base,
        ..ci
    }
}

/// A pull request. What is checked out is usually a trial merge; the commit is its real head.
fn change(env: &Reader<'_>, payload: &Value, ci: Ci) -> Ci {
    let from = text(payload, "/pull_request/head/repo/full_name");
    let to = text(payload, "/pull_request/base/repo/full_name");
    let head = text(payload, "/pull_request/head/sha");
    let number = payload
        .pointer("/pull_request/number")
        .and_then(Value::as_u64);
    let number = number.or_else(|| {
        let of_ref = ci
            .git_ref
            .as_deref()
            .and_then(|full| full.strip_prefix("refs/pull/"));
        of_ref
            .and_then(|rest| rest.split('/').next())
            .and_then(|number| number.parse().ok())
    });
    Ci {
        event: Some(Event::PullRequest),
        trust: env.origin(from.as_deref(), to.as_deref()),
        sha: env.commit_of("the payload's head", head).or(ci.sha),
        branch: env.name(GITHUB_HEAD_REF),
        pr: pull_request(number, env.name(GITHUB_BASE_REF)),
        ..ci
    }
}

/// The merge queue: a change on its way, let in by somebody who may write.
fn merge_group(env: &Reader<'_>, payload: &Value, ci: Ci) -> Ci {
    let target = text(payload, "/merge_group/base_ref");
    let target = target.map(|full| full.strip_prefix("refs/heads/").unwrap_or(&full).to_owned());
    let target = env.checked("the payload's base_ref", target, refname::check);
    let base = text(payload, "/merge_group/base_sha");
    Ci {
        event: Some(Event::PullRequest),
        trust: Trust::Yes,
        pr: pull_request(None, target),
        base: env.commit_of("the payload's base_sha", base),
        ..ci
    }
}

/// The branch or the tag that the event is about.
fn names(env: &Reader<'_>) -> (Option<String>, Option<String>) {
    let full = env.text(GITHUB_REF).unwrap_or_default();
    let short = |prefix: &str| full.strip_prefix(prefix).map(str::to_owned);
    let kind = env.text(GITHUB_REF_TYPE);
    let of_kind = |wanted: &str| {
        let bare = full.is_empty() && kind.as_deref() == Some(wanted);
        env.text(GITHUB_REF_NAME).filter(|_| bare)
    };
    let branch = short("refs/heads/").or_else(|| of_kind("branch"));
    let tag = short("refs/tags/").or_else(|| of_kind("tag"));
    (
        env.checked(GITHUB_REF, branch, refname::check),
        env.checked(GITHUB_REF, tag, refname::check),
    )
}

fn build_url(env: &Reader<'_>) -> Option<String> {
    let server = env.line(GITHUB_SERVER_URL)?;
    let repository = env.line(GITHUB_REPOSITORY)?;
    let run = env.line(GITHUB_RUN_ID)?;
    Some(format!("{server}/{repository}/actions/runs/{run}"))
}

fn payload(env: &Reader<'_>) -> Result<Value, String> {
    let path = env
        .text(GITHUB_EVENT_PATH)
        .ok_or("`GITHUB_EVENT_PATH` is not set")?;
    let failed = |error: &dyn std::fmt::Display| format!("{path:?}: {error}");
    // A FIFO would keep us waiting: look before opening.
    let data = std::fs::metadata(&path).map_err(|error| failed(&error))?;
    if !data.is_file() || data.len() > MOST_PAYLOAD {
        return Err(failed(&"it is no file of at most 25 MiB"));
    }
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(|error| failed(&error))?;
    file.take(MOST_PAYLOAD)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(&error))
}

fn text(payload: &Value, pointer: &str) -> Option<String> {
    payload
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
}
