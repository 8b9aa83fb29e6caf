//! Tests from outside: the binary, files, signals. One file for each subject.

mod started;
mod support;

mod commands;
mod runs;
mod inputs;
mod output;
mod processes;
mod refs;
mod secrets;
mod signals;
mod state;
mod steps;
