//! Makes lines inert that an outer CI would take for its own commands (`::set-env::`,
//! `##vso[…]`, `##teamcity[…]`, `section_start:`): a job's output is no way to command the runner.
//! Works on single, sanitised lines; does not know who wrote them.
//!
//! A visible backslash breaks the token. Blanks would not do: runners trim them. Neither would
//! characters without width: .NET compares text by the rules of a language, which skip them. For
//! the same reason they are skipped here when a token is looked for.

use std::borrow::Cow;

/// The CI in which the engine itself runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OuterCi {
    /// None that reads commands from the output.
    #[default]
    None,
    /// GitHub Actions, and the forges that imitate it.
    GitHub,
    /// Azure Pipelines.
    Azure,
    /// GitLab CI.
    GitLab,
    /// TeamCity.
    TeamCity,
}

impl OuterCi {
    /// The tokens that begin a command, in lower case.
    fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            // Looked for anywhere in the line, as the runner does.
            Self::GitHub => &["##["],
            Self::Azure => &["##vso[", "##["],
            Self::GitLab => &["section_start:", "section_end:"],
            Self::TeamCity => &["##teamcity["],
        }
    }
}

/// The line, with a backslash in every token that the outer CI would act upon.
pub fn neutralise(outer: OuterCi, line: &str) -> Cow<'_, str> {
    if outer == OuterCi::None {
        return Cow::Borrowed(line);
    }
    if line.chars().any(is_invisible) {
        let plain: String = line.chars().filter(|&c| !is_invisible(c)).collect();
        return match disarmed(outer, &plain) {
            Some(inert) => Cow::Owned(inert),
            None => Cow::Borrowed(line),
        };
    }
    disarmed(outer, line).map_or(Cow::Borrowed(line), Cow::Owned)
}

fn disarmed(outer: OuterCi, line: &str) -> Option<String> {
    let mut breaks: Vec<usize> = Vec::new();
    if outer == OuterCi::GitHub {
        let blank = line.len() - line.trim_start().len();
        if line[blank..].starts_with("::") {
            breaks.push(blank);
        }
    }
    for token in outer.tokens() {
        breaks.extend(occurrences(line, token).map(|at| at + 1));
    }
    if breaks.is_empty() {
        return None;
    }
    breaks.sort_unstable();
    breaks.dedup();
    let mut out = String::with_capacity(line.len() + breaks.len());
    let mut from = 0;
    for at in breaks {
        out.push_str(&line[from..at]);
        out.push('\\');
        from = at;
    }
    out.push_str(&line[from..]);
    Some(out)
}

fn occurrences<'a>(line: &'a str, token: &'a str) -> impl Iterator<Item = usize> {
    let (line, token) = (line.as_bytes(), token.as_bytes());
    let first = token[0];
    (0..line.len()).filter(move |&at| {
        line[at] == first
            && line
                .get(at..at + token.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(token))
    })
}

/// Characters that a comparison by language may skip.
fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return false;
    }
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_outer_ci_are_broken() {
        for (outer, line, inert) in [
            (
                OuterCi::GitHub,
                "::set-env name=A::b",
                "\\::set-env name=A::b",
            ),
            (OuterCi::GitHub, " \t\u{a0}::x::", " \t\u{a0}\\::x::"),
            (
                OuterCi::GitHub,
                "a ##[add-mask]b ##[c]",
                "a #\\#[add-mask]b #\\#[c]",
            ),
            (OuterCi::GitHub, "###[x]", "##\\#[x]"),
            (OuterCi::Azure, "a ##VSO[task.x]", "a #\\#VSO[task.x]"),
            (OuterCi::TeamCity, "##teamcity[x]", "#\\#teamcity[x]"),
            (OuterCi::GitLab, "section_start:1:a", "s\\ection_start:1:a"),
            (OuterCi::GitLab, "x section_end:1:a", "x s\\ection_end:1:a"),
        ] {
            assert_eq!(neutralise(outer, line), inert, "{outer:?} {line:?}");
        }
    }

    #[test]
    fn characters_without_width_do_not_hide_a_command() {
        assert_eq!(
            neutralise(OuterCi::GitHub, "\u{200b}:\u{ad}:x::"),
            "\\::x::"
        );
        assert_eq!(neutralise(OuterCi::Azure, "##v\u{200d}so[x]"), "#\\#vso[x]");
    }

    #[test]
    fn other_lines_are_untouched() {
        for outer in [
            OuterCi::None,
            OuterCi::GitHub,
            OuterCi::Azure,
            OuterCi::GitLab,
            OuterCi::TeamCity,
        ] {
            for line in [
                "",
                "std::fmt",
                "## heading",
                "a 👨\u{200d}👩\u{200d}👧 b",
                "# [x]",
            ] {
                assert_eq!(neutralise(outer, line), line);
            }
        }
        assert_eq!(neutralise(OuterCi::GitLab, "::x"), "::x");
        assert_eq!(neutralise(OuterCi::None, "##[x]"), "##[x]");
    }

    #[test]
    fn an_inert_line_stays_inert() {
        for line in ["::::", "####[[", "##[##[", "\u{200b}##\u{200b}["] {
            let once = neutralise(OuterCi::GitHub, line).into_owned();
            assert_eq!(neutralise(OuterCi::GitHub, &once), once);
        }
    }
}
