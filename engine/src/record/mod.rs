//! What outlives a run: one folder for each under `.pipe/runs/`, with its journal and its logs.

mod journal;
mod log;
mod runs;

pub use journal::{FORMAT, Header, Journal, Reading, read};
pub use log::{LOG_LIMIT, LogFile};
pub use runs::{RunDir, Runs, Summary};
