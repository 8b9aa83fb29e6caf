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
    if may_start_processes()
        && let Some(status) = guardian::guard(grace_of_a_run)
    {
        return code(status);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
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

/// Whether processes may be started that must not outlive this one: so plainly that nothing has to be understood for it,
/// and the guardian stays small. A step of that name, too, is guarded, which does no harm.
fn may_start_processes() -> bool {
    let starting = ["run", "promote", "rollback"];
    std::env::args_os().any(|word| starting.iter().any(|s| word == *s))
}

/// How long processes have that the engine has left behind. The words are understood here only then.
fn grace_of_a_run() -> Duration {
    match Cli::try_parse().map(|cli| cli.command) {
        Ok(Some(Command::Run(args))) => args.grace,
        _ => engine::run::Options::GRACE,
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
