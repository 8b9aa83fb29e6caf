//! One file for each command. Each gives the exit code.

mod approve;
pub mod by_hand;
mod cache;
mod check;
mod completions;
mod containers;
mod doctor;
mod explain;
mod explain_step;
mod fmt;
mod graph;
mod history;
mod init;
mod list;
mod logs;
mod metrics;
mod plan;
mod prune;
mod reach;
mod resume;
mod run;
mod runs;
mod scanner;
mod summary;
mod targets;
mod unlock;

pub use graph::mermaid;
pub use logs::print as print_log;
pub use plan::about;

use crate::args::{Cli, Command};
use crate::failed::Failed;
use crate::ui::out::Out;

/// Does what the command line asks.
///
/// # Errors
/// What went wrong, with its exit code.
pub fn run(cli: &Cli, out: &Out) -> Result<i32, Failed> {
    let global = &cli.global;
    match &cli.command {
        None => summary::run(global, out),
        Some(Command::Run(args)) => run::run(global, args, out),
        Some(Command::Plan(args)) => plan::run(global, args, out),
        Some(Command::Check(args)) => check::run(global, args, out),
        Some(Command::Graph(args)) => graph::run(global, args, out),
        Some(Command::Explain(args)) => explain::run(global, args, out),
        Some(Command::Cache(args)) => cache::run(global, args, out),
        Some(Command::Doctor(args)) => doctor::run(global, args, out),
        Some(Command::Fmt(args)) => fmt::run(global, args, out),
        Some(Command::List(args)) => list::run(global, args, out),
        Some(Command::Logs(args)) => logs::run(global, args, out),
        Some(Command::Prune(args)) => prune::run(global, args, out),
        Some(Command::Runs(args)) => runs::run(global, args, out),
        Some(Command::Targets(args)) => targets::run(global, args, out),
        Some(Command::History(args)) => history::run(global, args, out),
        Some(Command::Metrics(args)) => metrics::run(global, args, out),
        Some(Command::Rollback(args)) => by_hand::rollback(global, args, out),
        Some(Command::Promote(args)) => by_hand::promote(global, args, out),
        Some(Command::Approve(args)) => approve::run(global, args, out),
        Some(Command::Unlock(args)) => unlock::run(global, args, out),
        Some(Command::Init(args)) => init::run(global, args, out),
        Some(Command::Completions { shell }) => completions::run(*shell, out),
    }
}
