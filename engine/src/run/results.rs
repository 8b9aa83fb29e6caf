//! What a step leaves behind when its commands are done: declared outputs, artifacts, `name=value` lines. All of it is
//! the job's own work, and not trusted. Runs nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::outcome::Failure;
use super::work::Site;
use crate::files::{self, Patterns};

/// The largest file of outputs that is read.
const LARGEST_OUTPUT: u64 = 1 << 20;

/// Whether a declared output is there.
pub(super) fn made(pattern: &str, root: &Path) -> Result<(), Failure> {
    if pattern.starts_with('!') {
        return Ok(());
    }
    let find = || {
        Patterns::new([pattern])
            .map_err(|e| e.to_string())?
            .find(root)
            .map_err(|e| e.to_string())
    };
    match find() {
        Ok(found) if found.is_empty() => Err(Failure::new(format!(
            "it did not make its output {pattern}"
        ))
        .help("make it, or take it out of `outputs`")),
        Ok(found) => match files::first_that_leads_out(root, &found) {
            Some(link) => Err(Failure::new(format!(
                "its output {} is a link that leads out of the pipeline's folder",
                link.display()
            ))
            .help("make a file, or a link to one beside it")),
            None => Ok(()),
        },
        Err(why) => Err(Failure::new(format!(
            "its output {pattern} cannot be looked for: {why}"
        ))),
    }
}

/// Keeps an artifact.
pub(super) fn keep(name: &str, patterns: &[String], site: &Site) -> Result<(), Failure> {
    let Some((root, own)) = &site.artifacts else {
        return Err(Failure::new(format!(
            "the artifact {name} cannot be kept: the folder .pipe cannot be written"
        )));
    };
    let failed = |why: String| Failure::new(format!("the artifact {name} cannot be kept: {why}"));
    let patterns =
        Patterns::new(patterns.iter().map(String::as_str)).map_err(|e| failed(e.to_string()))?;
    let found = patterns
        .find(&site.root)
        .map_err(|e| failed(e.to_string()))?;
    if found.is_empty() {
        return Err(failed("none of its files is there".into())
            .help("make them, or mend the artifact's paths"));
    }
    let into = own.join(name);
    // A retry keeps what its own try made, not what an earlier one left.
    files::remove(root, &into).map_err(|e| failed(e.to_string()))?;
    files::copy(&site.root, root, &into, &found).map_err(failed)
}

/// The `name=value` lines of an outputs file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = |why: String| Failure::new(format!("its outputs cannot be read: {why}"));
    let strange = || {
        wrong("the file `$PIPE_OUTPUT` is no regular file of at most 1 MiB".into())
            .help("append short `name=value` lines; larger things belong into an artifact")
    };
    // The job may have put a link or a pipe there: neither is followed or waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|e| match Errno::from_io_error(&e) {
            Some(Errno::LOOP | Errno::NXIO) => strange(),
            Some(Errno::NOENT) => wrong("it removed the file `$PIPE_OUTPUT`".into())
                .help("the run is kept in `.pipe`, so leave that: `git clean -fdx -e .pipe`"),
            _ => wrong(e.to_string()),
        })?;
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err(strange());
    }
    let mut text = Vec::new();
    file.take(LARGEST_OUTPUT + 1)
        .read_to_end(&mut text)
        .map_err(|e| wrong(e.to_string()))?;
    if text.len() as u64 > LARGEST_OUTPUT {
        return Err(strange());
    }
    let mut outputs = BTreeMap::new();
    for line in String::from_utf8_lossy(&text)
        .lines()
        .filter(|l| !l.trim().is_empty())
    {
        match line.split_once('=') {
            Some((name, value)) if dsl::units::name(name).is_ok() => {
                outputs.insert(name.to_owned(), value.to_owned());
            }
            _ => {
                let shown: String = line.chars().take(60).collect();
                return Err(wrong(format!("the line {shown:?} is not `name=value`"))
                    .help("write `echo \"version=1.2\" >> \"$PIPE_OUTPUT\"`"));
            }
        }
    }
    Ok(outputs)
}

/// Makes an empty file. What another job has put in its place, a pipe that nobody reads perhaps, goes.
pub(super) fn fresh(path: &Path) -> std::io::Result<()> {
    let _ = std::fs::remove_file(path);
    File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map(drop)
}
