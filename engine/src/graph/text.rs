//! Lines for a terminal, in pieces that each have a style: who prints them chooses the colours. Knows how wide a
//! terminal shows text; unaware of escape codes.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::collapse::{Collapse, collapse};
use super::label::visible;
use super::tree;
use super::view::{Status, View};

/// How the tree is written.
#[derive(Debug, Clone, Copy)]
pub struct TextOptions {
    /// No line is wider.
    pub width: usize,
    /// Frames and marks of ASCII only. Names stay as they are.
    pub ascii: bool,
    /// What is drawn as one.
    pub collapse: Collapse,
}

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The pipeline's name.
    Title,
    /// A stage's name.
    Stage,
    /// A step's name.
    Step,
    /// Blanks and lines of the tree.
    Frame,
    /// What a step waits for and works on.
    Note,
    /// What is not part of the run.
    LeftOut,
    /// How a step ended.
    Status(Status),
}

/// A line in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(pub Vec<(Style, String)>);

impl Line {
    /// The text without its styles.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    pub(super) fn push(&mut self, style: Style, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push((style, text));
        }
    }

    /// The part that is not wider than this, with a mark where something is missing.
    fn cut(self, width: usize, mark: &str) -> Line {
        let whole: usize = self.0.iter().map(|(_, t)| t.width()).sum();
        if whole <= width {
            return self;
        }
        let mut left = width.saturating_sub(mark.width());
        let mut out = Line::default();
        for (style, text) in self.0 {
            let fits = prefix(&text, left);
            left -= fits.width();
            let cut = fits.len() < text.len();
            out.push(style, fits);
            if cut {
                out.push(style, prefix(mark, width));
                break;
            }
        }
        out
    }

    /// Without blanks at the end.
    fn trimmed(mut self) -> Line {
        while let Some((_, text)) = self.0.last_mut() {
            text.truncate(text.trim_end_matches(' ').len());
            if !text.is_empty() {
                break;
            }
            self.0.pop();
        }
        self
    }
}

/// The longest beginning of the text that is not wider.
fn prefix(text: &str, width: usize) -> &str {
    let mut left = width;
    let too_wide = |(_, c): &(usize, char)| {
        let wide = c.width().unwrap_or(0);
        match left.checked_sub(wide) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        }
    };
    let end = text
        .char_indices()
        .find(too_wide)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// The text, followed by blanks up to this width.
pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// The view as a tree: each stage with its steps, what they wait for, how they are undone; then what is left out.
#[must_use]
pub fn text(view: &View, options: TextOptions) -> Vec<Line> {
    let view = collapse(view, options.collapse);
    let mark = if options.ascii { "..." } else { "…" };
    let lines = tree::lines(&view, options.ascii);
    let tidy = |line: Line| line.trimmed().cut(options.width, mark);
    lines.into_iter().map(tidy).collect()
}

/// Harmless text; in ASCII where only that is wanted and the text is our own.
pub(super) fn own(text: &str, ascii: bool) -> String {
    let text = visible(text);
    if ascii { text.replace('×', "x") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line(vec![(Style::Step, text.to_owned())])
    }

    #[test]
    fn a_line_is_cut_by_what_the_terminal_shows() {
        let cases = [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("構築構築", 8, "構築構築"),
            ("構築構築", 7, "構築構…"),
            ("構築構築", 6, "構築…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("abc", 0, ""),
        ];
        for (text, width, cut) in cases {
            assert_eq!(line(text).cut(width, "…").plain(), cut, "{text} {width}");
        }
    }
}
