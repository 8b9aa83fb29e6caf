//! Files of `pipe`'s own folders, which several `pipe` and others may change at once: opened without following links, put in
//! place whole, locked, marked as used. Knows neither a store nor a layout.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Renames a file to a name of such a folder, whatever has that name: a folder there is none of ours.
///
/// # Errors
/// When it cannot be renamed.
pub(crate) fn take_place(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::IsADirectory => {
            fs::remove_dir_all(to)?;
            fs::rename(from, to)
        }
        renamed => renamed,
    }
}

/// A file in a folder that has no name yet: half the work of one that is renamed when it is whole, and nothing is left of
/// it where this process ends before.
///
/// # Errors
/// When the file system has no such files, or there is no such folder.
#[cfg(target_os = "linux")]
pub(crate) fn nameless(at: impl AsFd, folder: &Path, mode: u32) -> io::Result<File> {
    use rustix::fs::{Mode, openat};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(openat(at, folder, flags, Mode::from_raw_mode(mode))?.into())
}

/// Gives such a file its name.
///
/// # Errors
/// When there is something of this name.
#[cfg(target_os = "linux")]
pub(crate) fn name(file: &File, folder: impl AsFd, name: &OsStr) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(
        CWD,
        nameless,
        folder,
        name,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn nameless(_: impl AsFd, _: &Path, _: u32) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn name(_: &File, _: impl AsFd, _: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Says of a file of such a folder that it was used now.
///
/// # Errors
/// When it is not there, or not ours.
pub(crate) fn touch(path: &Path) -> io::Result<()> {
    open_file(path)?.set_modified(SystemTime::now())
}

/// Opens a file of such a folder to read. What is something else, a link or a pipe that nobody writes to, is none.
///
/// # Errors
/// When it is not there, or cannot be read.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    let opened = File::options()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path);
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Err(e) if Errno::from_io_error(&e) != Some(Errno::LOOP) => Err(e),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// All bytes of a file of such a folder, if there are at most `limit`.
///
/// # Errors
/// When it is not there, cannot be read, or is longer.
pub(crate) fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Opens a file to lock it. Whatever else has its name goes.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn lock_file(path: &Path) -> io::Result<File> {
    let open = || {
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
            .open(path)
    };
    open().or_else(|_| {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path)?,
            Ok(_) => fs::remove_file(path)?,
            Err(e) => return Err(e),
        }
        open()
    })
}

/// Makes folders that only their owner can enter.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}
