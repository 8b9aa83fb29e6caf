//! What all views of a run have in common: its head, the line of an ended step, and its end with every failure whole.

use std::sync::Arc;

use dsl::model::StepKind;
use dsl::source::SourceId;
use engine::plan::{Plan, PlannedStep};
use engine::report::{Report, StepReport};
use engine::run::event::Event;
use engine::run::outcome::{Failure, Outcome, RunOutcome, UndoOutcome};
use indexmap::IndexMap;

use super::Reporting;
use super::out::Out;
use super::words::{BAD, CAREFUL, DIM, GOOD, STRONG, count, counts, cut, paint, style, time};
use crate::again::Again;
use crate::commands::{about, by_hand};

/// How many failures are shown whole.
const SHOWN: usize = 10;
/// As wide as the column of what became of a step.
const BLANKS: &str = "           ";
/// A run that takes so many milliseconds is told where its time went.
const WORTH: u64 = 1000;

/// The state of the run, and what its steps are called.
pub struct Ending {
    /// What has happened so far.
    pub report: Report,
    steps: IndexMap<String, StepWords>,
    /// The names of the pipeline's files, by source.
    files: Vec<String>,
    plan: Arc<Plan>,
    about: String,
    again: Again,
    out: Out,
}

/// How a step is called, and where it stands.
struct StepWords {
    /// Short, where that is unique in the run.
    label: String,
    source: SourceId,
    line: usize,
}

impl Ending {
    /// Looks the names up.
    #[must_use]
    pub fn new(reporting: &Reporting<'_>, out: &Out) -> Self {
        let (plan, sources) = (reporting.plan, &reporting.project.loaded.sources);
        let mut labels: IndexMap<&str, usize> = IndexMap::new();
        plan.steps()
            .for_each(|(_, s)| *labels.entry(&s.label).or_default() += 1);
        let words = |step: &PlannedStep| {
            let definition = plan.definition(step);
            let span = definition.span;
            StepWords {
                label: if labels[step.label.as_str()] == 1 {
                    step.label.clone()
                } else {
                    step.name.clone()
                },
                source: span.source,
                line: sources.get(span.source).line(span.start),
            }
        };
        Self {
            report: Report::default(),
            steps: plan
                .steps()
                .map(|(_, s)| (s.name.clone(), words(s)))
                .collect(),
            files: sources.iter().map(|s| s.name.clone()).collect(),
            plan: Arc::clone(plan),
            about: about(plan),
            again: reporting.again.clone(),
            out: out.clone(),
        }
    }

    /// The short name of a step.
    #[must_use]
    pub fn label<'n>(&'n self, step: &'n str) -> &'n str {
        self.steps.get(step).map_or(step, |w| &w.label)
    }

    /// The file and line of a step.
    #[must_use]
    pub fn place(&self, step: &str) -> Option<(&str, usize)> {
        let words = self.steps.get(step)?;
        let file = self.files.get(words.source.0 as usize)?;
        Some((file, words.line))
    }

    /// The width that labels are filled up to.
    #[must_use]
    pub fn label_width(&self) -> usize {
        self.steps
            .values()
            .map(|w| w.label.chars().count())
            .max()
            .unwrap_or(0)
            .min(30)
    }

    /// ` pipe 0.1.0  run 7  push on main 1a2b3c4  12 steps`
    #[must_use]
    pub fn head(&self) -> String {
        let run = if self.report.run == 0 {
            String::new()
        } else {
            format!("  run {}", self.report.run)
        };
        let continues = self.report.continues;
        let continues = continues.map(|run| format!("  continues run {run}"));
        format!(
            " {} {}{run}  {}  {}{}",
            paint(STRONG, "pipe"),
            env!("CARGO_PKG_VERSION"),
            self.about,
            count(self.report.steps.len(), "step"),
            continues.unwrap_or_default()
        )
    }

    /// The line of an event that every view shows; `None` for what only some show.
    #[must_use]
    pub fn line(&self, event: &Event) -> Option<String> {
        let state = |word: &str, style, step: &str, rest: &str| {
            let text = [self.label(step), "  ", rest].concat();
            let text = cut(&text, self.out.width.saturating_sub(14));
            let blanks = &BLANKS[word.len().min(BLANKS.len())..];
            // Most runs write no colours, and have a line for each step.
            Some(match self.out.color {
                true => [" ", &paint(style, &[blanks, word].concat()), " ", &text].concat(),
                false => [" ", blanks, word, " ", &text].concat(),
            })
        };
        match event {
            Event::StepEnded {
                step,
                outcome,
                elapsed,
                attempts,
                in_run,
                ..
            } => {
                let (word, rest) = match in_run {
                    Some(run) => ("done", format!("in run {run}")),
                    None => (outcome.word(), ended(outcome, *elapsed, *attempts)),
                };
                state(word, style(outcome), step, &rest)
            }
            Event::Retry {
                step,
                failure,
                wait,
                ..
            } => state(
                "retry",
                CAREFUL,
                step,
                &format!("{}; again in {}", failure.what, time(*wait)),
            ),
            Event::UndoStarted { step } => state("undoing", CAREFUL, step, ""),
            Event::UndoEnded {
                step,
                outcome,
                elapsed,
            } => match outcome {
                UndoOutcome::RolledBack => state("rolled back", GOOD, step, &time(*elapsed)),
                UndoOutcome::RollbackFailed { failure } => {
                    state("NOT undone", BAD, step, &failure.what)
                }
                UndoOutcome::Dropped => state("NOT undone", BAD, step, "the run was killed before"),
            },
            Event::Cancelling { why, running } => {
                let names: Vec<&str> = running.iter().map(|s| self.label(s)).collect();
                let what = if names.is_empty() {
                    "nothing is running".to_owned()
                } else {
                    format!("stopping {}", names.join(", "))
                };
                let again = "once more kills";
                Some(paint(
                    CAREFUL,
                    &cut(
                        &format!(" cancelled by {why}: {what} ({again})"),
                        self.out.width,
                    ),
                ))
            }
            Event::Killing => Some(paint(BAD, " killing what still runs")),
            Event::Warning { text } => Some(format!(
                " {} {text}",
                paint(CAREFUL, &format!("{:>11}", "warning"))
            )),
            _ => None,
        }
    }

    /// Everything that is said when a run is over: failures whole, then the summary.
    #[must_use]
    pub fn end(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let failed: Vec<(&str, &StepReport)> = self.failed().collect();
        for (name, step) in failed.iter().take(SHOWN) {
            lines.extend(self.failure(name, step));
        }
        if failed.len() > SHOWN {
            lines.push(paint(
                DIM,
                &format!(" and {} more failures", failed.len() - SHOWN),
            ));
        }
        lines.extend(self.undo_trouble());
        lines.push(String::new());
        lines.push(self.verdict());
        lines.extend(self.next());
        lines
    }

    /// The steps that failed and were not allowed to, or wait for people, in file order.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &StepReport)> {
        let steps = self.report.steps.iter().map(|(n, s)| (&**n, s));
        steps.filter(|(_, s)| {
            matches!(
                s.outcome,
                Some(Outcome::Failed { .. } | Outcome::Waiting { .. })
            )
        })
    }

    fn failure(&self, name: &str, step: &StepReport) -> Vec<String> {
        let Some(failure) = step.outcome.as_ref().and_then(Outcome::failure) else {
            return Vec::new();
        };
        let mut lines = vec![String::new()];
        let command = failure
            .command
            .as_ref()
            .map(|c| format!(" · {c}"))
            .unwrap_or_default();
        lines.push(self.rule(&format!("── {}{command} ", self.label(name))));
        lines.extend(step.tail.iter().cloned());
        let shown = step.tail.len() as u64;
        let of = match (shown, step.lines) {
            (_, 0) => "it wrote nothing".to_owned(),
            (shown, all) if shown == all => {
                count(usize::try_from(all).unwrap_or(usize::MAX), "line")
            }
            (shown, all) => format!("last {shown} of {all} lines"),
        };
        lines.push(self.rule(&format!("── {of} ")));
        lines.push(format!(
            " {} {}",
            paint(BAD, &failure.what),
            paint(DIM, &self.defined(name))
        ));
        lines.extend(
            failure
                .help
                .iter()
                .map(|h| format!(" {} {h}", paint(CAREFUL, "hint"))),
        );
        lines
    }

    fn defined(&self, name: &str) -> String {
        self.place(name)
            .map(|(file, line)| format!("  defined at {file}:{line}"))
            .unwrap_or_default()
    }

    fn rule(&self, text: &str) -> String {
        let text = cut(text, self.out.width.saturating_sub(2));
        let rest = self.out.width.min(78).saturating_sub(text.chars().count());
        paint(DIM, &format!("{text}{}", "─".repeat(rest)))
    }

    /// What is left in which state when an undo did not work.
    fn undo_trouble(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (step, outcome) in &self.report.undos {
            let failure: Option<&Failure> = match outcome {
                Some(UndoOutcome::RollbackFailed { failure }) => Some(failure),
                _ => None,
            };
            if matches!(outcome, Some(UndoOutcome::RolledBack)) {
                continue;
            }
            let why = failure.map_or("it could not begin".to_owned(), |f| f.what.clone());
            let done = self
                .report
                .steps
                .get(step)
                .and_then(|s| s.outcome.as_ref())
                .map_or("begun", Outcome::word);
            lines.push(format!(
                " {} {} ({done}) is not undone: {why}{}",
                paint(BAD, "attention"),
                self.label(step),
                failure
                    .and_then(|f| f.command.as_ref())
                    .map(|c| format!("; undo it by hand: `{c}`"))
                    .unwrap_or_default()
            ));
        }
        lines
    }

    fn verdict(&self) -> String {
        let report = &self.report;
        let outcome = report.outcome.unwrap_or(RunOutcome::NeedsAttention);
        let all = report.steps.len();
        let numbers = report.counts();
        let took = time(report.elapsed);
        let style = match outcome {
            RunOutcome::Passed => GOOD,
            RunOutcome::Cancelled { .. } | RunOutcome::Waiting => CAREFUL,
            _ => BAD,
        };
        let what = match outcome {
            RunOutcome::Passed => format!("{} in {took}", count(all, "step")),
            RunOutcome::Cancelled { .. } | RunOutcome::Waiting => format!("after {took}"),
            RunOutcome::NeedsAttention if numbers.failed == 0 => format!("after {took}"),
            _ => format!(
                "{} of {} in {took}",
                numbers.failed.max(1),
                count(all, "step")
            ),
        };
        let word = if outcome == RunOutcome::Passed {
            "ok"
        } else {
            outcome.word()
        };
        let mut text = format!(" {}  {what} · {}", paint(style, word), counts(&numbers));
        if outcome == RunOutcome::Passed && report.elapsed >= WORTH {
            text += &paint(DIM, &self.longest_path());
        }
        text
    }

    /// ` · longest path build → test (58s)`, where there is a path.
    fn longest_path(&self) -> String {
        let took = |step: &PlannedStep| {
            self.report
                .steps
                .get(step.name.as_str())
                .map_or(0, |s| s.elapsed)
        };
        let path = self.plan.longest_path(&took);
        let steps: Vec<&PlannedStep> = path
            .into_iter()
            .filter_map(|v| self.plan.step(v))
            .filter(|s| took(s) > 0)
            .collect();
        if steps.len() < 2 {
            return String::new();
        }
        let names: Vec<&str> = steps.iter().take(5).map(|s| self.label(&s.name)).collect();
        let more = if steps.len() > 5 { " → …" } else { "" };
        let all = time(steps.iter().map(|s| took(s)).sum());
        format!(" · longest path {}{more} ({all})", names.join(" → "))
    }

    /// The commands that help now.
    fn next(&self) -> Vec<String> {
        let cancelled = matches!(self.report.outcome, Some(RunOutcome::Cancelled { .. }));
        let Some((name, _)) = self.failed().next() else {
            let resume = format!(
                "   {:<10} {}",
                "continue",
                self.again.resume(self.report.run)
            );
            let can = cancelled && self.report.run != 0;
            return can.then_some(resume).into_iter().collect();
        };
        let Some(key) = key(&self.plan, name) else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        if self.report.outcome == Some(RunOutcome::Waiting) && self.report.run != 0 {
            let resume = self.again.resume(self.report.run);
            return vec![format!("   {:<10} {resume}", "continue")];
        }
        if self.report.run != 0 {
            lines.push(format!(
                "   {:<10} {}",
                "see all",
                self.again.logs(self.report.run, &key)
            ));
        }
        let again = self.again(name, key);
        lines.push(format!("   {:<10} {again}", "again"));
        lines
    }
}

impl Ending {
    /// The command that does a step again.
    fn again(&self, name: &str, key: String) -> String {
        let Some((_, step)) = self.plan.steps().find(|(_, s)| s.name == name) else {
            return self.again.run(&[key], false);
        };
        let by_hand = self.plan.stages[step.stage].name == by_hand::STAGE;
        match &self.plan.definition(step).kind {
            StepKind::Promote(promote) if by_hand => {
                self.again.by_hand("promote", &promote.rule.value)
            }
            StepKind::Deploy(deploy) if by_hand => {
                self.again.by_hand("rollback", &deploy.target.value)
            }
            kind => self.again.run(&[key], kind.has_effects()),
        }
    }
}

/// How long a step took, after how many tries, and why it failed or was skipped.
fn ended(outcome: &Outcome, elapsed: u64, attempts: u32) -> String {
    let tries = if attempts > 1 {
        format!("  after {attempts} tries")
    } else {
        String::new()
    };
    match outcome {
        Outcome::Skipped { reason, .. } => reason.clone(),
        outcome => match outcome.failure() {
            Some(failure) => format!("{}  {}{tries}", time(elapsed), failure.what),
            None => time(elapsed) + &tries,
        },
    }
}

/// What `pipe run` calls a step: short where only one has the name.
fn key(plan: &Plan, name: &str) -> Option<String> {
    let (_, step) = plan.steps().find(|(_, s)| s.name == name)?;
    let own = &plan.definition(step).name.value;
    let pipeline = &plan.pipeline;
    let unique = pipeline
        .steps
        .iter()
        .filter(|s| s.name.value == *own)
        .count()
        == 1;
    let stage = pipeline.stages.iter().any(|s| s.name.value == *own);
    Some(if unique && !stage {
        own.clone()
    } else {
        pipeline.full_name(step.id)
    })
}
