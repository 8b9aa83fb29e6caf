//! Pages made from the tables of the program: environment variables, codes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use dsl::codes;
use dsl::diagnostic::Severity;
use dsl::source::SourceMap;
use dsl::syntax::tree::{Node, ValueKind};
use engine::run::environment::{GIVEN, PASSED};
use engine::world::variables::TABLE;

use super::cli;

const MADE: &str = "<!-- Made from the program's tables by tests/docs.rs: change it there. -->";

/// The page of environment variables.
pub fn environment() -> String {
    let mut out = format!(
        "# Environment variables\n\n{MADE}\n\n## Read by pipe\n\n| Variable | Meaning |\n|---|---|\n"
    );
    for (name, option) in cli::variables() {
        let _ = writeln!(out, "| `{name}` | the same as `{option}` |");
    }
    for (name, meaning) in [
        (
            "PIPE_LOG",
            "what pipe itself does, on standard error: `debug`, or a filter such as `engine=trace`",
        ),
        ("NO_COLOR", "no colours"),
        ("COLUMNS", "the width of the terminal"),
    ] {
        let _ = writeln!(out, "| `{name}` | {meaning} |");
    }
    out += "\n## Set in every job\n\n| Variable | What it holds |\n|---|---|\n";
    for given in GIVEN {
        let _ = writeln!(out, "| `{}` | {} |", given.name, given.what);
    }
    out += "\nBesides, a job has the `env` and the `secrets` that the file gives it.\n\n\
        ## Passed on to jobs\n\nFrom the environment of `pipe`, if they are set there; nothing else, unless `pass-env` \
        names it.\n\n| Variable | Why |\n|---|---|\n";
    for passed in PASSED {
        let _ = writeln!(out, "| `{}` | {} |", passed.name, passed.why);
    }
    out += "\n## Read from a CI\n\nWhat the run is about comes from these, unless an option says otherwise.\n";
    let mut set_by = "";
    for variable in TABLE {
        if variable.set_by != set_by {
            set_by = variable.set_by;
            let _ = write!(
                out,
                "\n### {set_by}\n\n| Variable | What is taken from it |\n|---|---|\n"
            );
        }
        let _ = writeln!(out, "| `{}` | {} |", variable.name, variable.meaning);
    }
    out
}

/// The page of the language: the reference without its findings, which have a page of their own.
pub fn language() -> String {
    let whole = dsl::reference::markdown();
    let (language, _) = whole.split_once("\n## Findings\n").unwrap();
    language.replacen("\n\n", &format!("\n\n{MADE}\n\n"), 1)
}

/// The page of the standard library, from its files.
pub fn standard_library(folder: &Path) -> String {
    let mut out = format!(
        "# Standard library\n\n{MADE}\n\nTemplates that are part of the program: `use std.NAME` in a stage puts one there. They \
         call the tools of their language, which must be installed.\n"
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let mut sources = SourceMap::default();
        let id = sources.add("std", std::fs::read_to_string(&file).unwrap());
        let (nodes, found) = dsl::syntax::parse(sources.get(id));
        assert!(found.is_empty(), "{}", file.display());
        for template in nodes.iter().filter(|n| n.name.value == "template") {
            let (name, doc) = (argument(template), property(template, "doc"));
            let _ = write!(
                out,
                "\n## std.{name}\n\n{}.\n",
                capital(&doc.unwrap_or_default())
            );
            let mut params = template
                .nodes()
                .iter()
                .filter(|n| n.name.value == "param")
                .peekable();
            if params.peek().is_some() {
                out += "\n| Parameter | Type | Without it | Meaning |\n|---|---|---|---|\n";
            }
            for param in params {
                let kind = property(param, "type").unwrap_or_else(|| "string".to_owned());
                let default = match property(param, "default") {
                    Some(text) if text.is_empty() => "nothing".to_owned(),
                    Some(text) => format!("`{text}`"),
                    None if kind == "list" => "nothing".to_owned(),
                    None => "must be given".to_owned(),
                };
                let doc = property(param, "doc").unwrap_or_default();
                let _ = writeln!(
                    out,
                    "| `{}` | {kind} | {default} | {doc} |",
                    argument(param)
                );
            }
        }
    }
    out
}

fn argument(node: &Node) -> String {
    node.args[0].as_str().unwrap_or_default().to_owned()
}

fn property(node: &Node, name: &str) -> Option<String> {
    let value = &node.props.iter().find(|p| p.name.value == name)?.value;
    Some(match &value.kind {
        ValueKind::String(text) => text.clone(),
        ValueKind::Int(number) => number.to_string(),
        ValueKind::Bool(yes) => format!("#{yes}"),
        other => panic!("{name}: {other:?} is no default"),
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| {
        c.to_uppercase().collect::<String>() + chars.as_str()
    })
}

/// The page of codes.
pub fn codes() -> String {
    let mut out = format!(
        "# Codes\n\n{MADE}\n\nEvery finding has a code that never changes its meaning. `E` is an error: nothing runs. \
         `W` is a warning: it runs, and is probably not what was meant. `pipe explain CODE` prints the same in the \
         terminal.\n"
    );
    for code in codes::all() {
        let kind = if code.severity() == Severity::Error {
            "Error"
        } else {
            "Warning"
        };
        let _ = write!(
            out,
            "\n## {}\n\n{kind}: {}.\n\n{}\n",
            code.id, code.title, code.explanation
        );
        for (word, text, info) in [
            ("Not so", code.bad, format!("kdl,fail={}", code.id)),
            ("But so", code.good, "kdl".into()),
        ] {
            if !text.is_empty() {
                let _ = write!(out, "\n{word}:\n\n{}", fenced(text, &info));
            }
        }
    }
    out
}

/// Hidden and odd characters are shown as what they are; the text is then no pipeline any more.
fn fenced(text: &str, info: &str) -> String {
    let shown: String = text.chars().flat_map(visible).collect();
    let info = if shown == text { info } else { "text" };
    format!("```{info}\n{}\n```\n", shown.trim_end())
}

fn visible(c: char) -> Vec<char> {
    let odd = |c: char| {
        c != '\n'
            && (c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
    };
    if odd(c) {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}
