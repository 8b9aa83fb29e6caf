//! Asks a person whether something is meant; whoever is not at a terminal is not asked, and has not said so.

use std::io::{BufRead, IsTerminal};

use super::out::Out;

/// Whether somebody at the terminal says yes.
pub fn confirm(question: &str, out: &Out) -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    out.report(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
