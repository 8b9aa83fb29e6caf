//! In which repository of a registry a content was seen, so that another repository there need not be sent it again.
//!
//! Nothing here is believed: a registry that does not have it any more, or does not give it to whoever asks, is sent the
//! content. What cannot be read or written is as if it were not known. Asks nobody.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Digest, Layout};
use crate::oci::place::check_repository;

/// How long a registry's file may become before its older half goes, in bytes.
const LONGEST: u64 = 1 << 20;

/// What is known of the registries that were sent something.
#[derive(Debug, Clone)]
pub struct Known {
    folder: PathBuf,
}

impl Known {
    /// What is kept in a folder, which is made when something is written.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
        }
    }

    /// What is kept beside the images that `pipe` made.
    #[must_use]
    pub fn beside(images: &Layout) -> Self {
        Self::at(&images.root().join(".known"))
    }

    /// The repositories in which the contents of a registry were seen last.
    #[must_use]
    pub fn of(&self, host: &str) -> BTreeMap<Digest, String> {
        let text = fs::read(self.file(host)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().filter_map(line).collect()
    }

    /// Remembers that a repository has these contents.
    pub fn add(&self, host: &str, repository: &str, contents: &[Digest]) {
        if !contents.is_empty() {
            // Whoever cannot write it sends it again.
            let _ = self.write(host, repository, contents);
        }
    }

    fn write(&self, host: &str, repository: &str, contents: &[Digest]) -> io::Result<()> {
        let lines: String = contents
            .iter()
            .map(|digest| format!("{digest} {repository}\n"))
            .collect();
        fs::create_dir_all(&self.folder)?;
        let path = self.file(host);
        // One write, so that two at once do not mix.
        let mut file = File::options().create(true).append(true).open(&path)?;
        file.write_all(lines.as_bytes())?;
        if file.metadata()?.len() <= LONGEST {
            return Ok(());
        }
        let text = fs::read_to_string(&path)?;
        let rest = &text[text.len() / 2..];
        let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        let mut shorter = tempfile::NamedTempFile::new_in(&self.folder)?;
        shorter.write_all(rest.as_bytes())?;
        shorter.persist(path)?;
        Ok(())
    }

    /// Hosts that share a file are asked for what the other one has, and say no.
    fn file(&self, host: &str) -> PathBuf {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let name = host.replace(|c| !plain(c), "_");
        self.folder.join(format!("at-{name}"))
    }
}

fn line(text: &str) -> Option<(Digest, String)> {
    let (digest, repository) = text.split_once(' ')?;
    check_repository(repository).ok()?;
    Some((digest.parse().ok()?, repository.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_repository_counts_and_what_makes_no_sense_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known::at(&folder.path().join("known"));
        let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
        assert_eq!(known.of("ghcr.io"), BTreeMap::new());
        known.add("ghcr.io", "acme/a", &[one, two]);
        known.add("ghcr.io", "acme/b", &[one]);
        known.add("localhost:5000", "c", &[one]);
        let file = known.file("ghcr.io");
        let torn = format!(
            "{}sha256:12 x\n{two} ../x\n{two}",
            fs::read_to_string(&file).unwrap()
        );
        fs::write(&file, torn).unwrap();
        let expected = [(one, "acme/b".to_owned()), (two, "acme/a".to_owned())];
        assert_eq!(known.of("ghcr.io"), BTreeMap::from(expected));
        assert_eq!(known.of("localhost:5000").len(), 1);
    }

    #[test]
    fn what_is_known_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let known = Known::at(folder.path());
        let digests: Vec<Digest> = (0..20_000_u32)
            .map(|n| Digest::of(&n.to_le_bytes()))
            .collect();
        known.add("ghcr.io", "acme/app", &digests);
        assert!(fs::metadata(known.file("ghcr.io")).unwrap().len() < LONGEST);
        let left = known.of("ghcr.io");
        assert!(left.contains_key(digests.last().unwrap()) && !left.contains_key(&digests[0]));
    }
}
