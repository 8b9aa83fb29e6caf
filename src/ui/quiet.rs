//! A run of which only what goes wrong is told: nothing at all where all goes well.

use engine::run::event::{Event, Subscriber};
use engine::run::outcome::RunOutcome;

use super::ending::Ending;
use super::out::Out;

/// The view for those who read when something has failed.
pub struct Quiet {
    ending: Ending,
    out: Out,
}

impl Quiet {
    /// The view.
    #[must_use]
    pub fn new(ending: Ending, out: &Out) -> Self {
        Self {
            ending,
            out: out.clone(),
        }
    }
}

impl Subscriber for Quiet {
    fn event(&mut self, event: &Event) {
        self.ending.report.event(event);
        let lines = match event {
            // What failed is shown whole at the end.
            Event::StepEnded { .. } => Vec::new(),
            Event::RunEnded {
                outcome: RunOutcome::Passed,
                ..
            } => Vec::new(),
            Event::RunEnded { .. } => self.ending.end(),
            event => self.ending.line(event).into_iter().collect(),
        };
        lines.iter().for_each(|line| self.out.line(line));
    }
}
