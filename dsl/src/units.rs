//! Durations, sizes, paths, names: text to value, with an error that says what to write.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// The longest duration that is accepted: ten years, in milliseconds.
const LONGEST: u64 = 10 * 365 * 86_400_000;

/// `90s`, `30m`, `1h30m`, `7d`: parts of falling unit.
///
/// # Errors
/// What is wrong, as a sentence part.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit: `90s`, `30m`, `72h`, `7d`".to_owned();
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = usize::MAX;
    while !rest.is_empty() {
        let (amount, unit, after) = part(rest).ok_or_else(wrong)?;
        let at = DURATIONS
            .iter()
            .position(|(u, _)| *u == unit)
            .ok_or_else(wrong)?;
        if at >= last {
            return Err(wrong());
        }
        last = at;
        total = total.saturating_add(amount.saturating_mul(DURATIONS[at].1));
        rest = after;
    }
    if last == usize::MAX {
        return Err(wrong());
    }
    if total > LONGEST {
        return Err("this is longer than ten years".to_owned());
    }
    Ok(Duration::from_millis(total))
}

/// `09:00`: minutes since midnight, up to `24:00`.
///
/// # Errors
/// What is wrong, as a sentence part.
pub fn clock(text: &str) -> Result<u16, String> {
    let wrong = || "write hours and minutes: `09:00`".to_owned();
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |t: &str| match t.len() {
        2 => t.parse::<u16>().ok(),
        _ => None,
    };
    let (Some(hours), Some(minutes)) = (number(hours), number(minutes)) else {
        return Err(wrong());
    };
    let all = hours * 60 + minutes;
    if minutes > 59 || all > 24 * 60 {
        return Err(wrong());
    }
    Ok(all)
}

/// The days of the week as they are written.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `mon-thu`, `mon,wed,fri`, `sat-mon`: whether each day is meant, from Monday on.
///
/// # Errors
/// What is wrong, as a sentence part.
pub fn days(text: &str) -> Result<[bool; 7], String> {
    let wrong = || "write days: `mon-fri`, or `mon,wed`".to_owned();
    let day = |t: &str| DAYS.iter().position(|d| *d == t.trim()).ok_or_else(wrong);
    let mut meant = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        meant[at] = true;
        while at != last {
            at = (at + 1) % 7;
            meant[at] = true;
        }
    }
    Ok(meant)
}

/// `10%,50%`: the shares of a canary, in percent, each greater than the one before.
///
/// # Errors
/// What is wrong, as a sentence part.
pub fn shares(text: &str) -> Result<Vec<u32>, String> {
    let wrong = || "write shares up to a half, the smallest first: `10%,50%`".to_owned();
    let mut shares: Vec<u32> = Vec::new();
    for part in text.split(',') {
        let number = part.trim().strip_suffix('%').ok_or_else(wrong)?;
        let share: u32 = number.parse().map_err(|_| wrong())?;
        if !(1..=50).contains(&share) || shares.last().is_some_and(|l| *l >= share) {
            return Err(wrong());
        }
        shares.push(share);
    }
    Ok(shares)
}

/// `512MiB`, `10GB`: bytes.
///
/// # Errors
/// What is wrong, as a sentence part.
pub fn size(text: &str) -> Result<u64, String> {
    let units = || SIZES.iter().map(|(u, _)| *u).collect::<Vec<_>>().join(", ");
    let wrong = || format!("write a number and one of the units {}", units());
    let (amount, unit, rest) = part(text).ok_or_else(wrong)?;
    let found = SIZES.iter().find(|(u, _)| *u == unit && rest.is_empty());
    let (_, factor) = found.ok_or_else(wrong)?;
    amount
        .checked_mul(*factor)
        .ok_or_else(|| "this is too large".to_owned())
}

/// A number, the letters behind it, and the rest.
fn part(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let amount = text[..digits].parse().ok()?;
    let rest = &text[digits..];
    let letters = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    (letters > 0).then(|| (amount, &rest[..letters], &rest[letters..]))
}

/// A path beneath the pipeline's folder.
///
/// # Errors
/// Why it is none.
pub fn relative_path(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("a path cannot be empty; `.` is the pipeline's folder".into());
    }
    if text.starts_with('/') || text.starts_with('~') {
        return Err("write it relative to the pipeline's folder".into());
    }
    if text.contains('\\') {
        return Err("write folders with `/`".into());
    }
    if text.split('/').any(|p| p == "..") {
        return Err("it must stay beneath the pipeline's folder, without `..`".into());
    }
    no_control(text)
}

/// A name that is declared: letters, digits, `-`, `_`, at most 64 characters.
///
/// # Errors
/// Why it is none.
pub fn name(text: &str) -> Result<(), String> {
    let ok = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    match text.chars().next() {
        None => Err("a name cannot be empty".into()),
        Some('-') => Err("a name cannot begin with `-`".into()),
        Some(_) if text.chars().count() > 64 => Err("a name has at most 64 characters".into()),
        Some(_) => match text.chars().find(|c| !ok(*c)) {
            None => Ok(()),
            Some(c) => Err(format!(
                "a name has letters, digits, `-` and `_`, not `{}`",
                c.escape_debug()
            )),
        },
    }
}

/// The variables that `pipe` itself sets in every job, so that a file cannot.
pub const FIXED_VARIABLES: &[&str] = &[
    "PIPE",
    "PIPE_MARKER",
    "PIPE_RUN_ID",
    "PIPE_STAGE",
    "PIPE_STEP",
    "PIPE_ATTEMPT",
    "PIPE_WORKSPACE",
    "PIPE_OUTPUT",
    "PIPE_EVENT",
    "PIPE_SHA",
    "PIPE_BRANCH",
    "PIPE_TAG",
    "PIPE_TRUSTED",
    "PIPE_DEPTH",
];

/// Those of them that say which run it is. A job whose result is kept does not get them: they would make its result
/// another one, behind the back of its key.
pub const RUN_VARIABLES: &[&str] = &[
    "PIPE_RUN_ID",
    "PIPE_EVENT",
    "PIPE_SHA",
    "PIPE_BRANCH",
    "PIPE_TAG",
    "PIPE_TRUSTED",
];

/// The name of an environment variable.
///
/// # Errors
/// Why it is none.
pub fn env_name(text: &str) -> Result<(), String> {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(ok) || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(
            "a variable's name has letters, digits and `_`, and does not begin with a digit".into(),
        );
    }
    Ok(())
}

/// Whether text is free of control characters.
///
/// # Errors
/// Which one is in it.
pub fn no_control(text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(c) => Err(format!(
            "it has the control character `{}`",
            c.escape_default()
        )),
    }
}

/// The name of an image whose reference says no version, so that it means another one tomorrow: no tag, or `latest`. What
/// is only on this machine (`localhost/…`) is its owner's to name.
#[must_use]
pub fn without_version(reference: &str) -> Option<&str> {
    if reference.contains('@') || reference.starts_with("localhost/") || reference.is_empty() {
        return None;
    }
    let path = reference.rfind('/').map_or(0, |at| at + 1);
    match reference[path..].split_once(':') {
        Some((name, "latest")) => Some(&reference[..path + name.len()]),
        Some(_) => None,
        None => Some(reference),
    }
}

/// Whether a text can be the name of a bucket.
///
/// # Errors
/// What to write.
pub fn bucket(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let named = text.chars().all(plain) && ends(text.chars().next()) && ends(text.chars().last());
    match named && (3..=63).contains(&text.len()) && !text.contains("..") {
        true => Ok(()),
        false if text.is_empty() => Err("the name of the bucket is missing".into()),
        false => Err("a bucket's name is 3 to 63 small letters, digits, `-` and `.`".into()),
    }
}

/// Whether a text can stand in front of the names of objects.
///
/// # Errors
/// What to write.
pub fn object_prefix(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if text.is_empty() {
        return Ok(());
    }
    if text.len() > 200 {
        return Err("a prefix has at most 200 letters".into());
    }
    if !text.chars().all(plain) {
        return Err("a prefix is made of letters, digits, `-`, `_`, `.` and `/`".into());
    }
    match text.split('/').any(|p| matches!(p, "" | "." | "..")) {
        true => Err("no part between two `/` is empty, `.` or `..`".into()),
        false => Ok(()),
    }
}

/// The address of a server, as far as it decides who can listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Whether it is `https`.
    pub secure: bool,
    /// Whether it is this machine.
    pub here: bool,
}

impl Server {
    /// Whether what goes there can be read on the way.
    #[must_use]
    pub fn leaks(self) -> bool {
        !self.secure && !self.here
    }
}

/// Reads `https://HOST` or `http://HOST:PORT`.
///
/// # Errors
/// What to write.
pub fn server(text: &str) -> Result<Server, String> {
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(format!("begin it with `https://`: `\"https://{text}\"`")),
    };
    if rest.contains('@') {
        return Err("no user and no password stand here; name secrets".into());
    }
    if rest.contains(['/', '?', '#']) {
        return Err("it ends with the host or the port; what follows belongs to `s3://…`".into());
    }
    let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((host, port)) => (
            host,
            port.strip_prefix(':').or(port.is_empty().then_some("80")),
        ),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, Some("80")),
        },
    };
    let bracketed = rest.starts_with('[');
    let number = |p: &str| p.parse::<u16>().is_ok_and(|n| n > 0) && !p.starts_with('+');
    if !port.is_some_and(number) {
        return Err("behind `:` stands a port from 1 to 65535".into());
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let address = host.parse::<std::net::IpAddr>();
    let named = match (bracketed, &address) {
        (true, Ok(address)) => address.is_ipv6(),
        (true, Err(_)) => false,
        (false, _) => !host.is_empty() && host.chars().all(plain),
    };
    if !named {
        return Err("the host is a name or an address".into());
    }
    Ok(Server {
        secure,
        here: is_this_machine(host),
    })
}

/// Whether a host, without its port, is this machine: by name, or by an address, with or without brackets.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let address = bare.unwrap_or(host).parse::<std::net::IpAddr>();
    address.is_ok_and(|a| a.is_loopback()) || host.eq_ignore_ascii_case("localhost")
}

/// A duration in milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as people write it: `1h30m`, `90s`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut rest = millis(duration);
    let mut out = String::new();
    for (unit, factor) in DURATIONS.iter().rev() {
        if rest / factor > 0 {
            out += &format!("{}{unit}", rest / factor);
            rest %= factor;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}
/// Writes a number of bytes, rounded down to tenths of the largest fitting unit.
#[must_use]
pub fn show_size(n: u64) -> String {
    let mut unit = "B";
    // Tenths of the unit, in whole numbers: what is shown is what is there, rounded down.
    let mut tenths = u128::from(n) * 10;
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    match unit {
        "B" => format!("{n} B"),
        _ => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_reference_without_a_version_is_one_without_a_tag_or_with_latest() {
        let found = |text| super::without_version(text);
        assert_eq!(found("python"), Some("python"));
        assert_eq!(
            found("r.example.com:5000/a/b:latest"),
            Some("r.example.com:5000/a/b")
        );
        for fine in [
            "python:3.11",
            "r:5000/a:1",
            "a@sha256:0",
            "a:latest@sha256:0",
            "localhost/a",
            "",
        ] {
            assert_eq!(found(fine), None, "{fine}");
        }
    }
}
