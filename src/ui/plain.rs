//! A run as lines: the step's name in front of what it writes, in the order in which it comes.

use engine::run::event::{Event, Subscriber};

use super::Reporting;
use super::ending::Ending;
use super::out::{Gathered, Out};
use super::words::{DIM, pad, paint};

/// The view for logs, files and pipes.
pub struct Plain {
    ending: Ending,
    width: usize,
    color: bool,
    out: Gathered,
}

impl Plain {
    /// The view.
    #[must_use]
    pub fn new(ending: Ending, _: &Reporting<'_>, out: &Out) -> Self {
        Self {
            width: ending.label_width(),
            ending,
            color: out.color,
            out: Gathered::new(out),
        }
    }
}

impl Subscriber for Plain {
    fn event(&mut self, event: &Event) {
        self.ending.report.event(event);
        match event {
            Event::RunStarted { .. } => self.out.line(&self.ending.head()),
            Event::Output { step, lines } => {
                let label = pad(self.ending.label(step), self.width);
                let prefix = if self.color {
                    paint(DIM, &format!("{label} |")) + " "
                } else {
                    // What is not painted need not be looked through for colours.
                    format!("{label} | ")
                };
                for line in lines {
                    self.out.prefixed(&prefix, line);
                }
            }
            Event::RunEnded { .. } => self
                .ending
                .end()
                .iter()
                .for_each(|line| self.out.line(line)),
            event => {
                if let Some(line) = self.ending.line(event) {
                    self.out.line(&line);
                }
            }
        }
    }

    fn flush(&mut self) {
        self.out.flush();
    }
}
