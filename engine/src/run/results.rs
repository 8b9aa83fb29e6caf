//! What a step leaves behind when its commands are done: declared outputs, artifacts, `name=value` lines. All of it is
//! the job's own work, and not trusted. Runs nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// What was kept of an artifact, and where in the folder of the run.
pub(super) struct Kept {
    into: PathBuf,
    files: Vec<PathBuf>,
}

/// Takes back what a try has kept that then failed: the next one may make other files. Legs share an artifact's folder,
/// so that only these files go.
pub(super) fn forget(kept: &Kept, site: &Site) {
    let Some((root, _)) = &site.artifacts else {
        return;
    };
    for file in &kept.files {
        // It may not have come so far, or stand behind a link now.
        let _ = files::remove(root, &kept.into.join(file));
    }
}

/// Keeps an artifact.
pub(super) fn keep(name: &str, patterns: &[String], site: &Site) -> Result<Kept, Failure> {
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
    let copied = files::copy(&site.root, root, &into, &found).map_err(failed);
    let kept = Kept { into, files: found };
    if copied.is_err() {
        forget(&kept, site);
    }
    copied.map(|()| kept)
}

/// Copies what an earlier run kept of a step into the folder of this one.
///
/// # Errors
/// What cannot be copied, and why.
pub(super) fn take_over(from: &Path, to: &Path, own: &Path) -> Result<(), String> {
    let kept = from.join(own);
    if !kept.is_dir() {
        return Ok(());
    }
    let all = Patterns::new(["."]).map_err(|e| e.to_string())?;
    let found = all.find(&kept).map_err(|e| e.to_string())?;
    files::copy(&kept, to, own, &found)
}

/// Puts an artifact in place.
pub(super) fn place(kept: &Path, site: &Site, into: &Path) -> Result<(), Failure> {
    let put = || -> Result<(), String> {
        let all = Patterns::new(["."]).map_err(|e| e.to_string())?;
        let found = all.find(kept).map_err(|e| e.to_string())?;
        files::copy(kept, &site.root, into, &found)
    };
    put().map_err(|why| Failure::new(format!("an artifact could not be put in place: {why}")))
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
