//! Empty files for the outputs of steps. What a step left empty is the next one's file: making a file costs as much as a
//! short command. Knows no steps.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::process;

/// The files of a run that nobody uses now, and how many were made.
#[derive(Clone, Default)]
pub(super) struct Spares(Arc<Mutex<(Vec<Spare>, usize)>>);

/// An empty file that one step at a time has.
pub(super) struct Spare {
    path: PathBuf,
    made: Traits,
}

/// What must be the same for a file to be as it was made.
#[derive(PartialEq)]
struct Traits {
    file: (u64, u64),
    mode: u32,
    owner: (u32, u32),
    names: u64,
    length: u64,
}

impl Spares {
    /// An empty file in this folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn file(&self, folder: &Path) -> io::Result<Spare> {
        let number = {
            let (spares, made) = &mut *self.list();
            if let Some(spare) = spares.pop() {
                return Ok(spare);
            }
            *made += 1;
            *made
        };
        fresh(folder.join(format!("output-{number}")))
    }

    /// Takes an untouched file back if nobody is left who could write to it: whoever outlives a step is an orphan.
    pub(super) fn take_back(&self, spare: Spare) {
        if process::has_no_orphans() {
            self.list().0.push(spare);
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, (Vec<Spare>, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spare {
    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is as it was made.
    pub(super) fn is_untouched(&self) -> bool {
        std::fs::symlink_metadata(&self.path)
            .is_ok_and(|now| now.is_file() && Traits::of(&now) == self.made)
    }
}

impl Traits {
    fn of(data: &Metadata) -> Self {
        Self {
            file: (data.dev(), data.ino()),
            mode: data.mode(),
            owner: (data.uid(), data.gid()),
            names: data.nlink(),
            length: data.len(),
        }
    }
}

/// Makes an empty file. What another job has put in its place, a pipe that nobody reads perhaps, goes.
fn fresh(path: PathBuf) -> io::Result<Spare> {
    let _ = std::fs::remove_file(&path);
    let file = File::options().write(true).create_new(true).open(&path)?;
    let made = Traits::of(&file.metadata()?);
    Ok(Spare { path, made })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_linked_or_replaced_is_not_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let spoilt: [&dyn Fn(&Path); 5] = [
            &|path| std::fs::write(path, "a=b\n").unwrap(),
            &|path| std::fs::hard_link(path, at("link")).unwrap(),
            &|path| {
                std::fs::rename(path, at("away")).unwrap();
                std::os::unix::fs::symlink(at("away"), path).unwrap();
            },
            &|path| {
                let mut rights = std::fs::metadata(path).unwrap().permissions();
                rights.set_readonly(true);
                std::fs::set_permissions(path, rights).unwrap();
            },
            &|path| std::fs::remove_file(path).unwrap(),
        ];
        for spoil in spoilt {
            let spare = Spares::default().file(dir.path()).unwrap();
            assert!(spare.is_untouched());
            spoil(spare.path());
            assert!(!spare.is_untouched());
        }
    }

    #[test]
    fn each_step_has_a_file_of_its_own_until_it_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let spares = Spares::default();
        let file = || spares.file(dir.path()).unwrap();
        let (one, two) = (file(), file());
        assert_ne!(one.path(), two.path());
        let path = one.path().to_owned();
        spares.list().0.push(one);
        assert_eq!(file().path(), path);
        assert_eq!(std::fs::read(path).unwrap(), b"");
    }
}
