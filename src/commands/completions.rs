//! `pipe completions SHELL`.

use clap::CommandFactory;
use engine::run::outcome::exit;

use crate::args::Cli;
use crate::failed::Failed;
use crate::ui::out::Out;

/// Prints the script that completes flags and commands.
///
/// # Errors
/// None; the type is that of every command.
#[expect(clippy::unnecessary_wraps, reason = "every command has this shape")]
pub fn run(shell: clap_complete::Shell, out: &Out) -> Result<i32, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pipe", &mut script);
    out.bytes(&script);
    Ok(exit::OK)
}
