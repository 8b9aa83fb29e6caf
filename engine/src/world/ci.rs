//! What the CI's environment says, in our words. One function for each CI; all of them read
//! through [`Reader`], which drops what is malformed and says so. Unaware of flags and of git.

use std::cell::RefCell;

use super::{
    context::{Provider, PullRequest},
    event::Event,
    github, refname,
    variables::*,
};

/// Whether a run may have secrets, targets and trusted caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Trust {
    /// The change was made by somebody who may write to the repository.
    #[default]
    Yes,
    /// It comes from a fork, or may do.
    No,
    /// The CI does not say what the run is for.
    Unknown,
}

/// What a CI says. The default is a laptop.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ci {
    pub(super) provider: Option<Provider>,
    pub(super) event: Option<Event>,
    pub(super) trust: Trust,
    pub(super) sha: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) git_ref: Option<String>,
    pub(super) pr: Option<PullRequest>,
    pub(super) author: Option<String>,
    pub(super) message: Option<String>,
    pub(super) build_url: Option<String>,
    pub(super) run_number: Option<String>,
    pub(super) base: Option<String>,
    pub(super) notes: Vec<String>,
}

/// Finds the CI that runs us, if one does. The clearest sign comes first: several set `CI`.
pub(super) fn read(env: &dyn Fn(&str) -> Option<String>) -> Option<Ci> {
    let reader = Reader {
        env,
        notes: RefCell::default(),
    };
    let yes = |name| matches!(reader.text(name).as_deref(), Some("true" | "1"));
    let mut ci = if yes(GITLAB_CI) {
        gitlab(&reader)
    } else if yes(GITHUB_ACTIONS) {
        github::read(&reader)
    } else if yes(BUILDKITE) {
        buildkite(&reader)
    } else if reader.text(CI).as_deref() == Some("woodpecker") {
        woodpecker(&reader)
    } else if reader.text(JENKINS_URL).is_some() {
        jenkins(&reader)
    } else if yes(PIPE) {
        nested(&reader)
    } else if reader
        .text(CI)
        .is_some_and(|ci| !matches!(ci.as_str(), "false" | "0"))
    {
        let trust = Trust::Unknown;
        Ci {
            provider: Some(Provider::Other),
            trust,
            ..Ci::default()
        }
    } else {
        return None;
    };
    ci.notes = reader.notes.into_inner();
    Some(ci)
}

/// Where a person can look at the CI's run, where this is one and says so.
#[must_use]
pub fn build_url(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    read(env)?.build_url
}

/// A run that a job of another run started. It is about the same thing, and no more trusted.
fn nested(env: &Reader<'_>) -> Ci {
    let strange = env.text(PIPE_TRUSTED).as_deref() == Some("false");
    Ci {
        event: env.text(PIPE_EVENT).and_then(|event| event.parse().ok()),
        trust: if strange { Trust::No } else { Trust::Yes },
        sha: env.commit(PIPE_SHA),
        branch: env.name(PIPE_BRANCH),
        tag: env.name(PIPE_TAG),
        ..Ci::default()
    }
}

fn gitlab(env: &Reader<'_>) -> Ci {
    let ci = Ci {
        provider: Some(Provider::GitLab),
        author: env.text(CI_COMMIT_AUTHOR),
        message: env.text(CI_COMMIT_MESSAGE),
        build_url: env.line(CI_PIPELINE_URL),
        run_number: env.line(CI_PIPELINE_IID),
        ..Ci::default()
    };
    let sha = env.commit(CI_COMMIT_SHA);
    if let Some(number) = env.number(CI_MERGE_REQUEST_IID) {
        let from = env.text(CI_MERGE_REQUEST_SOURCE_PROJECT_ID);
        return Ci {
            event: Some(Event::PullRequest),
            trust: env.origin(
                from.as_deref(),
                env.text(CI_MERGE_REQUEST_PROJECT_ID).as_deref(),
            ),
            sha: env.commit(CI_MERGE_REQUEST_SOURCE_BRANCH_SHA).or(sha),
            branch: env.name(CI_MERGE_REQUEST_SOURCE_BRANCH_NAME),
            git_ref: env.full_ref(CI_MERGE_REQUEST_REF_PATH),
            pr: pull_request(Some(number), env.name(CI_MERGE_REQUEST_TARGET_BRANCH_NAME)),
            base: env.commit(CI_MERGE_REQUEST_DIFF_BASE_SHA),
            ..ci
        };
    }
    let source = env.text(CI_PIPELINE_SOURCE).unwrap_or_default();
    if source == "external_pull_request_event" {
        let from = env.text(CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY);
        let to = env.text(CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY);
        let number = env.number(CI_EXTERNAL_PULL_REQUEST_IID);
        let target = env.name(CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME);
        return Ci {
            event: Some(Event::PullRequest),
            trust: env.origin(from.as_deref(), to.as_deref()),
            sha: env
                .commit(CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA)
                .or(sha),
            branch: env.name(CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME),
            pr: pull_request(number, target),
            ..ci
        };
    }
    let tag = env.name(CI_COMMIT_TAG);
    let event = match source.as_str() {
        "push" if tag.is_some() => Event::Tag,
        "push" => Event::Push,
        "schedule" => Event::Schedule,
        "merge_request_event" => Event::PullRequest,
        _ => Event::Manual,
    };
    // A merge request without its variables: nobody knows where it comes from.
    let trust = if event == Event::PullRequest {
        env.origin(None, None)
    } else {
        Trust::Yes
    };
    let branch = env
        .name(CI_COMMIT_BRANCH)
        .or_else(|| env.name(CI_COMMIT_REF_NAME));
    Ci {
        event: Some(event),
        trust,
        sha,
        branch: branch.filter(|_| tag.is_none()),
        base: env
            .commit(CI_COMMIT_BEFORE_SHA)
            .filter(|_| event == Event::Push),
        tag,
        ..ci
    }
}

fn buildkite(env: &Reader<'_>) -> Ci {
    let number = env
        .text(BUILDKITE_PULL_REQUEST)
        .filter(|number| number != "false");
    let tag = env.name(BUILDKITE_TAG);
    let branch = env.text(BUILDKITE_BRANCH);
    // No branch has a colon in its name: this is how Buildkite writes a fork's.
    let (owner, branch) = match branch.as_deref().and_then(|branch| branch.split_once(':')) {
        Some((owner, branch)) => (Some(owner), Some(branch.to_owned())),
        None => (None, branch.clone()),
    };
    let event = match env.text(BUILDKITE_SOURCE).as_deref() {
        _ if number.is_some() || owner.is_some() => Event::PullRequest,
        _ if tag.is_some() => Event::Tag,
        Some("webhook") => Event::Push,
        Some("schedule") => Event::Schedule,
        _ => Event::Manual,
    };
    let is_pull = event == Event::PullRequest;
    let trust = if owner.is_some() {
        Trust::No
    } else if is_pull {
        let from = env
            .text(BUILDKITE_PULL_REQUEST_REPO)
            .map(|url| repository(&url));
        let to = env.text(BUILDKITE_REPO).map(|url| repository(&url));
        env.origin(from.as_deref(), to.as_deref())
    } else {
        Trust::Yes
    };
    let author = env.text(BUILDKITE_BUILD_AUTHOR);
    let target = env.name(BUILDKITE_PULL_REQUEST_BASE_BRANCH);
    let number = number.and_then(|_| env.number(BUILDKITE_PULL_REQUEST));
    let unresolved = env.text(BUILDKITE_COMMIT).as_deref() == Some("HEAD");
    Ci {
        provider: Some(Provider::Buildkite),
        event: Some(event),
        trust,
        sha: if unresolved {
            None
        } else {
            env.commit(BUILDKITE_COMMIT)
        },
        branch: env
            .checked(BUILDKITE_BRANCH, branch, refname::check)
            .filter(|_| tag.is_none()),
        tag: tag.filter(|_| !is_pull),
        pr: if is_pull {
            pull_request(number, target)
        } else {
            None
        },
        author: with_address(author, env.text(BUILDKITE_BUILD_AUTHOR_EMAIL)),
        message: env.text(BUILDKITE_MESSAGE),
        build_url: env.line(BUILDKITE_BUILD_URL),
        run_number: env.line(BUILDKITE_BUILD_NUMBER),
        ..Ci::default()
    }
}

fn woodpecker(env: &Reader<'_>) -> Ci {
    let ci = Ci {
        provider: Some(Provider::Woodpecker),
        sha: env.commit(CI_COMMIT_SHA),
        git_ref: env.full_ref(CI_COMMIT_REF),
        author: with_address(env.text(CI_COMMIT_AUTHOR), env.text(CI_COMMIT_AUTHOR_EMAIL)),
        message: env.text(CI_COMMIT_MESSAGE),
        build_url: env.line(CI_PIPELINE_URL),
        run_number: env.line(CI_PIPELINE_NUMBER),
        ..Ci::default()
    };
    let event = env.text(CI_PIPELINE_EVENT);
    let event = match event.as_deref() {
        Some("push") => Event::Push,
        Some("tag" | "release") => Event::Tag,
        Some("cron") => Event::Schedule,
        Some("manual" | "deployment") => Event::Manual,
        Some(name) if name.starts_with("pull_request") => {
            let number = env.number(CI_COMMIT_PULL_REQUEST);
            return Ci {
                event: Some(Event::PullRequest),
                // Woodpecker has no variable for the repository that a change comes from.
                trust: env.origin(None, None),
                branch: env.name(CI_COMMIT_SOURCE_BRANCH),
                pr: pull_request(number, env.name(CI_COMMIT_TARGET_BRANCH)),
                ..ci
            };
        }
        name => {
            return Ci {
                trust: env.strange(CI_PIPELINE_EVENT, name),
                ..ci
            };
        }
    };
    let tag = env.name(CI_COMMIT_TAG);
    Ci {
        event: Some(event),
        branch: env.name(CI_COMMIT_BRANCH).filter(|_| tag.is_none()),
        tag,
        base: env
            .commit(CI_PREV_COMMIT_SHA)
            .filter(|_| event == Event::Push),
        ..ci
    }
}

fn jenkins(env: &Reader<'_>) -> Ci {
    let ci = Ci {
        provider: Some(Provider::Jenkins),
        sha: env.commit(GIT_COMMIT),
        build_url: env.line(BUILD_URL),
        run_number: env.line(BUILD_NUMBER),
        ..Ci::default()
    };
    if env.text(CHANGE_ID).is_some() {
        let branch = env.name(CHANGE_BRANCH);
        // The kinds of change that cannot tell a fork set neither of the two variables.
        let fork = env
            .text(CHANGE_FORK)
            .or_else(|| branch.is_none().then(|| "unknown".into()));
        return Ci {
            event: Some(Event::PullRequest),
            trust: if fork.is_some() {
                Trust::No
            } else {
                Trust::Yes
            },
            branch,
            pr: pull_request(env.number(CHANGE_ID), env.name(CHANGE_TARGET)),
            ..ci
        };
    }
    if let Some(tag) = env.name(TAG_NAME) {
        return Ci {
            event: Some(Event::Tag),
            tag: Some(tag),
            ..ci
        };
    }
    let before = || env.commit(GIT_PREVIOUS_SUCCESSFUL_COMMIT);
    let before = before().or_else(|| env.commit(GIT_PREVIOUS_COMMIT));
    if let Some(branch) = env.name(BRANCH_NAME) {
        return Ci {
            event: Some(Event::Push),
            branch: Some(branch),
            base: before,
            ..ci
        };
    }
    env.note("the event is not known: only Jenkins' multibranch jobs say it".to_owned());
    let branch = env.name(GIT_BRANCH);
    let branch = branch.map(|name| name.strip_prefix("origin/").unwrap_or(&name).to_owned());
    Ci {
        trust: Trust::Unknown,
        branch,
        ..ci
    }
}

/// Reads variables; an empty one is a missing one. It notes what it had to drop.
pub(super) struct Reader<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    notes: RefCell<Vec<String>>,
}

impl Reader<'_> {
    /// The variable as it is.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// A variable without control characters.
    pub(super) fn line(&self, name: &str) -> Option<String> {
        self.checked(name, self.text(name), |text| {
            match text.contains(char::is_control) {
                true => Err("it contains a control character"),
                false => Ok(()),
            }
        })
    }

    /// The name of a branch or a tag.
    pub(super) fn name(&self, name: &str) -> Option<String> {
        self.checked(name, self.text(name), refname::check)
    }

    /// A full ref.
    pub(super) fn full_ref(&self, name: &str) -> Option<String> {
        self.checked(name, self.text(name), refname::check_full)
    }

    /// A whole commit id; the one of nothing is a missing one.
    pub(super) fn commit(&self, name: &str) -> Option<String> {
        self.commit_of(name, self.text(name))
    }

    /// A whole commit id that was found in `place`.
    pub(super) fn commit_of(&self, place: &str, value: Option<String>) -> Option<String> {
        let value = value.filter(|value| !refname::is_zero(value));
        self.checked(place, value, |value| match refname::is_commit(value) {
            true => Ok(()),
            false => Err("it is no commit id"),
        })
    }

    /// The number of a pull request.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let text = self.checked(name, self.text(name), |text| match text.parse::<u64>() {
            Ok(_) => Ok(()),
            Err(_) => Err("it is no number"),
        });
        text?.parse().ok()
    }

    /// The value, unless a rule is against it: then it is dropped, with a note.
    pub(super) fn checked(
        &self,
        place: &str,
        value: Option<String>,
        rule: impl Fn(&str) -> Result<(), &'static str>,
    ) -> Option<String> {
        let value = value?;
        let Err(why) = rule(&value) else {
            return Some(value);
        };
        let shown: String = value.chars().take(80).collect();
        self.note(format!("`{place}` is not used: {shown:?}: {why}"));
        None
    }

    /// The trust in a pull request that goes from one repository to another.
    pub(super) fn origin(&self, from: Option<&str>, to: Option<&str>) -> Trust {
        let (Some(from), Some(to)) = (from, to) else {
            let why = "the CI does not say whether the pull request comes from a fork";
            self.note(format!(
                "this run is not trusted: {why}; no secrets, no changes outside"
            ));
            return Trust::No;
        };
        if from == to { Trust::Yes } else { Trust::No }
    }

    /// The trust in an event that we do not know.
    pub(super) fn strange(&self, place: &str, event: Option<&str>) -> Trust {
        self.note(match event {
            Some(event) => format!("`{place}` names an event that is not known here: {event:?}"),
            None => format!("the event is not known: `{place}` is not set"),
        });
        Trust::Unknown
    }

    /// Says something to the person who reads the plan.
    pub(super) fn note(&self, note: String) {
        self.notes.borrow_mut().push(note);
    }
}

/// A pull request; its source is the branch.
pub(super) fn pull_request(number: Option<u64>, target: Option<String>) -> Option<PullRequest> {
    Some(PullRequest {
        number,
        source: None,
        target,
    })
}

fn with_address(name: Option<String>, address: Option<String>) -> Option<String> {
    match (name, address) {
        (Some(name), Some(address)) => Some(format!("{name} <{address}>")),
        (name, _) => name,
    }
}

/// Host and path of a repository's address, so that `git@host:a/b.git` and `https://host/a/b`
/// are the same.
fn repository(url: &str) -> String {
    let rest = url
        .split_once("://")
        .map_or_else(|| url.replacen(':', "/", 1), |(_, rest)| rest.into());
    let host = rest.split('/').next().unwrap_or_default();
    let rest = host.rfind('@').map_or(rest.as_str(), |at| &rest[at + 1..]);
    let rest = rest.trim_end_matches('/');
    rest.strip_suffix(".git")
        .unwrap_or(rest)
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
