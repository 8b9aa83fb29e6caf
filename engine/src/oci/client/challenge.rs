//! What a registry says when it wants to know who asks: the header `WWW-Authenticate`, of RFC 9110. Asks nobody.

/// One way to prove who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// `basic`, `bearer` or something else, in lower case.
    pub(super) scheme: String,
    params: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(n, _)| n == name)?;
        Some(&found.1)
    }

    /// All challenges of a header. What is malformed ends it.
    pub(super) fn all(header: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut rest = header;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
            if end == 0 {
                return found;
            }
            let (word, after) = rest.split_at(end);
            let Some(value) = after.trim_start().strip_prefix('=') else {
                let scheme = word.to_ascii_lowercase();
                found.push(Self {
                    scheme,
                    params: Vec::new(),
                });
                rest = after;
                continue;
            };
            let Some((value, after)) = value_of(value.trim_start()) else {
                return found;
            };
            if let Some(last) = found.last_mut() {
                last.params.push((word.to_ascii_lowercase(), value));
            }
            rest = after;
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// A word or a quoted text, and what comes after it.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_challenges_of_a_header_are_read() {
        let all = |text: &str| {
            let all = Challenge::all(text).into_iter();
            let shown = |c: Challenge| {
                let params = c.params.iter().map(|(n, v)| format!(" {n}<{v}>"));
                c.scheme.clone() + &params.collect::<String>()
            };
            all.map(shown).collect::<Vec<_>>()
        };
        assert_eq!(
            all(
                r#"Bearer realm="https://a/t",service="r", scope="repository:x:pull,push",Basic realm=plain"#
            ),
            [
                "bearer realm<https://a/t> service<r> scope<repository:x:pull,push>",
                "basic realm<plain>"
            ]
        );
        assert_eq!(
            all(r#"Negotiate, Basic realm="a \"b\"""#),
            ["negotiate", r#"basic realm<a "b">"#]
        );
        assert_eq!(all(r#"Basic realm="never ends"#), ["basic"]);
        assert_eq!(all("=,;"), Vec::<String>::new());
    }
}
