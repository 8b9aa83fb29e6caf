//! Looks at every command of a run and panics at the first that breaks a rule. Knows the rules, not how the core keeps them.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Case;
use crate::run::schedule::{
    Command, Core, EdgeKind, Event, Kind, LockId, SkipReason, State, StepResult, UndoState,
    VertexId, VertexSpec,
};

pub(super) struct Watch<'a> {
    case: &'a Case,
    running: Vec<VertexId>,
    undoing: Vec<VertexId>,
    started: BTreeSet<VertexId>,
    stopped: BTreeSet<VertexId>,
    settled: BTreeMap<VertexId, State>,
    /// Steps that ended, in order, that have an effect and an undo.
    completed: Vec<VertexId>,
    /// Undos that began or were dropped, in order.
    undone: Vec<VertexId>,
    undo_results: BTreeMap<VertexId, UndoState>,
    cancelled: bool,
    killed: bool,
    finished: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        Self {
            case,
            running: Vec::new(),
            undoing: Vec::new(),
            started: BTreeSet::new(),
            stopped: BTreeSet::new(),
            settled: BTreeMap::new(),
            completed: Vec::new(),
            undone: Vec::new(),
            undo_results: BTreeMap::new(),
            cancelled: false,
            killed: false,
            finished: false,
        }
    }

    pub(super) fn running(&self) -> &[VertexId] {
        &self.running
    }

    pub(super) fn undoing(&self) -> &[VertexId] {
        &self.undoing
    }

    /// Takes note of an event and of all that it caused.
    pub(super) fn see(&mut self, event: Option<Event>, commands: &[Command], core: &Core) {
        event.into_iter().for_each(|event| self.event(event));
        assert!(
            !self.finished || commands.is_empty(),
            "a command after the end"
        );
        for command in commands {
            self.command(*command);
        }
        self.check_limits();
        self.check_progress(core);
        assert_eq!(core.is_finished(), self.finished);
        for v in self.ids() {
            assert_eq!(core.state(v).is_terminal(), self.settled.contains_key(&v));
        }
    }

    /// Checks what can be known only when nothing is left to report.
    pub(super) fn end(&self, core: &Core) {
        assert!(self.finished, "nothing runs and the run is not over");
        for v in self.ids() {
            assert_eq!(self.settled.get(&v), Some(&core.state(v)));
            self.check_outcome(v);
            self.check_undo(v, core.undo_state(v));
        }
        self.check_undo_order();
    }

    /// The names of all states and reasons that occurred.
    pub(super) fn words(&self) -> BTreeSet<String> {
        let name = |text: String| text.split([' ', '(']).next().unwrap().to_owned();
        let states = self.settled.values().map(|state| match state {
            State::Skipped(reason) => name(format!("{reason:?}")),
            other => name(format!("{other:?}")),
        });
        let undos = self.undo_results.values().map(|undo| format!("{undo:?}"));
        states.chain(undos).collect()
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Finished { v, result } => {
                self.running.retain(|&r| r != v);
                let did_nothing = matches!(
                    result,
                    StepResult::Passed { cached: true }
                        | StepResult::NotBegun
                        | StepResult::NotNeeded
                );
                if self.spec(v).undo && !did_nothing {
                    self.completed.push(v);
                }
            }
            Event::UndoFinished { v, ok: true } => self.undo_ends(v, UndoState::RolledBack),
            Event::UndoFinished { v, ok: false } => self.undo_ends(v, UndoState::RollbackFailed),
            Event::Cancel => self.cancelled = true,
            Event::Kill => (self.cancelled, self.killed) = (true, true),
        }
    }

    fn undo_ends(&mut self, v: VertexId, state: UndoState) {
        self.undoing.retain(|&u| u != v);
        self.undo_results.insert(v, state);
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Start(v) => {
                assert!(!self.cancelled, "{v} starts after the end was called");
                assert!(self.started.insert(v), "{v} starts twice");
                self.check_start(v);
                self.running.push(v);
            }
            Command::Stop(v) => {
                assert!(self.running.contains(&v), "{v} is stopped and does not run");
                assert!(self.stopped.insert(v), "{v} is stopped twice");
            }
            Command::Undo(v) => {
                assert!(!self.killed, "{v} is undone after the kill");
                self.check_due(v);
                self.undone.push(v);
                self.undoing.push(v);
            }
            Command::UndoDropped(v) => {
                assert!(self.killed, "the undo of {v} is dropped without need");
                self.check_due(v);
                self.undone.push(v);
                self.undo_results.insert(v, UndoState::Dropped);
            }
            Command::Settled { v, state } => {
                assert!(state.is_terminal());
                assert!(!self.running.contains(&v), "{v} settles and runs");
                assert_eq!(self.settled.insert(v, state), None, "{v} settles twice");
            }
            Command::Finish => {
                assert!(!self.finished, "the run ends twice");
                assert!(self.running.is_empty() && self.undoing.is_empty());
                self.finished = true;
            }
        }
    }

    /// Whether the edges into a vertex let it start.
    fn check_start(&self, v: VertexId) {
        assert_eq!(self.spec(v).kind, Kind::Step);
        assert!(!self.settled.contains_key(&v));
        for (from, kind) in self.edges_into(v) {
            let state = self.settled.get(&from);
            let state = state.unwrap_or_else(|| panic!("{v} starts before {from} has ended"));
            assert!(
                kind != EdgeKind::Needs || is_good(*state),
                "{v} starts without {from}"
            );
        }
        assert!(self.is_triggered(v), "{v} starts without a failure");
    }

    fn check_due(&self, v: VertexId) {
        assert!(
            self.completed.contains(&v),
            "{v} is undone and was not done"
        );
        assert!(!self.undone.contains(&v), "{v} is undone twice");
        for mate in self.group_mates(v) {
            assert!(
                self.settled.contains_key(&mate),
                "{v} is undone before {mate} has ended"
            );
            assert!(
                self.killed || !self.undoing.contains(&mate),
                "{v} and {mate} are undone at once"
            );
        }
    }

    fn check_limits(&self) {
        let limits = &self.case.limits;
        assert!(self.running.len() <= limits.jobs.max(1) as usize);
        let specs = || self.running.iter().map(|&v| self.spec(v));
        let cpu: u32 = specs().map(|s| s.cpu.min(limits.cpu)).sum();
        let memory: u64 = specs().map(|s| s.memory.min(limits.memory)).sum();
        assert!(cpu <= limits.cpu && memory <= limits.memory);
        for lock in (0..4).map(LockId) {
            let holders = self.running.iter().chain(&self.undoing);
            let held = holders
                .filter(|&&v| self.spec(v).locks.contains(&lock))
                .count();
            let slots = limits
                .lock_slots
                .get(lock.0 as usize)
                .map_or(1, |&n| n.max(1));
            assert!(held <= slots as usize, "lock {lock:?} is held {held} times");
        }
    }

    /// Whether something runs as long as something could.
    fn check_progress(&self, core: &Core) {
        let idle = self.running.is_empty() && self.undoing.is_empty();
        assert!(!idle || self.finished, "nothing runs: {:?}", core.counts());
    }

    /// Whether the last state of a vertex follows from what it waited for and from what happened.
    fn check_outcome(&self, v: VertexId) {
        let needs = |from| {
            self.edges_into(v)
                .any(|edge| edge == (from, EdgeKind::Needs))
        };
        let state = |from| self.settled[&from];
        let any = |wanted: fn(State) -> bool| self.settled.values().any(|&s| wanted(s));
        match self.settled[&v] {
            State::Skipped(reason) => {
                let ran = reason == SkipReason::NotNeeded;
                assert_eq!(self.started.contains(&v), ran, "{v} was skipped");
                assert!(match reason {
                    SkipReason::NeedFailed(from) => needs(from) && state(from) == State::Failed,
                    SkipReason::NeedCancelled(from) =>
                        needs(from) && state(from) == State::Cancelled,
                    SkipReason::NeedSkipped(from) =>
                        needs(from) && matches!(state(from), State::Skipped(_)),
                    SkipReason::NotNeeded => true,
                    SkipReason::NeedNotNeeded(idle) =>
                        state(idle) == State::Skipped(SkipReason::NotNeeded)
                            && self.needs_unneeded(v),
                    SkipReason::NotTriggered => !self.is_triggered(v) || self.needs_untaken(v),
                    SkipReason::FailFast =>
                        self.case.limits.fail_fast && any(|s| s == State::Failed),
                    SkipReason::GroupUndoing => self.group_broke(v),
                    SkipReason::RunCancelled => self.cancelled,
                });
            }
            _ if self.spec(v).kind == Kind::Step => assert!(self.started.contains(&v)),
            outcome => self.check_gate(v, outcome),
        }
    }

    fn check_gate(&self, v: VertexId, outcome: State) {
        assert!(!self.started.contains(&v));
        assert!(self.is_triggered(v));
        let needs = self.edges_into(v).filter(|edge| edge.1 == EdgeKind::Needs);
        let states: Vec<State> = needs.map(|(from, _)| self.settled[&from]).collect();
        if states.contains(&State::Failed) {
            let soft = self.spec(v).allow_failure;
            assert_eq!(
                outcome,
                if soft {
                    State::SoftFailed
                } else {
                    State::Failed
                }
            );
        } else {
            let untaken = State::Skipped(SkipReason::NotTriggered);
            let idle = |s| matches!(s, State::Skipped(r) if is_idle(r));
            assert!(
                states
                    .iter()
                    .all(|&s| is_good(s) || s == untaken || idle(s))
            );
            assert_eq!(outcome, State::Passed { cached: false });
        }
    }

    /// Whether a step was undone exactly if it had to be.
    fn check_undo(&self, v: VertexId, undo: UndoState) {
        let broke = matches!(self.settled[&v], State::Failed | State::Cancelled);
        let due = if self.is_reversing(v) {
            self.group_broke(v)
        } else {
            broke
        };
        let expected = match self.undo_results.get(&v) {
            _ if !self.completed.contains(&v) => UndoState::None,
            _ if !due => UndoState::Armed,
            Some(&result) => result,
            None => panic!("{v} was not undone"),
        };
        assert_eq!(undo, expected);
        assert_eq!(self.undone.contains(&v), due && self.completed.contains(&v));
    }

    fn check_undo_order(&self) {
        for group in 0..self.case.groups.len() {
            let inside = |v: &&VertexId| {
                let own = self.spec(**v).group.map(|g| g.0 as usize);
                own == Some(group) && self.is_reversing(**v)
            };
            let undone: Vec<_> = self.undone.iter().filter(inside).collect();
            let completed = self.completed.iter().rev().filter(inside);
            let expected: Vec<_> = completed.filter(|v| self.undone.contains(v)).collect();
            // A kill reports what it drops in order of ids.
            if !self.killed {
                assert_eq!(undone, expected);
            }
        }
    }

    fn is_triggered(&self, v: VertexId) -> bool {
        let mut asked = self
            .edges_into(v)
            .filter(|edge| edge.1 == EdgeKind::OnFailure)
            .peekable();
        let failed = |from| matches!(self.settled[&from], State::Failed | State::SoftFailed);
        asked.peek().is_none() || asked.any(|(from, _)| failed(from))
    }

    fn needs_unneeded(&self, v: VertexId) -> bool {
        let idle = |from| matches!(self.settled[&from], State::Skipped(r) if is_idle(r));
        self.edges_into(v)
            .any(|(from, kind)| kind == EdgeKind::Needs && idle(from))
    }

    fn needs_untaken(&self, v: VertexId) -> bool {
        let untaken = State::Skipped(SkipReason::NotTriggered);
        let is_step = self.spec(v).kind == Kind::Step;
        let mut edges = self.edges_into(v);
        is_step
            && edges.any(|(from, kind)| kind == EdgeKind::Needs && self.settled[&from] == untaken)
    }

    /// Whether something happened in the group of a vertex that undoes the group.
    fn group_broke(&self, v: VertexId) -> bool {
        self.group_mates(v).iter().any(|mate| {
            matches!(
                self.settled[mate],
                State::Failed | State::Cancelled | State::Skipped(SkipReason::RunCancelled)
            )
        })
    }

    /// The vertices that are undone together with `v`, itself included; none if it is undone alone.
    fn group_mates(&self, v: VertexId) -> Vec<VertexId> {
        let group = self.spec(v).group;
        let mates = self.ids().filter(|&mate| self.spec(mate).group == group);
        mates.filter(|&mate| self.is_reversing(mate)).collect()
    }

    fn is_reversing(&self, v: VertexId) -> bool {
        let group = self.spec(v).group;
        group.is_some_and(|g| self.case.groups[g.0 as usize].undo_on_failure)
    }

    fn edges_into(&self, v: VertexId) -> impl Iterator<Item = (VertexId, EdgeKind)> {
        let edges = self.case.edges.iter().filter(move |edge| edge.to == v);
        edges.map(|edge| (edge.from, edge.kind))
    }

    fn spec(&self, v: VertexId) -> &VertexSpec {
        &self.case.vertices[v.0 as usize]
    }

    fn ids(&self) -> impl Iterator<Item = VertexId> + use<> {
        (0..).take(self.case.vertices.len()).map(VertexId)
    }
}

fn is_good(state: State) -> bool {
    matches!(state, State::Passed { .. } | State::SoftFailed)
}

/// Whether there was nothing to do.
fn is_idle(reason: SkipReason) -> bool {
    matches!(reason, SkipReason::NotNeeded | SkipReason::NeedNotNeeded(_))
}
