//! The log of one step on disk: what it wrote, masked, otherwise as it was. Bounded; says what is missing.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

/// How many bytes of one step's output are kept.
pub const LOG_LIMIT: u64 = 256 << 20;

/// A step's log. Trouble with the disk ends the log, never the step.
#[derive(Debug)]
pub struct LogFile {
    file: Option<File>,
    path: PathBuf,
    written: u64,
    missing: u64,
    trouble: Option<String>,
}

impl LogFile {
    /// A log that is created with its first byte, so that a silent step leaves no file.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self {
            file: None,
            path,
            written: 0,
            missing: 0,
            trouble: None,
        }
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let room = usize::try_from(LOG_LIMIT.saturating_sub(self.written)).unwrap_or(usize::MAX);
        let fits = if self.trouble.is_some() {
            0
        } else {
            bytes.len().min(room)
        };
        self.missing += (bytes.len() - fits) as u64;
        if fits == 0 {
            return;
        }
        match self.append(&bytes[..fits]) {
            Ok(()) => self.written += fits as u64,
            Err(e) => {
                self.missing += fits as u64;
                self.trouble = Some(e.to_string());
            }
        }
    }

    /// Ends the log with a line that says how much is missing. Gives what went wrong, if something did.
    pub fn finish(mut self) -> Option<String> {
        if self.missing > 0 {
            let note = format!("\n[pipe: {} more bytes were not kept]\n", self.missing);
            // A full disk may still have room for a line, and if not, the warning says it.
            let _ = self.append(note.as_bytes());
        }
        let path = self.path.display();
        self.trouble.map(|why| {
            format!(
                "the log {path} is not complete: {why}; {} bytes are missing",
                self.missing
            )
        })
    }

    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    /// The file, in a folder that the first log of a run makes.
    fn open(&self) -> std::io::Result<File> {
        let open = || {
            File::options()
                .append(true)
                .create(true)
                // A job that reaches this folder could put a link or a pipe there.
                .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
                .open(&self.path)
        };
        match (open(), self.path.parent()) {
            (Err(e), Some(folder)) if e.kind() == std::io::ErrorKind::NotFound => {
                // Another step may just have made it.
                let _ = std::fs::create_dir(folder);
                open()
            }
            (opened, _) => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_in_the_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::at(path.clone());
        let chunk = vec![b'x'; 1 << 20];
        (0..258).for_each(|_| log.write(&chunk));
        assert_eq!(log.finish(), None);
        let text = std::fs::read(path).unwrap();
        let (kept, note) = text.split_at(256 << 20);
        assert!(kept.iter().all(|b| *b == b'x'));
        let note = std::str::from_utf8(note).unwrap();
        assert_eq!(note, "\n[pipe: 2097152 more bytes were not kept]\n");
    }

    #[test]
    fn the_first_log_of_a_run_makes_the_folder_and_no_more_than_that() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/log");
        let mut log = LogFile::at(path.clone());
        log.write(b"one\n");
        assert_eq!(log.finish(), None);
        assert_eq!(std::fs::read(path).unwrap(), b"one\n");
        let mut log = LogFile::at(dir.path().join("run/logs/log"));
        log.write(b"one\n");
        assert!(log.finish().unwrap().contains("No such file or directory"));
    }

    #[test]
    fn a_log_that_cannot_be_written_says_how_much_is_missing() {
        let mut log = LogFile::at("/dev/null/log".into());
        log.write(b"one\n");
        log.write(b"two\n");
        let trouble = log.finish();
        let whole = "the log /dev/null/log is not complete: Not a directory (os error 20); 8 bytes are missing";
        assert_eq!(trouble.as_deref(), Some(whole));
    }
}
