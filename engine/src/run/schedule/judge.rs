//! What becomes of a vertex once everything it waits for has ended. Knows no limits and no order.

use super::graph::{EdgeKind, Graph, Kind, VertexId};
use super::state::{Ledger, SkipReason, State};

/// The answer for one vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A step whose edges all hold.
    Run,
    /// It ends here, in this state.
    Settle(State),
}

/// Judges a vertex whose predecessors are all terminal.
///
/// *Not triggered* comes before a failed need: nobody asked for the step, so nothing is missing.
/// For the same reason a step that needs a step that was not triggered is itself not triggered, and one that needs a step
/// with nothing to do has nothing to do.
pub(super) fn judge(graph: &Graph, ledger: &Ledger, v: VertexId) -> Verdict {
    let found = look(graph, ledger, v);
    let not_triggered = State::Skipped(SkipReason::NotTriggered);
    let skipped = found.skip_reason().map(State::Skipped);
    match graph.vertex(v).kind {
        _ if found.on_failure && !found.triggered => Verdict::Settle(not_triggered),
        Kind::Gate if found.failed.is_some() => Verdict::Settle(failure(graph, v)),
        Kind::Gate => Verdict::Settle(skipped.unwrap_or(State::Passed { cached: false })),
        Kind::Step if found.untaken => Verdict::Settle(not_triggered),
        Kind::Step if let Some(idle) = found.unneeded => {
            Verdict::Settle(State::Skipped(SkipReason::NeedNotNeeded(idle)))
        }
        Kind::Step => skipped.map_or(Verdict::Run, Verdict::Settle),
    }
}

/// The state of a vertex that failed.
pub(super) fn failure(graph: &Graph, v: VertexId) -> State {
    if graph.vertex(v).allow_failure {
        State::SoftFailed
    } else {
        State::Failed
    }
}

/// What the edges into a vertex say; of each kind of trouble the first.
#[derive(Default)]
struct Found {
    /// There is an *on-failure* edge.
    on_failure: bool,
    /// One of the *on-failure* edges holds.
    triggered: bool,
    /// A need was not triggered.
    untaken: bool,
    /// A need had nothing to do, or needed one that had not.
    unneeded: Option<VertexId>,
    failed: Option<VertexId>,
    cancelled: Option<VertexId>,
    skipped: Option<VertexId>,
}

fn look(graph: &Graph, ledger: &Ledger, v: VertexId) -> Found {
    let mut found = Found::default();
    for &(from, kind) in graph.incoming(v) {
        let state = ledger.state(from);
        match kind {
            EdgeKind::After => {}
            EdgeKind::OnFailure => {
                found.on_failure = true;
                found.triggered |= matches!(state, State::Failed | State::SoftFailed);
            }
            EdgeKind::Needs => found.need(from, state),
        }
    }
    found
}

impl Found {
    fn need(&mut self, from: VertexId, state: State) {
        match state {
            State::Passed { .. } | State::SoftFailed => {}
            State::Failed => self.failed = self.failed.or(Some(from)),
            State::Cancelled => self.cancelled = self.cancelled.or(Some(from)),
            State::Skipped(SkipReason::NotTriggered) => self.untaken = true,
            State::Skipped(SkipReason::NotNeeded) => {
                self.unneeded = self.unneeded.or(Some(from));
            }
            State::Skipped(SkipReason::NeedNotNeeded(idle)) => {
                self.unneeded = self.unneeded.or(Some(idle));
            }
            State::Skipped(_) => self.skipped = self.skipped.or(Some(from)),
            State::Waiting | State::Ready | State::Running | State::Stopping => {
                unreachable!("vertex {from} has not ended")
            }
        }
    }

    fn skip_reason(&self) -> Option<SkipReason> {
        let failed = self.failed.map(SkipReason::NeedFailed);
        let cancelled = self.cancelled.map(SkipReason::NeedCancelled);
        let skipped = self.skipped.map(SkipReason::NeedSkipped);
        failed.or(cancelled).or(skipped)
    }
}
