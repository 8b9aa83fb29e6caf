//! Tests from outside: the binary, files, signals. One file for each subject.

mod started;
mod support;

mod commands;
mod runs;
mod processes;
mod signals;
