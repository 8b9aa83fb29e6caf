//! What follows from a target's records: what it runs, whether that is healthy, what it can go back to, whether it may be
//! changed. The only place that decides these. Pure: records in, answers out.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::record::{Bundle, Entry, Given, Outcome, Record, Unmanaged, Way};

/// Everything that happened to a target, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The target.
    pub target: String,
    /// The records with the ids under which they are kept.
    pub entries: Vec<(String, Entry)>,
    tip: Option<String>,
}

/// A bundle that was recorded healthy on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What it is.
    pub bundle: Bundle,
    /// The deployment that brought it, or brought it back.
    pub deployment: String,
    /// Since when it was healthy.
    pub since: String,
    /// Who did it.
    pub by: String,
    /// By which run.
    pub run: String,
}

/// What a target runs, as far as is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Current {
    /// Nothing that `pipe` knows of.
    Nothing,
    /// This, and it is healthy.
    Healthy(Release),
    /// This, which failed, and the file says that it stays.
    Failed {
        /// What.
        release: Release,
        /// Why it failed.
        why: String,
    },
    /// A deployment has begun, and how it ended is not recorded.
    Interrupted(Interrupted),
    /// A person must look: an undo failed, or nobody knows.
    Locked {
        /// What was to run.
        release: Release,
        /// How it ended: partly rolled back, or unknown.
        outcome: Outcome,
    },
}

/// A deployment without a recorded end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// Its name.
    pub deployment: String,
    /// What was to run.
    pub bundle: Bundle,
    /// To what it would have gone back.
    pub back: Option<String>,
    /// To what else, where no release was known.
    pub unmanaged: Option<Unmanaged>,
    /// When it began.
    pub since: String,
    /// Who began it.
    pub by: String,
    /// The run.
    pub run: String,
}

/// What was intended with a deployment: what it was to bring, and where it could go back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intended<'h> {
    /// What was to run.
    pub bundle: &'h Bundle,
    /// The name of the release to go back to.
    pub back: Option<&'h str>,
    /// What ran that `pipe` had not deployed, where the platform finds it again.
    pub unmanaged: Option<&'h Unmanaged>,
    /// Whether nothing ran.
    pub from_nothing: bool,
}

/// A deployment with its recorded end.
struct Ended<'h> {
    way: &'h Way,
    bundle: &'h Bundle,
    deployment: &'h str,
    outcome: &'h Outcome,
    entry: &'h Entry,
}

impl Ended<'_> {
    fn release(&self, bundle: &Bundle) -> Release {
        Release {
            bundle: bundle.clone(),
            deployment: self.deployment.to_owned(),
            since: self.entry.at.clone(),
            by: self.entry.by.clone(),
            run: self.entry.run.clone(),
        }
    }
}

/// The deployments that have ended. What somebody writes of one that is over already does not count.
fn ended(entries: &[(String, Entry)]) -> Vec<Ended<'_>> {
    let mut open: Option<(&str, &Bundle, &Way)> = None;
    let mut all = Vec::new();
    for (_, entry) in entries {
        match &entry.record {
            Record::Intent {
                deployment,
                bundle,
                way,
                ..
            } => open = Some((deployment, bundle, way)),
            Record::Outcome {
                deployment,
                outcome,
            } => {
                if let Some((_, bundle, way)) = open.take_if(|(d, ..)| d == deployment) {
                    all.push(Ended {
                        way,
                        bundle,
                        deployment,
                        outcome,
                        entry,
                    });
                }
            }
            Record::Unlocked { .. } => open = None,
            _ => {}
        }
    }
    all
}

impl History {
    /// The history with these records.
    #[must_use]
    pub fn new(target: &str, tip: Option<String>, entries: Vec<(String, Entry)>) -> Self {
        Self {
            target: target.to_owned(),
            entries,
            tip,
        }
    }

    pub(super) fn tip(&self) -> Option<&str> {
        self.tip.as_deref()
    }

    pub(super) fn and(mut self, tip: Option<String>, entry: Entry) -> Self {
        self.entries.push((tip.clone().unwrap_or_default(), entry));
        self.tip = tip;
        self
    }

    /// The name of the bundle that runs, or was to run last.
    #[must_use]
    pub fn running(&self) -> Option<String> {
        Some(match self.current() {
            Current::Nothing => return None,
            Current::Healthy(release)
            | Current::Failed { release, .. }
            | Current::Locked { release, .. } => release.bundle.id(),
            Current::Interrupted(left) => left.bundle.id(),
        })
    }

    /// What the target runs.
    #[must_use]
    pub fn current(&self) -> Current {
        let mut current = Current::Nothing;
        let mut open: Option<Interrupted> = None;
        for (_, entry) in &self.entries {
            match &entry.record {
                Record::Intent {
                    deployment,
                    bundle,
                    back,
                    unmanaged,
                    ..
                } => {
                    open = Some(Interrupted {
                        unmanaged: unmanaged.clone(),
                        deployment: deployment.clone(),
                        bundle: bundle.clone(),
                        back: back.clone(),
                        since: entry.at.clone(),
                        by: entry.by.clone(),
                        run: entry.run.clone(),
                    });
                }
                Record::Outcome {
                    deployment,
                    outcome,
                } => {
                    let Some(begun) = open.take_if(|o| o.deployment == *deployment) else {
                        continue;
                    };
                    current = self.after(&Ended {
                        way: &Way::Deploy,
                        bundle: &begun.bundle,
                        deployment,
                        outcome,
                        entry,
                    });
                }
                // A person has looked: what was recorded healthy last is taken for what runs.
                Record::Unlocked { .. } => {
                    open = None;
                    if matches!(current, Current::Locked { .. }) || self.is_open_at(entry) {
                        current = self
                            .releases_until(entry)
                            .pop()
                            .map_or(Current::Nothing, Current::Healthy);
                    }
                }
                Record::Migrated { .. } | Record::Approved { .. } => {}
            }
        }
        open.map_or(current, Current::Interrupted)
    }

    fn is_open_at(&self, end: &Entry) -> bool {
        let mut open = None;
        for (_, entry) in self.entries.iter().take_while(|(_, e)| e.id != end.id) {
            match &entry.record {
                Record::Intent { deployment, .. } => open = Some(deployment),
                Record::Outcome { .. } | Record::Unlocked { .. } => open = None,
                _ => {}
            }
        }
        open.is_some()
    }

    fn after(&self, ended: &Ended<'_>) -> Current {
        match ended.outcome {
            Outcome::Healthy => Current::Healthy(ended.release(ended.bundle)),
            Outcome::Failed { why } => Current::Failed {
                release: ended.release(ended.bundle),
                why: why.clone(),
            },
            Outcome::RolledBack { to, .. } => {
                let back = to.as_ref().and_then(|id| self.bundle(id));
                back.map_or(Current::Nothing, |b| Current::Healthy(ended.release(b)))
            }
            Outcome::PartlyRolledBack { .. } | Outcome::Unknown { .. } => Current::Locked {
                release: ended.release(ended.bundle),
                outcome: ended.outcome.clone(),
            },
        }
    }

    /// Whether this end of a deployment is recorded: whoever wrote it may not have heard so.
    #[must_use]
    pub fn has_outcome(&self, deployment: &str, outcome: &Outcome) -> bool {
        ended(&self.entries)
            .iter()
            .any(|e| e.deployment == deployment && e.outcome == outcome)
    }

    /// The bundle of this name, if it ever was to run here.
    #[must_use]
    pub fn bundle(&self, id: &str) -> Option<&Bundle> {
        self.entries
            .iter()
            .rev()
            .find_map(|(_, e)| match &e.record {
                Record::Intent { bundle, .. } if bundle.id() == id => Some(bundle),
                _ => None,
            })
    }

    /// Every bundle that was healthy, in the order in which it became so: by a deployment, or because a failed one went
    /// back to it.
    #[must_use]
    pub fn releases(&self) -> Vec<Release> {
        self.releases_of(&self.entries)
    }

    fn releases_until(&self, end: &Entry) -> Vec<Release> {
        let at = self.entries.iter().position(|(_, e)| e.id == end.id);
        self.releases_of(&self.entries[..at.unwrap_or(self.entries.len())])
    }

    fn releases_of(&self, entries: &[(String, Entry)]) -> Vec<Release> {
        let healthy = ended(entries).into_iter().filter_map(|ended| {
            let bundle = match ended.outcome {
                Outcome::Healthy => ended.bundle,
                Outcome::RolledBack { to: Some(to), .. } => self.bundle(to)?,
                _ => return None,
            };
            Some(ended.release(bundle))
        });
        healthy.collect()
    }

    /// The bundles that failed here, by name, with why. One that was healthy later is not bad any more.
    #[must_use]
    pub fn bad(&self) -> BTreeMap<String, String> {
        let mut bad = BTreeMap::new();
        let mut runs: Option<String> = None;
        for ended in ended(&self.entries) {
            let id = ended.bundle.id();
            match ended.outcome {
                Outcome::Healthy => {
                    let left = runs.take().filter(|r| *r != id);
                    if let (Some(left), Way::Rollback) = (left, ended.way) {
                        bad.insert(left, format!("rolled back by {}", ended.entry.by));
                    }
                    bad.remove(&id);
                    runs = Some(id);
                }
                Outcome::RolledBack {
                    to, blamed: false, ..
                } => runs.clone_from(to),
                Outcome::RolledBack {
                    why,
                    to,
                    blamed: true,
                } => {
                    bad.insert(id, why.clone());
                    runs.clone_from(to);
                }
                Outcome::PartlyRolledBack { why, .. } | Outcome::Failed { why } => {
                    bad.insert(id, why.clone());
                }
                Outcome::Unknown { .. } => {}
            }
        }
        bad
    }

    /// Why nothing is promoted here by itself: the last deployment failed and was rolled back, and nobody has looked.
    #[must_use]
    pub fn hold(&self) -> Option<String> {
        let looked = self
            .entries
            .iter()
            .rev()
            .find_map(|(_, e)| match &e.record {
                Record::Unlocked { .. } => Some(e.id.as_str()),
                _ => None,
            });
        let at = self
            .entries
            .iter()
            .position(|(_, e)| Some(e.id.as_str()) == looked);
        let since = &self.entries[at.map_or(0, |at| at + 1)..];
        let mut hold = None;
        for ended in ended(since) {
            let run = &ended.entry.run;
            match (ended.outcome, ended.way) {
                (
                    Outcome::RolledBack {
                        why, blamed: true, ..
                    },
                    _,
                ) => {
                    hold = Some(format!("{run}: {why}"));
                }
                (Outcome::Healthy, Way::Rollback) => {
                    hold = Some(format!("{run}: rolled back by {}", ended.entry.by));
                }
                (Outcome::Healthy, _) => hold = None,
                _ => {}
            }
        }
        hold
    }

    /// Where a deployment of `bundle` may go back to if it fails, the best first: releases that were healthy, are not that
    /// bundle and are not bad, the newest first.
    #[must_use]
    pub fn ways_back(&self, bundle: &str) -> Vec<Release> {
        let bad = self.bad();
        let mut ways: Vec<Release> = Vec::new();
        for release in self.releases().into_iter().rev() {
            let id = release.bundle.id();
            let known = ways.iter().any(|w| w.bundle.id() == id);
            if id != bundle && !bad.contains_key(&id) && !known {
                ways.push(release);
            }
        }
        ways
    }

    /// The values that stood in the target's fields when this bundle was deployed here last.
    #[must_use]
    pub fn values_of(&self, bundle: &str) -> Option<&BTreeMap<String, String>> {
        self.entries
            .iter()
            .rev()
            .find_map(|(_, e)| match &e.record {
                Record::Intent {
                    bundle: b, values, ..
                } if b.id() == bundle => Some(values),
                _ => None,
            })
    }

    /// What ran before this deployment and was not deployed by `pipe`, where the deployment could go back to it.
    #[must_use]
    pub fn unmanaged(&self, deployment: &str) -> Option<&Unmanaged> {
        self.intent(deployment)?.unmanaged
    }

    /// What was intended with a deployment.
    #[must_use]
    pub fn intent(&self, deployment: &str) -> Option<Intended<'_>> {
        let mut records = self.entries.iter().rev().map(|(_, e)| &e.record);
        records.find_map(|record| match record {
            Record::Intent {
                deployment: of,
                bundle,
                back,
                unmanaged,
                from_nothing,
                ..
            } if of == deployment => Some(Intended {
                bundle,
                back: back.as_deref(),
                unmanaged: unmanaged.as_ref(),
                from_nothing: *from_nothing,
            }),
            _ => None,
        })
    }

    /// Whether a one-shot service of a bundle has run here.
    #[must_use]
    pub fn is_migrated(&self, bundle: &str, service: &str) -> bool {
        self.entries.iter().any(|(_, e)| match &e.record {
            Record::Migrated {
                bundle: b,
                service: s,
            } => b == bundle && s == service,
            _ => false,
        })
    }

    /// For how long a bundle was what runs here, and healthy. The time in which a deployment goes on does not count.
    #[must_use]
    pub fn healthy_for(&self, bundle: &str, now: Timestamp) -> SignedDuration {
        let mut whole = SignedDuration::ZERO;
        let mut since: Option<Timestamp> = None;
        for (at, (_, entry)) in self.entries.iter().enumerate() {
            match &entry.record {
                Record::Intent { .. } => {
                    if let Some(since) = since.take() {
                        whole += entry.time().duration_since(since);
                    }
                }
                Record::Outcome { .. } | Record::Unlocked { .. } => {
                    let until = Self::new(&self.target, None, self.entries[..=at].to_vec());
                    let runs = match until.current() {
                        Current::Healthy(release) => release.bundle.id() == bundle,
                        _ => false,
                    };
                    if runs && since.is_none() {
                        since = Some(entry.time());
                    }
                }
                _ => {}
            }
        }
        if let Some(since) = since {
            whole += now.duration_since(since);
        }
        whole.max(SignedDuration::ZERO)
    }

    /// The approvals that hold now for exactly this.
    #[must_use]
    pub fn approvals(
        &self,
        subject: &str,
        bundle: &str,
        config: &str,
        now: Timestamp,
    ) -> Vec<Given<'_>> {
        let given = self.entries.iter().filter_map(|(_, e)| match &e.record {
            Record::Approved {
                approval,
                signature,
            } => Some(Given {
                approval,
                signature: signature.as_deref(),
                by: &e.by,
            }),
            _ => None,
        });
        given
            .filter(|given| {
                let a = given.approval;
                let expires: Option<Timestamp> = a.expires.parse().ok();
                a.subject == subject
                    && a.bundle == bundle
                    && a.config == config
                    && expires.is_some_and(|e| e > now)
            })
            .collect()
    }

    /// A record in one line, for `git log` and `pipe history`.
    #[must_use]
    pub fn told(&self, entry: &Entry) -> String {
        let named = |id: &str| {
            self.bundle(id)
                .map_or_else(|| id.to_owned(), |b| format!("{} ({id})", b.title()))
        };
        let of = |deployment: &str| match self.intent(deployment) {
            Some(Intended { bundle, .. }) => format!("{} ({})", bundle.title(), bundle.id()),
            None => deployment.to_owned(),
        };
        let what = match &entry.record {
            Record::Intent { bundle, way, .. } => {
                let verb = match way {
                    Way::Deploy => "deploying".to_owned(),
                    Way::Promotion { rule } => format!("promoting ({rule})"),
                    Way::Rollback | Way::Undo { .. } => "going back to".to_owned(),
                    Way::TakeAway { .. } => "taking away".to_owned(),
                };
                format!("{verb} {} ({})", bundle.title(), bundle.id())
            }
            Record::Outcome {
                deployment,
                outcome,
            } => {
                let bundle = of(deployment);
                match outcome {
                    Outcome::Healthy => format!("{bundle} is healthy"),
                    Outcome::Failed { why } => format!("{bundle} failed and stays: {why}"),
                    Outcome::RolledBack { to, why, .. } => {
                        let before = || match self.unmanaged(deployment) {
                            Some(before) => {
                                format!("{}, which pipe had not deployed", before.title())
                            }
                            None => "nothing".to_owned(),
                        };
                        let to = to.as_deref().map_or_else(before, named);
                        format!("{bundle} failed, rolled back to {to}: {why}")
                    }
                    Outcome::PartlyRolledBack { why, undo } => {
                        format!("{bundle} failed, and so did its undo: {why}; {undo}")
                    }
                    Outcome::Unknown { why } => format!("{bundle}: nobody knows what runs: {why}"),
                }
            }
            Record::Migrated { bundle, service } => {
                format!("{service} of {} has run", named(bundle))
            }
            Record::Unlocked { why } if why.is_empty() => "unlocked".to_owned(),
            Record::Unlocked { why } => format!("unlocked: {why}"),
            Record::Approved { approval, .. } => {
                format!(
                    "{} approved for {}",
                    approval.subject,
                    named(&approval.bundle)
                )
            }
        };
        format!("{}: {what}", self.target)
    }
}
