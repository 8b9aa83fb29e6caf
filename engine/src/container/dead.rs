//! Processes by a text that can stand anywhere, and whether such a process is no more.

use super::mark::{boot, started};

/// This process: its number, its start, the machine's start, the name space of its number.
#[must_use]
pub fn own() -> String {
    let pid = std::process::id();
    let at = started(pid).unwrap_or_default();
    format!("{pid}.{at}.{}.{}", boot(), space())
}

/// Whether a process of this machine with this text is no more. False where that cannot be known.
#[must_use]
pub fn is_dead(process: &str) -> bool {
    let mut parts = process.split('.');
    let mut next = || parts.next().unwrap_or_default();
    let (pid, at, then, place) = (next(), next(), next(), next());
    // Numbers of processes mean something in their name space alone.
    if place != space() {
        return false;
    }
    let Ok(pid) = pid.parse() else { return false };
    then != boot() || started(pid).as_deref() != Some(at)
}

fn space() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits = link.to_string_lossy();
    digits.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_dead, own};

    #[test]
    fn only_a_process_of_this_machine_that_is_gone_is_dead() {
        let own = own();
        let (pid, rest) = own.split_once('.').unwrap();
        assert!(!is_dead(&own));
        assert!(is_dead(&format!("4194999.{rest}")));
        assert!(is_dead(&own.replacen(pid, "1", 1)));
        assert!(!is_dead("1.2.3.elsewhere"));
        assert!(!is_dead("x"));
    }
}
