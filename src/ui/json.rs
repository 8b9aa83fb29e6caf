//! A run for programs: one JSON object a line for each event, with its time and the format's version.

use std::time::Instant;

use engine::run::event::{Event, Subscriber};
use serde::Serialize;

use super::out::{Gathered, Out};

/// The version of the lines' format.
const VERSION: u32 = 1;

/// The view.
pub struct Json {
    began: Instant,
    out: Gathered,
}

impl Json {
    /// The view.
    #[must_use]
    pub fn new(out: &Out) -> Self {
        Self {
            began: Instant::now(),
            out: Gathered::new(out),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    v: u32,
    /// Milliseconds since the run began.
    at: u64,
    event: &'a Event,
}

impl Subscriber for Json {
    fn event(&mut self, event: &Event) {
        let line = Line {
            v: VERSION,
            at: dsl::units::millis(self.began.elapsed()),
            event,
        };
        // Every event is plain data: it can be written as JSON.
        self.out
            .line(&serde_json::to_string(&line).unwrap_or_default());
    }

    fn flush(&mut self) {
        self.out.flush();
    }
}
