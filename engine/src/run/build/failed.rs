//! What a builder's last lines say about why it failed. Knows the words of BuildKit and of Buildah.

use super::super::outcome::Failure;
use super::dockerfile::Dockerfile;

/// How much of the end of a build's output is kept, in bytes.
const KEPT: usize = 16 << 10;
/// The longest reason that is shown, in characters.
const LONGEST: usize = 400;

/// The end of what a builder wrote.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    clipped: Option<String>,
}

impl Tail {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.clipped.is_none() {
            let start = self.bytes.len().saturating_sub(bytes.len() + 100);
            let text = String::from_utf8_lossy(&self.bytes[start..]);
            let mark = text.lines().find(|l| l.contains("[output clipped"));
            self.clipped = mark.and_then(|l| Some(l[l.find('[')?..].trim_end().to_owned()));
        }
        if self.bytes.len() > 2 * KEPT {
            self.bytes.drain(..self.bytes.len() - KEPT);
        }
    }

    /// What the engine says where it left output out.
    pub(super) fn clipped(&self) -> Option<&str> {
        self.clipped.as_deref()
    }

    /// Why the builder failed.
    pub(super) fn explain(&self, code: i32, dockerfile: &Dockerfile) -> Failure {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let known = buildkit(&lines).or_else(|| buildah(&lines));
        let Some((instruction, exit)) = known else {
            let last = lines
                .iter()
                .rev()
                .map(|l| reason(l))
                .find(|l| !l.is_empty());
            let what = last.map_or(format!("exit {code}"), cut);
            return Failure {
                exit: Some(code),
                ..Failure::new(what)
            };
        };
        let place = dockerfile.place(&instruction);
        let place = place.map_or(String::new(), |p| format!(" at {p}"));
        let how = match exit {
            Some(exit) => format!("exit {exit}"),
            None => "it failed".to_owned(),
        };
        Failure {
            command: Some(cut(&instruction)),
            exit: Some(exit.unwrap_or(code)),
            ..Failure::new(format!("{how}{place}"))
        }
    }
}

/// The instruction that BuildKit could not do, and its exit code: the last `#7 [stage 2/3] RUN …` whose number has an
/// error.
fn buildkit(lines: &[&str]) -> Option<(String, Option<i32>)> {
    let failed = lines.iter().rev().find_map(|line| {
        let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
        rest.starts_with("ERROR").then_some((number, rest))
    })?;
    let head = format!("#{} [", failed.0);
    let title = lines.iter().find(|line| line.starts_with(&head));
    let listed = || {
        // Where the head is too far up: the list at the end.
        lines
            .iter()
            .rev()
            .find_map(|l| l.strip_prefix(" > [")?.strip_suffix(':'))
    };
    let title = title.map(|t| &t[head.len()..]).or_else(listed)?;
    let (_, instruction) = title.split_once("] ")?;
    let exit = failed.1.rsplit_once("exit code: ");
    Some((
        instruction.to_owned(),
        exit.and_then(|(_, code)| code.trim().parse().ok()),
    ))
}

/// The same of Buildah: `error building at STEP "RUN false": … exit status 1`.
fn buildah(lines: &[&str]) -> Option<(String, Option<i32>)> {
    let line = lines
        .iter()
        .rev()
        .find(|l| l.contains("building at STEP \""))?;
    let (_, rest) = line.split_once("building at STEP \"")?;
    let (instruction, why) = rest.rsplit_once("\": ")?;
    let exit = why.rsplit_once("exit status ");
    Some((
        instruction.replace("\\\"", "\""),
        exit.and_then(|(_, code)| code.trim().parse().ok()),
    ))
}

/// A line without what every error begins with.
fn reason(line: &str) -> &str {
    let line = line.trim();
    let starts = ["ERROR: ", "Error: ", "error: ", "failed to solve: "];
    let mut bare = line;
    while let Some(rest) = starts.iter().find_map(|s| bare.strip_prefix(s)) {
        bare = rest;
    }
    bare
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
