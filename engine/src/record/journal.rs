//! The journal of a run: a header line, then one line for each event, appended and never changed.
//!
//! A line is `CHECKSUM NUMBER MILLISECONDS JSON`: the first sixteen hex digits of the BLAKE3 hash of the rest, the
//! line's number from 0, the time since the run began. What follows a line that does not fit is not believed: a torn
//! end is what a crash leaves. A reader refuses a format that is newer than it knows.
//!
//! Lines are gathered until [`Journal::flush`] or [`Journal::sync`], or until there are many: one write is whole lines,
//! in order. Nothing is on the disk for good before the first `sync`; that is then true of the names above it too.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::run::event::Event;
use crate::world::Context;

/// How many bytes are gathered at most before they are written.
const GATHERED: usize = 64 * 1024;

/// How many digits a checksum has.
const SUM: usize = 16;

/// The last line of a run that has ended is shorter.
const LAST_LINE: u64 = 4096;

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// The first line: what the run is about, enough to plan it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The journal's format.
    pub format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// When the run began, in UTC, RFC 3339.
    pub began: String,
    /// The pipeline file, relative to the folder that holds `.pipe`.
    pub file: String,
    /// The BLAKE3 hash of all its texts, includes too.
    pub definition: String,
    /// The event, the commit and so on.
    pub context: Context,
    /// The names that were asked for.
    pub names: Vec<String>,
    /// The parameters' values.
    pub params: IndexMap<String, String>,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// The number of the next line that is written.
    number: u64,
    /// How many bytes are sound.
    length: u64,
    /// Lines that are not yet written.
    gathered: Vec<u8>,
    /// How many they are.
    lines: u64,
    /// Folders whose entries are not yet on the disk for good.
    folders: Vec<PathBuf>,
    /// Whether something had to be there for good.
    matters: bool,
}

impl Journal {
    /// Begins a journal with its header. The file stays locked while the run lives. `folders` are those in which
    /// names were made on the way to it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, folders: Vec<PathBuf>, header: &Header) -> std::io::Result<Self> {
        let file = File::options().append(true).create_new(true).open(path)?;
        file.lock()?;
        let mut journal = Self {
            file,
            number: 0,
            length: 0,
            gathered: Vec::new(),
            lines: 0,
            folders,
            matters: false,
        };
        journal.line(0, header)?;
        journal.flush()?;
        Ok(journal)
    }

    /// Takes an event. `Output` is not recorded: the logs have it.
    ///
    /// # Errors
    /// When the file cannot be written. The lines that were not are forgotten.
    pub fn append(&mut self, at: u64, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Output { .. } => Ok(()),
            _ => self.line(at, event),
        }
    }

    /// Writes what was gathered, for everybody to read.
    ///
    /// # Errors
    /// When the file cannot be written. The lines that were not are forgotten.
    pub fn flush(&mut self) -> std::io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.gathered);
        match written {
            Ok(()) => {
                self.number += self.lines;
                self.length += self.gathered.len() as u64;
            }
            // What follows a torn line is not believed. If it cannot be removed either, that is the safe side.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        self.gathered.clear();
        self.lines = 0;
        written
    }

    /// Writes what was gathered, and waits until everything is on the disk.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn sync(&mut self) -> std::io::Result<()> {
        self.matters = true;
        self.flush()?;
        self.file.sync_data()?;
        // A name is made good after what it names.
        while let Some(folder) = self.folders.first() {
            File::open(folder)?.sync_all()?;
            self.folders.remove(0);
        }
        Ok(())
    }

    /// Writes the end of the run. It waits for the disk only if something else had to be there.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn end(&mut self) -> std::io::Result<()> {
        if self.matters {
            self.sync()
        } else {
            self.flush()
        }
    }

    fn line(&mut self, at: u64, content: &impl Serialize) -> std::io::Result<()> {
        let begin = self.gathered.len();
        // Where the checksum comes.
        self.gathered.extend_from_slice(&[b' '; SUM + 1]);
        let number = self.number + self.lines;
        let written = write!(self.gathered, "{number} {at} ")
            .and_then(|()| Ok(serde_json::to_writer(&mut self.gathered, content)?));
        if written.is_err() {
            self.gathered.truncate(begin);
            return written;
        }
        let checksum = checksum(&self.gathered[begin + SUM + 1..]);
        self.gathered[begin..begin + SUM].copy_from_slice(checksum.as_bytes());
        self.gathered.push(b'\n');
        self.lines += 1;
        if self.gathered.len() < GATHERED {
            return Ok(());
        }
        self.flush()
    }
}

/// Nothing that happened is lost with a run that ends out of turn.
impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..SUM].to_owned()
}

/// What could be read of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What the run was about.
    pub header: Header,
    /// Its events with their times.
    pub events: Vec<(u64, Event)>,
    /// How many bytes at the end are not believed; 0 for a journal that ends well.
    pub torn: usize,
}

/// Reads a journal.
///
/// # Errors
/// When the file cannot be read, has no sound header, or a format that is newer.
pub fn read(path: &Path) -> Result<Reading, String> {
    let bytes = bytes(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut rest = bytes.as_slice();
    let broken = || format!("{}: this is not a journal", path.display());
    let (_, first) = next(&mut rest, 0).ok_or_else(broken)?;
    let header: Header = match serde_json::from_slice(first) {
        Ok(header) => header,
        Err(_) => return Err(too_new(path, first).unwrap_or_else(broken)),
    };
    if header.format > FORMAT {
        return Err(too_new(path, first).unwrap_or_else(broken));
    }
    let mut events = Vec::new();
    for number in 1.. {
        let before = rest;
        let Some((at, json)) = next(&mut rest, number) else {
            break;
        };
        let Ok(event) = serde_json::from_slice(json) else {
            rest = before;
            break;
        };
        events.push((at, event));
    }
    Ok(Reading {
        header,
        events,
        torn: rest.len(),
    })
}

/// The last event of a journal, without reading the others; `None` where its end is not sound.
#[must_use]
pub fn last_event(path: &Path) -> Option<Event> {
    let file = File::open(path).ok()?;
    let length = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    let last = length.min(LAST_LINE);
    let mut end = vec![0; usize::try_from(last).ok()?];
    file.read_exact_at(&mut end, length - last).ok()?;
    let lines = end.strip_suffix(b"\n")?;
    let line = lines.rsplit(|b| *b == b'\n').next()?;
    let (sum, content) = (line.get(..16)?, line.get(16..)?.strip_prefix(b" ")?);
    if sum != checksum(content).as_bytes() {
        return None;
    }
    serde_json::from_slice(content.splitn(3, |b| *b == b' ').nth(2)?).ok()
}

/// The bytes of a regular file. Anything else that stands there could be without end.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("this is no file"));
    }
    std::fs::read(path)
}

fn too_new(path: &Path, header: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let format = serde_json::from_slice::<Format>(header).ok()?.format;
    (format > FORMAT).then(|| {
        format!(
            "{}: the journal has format {format}, and this version of pipe reads up to {FORMAT}; use a newer pipe",
            path.display()
        )
    })
}

/// Takes the next line if it is sound: its time and its JSON.
fn next<'a>(rest: &mut &'a [u8], number: u64) -> Option<(u64, &'a [u8])> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let (line, after) = (&rest[..end], &rest[end + 1..]);
    let (sum, content) = (line.get(..SUM)?, line.get(SUM..)?.strip_prefix(b" ")?);
    if sum != checksum(content).as_bytes() {
        return None;
    }
    let mut parts = content.splitn(3, |b| *b == b' ');
    let mut number_of = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (found, at) = (number_of()?, number_of()?);
    if found != number {
        return None;
    }
    *rest = after;
    Some((at, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::{Outcome, RunOutcome};
    use crate::world::{Flags, context};

    /// A journal of a run that failed, and what is in it.
    fn sound() -> (Vec<u8>, Reading) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (context, _) = context(dir.path(), &|_| None, &Flags::default(), true).unwrap();
        let header = Header {
            format: FORMAT,
            version: "1.2.3".into(),
            began: "2026-01-02T03:04:05Z".into(),
            file: "pipeline.kdl".into(),
            definition: "0".into(),
            context,
            names: Vec::new(),
            params: IndexMap::new(),
        };
        let mut journal = Journal::create(&path, Vec::new(), &header).unwrap();
        let step = |outcome| Event::StepEnded {
            step: "test.unit".into(),
            outcome,
            elapsed: 7,
            attempts: 1,
            in_run: None,
            key: None,
            outputs: std::collections::BTreeMap::new(),
        };
        let outcome = RunOutcome::Failed;
        let end = Event::RunEnded {
            outcome,
            elapsed: 8,
        };
        for event in [step(Outcome::Passed), step(Outcome::Cancelled), end] {
            journal.append(5, &event).unwrap();
        }
        journal.flush().unwrap();
        (std::fs::read(&path).unwrap(), read(&path).unwrap())
    }

    fn reading(bytes: &[u8]) -> Option<Reading> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path()).ok()
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_is_read_up_to_there() {
        let (bytes, whole) = sound();
        let lines = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
        for cut in 0..bytes.len() {
            let left = &bytes[..cut];
            let events = reading(left).map(|r| r.events);
            let sound = lines(left)
                .checked_sub(1)
                .map(|n| whole.events[..n].to_vec());
            assert_eq!(events, sound, "cut at {cut}");
        }
    }

    #[test]
    fn no_changed_byte_changes_what_is_read() {
        let (bytes, whole) = sound();
        for at in 0..bytes.len() {
            for change in [1, 0x20, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                let Some(reading) = reading(&changed) else {
                    continue;
                };
                assert_eq!(reading.header, whole.header, "byte {at}");
                assert!(reading.events.len() < whole.events.len(), "byte {at}");
                assert!(whole.events.starts_with(&reading.events), "byte {at}");
                assert!(reading.torn > 0, "byte {at}");
            }
        }
    }

    #[test]
    fn lines_that_were_taken_out_or_swapped_are_not_believed() {
        let (bytes, whole) = sound();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let swapped = [lines[0], lines[2], lines[1], lines[3]].concat();
        assert_eq!(reading(swapped.as_bytes()).unwrap().events, []);
        let without = [lines[0], lines[1], lines[3]].concat();
        let events = reading(without.as_bytes()).unwrap().events;
        assert_eq!(events, whole.events[..1]);
    }
}
