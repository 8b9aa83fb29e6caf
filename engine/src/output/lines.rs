//! Cuts a stream of text into lines of bounded length.
//! Does not know what a line means.

/// The most bytes that one line may have; a longer one is split.
pub const LONGEST_LINE: usize = 64 * 1024;

/// Stands at the end of a piece of a line that goes on.
pub const SPLIT_MARK: &str = " ⏎";

/// An escape sequence that passes the sanitiser is at most this long.
const LONGEST_SEQUENCE: usize = 80;

/// Collects text until a line is complete.
#[derive(Default)]
pub struct Lines {
    open: String,
}

impl Lines {
    /// Takes the next text and hands on each completed line, without its line end.
    pub fn feed(&mut self, mut text: &str, mut each: impl FnMut(&str)) {
        while let Some(end) = text.find('\n') {
            let (line, rest) = (&text[..end], &text[end + 1..]);
            text = rest;
            if self.open.is_empty() && line.len() <= LONGEST_LINE {
                each(line);
            } else {
                self.open.push_str(line);
                self.split(&mut each);
                each(&self.open);
                self.open.clear();
            }
        }
        self.open.push_str(text);
        self.split(&mut each);
    }

    /// Ends the stream: an unfinished last line is handed on as it is.
    pub fn finish(&mut self, mut each: impl FnMut(&str)) {
        if !self.open.is_empty() {
            each(&self.open);
            self.open.clear();
        }
    }

    /// Hands on full pieces while the open line is too long.
    fn split(&mut self, each: &mut impl FnMut(&str)) {
        let mut from = 0;
        while self.open.len() - from > LONGEST_LINE {
            let cut = from + cut(&self.open[from..]);
            each(&[&self.open[from..cut], SPLIT_MARK].concat());
            from = cut;
        }
        self.open.drain(..from);
    }
}

/// Where to split a long line: not inside a character nor inside a colour sequence.
fn cut(text: &str) -> usize {
    let end = text.floor_char_boundary(LONGEST_LINE);
    let tail = text.floor_char_boundary(end - LONGEST_SEQUENCE);
    match text[tail..end].rfind('\x1b') {
        Some(escape) if !text[tail + escape..end].contains('m') => tail + escape,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&str]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, |line| seen.push(line.to_owned()));
        }
        lines.finish(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn lines_are_put_together_from_chunks() {
        assert_eq!(lines(&["a\n\nb", "c", "\nd"]), ["a", "", "bc", "d"]);
    }

    #[test]
    fn a_finished_last_line_is_not_followed_by_an_empty_one() {
        assert_eq!(lines(&["a\n"]), ["a"]);
    }

    #[test]
    fn a_long_line_is_split_with_a_mark_between_characters() {
        let long = format!("x{}", "é".repeat(LONGEST_LINE / 2));
        assert_eq!(
            lines(&[&long, "z\n"]),
            [
                format!("x{}{SPLIT_MARK}", "é".repeat(LONGEST_LINE / 2 - 1)),
                "éz".to_owned()
            ]
        );
    }

    #[test]
    fn a_colour_is_not_split() {
        let plain = "x".repeat(LONGEST_LINE - 2);
        assert_eq!(
            lines(&[&format!("{plain}\x1b[31mred")]),
            [format!("{plain}{SPLIT_MARK}"), "\x1b[31mred".to_owned()]
        );
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole() {
        let line = "x".repeat(LONGEST_LINE);
        assert_eq!(lines(&[&line, "\n"]), [line]);
    }
}
