//! `pipe fmt`: one form for every file.

use std::io::Read;
use std::path::{Path, PathBuf};

use dsl::source::SourceMap;
use engine::run::outcome::exit;

use crate::args::{FmtArgs, Global};
use crate::failed::Failed;
use crate::project::{self, Project};
use crate::ui::out::Out;

/// Formats files, or says which are not formatted.
///
/// # Errors
/// When a file cannot be read, written or understood.
pub fn run(global: &Global, args: &FmtArgs, out: &Out) -> Result<i32, Failed> {
    if args.files.iter().any(|f| f.as_os_str() == "-") {
        if args.files.len() > 1 {
            return Err(Failed::usage("standard input is formatted alone")
                .hint("leave `-` out, or the files"));
        }
        return standard_input(args, out);
    }
    let files = if args.files.is_empty() {
        of_project(global)?
    } else {
        match &global.directory {
            Some(_) => {
                let here = project::here(global)?;
                args.files.iter().map(|f| here.join(f)).collect()
            }
            None => args.files.clone(),
        }
    };
    let mut status = exit::OK;
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|e| unreadable(file, &e))?;
        let formatted = format(&file.display().to_string(), &text, out)?;
        if formatted == text {
            continue;
        }
        if args.check {
            out.line(&format!("{} is not formatted", file.display()));
            status = exit::FAILED;
        } else {
            replace(file, &formatted)?;
            out.line(&format!("formatted {}", file.display()));
        }
    }
    if status != exit::OK {
        out.hint("`pipe fmt` formats it");
    }
    Ok(status)
}

fn standard_input(args: &FmtArgs, out: &Out) -> Result<i32, Failed> {
    let mut text = String::new();
    let limit = dsl::MAX_FILE + 1;
    std::io::stdin()
        .take(limit)
        .read_to_string(&mut text)
        .map_err(|e| unreadable(Path::new("-"), &e))?;
    let formatted = format("standard input", &text, out)?;
    if args.check {
        if formatted == text {
            return Ok(exit::OK);
        }
        out.line("standard input is not formatted");
        return Ok(exit::FAILED);
    }
    out.text(&formatted);
    Ok(exit::OK)
}

/// The root file and what it includes from this repository.
fn of_project(global: &Global) -> Result<Vec<PathBuf>, Failed> {
    let project = Project::open(global)?;
    let own = project
        .loaded
        .sources
        .iter()
        .filter(|s| !s.name.starts_with("std/") && !s.name.starts_with("git+"));
    Ok(own.map(|s| project.root.join(&s.name)).collect())
}

fn format(name: &str, text: &str, out: &Out) -> Result<String, Failed> {
    let mut sources = SourceMap::default();
    let id = sources.add(name, text);
    dsl::syntax::format(sources.get(id)).map_err(|findings| {
        out.report(&project::human(&findings, &sources, out));
        Failed::told(exit::USAGE)
    })
}

/// The new text takes the old one's place at once, or not at all.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), Failed> {
    let write = || -> std::io::Result<()> {
        let file = file.canonicalize()?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut new, text.as_bytes())?;
        new.as_file()
            .set_permissions(file.metadata()?.permissions())?;
        new.as_file().sync_all()?;
        new.persist(&file)?;
        Ok(())
    };
    write().map_err(|e| Failed::machine(format!("{} cannot be written: {e}", file.display())))
}

/// A file of the command line that cannot be read.
pub fn unreadable(file: &Path, why: &std::io::Error) -> Failed {
    let shown = file.display();
    Failed::usage(match why.kind() {
        std::io::ErrorKind::NotFound => format!("there is no file {shown}"),
        std::io::ErrorKind::IsADirectory => format!("{shown} is a folder"),
        _ => format!("{shown} cannot be read: {why}"),
    })
}
