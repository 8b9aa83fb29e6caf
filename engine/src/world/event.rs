//! The events that a run can answer to, and their names. Unaware of where they come from.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What happened that a run answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A person started it.
    Manual,
    /// Commits came to a branch.
    Push,
    /// A pull request (or merge request) was opened or changed.
    PullRequest,
    /// A tag was pushed, or a release made from one.
    Tag,
    /// A clock started it.
    Schedule,
}

impl Event {
    /// All events, in the order in which they are listed to people.
    pub const ALL: [Self; 5] = [
        Self::Manual,
        Self::Push,
        Self::PullRequest,
        Self::Tag,
        Self::Schedule,
    ];

    /// The name as pipelines and flags write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Push => "push",
            Self::PullRequest => "pull-request",
            Self::Tag => "tag",
            Self::Schedule => "schedule",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown event {0:?}: it is one of manual, push, pull-request, tag, schedule")]
pub struct UnknownEvent(pub String);

impl FromStr for Event {
    type Err = UnknownEvent;

    fn from_str(name: &str) -> Result<Self, UnknownEvent> {
        let known = Self::ALL.into_iter().find(|event| event.name() == name);
        known.ok_or_else(|| UnknownEvent(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_it_is_read_and_a_wrong_one_lists_the_right_ones() {
        for event in Event::ALL {
            assert_eq!(event.name().parse(), Ok(event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.to_string());
        }
        let error = "pull_request".parse::<Event>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"unknown event "pull_request": it is one of manual, push, pull-request, tag, schedule"#
        );
    }
}
