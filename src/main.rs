//! The program: words in, words out. What it does is in `engine`, what the file means is in `dsl`.

mod again;
mod args;
mod commands;
mod failed;
mod project;
mod remote;
mod ui;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use engine::process::guardian;
use engine::run::outcome::exit;
use tracing_subscriber::EnvFilter;

use args::{Cli, Command};
use ui::out::Out;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    if let Some(grace) = grace_of_a_run(&cli)
        && let Some(status) = guardian::guard(grace)
    {
        return code(status);
    }
    let wrong_filter = trace(cli.global.verbose);
    let out = Out::new(cli.global.color);
    if wrong_filter {
        out.warning("`PIPE_LOG` has no effect: write `debug`, or a filter such as `engine=trace`");
    }
    let status = commands::run(&cli, &out).unwrap_or_else(|failed| failed.tell(&out));
    code(if status == exit::OK && out.failed() {
        exit::INFRASTRUCTURE
    } else {
        status
    })
}

/// The grace of processes that are going to be started and must not outlive this one; none if there are none.
fn grace_of_a_run(cli: &Cli) -> Option<Duration> {
    match &cli.command {
        Some(Command::Run(args)) if !args.dry_run => Some(args.grace),
        Some(Command::Rollback(_) | Command::Promote(_)) => Some(engine::run::Options::GRACE),
        _ => None,
    }
}

/// Help goes to standard output and is no error; everything else is one.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    code(match printed {
        _ if error.use_stderr() => exit::USAGE,
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            let out = Out::new(args::Color::Never);
            out.error(&format!("standard output cannot be written: {e}"));
            exit::INFRASTRUCTURE
        }
        _ => exit::OK,
    })
}

/// What pipe itself does, on standard error: `PIPE_LOG=debug`, or `--verbose`. Says whether `PIPE_LOG` is wrong.
fn trace(verbose: bool) -> bool {
    let named = std::env::var_os("PIPE_LOG").is_some_and(|text| !text.is_empty());
    if !named && !verbose {
        return false;
    }
    let asked = EnvFilter::try_from_env("PIPE_LOG");
    let wrong = named && asked.is_err();
    let usual = if verbose {
        "engine=debug,pipe=debug"
    } else {
        "off"
    };
    tracing_subscriber::fmt()
        .with_env_filter(asked.unwrap_or_else(|_| EnvFilter::new(usual)))
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    wrong
}

fn code(status: i32) -> ExitCode {
    ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))
}
