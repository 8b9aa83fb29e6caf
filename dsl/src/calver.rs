//! Calendar patterns such as `vYY.MM.DD.i`: their parts, and what they are filled with. The names of the parts are those
//! of <https://calver.org>; months and days always have two digits. Knows no tags.

/// A calendar pattern that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    ShortYear,
    Month,
    Day,
    Counter,
}

const NAMES: [(&str, Part); 4] = [
    ("YYYY", Part::Year),
    ("YY", Part::ShortYear),
    ("MM", Part::Month),
    ("DD", Part::Day),
];

impl Pattern {
    /// Reads a pattern. An `i` that is no part of a word counts the releases of a day.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence part.
    pub fn read(text: &str) -> Result<Self, String> {
        let pattern = Self(parts(text));
        let counters = pattern.0.iter().filter(|p| **p == Part::Counter).count();
        let is_date = |p: &Part| !matches!(p, Part::Text(_) | Part::Counter);
        if !pattern.0.iter().any(is_date) {
            return Err("has no part of a date".to_owned());
        }
        if counters > 1 {
            return Err("counts twice".to_owned());
        }
        let (before, after) = pattern.around("2026-01-31");
        let counter = if counters == 1 { "1" } else { "" };
        let example = format!("{before}{counter}{after}");
        match is_sound(&example) {
            true => Ok(pattern),
            false => Err(format!("makes `{example}`, which is no version")),
        }
    }

    /// Whether it counts the releases of a day.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.0.contains(&Part::Counter)
    }

    /// Whether this may be a version by this pattern, of any day.
    #[must_use]
    pub fn fits(&self, version: &str) -> bool {
        let mut rest = version;
        for part in &self.0 {
            let digits = match part {
                Part::Text(text) => {
                    let Some(after) = rest.strip_prefix(text.as_str()) else {
                        return false;
                    };
                    rest = after;
                    continue;
                }
                Part::Year => 4,
                Part::ShortYear | Part::Month | Part::Day => 2,
                Part::Counter => rest.bytes().take_while(u8::is_ascii_digit).count(),
            };
            match rest.split_at_checked(digits) {
                Some((number, after))
                    if digits > 0 && number.bytes().all(|b| b.is_ascii_digit()) =>
                {
                    rest = after;
                }
                _ => return false,
            }
        }
        rest.is_empty()
    }

    /// What stands before and after the counter on a day (`2026-01-31`); all of it before, where nothing is counted.
    #[must_use]
    pub fn around(&self, day: &str) -> (String, String) {
        let at = self.0.iter().position(|p| *p == Part::Counter);
        let at = at.unwrap_or(self.0.len());
        let after = self.0.get(at + 1..).unwrap_or_default();
        (filled(&self.0[..at], day), filled(after, day))
    }
}

/// Whether a text can be a version: up to 128 letters, digits and `. - _ +`, which begin with a letter or a digit.
#[must_use]
pub fn is_sound(version: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    version.len() <= 128
        && version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version.chars().all(plain)
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut at, mut text) = (0, 0);
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    while let Some(c) = pattern[at..].chars().next() {
        let rest = &pattern[at..];
        let before = pattern[..at].chars().next_back();
        let named = NAMES.iter().find(|(name, _)| rest.starts_with(name));
        let counts = c == 'i' && !is_letter(before) && !is_letter(rest[1..].chars().next());
        let found = match named {
            Some((name, part)) => Some((name.len(), part.clone())),
            None => counts.then_some((1, Part::Counter)),
        };
        match found {
            Some((length, part)) => {
                if text < at {
                    parts.push(Part::Text(pattern[text..at].to_owned()));
                }
                parts.push(part);
                at += length;
                text = at;
            }
            None => at += c.len_utf8(),
        }
    }
    if text < at {
        parts.push(Part::Text(pattern[text..at].to_owned()));
    }
    parts
}

fn filled(parts: &[Part], day: &str) -> String {
    let mut date = day.split('-');
    let mut next = || date.next().unwrap_or_default();
    let (year, month, day) = (next(), next(), next());
    parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text,
            Part::Year => year,
            Part::ShortYear => year.get(2..).unwrap_or_default(),
            Part::Month => month,
            Part::Day => day,
            Part::Counter => "",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_filled_with_the_day() {
        let around = |pattern: &str| {
            let (before, after) = Pattern::read(pattern).unwrap().around("2026-01-05");
            format!("{before}|{after}")
        };
        assert_eq!(around("vYY.MM.DD.i"), "v26.01.05.|");
        assert_eq!(around("release-YYYYMMDD"), "release-20260105|");
        assert_eq!(around("i-YY"), "|-26");
        assert_eq!(around("wiki.YY.MM"), "wiki.26.01|");
    }

    #[test]
    fn a_version_is_known_by_its_pattern() {
        let pattern = Pattern::read("vYY.MM.DD.i").unwrap();
        for good in ["v26.01.05.1", "v99.12.31.120"] {
            assert!(pattern.fits(good), "{good}");
        }
        for bad in [
            "v26.01.05.",
            "v26.01.05",
            "v26.1.5.1",
            "26.01.05.1",
            "v26.01.05.1x",
            "v1.2.3",
            "",
            "v26.0é",
        ] {
            assert!(!pattern.fits(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_used_says_why() {
        let fault = |pattern: &str| Pattern::read(pattern).unwrap_err();
        assert_eq!(fault("v1.i"), "has no part of a date");
        assert_eq!(fault("YY.i.i"), "counts twice");
        assert_eq!(fault("YY MM"), "makes `26 01`, which is no version");
        assert_eq!(fault("é.YY"), "makes `é.26`, which is no version");
    }

    #[test]
    fn what_is_no_version_is_told_from_one() {
        for good in ["1", "1.2.3-rc.1+build5", "v26.11.25.1", "2_0"] {
            assert!(is_sound(good), "{good}");
        }
        for bad in [
            "",
            "-1",
            ".1",
            "1 2",
            "1\n2",
            "root:x:0:0",
            "1/2",
            "${x}",
            "é",
        ] {
            assert!(!is_sound(bad), "{bad}");
        }
    }
}
