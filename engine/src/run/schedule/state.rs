//! The states of vertices and of their undos, and the only functions that change them. Knows no reasons for a change.

use super::graph::{Graph, VertexId};

/// Where a vertex stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Some vertex it waits for has not ended. Holds nothing.
    Waiting,
    /// A step whose edges all hold; it waits only for room. In the queue, holds nothing.
    Ready,
    /// A step that was told to start and has not reported. Holds its job slot, resources and locks.
    Running,
    /// As [`State::Running`], and it was told to stop.
    Stopping,
    /// A step that succeeded, or a gate that nothing held up. Terminal.
    Passed {
        /// Whether the result was taken from the cache; always false for a gate.
        cached: bool,
    },
    /// It failed and was allowed to. Counts as success for *needs*, as failure for *on-failure*. Terminal.
    SoftFailed,
    /// A step that failed, or a gate that needs a failed vertex. Terminal.
    Failed,
    /// A step that was started and ended without a result. Terminal.
    Cancelled,
    /// It was never started, or had nothing to do. Terminal.
    Skipped(SkipReason),
}

/// Why a vertex did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A vertex it needs failed.
    NeedFailed(VertexId),
    /// A vertex it needs was cancelled.
    NeedCancelled(VertexId),
    /// A vertex it needs was skipped.
    NeedSkipped(VertexId),
    /// It, or a step it needs, runs only on a failure that did not happen.
    NotTriggered,
    /// It was started, and found that there is nothing to do.
    NotNeeded,
    /// It needs, directly or not, a step that found nothing to do.
    NeedNotNeeded(VertexId),
    /// The run stops at its first failure.
    FailFast,
    /// Its group is being undone.
    GroupUndoing,
    /// The run was cancelled.
    RunCancelled,
}

/// Where the undo of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoState {
    /// There is nothing to undo: no rollback, never started, or taken from the cache.
    None,
    /// The step was told to start; its effect may exist.
    Armed,
    /// The undo will run; it waits for its turn or for locks.
    Due,
    /// The undo was told to start and has not reported. Holds the locks of its step.
    Running,
    /// The undo succeeded. Terminal.
    RolledBack,
    /// The undo failed. Terminal.
    RollbackFailed,
    /// The undo was due and never began, because the run was killed. Terminal.
    Dropped,
}

/// How many steps are in which state; gates are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Steps that wait for others.
    pub waiting: usize,
    /// Steps that wait for room.
    pub ready: usize,
    /// Steps that run, told to stop or not.
    pub running: usize,
    /// Steps that ran and succeeded.
    pub passed: usize,
    /// Steps that succeeded from the cache.
    pub cached: usize,
    /// Steps that failed and were allowed to.
    pub soft_failed: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were cancelled while they ran.
    pub cancelled: usize,
    /// Steps that were never started.
    pub skipped: usize,
    /// Undos that are due or run.
    pub undos: usize,
}

impl State {
    /// Whether nothing will change this state any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(
            self,
            Self::Waiting | Self::Ready | Self::Running | Self::Stopping
        )
    }

    /// The transition table.
    fn may_become(self, next: Self) -> bool {
        use State::{
            Cancelled, Failed, Passed, Ready, Running, Skipped, SoftFailed, Stopping, Waiting,
        };
        match self {
            // Only a gate passes or fails without having run.
            Waiting => matches!(
                next,
                Ready | Passed { cached: false } | SoftFailed | Failed | Skipped(_)
            ),
            Ready => matches!(next, Running | Skipped(_)),
            Running => matches!(
                next,
                Stopping
                    | Passed { .. }
                    | SoftFailed
                    | Failed
                    | Cancelled
                    | Skipped(SkipReason::NotNeeded)
            ),
            Stopping => Running.may_become(next) && next != Stopping,
            Passed { .. } | SoftFailed | Failed | Cancelled | Skipped(_) => false,
        }
    }
}

impl UndoState {
    fn is_open(self) -> bool {
        matches!(self, Self::Due | Self::Running)
    }

    /// The transition table.
    fn may_become(self, next: Self) -> bool {
        match self {
            Self::None => next == Self::Armed,
            Self::Armed => matches!(next, Self::None | Self::Due),
            Self::Due => matches!(next, Self::Running | Self::Dropped),
            Self::Running => matches!(next, Self::RolledBack | Self::RollbackFailed),
            Self::RolledBack | Self::RollbackFailed | Self::Dropped => false,
        }
    }
}

/// The states of all vertices.
#[derive(Debug)]
pub(super) struct Ledger {
    states: Vec<State>,
    undos: Vec<UndoState>,
    is_step: Vec<bool>,
    /// Vertices that are not terminal, gates included.
    open: usize,
    counts: Counts,
}

impl Ledger {
    pub(super) fn new(graph: &Graph) -> Self {
        let is_step: Vec<bool> = graph.ids().map(|v| graph.is_step(v)).collect();
        let counts = Counts {
            waiting: is_step.iter().filter(|&&step| step).count(),
            ..Counts::default()
        };
        Self {
            states: vec![State::Waiting; is_step.len()],
            undos: vec![UndoState::None; is_step.len()],
            open: is_step.len(),
            is_step,
            counts,
        }
    }

    /// Moves a vertex to another state; every change of a state goes through here.
    ///
    /// # Panics
    /// When the table does not know the transition: a bug of the core or a report for a step that does not run.
    pub(super) fn set(&mut self, v: VertexId, next: State) {
        let now = self.states[v.index()];
        assert!(
            now.may_become(next),
            "vertex {v} cannot go from {now:?} to {next:?}"
        );
        if self.is_step[v.index()] {
            *self.counts.of(now) -= 1;
            *self.counts.of(next) += 1;
        }
        self.open -= usize::from(next.is_terminal());
        self.states[v.index()] = next;
    }

    /// Moves an undo to another state; every change of an undo goes through here.
    ///
    /// # Panics
    /// When the table does not know the transition: a bug of the core or a report for an undo that does not run.
    pub(super) fn set_undo(&mut self, v: VertexId, next: UndoState) {
        let now = self.undos[v.index()];
        assert!(
            now.may_become(next),
            "undo of vertex {v} cannot go from {now:?} to {next:?}"
        );
        self.counts.undos -= usize::from(now.is_open());
        self.counts.undos += usize::from(next.is_open());
        self.undos[v.index()] = next;
    }

    pub(super) fn state(&self, v: VertexId) -> State {
        self.states[v.index()]
    }

    pub(super) fn undo(&self, v: VertexId) -> UndoState {
        self.undos[v.index()]
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether every vertex is terminal and no undo is due or runs.
    pub(super) fn is_settled(&self) -> bool {
        self.open == 0 && self.counts.undos == 0
    }
}

impl Counts {
    fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Waiting => &mut self.waiting,
            State::Ready => &mut self.ready,
            State::Running | State::Stopping => &mut self.running,
            State::Passed { cached: false } => &mut self.passed,
            State::Passed { cached: true } => &mut self.cached,
            State::SoftFailed => &mut self.soft_failed,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
            State::Skipped(_) => &mut self.skipped,
        }
    }
}
