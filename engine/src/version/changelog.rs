//! What changed, for people: the section of a release, made of its commits, and where it goes in a changelog.

use std::fmt::Write;

use super::semantic::Commit;

/// Types of commits that users hear of, with their headings.
const SHOWN: [(&str, &str); 4] = [
    ("feat", "Features"),
    ("fix", "Fixes"),
    ("perf", "Performance"),
    ("revert", "Reverts"),
];

/// The section of a release, in Markdown, without its heading. Empty where no commit says something to users.
#[must_use]
pub fn notes(commits: &[Commit]) -> String {
    let mut groups: Vec<(&str, Vec<String>)> = vec![("Breaking changes", Vec::new())];
    groups.extend(SHOWN.map(|(_, heading)| (heading, Vec::new())));
    for commit in commits {
        let Ok(parsed) = git_conventional::Commit::parse(commit.message.trim()) else {
            continue;
        };
        let kind = parsed.type_().as_str().to_ascii_lowercase();
        let shown = SHOWN.iter().position(|(name, _)| *name == kind);
        let at = match (parsed.breaking(), shown) {
            (true, _) => 0,
            (false, Some(at)) => at + 1,
            (false, None) => continue,
        };
        let scope = parsed
            .scope()
            .map(|s| format!("**{}:** ", plain(s.as_str())));
        let what = match parsed.breaking_description().filter(|_| at == 0) {
            Some(text) => text,
            None => parsed.description(),
        };
        let id: String = commit.id.chars().take(7).collect();
        groups[at].1.push(format!(
            "- {}{} ({id})",
            scope.unwrap_or_default(),
            plain(what)
        ));
    }
    let mut text = String::new();
    for (heading, lines) in groups.iter().filter(|(_, lines)| !lines.is_empty()) {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{gap}### {heading}\n\n{}\n", lines.join("\n"));
    }
    text
}

/// A changelog with a new section: before the first one that is there, after its title and introduction.
#[must_use]
pub fn with(changelog: &str, tag: &str, day: &str, notes: &str) -> String {
    let section = format!("## {tag} ({day})\n\n{notes}");
    if changelog.trim().is_empty() {
        return format!("# Changelog\n\n{section}");
    }
    let mut at = 0;
    let mut first = None;
    for line in changelog.split_inclusive('\n') {
        // What is not released yet stays on top.
        let unreleased = line.to_ascii_lowercase().contains("unreleased");
        if line.starts_with("## ") && !unreleased {
            first = Some(at);
            break;
        }
        at += line.len();
    }
    match first {
        Some(at) => format!("{}{section}\n{}", &changelog[..at], &changelog[at..]),
        None => format!("{}\n\n{section}", changelog.trim_end()),
    }
}

/// One line of text that stays text: no control characters, no HTML, nobody is mentioned.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = String::with_capacity(line.len());
    for c in line.chars().filter(|c| !c.is_control()) {
        match c {
            '<' => plain.push_str("&lt;"),
            // A zero-width space keeps forges from telling somebody.
            '@' => plain.push_str("@\u{200b}"),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(id: &str, message: &str) -> Commit {
        Commit {
            id: id.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn notes_are_grouped_by_what_they_mean_to_users() {
        let commits = [
            commit("aaaaaaaaaa", "feat(api): pages of results"),
            commit(
                "bbbbbbbbbb",
                "fix: no more <b>crash</b> for @someone\n\nDetails.",
            ),
            commit("cccccccccc", "chore: tidy"),
            commit(
                "dddddddddd",
                "refactor!: other names\n\nBREAKING CHANGE: `a` is called `b`",
            ),
            commit("eeeeeeeeee", "Merge branch 'x'"),
        ];
        assert_eq!(
            notes(&commits),
            "### Breaking changes\n\n- `a` is called `b` (ddddddd)\n\n### Features\n\n- **api:** pages of results \
             (aaaaaaa)\n\n### Fixes\n\n- no more &lt;b>crash&lt;/b> for @\u{200b}someone (bbbbbbb)\n"
        );
        assert_eq!(notes(&commits[2..3]), "");
    }

    #[test]
    fn a_new_section_goes_before_the_last_one() {
        let day = "2026-11-25";
        let empty = with("", "v1.0.0", day, "- a\n");
        assert_eq!(empty, "# Changelog\n\n## v1.0.0 (2026-11-25)\n\n- a\n");
        assert_eq!(
            with(&empty, "v1.1.0", day, "- b\n"),
            "# Changelog\n\n## v1.1.0 (2026-11-25)\n\n- b\n\n## v1.0.0 (2026-11-25)\n\n- a\n"
        );
        let unreleased = "# Changes\n\n## Unreleased\n\n- soon\n\n## v1\n\n- a\n";
        assert_eq!(
            with(unreleased, "v2", day, "- b\n"),
            "# Changes\n\n## Unreleased\n\n- soon\n\n## v2 (2026-11-25)\n\n- b\n\n## v1\n\n- a\n"
        );
        assert_eq!(
            with("# Changes\n", "v1", day, "- a\n"),
            "# Changes\n\n## v1 (2026-11-25)\n\n- a\n"
        );
    }
}
