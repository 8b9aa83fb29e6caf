//! Why a command could not do its work: what, what to do, and the exit code.

use engine::ledger::{Cause, LedgerError};
use engine::run::outcome::exit;

use crate::ui::out::Out;

/// A command's failure.
#[derive(Debug, Default)]
pub struct Failed {
    /// What is wrong; several mistakes are told one after the other. Empty where all has been told.
    errors: Vec<(String, Option<String>)>,
    code: i32,
}

impl Failed {
    /// The file or the command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            errors: vec![(message.into(), None)],
            code: exit::USAGE,
        }
    }

    /// The machine would not do it.
    pub fn machine(message: impl Into<String>) -> Self {
        Self {
            code: exit::INFRASTRUCTURE,
            ..Self::usage(message)
        }
    }

    /// A rule forbids it.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            code: exit::REFUSED,
            ..Self::usage(message)
        }
    }

    /// The ledger cannot be read or written.
    pub fn of_ledger(error: &LedgerError) -> Self {
        let what = error.to_string();
        let failed = match error.cause() {
            Cause::Refused => Self::refused(what),
            Cause::Infrastructure | Cause::Content => Self::machine(what),
        };
        failed.hint(error.remedy())
    }

    /// Everything has been said already.
    pub fn told(code: i32) -> Self {
        Self {
            errors: Vec::new(),
            code,
        }
    }

    /// Adds what to do about the last message.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.errors.last_mut() {
            last.1 = Some(hint.into());
        }
        self
    }

    /// Adds a further mistake.
    #[must_use]
    pub fn and(mut self, message: impl Into<String>, hint: Option<String>) -> Self {
        self.errors.push((message.into(), hint));
        self
    }

    /// Tells it on standard error; gives the exit code.
    pub fn tell(&self, out: &Out) -> i32 {
        for (message, hint) in &self.errors {
            out.error(message);
            if let Some(hint) = hint {
                out.hint(hint);
            }
        }
        self.code
    }
}
