//! Makes a stream of bytes fit for a terminal: text and colours pass, nothing else acts.
//! Does not know lines beyond their ends, nor any CI's commands.
//!
//! Cursor moves, titles, clipboard writes and other sequences vanish; other control characters and
//! the marks that reverse the direction of text become visible; broken UTF-8 becomes `�`.
//! A lone carriage return, by which progress bars overwrite a line, begins a new line.

use std::borrow::Cow;
use std::fmt::Write;

/// The longest colour sequence that passes, without ESC and `[`.
const LONGEST_COLOUR: usize = 64;

/// The state of one stream.
#[derive(Default)]
pub struct Sanitiser {
    state: State,
    /// The parameters of a control sequence, as long as they may be a colour.
    parameters: String,
    /// The beginning of a character that the next chunk completes.
    partial: Vec<u8>,
    /// A carriage return whose meaning the next byte decides.
    returned: bool,
    /// Whether something is on the current line.
    written: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte, as in the choice of a character set.
    Intermediate,
    /// After `ESC [`.
    Control,
    /// A control sequence that cannot be a colour.
    OtherControl,
    /// In a string (OSC, DCS, SOS, PM, APC), which ends with BEL, ST or the line.
    String,
}

impl Sanitiser {
    /// Takes the next bytes and appends what may be shown.
    pub fn feed(&mut self, chunk: &[u8], out: &mut String) {
        let mut rest = self.complete(chunk, out);
        while let Some(&byte) = rest.first() {
            if self.state != State::Text {
                if self.sequence(byte, out) {
                    rest = &rest[1..];
                }
                continue;
            }
            let (calm, other) = rest.split_at(calm(rest));
            if !calm.is_empty() {
                self.calm(calm, out);
                rest = other;
            } else if byte.is_ascii() {
                self.control(byte, out);
                rest = &rest[1..];
            } else {
                rest = self.beyond_ascii(rest, out);
            }
        }
    }

    /// Ends the stream: a character that was never completed becomes `�`.
    pub fn finish(&mut self, out: &mut String) {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.text("\u{fffd}", out);
        }
        *self = Self::default();
    }

    /// Completes a character that the last chunk began; returns the rest of this chunk.
    fn complete<'a>(&mut self, chunk: &'a [u8], out: &mut String) -> &'a [u8] {
        for taken in 0..chunk.len() {
            if self.partial.is_empty() {
                return &chunk[taken..];
            }
            let mut bytes = std::mem::take(&mut self.partial);
            bytes.push(chunk[taken]);
            match std::str::from_utf8(&bytes) {
                Ok(text) => self.characters(text, out),
                Err(error) if error.error_len().is_none() => self.partial = bytes,
                Err(_) => {
                    self.text("\u{fffd}", out);
                    return &chunk[taken..];
                }
            }
        }
        &[]
    }

    /// Takes a run of bytes that begins beyond ASCII and holds no control byte.
    fn beyond_ascii<'a>(&mut self, bytes: &'a [u8], out: &mut String) -> &'a [u8] {
        let run = bytes
            .iter()
            .take_while(|&&byte| is_plain(byte) || !byte.is_ascii())
            .count();
        let (run, rest) = bytes.split_at(run);
        let mut left = run.len();
        for chunk in run.utf8_chunks() {
            self.characters(chunk.valid(), out);
            left -= chunk.valid().len() + chunk.invalid().len();
            let invalid = chunk.invalid();
            let unfinished =
                || std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            if invalid.is_empty() {
                continue;
            }
            if left == 0 && rest.is_empty() && unfinished() {
                self.partial = invalid.to_vec();
            } else {
                self.text("\u{fffd}", out);
            }
        }
        rest
    }

    /// Takes printable ASCII, tabs and line ends.
    fn calm(&mut self, bytes: &[u8], out: &mut String) {
        let begins_line = bytes.first() == Some(&b'\n');
        if std::mem::take(&mut self.returned) && self.written && !begins_line {
            out.push('\n');
        }
        self.written = bytes.last() != Some(&b'\n');
        out.push_str(std::str::from_utf8(bytes).unwrap_or_default());
    }

    fn characters(&mut self, text: &str, out: &mut String) {
        let mut from = 0;
        for (at, character) in text.char_indices() {
            if acts(character) {
                self.text(&text[from..at], out);
                self.text(&format!("\\u{{{:x}}}", u32::from(character)), out);
                from = at + character.len_utf8();
            }
        }
        self.text(&text[from..], out);
    }

    fn text(&mut self, text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.returned) && self.written {
            out.push('\n');
        }
        self.written = true;
        out.push_str(text);
    }

    fn control(&mut self, byte: u8, out: &mut String) {
        match byte {
            b'\n' => {
                self.returned = false;
                self.written = false;
                out.push('\n');
            }
            b'\r' => self.returned = true,
            0x1b => self.state = State::Escape,
            // The pictures of control characters: ␀ to ␟ and ␡.
            0x7f => self.text("\u{2421}", out),
            _ => {
                let picture = char::from_u32(0x2400 + u32::from(byte)).unwrap_or('\u{fffd}');
                self.text(picture.encode_utf8(&mut [0; 4]), out);
            }
        }
    }

    /// Takes a byte inside a sequence; false if it ends the sequence without being part of it.
    fn sequence(&mut self, byte: u8, out: &mut String) -> bool {
        let (state, taken) = match (self.state, byte) {
            // CAN and SUB end every sequence.
            (_, 0x18 | 0x1a) => (State::Text, true),
            (_, 0x1b) => (State::Escape, true),
            (State::Escape, b'[') => {
                self.parameters.clear();
                (State::Control, true)
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => (State::String, true),
            (State::Escape | State::Intermediate, b' '..=b'/') => (State::Intermediate, true),
            (State::Escape | State::Intermediate, b'0'..=b'~') => (State::Text, true),
            (State::Control, b'0'..=b'9' | b';' | b':')
                if self.parameters.len() < LONGEST_COLOUR =>
            {
                self.parameters.push(char::from(byte));
                (State::Control, true)
            }
            (State::Control, b'm') => {
                let _ = write!(out, "\x1b[{}m", self.parameters);
                (State::Text, true)
            }
            (State::Control | State::OtherControl, b'@'..=b'~') => (State::Text, true),
            (State::Control | State::OtherControl, b' '..=b'?') => (State::OtherControl, true),
            (State::String, 0x07) => (State::Text, true),
            // A string without an end must not swallow more than its line.
            (State::String, b'\n') => (State::Text, false),
            (State::String, _) => (State::String, true),
            _ => (State::Text, false),
        };
        self.state = state;
        taken
    }
}

/// A text fit for a terminal: colours and line ends pass. For what is not a job's output: names, reasons, values.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    if is_calm(text) {
        return Cow::Borrowed(text);
    }
    let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || acts(c);
    if !text.chars().any(strange) {
        return Cow::Borrowed(text);
    }
    let (mut sanitiser, mut out) = (Sanitiser::default(), String::new());
    sanitiser.feed(text.as_bytes(), &mut out);
    sanitiser.finish(&mut out);
    Cow::Owned(out)
}

/// Whether a text is nothing but printable ASCII, tabs and line ends: it is fit for everything as it is.
#[must_use]
pub fn is_calm(text: &str) -> bool {
    calm(text.as_bytes()) == text.len()
}

/// How many bytes at the beginning are printable ASCII, tabs and line ends. Looks at many at once: this is most of what
/// anybody writes.
fn calm(bytes: &[u8]) -> usize {
    let is_calm = |byte: &u8| is_plain(*byte) | (*byte == b'\n');
    let mut pieces = bytes.chunks(64);
    let whole = pieces
        .by_ref()
        .take_while(|piece| piece.iter().fold(true, |all, byte| all & is_calm(byte)))
        .fold(0, |length, piece| length + piece.len());
    whole
        + bytes[whole..]
            .iter()
            .take_while(|byte| is_calm(byte))
            .count()
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

/// Whether a character beyond ASCII makes a terminal act or text run backwards.
fn acts(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(chunks: &[&[u8]]) -> String {
        let (mut sanitiser, mut out) = (Sanitiser::default(), String::new());
        for chunk in chunks {
            sanitiser.feed(chunk, &mut out);
        }
        sanitiser.finish(&mut out);
        out
    }

    #[test]
    fn text_tabs_and_colours_pass() {
        let text = "\x1b[1;38:5:12mbold\x1b[0m\tné€😀\n";
        assert_eq!(shown(&[text.as_bytes()]), text);
    }

    #[test]
    fn other_sequences_vanish() {
        for sequence in [
            "\x1b[2K",
            "\x1b[10;3H",
            "\x1b[?25l",
            "\x1b[>4;1m",
            "\x1b[1 q",
            "\x1b(B",
            "\x1b7",
            "\x1bc",
            "\x1b]0;title\x07",
            "\x1b]52;c;aGk=\x1b\\",
            "\x1b]8;;https://example.org\x1b\\",
            "\x1bPq#0\x1b\\",
            "\x1b_x\x1b\\",
            "\x1b^x\x1b\\",
            "\x1bXx\x1b\\",
        ] {
            let text = format!("a{sequence}b");
            assert_eq!(shown(&[text.as_bytes()]), "ab", "{sequence:?}");
        }
    }

    #[test]
    fn a_sequence_without_an_end_does_not_hide_the_next_line() {
        assert_eq!(shown(&[b"a\x1b]0;title\nb"]), "a\nb");
        assert_eq!(shown(&[b"a\x1b[12\nb"]), "a\nb");
        assert_eq!(shown(&[b"a\x1b"]), "a");
    }

    #[test]
    fn a_colour_longer_than_any_real_one_vanishes() {
        let text = format!("a\x1b[{}mb", "1;".repeat(200));
        assert_eq!(shown(&[text.as_bytes()]), "ab");
    }

    #[test]
    fn other_controls_are_seen() {
        assert_eq!(
            shown(&[b"a\0b\x07\x08\x7f"]),
            "a\u{2400}b\u{2407}\u{2408}\u{2421}"
        );
        assert_eq!(
            shown(&["\u{9b}31m \u{202e}x\u{2066}".as_bytes()]),
            "\\u{9b}31m \\u{202e}x\\u{2066}"
        );
    }

    #[test]
    fn a_carriage_return_begins_a_line_unless_there_is_nothing_to_overwrite() {
        assert_eq!(shown(&[b"a\r\nb\r", b"\nc"]), "a\nb\nc");
        assert_eq!(shown(&[b"\r10%\r20%\r\r30%\r\n"]), "10%\n20%\n30%\n");
        assert_eq!(shown(&[b"a\n\rb"]), "a\nb");
    }

    #[test]
    fn broken_utf8_is_replaced() {
        assert_eq!(
            shown(&[b"a\xff\xc3(\xe2\x82"]),
            "a\u{fffd}\u{fffd}(\u{fffd}"
        );
    }

    proptest! {
        #[test]
        fn the_split_of_the_stream_does_not_matter(
            pieces in prop::collection::vec(prop_oneof![
                any::<Vec<u8>>(),
                any::<String>().prop_map(String::into_bytes),
                Just(b"\x1b[".to_vec()),
                Just(b"\x1b]".to_vec()),
                Just(b"31m\r".to_vec()),
            ], 0..8),
            size in 1_usize..7,
        ) {
            let bytes = pieces.concat();
            let chunks: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(shown(&chunks), shown(&[&bytes]));
        }

        #[test]
        fn nothing_but_colours_acts(bytes in any::<Vec<u8>>()) {
            let text = shown(&[&bytes]);
            for (at, character) in text.char_indices() {
                prop_assert!(
                    !acts(character)
                        && (!character.is_control()
                            || matches!(character, '\n' | '\t')
                            || text[at..].starts_with("\x1b[")),
                    "{:?}", text
                );
            }
        }
    }
}
