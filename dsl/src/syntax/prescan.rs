//! What is checked before the KDL library sees the text: sizes, characters, braces, structure.
//! Linear in the text, so that no file costs more than a second.

use std::collections::BTreeSet;

use super::braces;
use super::chars::{forbidden, is_newline, long_run};
use super::finding::{Findings, MAX_BYTES, MAX_COMMENT_DEPTH, MAX_LINE, wording};
use super::lexer::{self, Kind, Token};
use super::outline::{self, Outline};
use crate::codes::syntax as codes;

/// Up to so many forbidden characters are each told.
const FEW: usize = 10;

/// The tokens of a text and the nodes among them.
pub(super) struct Scan {
    pub(super) tokens: Vec<Token>,
    pub(super) outline: Outline,
}

/// Checks everything that can be checked without decoding values. None if the text is too large
/// to be looked at.
pub(super) fn scan(findings: &mut Findings) -> Option<Scan> {
    if !check_size(findings) {
        return None;
    }
    check_characters(findings);
    let mut tokens = lexer::tokens(findings.text());
    check_comments(&tokens, findings);
    braces::check_depth(&tokens, findings);
    let mends = braces::check(&mut tokens, findings);
    for &at in &mends.ignore {
        tokens[at].kind = Kind::Space;
    }
    let outline = outline::read(&tokens, mends.close_before, findings);
    Some(Scan { tokens, outline })
}

fn check_size(findings: &mut Findings) -> bool {
    let text = findings.text();
    let too_large = |message: String, help: &str, start: usize, end: usize| {
        let token = Token::new(Kind::Word, start, end);
        (token, wording(message, "starts here", help))
    };
    let first_char = |at: usize| at + text[at..].chars().next().map_or(0, char::len_utf8);
    let fault = if text.len() > MAX_BYTES {
        let message = format!("the file is larger than {} KiB", MAX_BYTES / 1024);
        let help = "move data into files of their own, and split the pipeline with `include`";
        Some(too_large(message, help, 0, first_char(0)))
    } else {
        long_line(text).map(|at| {
            let message = format!("a line is longer than {} KiB", MAX_LINE / 1024);
            let help = "move the text into a file, or write it on several lines between `\"\"\"`";
            too_large(message, help, at, first_char(at))
        })
    };
    match fault {
        Some((token, what)) => {
            findings.add(&codes::TOO_LARGE, &token, what);
            false
        }
        None => true,
    }
}

/// Where the first line begins that is too long.
fn long_line(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    // Of what may stand in one line, the last line break is enough.
    while bytes.len() - at > MAX_LINE {
        let within = &bytes[at..at + MAX_LINE];
        match within.iter().rposition(|b| *b == b'\n') {
            Some(last) => at += last + 1,
            None => return Some(at),
        }
    }
    None
}

/// Every forbidden character; each once where there are many: a damaged file is full of them.
fn check_characters(findings: &mut Findings) {
    let all = forbidden_characters(findings.text());
    let is_damaged = all.len() > FEW;
    findings.more |= is_damaged;
    let mut seen = BTreeSet::new();
    for (at, c, name) in all {
        if is_damaged && !seen.insert(c) {
            continue;
        }
        let help = match is_newline(c) {
            true => "end the line with a line feed".to_owned(),
            false => {
                let code = u32::from(c);
                format!("delete it, or write it as an escape in a text: `\\u{{{code:x}}}`")
            }
        };
        let token = Token::new(Kind::Word, at, at + c.len_utf8());
        let message = format!("the character U+{:04X} is not allowed", u32::from(c));
        findings.add(
            &codes::FORBIDDEN_CHARACTER,
            &token,
            wording(message, name, help),
        );
    }
}

/// The characters that may not stand where they do: place, character, what it is called.
fn forbidden_characters(text: &str) -> Vec<(usize, char, &'static str)> {
    let usual = |b: u8| matches!(b, b' '..=b'~' | b'\n' | b'\t');
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let at = after + long_run(&text.as_bytes()[after..], usual);
        let Some(c) = text[at..].chars().next() else {
            return all;
        };
        after = at + c.len_utf8();
        let Some(name) = forbidden(c) else { continue };
        let is_allowed = match c {
            '\u{feff}' => at == 0,
            '\r' => text[after..].starts_with('\n'),
            _ => false,
        };
        if !is_allowed {
            all.push((at, c, name));
        }
    }
}

fn check_comments(tokens: &[Token], findings: &mut Findings) {
    let too_deep =
        |t: &&Token| matches!(t.kind, Kind::BlockComment(d) if usize::from(d) > MAX_COMMENT_DEPTH);
    if let Some(token) = tokens.iter().find(too_deep) {
        let opener = token.until(token.start() + 2);
        let message = format!("comments are nested more than {MAX_COMMENT_DEPTH} deep");
        let what = wording(
            message,
            "the outermost",
            "close the comments one after the other",
        );
        findings.add(&codes::TOO_DEEP, &opener, what);
    }
}
