//! A run under GitHub Actions: a folded group for each step, failures unfolded, annotations, a job summary.

use std::path::PathBuf;
use std::sync::Arc;

use engine::plan::Plan;
use engine::record::Runs;
use engine::run::event::{Event, Subscriber};
use engine::run::outcome::Outcome;

use super::Reporting;
use super::ending::Ending;
use super::out::Out;
use super::words::time;
use crate::commands::print_log;

/// The view.
pub struct GitHub {
    ending: Ending,
    runs: Runs,
    summary: Option<PathBuf>,
    plan: Arc<Plan>,
    out: Out,
}

impl GitHub {
    /// The view.
    #[must_use]
    pub fn new(ending: Ending, about: &Reporting<'_>, out: &Out) -> Self {
        Self {
            ending,
            runs: about.project.runs(),
            summary: std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            plan: Arc::clone(about.plan),
            out: out.clone(),
        }
    }

    fn ended(&self, step: &str, outcome: &Outcome, elapsed: u64) {
        let title = format!(
            "{} {} {}",
            outcome.word(),
            self.ending.label(step),
            time(elapsed)
        );
        let open = outcome.failure().is_some();
        let line = if open {
            title
        } else {
            format!("::group::{}", data(&title))
        };
        self.out.line(&line);
        if self.ending.report.run == 0 {
            let tail = self
                .ending
                .report
                .steps
                .get(step)
                .map(|s| s.tail.clone())
                .unwrap_or_default();
            tail.iter().for_each(|line| self.out.line(line));
        } else {
            print_log(
                &self.runs.dir(self.ending.report.run).log(step),
                engine::output::OuterCi::GitHub,
                &self.out,
            );
        }
        match outcome.failure() {
            None => self.out.line("::endgroup::"),
            Some(failure) => {
                let kind = if matches!(outcome, Outcome::Failed { .. }) {
                    "error"
                } else {
                    "warning"
                };
                let (file, line) = self.ending.place(step).unwrap_or(("pipeline.kdl", 1));
                let title = format!("{} failed", self.ending.label(step));
                self.out.line(&format!(
                    "::{kind} file={},line={line},title={}::{}",
                    property(file),
                    property(&title),
                    data(&failure.what)
                ));
            }
        }
    }

    fn write_summary(&self) {
        let Some(path) = &self.summary else { return };
        let mut text = format!("### {}\n\n", cell(&self.ending.report.pipeline));
        text += "| step | outcome | time |\n|---|---|--:|\n";
        for (name, step) in &self.ending.report.steps {
            let outcome = step.outcome.as_ref().map_or("not begun", Outcome::word);
            text += &format!(
                "| {} | {outcome} | {} |\n",
                cell(self.ending.label(name)),
                time(step.elapsed)
            );
        }
        text += &format!(
            "\n```mermaid\n{}\n```\n",
            crate::commands::mermaid(&self.plan, &self.ending.report).trim_end()
        );
        let append = || -> std::io::Result<()> {
            let mut file = std::fs::File::options()
                .append(true)
                .create(true)
                .open(path)?;
            std::io::Write::write_all(&mut file, text.as_bytes())
        };
        if let Err(e) = append() {
            self.out
                .warning(&format!("the job summary cannot be written: {e}"));
        }
    }
}

impl Subscriber for GitHub {
    fn event(&mut self, event: &Event) {
        self.ending.report.event(event);
        match event {
            Event::RunStarted { .. } => self.out.line(&self.ending.head()),
            Event::StepEnded {
                step,
                outcome,
                elapsed,
                ..
            } if !matches!(outcome, Outcome::Skipped { .. } | Outcome::Cached) => {
                self.ended(step, outcome, *elapsed);
            }
            Event::RunEnded { .. } => {
                self.ending
                    .end()
                    .iter()
                    .for_each(|line| self.out.line(line));
                self.write_summary();
            }
            event => {
                if let Some(line) = self.ending.line(event) {
                    self.out.line(&line);
                }
            }
        }
    }
}

/// A name in a Markdown table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}

/// The text of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
