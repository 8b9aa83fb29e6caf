//! Steps are looked at before they begin: whether their result is there, and in place. Those that are ready are looked at
//! side by side while nobody works in the checkout. Changes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use super::start::{Asking, Facts};
use super::{Dispatch, Options};
use crate::cache::{Action, Digest};
use crate::files::{Folders, Glance};
use crate::plan::{Plan, VertexId};
use crate::run::caching::{AtOnce, Found, Look};
use crate::run::event::StepName;
use crate::run::outcome::Failure;
use crate::run::prepare;
use crate::run::recipe::Recipe;
use crate::run::rivals::Rivals;
use crate::side_by_side::side_by_side;

/// So many steps are looked at together. What was seen is worth nothing any more as soon as one of them runs.
const TOGETHER: usize = 256;

/// What was seen of a step.
pub(super) enum Seen {
    /// Its result is there and in place, under this key.
    InPlace(Arc<Action>, Digest),
    /// It has to be begun: what decides its result, if that can be kept, and what is known of it.
    ToBegin(Result<Option<Arc<Recipe>>, Failure>, AtOnce),
}

/// What one needs to look at steps, from several threads.
pub(super) struct Sight<'s> {
    plan: &'s Plan,
    options: &'s Options,
    names: &'s [StepName],
    run_id: u64,
    outputs: &'s BTreeMap<u32, BTreeMap<String, String>>,
    made: &'s BTreeMap<u32, Arc<Action>>,
    artifacts: Option<PathBuf>,
    rivals: &'s Rivals,
    circumstances: Option<Digest>,
}

impl Dispatch<'_> {
    pub(super) fn sight(&self) -> Sight<'_> {
        Sight {
            plan: self.plan,
            options: &self.options,
            names: &self.names,
            run_id: self.run_id,
            outputs: &self.outputs,
            made: &self.made,
            artifacts: self.artifacts_root(),
            rivals: &self.rivals,
            circumstances: self.circumstances,
        }
    }

    /// What is to be seen of a step that is to begin.
    pub(super) fn seen(&mut self, vertex: u32) -> Seen {
        if !self.tasks.is_empty() {
            return self.sight().look(vertex, &Folders::default());
        }
        if let Some(seen) = self.ahead.remove(&vertex) {
            return seen;
        }
        let next = self.core.ready().map(|v| v.0);
        let next = next.filter(|v| !self.ahead.contains_key(v));
        let many = TOGETHER.saturating_sub(self.ahead.len()).max(1);
        let together: Vec<u32> = [vertex].into_iter().chain(next).take(many).collect();
        let sight = self.sight();
        let look = |v: &u32| Ok::<_, Infallible>(sight.look(*v, &self.folders));
        let Ok(seen) = side_by_side(&together, look);
        self.ahead.extend(together.into_iter().zip(seen));
        let own = self.ahead.remove(&vertex);
        own.expect("it is one of those that were looked at")
    }
}

impl<'s> Sight<'s> {
    pub(super) fn facts(&self, vertex: u32) -> Facts<'s> {
        Facts {
            plan: self.plan,
            run_id: self.run_id,
            outputs: self.outputs,
            vertex,
        }
    }

    fn look(&self, vertex: u32, folders: &Folders) -> Seen {
        let Some(cache) = &self.options.cache else {
            return Seen::ToBegin(self.recipe(vertex), AtOnce::Unknown);
        };
        let look = Look {
            step: &self.names[vertex as usize],
            vertex,
            root: &self.options.root,
            cache,
            rivals: self.rivals,
            glance: Glance::among(folders),
        };
        if let Some((action, key)) = self.as_before(vertex, &look) {
            return Seen::InPlace(action, key);
        }
        let recipe = self.recipe(vertex);
        let looked = match &recipe {
            Ok(Some(recipe)) => look.at_once(recipe),
            _ => AtOnce::Unknown,
        };
        match looked {
            AtOnce::InPlace(action, key) => Seen::InPlace(action, key),
            looked => Seen::ToBegin(recipe, looked),
        }
    }

    /// The result that the step has, where it takes no more than a look at its files to know that nothing has changed.
    fn as_before(&self, vertex: u32, look: &Look<'_>) -> Option<Found> {
        let planned = self.plan.step(VertexId::new(vertex as usize))?;
        let job = self.plan.definition(planned).job()?;
        let (action, key) = look.as_before(job, self.circumstances.as_ref()?)?;
        if cfg!(debug_assertions) {
            let recipe = self.recipe(vertex).ok().flatten();
            let recipe = recipe.expect("a step that is kept has a recipe");
            let anew = look.keyed(&recipe).map(|keyed| keyed.digest);
            assert_eq!(anew, Ok(key), "the key of {} rests on more", look.step);
        }
        Some((action, key))
    }

    /// What decides the step's result, if that can be kept.
    pub(super) fn recipe(&self, vertex: u32) -> Result<Option<Arc<Recipe>>, Failure> {
        let facts = self.facts(vertex);
        let artifacts = self.artifacts.as_deref();
        let facts = Asking::of(&facts);
        let (plan, options, made) = (self.plan, self.options, self.made);
        let recipe = prepare::recipe(plan, vertex, options, &facts, artifacts, made)?;
        let circumstances = self.circumstances.filter(|_| !facts.was_asked());
        Ok(recipe.map(|recipe| {
            Arc::new(Recipe {
                circumstances,
                ..recipe
            })
        }))
    }
}
