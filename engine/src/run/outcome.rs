//! How steps, undos and runs end, and the exit codes that tell it.

use serde::{Deserialize, Serialize};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Outcome {
    /// It succeeded.
    Passed,
    /// Its result was there already.
    Cached,
    /// It failed, and was allowed to.
    SoftFailed {
        /// Why.
        failure: Failure,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// People have to agree first.
    Waiting {
        /// Who, and how.
        failure: Failure,
    },
    /// It was running when the run was cancelled.
    Cancelled,
    /// It never began.
    Skipped {
        /// Why, as a sentence part.
        reason: String,
        /// Whether the reason is a failure further up, and not simply that it was not needed.
        blocked: bool,
    },
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Cached => "cached",
            Outcome::SoftFailed { .. } => "soft-failed",
            Outcome::Failed { .. } => "failed",
            Outcome::Waiting { .. } => "waiting",
            Outcome::Cancelled => "cancelled",
            Outcome::Skipped { .. } => "skipped",
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Outcome::Failed { failure }
            | Outcome::SoftFailed { failure }
            | Outcome::Waiting { failure } => Some(failure),
            _ => None,
        }
    }
}

/// Why a step failed: for a person, and for a retry rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line: `exit 101`, `timed out after 30m`.
    pub what: String,
    /// The command that failed, in one line, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The exit code of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// What it means for the run, where that is more than a step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub means: Option<Means>,
}

/// What a failure means for the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// What the step did is undone already.
    RolledBack,
    /// A person must look.
    NeedsAttention,
    /// A policy, a lock or a state forbids it, and nothing was changed.
    Refused,
    /// People have to agree first.
    Waiting,
    /// The machine, the engine, a registry or the network would not do it.
    Infrastructure,
}

impl Failure {
    /// A failure that is not a command's.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            command: None,
            help: None,
            exit: None,
            means: None,
        }
    }

    /// Says what it means for the run.
    #[must_use]
    pub fn means(mut self, means: Means) -> Self {
        self.means = Some(means);
        self
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// How an undo ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum UndoOutcome {
    /// The effect is undone.
    RolledBack,
    /// It is not, or nobody knows.
    RollbackFailed {
        /// Why.
        failure: Failure,
    },
    /// The run was killed before the undo could begin.
    Dropped,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every step passed, or was allowed to fail.
    Passed,
    /// A step failed; nothing had to be undone.
    Failed,
    /// A step failed, and everything that had to be undone is undone.
    RolledBack,
    /// An undo failed or could not begin: a person must look.
    NeedsAttention,
    /// Nothing failed, and people have to agree before it goes on.
    Waiting,
    /// The machine, an engine, a registry or the network failed, and nothing else.
    Infrastructure,
    /// Something was forbidden, and nothing else failed.
    Refused,
    /// A signal ended it.
    Cancelled {
        /// The signal's number.
        signal: i32,
    },
}

impl RunOutcome {
    /// The exit code that tells it.
    #[must_use]
    pub fn exit_code(self) -> i32 {
        match self {
            RunOutcome::Passed => exit::OK,
            RunOutcome::Failed => exit::FAILED,
            RunOutcome::RolledBack => exit::ROLLED_BACK,
            RunOutcome::NeedsAttention => exit::NEEDS_ATTENTION,
            RunOutcome::Waiting => exit::WAITING,
            RunOutcome::Infrastructure => exit::INFRASTRUCTURE,
            RunOutcome::Refused => exit::REFUSED,
            RunOutcome::Cancelled { signal } => exit::SIGNAL + signal,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RunOutcome::Passed => "passed",
            RunOutcome::Failed | RunOutcome::Infrastructure => "failed",
            RunOutcome::RolledBack => "rolled back",
            RunOutcome::NeedsAttention => "needs attention",
            RunOutcome::Waiting => "waiting",
            RunOutcome::Refused => "refused",
            RunOutcome::Cancelled { .. } => "cancelled",
        }
    }
}

/// Exit codes of the program. They are part of its interface.
pub mod exit {
    /// All is well.
    pub const OK: i32 = 0;
    /// A step failed.
    pub const FAILED: i32 = 1;
    /// The file or the command line is wrong.
    pub const USAGE: i32 = 2;
    /// The machine, the engine, a registry or the network failed.
    pub const INFRASTRUCTURE: i32 = 3;
    /// The run waits for an approval.
    pub const WAITING: i32 = 4;
    /// Refused: a policy, a lock, a state.
    pub const REFUSED: i32 = 5;
    /// A step failed, and what it did is undone.
    pub const ROLLED_BACK: i32 = 6;
    /// An undo failed: a person must look.
    pub const NEEDS_ATTENTION: i32 = 7;
    /// Added to the number of the signal that ended the run.
    pub const SIGNAL: i32 = 128;
}
