//! At most one run of a concurrency group at a time, on this machine: a lock file in `.pipe` that the run holds.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How often a waiting run looks again.
const PATIENCE: Duration = Duration::from_millis(100);

/// The group is this run's while this value lives.
#[derive(Debug)]
pub struct Held {
    _file: File,
}

/// Takes the group. While another run has it, `waiting` is told once who that is; with `cancel` the other one is asked
/// to end.
///
/// # Errors
/// When the lock file cannot be written.
pub fn hold(
    folder: &Path,
    group: &str,
    cancel: bool,
    waiting: &mut dyn FnMut(&str),
) -> io::Result<Held> {
    let folder = folder.join("groups");
    fs::create_dir_all(&folder)?;
    let name = &blake3::hash(group.as_bytes()).to_hex()[..16];
    let path = folder.join(name);
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)?;
    let mut asked: Option<String> = None;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(e)) => return Err(e),
        }
        let mut holder = String::new();
        file.rewind()?;
        (&mut file).take(200).read_to_string(&mut holder)?;
        // Each holder in turn is asked once: another newer run may have been faster.
        if !holder.is_empty() && asked.as_deref() != Some(&holder) {
            waiting(holder.split_whitespace().next().unwrap_or("another"));
            if cancel {
                ask_to_end(&holder);
            }
            asked = Some(holder);
        }
        std::thread::sleep(PATIENCE);
    }
    file.rewind()?;
    file.set_len(0)?;
    let pid = std::process::id();
    write!(file, "{pid} {}", started(pid).unwrap_or(0))?;
    file.sync_data()?;
    Ok(Held { _file: file })
}

/// Sends SIGTERM to a holder, if its process is still the one that wrote the file.
fn ask_to_end(holder: &str) {
    let mut words = holder.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(start))) = (words.next(), words.next()) else {
        return;
    };
    let same = u32::try_from(pid).ok().and_then(started) == Some(start);
    if let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .filter(|_| same)
    {
        // It may have ended just now, which is what is wanted.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// When a process began, in clock ticks since the machine did: with its number it names a process for good.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the fields count from behind it.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}
