//! What the file system says of a file: enough to notice any change of it.

use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, RawMode};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What the file system says of a file, a folder or a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The length in bytes.
    pub size: u64,
    /// When its content was last changed, in seconds and nanoseconds since 1970. A program can set it.
    pub modified: (i64, i64),
    /// When anything of it was last changed. No program can set it.
    pub changed: (i64, i64),
    /// Its number on the device.
    pub inode: u64,
    /// The device.
    pub device: u64,
    /// Kind and permissions, as `st_mode` has them.
    pub mode: u32,
}

impl Seen {
    /// Of a file's metadata.
    #[must_use]
    pub fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            inode: meta.ino(),
            device: meta.dev(),
            mode: meta.mode(),
        }
    }

    /// What is at a path, a link as such; none where nothing is. The path is relative to `folder`, or absolute.
    ///
    /// # Errors
    /// When it is there and cannot be looked at.
    pub fn at(folder: impl AsFd, path: &Path) -> io::Result<Option<Self>> {
        let stat = match rustix::fs::statat(folder, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        #[allow(
            clippy::unnecessary_cast,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            reason = "some systems have other types for the same"
        )]
        Ok(Some(Self {
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            inode: stat.st_ino as u64,
            device: stat.st_dev as u64,
            mode: stat.st_mode as u32,
        }))
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> FileType {
        #[allow(clippy::unnecessary_cast, reason = "not everywhere is it a u32")]
        FileType::from_raw_mode(self.mode as RawMode)
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind() == FileType::Directory
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    /// Whether somebody may execute it.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// The permissions, without the bits that let a program run as somebody else.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        self.mode & 0o777
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn both_ways_of_looking_see_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        let opened = fs::File::open(dir.path()).unwrap();
        for name in ["file", "link", "folder"] {
            let full = dir.path().join(name);
            let meta = Seen::of(&fs::symlink_metadata(&full).unwrap());
            assert_eq!(Seen::at(&opened, Path::new(name)).unwrap(), Some(meta));
            assert_eq!(Seen::at(CWD, &full).unwrap(), Some(meta));
            let kinds = [meta.is_file(), meta.is_symlink(), meta.is_dir()];
            assert_eq!(kinds, ["file", "link", "folder"].map(|kind| kind == name));
        }
        let seen = Seen::at(&opened, Path::new("file")).unwrap().unwrap();
        assert!(seen.is_executable());
        assert_eq!((seen.size, seen.permissions()), (4, 0o751));
    }

    #[test]
    fn what_is_not_there_is_nothing_and_no_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let opened = fs::File::open(dir.path()).unwrap();
        for path in ["missing", "file/below"] {
            assert_eq!(Seen::at(&opened, Path::new(path)).unwrap(), None);
        }
        let long = "x".repeat(5000);
        assert!(Seen::at(&opened, Path::new(&long)).is_err());
    }
}
