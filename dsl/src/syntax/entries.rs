//! What stands in the line of a node: its name, its values and properties. Knows nothing of blocks.

use super::lexer::{Bad, Kind, Token};
use super::outline::{Header, Reader};
use super::words::{self, Role, wording};
use crate::codes::syntax as codes;
use crate::diagnostic::Code;

impl Reader<'_, '_> {
    pub(super) fn name(&mut self, header: &mut Header) {
        if self.kind() == Some(Kind::OpenParen) {
            let what = wording(
                "a node has no type annotation",
                "stands before a name",
                "annotate a value instead: `key (file)\"Cargo.lock\"`",
            );
            self.report(&codes::ANNOTATION, what);
            header.usable = false;
            self.annotation(header);
            self.skip_spaces();
        }
        let Some(&token) = self.token() else { return };
        match token.kind {
            kind if kind.is_text() || matches!(kind, Kind::Bad(_)) => {
                let before = self.findings.len();
                header.usable &= words::check(&token, Role::Name, self.findings);
                if token.kind == Kind::Word
                    && self.findings.text()[token.start()..].starts_with("- ")
                {
                    self.findings.drop_repeated(header.place.findings, before);
                }
                self.at += 1;
            }
            Kind::Number | Kind::Keyword => {
                let shown = self.findings.show(&token);
                let what = wording(
                    format!("a line begins with a name, not with `{shown}`"),
                    "a value",
                    "write the name of the node before it",
                );
                self.once(header, &codes::VALUE_AS_NAME, &token, what);
                self.at += 1;
            }
            Kind::Equals => return self.no_value(header, self.at, false),
            _ => header.usable = false,
        }
        self.equals_after_name(header, &token);
    }

    /// `name = value` at the start of a line.
    fn equals_after_name(&mut self, header: &mut Header, name: &Token) {
        let next = self.tokens[self.at..].iter().take(2);
        let equals = next.take_while(|t| matches!(t.kind, Kind::Space | Kind::Equals));
        let Some(equals) = equals.last().filter(|t| t.kind == Kind::Equals).copied() else {
            return;
        };
        let shown = self.findings.show(name);
        let what = wording(
            format!("there is no `=` after `{shown}`"),
            "begins no property",
            format!("write `{shown}`, a space and the value"),
        );
        self.once(header, &codes::EQUALS, &equals, what);
        self.skip(|k| matches!(k, Kind::Space | Kind::Equals));
        header.usable = false;
    }

    /// Reports a code once for each node: `a, b, c` is one mistake.
    pub(super) fn once(
        &mut self,
        header: &mut Header,
        code: Code,
        token: &Token,
        what: words::Wording,
    ) {
        if !self.findings.has_since(header.findings, code) {
            self.findings.add(code, token, what);
        }
        header.usable = false;
    }

    pub(super) fn entry(&mut self, header: &mut Header) {
        let annotated = self.kind() == Some(Kind::OpenParen);
        let first = self.at;
        if annotated {
            self.annotation(header);
            self.skip_spaces();
        }
        let Some(&token) = self.token().filter(|t| t.kind.is_value()) else {
            return self.no_value(header, first, annotated);
        };
        self.at += 1;
        let next = self.kind();
        let after = self.tokens.get(self.at + 1).map(|t| t.kind);
        let is_key =
            next == Some(Kind::Equals) || next == Some(Kind::Space) && after == Some(Kind::Equals);
        if !is_key {
            return self.value(header, &token, Role::Value);
        }
        if annotated {
            let what = wording(
                "an annotation stands before the value, not before its name",
                "annotates a name",
                "write it behind the `=`",
            );
            let paren = self.tokens[first];
            self.once(header, &codes::ANNOTATION, &paren, what);
        }
        self.property(header, &token);
    }

    fn property(&mut self, header: &mut Header, key: &Token) {
        let shown = self.findings.show(key);
        if matches!(key.kind, Kind::Number | Kind::Keyword) {
            let what = wording(
                format!("`{shown}` is not the name of a property"),
                "a value",
                "a name begins with a letter",
            );
            self.once(header, &codes::EQUALS, key, what);
        } else {
            self.value(header, key, Role::Key);
        }
        let mut spaced = self.kind() == Some(Kind::Space);
        self.skip(|k| k == Kind::Space);
        let equals = self.tokens[self.at];
        self.at += 1;
        spaced |= self.kind() == Some(Kind::Space);
        self.skip(|k| k == Kind::Space);
        if self.kind() == Some(Kind::OpenParen) {
            self.annotation(header);
            self.skip_spaces();
        }
        let Some(&value) = self.token().filter(|t| t.kind.is_value()) else {
            let what = wording(
                format!("`{shown}=` has no value"),
                "nothing behind it",
                "write the value directly behind the `=`",
            );
            return self.once(header, &codes::EQUALS, &equals, what);
        };
        self.at += 1;
        if spaced {
            let right = self.findings.show(&value);
            let what = wording(
                "no spaces stand round the `=` of a property",
                "spaces round it",
                format!("write `{shown}={right}`"),
            );
            self.once(header, &codes::EQUALS, &equals, what);
        }
        self.value(header, &value, Role::Value);
    }

    fn value(&mut self, header: &mut Header, token: &Token, role: Role) {
        let before = self.findings.len();
        header.usable = words::check(token, role, self.findings);
        self.findings.drop_repeated(header.findings, before);
    }

    /// What stands where a value was expected; `first` is the annotation, if there is one.
    fn no_value(&mut self, header: &mut Header, first: usize, annotated: bool) {
        let Some(&token) = self.tokens.get(first) else {
            return;
        };
        if annotated {
            let what = wording(
                "an annotation stands before a value",
                "nothing to annotate",
                "write the value behind it, or quotes round the parentheses",
            );
            return self.once(header, &codes::ANNOTATION, &token, what);
        }
        let what = match token.kind {
            Kind::Equals => wording(
                "this `=` has no name before it",
                "belongs to no property",
                "write `name=value` without spaces",
            ),
            _ => words::unexpected(&self.findings.show(&token)),
        };
        let code = match token.kind {
            Kind::Equals => &codes::EQUALS,
            _ => &codes::UNEXPECTED,
        };
        self.once(header, code, &token, what);
        self.skip(|k| k == token.kind);
    }

    /// Reads `(name)`.
    fn annotation(&mut self, header: &mut Header) {
        let open = self.tokens[self.at];
        self.at += 1;
        self.skip_spaces();
        let named = self.token().copied().filter(|t| t.kind.is_text());
        if let Some(name) = named {
            words::check(&name, Role::Key, self.findings);
            self.at += 1;
            self.skip_spaces();
        }
        if self.kind() == Some(Kind::CloseParen) && named.is_some() {
            self.at += 1;
            return;
        }
        let what = wording(
            "parentheses hold the type of a value",
            "not a type",
            "write a type as in `(file)\"Cargo.lock\"`, or quotes round the whole text",
        );
        self.once(header, &codes::ANNOTATION, &open, what);
        let mut rest = self.tokens[self.at..].iter();
        let ends = |t: &Token| matches!(t.kind, Kind::CloseParen | Kind::Newline | Kind::Semicolon);
        let end = rest.position(ends).map(|n| self.at + n);
        if let Some(end) = end.filter(|&e| self.tokens[e].kind == Kind::CloseParen) {
            self.at = end + 1;
        }
    }

    /// A value directly behind another one; true if it was no value and is read now.
    pub(super) fn glued(&mut self, header: &mut Header) -> bool {
        let Some(&token) = self.token() else {
            return false;
        };
        let before = self.tokens[self.at - 1];
        let shown = self.findings.show(&token);
        let old_raw = matches!(token.kind, Kind::Text | Kind::RawText | Kind::Lines)
            && self.findings.show(&before) == "r";
        if old_raw {
            let what = wording("a raw text has no `r`", "this was KDL 1", "write `#\"…\"#`");
            self.once(header, &codes::OLD_RAW_TEXT, &before, what);
        } else if shown.starts_with(',') {
            self.once(header, &codes::COMMA, &token, words::comma(&shown));
        } else if shown == ":" {
            self.once(header, &codes::COLON, &token, words::colon("", Role::Value));
        } else if token.kind == Kind::OpenParen {
            let what = wording(
                "this `(` follows a value directly",
                "annotates no value",
                "write a space before it, or quotes round the whole text",
            );
            self.once(header, &codes::ANNOTATION, &token, what);
        } else if token.kind.is_value() && token.kind != Kind::Bad(Bad::Char) {
            let what = wording(
                format!("a space is missing before `{shown}`"),
                "directly behind another value",
                "write a space between them, or one pair of quotes round both",
            );
            self.once(header, &codes::MISSING_SPACE, &token, what);
        }
        let read = matches!(shown.as_str(), "," | ":");
        self.at += usize::from(read);
        read
    }
}
