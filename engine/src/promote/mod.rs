//! Promotion rules: what must hold before a bundle moves on, and what of it does not hold yet. Pure: histories and facts
//! in, everything that is missing out. Does not know steps, and moves nothing.

pub mod checks;
pub mod signers;

use dsl::model::{Promotion, Requirement};
use dsl::units;
use dsl::units::show_duration;
use indexmap::IndexSet;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use signers::{Signers, sign};

use crate::ledger::{Bundle, Current, Given, History};

/// The records of approvals that are for steps and not for targets.
pub const STEPS: &str = "@steps";

/// How a promotion is called where it is approved.
#[must_use]
pub fn subject(rule: &str) -> String {
    format!("promotion {rule}")
}

/// How a step is called where it is approved.
#[must_use]
pub fn subject_of_step(name: &str) -> String {
    format!("step {name}")
}

/// What is known where a promotion is asked for.
pub struct Facts<'a> {
    /// The source's history.
    pub from: &'a History,
    /// The destination's history: approvals stand there.
    pub to: &'a History,
    /// What is to move.
    pub bundle: &'a Bundle,
    /// The hash of the pipeline's texts.
    pub config: &'a str,
    /// Who made the commit.
    pub author: Option<&'a str>,
    /// Who runs this.
    pub trigger: &'a str,
    /// Whether a CI runs this, whose own gate may have been passed.
    pub is_ci: bool,
    /// Whether a branch contains the bundle's commit.
    pub contains: &'a dyn Fn(&str) -> Result<bool, String>,
    /// Whose approvals count, where the pipeline says so.
    pub signers: Option<&'a Result<Signers, String>>,
    /// The checks of the bundle's commit, where they were asked for.
    pub checks: Option<&'a Result<Vec<checks::Check>, String>>,
    /// Now.
    pub now: Timestamp,
}

/// A requirement that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub help: String,
    /// Whether only people's agreement is missing.
    pub waits: bool,
}

/// The bundle that runs at the source, reduced to the images that move.
///
/// # Errors
/// Why there is none that could move, with what to do.
pub fn bundle_of(rule: &Promotion, from: &History) -> Result<Bundle, Unmet> {
    let source = &rule.from.value;
    let refused = |what: String, help: String| Unmet {
        what,
        help,
        waits: false,
    };
    let release = match from.current() {
        Current::Healthy(release) => release,
        Current::Nothing => {
            return Err(refused(
                format!("{source} runs nothing that could be promoted"),
                format!("deploy to {source} first"),
            ));
        }
        _ => {
            return Err(refused(
                format!("what {source} runs is not recorded healthy"),
                format!("`pipe history {source}` shows what happened"),
            ));
        }
    };
    let mut bundle = release.bundle;
    for image in &rule.images {
        if !bundle.images.contains_key(&image.value) {
            return Err(refused(
                format!("{source} does not run {}", image.value),
                format!("it runs {}", bundle.images_in_short()),
            ));
        }
    }
    bundle
        .images
        .retain(|name, _| rule.images.iter().any(|i| i.value == *name));
    Ok(bundle)
}

/// Every requirement that does not hold.
#[must_use]
pub fn unmet(rule: &Promotion, facts: &Facts<'_>) -> Vec<Unmet> {
    let subject = subject(&rule.name.value);
    let one = |required: &Requirement| match required.what.value.as_str() {
        "healthy" => healthy(required, rule, facts),
        "approval" => {
            let asked = Asked {
                by: required.by.as_ref().map_or("", |b| b.value.as_str()),
                count: required.count,
                not: required.not.as_ref().map(|n| n.value.as_str()),
                subject: &subject,
                name: &rule.name.value,
            };
            approval(&asked, facts)
        }
        "window" => window(required, facts.now),
        "from-commit" => from_commit(required, facts),
        _ => {
            let name = required.name.as_ref().map(|n| n.value.as_str());
            checks::missing(name, &facts.bundle.commit, facts.checks)
        }
    };
    rule.requirements.iter().filter_map(one).collect()
}

fn healthy(required: &Requirement, rule: &Promotion, facts: &Facts<'_>) -> Option<Unmet> {
    let current = match facts.from.current() {
        Current::Healthy(release) => release.bundle.id(),
        _ => facts.bundle.id(),
    };
    let so_far = facts.from.healthy_for(&current, facts.now);
    let so_far = std::time::Duration::try_from(so_far).unwrap_or_default();
    let wanted = required.healthy_for;
    (so_far < wanted).then(|| {
        let whole = |d: std::time::Duration| std::time::Duration::from_secs(d.as_secs());
        Unmet {
            what: format!(
                "{} has been healthy on {} for {}, and {} are wanted",
                facts.bundle.title(),
                rule.from.value,
                show_duration(whole(so_far)),
                show_duration(wanted)
            ),
            help: format!(
                "try again in {}",
                show_duration(
                    whole(wanted.saturating_sub(so_far)) + std::time::Duration::from_secs(1)
                )
            ),
            waits: false,
        }
    })
}

/// An approval that is asked for.
pub struct Asked<'a> {
    /// Who may give it.
    pub by: &'a str,
    /// How many must.
    pub count: u32,
    /// Who may not: `author,trigger`.
    pub not: Option<&'a str>,
    /// What is approved, as it stands on the ledger.
    pub subject: &'a str,
    /// What a person types to approve it.
    pub name: &'a str,
}

/// What of an approval is missing.
#[must_use]
pub fn approval(asked: &Asked<'_>, facts: &Facts<'_>) -> Option<Unmet> {
    if asked.by == "environment" && facts.is_ci {
        return None;
    }
    let bundle = facts.bundle.id();
    let given = facts
        .to
        .approvals(asked.subject, &bundle, facts.config, facts.now);
    let mut people: Vec<String> = Vec::new();
    let mut refused: Vec<String> = Vec::new();
    for given in given.iter().filter(|g| g.approval.group == asked.by) {
        match person(given, facts) {
            Err(why) => refused.push(format!("that of {} does not count: {why}", given.by)),
            Ok(person)
                if [&person, given.by]
                    .iter()
                    .any(|by| is_refused(by, asked.not, facts)) =>
            {
                refused.push(format!("that of {person} does not count"));
            }
            Ok(person) if people.contains(&person) => {}
            Ok(person) => people.push(person),
        }
    }
    let wanted = asked.count as usize;
    if people.len() >= wanted {
        return None;
    }
    let mut what = match (wanted, people.len()) {
        (1, _) => format!(
            "{} has to be approved by {}",
            facts.bundle.title(),
            asked.by
        ),
        (n, given) => format!(
            "{} has to be approved by {n} of {}, and {given} did",
            facts.bundle.title(),
            asked.by
        ),
    };
    if let Some(Err(why)) = facts.signers {
        what += &format!("; nobody knows who may approve: {why}");
    } else if let Some(why) = refused.first() {
        what += &format!("; {why}");
    }
    Some(Unmet {
        what,
        help: format!("`pipe approve {}`", asked.name),
        waits: true,
    })
}

/// Who gave an approval: who signed it, where signatures count, and otherwise who says to have given it.
fn person(given: &Given<'_>, facts: &Facts<'_>) -> Result<String, String> {
    match (facts.signers, given.signature) {
        (None, _) => Ok(given.by.to_owned()),
        (Some(Err(why)), _) => Err(why.clone()),
        (Some(Ok(_)), None) => Err("it is not signed".to_owned()),
        (Some(Ok(signers)), Some(signature)) => signers.signer(given.approval, signature),
    }
}

fn is_refused(by: &str, not: Option<&str>, facts: &Facts<'_>) -> bool {
    let words = not
        .map(|n| n.split(',').map(str::trim))
        .into_iter()
        .flatten();
    words.into_iter().any(|word| match word {
        "author" => facts.author.is_some_and(|a| a == by || is_one_of(a, by)),
        "trigger" => facts.trigger == by,
        name => name == by,
    })
}

/// Whether somebody whom git writes as `Name <address>` has that name or that address.
fn is_one_of(author: &str, by: &str) -> bool {
    author
        .split_once(" <")
        .is_some_and(|(name, address)| name == by || address.trim_end_matches('>') == by)
}

/// A time in which it may happen; days and hours are those of UTC, the same everywhere.
fn window(required: &Requirement, now: Timestamp) -> Option<Unmet> {
    let now = now.to_zoned(TimeZone::UTC);
    let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
    let text = |t: &Option<dsl::source::Spanned<String>>| t.as_ref().map(|t| t.value.clone());
    let clock = |t: &Option<dsl::source::Spanned<String>>, usual: u16| {
        let read = t.as_ref().and_then(|t| units::clock(&t.value).ok());
        i32::from(read.unwrap_or(usual))
    };
    let (from, until) = (clock(&required.from, 0), clock(&required.until, 24 * 60));
    let days = required
        .days
        .as_ref()
        .and_then(|d| units::days(&d.value).ok());
    let today = usize::try_from(now.weekday().to_monday_zero_offset()).unwrap_or(0);
    let is_day = days.is_none_or(|d| d[today]);
    let is_hour = if from <= until {
        (from..until).contains(&minute)
    } else {
        minute >= from || minute < until
    };
    (!is_day || !is_hour).then(|| {
        let parts = [
            text(&required.days),
            text(&required.from).map(|t| format!("from {t}")),
            text(&required.until).map(|t| format!("until {t}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        Unmet {
            what: format!(
                "it is {} in UTC, outside of the window {}",
                now.strftime("%a %H:%M"),
                parts.join(" ")
            ),
            help: "wait for the window".to_owned(),
            waits: false,
        }
    })
}

fn from_commit(required: &Requirement, facts: &Facts<'_>) -> Option<Unmet> {
    let branch = required.branch.as_ref().map_or("", |b| b.value.as_str());
    let commit: String = facts.bundle.commit.chars().take(7).collect();
    let (what, help) = match (facts.contains)(branch) {
        Ok(true) => return None,
        Ok(false) => (
            format!("{branch} does not contain {commit}"),
            format!("merge it into {branch} first"),
        ),
        Err(why) => (
            format!("nobody knows whether {branch} contains {commit}: {why}"),
            format!("fetch {branch}, in a checkout that is not shallow"),
        ),
    };
    Some(Unmet {
        what,
        help,
        waits: false,
    })
}

/// All that is missing as one message, one help, and whether people only have to agree.
#[must_use]
pub fn together(missing: &[Unmet]) -> (String, String, bool) {
    let once = |texts: &mut dyn Iterator<Item = &'_ String>| -> Vec<String> {
        texts
            .cloned()
            .collect::<IndexSet<String>>()
            .into_iter()
            .collect()
    };
    let whats = once(&mut missing.iter().map(|u| &u.what));
    let helps = once(&mut missing.iter().map(|u| &u.help));
    let waits = missing.iter().all(|u| u.waits);
    (whats.join("; "), helps.join("; "), waits)
}
