//! The checks of a commit at its forge: whether those that count have passed. Asks nobody.

use super::Unmet;

/// A check of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// How it is.
    pub is: Is,
    /// Where a person can look at it.
    pub address: String,
}

/// How a check is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Is {
    /// It has passed, or had nothing to do.
    Good,
    /// It has not ended.
    Running,
    /// It ended otherwise: the forge's word.
    Bad(String),
}

/// Reads lines of status, conclusion, address and name, with tabs between them.
#[must_use]
pub fn read(text: &str) -> Vec<Check> {
    let one = |line: &str| {
        let mut parts = line.splitn(4, '\t');
        let (status, conclusion) = (parts.next()?, parts.next()?);
        let (address, name) = (parts.next()?, parts.next()?);
        let is = match (status, conclusion) {
            ("completed", "success" | "neutral" | "skipped") => Is::Good,
            ("completed", other) => Is::Bad(other.to_owned()),
            _ => Is::Running,
        };
        Some(Check {
            name: name.to_owned(),
            is,
            address: address.to_owned(),
        })
    };
    text.lines().filter_map(one).collect()
}

/// What is missing of the checks of a commit: of the one with this name, or of all.
#[must_use]
pub fn missing(
    name: Option<&str>,
    commit: &str,
    checks: Option<&Result<Vec<Check>, String>>,
) -> Option<Unmet> {
    let short: String = commit.chars().take(7).collect();
    let unmet = |what: String, help: &str| {
        Some(Unmet {
            what,
            help: help.to_owned(),
            waits: false,
        })
    };
    let checks = match checks {
        Some(Ok(checks)) => checks,
        Some(Err(why)) => {
            return unmet(
                format!("nobody knows the checks of {short}: {why}"),
                "they are GitHub's, and `gh` reads them: is it installed, and may it? or put the checks into stages of this pipeline",
            );
        }
        None => {
            return unmet(
                format!("nobody asked for the checks of {short}"),
                "report it",
            );
        }
    };
    let counts = |check: &&Check| name.is_none_or(|n| check.name == n);
    let counting: Vec<&Check> = checks.iter().filter(counts).collect();
    let named = |list: &[&Check]| {
        let names: Vec<&str> = list.iter().map(|c| c.name.as_str()).collect();
        names.join(", ")
    };
    if counting.is_empty() {
        let (which, help) = match (name, checks.is_empty()) {
            (Some(name), false) => (
                format!("no check `{name}`"),
                format!("it has {}", named(&checks.iter().collect::<Vec<_>>())),
            ),
            (Some(name), true) => (
                format!("no check `{name}`"),
                "push the commit and wait for its checks".to_owned(),
            ),
            (None, _) => (
                "no check".to_owned(),
                "push the commit and wait for its checks".to_owned(),
            ),
        };
        return unmet(format!("GitHub has {which} of {short}"), &help);
    }
    let those = |is: &dyn Fn(&Is) -> bool| -> Vec<&Check> {
        counting.iter().copied().filter(|c| is(&c.is)).collect()
    };
    let bad = those(&|is| matches!(is, Is::Bad(_)));
    let running = those(&|is| *is == Is::Running);
    match (bad.as_slice(), running.as_slice()) {
        ([], []) => None,
        ([], running) => unmet(
            format!("checks of {short} have not ended: {}", named(running)),
            "try again when they have",
        ),
        (bad, _) => unmet(
            format!("checks of {short} did not pass: {}", named(bad)),
            "mend what they found, or run them again at GitHub",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "completed\tsuccess\thttps://x/1\tunit\ncompleted\tskipped\t\tdocs\nin_progress\t\t\tlong one\ncompleted\ttimed_out\t\tlint\npending\tpending\t\told\ncompleted\tfailure\t\tolder\n\nno line of it\n";

    fn said(name: Option<&str>, text: &str) -> Option<String> {
        let checks = Ok(read(text));
        missing(name, "0123456789", Some(&checks)).map(|u| u.what)
    }

    #[test]
    fn all_must_have_passed_or_the_named_one() {
        assert_eq!(
            said(None, TEXT).as_deref(),
            Some("checks of 0123456 did not pass: lint, older")
        );
        assert_eq!(said(Some("unit"), TEXT), None);
        assert_eq!(said(Some("docs"), TEXT), None);
        assert_eq!(
            said(Some("long one"), TEXT).as_deref(),
            Some("checks of 0123456 have not ended: long one")
        );
        assert_eq!(
            said(Some("old"), TEXT).as_deref(),
            Some("checks of 0123456 have not ended: old")
        );
        assert_eq!(
            said(Some("e2e"), TEXT).as_deref(),
            Some("GitHub has no check `e2e` of 0123456")
        );
        assert_eq!(said(None, "completed\tsuccess\t\tunit\n"), None);
    }

    #[test]
    fn a_commit_without_checks_has_not_passed_them() {
        assert_eq!(
            said(None, "").as_deref(),
            Some("GitHub has no check of 0123456")
        );
        let unknown = missing(None, "0123456789", Some(&Err("no login".to_owned())));
        assert_eq!(
            unknown.map(|u| u.what).as_deref(),
            Some("nobody knows the checks of 0123456: no login")
        );
    }
}
