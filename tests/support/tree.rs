//! What is in a folder, as lines that can be compared: kinds, permission bits, contents, where links lead. And files
//! changed behind the back of whoever looks at their size and time only. Knows nothing of pipelines.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

/// One line for what is at a path and for everything beneath it, sorted; none where nothing is.
pub fn tree(root: &Path, at: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![at.to_owned()];
    while let Some(at) = open.pop() {
        let path = root.join(&at);
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = meta.mode() & 0o7777;
        let kind = meta.file_type();
        if meta.is_dir() {
            lines.push(format!("{at}/ {mode:o}"));
            let entries = fs::read_dir(&path).unwrap().flatten();
            open.extend(entries.map(|e| {
                let name = e.file_name().to_string_lossy().into_owned();
                if at == "." {
                    name
                } else {
                    format!("{at}/{name}")
                }
            }));
        } else if meta.is_symlink() {
            lines.push(format!(
                "{at} -> {}",
                fs::read_link(&path).unwrap().display()
            ));
        } else if meta.is_file() {
            let bytes = fs::read(&path).unwrap();
            lines.push(format!(
                "{at} {mode:o} {:?}",
                String::from_utf8_lossy(&bytes)
            ));
        } else if kind.is_fifo() {
            lines.push(format!("{at} is a pipe"));
        } else {
            lines.push(format!("{at} is something else"));
        }
    }
    lines.sort();
    lines
}

/// Sets the permission bits.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets the modification time, in seconds since 1970.
pub fn set_modified(path: &Path, seconds: i64) {
    put_back(path, (seconds, 0));
}

/// Writes other bytes of the same length, and puts the modification time back.
pub fn rewrite(path: &Path, text: &str) {
    let before = fs::symlink_metadata(path).unwrap();
    assert_eq!(before.len(), text.len() as u64, "the same length");
    fs::write(path, text).unwrap();
    put_back(path, (before.mtime(), before.mtime_nsec()));
    let after = fs::symlink_metadata(path).unwrap();
    let seen = |m: &fs::Metadata| (m.len(), m.mtime(), m.mtime_nsec(), m.ino(), m.mode());
    assert_eq!(seen(&before), seen(&after));
}

fn put_back(path: &Path, modified: (i64, i64)) {
    let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(modified),
        last_modification: time(modified),
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Every file beneath a folder, sorted.
pub fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}
