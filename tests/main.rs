//! Tests from outside: the binary, files, signals. One file for each subject.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what helps a test may fail and print as the test does"
)]

mod started;
mod support;

mod commands;
mod inputs;
mod output;
mod processes;
mod refs;
mod runs;
mod secrets;
mod signals;
mod state;
mod steps;
