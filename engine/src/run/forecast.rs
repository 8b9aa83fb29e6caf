//! What a run would do with each step that can be cached, and why. Reads files; runs nothing, changes nothing.
//!
//! Secrets, and what the commands of a `key` print, are taken to be as they were in the last run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dsl::model::{KeyPart, StepId};
use dsl::source::Span;

use super::caching::{Keyed, keyed};
use super::dispatch::Options;
use super::place::in_key;
use super::prepare;
use super::recipe::{self, Recipe};
use super::task::{self, image_output};
use crate::cache::key::{Change, changes};
use crate::cache::snapshot::is_in_place;
use crate::cache::{Action, Cache, Key};
use crate::container::is_by_digest;
use crate::plan::{Plan, RunFacts, VertexId};

/// What is to be expected of a step.
#[derive(Debug)]
pub struct Forecast {
    /// The step.
    pub vertex: VertexId,
    /// What a run would do.
    pub will: Will,
    /// Its key as it is now, where it has one that can be told.
    pub now: Option<Keyed>,
    /// Its key in the last run, if that is known.
    pub last: Option<Key>,
    /// What its key has of the last run, and a run finds out anew: images whose tag may have moved, what commands print.
    pub assumed: Vec<String>,
}

/// What a run would do with a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Will {
    /// Run it: its result is never kept, for this reason.
    RunAlways(&'static str),
    /// Not run it: its result is there.
    BeCached,
    /// Run it: this has changed since the last run.
    RunChanged(Vec<Change>),
    /// Run it: it was never run here.
    RunFirst,
    /// Run it: nothing has changed since the last run, which failed or whose result is gone.
    RunAgain,
    /// That depends on what other steps of the run make.
    Depends(Vec<String>),
    /// That cannot be told.
    Unknown(String),
}

/// Looks at every step of a plan, in an order in which each comes after what it needs.
#[must_use]
pub fn forecast(plan: &Plan, options: &Options) -> Vec<Forecast> {
    let mut so_far = SoFar {
        plan,
        made: BTreeMap::new(),
        open: Vec::new(),
    };
    let mut all = Vec::new();
    for vertex in plan.order() {
        let Some(step) = plan.step(vertex) else {
            continue;
        };
        let forecast = one(&so_far, vertex, options);
        if forecast.will != Will::BeCached {
            so_far.open.push(step.id);
        } else if let (Some(now), Some(cache)) = (&forecast.now, &options.cache)
            && let Some(action) = cache.find(&step.name, &now.digest)
        {
            let at = u32::try_from(vertex.index()).unwrap_or(u32::MAX);
            so_far.made.insert(at, action);
        }
        all.push(forecast);
    }
    all
}

fn one(so_far: &SoFar<'_>, vertex: VertexId, options: &Options) -> Forecast {
    let at = u32::try_from(vertex.index()).unwrap_or(u32::MAX);
    let mut forecast = Forecast {
        vertex,
        will: Will::RunAlways("there is no folder for results"),
        now: None,
        last: None,
        assumed: Vec::new(),
    };
    let (Some(cache), Some(step)) = (&options.cache, so_far.plan.step(vertex)) else {
        return forecast;
    };
    if let Some(why) = recipe::why_never(so_far.plan.definition(step)) {
        forecast.will = Will::RunAlways(why);
        return forecast;
    }
    let facts = Facts { so_far, at };
    let nowhere = Some(Path::new(""));
    let recipe = match prepare::recipe(so_far.plan, at, options, &facts, nowhere, &so_far.made) {
        Ok(Some(recipe)) => recipe,
        Ok(None) => return forecast,
        Err(_) => {
            let on = so_far.makers_of_outputs(vertex);
            forecast.will = match on.is_empty() {
                true => Will::Unknown("a value is known only in a run".to_owned()),
                false => Will::Depends(on),
            };
            return forecast;
        }
    };
    forecast.last = cache.last_key(&step.name);
    let on = so_far.still_open(&recipe);
    if !on.is_empty() {
        forecast.will = Will::Depends(on);
        return forecast;
    }
    forecast.assumed = found_anew(&recipe);
    match as_last_time(recipe, forecast.last.as_ref()) {
        Err(why) => forecast.will = Will::Unknown(why),
        Ok((recipe, printed)) => match keyed(&recipe, &options.root, cache, &printed, None) {
            Err(why) => forecast.will = Will::Unknown(why),
            Ok(now) => {
                let has_image = |action: &Action| task::has_image(&recipe, action, &options.images);
                forecast.will = will(cache, &step.name, &now, forecast.last.as_ref(), &has_image);
                forecast.now = Some(now);
            }
        },
    }
    forecast
}

fn will(
    cache: &Cache,
    step: &str,
    now: &Keyed,
    last: Option<&Key>,
    has_image: &dyn Fn(&Action) -> bool,
) -> Will {
    let there = |action: &Action| {
        let root = cache.root();
        let all = action
            .blobs()
            .all(|(digest, size)| cache.store().has(&digest, size));
        all || (action.log.is_none() && is_in_place(root, &action.outputs, cache.index(), None))
    };
    if cache
        .find(step, &now.digest)
        .is_some_and(|action| there(&action) && has_image(&action))
    {
        return Will::BeCached;
    }
    match last {
        None => Will::RunFirst,
        Some(last) => match changes(last, &now.key) {
            changes if changes.is_empty() => Will::RunAgain,
            changes => Will::RunChanged(changes),
        },
    }
}

/// What only a run finds out of a recipe.
fn found_anew(recipe: &Recipe) -> Vec<String> {
    let images = recipe.images.iter().map(|(_, source)| &source.reference);
    let moving = images.filter(|reference| !is_by_digest(reference)).cloned();
    let printed = recipe.parts.iter().filter_map(|part| match part {
        KeyPart::Run(command) => Some(format!("what `{command}` prints")),
        _ => None,
    });
    moving.chain(printed).collect()
}

/// Puts in what only a run finds out, as it was the last time.
fn as_last_time(
    mut recipe: Recipe,
    last: Option<&Key>,
) -> Result<(Recipe, BTreeMap<String, String>), String> {
    let secrets = last.iter().flat_map(|key| key.env.iter());
    for (name, value) in secrets.filter(|(_, value)| value.starts_with("secret ")) {
        let env = Arc::make_mut(&mut recipe.key.env);
        env.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for (name, source) in std::mem::take(&mut recipe.images) {
        let then = last.and_then(|key| key.setting.get(&name));
        let same = then.filter(|t| t.starts_with(&in_key(&source.reference, "")));
        let same =
            same.ok_or_else(|| format!("which image {} is shows only in a run", source.reference))?;
        Arc::make_mut(&mut recipe.key.setting).insert(name, same.clone());
    }
    let mut printed = BTreeMap::new();
    for part in &recipe.parts {
        let KeyPart::Run(command) = part else {
            continue;
        };
        let then = last.and_then(|key| key.parts.get(&format!("(run) {command}")));
        let then = then.ok_or_else(|| format!("its key has what `{command}` prints"))?;
        printed.insert(command.clone(), then.clone());
    }
    Ok((recipe, printed))
}

/// What has been found out so far.
struct SoFar<'a> {
    plan: &'a Plan,
    /// The results that are there.
    made: BTreeMap<u32, Arc<Action>>,
    /// Steps that run, so that nobody knows what they make.
    open: Vec<StepId>,
}

impl SoFar<'_> {
    /// The steps whose products a recipe needs, and that run.
    fn still_open(&self, recipe: &Recipe) -> Vec<String> {
        let makers = recipe.makers.values().map(|(maker, _)| *maker);
        let mut all: Vec<StepId> = makers.chain(recipe.takes.iter().map(|t| t.maker)).collect();
        all.sort_unstable();
        all.dedup();
        self.names(all.into_iter().filter(|m| self.open.contains(m)))
    }

    fn makers_of_outputs(&self, vertex: VertexId) -> Vec<String> {
        let Some(step) = self.plan.step(vertex) else {
            return Vec::new();
        };
        let waits = self.plan.definition(step).waits.iter();
        let makers = waits.filter_map(|w| match w.target {
            dsl::model::WaitTarget::Step(id) if self.open.contains(&id) => Some(id),
            _ => None,
        });
        self.names(makers)
    }

    fn names(&self, steps: impl Iterator<Item = StepId>) -> Vec<String> {
        steps
            .map(|s| self.plan.pipeline.step(s).name.value.clone())
            .collect()
    }
}

/// The outputs of steps whose results are there, as one step sees them.
struct Facts<'a> {
    so_far: &'a SoFar<'a>,
    at: u32,
}

impl RunFacts for Facts<'_> {
    fn run_id(&self) -> Option<String> {
        None
    }

    fn output(&self, span: Span, name: &str) -> Option<Result<String, String>> {
        let plan = self.so_far.plan;
        let own = plan.step(VertexId::new(self.at as usize))?;
        let maker = plan.definition(own).maker_of_output(span)?;
        let (vertex, _) = plan.steps().find(|(_, s)| s.id == maker)?;
        let made = self.so_far.made.get(&u32::try_from(vertex.index()).ok()?)?;
        made.values.get(name).map(|value| Ok(value.clone()))
    }

    fn image(&self, name: &str, digest: bool) -> Option<Result<String, String>> {
        let known = |vertex: VertexId| {
            let made = self.so_far.made.get(&u32::try_from(vertex.index()).ok()?)?;
            made.values.get(&image_output(name, digest)).cloned()
        };
        let own = VertexId::new(self.at as usize);
        let makers = self.so_far.plan.makers_of_image(own, name, !digest);
        makers.into_iter().rev().find_map(known).map(Ok)
    }

    fn version(&self, _: &str) -> Option<String> {
        // A release is made anew.
        None
    }
}
