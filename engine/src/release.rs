//! A release in a git repository: which version it is, its tag, which is also its reservation, and the commit that adds it
//! to the changelog. The tag and that commit are pushed together or not at all. Knows no step and no forge.

use std::path::Path;
use std::time::Duration;

use dsl::model::VersionScheme;

use crate::version::semantic::{self, Commit};
use crate::version::{self, calver, changelog};
use crate::world::{Git, GitError};

/// How long a call over the network may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often another version is tried when somebody else has taken the one that was next.
const TRIES: u32 = 10;
/// What stands before the tag in the message of a changelog's commit. CIs do not run for such a commit.
const SUBJECT: &str = "chore(release): ";
const NO_CI: &str = " [skip ci]";

/// What is released, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// How the version is made.
    pub scheme: VersionScheme,
    /// The version that stands in a file, where the scheme says so.
    pub in_file: Option<String>,
    /// The commit.
    pub sha: String,
    /// The branch on which it is, if there is one.
    pub branch: Option<String>,
    /// The day in UTC, `2026-01-31`.
    pub day: String,
    /// The changelog to which a section is added.
    pub changelog: Option<String>,
    /// Whether the tag is an object with a date and a message.
    pub annotated: bool,
}

/// A release that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The version.
    pub version: String,
    /// Its tag.
    pub tag: String,
    /// What changed, in Markdown.
    pub notes: String,
    /// Whether it was there already.
    pub before: bool,
    /// The remote that has the tag, if there is one.
    pub remote: Option<String>,
}

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum NoRelease {
    /// There is nothing to release.
    #[error("{0}")]
    NotNeeded(String),
    /// It cannot be made; nothing was changed.
    #[error("{what}")]
    Impossible {
        /// What is wrong.
        what: String,
        /// The remedy.
        help: String,
    },
    /// The remote did not take it; nothing was changed.
    #[error("{what}")]
    NotTaken {
        /// What is wrong.
        what: String,
        /// The remedy.
        help: &'static str,
    },
    /// Git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
}

fn impossible(what: impl Into<String>, help: impl Into<String>) -> NoRelease {
    NoRelease::Impossible {
        what: what.into(),
        help: help.into(),
    }
}

/// A repository in which releases are made.
struct Repository<'a> {
    git: Git,
    remote: Option<String>,
    request: &'a Request,
}

/// What the tags say.
struct Tags {
    /// All of them, the remote's too.
    all: Vec<String>,
    /// Those of the commit and of what it is built on.
    before: Vec<String>,
}

/// Makes a release: finds the next version, writes the changelog, makes the tag.
///
/// # Errors
/// Why there is none. Then nothing has changed.
pub fn make(git: &Git, request: &Request) -> Result<Made, NoRelease> {
    let repository = Repository::open(git, request)?;
    let mut tries = 0;
    loop {
        let (version, tag, notes) = match repository.look()? {
            Look::Made(made) => return Ok(made),
            Look::Next {
                version,
                tag,
                notes,
            } => (version, tag, notes),
        };
        let head = match &request.changelog {
            Some(path) => repository.commit_changelog(path, &tag, &notes)?,
            None => request.sha.clone(),
        };
        let object = repository.tag_object(&tag, &head, &notes)?;
        match repository.publish(&tag, &object, &head) {
            Ok(()) => {
                return Ok(Made {
                    version,
                    tag,
                    notes,
                    before: false,
                    remote: repository.remote,
                });
            }
            // Somebody else was quicker; the next one is free, or theirs is this one.
            Err(Taken::Tag) if tries < TRIES => tries += 1,
            Err(Taken::Tag) => {
                return Err(NoRelease::NotTaken {
                    what: format!("the tag {tag} was taken by somebody else"),
                    help: "run again",
                });
            }
            Err(Taken::No(why)) => return Err(why),
        }
    }
}

/// Whether a release could be made now. Changes nothing but the tags that are known here.
///
/// # Errors
/// Why not.
pub fn possible(git: &Git, request: &Request) -> Result<(), NoRelease> {
    Repository::open(git, request)?.look().map(drop)
}

/// What a repository says of the release that is asked for.
enum Look {
    /// An earlier run has made it.
    Made(Made),
    /// It would be this one.
    Next {
        version: String,
        tag: String,
        notes: String,
    },
}

/// Why a release could not be published.
enum Taken {
    /// Its tag is there.
    Tag,
    No(NoRelease),
}

impl<'a> Repository<'a> {
    fn open(git: &Git, request: &'a Request) -> Result<Self, NoRelease> {
        let git = git.clone().with_deadline(PATIENCE);
        if git
            .output(&["rev-parse", "--is-shallow-repository"])?
            .trim()
            == "true"
        {
            return Err(impossible(
                "the checkout is shallow, so that the commits since the last release are not known",
                "fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` in a GitHub workflow",
            ));
        }
        let subject =
            git.output(&["log", "-1", "--format=%s", "--end-of-options", &request.sha])?;
        if subject.starts_with(SUBJECT) && subject.trim_end().ends_with(NO_CI) {
            return Err(NoRelease::NotNeeded(
                "this commit is the changelog of a release".to_owned(),
            ));
        }
        let remote = git.remote()?;
        Ok(Self {
            git,
            remote,
            request,
        })
    }

    fn look(&self) -> Result<Look, NoRelease> {
        self.fetch_tags()?;
        let tags = self.tags()?;
        if let Some(made) = self.made_before(&tags)? {
            return Ok(Look::Made(made));
        }
        let before: Vec<&str> = tags.before.iter().map(String::as_str).collect();
        let latest = self.latest(&before);
        let latest = latest.as_deref();
        let commits = self.commits(latest)?;
        let (version, tag) = self.next(&tags, latest, &commits)?;
        Ok(Look::Next {
            version,
            tag,
            notes: changelog::notes(&commits),
        })
    }

    fn fetch_tags(&self) -> Result<(), NoRelease> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        self.git.output(&[
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--recurse-submodules=no",
            "--",
            remote,
            "refs/tags/*:refs/tags/*",
        ])?;
        Ok(())
    }

    fn tags(&self) -> Result<Tags, NoRelease> {
        let list = |more: &[&str]| -> Result<Vec<String>, GitError> {
            let args = [&["tag", "--list", "--format=%(refname:strip=2)"], more].concat();
            let text = self.git.output(&args)?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        Ok(Tags {
            all: list(&[])?,
            before: list(&["--merged", &self.request.sha])?,
        })
    }

    /// The release that an earlier run has made of this commit.
    fn made_before(&self, tags: &Tags) -> Result<Option<Made>, NoRelease> {
        let names = tags.all.iter().map(String::as_str);
        let fitting: Vec<&str> = names.filter(|tag| self.version_of(tag).is_some()).collect();
        let sha = &self.request.sha;
        let format = "--format=%(refname:strip=2)";
        let contains = self
            .git
            .output(&["tag", "--list", format, "--contains", sha])?;
        for tag in contains.lines().filter(|t| fitting.contains(t)) {
            let commit = format!("refs/tags/{tag}^{{commit}}");
            let log = [
                "log",
                "-1",
                "--format=%H %P%n%s",
                "--end-of-options",
                &commit,
            ];
            let log = self.git.output(&log)?;
            let (ids, subject) = log.split_once('\n').unwrap_or_default();
            let changelog = ids.split(' ').nth(1) == Some(sha) && subject.starts_with(SUBJECT);
            if ids.starts_with(sha.as_str()) || changelog {
                let version = self.version_of(tag).unwrap_or_default();
                let earlier: Vec<&str> = tags.before.iter().map(String::as_str).collect();
                let earlier: Vec<&str> = earlier.into_iter().filter(|t| *t != tag).collect();
                let latest = self.latest(&earlier);
                return Ok(Some(Made {
                    version,
                    tag: tag.to_owned(),
                    notes: changelog::notes(&self.commits(latest.as_deref())?),
                    before: true,
                    remote: self.remote.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// The version whose tag this is, if it is one of this scheme.
    fn version_of(&self, tag: &str) -> Option<String> {
        let bare = tag.strip_prefix('v').unwrap_or(tag);
        match &self.request.scheme {
            VersionScheme::Semantic => semantic::latest(&[tag]).map(|(v, _)| v.to_string()),
            VersionScheme::CalVer(pattern) => {
                let pattern = dsl::calver::Pattern::read(pattern).ok()?;
                pattern.fits(tag).then(|| tag.to_owned())
            }
            VersionScheme::Fixed(text) => {
                [tag, bare].contains(&text.as_str()).then(|| text.clone())
            }
            VersionScheme::File(_) => {
                let text = self.request.in_file.clone()?;
                [tag, bare].contains(&text.as_str()).then_some(text)
            }
        }
    }

    /// The tag of the last release before this one.
    fn latest(&self, before: &[&str]) -> Option<String> {
        match self.request.scheme {
            VersionScheme::CalVer(_) => {
                let ours = before.iter().filter(|t| self.version_of(t).is_some());
                let by_number = |tag: &&&str| -> Vec<u64> {
                    let digits = tag.split(|c: char| !c.is_ascii_digit());
                    digits.filter_map(|d| d.parse().ok()).collect()
                };
                ours.max_by_key(by_number).map(|t| (*t).to_owned())
            }
            _ => semantic::latest(before).map(|(_, tag)| tag.to_owned()),
        }
    }

    /// The next version and its tag, after the release with the tag `latest` and these commits since.
    fn next(
        &self,
        tags: &Tags,
        latest: Option<&str>,
        commits: &[Commit],
    ) -> Result<(String, String), NoRelease> {
        let all: Vec<&str> = tags.all.iter().map(String::as_str).collect();
        let version =
            match &self.request.scheme {
                VersionScheme::Semantic => {
                    let last = latest.and_then(|tag| semantic::latest(&[tag]));
                    let last = last.map(|(version, _)| version);
                    let next = semantic::next(last.as_ref(), commits);
                    let since = latest.map_or(String::new(), |t| format!(" since {t}"));
                    let next = next.ok_or_else(|| {
                        NoRelease::NotNeeded(format!("no commit{since} asks for a release"))
                    })?;
                    next.to_string()
                }
                VersionScheme::CalVer(pattern) => calver::next(pattern, &self.request.day, &all)
                    .map_err(|why| {
                        impossible(why, "write another pattern: `calver=\"vYY.MM.DD.i\"`")
                    })?,
                VersionScheme::Fixed(text) => text.clone(),
                VersionScheme::File(path) => self.request.in_file.clone().ok_or_else(|| {
                    impossible(format!("{path} has no version"), "write it there")
                })?,
            };
        let tag = version::tag(&version, latest);
        if all.contains(&tag.as_str()) {
            let at = format!("refs/tags/{tag}^{{commit}}");
            let at = self
                .git
                .output(&["rev-parse", "--short", "--end-of-options", &at])?;
            let help = match &self.request.scheme {
                VersionScheme::File(path) => format!("raise the version in {path}"),
                VersionScheme::Fixed(_) => "raise the version in the pipeline".to_owned(),
                _ => format!(
                    "is the release of a branch that this one does not have? merge it, or remove the tag: `git push --delete origin {tag}`"
                ),
            };
            return Err(impossible(
                format!("{tag} is the tag of another commit, {}", at.trim()),
                help,
            ));
        }
        Ok((version, tag))
    }

    fn commits(&self, since: Option<&str>) -> Result<Vec<Commit>, NoRelease> {
        let sha = &self.request.sha;
        let range = match since {
            Some(tag) => format!("refs/tags/{tag}..{sha}"),
            None => sha.clone(),
        };
        let log = ["log", "-z", "--format=%H%n%B", "--end-of-options", &range];
        let log = self.git.output(&log)?;
        let commits = log.split('\0').filter(|c| !c.is_empty()).map(|commit| {
            let (id, message) = commit.split_once('\n').unwrap_or((commit, ""));
            Commit {
                id: id.to_owned(),
                message: message.to_owned(),
            }
        });
        Ok(commits.collect())
    }

    /// A commit after the released one that adds the section to the changelog. Touches no file of the checkout.
    fn commit_changelog(&self, path: &str, tag: &str, notes: &str) -> Result<String, NoRelease> {
        let sha = &self.request.sha;
        if self.request.branch.is_none() {
            return Err(impossible(
                format!("{path} cannot be committed: this run is for no branch"),
                "release from a branch, or name it with `--branch`",
            ));
        }
        let there = format!("{sha}:./{path}");
        let old = self
            .git
            .output(&["cat-file", "blob", &there])
            .unwrap_or_default();
        let new = changelog::with(&old, tag, &self.request.day, notes);
        let word = |text: String| text.trim().to_owned();
        let blob = ["hash-object", "-w", "--stdin"];
        let blob = self.git.answer(&blob, &[], Some(new.into_bytes()))?;
        let scratch = tempfile::tempdir()
            .map_err(|e| impossible(format!("no temporary folder: {e}"), "is the disk full?"))?;
        let index = scratch.path().join("index");
        let index = [("GIT_INDEX_FILE", index.to_str().unwrap_or_default())];
        let prefix = word(self.git.output(&["rev-parse", "--show-prefix"])?);
        let entry = format!("100644,{},{prefix}{path}", word(blob));
        self.git.answer(&["read-tree", sha], &index, None)?;
        let add = ["update-index", "--add", "--cacheinfo", &entry];
        self.git.answer(&add, &index, None)?;
        let tree = word(self.git.answer(&["write-tree"], &index, None)?);
        let message = format!("{SUBJECT}{tag}{NO_CI}");
        let identity = self.identity();
        let env: Vec<(&str, &str)> = identity.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let commit = [
            "commit-tree",
            "--no-gpg-sign",
            "-p",
            sha,
            "-m",
            &message,
            &tree,
        ];
        Ok(word(self.git.answer(&commit, &env, None)?))
    }

    /// What the tag points to: the commit, or an object that does.
    fn tag_object(&self, tag: &str, commit: &str, notes: &str) -> Result<String, NoRelease> {
        if !self.request.annotated {
            return Ok(commit.to_owned());
        }
        let identity = self.identity();
        let env: Vec<(&str, &str)> = identity.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let tagger = self
            .git
            .answer(&["var", "GIT_COMMITTER_IDENT"], &env, None)?;
        // A line that begins with `#` is a heading here, and no comment of git's.
        let text = format!(
            "object {commit}\ntype commit\ntag {tag}\ntagger {}\n\n{tag}\n\n{notes}",
            tagger.trim()
        );
        let object = self.git.answer(&["mktag"], &[], Some(text.into_bytes()))?;
        Ok(object.trim().to_owned())
    }

    /// Who makes the release: git's own user, or pipe.
    fn identity(&self) -> Vec<(&'static str, String)> {
        let set = |key: &str| self.git.output(&["config", "--get", key]).ok();
        let (name, email) = (set("user.name"), set("user.email"));
        let text = |value: Option<String>, usual: &str| {
            let value = value.map(|v| v.trim().to_owned());
            value
                .filter(|v| !v.is_empty())
                .unwrap_or_else(|| usual.to_owned())
        };
        let (name, email) = (text(name, "pipe"), text(email, "pipe@localhost"));
        vec![
            ("GIT_AUTHOR_NAME", name.clone()),
            ("GIT_AUTHOR_EMAIL", email.clone()),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", email),
        ]
    }

    /// Makes the tag where it counts, with the changelog's commit, if they are not there: both, or neither.
    fn publish(&self, tag: &str, object: &str, head: &str) -> Result<(), Taken> {
        let name = format!("refs/tags/{tag}");
        let sha = &self.request.sha;
        let branch = self.request.branch.as_deref().filter(|_| head != sha);
        let branch = branch.map(|b| format!("refs/heads/{b}"));
        let Some(remote) = &self.remote else {
            let mut input = format!("start\ncreate {name} {object}\n");
            if let Some(branch) = &branch {
                input += &format!("update {branch} {head} {sha}\n");
            }
            input += "prepare\ncommit\n";
            let update = ["update-ref", "--no-deref", "--stdin"];
            let done = self.git.answer(&update, &[], Some(input.into_bytes()));
            return done.map(drop).map_err(|e| self.judge(e, &name));
        };
        let (lease, spec) = (
            format!("--force-with-lease={name}:"),
            format!("{object}:{name}"),
        );
        let mut args: Vec<String> = [
            "push",
            "--atomic",
            "--quiet",
            "--no-signed",
            "--no-follow-tags",
        ]
        .map(str::to_owned)
        .into();
        args.extend(["--recurse-submodules=no".to_owned(), lease]);
        args.extend(
            branch
                .iter()
                .map(|b| format!("--force-with-lease={b}:{sha}")),
        );
        args.extend(["--".to_owned(), remote.clone(), spec]);
        args.extend(branch.iter().map(|b| format!("{head}:{b}")));
        match self.git.output(&args) {
            Ok(_) => {
                // The same here, for whoever looks; a branch that is checked out is left where it is.
                let _ = self
                    .git
                    .output(&["update-ref", "--no-deref", &name, object]);
                Ok(())
            }
            Err(e) => Err(self.judge(e, &name)),
        }
    }

    /// What an unsuccessful publication means. One that was not acknowledged may have been done.
    fn judge(&self, error: GitError, name: &str) -> Taken {
        let there = match &self.remote {
            Some(remote) => self
                .git
                .output(&["ls-remote", "--refs", "--", remote, name]),
            None => self
                .git
                .output(&["for-each-ref", "--format=%(objectname)", "--", name]),
        };
        let there = there.unwrap_or_default();
        // If it is ours all the same, the next look finds the release made.
        if !there.trim().is_empty() {
            return Taken::Tag;
        }
        match error {
            GitError::Failed { message, .. } => Taken::No(NoRelease::NotTaken {
                what: format!("the release could not be published: {message}"),
                help: match self.request.changelog {
                    Some(_) => "if the branch has moved meanwhile, run on its new commit",
                    None => "may this login push tags?",
                },
            }),
            other => Taken::No(other.into()),
        }
    }
}

/// The version that stands in a file, where that is the scheme.
///
/// # Errors
/// Why there is none, as a sentence part.
pub fn in_file(scheme: &VersionScheme, root: &Path) -> Result<Option<String>, String> {
    match scheme {
        VersionScheme::File(path) => version::file::read(root, path).map(Some),
        _ => Ok(None),
    }
}

/// The version that stands in a file as a commit has it, if one does.
#[must_use]
pub fn in_commit(git: &Git, commit: &str, path: &str) -> Option<String> {
    let scratch = tempfile::tempdir().ok()?;
    let name = Path::new(path).file_name()?;
    let there = format!("{commit}:./{path}");
    let text = git.output(&["cat-file", "blob", &there]).ok()?;
    std::fs::write(scratch.path().join(name), text).ok()?;
    version::file::read(scratch.path(), name.to_str()?).ok()
}
