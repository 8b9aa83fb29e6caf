//! The files that a run's change touches, for `when paths=…`: what is compared with what depends
//! on the event. Unaware of the globs that are held against them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    context::{Context, Provider},
    event::Event,
    git::{Git, GitError},
};

/// The files that changed, as far as that can be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// These paths, relative to the pipeline's directory and with `/`; renamed files under both
    /// names, deleted ones too. What changed outside of the directory is not in it.
    Known(BTreeSet<String>),
    /// It cannot be known; the text says why and what helps. Everything may have changed.
    Unknown(String),
}

/// Finds what changed.
///
/// A pull request is compared with where it left its target branch, a push with the commit
/// before it, a manual run with where its branch left the upstream or the default branch, and
/// then also with what is not committed. A base that the context names wins.
pub fn changed_paths(git: &Git, context: &Context) -> Changed {
    let changed = match context.event {
        Event::PullRequest => pull_request(git, context),
        Event::Push => push(git, context),
        Event::Manual => manual(git, context),
        Event::Tag | Event::Schedule => other(git, context),
    };
    match changed {
        Ok(paths) => Changed::Known(paths),
        Err(Why::Said(why)) => Changed::Unknown(why),
        Err(Why::Git(error)) => Changed::Unknown(match error.remedy() {
            Some(remedy) => format!("{error} ({remedy})"),
            None => error.to_string(),
        }),
    }
}

enum Why {
    Git(GitError),
    Said(String),
}

impl From<GitError> for Why {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

type Paths = Result<BTreeSet<String>, Why>;

fn pull_request(git: &Git, context: &Context) -> Paths {
    if let Some(base) = &context.base {
        return since_fork(git, context, base);
    }
    let target = context.pr.as_ref().and_then(|pr| pr.target.as_deref());
    let Some(target) = target else {
        return Err(Why::Said(
            "the target branch is not known: give it with `--into`".into(),
        ));
    };
    let there = format!("refs/remotes/origin/{target}");
    let here = format!("refs/heads/{target}");
    if let Some(branch) = first(git, &[&there, &here])? {
        return since_fork(git, context, &branch);
    }
    // The first parent of a trial merge is the target branch.
    let merge = context
        .git
        .git_ref
        .as_deref()
        .is_some_and(|name| name.ends_with("/merge"));
    match (commit(git, "HEAD^2")?, commit(git, "HEAD^1")?) {
        (Some(_), Some(parent)) if merge => between(git, &parent),
        _ => Err(absent(context, &format!("the target branch `{target}`"))),
    }
}

/// A push is compared with the state before it, directly: after a forced push, files that only
/// the old state had have changed too.
fn push(git: &Git, context: &Context) -> Paths {
    if let Some(base) = &context.base {
        let base = commit(git, base)?;
        let base = base.ok_or_else(|| absent(context, "the commit before the push"))?;
        return between(git, &base);
    }
    let default = if context.provider.is_some() {
        default_branch(git)?
    } else {
        None
    };
    if let Some(default) = default
        && default.strip_prefix("refs/remotes/origin/") != context.git.branch.as_deref()
    {
        return since_fork(git, context, &default);
    }
    if let Some(parent) = commit(git, "HEAD^")? {
        return between(git, &parent);
    }
    if context.git.shallow {
        return Err(absent(context, "the commit before this one"));
    }
    // The first commit of all: everything in it is new.
    Ok(paths(&git.output(&["ls-tree", "-r", "--name-only", "-z", "HEAD"])?).collect())
}

fn manual(git: &Git, context: &Context) -> Paths {
    let base = match &context.base {
        Some(base) => Some(base.clone()),
        None => match commit(git, "@{upstream}")? {
            Some(upstream) => Some(upstream),
            None => default_branch(git)?,
        },
    };
    let Some(base) = base else {
        let why = "there is no upstream and no default branch to compare with: give `--base`";
        return Err(Why::Said(why.into()));
    };
    let base = fork_point(git, context, &base)?;
    let mut changed = differing(git, &[&base])?;
    let untracked = git.output(&["ls-files", "--others", "--exclude-standard", "-z"])?;
    changed.extend(paths(&untracked));
    Ok(changed)
}

fn other(git: &Git, context: &Context) -> Paths {
    match &context.base {
        Some(base) => since_fork(git, context, base),
        None => {
            let event = context.event;
            let why = format!("the event `{event}` has nothing to compare with: give `--base`");
            Err(Why::Said(why))
        }
    }
}

fn since_fork(git: &Git, context: &Context, base: &str) -> Paths {
    between(git, &fork_point(git, context, base)?)
}

fn between(git: &Git, base: &str) -> Paths {
    Ok(differing(git, &[base, "HEAD"])?)
}

/// Where HEAD and the base have their history in common.
fn fork_point(git: &Git, context: &Context, base: &str) -> Result<String, Why> {
    let Some(base) = commit(git, base)? else {
        return Err(absent(context, &format!("`{base}`")));
    };
    match git.output(&["merge-base", "--end-of-options", &base, "HEAD"]) {
        Ok(id) => Ok(id.trim_end().to_owned()),
        Err(GitError::Failed { code: Some(1), .. }) if context.git.shallow => Err(absent(
            context,
            &format!("the history that HEAD shares with {base}"),
        )),
        Err(GitError::Failed { code: Some(1), .. }) => Err(Why::Said(format!(
            "HEAD and {base} have no history in common: give `--base`"
        ))),
        Err(error) => Err(Why::Git(error)),
    }
}

/// The paths in which one commit differs from another, or from the files on disk.
fn differing(git: &Git, commits: &[&str]) -> Result<BTreeSet<String>, GitError> {
    let mut args = vec!["diff", "--name-only", "-z", "--no-renames", "--relative"];
    args.extend([
        "--no-ext-diff",
        "--no-textconv",
        "--ignore-submodules=dirty",
    ]);
    args.push("--end-of-options");
    args.extend(commits);
    args.push("--");
    Ok(paths(&git.output(&args)?).collect())
}

fn paths(output: &str) -> impl Iterator<Item = String> + '_ {
    output
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
}

/// The id of a commit, if this clone has it.
fn commit(git: &Git, name: &str) -> Result<Option<String>, GitError> {
    let wanted = format!("{name}^{{commit}}");
    found(git.output(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &wanted,
    ]))
}

/// The answer, or nothing where git says that there is none.
fn found(answer: Result<String, GitError>) -> Result<Option<String>, GitError> {
    match answer {
        Ok(answer) => Ok(Some(answer.trim_end().to_owned())),
        Err(GitError::Failed { code: Some(_), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The full name of the branch that the remote calls its default, or of one with a usual name.
fn default_branch(git: &Git) -> Result<Option<String>, GitError> {
    let head = ["symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"];
    match found(git.output(&head))? {
        Some(name) => Ok(Some(name)),
        None => first(
            git,
            &["refs/remotes/origin/main", "refs/remotes/origin/master"],
        ),
    }
}

/// The first of these names that this clone has.
fn first(git: &Git, names: &[&str]) -> Result<Option<String>, GitError> {
    for &name in names {
        if commit(git, name)?.is_some() {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// Something is not in this clone; how to get it depends on who made the clone.
fn absent(context: &Context, what: &str) -> Why {
    let remedy = match context.provider {
        Some(Provider::GitHub) => "check out with `fetch-depth: 0`",
        Some(Provider::GitLab) => "set `GIT_DEPTH: 0`",
        Some(Provider::Woodpecker) => "set `partial: false` and `depth: 0` for the clone step",
        _ if context.git.shallow => "run `git fetch --unshallow origin`",
        _ => "run `git fetch origin`, or name another commit with `--base`",
    };
    Why::Said(format!("{what} is not in this clone: {remedy}"))
}

#[cfg(test)]
mod tests;
