//! Documents on git refs, each a commit: read, and replaced only where nobody else did so in between. Where the repository
//! has a remote, that is where they are; the refs here are copies. Does not know what the documents say.

use std::time::Duration;

use super::error::LedgerError;
use crate::world::{Git, GitError};

/// How long a call over the network may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a write is tried again that was refused although nobody else wrote, and the pause before the first time.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// What is written is on the disk before it counts as written.
const SYNCED: [(&str, &str); 3] = [
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "core.fsync"),
    ("GIT_CONFIG_VALUE_0", "committed,loose-object,reference"),
];

/// The file in each commit.
const FILE: &str = "record.json";

/// A repository with such refs.
#[derive(Debug, Clone)]
pub struct Refs {
    git: Git,
    remote: Option<String>,
}

/// The state of a ref: the id of its commit.
pub type Tip = Option<String>;

impl Refs {
    /// The refs of the repository that `git` is about.
    ///
    /// # Errors
    /// When there is no repository, or git cannot be asked.
    pub fn open(git: &Git) -> Result<Self, LedgerError> {
        let git = git.clone().with_deadline(PATIENCE);
        git.output(&["rev-parse", "--git-dir"])?;
        let remote = git.remote()?;
        Ok(Self { remote, git })
    }

    /// The remote that has them, if there is one.
    #[must_use]
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// Asks the remote.
    fn there(&self, remote: &str, args: &[&str]) -> Result<String, LedgerError> {
        self.git.output(args).map_err(|error| match error {
            GitError::NotInstalled => LedgerError::Git(error),
            error => LedgerError::Unreachable {
                remote: remote.to_owned(),
                error,
            },
        })
    }

    /// The refs beneath `prefix` (which ends with `/`), with their commits, in order of their names.
    ///
    /// # Errors
    /// What git could not do.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, LedgerError> {
        let text = match &self.remote {
            Some(remote) => {
                let pattern = format!("{prefix}*");
                self.there(remote, &["ls-remote", "--refs", "--", remote, &pattern])?
            }
            None => self.git.output(&[
                "for-each-ref",
                "--format=%(objectname)%09%(refname)",
                "--",
                prefix,
            ])?,
        };
        let mut found: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(_, name)| name.starts_with(prefix))
            .map(|(id, name)| (name.to_owned(), id.to_owned()))
            .collect();
        found.sort();
        Ok(found)
    }

    /// The commit of one ref, as it is where it counts.
    ///
    /// # Errors
    /// What git could not do.
    pub fn tip(&self, name: &str) -> Result<Tip, LedgerError> {
        let text = match &self.remote {
            Some(remote) => self.there(remote, &["ls-remote", "--refs", "--", remote, name])?,
            None => self.git.output(&[
                "for-each-ref",
                "--format=%(objectname)%09%(refname)",
                "--",
                name,
            ])?,
        };
        let exact = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(_, found)| *found == name);
        Ok(exact.map(|(id, _)| id.to_owned()))
    }

    /// Makes the commits of these refs known here.
    ///
    /// # Errors
    /// What git could not do.
    pub fn fetch(&self, wanted: &[(String, String)]) -> Result<(), LedgerError> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let missing: Vec<&(String, String)> = wanted
            .iter()
            .filter(|(_, id)| {
                let object = format!("{id}^{{commit}}");
                self.git.output(&["cat-file", "-e", &object]).is_err()
            })
            .collect();
        if !missing.is_empty() {
            let mut args = vec![
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-auto-maintenance",
                "--no-filter",
                "--recurse-submodules=no",
                "--",
                remote,
            ];
            args.extend(missing.iter().map(|(name, _)| name.as_str()));
            self.there(remote, &args)?;
        }
        for (name, id) in wanted {
            // A copy for people; whoever else writes it at the same moment writes the same or a newer one.
            let _ = self.git.output(&["update-ref", "--no-deref", name, id]);
        }
        Ok(())
    }

    /// The documents of the chain of a ref, the newest first, up to `id`, which is known here.
    ///
    /// # Errors
    /// What git could not do.
    pub fn chain(&self, name: &str, id: &str) -> Result<Vec<(String, Vec<u8>)>, LedgerError> {
        let ids = self
            .git
            .output(&["rev-list", "--first-parent", "--end-of-options", id])?;
        let ids: Vec<&str> = ids.lines().collect();
        let asked: String = ids.iter().map(|id| format!("{id}:{FILE}\n")).collect();
        let batch = ["cat-file", "--batch"];
        let text = self.git.answer(&batch, &[], Some(asked.into_bytes()))?;
        let mut rest = text.as_str();
        let mut documents = Vec::with_capacity(ids.len());
        for id in ids {
            let broken =
                || LedgerError::Broken(short(name), format!("the commit {id} has no {FILE}"));
            let (head, after) = rest.split_once('\n').ok_or_else(broken)?;
            let size = head.rsplit(' ').next().and_then(|s| s.parse().ok());
            let size: usize = size.ok_or_else(broken)?;
            let document = after.get(..size).ok_or_else(broken)?;
            documents.push((id.to_owned(), document.as_bytes().to_vec()));
            rest = after.get(size + 1..).unwrap_or_default();
        }
        Ok(documents)
    }

    /// Replaces what a ref has, if it still is `old`: by a commit of `document`, which follows the old one if `chained`;
    /// by nothing where there is none. Gives the new commit.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] where it is not, otherwise what git could not do.
    pub fn swap(
        &self,
        name: &str,
        old: Option<&str>,
        new: Option<&Document<'_>>,
    ) -> Result<Tip, LedgerError> {
        let commit = new.map(|d| self.commit(old, d)).transpose()?;
        match &self.remote {
            None => self.swap_here(name, old, commit.as_deref())?,
            Some(remote) => self.swap_there(remote, name, old, commit.as_deref())?,
        }
        Ok(commit)
    }

    fn commit(&self, old: Option<&str>, document: &Document<'_>) -> Result<String, LedgerError> {
        let word = |text: String| text.trim().to_owned();
        let bytes = Some(document.text.as_bytes().to_vec());
        let blob = self
            .git
            .answer(&["hash-object", "-w", "--stdin"], &SYNCED, bytes)?;
        let tree = format!("100644 blob {}\t{FILE}\n", word(blob));
        let tree = self
            .git
            .answer(&["mktree"], &SYNCED, Some(tree.into_bytes()))
            .map(word)?;
        let author: String = document
            .by
            .chars()
            .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
            .collect();
        let author = match author.trim() {
            "" => "pipe",
            some => some,
        };
        let mut env = SYNCED.to_vec();
        env.extend([
            ("GIT_AUTHOR_NAME", author),
            ("GIT_AUTHOR_EMAIL", "pipe@localhost"),
            ("GIT_COMMITTER_NAME", author),
            ("GIT_COMMITTER_EMAIL", "pipe@localhost"),
        ]);
        let mut args = vec!["commit-tree", "--no-gpg-sign"];
        if let (true, Some(old)) = (document.chained, old) {
            args.extend(["-p", old]);
        }
        args.extend(["-m", document.message, &tree]);
        Ok(self.git.answer(&args, &env, None).map(word)?)
    }

    fn swap_here(
        &self,
        name: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), LedgerError> {
        // An empty old value: it must not be there.
        let expected = old.unwrap_or_default();
        let args = match new {
            Some(new) => ["update-ref", "--no-deref", name, new, expected],
            None => ["update-ref", "--no-deref", "-d", name, expected],
        };
        let mut tries = 0;
        loop {
            let Err(error) = self.git.answer(&args, &SYNCED, None) else {
                return Ok(());
            };
            if self.tip(name)?.as_deref() != old {
                return Err(LedgerError::Moved(short(name)));
            }
            if tries == TRIES {
                return Err(error.into());
            }
            tries += 1;
            std::thread::sleep(PAUSE * tries);
        }
    }

    fn swap_there(
        &self,
        remote: &str,
        name: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), LedgerError> {
        let lease = format!("--force-with-lease={name}:{}", old.unwrap_or_default());
        let spec = format!("{}:{name}", new.unwrap_or_default());
        let args = [
            "push",
            "--quiet",
            "--porcelain",
            "--no-signed",
            "--no-follow-tags",
            "--recurse-submodules=no",
            &lease,
            "--",
            remote,
            &spec,
        ];
        let mut tries = 0;
        while let Err(error) = self.git.output(&args) {
            match self.after_refusal(remote, name, old, new, error) {
                // Another writer may hold the ref's file, and not have written yet.
                Err(LedgerError::Refused { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
            std::thread::sleep(PAUSE * tries);
        }
        // A copy for people.
        let _ = match new {
            Some(new) => self.git.output(&["update-ref", "--no-deref", name, new]),
            None => self.git.output(&["update-ref", "--no-deref", "-d", name]),
        };
        Ok(())
    }

    /// A push that was not acknowledged may have been done all the same: the remote knows.
    fn after_refusal(
        &self,
        remote: &str,
        name: &str,
        old: Option<&str>,
        new: Option<&str>,
        error: GitError,
    ) -> Result<(), LedgerError> {
        let now = self.tip(name)?;
        if now.as_deref() == new {
            return Ok(());
        }
        if now.as_deref() == old {
            return Err(match error {
                GitError::Failed { message, .. } => LedgerError::Refused {
                    remote: remote.to_owned(),
                    name: name.to_owned(),
                    message,
                },
                error => LedgerError::Unreachable {
                    remote: remote.to_owned(),
                    error,
                },
            });
        }
        if let (Some(now), Some(new)) = (now, new) {
            self.fetch(&[(name.to_owned(), now.clone())])?;
            let ours = ["merge-base", "--is-ancestor", new, &now];
            if self.git.output(&ours).is_ok() {
                return Ok(());
            }
        }
        Err(LedgerError::Moved(short(name)))
    }
}

/// What becomes a commit.
#[derive(Debug, Clone, Copy)]
pub struct Document<'d> {
    /// The content of its file.
    pub text: &'d str,
    /// What `git log` shows.
    pub message: &'d str,
    /// Who writes it.
    pub by: &'d str,
    /// Whether it follows the one that is there.
    pub chained: bool,
}

/// The name of the target in that of a ref.
fn short(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_owned()
}
