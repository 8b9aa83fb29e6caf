//! A run under GitLab CI: a section for each step, folded unless it failed.

use engine::record::Runs;
use engine::run::event::{Event, Subscriber};
use engine::run::outcome::Outcome;

use super::Reporting;
use super::ending::Ending;
use super::out::Out;
use crate::commands::print_log;

/// The view.
pub struct GitLab {
    ending: Ending,
    runs: Runs,
    sections: usize,
    out: Out,
}

impl GitLab {
    /// The view.
    #[must_use]
    pub fn new(ending: Ending, about: &Reporting<'_>, out: &Out) -> Self {
        Self {
            ending,
            runs: about.project.runs(),
            sections: 0,
            out: out.clone(),
        }
    }

    fn ended(&mut self, step: &str, line: &str, outcome: &Outcome, elapsed: u64) {
        self.sections += 1;
        let id = format!("pipe_{}", self.sections);
        let folded = if outcome.failure().is_some() {
            "false"
        } else {
            "true"
        };
        let now = jiff::Timestamp::now().as_second();
        let began = now - i64::try_from(elapsed / 1000).unwrap_or(0);
        // The escape sequences are GitLab's own: they mark where the marker's line ends. They are no colours.
        let head = self.out.painted(line);
        self.out.bytes(
            format!("\x1b[0Ksection_start:{began}:{id}[collapsed={folded}]\r\x1b[0K{head}\n")
                .as_bytes(),
        );
        if self.ending.report.run != 0 {
            print_log(
                &self.runs.dir(self.ending.report.run).log(step),
                engine::output::OuterCi::GitLab,
                &self.out,
            );
        }
        self.out
            .bytes(format!("\x1b[0Ksection_end:{now}:{id}\r\x1b[0K\n").as_bytes());
    }
}

impl Subscriber for GitLab {
    fn event(&mut self, event: &Event) {
        self.ending.report.event(event);
        let line = self.ending.line(event);
        match event {
            Event::RunStarted { .. } => self.out.line(&self.ending.head()),
            Event::StepEnded {
                step,
                outcome,
                elapsed,
                ..
            } if !matches!(outcome, Outcome::Skipped { .. } | Outcome::Cached) => {
                self.ended(step, &line.unwrap_or_default(), outcome, *elapsed);
            }
            Event::RunEnded { .. } => self
                .ending
                .end()
                .iter()
                .for_each(|line| self.out.line(line)),
            _ => {
                if let Some(line) = line {
                    self.out.line(&line);
                }
            }
        }
    }
}
