//! All the ways in which a secret may be written: the needles that the masker looks for.
//! Pure functions from bytes to bytes; knows nothing of streams.

use super::mask::SHORTEST_SECRET;
use std::{collections::BTreeSet, fmt::Write};

/// Longer values (whole files) are looked for as they are and by line only: their encodings would
/// cost tens of megabytes.
pub(super) const LONGEST_ENCODED: usize = 16 * 1024;

/// How much of a value's encodings the needles cover.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    All,
    Plain,
}

/// Adds all needles of one value.
pub(super) fn collect(value: &[u8], needles: &mut BTreeSet<Vec<u8>>) -> Coverage {
    let value = trimmed(value);
    let encoded = value.len() <= LONGEST_ENCODED;
    let mut add = |needle: Vec<u8>| {
        if needle.len() >= SHORTEST_SECRET {
            needles.insert(needle);
        }
    };
    let mut parts = vec![value];
    if value.contains(&b'\n') {
        parts.extend(value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii));
        add(with_crlf(value));
    }
    for part in parts
        .into_iter()
        .filter(|part| part.len() >= SHORTEST_SECRET)
    {
        add(part.to_vec());
        if encoded {
            base64(part, &mut add);
            hex(part, &mut add);
            url(part, &mut add);
            shell(part, &mut add);
            json(part, &mut add);
        }
    }
    if encoded {
        Coverage::All
    } else {
        Coverage::Plain
    }
}

/// A value without the line ends at its end, which editors and `echo` add.
pub(super) fn trimmed(value: &[u8]) -> &[u8] {
    let end = value
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'))
        .map_or(0, |last| last + 1);
    &value[..end]
}

fn with_crlf(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 16);
    for &byte in value {
        if byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// Base64 in both alphabets at the three offsets that a value can have in a longer text.
fn base64(value: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for alphabet in [STANDARD, URL_SAFE] {
        for offset in 0..3 {
            let text = base64_at(value, offset, alphabet);
            // Without the last character, which depends on the bytes that follow, and with it,
            // with and without padding, for a value that ends the text.
            let sure = ((offset + value.len()) * 8 / 6) - first_sure(offset);
            add(text[..sure].to_vec());
            let padding = (3 - (offset + value.len()) % 3) % 3;
            let mut padded = text.clone();
            padded.extend(std::iter::repeat_n(b'=', padding));
            // `%3D` is how padding looks in a query.
            for equals in [&b"%3D"[..], b"%3d"] {
                let mut escaped = text.clone();
                escaped.extend(equals.repeat(padding));
                add(escaped);
            }
            add(padded.clone());
            add(text);
            if offset == 0 {
                // `base64` and `openssl` break lines.
                for width in [76, 64] {
                    wrapped(&padded, width, add);
                }
            }
        }
    }
}

fn first_sure(offset: usize) -> usize {
    (offset * 8).div_ceil(6)
}

/// The characters that depend on `value` and zeros only, when `offset` unknown bytes precede it.
fn base64_at(value: &[u8], offset: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(value);
    let characters = (bytes.len() * 8).div_ceil(6);
    (first_sure(offset)..characters)
        .map(|index| {
            let bit = index * 6;
            let high = u16::from(bytes[bit / 8]) << 8;
            let low = bytes.get(bit / 8 + 1).map_or(0, |&byte| u16::from(byte));
            let six = ((high | low) >> (10 - bit % 8)) & 63;
            alphabet[usize::from(six)]
        })
        .collect()
}

/// An encoded text over several lines: each line, and all of them with the breaks, so that a last
/// line too short for itself is found too.
fn wrapped(text: &[u8], width: usize, add: &mut impl FnMut(Vec<u8>)) {
    if text.len() > width {
        let lines: Vec<_> = text.chunks(width).collect();
        add(lines.join(&b'\n'));
        add(lines.join(&b"\r\n"[..]));
        lines.into_iter().for_each(|line| add(line.to_vec()));
    }
}

fn hex(value: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    let (mut lower, mut upper) = (String::new(), String::new());
    for byte in value {
        let _ = write!(lower, "{byte:02x}");
        let _ = write!(upper, "{byte:02X}");
    }
    wrapped(lower.as_bytes(), 60, add);
    add(lower.into_bytes());
    add(upper.into_bytes());
}

/// The sets of bytes that the common encoders leave as they are: RFC 3986, the same for a path,
/// JavaScript's `encodeURIComponent` and `encodeURI`, the HTML form.
const URL_KEPT: [&[u8]; 5] = [
    b"-_.~",
    b"-_.~/",
    b"-_.!~*'()",
    b"-_.!~*'();/?:@&=+$,#",
    b"*-._ ",
];

fn url(value: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    for kept in URL_KEPT {
        let form = kept.contains(&b' ');
        let (mut upper, mut lower) = (Vec::new(), Vec::new());
        for &byte in value {
            if form && byte == b' ' {
                upper.push(b'+');
                lower.push(b'+');
            } else if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
                upper.push(byte);
                lower.push(byte);
            } else {
                upper.extend_from_slice(format!("%{byte:02X}").as_bytes());
                lower.extend_from_slice(format!("%{byte:02x}").as_bytes());
            }
        }
        add(upper);
        add(lower);
    }
}

/// The inside of the quotes that shells and their `printf %q`, `set -x` and `declare -p` make.
fn shell(value: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    add(escaped(value, |byte| match byte {
        b'\'' => Some(b"'\\''".to_vec()),
        _ => None,
    }));
    add(escaped(value, |byte| match byte {
        b'\'' => Some(b"'\"'\"'".to_vec()),
        _ => None,
    }));
    add(escaped(value, |byte| match byte {
        b'"' | b'$' | b'`' | b'\\' => Some(vec![b'\\', byte]),
        _ => None,
    }));
    // `~` and `#` are escaped by position, `,` by some versions: so both ways for these.
    for by_taste in [&b""[..], b",", b"~", b"#", b",~#"] {
        add(escaped(value, |byte| {
            let special = b" \t!\"$&'()*;<>?[\\]^`{|}".contains(&byte) || by_taste.contains(&byte);
            special.then(|| vec![b'\\', byte])
        }));
    }
    for octal in [true, false] {
        add(escaped(value, |byte| ansi_c(byte, octal)));
    }
}

/// Inside `$'…'`, with bytes beyond ASCII as octal numbers or as they are.
fn ansi_c(byte: u8, octal: bool) -> Option<Vec<u8>> {
    let short = match byte {
        b'\n' => b'n',
        b'\t' => b't',
        b'\r' => b'r',
        0x07 => b'a',
        0x08 => b'b',
        0x0b => b'v',
        0x0c => b'f',
        0x1b => b'E',
        b'\'' | b'\\' => byte,
        0..=0x1f | 0x7f => return Some(format!("\\{byte:03o}").into_bytes()),
        0x80.. if octal => return Some(format!("\\{byte:03o}").into_bytes()),
        _ => return None,
    };
    Some(vec![b'\\', short])
}

fn escaped(value: &[u8], escape: impl Fn(u8) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() * 2);
    for &byte in value {
        match escape(byte) {
            Some(text) => out.extend(text),
            None => out.push(byte),
        }
    }
    out
}

/// The inside of JSON strings as different writers make them, and such a string inside another.
fn json(value: &[u8], add: &mut impl FnMut(Vec<u8>)) {
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    for ascii in [false, true] {
        for html in [false, true] {
            for slash in [false, true] {
                let once = json_string(text, ascii, html, slash);
                add(json_string(&once, ascii, html, slash).into_bytes());
                add(once.into_bytes());
            }
        }
    }
}

fn json_string(text: &str, ascii: bool, html: bool, slash: bool) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '/' if slash => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html => code_units(character, &mut out),
            '\0'..='\x1f' => code_units(character, &mut out),
            '\x7f'.. if ascii => code_units(character, &mut out),
            _ => out.push(character),
        }
    }
    out
}

fn code_units(character: char, out: &mut String) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}
