//! `pipe explain STEP`: whether it would run, and what of its key differs from an earlier run.

use engine::cache::key::{Change, changes};
use engine::cache::{Cache, Key};
use engine::plan::Plan;
use engine::run::event::Event;
use engine::run::forecast::{Forecast, Will};
use engine::run::outcome::exit;
use serde::Serialize;

use super::logs;
use crate::args::{ExplainArgs, Global, HumanOrJson};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{CAREFUL, DIM, GOOD, STRONG, count, cut, pad, paint};

/// Changes that are shown; more are counted.
const SHOWN: usize = 40;
/// Digits of a hash that are shown.
const DIGITS: usize = 8;

/// A step of the pipeline that is here, or one with several legs.
pub struct Subject {
    project: Project,
    name: String,
}

impl Subject {
    /// The step with this name, if a pipeline is here and has one.
    pub fn find(global: &Global, args: &ExplainArgs, name: &str) -> Option<Self> {
        let project = Project::open(global).ok()?;
        let pipeline = &project.loaded.pipeline;
        let bare = name.split(" (").next().unwrap_or(name);
        let has = pipeline.steps.iter().any(|step| {
            let stage = &pipeline.stage(step.stage).name.value;
            step.name.value == bare || format!("{stage}.{}", step.name.value) == bare
        });
        let asked = args.against.is_some() || args.key;
        (has || asked).then(|| Self {
            project,
            name: name.to_owned(),
        })
    }

    /// Explains the step.
    ///
    /// # Errors
    /// When the file is not sound, or the step takes no part in such a run.
    pub fn explain(&self, args: &ExplainArgs, out: &Out) -> Result<i32, Failed> {
        if self.project.loaded.has_errors() {
            out.report(&self.project.findings(out));
            return Err(Failed::told(exit::USAGE));
        }
        let bare = self.name.split(" (").next().unwrap_or(&self.name);
        let names = [bare.to_owned()];
        let request = self.project.request(&args.about, None, &names, out)?;
        let plan = self.project.plan(request, out)?;
        let mut all = self.project.forecast(&plan);
        all.retain(|f| self.is_meant(&plan, f));
        if all.is_empty() {
            return Err(
                Failed::refused(format!("`{}` takes no part in such a run", self.name))
                    .hint("`pipe plan` says why"),
            );
        }
        if let Some(run) = &args.against {
            self.compare_with(run, &plan, &mut all)?;
        }
        match (args.format, args.key) {
            (_, true) => keys(&plan, &all, out),
            (HumanOrJson::Json, false) => out.line(&json(&plan, &all)),
            (HumanOrJson::Human, false) => {
                all.iter()
                    .for_each(|f| human(&plan, f, args.against.as_deref(), out));
                if dsl::explain::node(&self.name).is_ok() {
                    let text = format!(" The word itself: pipe explain --word {}", self.name);
                    out.line(&paint(DIM, &text));
                }
            }
        }
        Ok(exit::OK)
    }

    fn is_meant(&self, plan: &Plan, forecast: &Forecast) -> bool {
        plan.step(forecast.vertex).is_some_and(|step| {
            let own = &plan.definition(step).name.value;
            let full = plan.pipeline.full_name(step.id);
            [own, &full, &step.label, &step.name].contains(&&self.name)
        })
    }

    /// Takes the keys of a run that was recorded for those of the last one.
    fn compare_with(&self, run: &str, plan: &Plan, all: &mut [Forecast]) -> Result<(), Failed> {
        let runs = self.project.runs();
        let id = logs::run_id(&runs, run)?.ok_or_else(|| {
            Failed::usage(format!("there is no run `{run}`")).hint("`pipe runs` lists them")
        })?;
        let summary = runs.summary(id).map_err(Failed::machine)?;
        let cache = self
            .project
            .cache_settings(&plan.request.context)
            .map(Cache::open);
        for forecast in all {
            let Some(step) = plan.step(forecast.vertex) else {
                continue;
            };
            let key = summary
                .reading
                .events
                .iter()
                .rev()
                .find_map(|(_, e)| match e {
                    Event::StepEnded {
                        step: name, key, ..
                    } if **name == *step.name => *key,
                    _ => None,
                });
            let key = key.ok_or_else(|| {
                Failed::refused(format!("run {id} has no key of `{}`", step.label))
                    .hint("only steps with `inputs` or `key` have one; `pipe logs` shows what ran")
            })?;
            let old = cache.as_ref().and_then(|c| c.key(&key)).ok_or_else(|| {
                Failed::refused(format!(
                    "the key of `{}` in run {id} is not kept any more",
                    step.label
                ))
                .hint("old keys go with the rest of the cache; compare with a newer run")
            })?;
            if let Some(now) = &forecast.now
                && !matches!(forecast.will, Will::BeCached)
            {
                forecast.will = Will::RunChanged(changes(&old, &now.key));
            }
            forecast.last = Some(old);
        }
        Ok(())
    }
}

fn keys(plan: &Plan, all: &[Forecast], out: &Out) {
    for forecast in all {
        let name = plan.step(forecast.vertex).map_or("", |s| s.name.as_str());
        match &forecast.now {
            Some(now) => out.line(&serde_json::to_string_pretty(&now.key).unwrap_or_default()),
            None => out.line(&format!("{name}: {}", verdict(&forecast.will).1)),
        }
    }
}

/// The word for what would be done, and why.
pub fn verdict(will: &Will) -> (&'static str, String) {
    match will {
        Will::RunAlways(why) => ("run", format!("its result is not kept: {why}")),
        Will::BeCached => ("cached", "its key has a result".into()),
        Will::RunFirst => ("run", "it never ran here".into()),
        Will::RunAgain => (
            "run",
            "it failed the last time, or its result is gone".into(),
        ),
        Will::RunChanged(changes) => ("run", brief(changes)),
        Will::Depends(on) => (
            "?",
            format!("that depends on what {} makes", on.join(" and ")),
        ),
        Will::Unknown(why) => ("?", why.clone()),
    }
}

/// `src/lib.rs changed`, or how many things did.
pub fn brief(changes: &[Change]) -> String {
    let name = |c: &Change| match c.kind {
        "input" | "key" => c.name.clone(),
        "run" => "its commands".to_owned(),
        "env" => format!("${}", c.name),
        "from" | "makes" => c.name.clone(),
        kind => format!("its {kind}"),
    };
    let Some(first) = changes.first() else {
        return "nothing changed".to_owned();
    };
    let what = match (&first.before, &first.after) {
        (None, _) => "is new",
        (_, None) => "is gone",
        _ => "changed",
    };
    match changes.len() {
        1 => format!("{} {what}", name(first)),
        many => format!("{} {what}, and {} more", name(first), many - 1),
    }
}

fn human(plan: &Plan, forecast: &Forecast, against: Option<&str>, out: &Out) {
    let Some(step) = plan.step(forecast.vertex) else {
        return;
    };
    let (word, why) = verdict(&forecast.will);
    let style = if word == "cached" { GOOD } else { CAREFUL };
    out.line(&format!(
        " {}  {}: {why}",
        paint(STRONG, &step.name),
        paint(style, word)
    ));
    let (Some(now), Some(last)) = (&forecast.now, &forecast.last) else {
        if let Some(now) = &forecast.now {
            summary(&now.key, &[], out);
        }
        return;
    };
    let changed = changes(last, &now.key);
    let then = against.map_or("the last run".to_owned(), |run| format!("run {run}"));
    if changed.is_empty() {
        out.line(&paint(DIM, &format!("   = the same key as in {then}")));
    } else {
        out.line(&paint(DIM, &format!("   since {then}")));
    }
    let width = changed
        .iter()
        .take(SHOWN)
        .map(|c| c.name.chars().count())
        .max();
    for change in changed.iter().take(SHOWN) {
        let name = pad(&change.name, width.unwrap_or(0).min(40));
        let line = format!("   ~ {:<8} {name}  {}", change.kind, values(change));
        out.line(&cut(&line, out.width));
    }
    if changed.len() > SHOWN {
        out.line(&format!("   ~ and {} more", changed.len() - SHOWN));
    }
    summary(&now.key, &changed, out);
    if !forecast.assumed.is_empty() {
        let line = format!(
            "   ? as in the last run, until a run looks: {}",
            forecast.assumed.join(", ")
        );
        out.line(&paint(DIM, &cut(&line, out.width)));
    }
}

/// What is as it was, by kind.
fn summary(key: &Key, changed: &[Change], out: &Out) {
    let same: Vec<String> = key
        .counts()
        .into_iter()
        .map(|(kind, all)| {
            let other = changed
                .iter()
                .filter(|c| c.kind == kind && c.after.is_some());
            (kind, all - other.count())
        })
        .filter(|(kind, n)| *n > 0 && !matches!(*kind, "platform" | "step" | "makes"))
        .map(|(kind, n)| match kind {
            "input" => count(n, "input"),
            "run" => count(n, "command"),
            "env" => count(n, "variable"),
            "key" => count(n, "part of `key`").replace("part of `key`s", "parts of `key`"),
            kind => format!("{n} × {kind}"),
        })
        .collect();
    if !same.is_empty() {
        let word = if changed.is_empty() { "" } else { " unchanged" };
        out.line(&paint(DIM, &format!("   = {}{word}", same.join(", "))));
    }
}

fn values(change: &Change) -> String {
    let show = |value: &Option<String>| match value {
        None => "none".to_owned(),
        Some(value) => short(value),
    };
    format!("{} → {}", show(&change.before), show(&change.after))
}

/// A value in one line, hashes cut.
fn short(value: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = value.split_whitespace().map(|word| match is_hash(word) {
        true => format!("{}…", &word[..DIGITS]),
        false => word.to_owned(),
    });
    cut(&words.collect::<Vec<_>>().join(" "), 40).into_owned()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepJson<'a> {
    name: &'a str,
    will: &'static str,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    assumed: &'a [String],
}

fn json(plan: &Plan, all: &[Forecast]) -> String {
    let steps: Vec<StepJson<'_>> = all
        .iter()
        .filter_map(|forecast| {
            let step = plan.step(forecast.vertex)?;
            let (will, why) = verdict(&forecast.will);
            let changes = match (&forecast.last, &forecast.now) {
                (Some(last), Some(now)) => changes(last, &now.key),
                _ => Vec::new(),
            };
            Some(StepJson {
                name: &step.name,
                will: if will == "?" { "unknown" } else { will },
                why,
                key: forecast.now.as_ref().map(|n| n.digest.hex()),
                changes,
                assumed: &forecast.assumed,
            })
        })
        .collect();
    let document = serde_json::json!({ "format": 1, "steps": steps });
    format!("{document:#}")
}
