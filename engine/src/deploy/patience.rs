//! How long a platform has for a rollout: the time of the target's readiness, and never longer than the step's, of which what
//! is wrong must still be asked. Asks nothing itself.

use std::time::Duration;

use dsl::units::show_duration;
use tokio::time::Instant;

use super::hands::Hands;
use super::ready::Readiness;

/// The time of one rollout.
pub(super) struct Patience {
    began: Instant,
    within: Duration,
    asking: Duration,
}

/// That it is over.
pub(super) struct Late {
    /// How long it was, for a person.
    pub(super) so_far: String,
    /// What to do if it only needs longer.
    pub(super) help: &'static str,
}

impl Patience {
    /// Begins now. `usual` is the time where the target has no `ready`, `asking` the time that it takes to find out why.
    pub(super) fn new(ready: Option<&Readiness>, usual: Duration, asking: Duration) -> Self {
        Self {
            began: Instant::now(),
            within: ready.map_or(usual, |r| r.within),
            asking,
        }
    }

    /// Whether it is over, by the time of the step that `hands` work for or by its own.
    pub(super) fn is_over(&self, hands: &Hands) -> Option<Late> {
        let step_ends = hands
            .deadline
            .is_some_and(|d| d <= Instant::now() + self.asking);
        if !step_ends && self.began.elapsed() < self.within {
            return None;
        }
        Some(Late {
            so_far: show_duration(Duration::from_secs(self.began.elapsed().as_secs())),
            help: match step_ends {
                true => "find out why; if it only needs longer, raise the step's `timeout`",
                false => {
                    "find out why; if it only needs longer, raise `within` of the target's `ready`"
                }
            },
        })
    }
}
