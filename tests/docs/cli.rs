//! The page of the command line, made from the definition that the program itself uses.

#![allow(
    dead_code,
    reason = "only the definition is used, not what comes of parsing"
)]

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

#[path = "../../src/args.rs"]
mod args;

/// The page.
pub fn page() -> String {
    let mut command = args::Cli::command();
    command.build();
    let mut out = String::from(
        "# Command line\n\n<!-- Made from src/args.rs by tests/docs.rs: change it there. -->\n\n\
         Results go to standard output, complaints to standard error. Every command has these options:\n\n",
    );
    options(
        &mut out,
        command.get_arguments().filter(|a| a.is_global_set()),
    );
    out += "\nExit codes are on [a page of their own](../concepts/exit-codes.md).\n";
    for command in command.get_subcommands().filter(|c| c.get_name() != "help") {
        one(&mut out, command);
    }
    out
}

fn one(out: &mut String, command: &Command) {
    let about = command
        .get_long_about()
        .or(command.get_about())
        .map(ToString::to_string)
        .unwrap_or_default();
    let positional: Vec<&Arg> = command.get_positionals().collect();
    let usage: String = positional
        .iter()
        .map(|a| {
            let names = a.get_value_names().map(|n| n.join(" ")).unwrap_or_default();
            let many = if a.get_num_args().is_some_and(|n| n.max_values() > 1) {
                "…"
            } else {
                ""
            };
            if a.is_required_set() {
                format!(" <{names}>{many}")
            } else {
                format!(" [{names}]{many}")
            }
        })
        .collect();
    let name = command.get_name();
    let _ = write!(
        out,
        "\n## pipe {name}\n\n{}.\n\n```text\npipe {name} [OPTIONS]{usage}\n```\n\n",
        about.trim_end_matches('.')
    );
    options(out, positional.into_iter());
    let own = command
        .get_arguments()
        .filter(|a| !a.is_positional() && !a.is_global_set());
    options(
        out,
        own.filter(|a| !matches!(a.get_id().as_str(), "help" | "version")),
    );
}

fn options<'a>(out: &mut String, args: impl Iterator<Item = &'a Arg>) {
    for arg in args {
        let value = arg
            .get_value_names()
            .map(|n| n.join(" "))
            .unwrap_or_default();
        let takes = arg.get_action().takes_values();
        let mut names = Vec::new();
        if arg.is_positional() {
            names.push(value.clone());
        } else {
            names.extend(arg.get_short().map(|s| format!("-{s}")));
            names.extend(arg.get_long().map(|l| {
                if takes {
                    format!("--{l} {value}")
                } else {
                    format!("--{l}")
                }
            }));
        }
        let help = arg
            .get_long_help()
            .or(arg.get_help())
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = write!(
            out,
            "- `{}`: {}.",
            names.join("`, `"),
            help.replace('\n', " ").trim_end_matches('.')
        );
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|_| takes)
            .map(|v| format!("`{}`", v.get_name()))
            .collect();
        if !values.is_empty() {
            let _ = write!(out, " One of {}.", values.join(", "));
        }
        let default: Vec<&str> = arg
            .get_default_values()
            .iter()
            .filter_map(|v| v.to_str())
            .collect();
        if !default.is_empty() && takes {
            let _ = write!(out, " Without it: `{}`.", default.join(" "));
        }
        if let Some(env) = arg.get_env() {
            let _ = write!(out, " Also `{}`.", env.to_string_lossy());
        }
        out.push('\n');
    }
}

/// The variables that stand for options: the name, and the option.
pub fn variables() -> Vec<(String, String)> {
    let mut command = args::Cli::command();
    command.build();
    let all = std::iter::once(&command)
        .chain(command.get_subcommands())
        .flat_map(Command::get_arguments);
    let mut found: Vec<(String, String)> = all
        .filter_map(|a| {
            Some((
                a.get_env()?.to_string_lossy().into_owned(),
                format!("--{}", a.get_long()?),
            ))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}
