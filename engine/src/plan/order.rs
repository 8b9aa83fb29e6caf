//! What a plan's shape says about its course: the longest path, and what a failure would undo.

use std::time::Duration;

use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::visit::EdgeRef;

use super::{Plan, PlannedStep, VertexId};

/// A step that was never run is taken to last this long.
const USUAL: Duration = Duration::from_secs(1);

impl Plan {
    /// All vertices, each after what comes before it.
    ///
    /// # Panics
    /// Never for a plan of a checked pipeline: a cycle is a finding, and findings stop a run.
    #[must_use]
    pub fn order(&self) -> Vec<VertexId> {
        toposort(&self.graph, None).expect("a checked pipeline has no cycle")
    }

    /// By vertex: how long the longest way from its start to the end of the run is expected to be, in milliseconds.
    #[must_use]
    pub fn remaining(&self) -> Vec<u64> {
        self.remaining_by(&expected)
    }

    fn remaining_by(&self, millis: &dyn Fn(&PlannedStep) -> u64) -> Vec<u64> {
        let mut longest = vec![0u64; self.graph.node_count()];
        for vertex in self.order().into_iter().rev() {
            let behind = self.graph.edges_directed(vertex, Direction::Outgoing);
            let behind = behind
                .map(|e| longest[e.target().index()])
                .max()
                .unwrap_or(0);
            let own = self.step(vertex).map_or(0, millis);
            longest[vertex.index()] = behind.saturating_add(own);
        }
        longest
    }

    /// The steps of the path that is expected to take longest, in order.
    #[must_use]
    pub fn critical_path(&self) -> Vec<VertexId> {
        self.longest_path(&expected)
    }

    /// The steps of the path that takes longest where each step takes so many milliseconds, in order.
    #[must_use]
    pub fn longest_path(&self, millis: &dyn Fn(&PlannedStep) -> u64) -> Vec<VertexId> {
        let remaining = self.remaining_by(millis);
        let longest = |ids: &mut dyn Iterator<Item = VertexId>| {
            ids.max_by_key(|v| (remaining[v.index()], std::cmp::Reverse(v.index())))
        };
        let mut at = longest(&mut self.graph.externals(Direction::Incoming));
        let mut path = Vec::new();
        while let Some(vertex) = at {
            if self.step(vertex).is_some() {
                path.push(vertex);
            }
            at = longest(&mut self.graph.neighbors_directed(vertex, Direction::Outgoing));
        }
        path
    }

    /// The steps of a stage that have an undo, in the order in which they would be undone if all had run.
    #[must_use]
    pub fn undo_order(&self, stage: usize) -> Vec<VertexId> {
        self.undo_in(stage, &self.positions())
    }

    /// [`Plan::undo_order`] of every stage.
    #[must_use]
    pub fn undo_orders(&self) -> Vec<Vec<VertexId>> {
        let positions = self.positions();
        let stages = 0..self.stages.len();
        stages.map(|s| self.undo_in(s, &positions)).collect()
    }

    /// By vertex: its place in [`Plan::order`].
    fn positions(&self) -> Vec<usize> {
        let mut positions = vec![0; self.graph.node_count()];
        for (at, vertex) in self.order().into_iter().enumerate() {
            positions[vertex.index()] = at;
        }
        positions
    }

    fn undo_in(&self, stage: usize, positions: &[usize]) -> Vec<VertexId> {
        let has_undo = |v: &VertexId| {
            self.step(*v)
                .is_some_and(|s| self.definition(s).rollback.is_some())
        };
        let steps = self.stages[stage].steps.iter().copied();
        let mut steps: Vec<VertexId> = steps.filter(has_undo).collect();
        steps.sort_by_key(|v| std::cmp::Reverse(positions[v.index()]));
        steps
    }
}

/// How long a step took before; never nothing, so that the number of steps counts where times are not known.
fn expected(step: &PlannedStep) -> u64 {
    let expected = step.expected.unwrap_or(USUAL);
    u64::try_from(expected.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}
