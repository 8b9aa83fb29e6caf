//! Why a key was what it was: what was known before the run, and files that are named one by one. While both are the
//! same, so is the key, and need not be found out again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Digest;
use super::index::Index;
use crate::files::{Glance, no_links_before};

/// What a key rests on, and the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    circumstances: Digest,
    key: Digest,
    /// By path; nothing where no file was.
    files: Vec<(String, Option<Content>)>,
}

/// What counts of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    digest: Digest,
    executable: bool,
}

impl Basis {
    /// Of a key that was found out a moment ago from these files with this glance, in circumstances that decide all the
    /// rest of it. `None` where that does not hold for certain.
    #[must_use]
    pub fn of(
        circumstances: Digest,
        key: Digest,
        files: &[&str],
        root: &Path,
        index: &Index,
        glance: &Glance<'_>,
    ) -> Option<Self> {
        let content = |path: &&str| {
            // Whoever looks anew may see what the key does not know of.
            let is_known = glance.has(Path::new(path));
            let content = is_known.then(|| content(path, root, index, glance))??;
            Some(((*path).to_owned(), content))
        };
        let files = files.iter().map(content).collect::<Option<_>>()?;
        Some(Self {
            circumstances,
            key,
            files,
        })
    }

    /// The key, if everything that it rests on is the same.
    #[must_use]
    pub fn key(
        &self,
        circumstances: &Digest,
        root: &Path,
        index: &Index,
        glance: &Glance<'_>,
    ) -> Option<Digest> {
        let is_same = |(path, then): &(String, Option<Content>)| {
            content(path, root, index, glance).is_some_and(|now| now == *then)
        };
        let holds = self.circumstances == *circumstances && self.files.iter().all(is_same);
        holds.then_some(self.key)
    }
}

/// What counts of the file at a path, as far as the index knows it; `None` where more would have to be looked at.
fn content(path: &str, root: &Path, index: &Index, glance: &Glance<'_>) -> Option<Option<Content>> {
    let relative = Path::new(path);
    no_links_before(root, relative, Some(glance)).ok()?;
    let Some(seen) = Glance::look(Some(glance), root, relative).ok()? else {
        return Some(None);
    };
    let digest = seen.is_file().then(|| index.content(path, &seen))??;
    Some(Some(Content {
        digest,
        executable: seen.is_executable(),
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::cache::snapshot;
    use crate::files::{Folders, Patterns};
    use crate::seen::Seen;

    struct Checkout {
        dir: tempfile::TempDir,
        index: Index,
    }

    impl Checkout {
        /// With files that were last changed some time ago.
        fn with(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let checkout = Self {
                dir,
                index: Index::blank(),
            };
            files.iter().for_each(|f| checkout.write(f, f));
            checkout
        }

        fn root(&self) -> &Path {
            self.dir.path()
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// What the index does not know yet is read once more than a tick after it was written.
        fn read(&self, path: &str) {
            for _ in 0..100 {
                let patterns = Patterns::new([path]).unwrap();
                let nothing = Patterns::default();
                snapshot::inputs(self.root(), &patterns, &nothing, &self.index, None).unwrap();
                let meta = fs::symlink_metadata(self.root().join(path));
                if meta.is_err()
                    || self
                        .index
                        .content(path, &Seen::of(&meta.unwrap()))
                        .is_some()
                {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            panic!("{path} was not learnt at {:?}", SystemTime::now());
        }

        fn basis(&self, paths: &[&str]) -> Option<Basis> {
            let (here, key) = (Digest::of(b"here"), Digest::of(b"key"));
            let folders = Folders::default();
            let glance = Glance::among(&folders);
            for path in paths {
                let _ = Glance::look(Some(&glance), self.root(), Path::new(path));
            }
            Basis::of(here, key, paths, self.root(), &self.index, &glance)
        }

        fn holds(&self, basis: &Basis, circumstances: &[u8]) -> bool {
            let circumstances = Digest::of(circumstances);
            let folders = Folders::default();
            let glance = Glance::among(&folders);
            let key = basis.key(&circumstances, self.root(), &self.index, &glance);
            key == Some(Digest::of(b"key"))
        }
    }

    #[test]
    fn a_key_holds_while_all_it_rests_on_is_the_same() {
        let checkout = Checkout::with(&["a", "deep/b"]);
        let paths = ["a", "deep/b", "missing"];
        paths.iter().for_each(|p| checkout.read(p));
        let basis = checkout.basis(&paths).unwrap();
        assert!(checkout.holds(&basis, b"here"));
        assert!(!checkout.holds(&basis, b"elsewhere"));

        // Rewritten with the same bytes: as soon as that is known.
        checkout.write("a", "a");
        checkout.read("a");
        assert!(checkout.holds(&basis, b"here"));

        let a = checkout.root().join("a");
        fs::set_permissions(&a, fs::Permissions::from_mode(0o755)).unwrap();
        checkout.read("a");
        assert!(!checkout.holds(&basis, b"here"), "it can be executed now");
        fs::set_permissions(&a, fs::Permissions::from_mode(0o644)).unwrap();
        checkout.read("a");
        assert!(checkout.holds(&basis, b"here"));

        checkout.write("a", "A");
        assert!(
            !checkout.holds(&basis, b"here"),
            "nobody knows what it holds"
        );
        checkout.read("a");
        assert!(!checkout.holds(&basis, b"here"), "it holds something else");
        checkout.write("a", "a");
        checkout.read("a");
        assert!(checkout.holds(&basis, b"here"), "it is as before");

        checkout.write("missing", "no more");
        checkout.read("missing");
        assert!(!checkout.holds(&basis, b"here"));
        fs::remove_file(checkout.root().join("missing")).unwrap();
        assert!(checkout.holds(&basis, b"here"));
        fs::remove_file(a).unwrap();
        assert!(!checkout.holds(&basis, b"here"), "it is gone");
    }

    #[test]
    fn a_link_or_a_folder_is_looked_at_more_closely() {
        let checkout = Checkout::with(&["a", "deep/b"]);
        ["a", "deep/b"].iter().for_each(|p| checkout.read(p));
        let basis = checkout.basis(&["a", "deep/b"]).unwrap();
        symlink("a", checkout.root().join("link")).unwrap();
        assert_eq!(checkout.basis(&["a", "link"]), None);
        assert_eq!(checkout.basis(&["a", "deep"]), None);
        fs::rename(checkout.root().join("deep"), checkout.root().join("moved")).unwrap();
        symlink("moved", checkout.root().join("deep")).unwrap();
        assert!(!checkout.holds(&basis, b"here"), "what is behind a link");
    }

    #[test]
    fn what_the_key_may_not_have_seen_is_no_basis() {
        let checkout = Checkout::with(&["a"]);
        checkout.read("a");
        let folders = Folders::default();
        let glance = Glance::among(&folders);
        let (here, key) = (Digest::of(b"here"), Digest::of(b"key"));
        let basis = || Basis::of(here, key, &["a"], checkout.root(), &checkout.index, &glance);
        assert_eq!(basis(), None);
        Glance::look(Some(&glance), checkout.root(), Path::new("a")).unwrap();
        assert!(basis().is_some());
        // Another step has read it meanwhile, as it is now.
        checkout.write("a", "b");
        checkout.read("a");
        assert_eq!(basis(), None);
    }
}
