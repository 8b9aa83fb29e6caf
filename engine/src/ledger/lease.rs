//! Who may change a target now: a lease that its holder renews, and that others may take when it is over. Does not know
//! how it is kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a lease holds without being renewed.
pub const HOLDS: SignedDuration = SignedDuration::from_secs(300);

/// The format of a lease.
const FORMAT: u32 = 1;

/// How often its holder renews it.
pub const BEAT: std::time::Duration = std::time::Duration::from_secs(60);

/// A lease as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The format.
    pub format: u32,
    /// A text that no other lease has.
    pub id: String,
    /// Who holds it.
    pub by: String,
    /// The run that holds it.
    pub run: String,
    /// The machine that holds it, by an id that it keeps until it is started again.
    pub machine: String,
    /// The process that holds it, and when it began.
    pub process: String,
    /// When it was taken.
    pub since: String,
    /// When it was renewed last.
    pub beat: String,
    /// When it is over, unless it is renewed.
    pub expires: String,
}

impl Lease {
    /// A lease of this process.
    #[must_use]
    pub fn new(id: String, by: &str, run: &str, now: Timestamp) -> Self {
        Self {
            format: FORMAT,
            id,
            by: by.to_owned(),
            run: run.to_owned(),
            machine: machine(),
            process: process(std::process::id()).unwrap_or_default(),
            since: now.to_string(),
            beat: now.to_string(),
            expires: (now + HOLDS).to_string(),
        }
    }

    /// The same, renewed.
    #[must_use]
    pub fn renewed(&self, now: Timestamp) -> Self {
        Self {
            beat: now.to_string(),
            expires: (now + HOLDS).to_string(),
            ..self.clone()
        }
    }

    /// Whether its holder is certainly gone, or has not renewed it in time.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        let expires: Option<Timestamp> = self.expires.parse().ok();
        if expires.is_none_or(|e| e <= now) {
            return true;
        }
        let pid = self.process.split(' ').next().and_then(|p| p.parse().ok());
        let same = !self.machine.is_empty() && self.machine == machine();
        match pid {
            Some(pid) if same => process(pid).is_none_or(|p| p != self.process),
            _ => false,
        }
    }

    /// Who holds it, for a person.
    #[must_use]
    pub fn holder(&self) -> String {
        format!("{} ({}), since {}", self.run, self.by, self.since)
    }
}

/// This machine since it was started; empty where nobody says.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).ok();
    let boot = read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match boot.trim() {
        "" => String::new(),
        boot => format!("{boot} {}", space.display()),
    }
}

/// A process by its number and the moment it began, so that a later one of the same number is another one; `None` where
/// there is none, or it has ended and nobody has heard of it.
fn process(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    Some(format!("{pid} {}", fields.nth(18)?))
}
