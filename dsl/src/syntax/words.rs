//! Findings about one value: a word, a number or a text that KDL refuses or takes for something
//! else than its writer meant. Knows nothing about what stands around it, except its role.

use super::chars::{is_newline, is_space, is_wrong_quote, line, newline_len};
use super::finding::{Findings, quoted, show};
pub(super) use super::finding::{Wording, wording};
use super::lexer::{Bad, Kind, Token};
use crate::codes::syntax as codes;
use crate::diagnostic::{Code, Severity};
use crate::units;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// First in its line.
    Name,
    /// An argument or the right side of a property.
    Value,
    /// The left side of a property, or an annotation.
    Key,
}

/// Reports what is wrong with a value; says whether it is usable.
pub(super) fn check(token: &Token, role: Role, findings: &mut Findings) -> bool {
    let before = findings.len();
    let text = &findings.text()[token.range()];
    match token.kind {
        Kind::Word if is_usual(text) => return true,
        Kind::Text if !text.as_bytes().contains(&b'\\') => return true,
        Kind::Word => word(token, text, role, findings),
        Kind::Number => number(token, text, findings),
        Kind::Text => escapes(token, text, findings),
        Kind::Lines => {
            escapes(token, text, findings);
            if findings.len() == before {
                lines(token, text, findings);
            }
        }
        Kind::RawLines => lines(token, text, findings),
        Kind::Bad(bad) => self::bad(token, text, bad, findings),
        _ => {}
    }
    let errors = findings.list()[before..].iter();
    let errors = errors.filter(|d| d.severity() == Severity::Error);
    errors.count() == 0 && !matches!(token.kind, Kind::Bad(_))
}

/// Whether nothing can be wrong with a word: a quick answer for most.
fn is_usual(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let letter = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    letter && !is_keyword(text) && text.bytes().all(plain)
}

fn is_keyword(text: &str) -> bool {
    matches!(text, "true" | "false" | "null" | "inf" | "-inf" | "nan")
}

fn word(token: &Token, text: &str, role: Role, findings: &mut Findings) {
    if text.contains(',') {
        findings.add(&codes::COMMA, token, comma(text));
    } else if let Some(name) = text.strip_suffix(':') {
        findings.add(&codes::COLON, token, colon(name, role));
    } else if text.ends_with(is_wrong_quote) {
        findings.add(&codes::WRONG_QUOTES, token, wrong_quotes(text));
    } else if role == Role::Name && text == "-" {
        let what = wording(
            "a list has no dashes",
            "begins an item in YAML, not here",
            "write all items behind the name, with spaces between: `needs lint test`",
        );
        findings.add(&codes::DASH_ITEM, token, what);
    } else if is_keyword(text) {
        let what = wording(
            format!("`{text}` needs a `#`"),
            "neither a value nor a text",
            format!("write `#{text}`, or `\"{text}\"` if it is a text"),
        );
        findings.add(&codes::BARE_KEYWORD, token, what);
    }
}

/// Words for a comma between or inside values.
pub(super) fn comma(text: &str) -> Wording {
    let help = match text.trim_matches(',') {
        "" => "delete it".to_owned(),
        items if items.contains(',') => format!(
            "write `{}`, or {} if it is one text",
            show(&items.replace(',', " ")),
            format_args!("`{}`", quoted(items))
        ),
        item => format!("write `{}`", show(item)),
    };
    let message = "values are separated by spaces, not by commas";
    wording(message, "a comma", help)
}

/// Words for a name with a colon behind it.
pub(super) fn colon(name: &str, role: Role) -> Wording {
    let shown = show(name);
    let message = match name {
        "" => "there is no colon between a name and its value".to_owned(),
        _ => format!("there is no colon after `{shown}`"),
    };
    let help = match (name, role) {
        ("", _) => "write a space instead, or `=` in a property".to_owned(),
        (_, Role::Name) => format!("write `{shown}`, a space and the value"),
        _ => format!(
            "write `{shown}=` and the value without a space, or {} if it is a text",
            format_args!("`{}`", quoted(&format!("{name}:")))
        ),
    };
    wording(message, "a colon", help)
}

fn wrong_quotes(text: &str) -> Wording {
    let inner = text.trim_matches(|c| is_wrong_quote(c) || c == '"');
    let quote = text.chars().find(|&c| is_wrong_quote(c)).unwrap_or('\'');
    wording(
        format!("the quote {quote} neither begins nor ends a text"),
        "only `\"` does",
        format!("write `{}`", quoted(inner)),
    )
}

fn number(token: &Token, text: &str, findings: &mut Findings) {
    let (code, what): (Code, Wording) = match measure(text) {
        Measure::Fits => return,
        Measure::LeadingZero => (
            &codes::LEADING_ZERO,
            wording(
                format!("`{}` is read as a decimal number", show(text)),
                "the zero in front is lost",
                format!("write `{}` to keep it as it is", quoted(text)),
            ),
        ),
        Measure::TooLarge => (
            &codes::NUMBER_TOO_LARGE,
            wording(
                "this number is too large",
                "more than fits",
                format!("write `{}` if it is a text", quoted(text)),
            ),
        ),
        Measure::NoNumber if text.contains(',') => (&codes::COMMA, comma(text)),
        Measure::NoNumber => (
            &codes::BAD_NUMBER,
            wording(
                format!("`{}` is neither a number nor a text", show(text)),
                "begins like a number",
                match counted(text) {
                    "" => format!("write `{}`", quoted(text)),
                    number => format!(
                        "write `{number}` for a number, or `{}` for a text",
                        quoted(text)
                    ),
                },
            ),
        ),
    };
    findings.add(code, token, what);
}

/// The number in a word that counts something, `3` of `3x`; empty where it measures or names, as in `30m` or `1.95-alpine`.
fn counted(text: &str) -> &str {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let counts =
        is_digits(number, 10) && units::duration(text).is_err() && units::size(text).is_err();
    if counts { number } else { "" }
}

enum Measure {
    Fits,
    LeadingZero,
    TooLarge,
    NoNumber,
}

fn measure(text: &str) -> Measure {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    for (mark, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(mark) {
            return if is_digits(digits, radix) {
                fits(i128::from_str_radix(&digits.replace('_', ""), radix).is_ok())
            } else {
                Measure::NoNumber
            };
        }
    }
    if is_digits(unsigned, 10) {
        let zero = unsigned.len() > 1 && unsigned.starts_with('0');
        return match text.replace('_', "").parse::<i128>() {
            Err(_) => Measure::TooLarge,
            Ok(_) if zero => Measure::LeadingZero,
            Ok(_) => Measure::Fits,
        };
    }
    let (base, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((base, e)) => (base, e.strip_prefix(['+', '-']).unwrap_or(e)),
        None => (unsigned, "0"),
    };
    let (whole, part) = base.split_once('.').unwrap_or((base, "0"));
    if [whole, part, exponent].iter().all(|d| is_digits(d, 10)) {
        let value = text.replace('_', "").parse::<f64>();
        return fits(value.is_ok_and(f64::is_finite));
    }
    Measure::NoNumber
}

fn fits(it: bool) -> Measure {
    if it { Measure::Fits } else { Measure::TooLarge }
}

fn is_digits(text: &str, radix: u32) -> bool {
    text.starts_with(|c: char| c.is_digit(radix))
        && text.chars().all(|c| c == '_' || c.is_digit(radix))
}

fn escapes(token: &Token, text: &str, findings: &mut Findings) {
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        at += found;
        let after = &text[at + 1..];
        let len = escape_len(after);
        if len == 0 {
            let shown = after.chars().next().unwrap_or(' ');
            let start = token.start() + at;
            let bad = Token::new(token.kind, start, start + 1 + shown.len_utf8());
            let what = if shown == 'u' {
                wording(
                    "`\\u` needs a code point in braces",
                    "not a character",
                    "write for example `\\u{e9}`, or `\\\\u` for a backslash",
                )
            } else {
                wording(
                    format!("`\\{shown}` stands for nothing"),
                    "not an escape",
                    format!(
                        r##"write `\\{shown}` for a backslash, or the text as `#"…"#`; known are `\n` `\r` `\t` `\s` `\b` `\f` `\"` `\\` `\u{{…}}`"##
                    ),
                )
            };
            return findings.add(&codes::BAD_ESCAPE, &bad, what);
        }
        at += 1 + len;
    }
}

/// Length of a valid escape behind its backslash, 0 if it is none.
fn escape_len(after: &str) -> usize {
    match after.chars().next() {
        Some('n' | 'r' | 't' | 's' | 'b' | 'f' | '"' | '\\') => 1,
        Some(c) if is_space(c) || is_newline(c) => c.len_utf8(),
        Some('u') => after[1..]
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
            .filter(|(hex, _)| (1..=6).contains(&hex.len()))
            .filter(|(hex, _)| hex.chars().all(|c| c.is_ascii_hexdigit()))
            .filter(|(hex, _)| {
                u32::from_str_radix(hex, 16).is_ok_and(|n| char::from_u32(n).is_some())
            })
            .map_or(0, |(hex, _)| hex.len() + 3),
        _ => 0,
    }
}

/// The closing quotes have their own line, and its indentation is that of every line.
fn lines(token: &Token, text: &str, findings: &mut Findings) {
    let raw = text.len() - text.trim_start_matches('#').len();
    let body = &text[raw + 3..text.len() - raw - 3];
    let last_break = body.rfind(is_newline).unwrap_or(0);
    let last = last_break + newline_len(&body[last_break..]);
    let indent = &body[last..];
    let at = token.start() + raw + 3;
    let piece = |from: usize, to: usize| Token::new(token.kind, at + from, at + to);
    let escaped = |line: &str| raw == 0 && ends_in_escape(line);
    let blank = |line: &str| line.chars().all(is_space);
    if !blank(indent) {
        let what = wording(
            "the closing `\"\"\"` does not begin its line",
            "text before the quotes",
            "put the closing quotes on a line of their own",
        );
        let quotes = piece(body.len(), body.len() + 3);
        return findings.add(&codes::LINES_SHAPE, &quotes, what);
    }
    let (mut from, mut goes_on) = (newline_len(body), false);
    while from < last {
        let this = line(&body[from..]);
        if !goes_on && !blank(this) && !this.starts_with(indent) {
            let what = wording(
                "this line is indented less than the closing `\"\"\"`",
                "begins further left, or with other white space",
                "indent every line of the text at least as far as its closing quotes",
            );
            let place = piece(from, from + this.len());
            return findings.add(&codes::LINES_INDENT, &place, what);
        }
        goes_on = escaped(this);
        from += this.len();
        from += newline_len(&body[from..]);
    }
}

fn ends_in_escape(line: &str) -> bool {
    let text = line.trim_end_matches(is_space);
    let slashes = text.len() - text.trim_end_matches('\\').len();
    slashes % 2 == 1
}

fn bad(token: &Token, text: &str, bad: Bad, findings: &mut Findings) {
    let first_line = token.until(token.start() + line(text).len());
    let (code, what): (Code, Wording) = match bad {
        Bad::OpenComment => (
            &codes::UNCLOSED_COMMENT,
            wording(
                "this comment is never closed",
                "begins here",
                "write `*/` where it ends",
            ),
        ),
        Bad::OpenText => (
            &codes::UNCLOSED_TEXT,
            wording(
                "this text is never closed",
                "no closing quote in this line",
                closing(text),
            ),
        ),
        Bad::OpenLines => (
            &codes::UNCLOSED_TEXT,
            wording("this text is never closed", "begins here", closing(text)),
        ),
        Bad::BrokenText => (
            &codes::BROKEN_TEXT,
            wording(
                "a text in `\"` ends in the line where it begins",
                "goes on in the next line",
                "write `\"\"\"`, the lines of the text, and `\"\"\"` on a line of its own",
            ),
        ),
        Bad::TripleInLine => (
            &codes::LINES_SHAPE,
            wording(
                "`\"\"\"` does not end its line",
                "the text begins in the next line",
                "begin the text on a new line, or write it between single `\"`",
            ),
        ),
        Bad::HashComment => (
            &codes::HASH_COMMENT,
            wording(
                "a comment begins with `//`",
                "`#` begins no comment",
                hash_help(text),
            ),
        ),
        Bad::Keyword => (&codes::UNKNOWN_KEYWORD, keyword(text)),
        Bad::Quotes => (&codes::WRONG_QUOTES, wrong_quotes(text)),
        Bad::Path => (&codes::UNQUOTED_PATH, path(text)),
        Bad::Dollar => (
            &codes::UNQUOTED_DOLLAR,
            wording(
                format!("`{}` needs quotes", show(text)),
                "would begin a block, not a value",
                format!("write `{}`", quoted(text)),
            ),
        ),
        Bad::Brackets => (&codes::UNEXPECTED, brackets(text)),
        Bad::Char if text.starts_with(|c| super::chars::forbidden(c).is_some()) => return,
        Bad::Char => (&codes::UNEXPECTED, unexpected(text)),
    };
    let marker = match bad {
        Bad::OpenComment => token.until(token.start() + 2),
        _ => first_line,
    };
    findings.add(code, &marker, what);
}

fn closing(text: &str) -> String {
    let body = text.trim_start_matches('#');
    let hashes = show(&text[..text.len() - body.len()]);
    if body.starts_with("\"\"\"") {
        format!("write `\"\"\"{hashes}` on a line of its own where it ends")
    } else {
        format!("write `\"{hashes}` where it ends")
    }
}

fn hash_help(text: &str) -> String {
    let comment = format!("// {}", text.trim_start_matches(['#', '!']).trim());
    format!("write `{}`", show(comment.trim_end()))
}

fn keyword(text: &str) -> Wording {
    let word = text[1..].to_lowercase();
    let known = match word.as_str() {
        "yes" | "on" | "y" | "true" => "write `#true`",
        "no" | "off" | "n" | "false" => "write `#false`",
        "none" | "nil" | "null" => "write `#null`",
        _ => "",
    };
    let help = match known {
        "" => format!(
            "write `{}` for a text, or `// …` for a comment",
            quoted(text)
        ),
        known => known.to_owned(),
    };
    wording(format!("`{}` is not a value", show(text)), "unknown", help)
}

fn path(text: &str) -> Wording {
    if text == "\\" {
        let help = "begin a new line behind it, or put it in quotes";
        return wording("a `\\` stands at the end of a line", "not at the end", help);
    }
    let label = match () {
        () if text.contains("//") => "`//` would begin a comment",
        () if text.contains("/*") => "`/*` would begin a comment",
        () if text.contains('/') => "a word ends before `/`",
        () => "a word ends before `\\`",
    };
    let mut help = format!("write `{}`", quoted(text));
    let comment = (text.contains("//") && !text.contains("://")) || text.contains("*/");
    if comment {
        help.push_str(", or a space before the comment");
    }
    wording(format!("`{}` needs quotes", show(text)), label, help)
}

fn brackets(text: &str) -> Wording {
    let items: Vec<_> = text
        .trim_matches(['[', ']'])
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    let help = match items.as_slice() {
        [] => "delete it".to_owned(),
        items => format!("write `{}`", show(&items.join(" "))),
    };
    wording("a list has no brackets", "means nothing here", help)
}

/// Words for a character that has no meaning where it stands.
pub(super) fn unexpected(text: &str) -> Wording {
    wording(
        format!("`{}` means nothing here", show(text)),
        "unexpected",
        "delete it, or put quotes round the text that it belongs to",
    )
}
