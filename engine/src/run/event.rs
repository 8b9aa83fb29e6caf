//! Everything that a run tells the world: one closed enum. Journal, terminal and machine formats read only this.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::outcome::{Failure, Outcome, RunOutcome, UndoOutcome};
use crate::cache::Digest;

/// The full name of a planned step, `stage.step (leg)`.
pub type StepName = Arc<str>;

/// Something that happened. Times are milliseconds since the run began, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The run begins.
    RunStarted {
        /// Its id in this checkout; 0 where nothing can be recorded.
        run: u64,
        /// The pipeline's name.
        pipeline: String,
        /// The event, as a word.
        trigger: String,
        /// The branch or tag, if there is one.
        #[serde(default)]
        at: Option<String>,
        /// The commit, if there is one.
        #[serde(default)]
        sha: Option<String>,
        /// The run that this one continues.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continues: Option<u64>,
        /// The steps of the run, in file order.
        steps: Vec<StepName>,
    },
    /// It waits for another run of its concurrency group.
    WaitsForRun {
        /// The group's text.
        group: String,
        /// What the other run is, if that is known.
        holder: String,
    },
    /// A rollback is armed: written down before the step's effect begins.
    Armed {
        /// The step.
        step: StepName,
    },
    /// A target is about to be touched: written down before, so that nobody has to guess afterwards.
    Intent {
        /// The step.
        step: StepName,
        /// The target.
        target: String,
        /// The deployment's name on the ledger.
        deployment: String,
    },
    /// A deployment is over.
    Deployed {
        /// The step.
        step: StepName,
        /// The target.
        target: String,
        /// The bundle's name.
        bundle: String,
        /// What a person calls it.
        title: String,
        /// The images, by digest.
        images: BTreeMap<String, String>,
        /// How it ended: `healthy`, `unchanged`, `not begun`, `failed`, `rolled back`, `partly rolled back`, `unknown`.
        ending: String,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        step: StepName,
    },
    /// Lines that a step wrote, masked and fit for a terminal. Not recorded: the log has them.
    Output {
        /// The step.
        step: StepName,
        /// Whole lines, without their ends.
        lines: Vec<String>,
    },
    /// A try failed and there is another one.
    Retry {
        /// The step.
        step: StepName,
        /// The try that failed, from 1.
        attempt: u32,
        /// Why.
        failure: Failure,
        /// How long it waits, in milliseconds.
        wait: u64,
    },
    /// A step ended, or was skipped.
    StepEnded {
        /// The step.
        step: StepName,
        /// How.
        outcome: Outcome,
        /// How long it took, in milliseconds.
        elapsed: u64,
        /// How many tries it took.
        attempts: u32,
        /// The earlier run in which it ran, where this one continues that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_run: Option<u64>,
        /// The key of its result, if that can be kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Digest>,
        /// Its outputs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        outputs: BTreeMap<String, String>,
    },
    /// The undo of a step begins.
    UndoStarted {
        /// The step.
        step: StepName,
    },
    /// The undo of a step ended.
    UndoEnded {
        /// The step.
        step: StepName,
        /// How.
        outcome: UndoOutcome,
        /// How long it took, in milliseconds.
        elapsed: u64,
    },
    /// Somebody wants the run to end.
    Cancelling {
        /// Why: the signal's name, or what else.
        why: String,
        /// The steps that are asked to end.
        running: Vec<StepName>,
    },
    /// Somebody wants the run to end now: what runs is killed.
    Killing,
    /// Something that a user should know and that changes no result.
    Warning {
        /// One sentence part.
        text: String,
    },
    /// The run is over.
    RunEnded {
        /// How.
        outcome: RunOutcome,
        /// How long it took, in milliseconds.
        elapsed: u64,
    },
}

/// Gets every event, in order, on the one thread that runs the loop.
pub trait Subscriber {
    /// Takes one event.
    fn event(&mut self, event: &Event);

    /// Called several times a second, for elapsed times on a screen.
    fn tick(&mut self) {}

    /// Called before the run waits, and at its end: whatever was gathered is shown.
    fn flush(&mut self) {}
}
