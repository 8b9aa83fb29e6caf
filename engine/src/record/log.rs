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
            self.file = Some(
                File::options()
                    .append(true)
                    .create(true)
                    // A job that reaches this folder could put a link or a pipe there.
                    .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
                    .open(&self.path)?,
            );
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }
}
