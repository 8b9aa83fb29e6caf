//! What the files of a checkout's pipeline mean, as this very program last read them: kept beside their texts, so that a
//! file that nobody changed need not be understood again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dsl::{Files, Known, Loaded};
use serde::{Deserialize, Serialize};

use super::{Store, checkout, sealed};
use crate::own_files;
use crate::seen::Seen;

#[derive(Serialize, Deserialize)]
struct Definition<K> {
    /// The file of the program that read it.
    program: Seen,
    known: K,
}

/// What the pipeline at `path` means, if it was kept in this cache folder by this program, and says what it said.
#[must_use]
pub fn known(folder: &Path, path: &Path, files: &dyn Files) -> Option<Loaded> {
    let definition: Definition<Known> = sealed::read(&place(folder, path)?)?;
    let name = path.file_name()?.to_str()?;
    (definition.program == program().ok()?)
        .then(|| definition.known.again(files, name))
        .flatten()
}

/// Keeps what the pipeline at `path` means.
///
/// # Errors
/// When it cannot be written.
pub fn keep(folder: &Path, path: &Path, known: &Known) -> io::Result<()> {
    let Some(place) = place(folder, path) else {
        return Ok(());
    };
    own_files::private_folder(place.parent().unwrap_or(folder))?;
    let program = program()?;
    let definition = Definition { program, known };
    sealed::write(&Store::beneath(folder), &place, &definition)
}

fn place(folder: &Path, path: &Path) -> Option<PathBuf> {
    Some(checkout(folder, path.parent()?).join("definition"))
}

/// Another build of this version is another program.
pub(crate) fn program() -> io::Result<Seen> {
    Ok(Seen::of(&fs::metadata(std::env::current_exe()?)?))
}
