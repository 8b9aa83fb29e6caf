//! `pipe logs [RUN] [STEP]`: what the steps of a run wrote.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use engine::output::{Chain, Masker, OuterCi, Sink};
use engine::record::{Runs, Summary};
use engine::report::{Report, StepReport};
use engine::run::outcome::exit;

use crate::args::{Global, LogsArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{DIM, paint, style, time};

/// Shows logs.
///
/// # Errors
/// When there is no such run or step.
pub fn run(global: &Global, args: &LogsArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open(global)?;
    let runs = project.runs();
    let (id, step) = match args.what.as_slice() {
        [] => (latest(&runs)?, None),
        [one] => match run_id(&runs, one)? {
            Some(id) => (id, None),
            None => (latest(&runs)?, Some(one.as_str())),
        },
        [run, step, ..] => match run_id(&runs, run)? {
            Some(id) => (id, Some(step.as_str())),
            None => {
                return Err(Failed::usage(format!("there is no run `{run}`"))
                    .hint("`pipe runs` lists them"));
            }
        },
    };
    let summary = open(&runs, id)?;
    let report = Report::of(summary.reading.events.iter().map(|(_, e)| e));
    let wanted = choose(&report, step, args.failed)?;
    if wanted.is_empty() && args.failed {
        let what = step.map_or(String::new(), |s| format!(" of `{s}`"));
        out.report(&format!("nothing{what} failed in run {id}\n"));
    }
    for (name, step) in &wanted {
        if wanted.len() > 1 {
            out.line(&heading(name, step, out.width));
        }
        show(&runs.dir(id).log(name), args.raw, out);
    }
    Ok(exit::OK)
}

/// A run's number, if the word is one: a number, or `latest`.
///
/// # Errors
/// When it is a number that no run has.
pub fn run_id(runs: &Runs, word: &str) -> Result<Option<u64>, Failed> {
    if word == "latest" {
        return latest(runs).map(Some);
    }
    let Ok(id) = word.parse::<u64>() else {
        return Ok(None);
    };
    if runs.ids().contains(&id) {
        return Ok(Some(id));
    }
    Err(Failed::usage(format!("there is no run {id}"))
        .hint("`pipe runs` lists them; the newest 100 are kept"))
}

/// The newest run.
///
/// # Errors
/// When there is none.
pub fn latest(runs: &Runs) -> Result<u64, Failed> {
    // A folder without a journal is a run that was killed before it began.
    let mut newest = runs.ids().into_iter().rev();
    newest
        .find(|id| runs.summary(*id).is_ok())
        .ok_or_else(|| Failed::usage("nothing has been run here yet").hint("pipe run"))
}

/// A run's journal.
///
/// # Errors
/// When it cannot be read.
pub fn open(runs: &Runs, id: u64) -> Result<Summary, Failed> {
    runs.summary(id).map_err(|why| {
        Failed::machine(format!("run {id} cannot be read: {why}"))
            .hint("`pipe runs` lists the others")
    })
}

fn choose<'r>(
    report: &'r Report,
    step: Option<&str>,
    failed: bool,
) -> Result<Vec<(&'r str, &'r StepReport)>, Failed> {
    let all = report.steps.iter().map(|(n, s)| (&**n, s));
    let named = |name: &str| match step {
        None => true,
        Some(step) => {
            name == step
                || name
                    .split_once('.')
                    .is_some_and(|(stage, own)| own == step || stage == step)
        }
    };
    let legs = |name: &str| {
        step.is_some_and(|s| {
            let leg = format!("{s} (");
            name.starts_with(&leg)
                || name
                    .split_once('.')
                    .is_some_and(|(_, own)| own.starts_with(&leg))
        })
    };
    let found: Vec<_> = all.filter(|(n, _)| named(n) || legs(n)).collect();
    if found.is_empty() {
        let known: Vec<&str> = report.steps.keys().map(|n| &**n).collect();
        let near = step.and_then(|s| {
            let short = known
                .iter()
                .map(|n| n.split_once('.').map_or(*n, |(_, own)| own));
            dsl::diagnostic::nearest(s, short)
        });
        let hint = near.map_or_else(
            || format!("it had {}", known.join(", ")),
            |n| format!("did you mean `{n}`?"),
        );
        let what = format!(
            "run {} had no step `{}`",
            report.run,
            step.unwrap_or_default()
        );
        return Err(Failed::usage(what).hint(hint));
    }
    let did_fail = |s: &StepReport| s.outcome.as_ref().is_some_and(|o| o.failure().is_some());
    Ok(found
        .into_iter()
        .filter(|(_, s)| !failed || did_fail(s))
        .filter(|(_, s)| s.begun)
        .collect())
}

fn heading(name: &str, step: &StepReport, width: usize) -> String {
    let outcome = match &step.outcome {
        Some(outcome) => paint(style(outcome), outcome.word()),
        None => "not ended".to_owned(),
    };
    let line = "─".repeat(width.saturating_sub(name.chars().count() + 26).min(40));
    format!(
        "── {name} {} {outcome} {}",
        paint(DIM, &line),
        paint(DIM, &time(step.elapsed))
    )
}

struct Printer<'a>(&'a Out);

impl Sink for Printer<'_> {
    fn bytes(&mut self, _: &[u8]) {}

    fn line(&mut self, line: &str) {
        self.0.line(line);
    }
}

/// Prints a log: fit for a terminal, or as it is.
fn show(log: &Path, raw: bool, out: &Out) {
    if !raw {
        return print(log, OuterCi::None, out);
    }
    let Ok(mut file) = File::open(log) else {
        return;
    };
    chunks(&mut file, |chunk| out.bytes(chunk));
}

/// Prints a log, fit for a terminal and for a CI that takes commands from output.
pub fn print(log: &Path, outer: OuterCi, out: &Out) {
    // A step that wrote nothing has no log.
    let Ok(mut file) = File::open(log) else {
        return;
    };
    let masker = Masker::new(&Vec::<(String, Vec<u8>)>::new()).0;
    let mut chain = Chain::new(&masker, outer);
    let mut printer = Printer(out);
    chunks(&mut file, |chunk| chain.feed(chunk, &mut printer));
    chain.finish(&mut printer);
}

fn chunks(file: &mut File, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = file.read(&mut buffer) {
        match read {
            0 => break,
            n => each(&buffer[..n]),
        }
    }
}
