//! What people are told of a run: a pure function of its events. Knows no address.

use serde::Serialize;

use crate::report::Report;
use crate::run::event::Event;
use crate::run::outcome::{Outcome, RunOutcome, UndoOutcome};

/// How many steps are named.
const NAMED: usize = 10;

/// Something that people may want to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// A step failed.
    Failed,
    /// Something was undone, or a target is back at an earlier release.
    RolledBack,
    /// A target runs a new release.
    Deployed,
    /// The run waits for people.
    Waiting,
    /// Everything passed.
    Passed,
}

impl Topic {
    /// The topic of this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "failed" => Self::Failed,
            "rolled-back" => Self::RolledBack,
            "deployed" => Self::Deployed,
            "waiting" => Self::Waiting,
            "passed" => Self::Passed,
            _ => return None,
        })
    }
}

/// What has happened in a run, as far as people are told.
#[derive(Debug, Default)]
pub struct Story {
    report: Report,
    targets: Vec<Target>,
}

/// What became of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its name.
    pub target: String,
    /// What it was to run.
    pub asked: String,
    /// `healthy`, `rolled back`, `unknown` and so on.
    pub ending: String,
}

/// A step that did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its full name.
    pub step: String,
    /// `failed`, `waiting`, `rolled-back`, `rollback-failed`.
    pub outcome: String,
    /// Why, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The version of this document.
    pub version: u32,
    /// What it is about.
    pub topics: Vec<Topic>,
    /// How the run ended, in a word or two.
    pub outcome: String,
    /// The exit code of the run.
    pub exit_code: i32,
    /// The pipeline.
    pub pipeline: String,
    /// `push`, `manual` and so on.
    pub event: String,
    /// The branch or tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// The run: its address in a CI.
    pub run: String,
    /// What did not end well.
    pub steps: Vec<Step>,
    /// What became of targets.
    pub targets: Vec<Target>,
    /// All of it, for a person.
    pub text: String,
}

impl Story {
    /// Takes the next event.
    pub fn event(&mut self, event: &Event) {
        // What steps wrote is nothing to be passed on.
        if !matches!(event, Event::Output { .. }) {
            self.report.event(event);
        }
        if let Event::Deployed {
            target,
            title,
            ending,
            ..
        } = event
        {
            self.targets.push(Target {
                target: target.clone(),
                asked: title.clone(),
                ending: ending.clone(),
            });
        }
    }

    /// What there is to tell of a run that ended so. `origin` says which one it is.
    #[must_use]
    pub fn message(&self, outcome: RunOutcome, origin: &str) -> Message {
        let steps = self.steps();
        let mut message = Message {
            version: 1,
            topics: self.topics(outcome),
            outcome: outcome.word().to_owned(),
            exit_code: outcome.exit_code(),
            pipeline: self.report.pipeline.clone(),
            event: self.report.trigger.clone(),
            at: self.report.at.clone(),
            sha: self.report.sha.clone(),
            run: origin.to_owned(),
            steps,
            targets: self.targets.clone(),
            text: String::new(),
        };
        message.text = text(&message);
        message
    }

    fn steps(&self) -> Vec<Step> {
        let ended = self.report.steps.iter().filter_map(|(name, step)| {
            let (outcome, failure) = match step.outcome.as_ref()? {
                Outcome::Failed { failure } => ("failed", failure),
                Outcome::Waiting { failure } => ("waiting", failure),
                _ => return None,
            };
            Some(Step {
                step: name.to_string(),
                outcome: outcome.to_owned(),
                why: Some(failure.what.clone()),
            })
        });
        let undone = self.report.undos.iter().map(|(name, undo)| {
            let (outcome, why) = match undo {
                Some(UndoOutcome::RolledBack) => ("rolled-back", None),
                Some(UndoOutcome::RollbackFailed { failure }) => {
                    ("rollback-failed", Some(failure.what.clone()))
                }
                Some(UndoOutcome::Dropped) | None => ("rollback-failed", None),
            };
            Step {
                step: name.to_string(),
                outcome: outcome.to_owned(),
                why,
            }
        });
        ended.chain(undone).collect()
    }

    fn topics(&self, outcome: RunOutcome) -> Vec<Topic> {
        let mut topics = Vec::new();
        let failed = |s: &Step| matches!(s.outcome.as_str(), "failed" | "rollback-failed");
        if self.steps().iter().any(failed) {
            topics.push(Topic::Failed);
        }
        let ended = |how: &str| self.targets.iter().any(|t| t.ending == how);
        let undone = self.report.undos.values();
        let undone = undone.flatten().any(|u| *u == UndoOutcome::RolledBack);
        if undone || outcome == RunOutcome::RolledBack || ended("rolled back") {
            topics.push(Topic::RolledBack);
        }
        if ended("healthy") {
            topics.push(Topic::Deployed);
        }
        match outcome {
            RunOutcome::Waiting => topics.push(Topic::Waiting),
            RunOutcome::Passed => topics.push(Topic::Passed),
            _ => {}
        }
        topics
    }
}

/// The message for a person: how it ended, what did not end well, what targets run, which run it was.
fn text(message: &Message) -> String {
    let about = [
        message.at.clone(),
        message.sha.as_ref().map(|s| s.chars().take(7).collect()),
    ];
    let about: Vec<String> = about.into_iter().flatten().collect();
    let about = match about.is_empty() {
        true => message.event.clone(),
        false => format!("{} on {}", message.event, about.join(" ")),
    };
    let mut lines = vec![format!(
        "{}: {} ({about})",
        message.pipeline, message.outcome
    )];
    for step in message.steps.iter().take(NAMED) {
        let why = step
            .why
            .as_ref()
            .map_or(String::new(), |w| format!(": {w}"));
        let outcome = step.outcome.replace('-', " ");
        lines.push(format!("- {} {outcome}{why}", step.step));
    }
    if message.steps.len() > NAMED {
        lines.push(format!("- and {} more", message.steps.len() - NAMED));
    }
    for target in &message.targets {
        lines.push(match target.ending.as_str() {
            "healthy" => format!("- {} runs {}", target.target, target.asked),
            "unchanged" => format!("- {} runs {} already", target.target, target.asked),
            "rolled back" => format!(
                "- {} does not run {}; the release before is active",
                target.target, target.asked
            ),
            other => format!("- {}: {} is {other}", target.target, target.asked),
        });
    }
    lines.push(message.run.clone());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::Failure;

    fn started(steps: &[&str]) -> Event {
        Event::RunStarted {
            run: 12,
            pipeline: "shop".into(),
            trigger: "push".into(),
            at: Some("main".into()),
            sha: Some("1a2b3c4d5e6f".into()),
            continues: None,
            steps: steps.iter().map(|s| (*s).into()).collect(),
        }
    }

    fn ended(step: &str, outcome: Outcome) -> Event {
        Event::StepEnded {
            step: step.into(),
            outcome,
            elapsed: 1,
            attempts: 1,
            in_run: None,
            key: None,
            outputs: std::collections::BTreeMap::new(),
        }
    }

    fn deployed(ending: &str) -> Event {
        Event::Deployed {
            step: "ship.deploy-live".into(),
            target: "live".into(),
            bundle: "b".into(),
            title: "v1.3.0".into(),
            images: std::collections::BTreeMap::new(),
            ending: ending.into(),
        }
    }

    fn told(events: &[Event], outcome: RunOutcome) -> Message {
        let mut story = Story::default();
        events.iter().for_each(|e| story.event(e));
        story.message(outcome, "https://ci.example/12")
    }

    #[test]
    fn a_rolled_back_deployment_says_what_failed_and_what_is_active() {
        let failure = Failure::new("not ready within 2m");
        let message = told(
            &[
                started(&["test.unit", "ship.deploy-live"]),
                ended("test.unit", Outcome::Passed),
                deployed("rolled back"),
                ended("ship.deploy-live", Outcome::Failed { failure }),
            ],
            RunOutcome::RolledBack,
        );
        assert_eq!(message.topics, [Topic::Failed, Topic::RolledBack]);
        assert_eq!(
            message.text,
            "shop: rolled back (push on main 1a2b3c4)\n\
             - ship.deploy-live failed: not ready within 2m\n\
             - live does not run v1.3.0; the release before is active\n\
             https://ci.example/12"
        );
        let json = serde_json::to_value(&message).unwrap();
        assert_eq!(json["topics"], serde_json::json!(["failed", "rolled-back"]));
        assert_eq!(
            (&json["exitCode"], &json["version"]),
            (&6.into(), &1.into())
        );
    }

    #[test]
    fn a_deployment_says_what_runs() {
        let message = told(
            &[
                started(&["ship.deploy-live"]),
                deployed("healthy"),
                ended("ship.deploy-live", Outcome::Passed),
            ],
            RunOutcome::Passed,
        );
        assert_eq!(message.topics, [Topic::Deployed, Topic::Passed]);
        assert_eq!(
            message.text,
            "shop: passed (push on main 1a2b3c4)\n- live runs v1.3.0\nhttps://ci.example/12"
        );
    }

    #[test]
    fn many_failures_are_counted() {
        let names: Vec<String> = (0..12).map(|n| format!("test.j{n}")).collect();
        let mut events = vec![started(
            &names.iter().map(String::as_str).collect::<Vec<_>>(),
        )];
        let failed = || Outcome::Failed {
            failure: Failure::new("exit 1"),
        };
        events.extend(names.iter().map(|n| ended(n, failed())));
        let message = told(&events, RunOutcome::Failed);
        assert_eq!(message.steps.len(), 12);
        let lines: Vec<&str> = message.text.lines().collect();
        assert_eq!(lines[10..12], ["- test.j9 failed: exit 1", "- and 2 more"]);
    }

    #[test]
    fn what_is_allowed_to_fail_is_nothing_to_tell() {
        let failure = Failure::new("exit 1");
        let message = told(
            &[
                started(&["a.b"]),
                ended("a.b", Outcome::SoftFailed { failure }),
            ],
            RunOutcome::Passed,
        );
        assert_eq!(
            (message.topics, message.steps),
            (vec![Topic::Passed], vec![])
        );
    }
}
