//! What the commands in a `key` print: the versions of tools, for example. Each is run once in a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dsl::model::{Command, KeyPart};
use dsl::source::{Span, Spanned};
use tokio::sync::mpsc;

use super::outcome::Failure;
use super::recipe::Recipe;
use super::work::{NotDone, Site, Work, spec};
use crate::cache::Digest;
use crate::process::{self, Exit, Stop, Stream};

/// How long such a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much it may print.
const MOST: usize = 16 << 20;
/// How much of that stands in a key as it is.
const SHORT: usize = 4 << 10;

/// What was printed in this run, by command, environment and folder.
#[derive(Debug, Default)]
pub(super) struct Printed(Mutex<BTreeMap<Digest, String>>);

/// What every command of a recipe's `key` prints.
///
/// # Errors
/// A command that fails, or a run that is cancelled.
pub(super) async fn printed(
    recipe: &Recipe,
    work: &Work,
    site: &Site,
) -> Result<BTreeMap<String, String>, NotDone> {
    let mut all = BTreeMap::new();
    for part in &recipe.parts {
        if let KeyPart::Run(text) = part {
            all.insert(text.clone(), printed_by(text, work, site).await?);
        }
    }
    Ok(all)
}

/// What one command prints, with the step's environment.
///
/// # Errors
/// A command that fails, or a run that is cancelled.
pub(super) async fn printed_by(text: &str, work: &Work, site: &Site) -> Result<String, NotDone> {
    let own = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("PIPE_");
    let mut vars = work.env.vars();
    // What differs from step to step says nothing about a tool.
    vars.retain(|(name, _)| !own(name));
    let setting = (vars, &work.workdir, &work.shell);
    let same = Digest::of(format!("{text}\0{setting:?}").as_bytes());
    let known = {
        let printed = site
            .printed
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        printed.get(&same).cloned()
    };
    if let Some(known) = known {
        return Ok(known);
    }
    let printed = run(text, work, site).await?;
    let value = shown(&site.masker.mask_str(&printed));
    let mut printed = site
        .printed
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    printed.insert(same, value.clone());
    Ok(value)
}

/// What stands in a key for what was printed. All of it counts, also where there is much.
fn shown(printed: &str) -> String {
    if printed.len() <= SHORT {
        return printed.to_owned();
    }
    format!("{} bytes {}", printed.len(), Digest::of(printed.as_bytes()))
}

/// A text for bytes; others never have the same.
fn exact(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.trim().to_owned();
    }
    let mut text = "not UTF-8: ".to_owned();
    for chunk in bytes.utf8_chunks() {
        text += chunk.valid();
        text += &chunk.invalid().escape_ascii().to_string();
    }
    text
}

async fn run(text: &str, work: &Work, site: &Site) -> Result<String, NotDone> {
    let command = Command::Shell(Spanned {
        value: text.to_owned(),
        span: Span::default(),
    });
    let failed = |what: String| {
        let failure = Failure::new(format!("its key cannot be made: {what}"));
        NotDone::NotBegun(Failure {
            command: Some(text.to_owned()),
            ..failure.help("mend the command, or take it out of `key`")
        })
    };
    let spec = spec(work, &command, site, 1, None).map_err(NotDone::NotBegun)?;
    let (output, mut chunks) = mpsc::channel::<process::Chunk>(4);
    let enough = site.cancel.child_token();
    let collect = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(chunk) = chunks.recv().await {
            let into = match chunk.stream {
                Stream::Stdout => &mut out,
                Stream::Stderr => &mut err,
            };
            into.extend_from_slice(&chunk.bytes);
            if into.len() > MOST {
                // Nobody takes the rest, and nobody needs it.
                enough.cancel();
                into.truncate(MOST + 1);
            }
        }
        (out, err)
    };
    let running = process::run(
        &spec,
        Some(PATIENCE),
        site.grace,
        &enough,
        &site.kill,
        output,
    );
    let (ended, (out, err)) = tokio::join!(running, collect);
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match (ended.stopped, ended.exit) {
        _ if out.len().max(err.len()) > MOST => {
            Err(failed(format!("`{text}` printed more than 16 MiB")))
        }
        (Some(Stop::TimedOut), _) => Err(failed(format!("`{text}` took longer than a minute"))),
        (Some(_), _) => Err(NotDone::Cancelled),
        (None, Exit::Code(0)) => Ok(exact(&out)),
        (None, exit) => {
            let why = lossy(&err);
            let last = why.lines().last().unwrap_or_default();
            let how = match exit {
                Exit::Code(code) => format!("exit {code}"),
                Exit::Signal(signal) => format!("signal {signal}"),
                Exit::NotStarted(why) => why.to_string(),
            };
            let sep = if last.is_empty() { "" } else { ": " };
            Err(failed(format!("`{text}`: {how}{sep}{last}")))
        }
    }
}
