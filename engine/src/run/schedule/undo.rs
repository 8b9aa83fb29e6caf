//! Compensation: which undos become due, in which order, and when they begin. Knows nothing of ready steps.

use super::graph::{Graph, GroupId, VertexId};
use super::state::{SkipReason, State, UndoState};
use super::{Command, Core, Phase};

/// Where the compensation of a group that undoes itself stands.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// All vertices of the group; empty for a group that does not undo itself.
    members: Vec<VertexId>,
    /// How many of them are not terminal.
    open: usize,
    /// Something in the group failed: when all have ended, the armed ones are undone.
    winding: bool,
    /// Its armed steps that ended, in order of completion; shrinks from the end while the group is undone.
    done: Vec<VertexId>,
}

pub(super) fn groups(graph: &Graph) -> Vec<Group> {
    let mut groups: Vec<Group> = graph.groups().iter().map(|_| Group::default()).collect();
    for v in graph.ids().filter(|&v| graph.undoes_group(v)) {
        if let Some(id) = graph.vertex(v).group {
            groups[id.index()].members.push(v);
            groups[id.index()].open += 1;
        }
    }
    groups
}

impl Core {
    /// Tells the group of a vertex that it has ended.
    ///
    /// A group that is cut off by a cancelled run is as half done as one that failed, so it is undone too.
    pub(super) fn tell_group(&mut self, v: VertexId, state: State) {
        let Some(id) = self.reversing_group(v) else {
            return;
        };
        let group = &mut self.groups[id.index()];
        group.open -= 1;
        let cut_off = matches!(
            state,
            State::Failed | State::Cancelled | State::Skipped(SkipReason::RunCancelled)
        );
        if cut_off && !group.winding {
            group.winding = true;
            self.to_wind_up.push(id);
        }
        if group.winding && group.open == 0 {
            self.to_undo.push(id);
        }
    }

    /// Skips what has not started in a group that will be undone, so that the undo comes soon.
    pub(super) fn wind_up(&mut self, id: GroupId) {
        for v in std::mem::take(&mut self.groups[id.index()].members) {
            if !self.graph.survives(v) {
                self.skip_unstarted(v, SkipReason::GroupUndoing);
            }
        }
    }

    /// Undoes a step that ended, or keeps it for the undo of its group, or forgets about it.
    pub(super) fn compensate(&mut self, v: VertexId, state: State) {
        let armed = self.ledger.undo(v) == UndoState::Armed;
        let broken = matches!(state, State::Failed | State::Cancelled);
        if armed && state == (State::Passed { cached: true }) {
            // The effect was not made in this run, so it is not this run's to undo.
            self.ledger.set_undo(v, UndoState::None);
        } else if armed && let Some(id) = self.reversing_group(v) {
            self.groups[id.index()].done.push(v);
        } else if armed && broken {
            self.ledger.set_undo(v, UndoState::Due);
            if self.phase == Phase::Killed {
                self.drop_undo(v);
            } else {
                // The step's locks pass on to its undo.
                self.begin_undo(v);
                return;
            }
        }
        self.release_locks(v);
    }

    /// Makes all armed steps of a group due, all of which have ended, and begins with the last.
    pub(super) fn undo_group(&mut self, id: GroupId) {
        let done = std::mem::take(&mut self.groups[id.index()].done);
        for &v in done.iter().rev() {
            self.ledger.set_undo(v, UndoState::Due);
            if self.phase == Phase::Killed {
                self.drop_undo(v);
            }
        }
        self.groups[id.index()].done = done;
        self.undo_next(id);
    }

    pub(super) fn undo_finished(&mut self, v: VertexId, ok: bool) {
        let outcome = if ok {
            UndoState::RolledBack
        } else {
            UndoState::RollbackFailed
        };
        self.ledger.set_undo(v, outcome);
        self.release_locks(v);
        if let Some(id) = self.reversing_group(v) {
            self.undo_next(id);
        }
    }

    /// Gives up all undos that have not begun.
    pub(super) fn drop_due_undos(&mut self) {
        self.locks.forget_waiters();
        for v in self.graph.ids() {
            if self.ledger.undo(v) == UndoState::Due {
                self.drop_undo(v);
            }
        }
    }

    fn undo_next(&mut self, id: GroupId) {
        if self.phase == Phase::Killed {
            return;
        }
        if let Some(v) = self.groups[id.index()].done.pop()
            && self.locks.take_or_wait(v)
        {
            self.begin_undo(v);
        }
    }

    fn release_locks(&mut self, v: VertexId) {
        for undo in self.locks.release(v) {
            self.begin_undo(undo);
        }
    }

    fn begin_undo(&mut self, v: VertexId) {
        self.ledger.set_undo(v, UndoState::Running);
        self.out.push(Command::Undo(v));
    }

    fn drop_undo(&mut self, v: VertexId) {
        self.ledger.set_undo(v, UndoState::Dropped);
        self.out.push(Command::UndoDropped(v));
    }

    fn reversing_group(&self, v: VertexId) -> Option<GroupId> {
        let group = self.graph.vertex(v).group;
        group.filter(|_| self.graph.undoes_group(v))
    }
}
