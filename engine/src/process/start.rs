//! Why a process could not be started, in words, with what to do about it.
//! The operating system's number alone does not say which file is missing; this finds out.

use super::Spec;
use rustix::io::Errno;
use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Why a process never ran.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    /// No such program.
    #[error("program {program} was not found")]
    ProgramNotFound {
        /// As it was asked for.
        program: String,
    },
    /// The file is there but cannot be executed.
    #[error("program {program} cannot be executed")]
    NotExecutable {
        /// As it was asked for.
        program: String,
    },
    /// A script whose `#!` line names a program that is not there.
    #[error("the interpreter of {program} was not found")]
    InterpreterNotFound {
        /// As it was asked for.
        program: String,
    },
    /// No such directory to start it in.
    #[error("working directory {} does not exist", cwd.display())]
    CwdMissing {
        /// The directory.
        cwd: PathBuf,
    },
    /// This process or the machine has too many files open.
    #[error("too many open files")]
    TooManyOpenFiles,
    /// The arguments and the environment together are beyond the system's limit.
    #[error("the argument list and the environment are too long: {bytes} bytes")]
    ArgumentListTooLong {
        /// Their size together.
        bytes: usize,
    },
    /// Anything else.
    #[error("program {program} could not be started: {reason}")]
    Other {
        /// As it was asked for.
        program: String,
        /// What the operating system says.
        reason: String,
    },
}

impl StartError {
    /// What a person can do about it: one sentence.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ProgramNotFound { .. } => {
                "Install it, or add its directory to the PATH that the step gets."
            }
            Self::NotExecutable { .. } => {
                "Make it executable (chmod +x), and check that it is built for this machine or \
                 begins with a #! line."
            }
            Self::InterpreterNotFound { .. } => {
                "Install the program that its #! line names, and check that the line does not end \
                 in a carriage return."
            }
            Self::CwdMissing { .. } => {
                "Create the directory in an earlier step, or correct its path."
            }
            Self::TooManyOpenFiles => "Raise the limit (ulimit -n), or run fewer jobs at once.",
            Self::ArgumentListTooLong { .. } => {
                "Pass long values in files instead of arguments or environment variables."
            }
            Self::Other { .. } => "Check the machine's limits on processes and memory.",
        }
    }

    pub(super) fn find(error: &io::Error, spec: &Spec) -> Self {
        let program = spec.program.to_string_lossy().into_owned();
        let missing_cwd = || !spec.cwd.is_dir();
        let cwd = spec.cwd.clone();
        match Errno::from_io_error(error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) if missing_cwd() => {
                Self::CwdMissing { cwd }
            }
            Some(Errno::NOENT | Errno::NOTDIR) => match found(spec) {
                Some(_) => Self::InterpreterNotFound { program },
                None => Self::ProgramNotFound { program },
            },
            Some(Errno::ACCESS | Errno::PERM | Errno::NOEXEC | Errno::ISDIR) => {
                Self::NotExecutable { program }
            }
            Some(Errno::MFILE | Errno::NFILE) => Self::TooManyOpenFiles,
            Some(Errno::TOOBIG) => Self::ArgumentListTooLong { bytes: size(spec) },
            _ => Self::Other {
                program,
                reason: error.to_string(),
            },
        }
    }
}

/// The path of the program where that is certain before the start: it was asked for by name, and no relative entry of
/// the `PATH` comes first.
pub(super) fn path(spec: &Spec) -> Option<PathBuf> {
    if spec.program.as_bytes().contains(&b'/') {
        return None;
    }
    directories(spec)
        .take_while(|directory| directory.is_absolute())
        .map(|directory| directory.join(&spec.program))
        .find(|path| is_program(path))
}

/// Whether there is a program of this name that can be executed.
#[must_use]
pub fn is_there(spec: &Spec) -> bool {
    found(spec).is_some()
}

/// The executable file that the program's name stands for.
fn found(spec: &Spec) -> Option<PathBuf> {
    if spec.program.as_bytes().contains(&b'/') {
        return Some(spec.cwd.join(&spec.program)).filter(|path| is_program(path));
    }
    directories(spec)
        .map(|directory| spec.cwd.join(directory).join(&spec.program))
        .find(|path| is_program(path))
}

/// The first program of this name in a search path that can be executed.
#[must_use]
pub fn in_path(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|directory| directory.join(name))
        .find(|path| is_program(path))
}

fn directories(spec: &Spec) -> impl Iterator<Item = PathBuf> {
    let path = spec.env.iter().rfind(|(name, _)| name == "PATH");
    path.into_iter()
        .flat_map(|(_, path)| std::env::split_paths(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn size(spec: &Spec) -> usize {
    let length = |text: &OsStr| text.len() + 1;
    let args: usize = spec.args.iter().map(|arg| length(arg)).sum();
    let env: usize = spec
        .env
        .iter()
        .map(|(name, value)| length(name) + length(value))
        .sum();
    length(&spec.program) + args + env
}
