//! The program: words in, words out. What it does is in `engine`, what the file means is in `dsl`.

mod args;
mod commands;
mod failed;
mod project;
mod ui;

use std::process::ExitCode;

use clap::Parser;
use engine::process::guardian;
use engine::run::outcome::exit;

use args::{Cli, Command};
use ui::out::Out;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    if is_real_run(&cli)
        && let Some(status) = guardian::guard(engine::run::Options::GRACE)
    {
        return code(status);
    }
    trace(cli.global.verbose);
    let out = Out::new(cli.global.color);
    let status = commands::run(&cli, &out).unwrap_or_else(|failed| failed.tell(&out));
    code(if status == exit::OK && out.failed() {
        exit::INFRASTRUCTURE
    } else {
        status
    })
}

/// Whether processes are going to be started that must not outlive this one.
fn is_real_run(cli: &Cli) -> bool {
    matches!(&cli.command, Some(Command::Run(args)) if !args.dry_run)
}

/// Help goes to standard output and is no error; everything else is one.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when this cannot be written.
    let _ = error.print();
    code(if error.use_stderr() {
        exit::USAGE
    } else {
        exit::OK
    })
}

/// What pipe itself does, on standard error: `PIPE_LOG=debug`, or `--verbose`.
fn trace(verbose: bool) {
    let usual = if verbose {
        "engine=debug,pipe=debug"
    } else {
        "off"
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PIPE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}

fn code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))
}
