//! What is meant by the words, numbers and texts of a file. Knows only the forms that leave no question how the KDL
//! library reads them; for every other one the answer is none.

use super::chars::{is_newline, is_space};
use super::lexer::Kind;
use super::tree::ValueKind;

/// So many digits fit into any number, whatever they are.
const DIGITS: usize = 18;

/// The value that is written like this.
pub(super) fn value(kind: Kind, text: &str) -> Option<ValueKind> {
    match kind {
        Kind::Number => number(text),
        Kind::Keyword => Some(match text {
            "#true" => ValueKind::Bool(true),
            "#false" => ValueKind::Bool(false),
            "#null" => ValueKind::Null,
            _ => return None,
        }),
        _ => string(kind, text).map(ValueKind::String),
    }
}

/// The text that is written like this.
pub(super) fn string(kind: Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Word => {
            let keyword = matches!(text, "true" | "false" | "null" | "inf" | "-inf" | "nan");
            (!keyword).then(|| text.to_owned())
        }
        Kind::Text => {
            let body = inner(text, 1)?;
            if !body.as_bytes().contains(&b'\\') {
                return Some(body.to_owned());
            }
            let mut out = String::with_capacity(body.len());
            unescape(body, true, &mut out).then_some(out)
        }
        Kind::Lines => lines(inner(text, 3)?, true),
        // The library takes a lone quote for the start of several lines, wherever it stands.
        Kind::RawText => inner(text, hashes(text) + 1)
            .map(str::to_owned)
            .filter(|t| t != "\""),
        Kind::RawLines => lines(inner(text, hashes(text) + 3)?, false).filter(|t| t != "\""),
        _ => None,
    }
}

fn hashes(text: &str) -> usize {
    text.len() - text.trim_start_matches('#').len()
}

/// The text without so many bytes on either side.
fn inner(text: &str, quotes: usize) -> Option<&str> {
    text.get(quotes..text.len().checked_sub(quotes)?)
}

fn number(text: &str) -> Option<ValueKind> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digits = |part: &str| {
        let begins = part.starts_with(|c: char| c.is_ascii_digit());
        begins && part.len() <= DIGITS && part.bytes().all(|b| b == b'_' || b.is_ascii_digit())
    };
    let plain = text.replace('_', "");
    match unsigned.split_once('.') {
        None if is_digits(unsigned) => plain.parse().ok().map(ValueKind::Int),
        Some((whole, part)) if is_digits(whole) && is_digits(part) => {
            plain.parse().ok().map(ValueKind::Float)
        }
        _ => None,
    }
}

/// Appends what a text with escapes stands for; false where one is not known. An escaped line break swallows the
/// white space after it, which is understood only where the text may not have several lines anyway.
fn unescape(body: &str, in_one_line: bool, out: &mut String) -> bool {
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some(c) = after.chars().next() else {
            return false;
        };
        let after = &after[c.len_utf8()..];
        rest = after;
        out.push(match c {
            '\\' | '"' => c,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            's' => ' ',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let Some((meant, after)) = code_point(after) else {
                    return false;
                };
                rest = after;
                meant
            }
            _ if in_one_line && (is_space(c) || is_newline(c)) => {
                rest = after.trim_start_matches(|c| is_space(c) || is_newline(c));
                continue;
            }
            _ => return false,
        });
    }
    out.push_str(rest);
    true
}

/// The character of `{e9}`, and what stands behind it.
fn code_point(text: &str) -> Option<(char, &str)> {
    let (hex, after) = text.strip_prefix('{')?.split_once('}')?;
    let sound = (1..=6).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let meant = u32::from_str_radix(hex, 16).ok().filter(|_| sound)?;
    Some((char::from_u32(meant)?, after))
}

/// The lines between the quotes, without the indentation that the closing quotes have.
fn lines(body: &str, escapes: bool) -> Option<String> {
    let body = body.strip_prefix('\r').unwrap_or(body).strip_prefix('\n')?;
    let (lines, indent) = match body.rfind('\n') {
        Some(last) => (Some(&body[..last]), &body[last + 1..]),
        None => (None, body),
    };
    if !indent.chars().all(is_space) {
        return None;
    }
    let mut out = String::with_capacity(body.len());
    for (at, line) in lines.iter().flat_map(|l| l.split('\n')).enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.chars().all(is_space) {
            continue;
        }
        let line = line.strip_prefix(indent)?;
        if escapes {
            unescape(line, false, &mut out).then_some(())?;
        } else {
            out.push_str(line);
        }
    }
    Some(out)
}
