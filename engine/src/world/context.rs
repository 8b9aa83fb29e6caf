//! What a run is about: the event, the commit, the pull request and whether to trust it. The
//! flags win over the CI's environment, and that over what git says. Unaware of what the
//! pipeline makes of it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    checked_out::CheckedOut,
    ci::{self, Ci, Trust},
    event::Event,
    git::{Git, GitError},
    refname,
};

/// The CI that runs us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// GitHub Actions, and Gitea's and Forgejo's, which speak its language.
    #[serde(rename = "github")]
    GitHub,
    /// GitLab CI.
    #[serde(rename = "gitlab")]
    GitLab,
    /// Buildkite.
    Buildkite,
    /// Jenkins, best in a multibranch job.
    Jenkins,
    /// Woodpecker.
    Woodpecker,
    /// Some other CI: all that it says is `CI=true`.
    Other,
}

/// Everything outside of the pipeline file that decides what a run contains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// What happened.
    pub event: Event,
    /// The CI that runs us; none on a laptop.
    pub provider: Option<Provider>,
    /// False for a pull request from a fork, or from nobody knows where; then no secrets, no
    /// targets and no writes to trusted caches. No flag makes a fork trusted. Where the change
    /// itself configures the CI, it can set any variable: there only the CI can withhold secrets.
    pub trusted: bool,
    /// The commit and its names.
    pub git: GitInfo,
    /// The pull request, if the event is one.
    pub pr: Option<PullRequest>,
    /// The address of this run in the CI.
    pub build_url: Option<String>,
    /// The number of this run in the CI, as it writes it.
    pub run_number: Option<String>,
    /// The commit that `paths` conditions compare with, where the CI or a flag names one.
    pub base: Option<String>,
}

/// The commit that a run is about. Each name obeys git's rules, and is a plain string.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GitInfo {
    /// The commit; for a pull request its own head, not the trial merge.
    pub sha: Option<String>,
    /// The branch; for a pull request the source branch; none for a tag.
    pub branch: Option<String>,
    /// The tag that the run is for. That some tag points at the commit does not make it one.
    pub tag: Option<String>,
    /// The full ref, or the commit where HEAD is detached.
    #[serde(rename = "ref")]
    pub git_ref: Option<String>,
    /// The commit's author, as `Name <address>`; none where nobody asked.
    pub author: Option<String>,
    /// The commit's whole message; none where nobody asked.
    pub message: Option<String>,
    /// Whether the tree differs from the commit. Nothing until somebody asks [`Git::dirty`],
    /// which walks the tree.
    pub dirty: Option<bool>,
    /// Whether history is cut off.
    pub shallow: bool,
}

/// The pull request that a run is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: Option<u64>,
    /// The branch that it comes from.
    pub source: Option<String>,
    /// The branch that it goes into.
    pub target: Option<String>,
}

/// What the command line says about the context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--event`
    pub event: Option<Event>,
    /// `--branch`
    pub branch: Option<String>,
    /// `--tag`
    pub tag: Option<String>,
    /// `--into`: the branch that the pull request goes into.
    pub into: Option<String>,
    /// `--pr`: the pull request's number.
    pub pr: Option<u64>,
    /// `--sha`
    pub sha: Option<String>,
    /// `--base`
    pub base: Option<String>,
}

/// Flags that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Two flags, or a flag and an event, exclude each other.
    #[error("`{one}` and `{other}` exclude each other")]
    Contradiction {
        /// The first flag.
        one: String,
        /// The other one.
        other: String,
        /// What to do instead.
        remedy: String,
    },
    /// A value is nothing that git would accept there.
    #[error("`{flag} {value:?}`: {why}")]
    Malformed {
        /// The flag.
        flag: &'static str,
        /// Its value.
        value: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The event is a tag and nothing names it.
    #[error("the event `tag` needs the tag's name")]
    NoTag,
}

impl ContextError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Contradiction { remedy, .. } => remedy.clone(),
            Self::Malformed { flag: "--sha", .. } => "give the id that `git log` prints".into(),
            Self::Malformed { flag: "--base", .. } => {
                "give a commit id, a branch, a tag or `HEAD~1`".into()
            }
            Self::Malformed { .. } => "give the name as `git branch` or `git tag` list it".into(),
            Self::NoTag => "add `--tag NAME`, or name another event".into(),
        }
    }
}

/// Learns what a run in the directory `root` is about. The notes say what could not be learned,
/// and why. `asks` says whether somebody wants to know who made the commit, and what it says: git
/// is called once more for that.
pub fn context(
    root: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    flags: &Flags,
    asks: bool,
) -> Result<(Context, Vec<String>), ContextError> {
    check(flags)?;
    let mut ci = ci::read(env).unwrap_or_default();
    let event = event(flags, &ci);
    let mut notes = std::mem::take(&mut ci.notes);
    if ci.event != Some(event) {
        // The CI's names for another event are about something else.
        ci = Ci {
            pr: None,
            base: None,
            git_ref: None,
            ..ci
        };
    }
    let tag = tag(flags, &ci, event)?;
    let trusted = trusted(flags, &ci, &mut notes);
    let wanted = flags.sha.as_deref().or(ci.sha.as_deref());
    let head = head(&Git::new(root, env), wanted, asks, event, &mut notes);
    let branch = flags
        .branch
        .clone()
        .or(ci.branch)
        .or(head.branch)
        .filter(|_| tag.is_none());
    let pr = (event == Event::PullRequest).then(|| {
        let known = ci.pr.unwrap_or_default();
        PullRequest {
            number: flags.pr.or(known.number),
            source: branch.clone(),
            target: flags.into.clone().or(known.target),
        }
    });
    let named = flags.branch.is_some() || flags.tag.is_some();
    let git_ref = ci.git_ref.filter(|_| !named || pr.is_some());
    let git_ref = git_ref
        .or_else(|| tag.as_ref().map(|tag| format!("refs/tags/{tag}")))
        .or_else(|| branch.as_ref().map(|branch| format!("refs/heads/{branch}")))
        .or_else(|| head.sha.clone());
    let git = GitInfo {
        sha: head.sha,
        branch,
        tag,
        git_ref,
        author: head.author.or(ci.author),
        message: head.message.or(ci.message),
        dirty: None,
        shallow: head.shallow,
    };
    let base = flags.base.clone().or(ci.base);
    let (build_url, run_number) = (ci.build_url, ci.run_number);
    let provider = ci.provider;
    Ok((
        Context {
            event,
            provider,
            trusted,
            git,
            pr,
            build_url,
            run_number,
            base,
        },
        notes,
    ))
}

/// Refuses flags that contradict each other or are no names.
fn check(flags: &Flags) -> Result<(), ContextError> {
    let names = [
        ("--branch", &flags.branch),
        ("--tag", &flags.tag),
        ("--into", &flags.into),
    ];
    for (flag, value) in names {
        well_formed(flag, value.as_deref(), refname::check)?;
    }
    well_formed("--base", flags.base.as_deref(), refname::check_revision)?;
    well_formed(
        "--sha",
        flags.sha.as_deref(),
        |sha| match refname::is_short_commit(sha) {
            true => Ok(()),
            false => Err("it is no commit id"),
        },
    )?;
    let pull_request = flags
        .into
        .as_ref()
        .map(|_| "--into")
        .or(flags.pr.map(|_| "--pr"));
    let tag = flags.tag.as_ref().map(|_| "--tag");
    let branch = flags.branch.as_ref().map(|_| "--branch");
    let event = flags.event.map(|event| format!("--event {event}"));
    let event = event.as_deref();
    let push_or_pull = matches!(flags.event, Some(Event::Push | Event::PullRequest));
    let no_pull = flags.event.is_some_and(|event| event != Event::PullRequest);
    exclude(
        tag,
        branch,
        "a run is for a branch or for a tag: leave one out",
    )?;
    exclude(
        tag,
        pull_request,
        "a pull request has no tag: leave one out",
    )?;
    exclude(
        tag,
        event.filter(|_| push_or_pull),
        "a pushed tag is `--event tag`",
    )?;
    exclude(
        branch,
        event.filter(|_| flags.event == Some(Event::Tag)),
        "a pushed branch is `--event push`",
    )?;
    exclude(
        pull_request,
        event.filter(|_| no_pull),
        "use `--event pull-request`",
    )
}

fn well_formed(
    flag: &'static str,
    value: Option<&str>,
    rule: impl Fn(&str) -> Result<(), &'static str>,
) -> Result<(), ContextError> {
    let Some(value) = value else { return Ok(()) };
    rule(value).map_err(|why| ContextError::Malformed {
        flag,
        value: value.to_owned(),
        why,
    })
}

fn exclude(one: Option<&str>, other: Option<&str>, remedy: &str) -> Result<(), ContextError> {
    let (Some(one), Some(other)) = (one, other) else {
        return Ok(());
    };
    let (one, other, remedy) = (one.to_owned(), other.to_owned(), remedy.to_owned());
    Err(ContextError::Contradiction { one, other, remedy })
}

/// The event: as the flags say or imply, else as the CI says; on a laptop a person did it.
fn event(flags: &Flags, ci: &Ci) -> Event {
    let implied = if flags.tag.is_some() {
        Some(Event::Tag)
    } else if flags.into.is_some() || flags.pr.is_some() {
        Some(Event::PullRequest)
    } else {
        // A branch named where the CI is busy with a tag: the branch is meant.
        (flags.branch.is_some() && ci.event == Some(Event::Tag)).then_some(Event::Push)
    };
    flags
        .event
        .or(implied)
        .or(ci.event)
        .unwrap_or(Event::Manual)
}

fn tag(flags: &Flags, ci: &Ci, event: Event) -> Result<Option<String>, ContextError> {
    let no_tag = flags.branch.is_some() || matches!(event, Event::Push | Event::PullRequest);
    let tag = flags
        .tag
        .clone()
        .or_else(|| ci.tag.clone().filter(|_| !no_tag));
    if event == Event::Tag && tag.is_none() {
        return Err(ContextError::NoTag);
    }
    Ok(tag)
}

/// Trust comes from knowing the event. Who writes `--event push` into the CI's configuration
/// vouches for it where the CI says nothing; a fork's pull request stays one whatever the flags.
fn trusted(flags: &Flags, ci: &Ci, notes: &mut Vec<String>) -> bool {
    match ci.trust {
        Trust::Yes => true,
        Trust::No => false,
        Trust::Unknown if flags.event.is_some_and(|event| event != Event::PullRequest) => true,
        Trust::Unknown => {
            notes.push(
                "this run is not trusted, as the CI does not say what it is for: no secrets, no \
                 targets; `--event push --branch NAME` in the CI's configuration says it"
                    .to_owned(),
            );
            false
        }
    }
}

#[derive(Default)]
struct Head {
    sha: Option<String>,
    branch: Option<String>,
    author: Option<String>,
    message: Option<String>,
    shallow: bool,
}

/// What is checked out, and what git says of the wanted commit where its id is not enough.
fn head(
    git: &Git,
    wanted: Option<&str>,
    asks: bool,
    event: Event,
    notes: &mut Vec<String>,
) -> Head {
    let unknown = || Head {
        sha: wanted.map(str::to_owned),
        ..Head::default()
    };
    let found = match CheckedOut::of(git) {
        Ok(found) => found,
        Err(GitError::Unborn) => {
            let branch = git
                .output(&["symbolic-ref", "--quiet", "--short", "HEAD"])
                .ok();
            notes.push(note("the commit is not known", &GitError::Unborn));
            return Head {
                branch: branch.map(|name| name.trim_end().to_owned()),
                ..unknown()
            };
        }
        Err(error) => {
            notes.push(note("the commit is not known", &error));
            return unknown();
        }
    };
    let checked_out = found.sha;
    let head = Head {
        branch: found.branch,
        shallow: found.shallow,
        ..Head::default()
    };
    let sha = wanted.unwrap_or(&checked_out).to_owned();
    // What a CI or a flag names may be short, or not there.
    if wanted.is_none() && !asks {
        return Head {
            sha: Some(sha),
            ..head
        };
    }
    match commit(git, &sha) {
        Ok((sha, author, message)) => {
            // In a pull request's run the trial merge is checked out; nobody is surprised.
            if sha != checked_out && event != Event::PullRequest {
                notes.push(format!(
                    "the run is for commit {sha}, but {checked_out} is checked out"
                ));
            }
            Head {
                sha: Some(sha),
                author: Some(author),
                message: Some(message),
                ..head
            }
        }
        Err(error) => {
            notes.push(note(
                &format!("author and message of {sha} are not known"),
                &error,
            ));
            Head {
                sha: Some(sha),
                ..head
            }
        }
    }
}

/// Id, author and message of one commit.
fn commit(git: &Git, sha: &str) -> Result<(String, String, String), GitError> {
    let answer = git.output(&[
        "log",
        "-1",
        "--no-decorate",
        "--no-show-signature",
        "--encoding=UTF-8",
        "--format=%H%x00%an <%ae>%x00%B",
        "--end-of-options",
        sha,
        "--",
    ])?;
    let mut parts = answer
        .splitn(3, '\0')
        .map(|part| part.trim_end().to_owned());
    let mut next = || parts.next().unwrap_or_default();
    Ok((next(), next(), next()))
}

fn note(what: &str, error: &GitError) -> String {
    match error.remedy() {
        Some(remedy) => format!("{what}: {error} ({remedy})"),
        None => format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests;
