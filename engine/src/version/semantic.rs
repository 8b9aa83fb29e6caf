//! Semantic versions from commits: what the commits since the last tag say of the change decides the next number.
//!
//! The rules are those of Conventional Commits 1.0.0 (<https://www.conventionalcommits.org/en/v1.0.0/>) and Semantic
//! Versioning 2.0.0: a `!` or a `BREAKING CHANGE` footer raises the major number whatever the type, `feat` the minor
//! one, `fix`, `perf` and `revert` the patch. The first version is 0.1.0.

use semver::Version;

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: String,
    /// Its whole message.
    pub message: String,
}

/// What a change asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bump {
    /// Nothing that a user would notice.
    None,
    /// Something works better.
    Patch,
    /// Something new.
    Minor,
    /// Something that worked works differently.
    Major,
}

impl Bump {
    /// What one commit asks for. A message that follows no convention asks for nothing.
    #[must_use]
    pub fn of(message: &str) -> Self {
        match git_conventional::Commit::parse(message.trim()) {
            Err(_) => Self::None,
            Ok(commit) if commit.breaking() => Self::Major,
            Ok(commit) => match commit.type_().as_str().to_ascii_lowercase().as_str() {
                "feat" => Self::Minor,
                "fix" | "perf" | "revert" => Self::Patch,
                _ => Self::None,
            },
        }
    }
}

/// The newest release among these tags, with its tag. Pre-releases do not count.
#[must_use]
pub fn latest<'t>(tags: &[&'t str]) -> Option<(Version, &'t str)> {
    let released = |tag: &&'t str| {
        let version = Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()?;
        version.pre.is_empty().then_some((version, *tag))
    };
    tags.iter().filter_map(released).max()
}

/// The version after `latest` with these commits; none where nothing in them asks for one.
#[must_use]
pub fn next(latest: Option<&Version>, commits: &[Commit]) -> Option<Version> {
    let bump = commits.iter().map(|c| Bump::of(&c.message)).max()?;
    let Some(last) = latest else {
        return (bump != Bump::None).then(|| Version::new(0, 1, 0));
    };
    match bump {
        Bump::None => None,
        Bump::Patch => Some(Version::new(last.major, last.minor, last.patch + 1)),
        Bump::Minor => Some(Version::new(last.major, last.minor + 1, 0)),
        Bump::Major => Some(Version::new(last.major + 1, 0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(last: Option<&str>, messages: &[&str]) -> Option<String> {
        let last = last.map(|l| Version::parse(l).unwrap());
        let commit = |message: &&str| Commit {
            id: String::new(),
            message: (*message).to_owned(),
        };
        let commits: Vec<Commit> = messages.iter().map(commit).collect();
        next(last.as_ref(), &commits).map(|v| v.to_string())
    }

    #[test]
    fn the_largest_change_decides() {
        let is = |messages: &[&str], wanted: &str| {
            assert_eq!(
                after(Some("1.2.3"), messages).as_deref(),
                Some(wanted),
                "{messages:?}"
            );
        };
        is(&["fix: a"], "1.2.4");
        is(&["perf(db): a", "docs: b"], "1.2.4");
        is(&["fix: a", "feat(api): b", "chore: c"], "1.3.0");
        is(&["feat: a", "refactor!: b"], "2.0.0");
        is(&["fix: a\n\nBREAKING CHANGE: b"], "2.0.0");
        is(&["FEAT: a"], "1.3.0");
    }

    #[test]
    fn without_a_change_for_users_there_is_no_version() {
        assert_eq!(after(Some("1.2.3"), &[]), None);
        assert_eq!(
            after(Some("1.2.3"), &["docs: a", "Merge branch 'b'", "wip"]),
            None
        );
        assert_eq!(after(None, &["chore: a"]), None);
        assert_eq!(after(None, &["fix: a"]).as_deref(), Some("0.1.0"));
    }

    #[test]
    fn the_latest_release_is_the_highest_and_no_pre_release() {
        let latest = |tags: &[&str]| latest(tags).map(|(v, t)| (v.to_string(), t.to_owned()));
        let tags = ["v1.9.0", "v1.10.0", "v2.0.0-rc.1", "nightly", "1.2"];
        assert_eq!(
            latest(&tags),
            Some(("1.10.0".to_owned(), "v1.10.0".to_owned()))
        );
        assert_eq!(latest(&["nightly"]), None);
    }
}
