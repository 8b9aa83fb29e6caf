//! Tests from outside: the binary, files, signals. One file for each subject.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(
    clippy::too_many_lines,
    reason = "a snapshot is as long as what it shows"
)]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a skipped test says so, a sweep how far it came"
)]

mod network;
mod started;
mod support;

mod cache;
mod commands;
mod containers;
mod deploy;
mod docs;
mod ecs;
mod examples;
mod images;
mod includes;
mod init;
mod inputs;
mod kubernetes;
mod notify;
mod oracle;
mod output;
mod processes;
mod refs;
mod registry;
mod release;
mod remote;
mod resume;
mod runs;
mod secrets;
mod signals;
mod state;
mod steps;
mod terminal;
mod tidy;
mod usage;
mod views;
