//! Steps are looked at before they begin: whether their result is there, and in place. As long as nobody works in the
//! checkout, other threads look at those whose turn is still to come. Changes nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use super::start::{Asking, Facts};
use super::{Begun, Dispatch, Options};
use crate::cache::{Action, Digest};
use crate::files::{Folders, Glance};
use crate::plan::{Plan, VertexId};
use crate::run::caching::{Found, Look, Missed};
use crate::run::event::StepName;
use crate::run::outcome::Failure;
use crate::run::prepare;
use crate::run::recipe::Recipe;
use crate::run::rivals::Rivals;
use crate::side_by_side::processors;

/// So few steps are looked at sooner than a thread is found for them.
const FEW: usize = 32;
/// So many threads look at once at most.
const MOST: u32 = 16;

/// What is to come of a step.
pub(super) enum Outlook {
    /// Nothing: its result is there and in place.
    InPlace(Found),
    /// It has to be begun: what decides its result, if that can be kept, and its key if that is known.
    ToBegin(Result<Option<Arc<Recipe>>, Failure>, Missed),
}

/// What one needs to look at steps and does not change while they run.
pub(super) struct Sight {
    pub(super) plan: Arc<Plan>,
    pub(super) options: Options,
    /// The steps' full names, by vertex.
    pub(super) names: Vec<StepName>,
    pub(super) run_id: u64,
    /// Where the run keeps artifacts.
    pub(super) artifacts: Option<PathBuf>,
    /// Found out by whoever looks first.
    pub(super) rivals: OnceLock<Arc<Rivals>>,
    pub(super) circumstances: Option<Digest>,
}

/// What the run has found out so far.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) outputs: &'k BTreeMap<u32, BTreeMap<String, String>>,
    pub(super) made: &'k BTreeMap<u32, Arc<Action>>,
}

impl Dispatch<'_> {
    /// What is to come of a step whose turn it is.
    pub(super) fn outlook(&mut self, vertex: u32) -> Outlook {
        if self.ahead.is_none() && self.tasks.is_empty() && self.in_a_row >= FEW {
            self.ahead = Ahead::of_those_left(&self.sight, &self.remaining, &self.begun);
        }
        let ahead = self.ahead.as_ref();
        let outlook = ahead.and_then(|a| a.outlook(vertex)).unwrap_or_else(|| {
            let moment = Folders::default();
            let folders = match self.tasks.is_empty() {
                true => &self.folders,
                false => &moment,
            };
            self.sight.look(vertex, self.known(), folders)
        });
        match outlook {
            Outlook::InPlace(..) => self.in_a_row += 1,
            Outlook::ToBegin(..) => self.in_a_row = 0,
        }
        outlook
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known {
            outputs: &self.outputs,
            made: &self.made,
        }
    }

    /// Whoever works in the checkout changes what is seen.
    pub(super) fn forget_seen(&mut self) {
        self.folders = Folders::default();
        if let Some(ahead) = self.ahead.take() {
            ahead.end();
        }
    }
}

impl Sight {
    pub(super) fn facts<'s>(&'s self, vertex: u32, known: Known<'s>) -> Facts<'s> {
        Facts {
            plan: &self.plan,
            run_id: self.run_id,
            outputs: known.outputs,
            vertex,
        }
    }

    pub(super) fn rivals(&self) -> &Arc<Rivals> {
        self.rivals.get_or_init(|| Arc::new(Rivals::of(&self.plan)))
    }

    fn look(&self, vertex: u32, known: Known<'_>, folders: &Folders) -> Outlook {
        match self.at(vertex, folders) {
            Some(look) => self.look_with(&look, known).0,
            None => Outlook::ToBegin(self.recipe(vertex, known).0, None),
        }
    }

    /// The same before the run has found out anything; nothing where that may count.
    fn look_early(&self, vertex: u32, folders: &Folders) -> Option<Outlook> {
        let (outputs, made) = (BTreeMap::new(), BTreeMap::new());
        let known = Known {
            outputs: &outputs,
            made: &made,
        };
        let (outlook, was_asked) = self.look_with(&self.at(vertex, folders)?, known);
        let takes = match &outlook {
            Outlook::ToBegin(Ok(Some(recipe)), _) => !recipe.takes.is_empty(),
            _ => false,
        };
        (!was_asked && !takes).then_some(outlook)
    }

    fn at<'s>(&'s self, vertex: u32, folders: &'s Folders) -> Option<Look<'s>> {
        Some(Look {
            step: &self.names[vertex as usize],
            vertex,
            root: &self.options.root,
            cache: self.options.cache.as_ref()?,
            rivals: self.rivals(),
            glance: Glance::among(folders),
        })
    }

    /// What is to come, and whether what the run has found out counts for it.
    fn look_with(&self, look: &Look<'_>, known: Known<'_>) -> (Outlook, bool) {
        if let Some(found) = self.as_before(look, known) {
            return (Outlook::InPlace(found), false);
        }
        let (recipe, was_asked) = self.recipe(look.vertex, known);
        let looked = match &recipe {
            Ok(Some(recipe)) => look.at_once(recipe),
            _ => Err(None),
        };
        let outlook = match looked {
            Ok(found) => Outlook::InPlace(found),
            Err(missed) => Outlook::ToBegin(recipe, missed),
        };
        (outlook, was_asked)
    }

    /// The result that the step has, where it takes no more than a look at its files to know that nothing has changed.
    fn as_before(&self, look: &Look<'_>, known: Known<'_>) -> Option<Found> {
        let planned = self.plan.step(VertexId::new(look.vertex as usize))?;
        let job = self.plan.definition(planned).job()?;
        let (action, key) = look.as_before(job, self.circumstances.as_ref()?)?;
        if cfg!(debug_assertions) {
            let recipe = self.recipe(look.vertex, known).0.ok().flatten();
            let recipe = recipe.expect("a step that is kept has a recipe");
            let anew = look.keyed(&recipe).map(|keyed| keyed.digest);
            assert_eq!(anew, Ok(key), "the key of {} rests on more", look.step);
        }
        Some((action, key))
    }

    /// What decides the step's result, if that can be kept; and whether what the run has found out is part of it.
    pub(super) fn recipe(
        &self,
        vertex: u32,
        known: Known<'_>,
    ) -> (Result<Option<Arc<Recipe>>, Failure>, bool) {
        let facts = self.facts(vertex, known);
        let facts = Asking::of(&facts);
        let artifacts = self.artifacts.as_deref();
        let (plan, options) = (&self.plan, &self.options);
        let recipe = prepare::recipe(plan, vertex, options, &facts, artifacts, known.made);
        let circumstances = self.circumstances.filter(|_| !facts.was_asked());
        let with = |recipe| Recipe {
            circumstances,
            ..recipe
        };
        let recipe = recipe.map(|recipe| recipe.map(with).map(Arc::new));
        (recipe, facts.was_asked())
    }
}

/// Threads that look at steps whose turn is still to come.
pub(super) struct Ahead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    sight: Arc<Sight>,
    /// Who is looked at, in order.
    order: Vec<usize>,
    next: AtomicUsize,
    over: AtomicBool,
    folders: Folders,
    /// What was seen and not asked for yet, by vertex.
    seen: Vec<Mutex<Early>>,
}

/// What can be said of a step before its turn.
#[derive(Default)]
enum Early {
    #[default]
    NotLooked,
    Known(Outlook),
    /// It has to be looked at in its turn.
    InItsTurn,
}

impl Ahead {
    /// Begins to look at all steps that have not begun, as their turns come; nothing where that is not worth it.
    pub(super) fn of_those_left(
        sight: &Arc<Sight>,
        remaining: &[u64],
        begun: &BTreeMap<u32, Begun>,
    ) -> Option<Self> {
        let (plan, options) = (&sight.plan, &sight.options);
        let is_open = |v: &VertexId| {
            let known = u32::try_from(v.index()).is_ok_and(|v| begun.contains_key(&v));
            !known && plan.step(*v).is_some()
        };
        let many = sight.names.len().saturating_sub(begun.len()) >= FEW;
        if !many || options.cache.is_none() || options.resumed.is_some() || processors() == 1 {
            return None;
        }
        let left = plan.graph.node_indices().filter(is_open);
        let mut order: Vec<usize> = left.map(VertexId::index).collect();
        order.sort_by_key(|v| (Reverse(remaining[*v]), *v));
        Some(Self::begin(sight, order))
    }

    fn begin(sight: &Arc<Sight>, order: Vec<usize>) -> Self {
        // Whoever asks helps.
        let others = (1..processors().min(MOST)).take(order.len() / FEW);
        let shared = Arc::new(Shared {
            seen: sight.names.iter().map(|_| Mutex::default()).collect(),
            sight: Arc::clone(sight),
            order,
            next: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            folders: Folders::default(),
        });
        let threads = others.filter_map(|_| {
            let own = Arc::clone(&shared);
            let look = move || while own.look_at_next() {};
            thread::Builder::new().name("ahead".into()).spawn(look).ok()
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    /// What was seen of a step; nothing where it has to be looked at in its turn.
    fn outlook(&self, vertex: u32) -> Option<Outlook> {
        loop {
            match self.shared.take(vertex as usize) {
                Early::Known(outlook) => return Some(outlook),
                Early::InItsTurn => return None,
                // Somebody looks at it this very moment, or soon.
                Early::NotLooked if self.shared.look_at_next() => {}
                Early::NotLooked => return None,
            }
        }
    }

    fn end(self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    }
}

impl Shared {
    /// Looks at the next step; whether there was one.
    fn look_at_next(&self) -> bool {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(vertex) = self.order.get(next).copied() else {
            return false;
        };
        if self.over.load(Ordering::Relaxed) {
            return false;
        }
        let own = u32::try_from(vertex).ok();
        let outlook = own.and_then(|v| self.sight.look_early(v, &self.folders));
        let early = outlook.map_or(Early::InItsTurn, Early::Known);
        *self.seen[vertex]
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = early;
        true
    }

    fn take(&self, vertex: usize) -> Early {
        let mut early = self.seen[vertex]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut early)
    }
}
