//! Tests from outside: the binary, files, signals. One file for each subject.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

mod commands;
mod includes;
mod runs;
mod tidy;
mod views;
