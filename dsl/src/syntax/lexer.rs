//! Text to tokens with byte spans. Total and linear: what KDL does not know becomes a `Bad` token.
//! Knows nothing about nodes; the outline and the formatter both read its tokens.

use std::ops::Range;

use super::chars::{
    forbidden, is_newline, is_plain_word, is_space, is_word, is_wrong_quote, line, newline_len,
    prefix, run, space_len,
};

/// Everything in the text, in order and without a gap.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        continued: false,
        line_begins: true,
    };
    let mut tokens = Vec::with_capacity(text.len() / 4);
    while lexer.at < text.len() {
        let start = lexer.at;
        let kind = lexer.token();
        if lexer.at == start {
            lexer.at += lexer.first_len(start);
        }
        lexer.note_line(kind);
        tokens.push(Token::new(kind, start, lexer.at));
    }
    tokens
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    start: u32,
    end: u32,
}

impl Token {
    /// A token of these bytes; a text has at most 1 MiB.
    pub(super) fn new(kind: Kind, start: usize, end: usize) -> Self {
        let (start, end) = (offset(start), offset(end));
        Self { kind, start, end }
    }

    /// Offset of its first byte.
    pub(super) fn start(&self) -> usize {
        self.start as usize
    }

    /// Offset after its last byte.
    pub(super) fn end(&self) -> usize {
        self.end as usize
    }

    /// The offsets of its bytes.
    pub(super) fn range(&self) -> Range<usize> {
        self.start()..self.end()
    }

    /// The same with another end.
    pub(super) fn until(self, end: usize) -> Self {
        Self::new(self.kind, self.start(), end)
    }
}

/// An offset, kept small: there are many of them.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A byte order mark at the very start.
    Bom,
    /// Spaces and tabs.
    Space,
    /// The end of a line.
    Newline,
    /// The `\` at the end of a line that goes on in the next.
    Continuation,
    /// The end of a line after a `Continuation`.
    ContinuedNewline,
    /// `// …`, without the line's end.
    LineComment,
    /// `/* … */` with the depth of nesting.
    BlockComment(u8),
    /// `/-`.
    SlashDash,
    /// A word without quotes.
    Word,
    /// A word that begins like a number; it may be none.
    Number,
    /// `#true`, `#false`, `#null`, `#inf`, `#-inf`, `#nan`.
    Keyword,
    /// `"…"`.
    Text,
    /// `#"…"#`.
    RawText,
    /// `"""…"""` over several lines.
    Lines,
    /// `#"""…"""#` over several lines.
    RawLines,
    /// `=`.
    Equals,
    /// `;`.
    Semicolon,
    /// `{`.
    Open,
    /// `}`.
    Close,
    /// `(`.
    OpenParen,
    /// `)`.
    CloseParen,
    /// Not KDL, or not what its writer meant.
    Bad(Bad),
}

impl Kind {
    /// Whether it may stand between two nodes.
    pub(super) fn is_line_space(self) -> bool {
        matches!(
            self,
            Self::Space
                | Self::Bom
                | Self::Newline
                | Self::ContinuedNewline
                | Self::Continuation
                | Self::LineComment
                | Self::BlockComment(_)
        )
    }

    /// Whether it may be a name.
    pub(super) fn is_text(self) -> bool {
        matches!(
            self,
            Self::Word | Self::Text | Self::RawText | Self::Lines | Self::RawLines
        )
    }

    /// Whether it is a value, or was meant to be one.
    pub(super) fn is_value(self) -> bool {
        self.is_text() || matches!(self, Self::Number | Self::Keyword | Self::Bad(_))
    }
}

/// What is wrong with a `Bad` token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// `/*` without its `*/`; up to the end of the text.
    OpenComment,
    /// `"` or `#"` without its closing quote; up to the end of the line.
    OpenText,
    /// `"""` without its closing quotes; up to the end of the text.
    OpenLines,
    /// `"…"` with a line break in it.
    BrokenText,
    /// `"""` with something after it in its line.
    TripleInLine,
    /// `# …`, a comment elsewhere.
    HashComment,
    /// `#yes`.
    Keyword,
    /// `'…'`, `“…”`.
    Quotes,
    /// A word with `/` or `\` in it.
    Path,
    /// A word with `${…}` or `$(…)` in it.
    Dollar,
    /// `[…]`.
    Brackets,
    /// A character that means nothing here.
    Char,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    continued: bool,
    line_begins: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn first_len(&self, at: usize) -> usize {
        self.text[at..].chars().next().map_or(1, char::len_utf8)
    }

    fn note_line(&mut self, kind: Kind) {
        match kind {
            Kind::Newline | Kind::ContinuedNewline => {
                self.line_begins = true;
                self.continued = false;
            }
            Kind::Continuation => self.continued = true,
            Kind::Space | Kind::BlockComment(_) | Kind::Bom => {}
            _ => self.line_begins = false,
        }
    }

    fn take(&mut self, len: usize, kind: Kind) -> Kind {
        self.at += len;
        kind
    }

    fn token(&mut self) -> Kind {
        match self.text.as_bytes()[self.at] {
            b' ' | b'\t' => self.take(space_len(self.rest()), Kind::Space),
            b'\n' => self.newline(),
            b'"' => self.text(),
            b'\'' | b'`' => self.wrong_quotes(),
            byte if is_plain_word(byte) => self.word(),
            _ => self.rarer(),
        }
    }

    fn rarer(&mut self) -> Kind {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else {
            return Kind::Space;
        };
        match c {
            '\u{feff}' if self.at == 0 => self.take(c.len_utf8(), Kind::Bom),
            _ if is_space(c) => self.take(space_len(rest), Kind::Space),
            _ if is_newline(c) => self.newline(),
            '{' => self.take(1, Kind::Open),
            '}' => self.take(1, Kind::Close),
            '(' => self.take(1, Kind::OpenParen),
            ')' => self.take(1, Kind::CloseParen),
            ';' => self.take(1, Kind::Semicolon),
            '=' => self.take(1, Kind::Equals),
            '#' => self.hash(),
            '[' => self.brackets(),
            '/' if rest.starts_with("//") => self.take(line(rest).len(), Kind::LineComment),
            '/' if rest.starts_with("/*") => self.block_comment(),
            '/' if rest.starts_with("/-") => self.take(2, Kind::SlashDash),
            '\\' if continues(rest) => self.take(1, Kind::Continuation),
            _ if is_wrong_quote(c) => self.wrong_quotes(),
            _ if is_word(c) || matches!(c, '/' | '\\') => self.word(),
            _ => {
                let same = |other| other == c || forbidden(other).is_some() && !is_newline(other);
                self.take(prefix(rest, same).len(), Kind::Bad(Bad::Char))
            }
        }
    }

    fn newline(&mut self) -> Kind {
        let kind = if self.continued {
            Kind::ContinuedNewline
        } else {
            Kind::Newline
        };
        self.take(newline_len(self.rest()), kind)
    }

    fn block_comment(&mut self) -> Kind {
        let bytes = self.rest().as_bytes();
        let (mut depth, mut deepest, mut i) = (0_usize, 0_usize, 0);
        while i < bytes.len() {
            match &bytes[i..] {
                [b'/', b'*', ..] => {
                    depth += 1;
                    deepest = deepest.max(depth);
                    i += 2;
                }
                [b'*', b'/', ..] => {
                    depth -= 1;
                    i += 2;
                    if depth == 0 {
                        let deepest = u8::try_from(deepest).unwrap_or(u8::MAX);
                        return self.take(i, Kind::BlockComment(deepest));
                    }
                }
                _ => i += 1,
            }
        }
        self.take(bytes.len(), Kind::Bad(Bad::OpenComment))
    }

    /// A run of characters without a space. Goes on over `/`, `\` and `${…}`, which would
    /// end it in KDL and start something that nobody meant.
    fn word(&mut self) -> Kind {
        let start = self.at;
        let mut bad = None;
        loop {
            self.at += run(&self.text.as_bytes()[self.at..], is_plain_word);
            if bad.is_none()
                && matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\n' | b'='))
            {
                break;
            }
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { break };
            if rest.starts_with("${") || rest.starts_with("$(") {
                bad = Some(Bad::Dollar);
                self.at += expansion_len(rest);
            } else if is_word(c) {
                self.at += c.len_utf8();
            } else if c == '/' || c == '\\' && !continues(rest) {
                bad = bad.or(Some(Bad::Path));
                self.at += 1;
            } else if bad.is_some() && matches!(c, '=' | '#' | '(' | ')' | '[' | ']') {
                self.at += 1;
            } else {
                break;
            }
        }
        match bad {
            Some(bad) => Kind::Bad(bad),
            None if begins_like_number(&self.text[start..self.at]) => Kind::Number,
            None => Kind::Word,
        }
    }

    fn wrong_quotes(&mut self) -> Kind {
        let rest = self.rest();
        let first = self.first_len(self.at);
        let family = match rest.chars().next() {
            Some('\'') => "'",
            Some('`') => "`",
            Some('‘' | '’' | '‚' | '´') => "‘’‚´'",
            _ => "“”„‟«»\"",
        };
        let closes = |c: char| family.contains(c);
        let mut after = rest[first..].char_indices();
        let len = match after.find(|&(_, c)| closes(c) || is_newline(c)) {
            Some((at, c)) if !is_newline(c) => first + at + c.len_utf8(),
            _ => prefix(rest, is_word).len(),
        };
        self.take(len, Kind::Bad(Bad::Quotes))
    }

    fn brackets(&mut self) -> Kind {
        let len = nearby(self.rest(), ']').unwrap_or(1);
        self.take(len, Kind::Bad(Bad::Brackets))
    }

    fn hash(&mut self) -> Kind {
        let rest = self.rest();
        let hashes = prefix(rest, |c| c == '#');
        if rest[hashes.len()..].starts_with('"') {
            return self.raw_text(hashes);
        }
        let word = prefix(&rest[1..], is_word);
        match word {
            "true" | "false" | "null" | "inf" | "-inf" | "nan" => {
                self.take(1 + word.len(), Kind::Keyword)
            }
            _ if self.line_begins || word.is_empty() || word.starts_with('!') => {
                self.take(line(rest).len(), Kind::Bad(Bad::HashComment))
            }
            _ => self.take(1 + word.len(), Kind::Bad(Bad::Keyword)),
        }
    }

    fn raw_text(&mut self, hashes: &str) -> Kind {
        let rest = self.rest();
        let body = hashes.len() + 1;
        if rest[hashes.len()..].starts_with("\"\"\"") && newline_len(&rest[body + 2..]) > 0 {
            let end = find_closing(&rest[body + 2..], "\"\"\"", hashes);
            return match end {
                Some(end) => self.take(body + 2 + end, Kind::RawLines),
                None => self.take(rest.len(), Kind::Bad(Bad::OpenLines)),
            };
        }
        match find_closing_in_line(&rest[body..], hashes) {
            // KDL refuses the one raw text that looks like the start of several lines.
            Some(end) if end == hashes.len() + 2 && rest[body..].starts_with("\"\"") => {
                self.take(body + end, Kind::Bad(Bad::TripleInLine))
            }
            Some(end) => self.take(body + end, Kind::RawText),
            None => self.take(without_brace(line(rest)), Kind::Bad(Bad::OpenText)),
        }
    }

    fn text(&mut self) -> Kind {
        let rest = self.rest();
        if rest.starts_with("\"\"\"") {
            return self.triple();
        }
        if let Some(end) = text_end(rest) {
            return self.take(end, Kind::Text);
        }
        match broken_text_end(rest) {
            Some(end) => self.take(end, Kind::Bad(Bad::BrokenText)),
            None => self.take(without_brace(line(rest)), Kind::Bad(Bad::OpenText)),
        }
    }

    fn triple(&mut self) -> Kind {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let mut i = 3;
        while i < bytes.len() {
            match bytes[i] {
                b'\\' => i += 2,
                b'"' if bytes[i..].starts_with(b"\"\"\"") => {
                    let whole = newline_len(&rest[3..]) > 0;
                    let kind = if whole {
                        Kind::Lines
                    } else {
                        Kind::Bad(Bad::TripleInLine)
                    };
                    return self.take(i + 3, kind);
                }
                _ => i += 1,
            }
        }
        self.take(rest.len(), Kind::Bad(Bad::OpenLines))
    }
}

/// Whether the `\` at the start ends its line.
fn continues(text: &str) -> bool {
    let after = text[1..].trim_start_matches(is_space);
    after.is_empty() || after.starts_with("//") || newline_len(after) > 0
}

/// Length of the `${…}` or `$(…)` at the start, of its first two bytes where it is not closed.
fn expansion_len(text: &str) -> usize {
    let (open, close) = if text.starts_with("${") {
        ('{', '}')
    } else {
        ('(', ')')
    };
    let Some(mut len) = nearby(text, close) else {
        return 2;
    };
    let inner_opens = text[2..].starts_with(open);
    if inner_opens && text[len..].starts_with(close) {
        len += 1;
    }
    len
}

/// Length up to and including the next `close` in the line, if it is not far away.
fn nearby(text: &str, close: char) -> Option<usize> {
    let near = &text[..text.floor_char_boundary(256)];
    line(near).find(close).map(|at| at + close.len_utf8())
}

fn begins_like_number(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let digits = unsigned.strip_prefix('.').unwrap_or(unsigned);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// Length of the `"…"` at the start; none where the line ends before its closing quote.
fn text_end(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        let rest = &text[at..];
        at += run(rest.as_bytes(), |b| {
            matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')
        });
        let c = text[at..].chars().next()?;
        at += c.len_utf8();
        match c {
            '"' => return Some(at),
            // An escaped line break swallows all the white space after it.
            '\\' => {
                let blank = prefix(&text[at..], |c| is_space(c) || is_newline(c)).len();
                let escaped = text[at..].chars().next().map_or(0, char::len_utf8);
                at += if blank > 0 { blank } else { escaped };
            }
            _ if is_newline(c) => return None,
            _ => {}
        }
    }
}

/// Where a `"…"` ends that goes on over the end of its line: at the first later line with an
/// odd number of quotes, if its first quote closes (a space, `;`, `}` or nothing follows).
fn broken_text_end(text: &str) -> Option<usize> {
    let mut at = line(text).len();
    loop {
        at += newline_len(&text[at..]);
        let rest = &text[at..];
        if rest.is_empty() {
            return None;
        }
        let this = line(rest);
        if this.matches('"').count() % 2 == 1 {
            let quote = this.find('"')?;
            let after = this[quote + 1..].chars().next();
            let closes = after.is_none_or(|c| is_space(c) || matches!(c, ';' | '}'));
            return closes.then_some(at + quote + 1);
        }
        at += this.len();
    }
}

/// Length up to and including `quotes` and `hashes`.
fn find_closing(text: &str, quotes: &str, hashes: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = text[from..].find(quotes) {
        let after = from + found + quotes.len();
        if text[after..].starts_with(hashes) {
            return Some(after + hashes.len());
        }
        from += found + 1;
    }
    None
}

/// The same for one quote; none if the line ends before it.
fn find_closing_in_line(text: &str, hashes: &str) -> Option<usize> {
    let mut quotes = text.match_indices(|c| c == '"' || is_newline(c));
    let end = quotes.find(|&(at, c)| c != "\"" || text[at + 1..].starts_with(hashes));
    end.filter(|&(_, c)| c == "\"")
        .map(|(at, _)| at + 1 + hashes.len())
}

/// Length of a line without the ` {` at its end, which is not part of an unclosed text.
fn without_brace(line: &str) -> usize {
    match line.trim_end().strip_suffix('{') {
        Some(text) if text.ends_with(is_space) => text.trim_end().len(),
        _ => line.len(),
    }
}
