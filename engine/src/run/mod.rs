//! A run: from a plan to its outcome. Knows nothing of the terminal.

pub mod schedule;
