//! How things are said and coloured everywhere: durations, outcomes, counts.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style};
use engine::report::Counts;
use engine::run::outcome::Outcome;
use unicode_width::UnicodeWidthStr;

/// Green.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Red and bold.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Yellow.
pub const CAREFUL: Style = AnsiColor::Yellow.on_default();
/// Cyan.
pub const BUSY: Style = AnsiColor::Cyan.on_default();
/// Faint.
pub const DIM: Style = Style::new().dimmed();
/// Bold.
pub const STRONG: Style = Style::new().bold();

/// Text in a style.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A duration for people: `0.1s`, `12.4s`, `3m05s`, `1h02m`.
#[must_use]
pub fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{}.{}s", seconds, millis % 1000 / 100),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The style of an outcome.
#[must_use]
pub fn style(outcome: &Outcome) -> Style {
    match outcome {
        Outcome::Passed => GOOD,
        Outcome::Cached => DIM,
        Outcome::SoftFailed { .. } | Outcome::Cancelled | Outcome::Waiting { .. } => CAREFUL,
        Outcome::Failed { .. } => BAD,
        Outcome::Skipped { .. } => DIM,
    }
}

/// `1 step`, `2 steps`.
#[must_use]
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// A size for people: `512 B`, `1.5 KiB`, `2.0 GiB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    dsl::units::show_size(n)
}

/// `4 passed · 1 skipped`, without what is none.
#[must_use]
pub fn counts(counts: &Counts) -> String {
    let parts = [
        (counts.passed, "passed"),
        (counts.cached, "cached"),
        (counts.soft_failed, "soft-failed"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.blocked, "skipped"),
        (counts.not_needed, "not needed"),
    ];
    let told = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"));
    told.collect::<Vec<_>>().join(" · ")
}

/// The text cut to `width` columns, `…` where something was cut.
#[must_use]
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    // Nothing is wider than it has bytes.
    if text.len() <= width || text.width() <= width {
        return text.into();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
        if used + wide >= width {
            break;
        }
        used += wide;
        out.push(c);
    }
    (out + "…").into()
}

/// The text filled up with blanks to `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// A short commit.
#[must_use]
pub fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}
