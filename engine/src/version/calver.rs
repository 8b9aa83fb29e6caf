//! Calendar versions: the next one by a pattern, when some are there already.

use dsl::calver::Pattern;

/// The next version by a pattern for a day (`2026-01-31`), when these tags are there.
///
/// # Errors
/// Why there is none, as a sentence part.
pub fn next(pattern: &str, day: &str, tags: &[&str]) -> Result<String, String> {
    let pattern = Pattern::read(pattern)?;
    let (before, after) = pattern.around(day);
    if !pattern.counts() {
        return match tags.contains(&before.as_str()) {
            true => Err(format!(
                "there is a release {before} already; an `i` in the pattern counts them"
            )),
            false => Ok(before),
        };
    }
    let number = |tag: &&str| -> Option<u64> {
        let middle = tag.strip_prefix(&*before)?.strip_suffix(&*after)?;
        let digits = middle.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| middle.parse().ok())?
    };
    let last = tags.iter().filter_map(number).max().unwrap_or(0);
    Ok(format!("{before}{}{after}", last.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_goes_on_from_the_last_release_of_the_day() {
        let next = |tags: &[&str]| next("vYY.MM.DD.i", "2026-11-25", tags).unwrap();
        assert_eq!(next(&[]), "v26.11.25.1");
        assert_eq!(next(&["v26.11.24.7", "v1.2.3"]), "v26.11.25.1");
        assert_eq!(
            next(&["v26.11.25.1", "v26.11.25.10", "v26.11.25.9"]),
            "v26.11.25.11"
        );
        assert_eq!(
            next(&["v26.11.25.", "v26.11.25.x", "v26.11.25.+3"]),
            "v26.11.25.1"
        );
    }

    #[test]
    fn without_a_counter_there_is_one_release_of_a_day() {
        let next = |day: &str| next("YYYY.MM", day, &["2026.01"]);
        assert_eq!(next("2026-02-05"), Ok("2026.02".to_owned()));
        assert_eq!(
            next("2026-01-05"),
            Err("there is a release 2026.01 already; an `i` in the pattern counts them".to_owned())
        );
    }
}
