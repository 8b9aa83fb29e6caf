//! Commands that are proposed: with the flags without which they would be about something else.

use std::path::Path;

use crate::args::{About, Global};

/// The flags of the command that was given.
#[derive(Debug, Clone)]
pub struct Again {
    /// `pipe`, and the flags that say where the pipeline is.
    pipe: String,
    /// The flags that say what a run is about, each with a space before it.
    about: String,
}

impl Again {
    /// Notes the flags. What `mask` hides in them stays hidden.
    #[must_use]
    pub fn of(
        global: &Global,
        about: &About,
        into: Option<&String>,
        mask: &dyn Fn(&str) -> String,
    ) -> Self {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let places = [
            ("-C", global.directory.as_deref().map(path)),
            ("-f", global.file.as_deref().map(path)),
        ];
        let mut flags = vec![
            ("--event", about.event.map(|e| e.to_string())),
            ("--branch", about.branch.clone()),
            ("--tag", about.tag.clone()),
            ("--pr", about.pr.map(|n| n.to_string())),
            ("--into", into.cloned()),
            ("--base", about.base.clone()),
        ];
        let params = about.params.iter().map(|(n, v)| format!("{n}={v}"));
        flags.extend(params.map(|p| ("--param", Some(p))));
        let words = |flags: &[(&str, Option<String>)]| -> String {
            let given = flags.iter().filter_map(|(f, v)| v.as_ref().map(|v| (f, v)));
            given
                .map(|(flag, value)| format!(" {flag} {}", quoted(&mask(value))))
                .collect()
        };
        Self {
            pipe: format!("pipe{}", words(&places)),
            about: words(&flags),
        }
    }

    /// `pipe -C app run build --param a=b`. What is run by name and changes the outside world has to be meant.
    #[must_use]
    pub fn run(&self, names: &[String], has_effects: bool) -> String {
        let yes = match has_effects && !names.is_empty() {
            true => " --yes",
            false => "",
        };
        let names: String = names.iter().map(|n| format!(" {}", quoted(n))).collect();
        format!("{} run{names}{}{yes}", self.pipe, self.about)
    }

    /// `pipe -C app promote to-production --yes`
    #[must_use]
    pub fn by_hand(&self, command: &str, name: &str) -> String {
        format!("{} {command} {} --yes", self.pipe, quoted(name))
    }

    /// `pipe -C app run --resume=7`
    #[must_use]
    pub fn resume(&self, run: u64) -> String {
        format!("{} run --resume={run}", self.pipe)
    }

    /// `pipe -C app logs 7 build`
    #[must_use]
    pub fn logs(&self, run: u64, step: &str) -> String {
        format!("{} logs {run} {}", self.pipe, quoted(step))
    }
}

/// A word fit to be pasted into a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
