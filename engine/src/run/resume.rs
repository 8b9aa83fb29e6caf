//! What an earlier run of the same plan has done already, from its journal: the steps that need not be done again, and
//! those that it left half done. Reads the journal's content, starts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use petgraph::Direction;
use petgraph::visit::EdgeRef;

use super::event::{Event, StepName};
use super::outcome::{Outcome, RunOutcome, UndoOutcome};
use super::prepare;
use crate::cache::Digest;
use crate::plan::{Edge, Plan, VertexId};
use crate::record::Summary;

/// What stands in for a secret in what is recorded.
const MASKED: &str = "***";

/// The part of a run that an earlier one has done.
#[derive(Debug, Clone, Default)]
pub struct Resumed {
    /// The number of the earlier run.
    pub run: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// The steps that succeeded in it, by vertex.
    pub done: BTreeMap<u32, Earlier>,
    /// The steps that had begun and whose undo has to come first, in the order in which they are undone.
    pub owed: Vec<u32>,
}

/// A step that succeeded in an earlier run.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// The key of its result.
    pub key: Option<Digest>,
}

/// Why a run cannot be continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotResumable {
    /// It succeeded.
    #[error("it has passed")]
    Passed,
    /// Its process lives.
    #[error("it still goes on")]
    Alive,
    /// An undo failed in it, so that nobody knows what is there.
    #[error("the rollback of {0} failed in it")]
    UndoFailed(StepName),
}

/// Everything that happened to one step.
#[derive(Debug, Default)]
struct History {
    begun: bool,
    armed: bool,
    ended: Option<(Outcome, Earlier)>,
    undone: bool,
}

/// What of a plan the run of this summary has done.
///
/// # Errors
/// Why it cannot be continued.
pub fn resumed(plan: &Plan, earlier: &Summary, folder: &Path) -> Result<Resumed, NotResumable> {
    if earlier.alive {
        return Err(NotResumable::Alive);
    }
    if earlier.outcome == Some(RunOutcome::Passed) {
        return Err(NotResumable::Passed);
    }
    let histories = histories(earlier)?;
    let mut resumed = Resumed {
        run: earlier.id,
        folder: folder.to_path_buf(),
        ..Resumed::default()
    };
    let mut done = vec![false; plan.graph.node_count()];
    for vertex in plan.order() {
        // What follows something that has to be done again is done again.
        let mut edges = plan.graph.edges_directed(vertex, Direction::Incoming);
        let after = edges.clone().all(|e| done[e.source().index()]);
        let conditional = edges.any(|e| matches!(e.weight(), Edge::OnFailure));
        let Some(step) = plan.step(vertex) else {
            done[vertex.index()] = after;
            continue;
        };
        let at = u32::try_from(vertex.index()).unwrap_or(u32::MAX);
        let history = histories.get(step.name.as_str());
        if let Some(earlier) = history.and_then(success)
            && after
            && !conditional
            && has_artifacts(plan, vertex, at, folder)
        {
            done[vertex.index()] = true;
            resumed.done.insert(at, earlier.clone());
        }
    }
    // The last one to begin is undone first, as in the run itself.
    for (name, history) in histories.iter().rev() {
        let is_owed =
            history.armed && history.begun && !history.undone && success(history).is_none();
        let step = plan.steps().find(|(_, s)| s.name == **name);
        if let (true, Some((vertex, _))) = (is_owed, step) {
            resumed
                .owed
                .push(u32::try_from(vertex.index()).unwrap_or(u32::MAX));
        }
    }
    Ok(resumed)
}

fn histories(earlier: &Summary) -> Result<IndexMap<StepName, History>, NotResumable> {
    let mut all: IndexMap<StepName, History> = IndexMap::new();
    for (_, event) in &earlier.reading.events {
        match event {
            Event::Armed { step } => all.entry(step.clone()).or_default().armed = true,
            Event::StepStarted { step } => all.entry(step.clone()).or_default().begun = true,
            Event::StepEnded {
                step,
                outcome,
                outputs,
                key,
                ..
            } => {
                let earlier = Earlier {
                    outputs: outputs.clone(),
                    key: *key,
                };
                all.entry(step.clone()).or_default().ended = Some((outcome.clone(), earlier));
            }
            Event::UndoEnded { step, outcome, .. } => match outcome {
                UndoOutcome::RolledBack => all.entry(step.clone()).or_default().undone = true,
                UndoOutcome::RollbackFailed { .. } => {
                    return Err(NotResumable::UndoFailed(step.clone()));
                }
                UndoOutcome::Dropped => {}
            },
            _ => {}
        }
    }
    Ok(all)
}

/// What a step made that succeeded, and whose outputs are recorded as they were.
fn success(history: &History) -> Option<&Earlier> {
    let (outcome, earlier) = history.ended.as_ref()?;
    let ok = matches!(outcome, Outcome::Passed | Outcome::Cached) && !history.undone;
    let whole = !earlier.outputs.values().any(|v| v.contains(MASKED));
    (ok && whole).then_some(earlier)
}

/// Whether the artifacts of a step are still there.
fn has_artifacts(plan: &Plan, vertex: VertexId, at: u32, folder: &Path) -> bool {
    let job = plan.step(vertex).and_then(|s| plan.definition(s).job());
    let own = folder.join("artifacts").join(prepare::folder(plan, at));
    job.is_none_or(|job| {
        job.artifacts
            .iter()
            .all(|a| own.join(&a.name.value).is_dir())
    })
}
