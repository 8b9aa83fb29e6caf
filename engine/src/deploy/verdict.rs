//! Whether what runs is what was asked for. The only place that says so, and it compares digests: a platform that went back
//! by itself calls itself stable, too. Pure.

use std::collections::BTreeMap;

use super::driver::{Driver, Failure, Observed};
use crate::ledger::Bundle;

/// Compares the digests that run with those of a bundle.
///
/// # Errors
/// What differs.
pub fn runs(observed: &Observed, bundle: &Bundle, driver: &dyn Driver) -> Result<(), Failure> {
    let asked: Vec<(String, &str)> = driver
        .long_running(bundle)
        .into_iter()
        .filter_map(|name| {
            let digest = bundle.images.get(&name)?.digest.as_str();
            Some((name, digest))
        })
        .collect();
    let named = observed.digests.keys().any(|name| !name.is_empty());
    let mut wrong = Vec::new();
    if named {
        for (name, digest) in &asked {
            let found = observed.digests.get(name).map_or(&[][..], Vec::as_slice);
            match found {
                [] => wrong.push(format!("{name} does not run")),
                [one] if one == digest => {}
                others => {
                    for other in others.iter().filter(|o| o != digest) {
                        wrong.push(format!("{name} runs {}", short(other)));
                    }
                }
            }
        }
    } else {
        let found = observed.digests.get("").map_or(&[][..], Vec::as_slice);
        for (name, digest) in &asked {
            if !found.iter().any(|f| f == digest) {
                wrong.push(format!("{name} {} does not run", short(digest)));
            }
        }
        for other in found {
            if !asked.iter().any(|(_, digest)| digest == other) {
                wrong.push(format!("{} runs", short(other)));
            }
        }
    }
    // What does not run at all is said above, by its image.
    let is_said = |text: &String| {
        wrong
            .iter()
            .any(|w| w.ends_with(" does not run") && text.ends_with(" does not run"))
    };
    let amiss: Vec<String> = observed
        .amiss
        .iter()
        .filter(|a| !is_said(a))
        .cloned()
        .collect();
    wrong.extend(amiss);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "what runs is not what was asked for: {}",
        wrong.join(", ")
    )))
}

/// Compares the digests that run with those that were observed before.
///
/// # Errors
/// What runs, and what ran.
pub fn runs_as(observed: &Observed, before: &BTreeMap<String, Vec<String>>) -> Result<(), Failure> {
    let sorted = |all: &BTreeMap<String, Vec<String>>| {
        let mut all = all.clone();
        all.values_mut().for_each(|digests| digests.sort());
        all
    };
    if sorted(&observed.digests) == sorted(before) {
        return Ok(());
    }
    let before = Observed {
        digests: before.clone(),
        ..Observed::default()
    };
    Err(Failure::new(format!(
        "what runs is not what ran before: {}, and not {}",
        observed.shown(),
        before.shown()
    )))
}

/// Whether nothing runs.
///
/// # Errors
/// What does.
pub fn runs_nothing(observed: &Observed) -> Result<(), Failure> {
    if observed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "nothing was to run, and {} does",
        observed.shown()
    )))
}

fn short(digest: &str) -> String {
    let short: String = digest.chars().take(19).collect();
    short + "…"
}
