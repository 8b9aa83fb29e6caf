//! Classes of characters, as KDL 2 has them. Knows nothing about tokens.

/// Whether KDL ends a line here.
pub(super) fn is_newline(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Whether KDL takes this for a space.
pub(super) fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Whether a word without quotes may hold this.
pub(super) fn is_word(c: char) -> bool {
    let reserved = matches!(
        c,
        '\\' | '/' | '(' | ')' | '{' | '}' | '[' | ']' | ';' | '"' | '#' | '='
    );
    !(reserved || is_space(c) || is_newline(c) || forbidden(c).is_some())
}

/// Whether these bytes of a text, each a character, are part of a word wherever they stand: a quick answer for most.
pub(super) fn is_plain_word(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            plain[byte as usize] = !matches!(
                byte,
                b'\\'
                    | b'/'
                    | b'('
                    | b')'
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b';'
                    | b'"'
                    | b'#'
                    | b'='
                    | b'$'
            );
            byte += 1;
        }
        plain
    };
    PLAIN[usize::from(byte)]
}

/// Length of the white space at the start of `text`, line breaks excluded.
pub(super) fn space_len(text: &str) -> usize {
    let usual = run(text.as_bytes(), |b| matches!(b, b' ' | b'\t'));
    match text.as_bytes().get(usual) {
        Some(0x80..) => usual + prefix(&text[usual..], is_space).len(),
        _ => usual,
    }
}

/// How many bytes at the start are like this.
pub(super) fn run(bytes: &[u8], keep: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&b| !keep(b)).unwrap_or(bytes.len())
}

/// The same where a run is long: whole pieces are looked at at once.
pub(super) fn long_run(bytes: &[u8], keep: impl Fn(u8) -> bool) -> usize {
    let whole = |piece: &&[u8]| piece.iter().fold(true, |all, &b| all & keep(b));
    let pieces = bytes.chunks_exact(64).take_while(whole).count() * 64;
    pieces + run(&bytes[pieces..], keep)
}

/// What a character is called that may stand nowhere in a file, except as an escape in a text.
///
/// More than KDL refuses: whatever an editor hides or shows in another order than it is read,
/// and line breaks that most programs do not count as such.
pub(super) fn forbidden(c: char) -> Option<&'static str> {
    if matches!(c, ' '..='~' | '\n' | '\t') {
        return None;
    }
    Some(match c {
        '\0' => "the null character",
        '\u{1b}' => "escape",
        '\r' => "a carriage return without a line feed",
        '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => "a line break that editors hide",
        '\u{1}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "a control character",
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "a control of the writing direction"
        }
        '\u{200b}' | '\u{2060}' | '\u{feff}' => "an invisible space",
        _ => return None,
    })
}

/// Quotes that are not the straight double one.
pub(super) fn is_wrong_quote(c: char) -> bool {
    matches!(
        c,
        '\'' | '`' | '´' | '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '«' | '»'
    )
}

/// Length of the line break at the start of `text`, 0 where there is none.
pub(super) fn newline_len(text: &str) -> usize {
    match text.chars().next() {
        Some('\r') if text.as_bytes().get(1) == Some(&b'\n') => 2,
        Some(c) if is_newline(c) => c.len_utf8(),
        _ => 0,
    }
}

/// The start of `text` as long as `keep` says so.
pub(super) fn prefix(text: &str, keep: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    &text[..end]
}

/// The rest of the line that `text` begins in, its line break excluded.
pub(super) fn line(text: &str) -> &str {
    prefix(text, |c| !is_newline(c))
}
