//! Text of strangers, made harmless for a terminal and for Mermaid. Knows nothing about plans.

/// How many characters of a label are drawn.
const LONGEST: usize = 120;

/// The text on one line, cut to a sane length, without characters that move the cursor or change the direction of
/// writing: these are shown as `\u{1b}`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        if at == LONGEST {
            out.push('…');
            break;
        }
        if c.is_control() || changes_direction(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Marks and overrides of bidirectional text, separators of lines, and the byte order mark.
fn changes_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Text for a quoted Mermaid label (`["…"]`, `|"…"|`): everything that Mermaid or Markdown could understand as more
/// than text is written as a character reference.
#[must_use]
pub fn mermaid_label(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        if is_plain(&chars, at) {
            out.push(*c);
        } else {
            out.push_str(&format!("#{};", u32::from(*c)));
        }
    }
    if out.is_empty() {
        // An empty label is an error.
        out.push_str("#8203;");
    }
    out
}

fn is_plain(chars: &[char], at: usize) -> bool {
    let letter = |i: usize| chars.get(i).is_some_and(char::is_ascii_alphanumeric);
    let within_word = at > 0 && letter(at - 1) && letter(at + 1);
    match chars[at] {
        'A'..='Z' | 'a'..='z' | '0'..='9' | ',' | '/' | '(' => true,
        // Mermaid drops blanks at the ends, and takes a line with `direction TB` anywhere in it for that statement.
        ' ' => at > 0 && at + 1 < chars.len() && !after_word(chars, at, "direction"),
        ')' => !after_number(chars, at),
        '_' | '-' => within_word,
        '.' => within_word && !after_number(chars, at) && !after_word(chars, at, "www"),
        ':' => matches!(chars.get(at + 1), Some(' ' | '0'..='9')),
        _ => false,
    }
}

/// Whether only a number is in front: Markdown would begin a list.
fn after_number(chars: &[char], at: usize) -> bool {
    let mut digits = chars[..at]
        .iter()
        .skip_while(|c| c.is_whitespace())
        .peekable();
    digits.peek().is_some() && digits.all(char::is_ascii_digit)
}

fn after_word(chars: &[char], at: usize, word: &str) -> bool {
    let head = &chars[at.saturating_sub(word.len())..at];
    let head = head.iter().map(char::to_ascii_lowercase);
    head.eq(word.chars())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_readable_and_everything_else_is_a_reference() {
        let cases = [
            ("unit (linux, stable)", "unit (linux, stable)"),
            ("sha-1a2b.c:3000", "sha-1a2b.c:3000"),
            ("", "#8203;"),
            (" x ", "#32;x#32;"),
            ("direction TB", "direction#32;TB"),
            ("1. x", "1#46; x"),
            ("2) x", "2#41; x"),
            ("---", "#45;#45;#45;"),
            ("www.a.b", "www#46;a.b"),
            ("%%{init}%%", "#37;#37;#123;init#125;#37;#37;"),
            ("a\"b`c`#42;", "a#34;b#96;c#96;#35;42#59;"),
            ("→ 構築", "#8594; #27083;#31689;"),
        ];
        for (text, label) in cases {
            assert_eq!(mermaid_label(text), label);
        }
    }

    #[test]
    fn control_characters_and_directions_are_shown_and_long_text_is_cut() {
        assert_eq!(
            visible("a\u{1b}[31m\u{202e}b\n"),
            "a\\u{1b}[31m\\u{202e}b\\n"
        );
        assert_eq!(visible(&"x".repeat(500)), "x".repeat(120) + "…");
    }
}
