//! What may be the name of a branch, a tag, a ref or a commit: git's rules (`check-ref-format`),
//! decided without git. Unaware of whether such a ref exists.

/// No ref is longer: git keeps loose refs as files, whose names end at 255 bytes a part.
const LONGEST: usize = 1024;

/// Says why `name` cannot be the name of a branch or a tag, if it cannot.
///
/// Quotes, `$`, `;` and `#` are legal to git and therefore to us. Only `@` is not, which git
/// takes for a branch and reads as HEAD.
pub fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > LONGEST {
        return Err("it is longer than 1024 bytes");
    }
    if name.starts_with('-') {
        return Err("it begins with `-`");
    }
    if name == "@" || name == "HEAD" {
        return Err("git keeps this name for itself");
    }
    characters(name)?;
    if name.contains("..") {
        return Err("it contains `..`");
    }
    if name.contains("@{") {
        return Err("it contains `@{`");
    }
    if name.ends_with('.') {
        return Err("it ends with `.`");
    }
    name.split('/').try_for_each(part)
}

/// Says why `name` cannot be a full ref such as `refs/heads/main`, if it cannot.
pub fn check_full(name: &str) -> Result<(), &'static str> {
    if !name.starts_with("refs/") {
        return Err("it does not begin with `refs/`");
    }
    check(name)
}

/// Says why `text` cannot name a commit to compare with, if it cannot: an id, a branch, a tag,
/// or one of these with `~2` or `^` behind it.
pub fn check_revision(text: &str) -> Result<(), &'static str> {
    let (name, steps) = text.split_at(text.find(['^', '~']).unwrap_or(text.len()));
    if !steps
        .chars()
        .all(|c| c == '^' || c == '~' || c.is_ascii_digit())
    {
        return Err("only `^` and `~` with numbers may follow the name");
    }
    if matches!(name, "HEAD" | "@") {
        Ok(())
    } else {
        check(name)
    }
}

/// Whether `text` is a whole commit id, of either of git's hashes, and not the id of nothing.
pub fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text) && !is_zero(text)
}

/// Whether `text` can be the beginning of a commit id.
pub fn is_short_commit(text: &str) -> bool {
    (4..=64).contains(&text.len()) && is_hex(text) && !is_zero(text)
}

/// Whether `text` is what CIs write for 'there was no commit before'.
pub fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn characters(name: &str) -> Result<(), &'static str> {
    match name
        .chars()
        .find(|&c| c.is_control() || " ~^:?*[\\".contains(c))
    {
        None => Ok(()),
        Some(' ') => Err("it contains a space"),
        Some(c) if c.is_control() => Err("it contains a control character"),
        Some(_) => Err("it contains one of `~ ^ : ? * [ \\`"),
    }
}

fn part(part: &str) -> Result<(), &'static str> {
    if part.is_empty() {
        return Err("it begins or ends with `/`, or contains `//`");
    }
    if part.starts_with('.') {
        return Err("a part of it begins with `.`");
    }
    if part.ends_with(".lock") {
        return Err("a part of it ends with `.lock`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::real_git;

    const LEGAL: &[&str] = &[
        "main",
        "feature/x",
        "x\";touch${IFS}PWNED;#",
        "$(rm${IFS}-rf)`id`",
        "a'b",
        "äöü/日本",
        "v1.2.3",
        "a@b",
        "{}",
        "%s",
        "refs/heads/main",
        "a-",
        "&&",
    ];
    const ILLEGAL: &[&str] = &[
        "",
        "-",
        "--upload-pack=touch",
        "HEAD",
        "a b",
        "a..b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.",
        "a.lock",
        "a.lock/b",
        "a@{b",
        "a\tb",
        "a\nb",
        "a\u{7f}",
        "\u{1b}[31m",
    ];

    #[test]
    fn our_rules_for_names_are_those_of_git() {
        for name in LEGAL.iter().chain(ILLEGAL) {
            let git = real_git(["check-ref-format", "--branch", name]);
            assert_eq!(check(name).is_ok(), git, "{name:?}");
        }
        assert!(LEGAL.iter().all(|name| check(name).is_ok()));
        assert!(
            ILLEGAL
                .iter()
                .chain(&["@"])
                .all(|name| check(name).is_err())
        );
    }

    #[test]
    fn a_revision_is_a_name_and_steps_back_from_it() {
        for good in [
            "HEAD",
            "HEAD~3",
            "@",
            "main^",
            "origin/main",
            "v1.0",
            "deadbeef",
            "12345678",
        ] {
            assert_eq!(check_revision(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "^",
            "~1",
            "--all",
            "main..x",
            "HEAD:secret",
            "a b",
            "@{-1}",
            "main~x",
            "^main",
        ] {
            assert!(check_revision(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_id_of_nothing_is_no_commit() {
        let zeros = "0".repeat(40);
        assert_eq!((is_commit(&zeros), is_zero(&zeros)), (false, true));
        assert!(is_commit(&"a1".repeat(20)) && is_commit(&"a1".repeat(32)));
        assert!(!is_commit("a1b2") && is_short_commit("a1b2") && !is_short_commit("xyz0"));
    }
}
