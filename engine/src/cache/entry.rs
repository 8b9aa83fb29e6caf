//! A file, link or folder of a result, or among the inputs of a job: what of it counts. Reads nothing.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::Digest;

/// Something at a path beneath the pipeline's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The path, relative, with `/`.
    pub path: String,
    /// What is there.
    pub is: Is,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Is {
    /// A regular file.
    File {
        /// Its content.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// Its permission bits, at most `0o777`.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it leads, as written.
        to: String,
    },
    /// A folder; it need not have anything in it.
    Folder {
        /// Its permission bits, at most `0o777`.
        mode: u32,
    },
}

impl Entry {
    /// Whether its path is relative and without `..`. A record may come from anywhere.
    #[must_use]
    pub fn is_tidy(&self) -> bool {
        let path = Path::new(&self.path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        !self.path.is_empty() && !self.path.contains('\0') && path.components().all(plain)
    }

    /// Whether it can be part of a result: it is tidy, leads to nowhere else, and is no part of git's or pipe's own.
    #[must_use]
    pub fn stays_inside(&self) -> bool {
        let path = Path::new(&self.path);
        let own = |name: &str| path.components().any(|c| c.as_os_str() == name);
        let link = match &self.is {
            Is::Link { to } => !crate::files::leads_out(path, Path::new(to)) && !to.contains('\0'),
            _ => true,
        };
        self.is_tidy() && link && !own(".git") && !own(".pipe")
    }
}

/// A total of bytes; folders and links count nothing.
#[must_use]
pub fn bytes(entries: &[Entry]) -> u64 {
    let size = |entry: &Entry| match entry.is {
        Is::File { size, .. } => size,
        _ => 0,
    };
    entries.iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_would_write_elsewhere_is_told_from_one_that_does_not() {
        let folder = |path: &str| Entry {
            path: path.into(),
            is: Is::Folder { mode: 0o755 },
        };
        let link = |path: &str, to: &str| Entry {
            path: path.into(),
            is: Is::Link { to: to.into() },
        };
        for good in [
            folder("a"),
            folder("a/b"),
            link("a/b", "c"),
            link("a/b", "../c"),
        ] {
            assert!(good.stays_inside(), "{good:?}");
        }
        for bad in [
            folder(""),
            folder("/etc"),
            folder("../a"),
            folder("a/../../b"),
            folder(".git/hooks"),
            folder("a/.pipe"),
            folder("a\0b"),
            link("a/b", "/etc/passwd"),
            link("a/b", "../../c"),
        ] {
            assert!(!bad.stays_inside(), "{bad:?}");
        }
    }
}
