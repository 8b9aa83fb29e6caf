//! Tests from outside: the binary, files, signals. One file for each subject.

mod support;

mod commands;
mod docs;
mod examples;
mod includes;
mod init;
mod runs;
mod tidy;
mod views;
