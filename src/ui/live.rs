//! A run on a terminal: ended steps scroll away above, what runs moves below with its time and last line.

use std::time::{Duration, Instant};

use engine::run::event::{Event, StepName, Subscriber};
use indexmap::IndexMap;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Reporting;
use super::ending::Ending;
use super::out::Out;
use super::words::{BUSY, DIM, cut, pad, paint, time};

/// How many running steps are shown.
const SHOWN: usize = 8;

/// The view.
pub struct Live {
    ending: Ending,
    screen: MultiProgress,
    footer: Option<ProgressBar>,
    running: IndexMap<StepName, Running>,
    began: Instant,
    all_output: bool,
    width: usize,
    out: Out,
}

struct Running {
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Live {
    /// The view. One step alone shows all that it writes.
    #[must_use]
    pub fn new(ending: Ending, about: &Reporting<'_>, out: &Out) -> Self {
        Self {
            width: ending.label_width(),
            ending,
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(10)),
            footer: None,
            running: IndexMap::new(),
            began: Instant::now(),
            all_output: about.all_output || about.plan.steps().count() == 1,
            out: out.clone(),
        }
    }

    fn print(&self, line: &str) {
        // A terminal that is gone cannot be told.
        let _ = self.screen.println(self.out.painted(line));
    }

    fn begin(&mut self, step: &StepName) {
        let bar =
            (self.running.values().filter(|r| r.bar.is_some()).count() < SHOWN).then(|| self.bar());
        let running = Running {
            began: Instant::now(),
            bar,
        };
        self.running.insert(step.clone(), running);
        self.draw();
    }

    fn bar(&self) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_style(plain_style());
        match &self.footer {
            Some(footer) => self.screen.insert_before(footer, bar),
            None => self.screen.add(bar),
        }
    }

    fn end(&mut self, step: &StepName) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.shift_remove(step) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
            // The place goes to a step that had none.
            let fresh = self.bar();
            match self.running.values_mut().find(|r| r.bar.is_none()) {
                Some(waiting) => waiting.bar = Some(fresh),
                None => self.screen.remove(&fresh),
            }
        }
    }

    fn draw(&self) {
        for (step, running) in &self.running {
            let Some(bar) = &running.bar else { continue };
            let elapsed = millis(running.began.elapsed());
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
            let head = format!(
                " {:>11} {}  {:>6}",
                "running",
                pad(self.ending.label(step), self.width),
                time(elapsed)
            );
            let room = self.out.width.saturating_sub(head.chars().count() + 4);
            let line = format!("{}  {}", paint(BUSY, &head), paint(DIM, &cut(&last, room)));
            bar.set_message(self.out.painted(&line));
        }
        if let Some(footer) = &self.footer {
            footer.set_message(self.out.painted(&self.footer_line()));
        }
    }

    fn footer_line(&self) -> String {
        let counts = self.ending.report.counts();
        let all = self.ending.report.steps.len();
        let done = all - counts.running - counts.waiting;
        let more = self.running.len().saturating_sub(SHOWN);
        let more = if more > 0 {
            format!(" · {more} more running")
        } else {
            String::new()
        };
        let failed = if counts.failed > 0 {
            format!(" · {} failed", counts.failed)
        } else {
            String::new()
        };
        let elapsed = time(millis(self.began.elapsed()));
        paint(
            DIM,
            &format!(
                " [{done}/{all}]{failed} · {} running{more} · {elapsed}",
                counts.running
            ),
        )
    }
}

impl Subscriber for Live {
    fn event(&mut self, event: &Event) {
        self.ending.report.event(event);
        match event {
            Event::RunStarted { .. } => {
                self.print(&self.ending.head());
                self.footer = Some(
                    self.screen
                        .add(ProgressBar::new_spinner().with_style(plain_style())),
                );
                self.draw();
            }
            Event::StepStarted { step } => self.begin(step),
            Event::Output { lines, step } if self.all_output => {
                let alone = self.ending.report.steps.len() == 1;
                let prefix = if alone {
                    String::new()
                } else {
                    paint(DIM, &format!("{} | ", self.ending.label(step)))
                };
                lines
                    .iter()
                    .for_each(|line| self.print(&format!("{prefix}{line}")));
            }
            Event::StepEnded { step, .. } => {
                self.end(step);
                if let Some(line) = self.ending.line(event) {
                    self.print(&line);
                }
            }
            Event::RunEnded { .. } => {
                if let Some(footer) = self.footer.take() {
                    footer.finish_and_clear();
                }
                // Nothing that moves is left: the end is plain lines, also where the terminal is very narrow.
                let _ = self.screen.clear();
                self.ending
                    .end()
                    .iter()
                    .for_each(|line| self.out.line(line));
            }
            event => {
                if let Some(line) = self.ending.line(event) {
                    self.print(&line);
                }
            }
        }
    }

    fn tick(&mut self) {
        self.draw();
    }
}

fn plain_style() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
