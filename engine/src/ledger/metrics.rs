//! The five figures of software delivery, from a target's records: how often, how soon, how many fail, how long until they
//! are mended, how many are made to mend. Their definitions are DORA's (<https://dora.dev/guides/dora-metrics/>).
//! Pure: records in, figures out; when a commit was made is for the caller to know.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::history::History;
use super::record::{Outcome, Record, Way};

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, which is no part of it.
    pub to: Timestamp,
}

/// The figures of one target. A figure of which nothing is known is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Deployments that have ended in the period; rollbacks are none.
    pub deployments: usize,
    /// Those of them that are, and were, healthy.
    pub healthy: usize,
    /// Healthy ones a week.
    pub per_week: f64,
    /// From the commit to the healthy deployment that brought it first, in seconds; the median.
    pub lead_time: Option<i64>,
    /// Which part of the deployments failed, or was healthy and taken back by a person; from 0 to 1.
    pub change_fail_rate: Option<f64>,
    /// From the beginning of a failed deployment until the target was healthy again, in seconds; the median.
    pub recovery_time: Option<i64>,
    /// Which part of the deployments came because the one before had failed or was taken back; from 0 to 1.
    pub rework_rate: Option<f64>,
}

/// A deployment or rollback that has ended.
struct Ended<'h> {
    begun: Timestamp,
    ended: Timestamp,
    way: &'h Way,
    commit: &'h str,
    healthy: bool,
    restored: bool,
    taken_back: bool,
}

impl Ended<'_> {
    fn is_change(&self) -> bool {
        matches!(self.way, Way::Deploy | Way::Promotion { .. })
    }

    fn failed(&self) -> bool {
        !self.healthy || self.taken_back
    }
}

/// The figures of a target. `commits` gives the times of the commits that a second one has and a first one has not.
pub fn figures(
    history: &History,
    period: Period,
    commits: &dyn Fn(Option<&str>, &str) -> Vec<Timestamp>,
) -> Figures {
    let all = ended(history);
    let inside = |e: &&Ended<'_>| e.ended >= period.from && e.ended < period.to;
    let changes: Vec<&Ended<'_>> = all.iter().filter(|e| e.is_change()).collect();
    let mut lead = Vec::new();
    let (mut before, mut rework, mut counted) = (None, 0, 0);
    let mut last: Option<&Ended<'_>> = None;
    for change in &changes {
        if inside(change) {
            counted += 1;
            rework += usize::from(last.is_some_and(Ended::failed));
            if change.healthy {
                let made = commits(before, change.commit);
                lead.extend(made.iter().map(|at| change.ended.duration_since(*at)));
            }
        }
        if change.healthy {
            before = Some(change.commit);
        }
        last = Some(change);
    }
    let healthy = changes.iter().copied().filter(inside).filter(|e| e.healthy);
    let healthy = healthy.count();
    let failed = changes
        .iter()
        .copied()
        .filter(inside)
        .filter(|e| e.failed());
    let part = |count: usize| (counted > 0).then(|| ratio(count, counted));
    Figures {
        deployments: counted,
        healthy,
        per_week: per_week(healthy, period),
        lead_time: median(lead),
        change_fail_rate: part(failed.count()),
        recovery_time: median(recoveries(&all, period)),
        rework_rate: part(rework),
    }
}

/// What has ended, in order, and what of it a person has taken back later.
fn ended(history: &History) -> Vec<Ended<'_>> {
    let mut all: Vec<Ended<'_>> = Vec::new();
    let mut open = None;
    for (_, entry) in &history.entries {
        match &entry.record {
            Record::Intent {
                deployment,
                bundle,
                way,
                ..
            } => open = Some((deployment, bundle, way, entry.time())),
            Record::Outcome {
                deployment,
                outcome,
            } => {
                let Some((_, bundle, way, begun)) = open.take_if(|o| o.0 == deployment) else {
                    continue;
                };
                let healthy = *outcome == Outcome::Healthy;
                let restored = healthy || matches!(outcome, Outcome::RolledBack { .. });
                let is_back = match way {
                    Way::TakeAway { .. } => restored,
                    way => way.goes_back() && healthy,
                };
                if is_back && let Some(last) = all.iter_mut().rev().find(|e| e.is_change()) {
                    last.taken_back = true;
                }
                all.push(Ended {
                    begun,
                    ended: entry.time(),
                    way,
                    commit: &bundle.commit,
                    healthy,
                    restored,
                    taken_back: false,
                });
            }
            _ => {}
        }
    }
    all
}

/// How long each failure of a change lasted. One that lasts on is not counted.
fn recoveries(all: &[Ended<'_>], period: Period) -> Vec<SignedDuration> {
    let mut found = Vec::new();
    for (at, change) in all.iter().enumerate() {
        let inside = change.ended >= period.from && change.ended < period.to;
        if !inside || !change.is_change() || !change.failed() {
            continue;
        }
        // What was healthy once failed when somebody began to take it back.
        let (since, rest) = match change.healthy {
            true => match all[at + 1..].iter().find(|e| !e.is_change()) {
                Some(back) => (back.begun, at + 1),
                None => continue,
            },
            false => (change.begun, at),
        };
        if let Some(again) = all[rest..].iter().find(|e| e.restored) {
            found.push(again.ended.duration_since(since));
        }
    }
    found
}

fn per_week(count: usize, period: Period) -> f64 {
    let week = SignedDuration::from_hours(7 * 24).as_secs_f64();
    let weeks = period.to.duration_since(period.from).as_secs_f64() / week;
    if weeks > 0.0 {
        small(count) / weeks
    } else {
        0.0
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    small(part) / small(whole)
}

/// A count as a number with a fraction; there are not that many deployments.
fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn median(mut all: Vec<SignedDuration>) -> Option<i64> {
    all.sort_unstable();
    let middle = all.get(all.len().checked_sub(1)? / 2)?;
    Some(middle.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::record::{Bundle, Entry, FORMAT};

    /// Records in minutes after midnight.
    #[derive(Default)]
    struct Story(Vec<(String, Entry)>);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + minutes * 60).unwrap()
    }

    impl Story {
        fn add(&mut self, minutes: i64, record: Record) {
            let id = self.0.len().to_string();
            let entry = Entry {
                format: FORMAT,
                id: id.clone(),
                at: at(minutes).to_string(),
                by: "ada".into(),
                run: "run 1".into(),
                record,
            };
            self.0.push((id, entry));
        }

        fn deployed(
            mut self,
            from: i64,
            to: i64,
            commit: &str,
            way: Way,
            outcome: Outcome,
        ) -> Self {
            let deployment = format!("d{}", self.0.len());
            self.add(
                from,
                Record::Intent {
                    deployment: deployment.clone(),
                    bundle: Bundle {
                        commit: commit.into(),
                        ..Bundle::default()
                    },
                    way,
                    back: None,
                    unmanaged: None,
                    from_nothing: false,
                    values: std::collections::BTreeMap::new(),
                },
            );
            self.add(
                to,
                Record::Outcome {
                    deployment,
                    outcome,
                },
            );
            self
        }

        fn figures(self) -> Figures {
            let history = History::new("live", None, self.0);
            let period = Period {
                from: at(0),
                to: at(7 * 24 * 60),
            };
            // A commit is made so many minutes before midnight as its name says.
            let commits = |_: Option<&str>, commit: &str| vec![at(-commit.parse::<i64>().unwrap())];
            figures(&history, period, &commits)
        }
    }

    fn rolled_back() -> Outcome {
        Outcome::RolledBack {
            to: Some("b".into()),
            why: "not ready".into(),
            blamed: true,
        }
    }

    #[test]
    fn without_a_deployment_nothing_is_known() {
        assert_eq!(Story::default().figures(), Figures::default());
    }

    #[test]
    fn a_failure_that_undoes_itself_is_a_failure_and_its_mending_is_rework() {
        let figures = Story::default()
            .deployed(0, 10, "50", Way::Deploy, Outcome::Healthy)
            .deployed(100, 104, "20", Way::Deploy, rolled_back())
            .deployed(200, 210, "10", Way::Deploy, Outcome::Healthy)
            .deployed(300, 310, "10", Way::Deploy, Outcome::Healthy)
            .figures();
        assert_eq!(
            figures,
            Figures {
                deployments: 4,
                healthy: 3,
                per_week: 3.0,
                // 60, 220 and 320 minutes.
                lead_time: Some(220 * 60),
                change_fail_rate: Some(0.25),
                recovery_time: Some(4 * 60),
                rework_rate: Some(0.25),
            }
        );
    }

    #[test]
    fn what_a_person_takes_back_was_a_failure() {
        let figures = Story::default()
            .deployed(0, 10, "0", Way::Deploy, Outcome::Healthy)
            .deployed(100, 110, "0", Way::Deploy, Outcome::Healthy)
            .deployed(160, 165, "0", Way::Rollback, Outcome::Healthy)
            .figures();
        assert_eq!((figures.deployments, figures.healthy), (2, 2));
        assert_eq!(figures.change_fail_rate, Some(0.5));
        assert_eq!(figures.recovery_time, Some(5 * 60));
    }

    #[test]
    fn a_failure_that_lasts_is_mended_by_the_next_healthy_release() {
        let unknown = Outcome::Unknown { why: "cut".into() };
        let figures = Story::default()
            .deployed(0, 10, "0", Way::Deploy, unknown)
            .deployed(60, 70, "0", Way::Deploy, Outcome::Healthy)
            .figures();
        assert_eq!(figures.recovery_time, Some(70 * 60));
        assert_eq!(figures.rework_rate, Some(0.5));
    }
}
