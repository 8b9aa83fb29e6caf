//! Why the ledger could not be read or written, and what to do about it.

use crate::world::GitError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Somebody else wrote in between.
    #[error("somebody else wrote to the ledger of `{0}` at the same moment")]
    Moved(String),
    /// Somebody else holds the target.
    #[error("`{target}` is being changed by {holder}")]
    Held {
        /// The target.
        target: String,
        /// Who.
        holder: String,
    },
    /// The repository takes no such refs.
    #[error("the remote `{remote}` refuses `{name}`: {message}")]
    Refused {
        /// The remote.
        remote: String,
        /// The ref.
        name: String,
        /// In git's words.
        message: String,
    },
    /// Git got no answer of the repository that has the ledger, or none that helps.
    #[error("the ledger on the remote `{remote}` cannot be reached: {}", why(.error))]
    Unreachable {
        /// The remote.
        remote: String,
        /// Why.
        error: GitError,
    },
    /// Git could not do it here.
    #[error("the ledger cannot be reached: {0}")]
    Git(GitError),
    /// A file could not be read or written.
    #[error("the ledger cannot be reached: {0}")]
    File(String),
    /// A record is newer than this version.
    #[error("the ledger of `{0}` was written by a newer pipe (format {1})")]
    Newer(String, u32),
    /// What stands there is no record.
    #[error("the ledger of `{0}` has a record that cannot be read: {1}")]
    Broken(String, String),
}

impl LedgerError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Moved(target) => format!("see `pipe history {target}`, then try again"),
            Self::Held { target, .. } => {
                format!("wait for it; if it is gone for good: `pipe unlock {target}`")
            }
            Self::Refused { .. } => "let refs/pipe/* be written there (a rule or a hook of the server forbids it, or \
                 the token may only read); for one machine alone, `pipeline NAME ledger=files` keeps the ledger in .pipe"
                .to_owned(),
            Self::Unreachable { remote, error } => error
                .remedy()
                .unwrap_or_else(|| format!("try `git ls-remote {remote}`")),
            Self::Git(error) => error
                .remedy()
                .unwrap_or_else(|| "look whether `git ls-remote` works here".to_owned()),
            Self::File(_) => "make the folder .pipe writable".to_owned(),
            Self::Newer(..) => "use a newer pipe".to_owned(),
            Self::Broken(target, _) => format!(
                "look at it with `git log refs/pipe/targets/{target}`; it is appended to by pipe alone"
            ),
        }
    }
}

/// Why git got no answer; which question it was matters to nobody.
fn why(error: &GitError) -> String {
    match error {
        GitError::Failed { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// What an error means for a run: the exit code that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody else was first, or the repository has a rule against it.
    Refused,
    /// The network, the repository elsewhere or this machine's disk would not do it.
    Infrastructure,
    /// What stands there cannot be used.
    Content,
}

impl LedgerError {
    /// Whose fault it is. What a remote does with a question that changes nothing tells: one that does not even answer that
    /// is away; one that does, and takes no record, has a rule.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Moved(_) | Self::Held { .. } | Self::Refused { .. } => Cause::Refused,
            Self::Unreachable { .. } | Self::Git(_) | Self::File(_) => Cause::Infrastructure,
            Self::Newer(..) | Self::Broken(..) => Cause::Content,
        }
    }
}

impl From<GitError> for LedgerError {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}
