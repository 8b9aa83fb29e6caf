//! A run on a terminal: ended steps scroll away above, what runs moves below with its time and last line.

use std::time::Instant;

use dsl::units::millis;
use engine::run::event::{Event, StepName, Subscriber};
use indexmap::IndexMap;

use super::Reporting;
use super::ending::Ending;
use super::out::Out;
use super::screen::Screen;
use super::words::{cut, pad, time};

/// How many running steps are shown.
const SHOWN: usize = 8;

/// The view.
pub struct Live {
    ending: Ending,
    screen: Screen,
    running: IndexMap<StepName, Instant>,
    began: Instant,
    /// The shell has the terminal again, because the process that it waited for was killed.
    still: bool,
    all_output: bool,
    width: usize,
    columns: usize,
    out: Out,
}

impl Live {
    /// The view. One step alone shows all that it writes.
    #[must_use]
    pub fn new(ending: Ending, about: &Reporting<'_>, out: &Out) -> Self {
        Self {
            width: ending.label_width(),
            columns: out.width,
            ending,
            screen: Screen::new(out),
            running: IndexMap::new(),
            began: Instant::now(),
            still: false,
            all_output: about.all_output || about.plan.steps().count() == 1,
            out: out.clone(),
        }
    }

    fn block(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .running
            .iter()
            .take(SHOWN)
            .map(|(s, began)| self.running_line(s, *began))
            .collect();
        lines.push(self.footer());
        lines
    }

    fn running_line(&self, step: &StepName, began: Instant) -> String {
        let last = self
            .ending
            .report
            .steps
            .get(step)
            .and_then(|s| s.tail.back());
        let last = last
            .map(String::as_str)
            .unwrap_or_default()
            .replace('\t', " ");
        let last = anstream::adapter::strip_str(&last).to_string();
        let label = pad(self.ending.label(step), self.width);
        let head = format!(
            " {:>11} {label}  {:>6}",
            "running",
            time(millis(began.elapsed()))
        );
        let room = self.columns.saturating_sub(head.chars().count() + 4);
        format!("{head}  {}", cut(&last, room))
    }

    fn footer(&self) -> String {
        let counts = self.ending.report.counts();
        let all = self.ending.report.steps.len();
        let done = all - counts.running - counts.waiting;
        let more = self.running.len().saturating_sub(SHOWN);
        let more = if more > 0 {
            format!(" ({more} not shown)")
        } else {
            String::new()
        };
        let failed = if counts.failed > 0 {
            format!(" · {} failed", counts.failed)
        } else {
            String::new()
        };
        let elapsed = time(millis(self.began.elapsed()));
        format!(
            " [{done}/{all}]{failed} · {} running{more} · {elapsed}",
            counts.running
        )
    }
}

impl Subscriber for Live {
    fn event(&mut self, event: &Event) {
        self.ending.report.event(event);
        match event {
            Event::RunStarted { .. } => self.screen.print(&self.ending.head()),
            Event::StepStarted { step } => {
                self.running.insert(step.clone(), Instant::now());
            }
            Event::Output { lines, step } if self.all_output => {
                let alone = self.ending.report.steps.len() == 1;
                let label = self.ending.label(step);
                let prefix = if alone {
                    String::new()
                } else {
                    format!("{} | ", pad(label, self.width))
                };
                lines
                    .iter()
                    .for_each(|line| self.screen.print(&format!("{prefix}{line}")));
                // Much output is shown as it comes; little can wait for the next moment.
                if lines.len() > 20 {
                    self.screen.draw(&self.block());
                }
            }
            Event::RunEnded { .. } => {
                self.screen.draw(&[]);
                self.ending
                    .end()
                    .iter()
                    .for_each(|line| self.out.line(line));
            }
            event => {
                if let Event::Cancelling { why, .. } = event {
                    self.still = why == engine::run::GUARDIAN_KILLED;
                    if self.still {
                        self.screen.leave();
                    }
                }
                if let Event::StepEnded { step, .. } = event {
                    self.running.shift_remove(step);
                }
                if let Some(line) = self.ending.line(event) {
                    self.screen.print(&line);
                }
            }
        }
    }

    fn tick(&mut self) {
        let block = if self.still { Vec::new() } else { self.block() };
        self.screen.draw(&block);
    }
}
