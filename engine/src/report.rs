//! The state of a run as its events tell it: a pure fold, the same for a run that goes on and for one read back.

use std::collections::{BTreeMap, VecDeque};

use indexmap::IndexMap;

use crate::run::event::{Event, StepName};
use crate::run::outcome::{Failure, Outcome, RunOutcome, UndoOutcome};

/// How many lines of each running step are remembered, for its failure.
const TAIL: usize = 20;

/// What is known of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The run's id; 0 where nothing is recorded.
    pub run: u64,
    /// The pipeline's name.
    pub pipeline: String,
    /// `push`, `manual` and so on.
    pub trigger: String,
    /// The branch or tag.
    pub at: Option<String>,
    /// The commit.
    pub sha: Option<String>,
    /// The run that it continues.
    pub continues: Option<u64>,
    /// All steps, in file order.
    pub steps: IndexMap<StepName, StepReport>,
    /// The undos, in the order in which they began.
    pub undos: IndexMap<StepName, Option<UndoOutcome>>,
    /// Warnings, in order.
    pub warnings: Vec<String>,
    /// Why it was cancelled, if it was.
    pub cancelled: Option<String>,
    /// How it ended.
    pub outcome: Option<RunOutcome>,
    /// How long it took, in milliseconds.
    pub elapsed: u64,
}

/// What is known of a step.
#[derive(Debug, Clone, Default)]
pub struct StepReport {
    /// Whether it has begun.
    pub begun: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How long it took, in milliseconds.
    pub elapsed: u64,
    /// How many tries it took.
    pub attempts: u32,
    /// Failures of tries that were followed by another.
    pub retried: Vec<Failure>,
    /// The last lines that it wrote.
    pub tail: VecDeque<String>,
    /// How many lines it wrote.
    pub lines: u64,
    /// What it put out.
    pub outputs: BTreeMap<String, String>,
}

/// How many steps ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Succeeded.
    pub passed: usize,
    /// Result was there already.
    pub cached: usize,
    /// Failed, and was allowed to.
    pub soft_failed: usize,
    /// Failed.
    pub failed: usize,
    /// Cancelled while running.
    pub cancelled: usize,
    /// Never began because of something else.
    pub blocked: usize,
    /// Never began because it was not needed.
    pub not_needed: usize,
    /// Runs now.
    pub running: usize,
    /// Not begun yet.
    pub waiting: usize,
}

impl Report {
    /// The report of recorded events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut report = Self::default();
        events.into_iter().for_each(|e| report.event(e));
        report
    }

    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted {
                run,
                pipeline,
                trigger,
                at,
                sha,
                continues,
                steps,
            } => {
                self.continues = *continues;
                self.run = *run;
                self.pipeline.clone_from(pipeline);
                self.trigger.clone_from(trigger);
                self.at.clone_from(at);
                self.sha.clone_from(sha);
                self.steps = steps
                    .iter()
                    .map(|s| (s.clone(), StepReport::default()))
                    .collect();
            }
            Event::StepStarted { step } => self.step(step).begun = true,
            Event::Output { step, lines } => {
                let step = self.step(step);
                step.lines += lines.len() as u64;
                for line in &lines[lines.len().saturating_sub(TAIL)..] {
                    if step.tail.len() == TAIL {
                        step.tail.pop_front();
                    }
                    step.tail.push_back(line.clone());
                }
            }
            Event::Retry { step, failure, .. } => self.step(step).retried.push(failure.clone()),
            Event::StepEnded {
                step,
                outcome,
                elapsed,
                attempts,
                outputs,
                ..
            } => {
                let step = self.step(step);
                step.outcome = Some(outcome.clone());
                step.elapsed = *elapsed;
                step.attempts = *attempts;
                step.outputs.clone_from(outputs);
                if outcome.failure().is_none() {
                    step.tail = VecDeque::new();
                }
            }
            Event::UndoStarted { step } => {
                self.undos.insert(step.clone(), None);
            }
            Event::UndoEnded { step, outcome, .. } => {
                self.undos.insert(step.clone(), Some(outcome.clone()));
            }
            Event::Cancelling { why, .. } => self.cancelled = Some(why.clone()),
            Event::Warning { text } => self.warnings.push(text.clone()),
            Event::RunEnded { outcome, elapsed } => {
                self.outcome = Some(*outcome);
                self.elapsed = *elapsed;
            }
            Event::WaitsForRun { .. }
            | Event::Armed { .. }
            | Event::Intent { .. }
            | Event::Deployed { .. }
            | Event::Killing => {}
        }
    }

    /// How many steps ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for step in self.steps.values() {
            let count = match &step.outcome {
                Some(Outcome::Passed) => &mut counts.passed,
                Some(Outcome::Cached) => &mut counts.cached,
                Some(Outcome::SoftFailed { .. }) => &mut counts.soft_failed,
                Some(Outcome::Failed { .. }) => &mut counts.failed,
                Some(Outcome::Waiting { .. }) => &mut counts.waiting,
                Some(Outcome::Cancelled) => &mut counts.cancelled,
                Some(Outcome::Skipped { blocked: true, .. }) => &mut counts.blocked,
                Some(Outcome::Skipped { .. }) => &mut counts.not_needed,
                None if step.begun => &mut counts.running,
                None => &mut counts.waiting,
            };
            *count += 1;
        }
        counts
    }

    fn step(&mut self, name: &StepName) -> &mut StepReport {
        self.steps.entry(name.clone()).or_default()
    }
}
