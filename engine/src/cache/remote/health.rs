//! How it stands with a store elsewhere: one warning for all its failures, and when to do without it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Fault;

/// So many failures in a row are enough.
const ENOUGH: u32 = 3;

/// How it stands.
#[derive(Debug)]
pub(super) struct Health {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_a_row: u32,
    off: bool,
    told: bool,
    told_of_signature: bool,
    /// What has to be told and was not yet.
    news: Vec<String>,
}

impl Health {
    pub(super) fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::default(),
        }
    }

    /// Notes an answer.
    pub(super) fn answered(&self) {
        self.state().in_a_row = 0;
    }

    /// Notes that it could not be read or written, and why.
    pub(super) fn failed(&self, verb: &str, fault: &Fault) {
        let mut state = self.state();
        match fault {
            Fault::Here(_) => return,
            Fault::Silent(_) => state.off = true,
            Fault::Failed(_) => {
                state.in_a_row += 1;
                state.off |= state.in_a_row >= ENOUGH;
            }
        }
        if !state.told {
            state.told = true;
            let text = format!(
                "the remote cache {} cannot be {verb}: {fault}; the run goes on",
                self.name
            );
            state.news.push(text);
        }
    }

    /// Notes a record that somebody else has signed, or changed. It counts as none: a new secret is no failure.
    pub(super) fn forged(&self) {
        let mut state = self.state();
        if !state.told_of_signature {
            state.told_of_signature = true;
            let text = format!(
                "a record in the remote cache {} has a wrong signature, and is not used",
                self.name
            );
            state.news.push(text);
        }
    }

    /// Notes how many results were not sent, and whether there was time for it.
    pub(super) fn not_sent(&self, count: usize, in_time: bool) {
        let what = match count {
            1 => "1 result was".to_owned(),
            many => format!("{many} results were"),
        };
        let more = match in_time {
            true => "",
            false => "; `PIPE_REMOTE_WAIT` gives it more time",
        };
        let text = format!("{what} not sent to the remote cache {}{more}", self.name);
        self.state().news.push(text);
    }

    /// Whether the run does without it.
    pub(super) fn is_off(&self) -> bool {
        self.state().off
    }

    /// What has to be told, once.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut state = self.state();
        match state.news.is_empty() {
            true => None,
            false => Some(state.news.remove(0)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Fault {
        Fault::Failed("500 Internal Server Error".into())
    }

    #[test]
    fn three_failures_in_a_row_are_enough_and_one_warning_tells_of_them() {
        let health = Health::of("s3://acme");
        health.failed("read", &failed());
        health.failed("read", &failed());
        health.answered();
        health.failed("read", &failed());
        health.failed("written", &failed());
        assert!(!health.is_off());
        health.failed("written", &failed());
        assert!(health.is_off());
        assert_eq!(
            health.trouble().as_deref(),
            Some(
                "the remote cache s3://acme cannot be read: 500 Internal Server Error; the run goes on"
            )
        );
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn one_silence_is_enough() {
        let health = Health::of("s3://acme");
        health.failed("read", &Fault::Silent("nothing came for 10s".into()));
        assert!(health.is_off());
    }

    #[test]
    fn what_is_wrong_here_is_no_failure_of_the_store() {
        let health = Health::of("s3://acme");
        for _ in 0..5 {
            health.failed("written", &Fault::Here("a blob was damaged".into()));
        }
        assert!(!health.is_off());
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn wrong_signatures_are_told_once_and_are_no_failure() {
        let health = Health::of("s3://acme");
        for _ in 0..5 {
            health.forged();
        }
        assert!(!health.is_off());
        assert_eq!(
            health.trouble().as_deref(),
            Some("a record in the remote cache s3://acme has a wrong signature, and is not used")
        );
        assert_eq!(health.trouble(), None);
    }

    #[test]
    fn what_was_not_sent_is_counted() {
        let health = Health::of("s3://acme");
        health.not_sent(1, true);
        health.not_sent(2, false);
        assert_eq!(
            [health.trouble(), health.trouble()].map(Option::unwrap),
            [
                "1 result was not sent to the remote cache s3://acme",
                "2 results were not sent to the remote cache s3://acme; `PIPE_REMOTE_WAIT` gives it more time"
            ]
        );
    }
}
