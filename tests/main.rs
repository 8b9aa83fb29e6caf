//! Tests from outside: the binary, files, signals. One file for each subject.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod support;

mod commands;
mod docs;
mod examples;
mod includes;
mod init;
mod runs;
mod tidy;
mod views;
