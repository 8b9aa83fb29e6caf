//! What is wrong with a file: one finding, as data. Knows no terminal; `render` draws it.

use crate::source::Span;

/// An entry of the table of codes; compared by its number.
pub type Code = &'static CodeInfo;

/// Everything that is known about one kind of finding. `pipe explain CODE` and the book print it.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// The stable number: `E` for errors, `W` for warnings, then three digits.
    pub id: &'static str,
    /// One lower-case line that names the mistake.
    pub title: &'static str,
    /// Why it is a mistake and how to mend it; a few sentences of Markdown.
    pub explanation: &'static str,
    /// A whole pipeline that has this finding.
    pub bad: &'static str,
    /// The same pipeline mended; it has no findings.
    pub good: &'static str,
}

impl CodeInfo {
    /// Errors stop a run, warnings do not.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.id.starts_with('W') {
            Severity::Warning
        } else {
            Severity::Error
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing runs.
    Error,
    /// It runs, and is probably not what was meant.
    Warning,
}

/// A marked place and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words; may be empty.
    pub text: String,
}

/// One finding. The first label is the place it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind.
    pub code: Code,
    /// What is wrong, in the user's words: one lower-case line, names in backticks.
    pub message: String,
    /// Marked places, the main one first. Never empty.
    pub labels: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
    /// The name that was not found, where the finding is about one.
    pub missing: Option<Missing>,
}

/// A name that was looked up and not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What it should name, such as `registry`.
    pub noun: String,
    /// The name as written.
    pub name: String,
}

impl Diagnostic {
    /// A finding with its main place; the label says what is there.
    pub fn new(
        code: Code,
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            labels: vec![Label {
                span,
                text: label.into(),
            }],
            help: None,
            missing: None,
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says that the finding is about a name that was not found.
    #[must_use]
    pub fn missing(mut self, noun: &str, name: &str) -> Self {
        self.missing = Some(Missing {
            noun: noun.to_owned(),
            name: name.to_owned(),
        });
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// The main place.
    #[must_use]
    pub fn span(&self) -> Span {
        self.labels[0].span
    }

    /// Error or warning.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Collects findings while a file is read.
pub type Diagnostics = Vec<Diagnostic>;

/// The known name that was probably meant: a slip of the finger away, or else the only one that begins or ends with
/// what was typed, as `prod` does for `production` and `backport` for `std.backport`.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = typed.chars().count();
    let limit = match length {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let mut best: Option<(usize, &str)> = None;
    let mut longer: Vec<&str> = Vec::new();
    for name in known.into_iter().filter(|k| *k != typed) {
        let other = name.chars().count();
        if length.abs_diff(other) <= limit {
            let distance = strsim::damerau_levenshtein(typed, name);
            if distance <= limit && distance < other && best.is_none_or(|(d, _)| distance < d) {
                best = Some((distance, name));
            }
        }
        let continues = name.starts_with(typed)
            || name
                .strip_suffix(typed)
                .is_some_and(|n| n.ends_with(['.', '-']));
        if length >= 3 && continues && !longer.contains(&name) {
            longer.push(name);
        }
    }
    let only = || longer.first().copied().filter(|_| longer.len() == 1);
    best.map(|(_, name)| name).or_else(only)
}
