//! One deployment as a state machine: what is done next, after what came of the thing before. Pure: no clock, no target, no
//! ledger. Everything that a deployment promises about its order is here, and tested with every answer to every question.
//!
//! Nothing is touched before the intent is written. What began ends recorded, or stays an intent without an end, which
//! says that nobody knows. An undo is tried once.

use super::driver::Failure;
use crate::ledger::Outcome;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Do {
    /// Take the target's lease.
    Lock,
    /// Settle what was interrupted, look for the way back and at the host's settings. Touches nothing that is new.
    LookBefore,
    /// Write the intent: on the disk, then on the ledger.
    Intend,
    /// Make the target run the bundle.
    Apply,
    /// Wait until it is ready.
    AwaitReady,
    /// Ask which digests run, and compare them with those that were asked for.
    Compare,
    /// Make the target run what it ran before.
    Undo,
    /// Wait until that is ready.
    AwaitBack,
    /// Ask which digests run, and compare them with those from before.
    CompareBack,
    /// Write down how it ended.
    Record(Outcome),
    /// Give the lease back.
    Unlock,
    /// It is over.
    End(Ending),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// Of `LookBefore`: the target runs the bundle already, ready, and that is recorded.
    Already,
    /// It failed.
    Failed(Failure),
    /// Somebody wants the run to end.
    Cancelled,
    /// The target is no longer this run's to change: its lease is lost.
    Lost(Failure),
}

/// What a deployment goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Back {
    /// The release of this name.
    To(String),
    /// Nothing ran before: to nothing.
    ToNothing,
    /// To what ran before, which no release tells, and the platform finds again.
    ToUnmanaged,
    /// There is no way back, and why.
    None(String),
    /// The file says that a failed deployment stays.
    Stays,
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// What was asked for runs.
    Healthy,
    /// It ran already, and nothing was changed.
    Already,
    /// Nothing was changed.
    NotBegun(Failure),
    /// Nothing was changed, because somebody ended the run.
    Cancelled,
    /// It failed and stays, because the file says so.
    Stays(Failure),
    /// It failed, and the target is back.
    RolledBack(Failure),
    /// It failed, and so did its undo: the target is locked.
    PartlyRolledBack {
        /// Why it failed.
        failure: Failure,
        /// Why the undo failed.
        undo: Failure,
    },
    /// Nobody knows what runs: the target is locked.
    Unknown(Failure),
    /// Another run may be changing the target, which this one has touched: it is left as it is, and its intent stays without
    /// an end until somebody has asked the target.
    Lost(Failure),
    /// What was asked for runs, or what was there before, and the ledger could not be told.
    NotRecorded {
        /// How it ended.
        outcome: Outcome,
        /// Why that could not be written.
        failure: Failure,
    },
}

/// Where a deployment is.
#[derive(Debug, Clone)]
pub struct Machine {
    doing: Do,
    back: Back,
    /// Why it failed.
    failure: Option<Failure>,
    /// Why its undo failed.
    undo: Option<Failure>,
    /// Whether the bundle is to blame.
    blamed: bool,
    /// Whether what runs is only taken away.
    takes_away: bool,
    ending: Option<Ending>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// A deployment that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self {
            doing: Do::Lock,
            back: Back::None("nobody has looked".to_owned()),
            failure: None,
            undo: None,
            blamed: true,
            takes_away: false,
            ending: None,
        }
    }

    /// The same for a deployment that was healthy, and whose run failed later: its way back, and nothing else.
    #[must_use]
    pub fn taking_away() -> Self {
        Self {
            failure: Some(Failure::new("a later step of its run failed")),
            blamed: false,
            takes_away: true,
            ..Self::new()
        }
    }

    /// What is to be done now.
    #[must_use]
    pub fn doing(&self) -> &Do {
        &self.doing
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What a failure leads back to, as `LookBefore` found it.
    pub fn goes_back(&mut self, back: Back) {
        self.back = back;
    }

    /// Takes what came of what was to be done; says what is next.
    pub fn answer(&mut self, answer: Answer) -> &Do {
        self.doing = self.next(answer);
        &self.doing
    }

    fn next(&mut self, answer: Answer) -> Do {
        match (self.doing.clone(), answer) {
            (Do::Lock, Answer::Done | Answer::Already) => Do::LookBefore,
            (Do::Lock, Answer::Failed(why)) => Do::End(Ending::NotBegun(why)),
            (Do::Lock, Answer::Cancelled) => Do::End(Ending::Cancelled),

            // Whoever has the lease now puts right what is not; neither an undo nor an outcome is this run's any more.
            (Do::Lock | Do::LookBefore | Do::Intend, Answer::Lost(why)) => {
                self.end(Ending::NotBegun(why))
            }
            (
                Do::Apply
                | Do::AwaitReady
                | Do::Compare
                | Do::Undo
                | Do::AwaitBack
                | Do::CompareBack,
                Answer::Lost(why),
            ) => self.end(Ending::Lost(why)),

            (Do::LookBefore, Answer::Done) => Do::Intend,
            (Do::LookBefore, Answer::Already) => self.end(Ending::Already),
            (Do::LookBefore | Do::Intend, Answer::Failed(why)) => self.end(Ending::NotBegun(why)),
            (Do::LookBefore | Do::Intend, Answer::Cancelled) => self.end(Ending::Cancelled),
            (Do::Intend, _) if self.takes_away => Do::Undo,
            (Do::Intend, _) => Do::Apply,

            (Do::Apply, Answer::Done | Answer::Already) => Do::AwaitReady,
            (Do::AwaitReady, Answer::Done | Answer::Already) => Do::Compare,
            (Do::Compare, Answer::Done | Answer::Already) => {
                self.ending = Some(Ending::Healthy);
                Do::Record(Outcome::Healthy)
            }
            (Do::Apply | Do::AwaitReady | Do::Compare, Answer::Failed(why)) => self.failed(why),
            (Do::Apply | Do::AwaitReady | Do::Compare, Answer::Cancelled) => {
                self.blamed = false;
                self.failed(Failure::new("cancelled before it was ready"))
            }

            (Do::Undo, Answer::Done | Answer::Already) => Do::AwaitBack,
            (Do::AwaitBack, Answer::Done | Answer::Already) => Do::CompareBack,
            (Do::CompareBack, Answer::Done | Answer::Already) => self.is_back(),
            (Do::Undo | Do::AwaitBack | Do::CompareBack, Answer::Failed(why)) => self.lost(why),
            (Do::Undo | Do::AwaitBack | Do::CompareBack, Answer::Cancelled) => {
                self.lost(Failure::new("killed before it ended"))
            }

            (Do::Record(_), Answer::Done | Answer::Already) => Do::Unlock,
            (Do::Record(outcome), Answer::Failed(failure) | Answer::Lost(failure)) => {
                self.ending = Some(Ending::NotRecorded { outcome, failure });
                Do::Unlock
            }
            (Do::Record(outcome), Answer::Cancelled) => {
                let failure = Failure::new("killed before it was recorded");
                self.ending = Some(Ending::NotRecorded { outcome, failure });
                Do::Unlock
            }
            // A lease that cannot be given back is over some time later.
            (Do::Unlock, _) => Do::End(self.ending.clone().unwrap_or(Ending::Cancelled)),
            (Do::End(ending), _) => Do::End(ending),
        }
    }

    fn end(&mut self, ending: Ending) -> Do {
        self.ending = Some(ending);
        Do::Unlock
    }

    fn failed(&mut self, why: Failure) -> Do {
        self.failure = Some(why.clone());
        match &self.back {
            Back::To(_) | Back::ToNothing | Back::ToUnmanaged => Do::Undo,
            Back::Stays => {
                self.ending = Some(Ending::Stays(why.clone()));
                Do::Record(Outcome::Failed { why: why.what })
            }
            Back::None(reason) => {
                let reason = Failure::new(format!("there is no way back: {reason}"));
                self.lost(reason)
            }
        }
    }

    fn is_back(&mut self) -> Do {
        let failure = self.why();
        let to = match &self.back {
            Back::To(id) => Some(id.clone()),
            _ => None,
        };
        self.ending = Some(Ending::RolledBack(failure.clone()));
        Do::Record(Outcome::RolledBack {
            to,
            why: failure.what,
            blamed: self.blamed,
        })
    }

    /// The undo failed. Where the target could not even be asked, nobody knows what runs.
    fn lost(&mut self, undo: Failure) -> Do {
        let failure = self.why();
        self.undo = Some(undo.clone());
        if undo.unreachable {
            let why = format!("{}; then {}", failure.what, undo.what);
            self.ending = Some(Ending::Unknown(Failure {
                what: why.clone(),
                ..undo
            }));
            return Do::Record(Outcome::Unknown { why });
        }
        let outcome = Outcome::PartlyRolledBack {
            why: failure.what.clone(),
            undo: undo.what.clone(),
        };
        self.ending = Some(Ending::PartlyRolledBack { failure, undo });
        Do::Record(outcome)
    }

    fn why(&self) -> Failure {
        self.failure
            .clone()
            .unwrap_or_else(|| Failure::new("it failed"))
    }
}
