//! Names: of registries, of repositories in them, of tags; of distribution-spec 1.1. Asks nobody.

use std::path::{Path, PathBuf};

/// The longest tag.
const LONGEST_TAG: usize = 128;
/// The longest repository, with its registry.
const LONGEST_NAME: usize = 255;

/// What is no name, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoName(String);

impl NoName {
    pub(in crate::oci) fn host(host: &str) -> Self {
        Self(format!("`{host}` is no host of a registry"))
    }
}

/// Where a registry is: the part before the names of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefix {
    /// A folder with a layout for each repository; how it was written.
    Folder(PathBuf, String),
    /// A server's host and port, and the beginning of all names there.
    Host(String, String),
}

impl Prefix {
    /// Reads a registry's prefix: a folder where it begins with `./`, `../`, `/` or `dir:`, relative to `root`; else a host
    /// and perhaps a path.
    ///
    /// # Errors
    /// When it is neither.
    pub fn read(text: &str, root: &Path) -> Result<Self, NoName> {
        let folder = text.strip_prefix("dir:").or_else(|| {
            let is_path = ["./", "../", "/"].iter().any(|p| text.starts_with(p));
            (is_path || matches!(text, "." | "..")).then_some(text)
        });
        if let Some(folder) = folder {
            let shown = text.trim_end_matches('/').to_owned();
            return Ok(Self::Folder(root.join(folder), shown));
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let is_host = host == "localhost" || host.contains(['.', ':']);
        if !is_host || host.starts_with(['-', ':']) {
            return Err(NoName(format!(
                "`{text}` has no host in front; a folder is written `\"./{text}\"`"
            )));
        }
        let path = path.trim_end_matches('/');
        if !path.is_empty() {
            check_repository(path)?;
        }
        Ok(Self::Host(host.to_owned(), path.to_owned()))
    }

    /// The name of an image's repository in it, beneath its host or folder.
    ///
    /// # Errors
    /// When registries take no such name.
    pub fn repository(&self, image: &str) -> Result<String, NoName> {
        let name = match self {
            Self::Host(_, path) if !path.is_empty() => format!("{path}/{image}"),
            _ => image.to_owned(),
        };
        check_repository(&name)?;
        Ok(name)
    }
}

/// Whether registries take a name for a repository.
///
/// # Errors
/// Why not.
pub fn check_repository(name: &str) -> Result<(), NoName> {
    let part = |part: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let ends = part.starts_with(inner) && part.ends_with(inner);
        let marks = part.split(inner).filter(|m| !m.is_empty());
        let mut marks = marks.map(|m| matches!(m, "." | "_" | "__") || m.chars().all(|c| c == '-'));
        ends && marks.all(|m| m)
    };
    if name.len() <= LONGEST_NAME && name.split('/').all(part) {
        return Ok(());
    }
    let lower = name.to_ascii_lowercase();
    let better = match lower != name && lower.split('/').all(part) {
        true => format!("; `{lower}` would do"),
        false => String::new(),
    };
    Err(NoName(format!(
        "`{name}` is no name for a repository: lower-case letters, digits, and single `.`, `_` or `-` between them{better}"
    )))
}

/// Whether registries take a name for a tag.
///
/// # Errors
/// Why not.
pub fn check_tag(tag: &str) -> Result<(), NoName> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = tag.starts_with(word)
        && tag.len() <= LONGEST_TAG
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    match fits {
        true => Ok(()),
        false => Err(NoName(format!(
            "`{tag}` is no tag: at most {LONGEST_TAG} letters, digits, `_`, `.` and `-`, and neither of the last two in front; \
             `${{git.branch.slug}}` makes one of a branch"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_folder_or_a_host() {
        let read = |text: &str| Prefix::read(text, Path::new("/p"));
        let folder = |path: &str, text: &str| Ok(Prefix::Folder(path.into(), text.into()));
        let host = |host: &str, path: &str| Ok(Prefix::Host(host.into(), path.into()));
        assert_eq!(read("./registry/"), folder("/p/./registry/", "./registry"));
        assert_eq!(read("dir:out"), folder("/p/out", "dir:out"));
        assert_eq!(read("/srv/images"), folder("/srv/images", "/srv/images"));
        assert_eq!(read("ghcr.io/acme/"), host("ghcr.io", "acme"));
        assert_eq!(read("127.0.0.1:5000"), host("127.0.0.1:5000", ""));
        let wrong = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(
            wrong("registry"),
            "`registry` has no host in front; a folder is written `\"./registry\"`"
        );
        assert_eq!(
            wrong("ghcr.io/Acme"),
            "`Acme` is no name for a repository: lower-case letters, digits, and single `.`, `_` or `-` between them; `acme` would do"
        );
        let acme = read("ghcr.io/acme").unwrap();
        assert_eq!(acme.repository("web/app").unwrap(), "acme/web/app");
    }

    #[test]
    fn names_of_repositories_and_tags_are_those_that_registries_take() {
        let good = ["a", "a/b", "a-b", "a--b", "a_b", "a__b", "a.b", "0/1"];
        assert!(good.iter().all(|n| check_repository(n).is_ok()));
        let bad = [
            "", "A", "/a", "a/", "a//b", "-a", "a-", "a..b", "a___b", "a b", "a/../b", "é", "a._b",
        ];
        assert!(!bad.iter().any(|n| check_repository(n).is_ok()));
        let good = ["latest", "v1.2", "_x", "A-b", &"x".repeat(128)];
        assert!(good.iter().all(|n| check_tag(n).is_ok()));
        let bad = ["", ".x", "-x", "a/b", "a:b", "a b", "é", &"x".repeat(129)];
        assert!(!bad.iter().any(|n| check_tag(n).is_ok()));
    }
}
