//! `pipe init`: a first pipeline for this project, and the workflow that runs it in a CI.

mod project;
mod workflow;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use engine::run::outcome::exit;

use crate::args::{Global, InitArgs};
use crate::failed::Failed;
use crate::project::{FILE, here};
use crate::ui::out::Out;
use crate::ui::words::{DIM, GOOD, paint};

/// A file to be written.
struct NewFile {
    /// Relative to the project.
    name: PathBuf,
    text: String,
    /// What is said about it.
    why: String,
}

/// Writes a first pipeline, and with `--ci` a workflow.
///
/// # Errors
/// When a file is there already, or cannot be written.
pub fn run(global: &Global, args: &InitArgs, out: &Out) -> Result<i32, Failed> {
    let root = here(global)?;
    let found = project::of(&root);
    let name = global.file.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let pipeline = NewFile {
        name,
        text: found.pipeline(),
        why: found.what.clone(),
    };
    let workflow = args.ci.map(|ci| NewFile {
        name: PathBuf::from(workflow::path(ci)),
        text: workflow::text(ci).to_owned(),
        why: "runs it in CI".to_owned(),
    });
    if args.stdout {
        out.text(&workflow.unwrap_or(pipeline).text);
        return Ok(exit::OK);
    }
    if workflow.is_some() && !args.force && is_there(&root.join(&pipeline.name)) {
        out.line(&format!(" kept   {}", pipeline.name.display()));
    } else {
        write(&root, &pipeline, args.force, out)?;
    }
    if let Some(workflow) = &workflow {
        write(&root, workflow, args.force, out)?;
    }
    next(&found, workflow.is_some(), out);
    Ok(exit::OK)
}

fn next(found: &project::Found, in_ci: bool, out: &Out) {
    if !found.others.is_empty() {
        let others = found.others.join(", ");
        out.line(&format!(
            " There is also {others}: add jobs for it by hand."
        ));
    }
    if in_ci {
        out.line(" pipe has no release yet: set the variable PIPE_GIT of the CI to the address of its repository.");
    }
    out.line(" Next:");
    for (command, what) in [
        ("pipe graph", "draw it"),
        (
            "pipe run",
            "run it; the record goes to .pipe/, which git ignores",
        ),
    ] {
        out.line(&format!("   {command:<11} {}", paint(DIM, what)));
    }
}

/// Also a link that leads nowhere is there.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn write(root: &Path, file: &NewFile, force: bool, out: &Out) -> Result<(), Failed> {
    let path = root.join(&file.name);
    let shown = file.name.display();
    let save = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut options = fs::OpenOptions::new();
        let options = if force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        options
            .write(true)
            .open(&path)?
            .write_all(file.text.as_bytes())
    };
    save().map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Failed::refused(format!("{shown} is there already; nothing was overwritten"))
                .hint("`--force` overwrites it, `--stdout` shows what would be written")
        }
        _ => Failed::machine(format!("{shown} cannot be written: {e}")),
    })?;
    out.line(&format!(
        " {}  {shown}  {}",
        paint(GOOD, "wrote"),
        paint(DIM, &file.why)
    ));
    out.line("");
    for line in file.text.lines() {
        out.line(format!("   {line}").trim_end());
    }
    out.line("");
    Ok(())
}
