//! The schedule of a run: events in, commands out. Knows no clock, no process, no plan and no job.
//!
//! A vertex is judged when everything it waits for has ended (`judge`), then it queues for room (`ready`, `locks`).
//! What it did is undone when it or its group fails (`undo`). All states change in one place (`state`).
//! A whole run costs O((V + E) log V); nothing here recurses over the graph.

mod graph;
mod judge;
mod locks;
mod ready;
mod state;
#[cfg(test)]
mod tests;
mod undo;

use std::collections::VecDeque;

pub use graph::{
    EdgeKind, EdgeSpec, Graph, GraphError, GroupId, GroupSpec, Kind, LockId, VertexId, VertexSpec,
};
pub use state::{Counts, SkipReason, State, UndoState};

use judge::Verdict;
use locks::Locks;
use ready::Ready;
use state::Ledger;

/// The schedule of one run.
///
/// The same graph, limits and events always give the same commands.
#[derive(Debug)]
pub struct Core {
    graph: Graph,
    ledger: Ledger,
    /// How many predecessors of each vertex have not ended.
    pending: Vec<usize>,
    ready: Ready,
    locks: Locks,
    groups: Vec<undo::Group>,
    phase: Phase,
    fail_fast: FailFast,
    finished: bool,
    /// Vertices whose predecessors have all ended, to be judged.
    ripe: VecDeque<VertexId>,
    /// Groups in which something just failed.
    to_wind_up: Vec<GroupId>,
    /// Groups that will be undone and whose vertices have all ended.
    to_undo: Vec<GroupId>,
    out: Vec<Command>,
}

/// How much may run at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Steps; zero means one.
    pub jobs: u32,
    /// Processors.
    pub cpu: u32,
    /// Memory, in the unit of [`VertexSpec::memory`].
    pub memory: u64,
    /// Slots of each lock; zero means one, and a lock that is not listed has one.
    pub lock_slots: Vec<u32>,
    /// Whether the first failure ends the run.
    ///
    /// Then only steps that are there for failures start: those that wait with *after* or *on-failure*,
    /// directly or at a gate, and those that need a step that only runs on failure. The others that run are stopped.
    pub fail_fast: bool,
}

/// What happened outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A started step ended.
    Finished {
        /// The step.
        v: VertexId,
        /// How it ended; a step that was told to stop may still report any result.
        result: StepResult,
    },
    /// A started undo ended.
    UndoFinished {
        /// The step that was undone.
        v: VertexId,
        /// Whether the undo succeeded.
        ok: bool,
    },
    /// End the run in order: start nothing, stop what runs, undo what is half done.
    Cancel,
    /// End the run now: as [`Event::Cancel`], and no undo begins.
    Kill,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// It succeeded.
    Passed {
        /// Whether the result was taken from the cache; then nothing was done that could be undone.
        cached: bool,
    },
    /// It failed.
    Failed,
    /// It failed before it did anything: there is nothing to undo.
    NotBegun,
    /// There was nothing to do: what needs it is not needed either.
    NotNeeded,
    /// It ended without a result.
    Cancelled,
}

/// What is to be done outside, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Start a step; its rollback, if it has one, is armed from here on.
    Start(VertexId),
    /// Ask a running step to end; given at most once per step.
    Stop(VertexId),
    /// Start the undo of a step.
    Undo(VertexId),
    /// The undo of a step was due and will not run, because the run was killed.
    UndoDropped(VertexId),
    /// A vertex reached its last state; given exactly once per vertex, gates included.
    Settled {
        /// The vertex.
        v: VertexId,
        /// Its state, which is terminal.
        state: State,
    },
    /// The run is over; given exactly once, and nothing comes after it.
    Finish,
}

/// How far the end of the run was forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    Cancelled,
    Killed,
}

/// Whether a failure ends the run, and whether it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailFast {
    Off,
    Watching,
    /// A vertex failed; the queue and the running steps have not been told yet.
    Failed,
    /// Only survivors start from here on.
    Ending,
}

impl Core {
    /// A run in which nothing has started.
    #[must_use]
    pub fn new(graph: Graph, limits: &Limits) -> Self {
        let locks = Locks::new(&graph, &limits.lock_slots);
        Self {
            ledger: Ledger::new(&graph),
            pending: graph.ids().map(|v| graph.incoming(v).len()).collect(),
            ready: Ready::new(&graph, &locks, limits.jobs, limits.cpu, limits.memory),
            locks,
            groups: undo::groups(&graph),
            phase: Phase::Open,
            fail_fast: if limits.fail_fast {
                FailFast::Watching
            } else {
                FailFast::Off
            },
            finished: false,
            ripe: VecDeque::new(),
            to_wind_up: Vec::new(),
            to_undo: Vec::new(),
            out: Vec::new(),
            graph,
        }
    }

    /// Begins the run; to be called once.
    pub fn start(&mut self) -> Vec<Command> {
        let free = self.graph.ids().filter(|v| self.pending[v.index()] == 0);
        self.ripe.extend(free);
        self.advance()
    }

    /// Takes an event in and says what to do.
    ///
    /// # Panics
    /// When a step or an undo is reported that does not run.
    pub fn on_event(&mut self, event: Event) -> Vec<Command> {
        match event {
            Event::Finished { v, result } => self.step_finished(v, result),
            Event::UndoFinished { v, ok } => self.undo_finished(v, ok),
            Event::Cancel => self.end(Phase::Cancelled),
            Event::Kill => self.end(Phase::Killed),
        }
        self.advance()
    }

    /// Where a vertex stands.
    #[must_use]
    pub fn state(&self, v: VertexId) -> State {
        self.ledger.state(v)
    }

    /// Where the undo of a vertex stands.
    #[must_use]
    pub fn undo_state(&self, v: VertexId) -> UndoState {
        self.ledger.undo(v)
    }

    /// The steps that wait for nothing but room; those that need as much of it by their urgency.
    pub fn ready(&self) -> impl Iterator<Item = VertexId> {
        self.ready.queue()
    }

    /// How many steps are in which state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    /// Whether [`Command::Finish`] was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The graph of the run.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Works off everything that the last event made possible.
    fn advance(&mut self) -> Vec<Command> {
        self.spread();
        for id in std::mem::take(&mut self.to_undo) {
            self.undo_group(id);
        }
        for v in self.ready.fill(&mut self.locks) {
            self.start_step(v);
        }
        if !self.finished && self.ledger.is_settled() {
            self.finished = true;
            self.out.push(Command::Finish);
        }
        std::mem::take(&mut self.out)
    }

    /// Judges what became ripe, and lets failures reach their group and the run, until nothing changes.
    fn spread(&mut self) {
        loop {
            if let Some(v) = self.ripe.pop_front() {
                self.judge(v);
            } else if let Some(id) = self.to_wind_up.pop() {
                self.wind_up(id);
            } else if self.fail_fast == FailFast::Failed {
                self.fail_fast = FailFast::Ending;
                self.halt(|graph, v| !graph.survives(v), SkipReason::FailFast);
            } else {
                break;
            }
        }
    }

    fn judge(&mut self, v: VertexId) {
        // It may have been skipped before the last vertex it waited for ended.
        if self.state(v) != State::Waiting {
            return;
        }
        let failing = matches!(self.fail_fast, FailFast::Failed | FailFast::Ending);
        match judge::judge(&self.graph, &self.ledger, v) {
            Verdict::Settle(state) => self.settle(v, state),
            Verdict::Run if failing && !self.graph.survives(v) => {
                self.settle(v, State::Skipped(SkipReason::FailFast));
            }
            Verdict::Run => {
                self.ledger.set(v, State::Ready);
                self.ready.insert(v);
            }
        }
    }

    fn start_step(&mut self, v: VertexId) {
        self.ledger.set(v, State::Running);
        if self.graph.has_undo(v) {
            self.ledger.set_undo(v, UndoState::Armed);
        }
        self.out.push(Command::Start(v));
    }

    fn step_finished(&mut self, v: VertexId, result: StepResult) {
        let now = self.state(v);
        assert!(
            matches!(now, State::Running | State::Stopping),
            "vertex {v} reports an end and is {now:?}"
        );
        let state = match result {
            StepResult::Passed { cached } => State::Passed { cached },
            StepResult::Failed | StepResult::NotBegun => judge::failure(&self.graph, v),
            StepResult::NotNeeded => State::Skipped(SkipReason::NotNeeded),
            StepResult::Cancelled => State::Cancelled,
        };
        let idle = matches!(result, StepResult::NotBegun | StepResult::NotNeeded);
        if idle && self.ledger.undo(v) == UndoState::Armed {
            self.ledger.set_undo(v, UndoState::None);
        }
        self.settle(v, state);
        self.ready.release(v);
        self.compensate(v, state);
    }

    /// Brings a vertex to its last state and makes those that waited only for it ripe.
    fn settle(&mut self, v: VertexId, state: State) {
        self.ledger.set(v, state);
        self.out.push(Command::Settled { v, state });
        if state == State::Failed && self.fail_fast == FailFast::Watching {
            self.fail_fast = FailFast::Failed;
        }
        self.tell_group(v, state);
        for &(to, _) in self.graph.outgoing(v) {
            self.pending[to.index()] -= 1;
            if self.pending[to.index()] == 0 {
                self.ripe.push_back(to);
            }
        }
    }

    fn end(&mut self, phase: Phase) {
        if self.finished || self.phase >= phase {
            return;
        }
        let first = self.phase == Phase::Open;
        self.phase = phase;
        if first {
            for v in self.graph.ids() {
                self.skip_unstarted(v, SkipReason::RunCancelled);
            }
            self.halt(|_, _| true, SkipReason::RunCancelled);
        }
        if phase == Phase::Killed {
            self.drop_due_undos();
        }
    }

    /// Empties the queue and stops what runs, as far as `concerns` says so.
    fn halt(&mut self, concerns: impl Fn(&Graph, VertexId) -> bool, reason: SkipReason) {
        for v in self.graph.ids() {
            match self.state(v) {
                State::Ready if concerns(&self.graph, v) => self.skip_unstarted(v, reason),
                State::Running if concerns(&self.graph, v) => {
                    self.ledger.set(v, State::Stopping);
                    self.out.push(Command::Stop(v));
                }
                _ => {}
            }
        }
    }

    /// Skips a step that was not told to start; gates follow by themselves.
    fn skip_unstarted(&mut self, v: VertexId, reason: SkipReason) {
        match self.state(v) {
            State::Waiting if self.graph.is_step(v) => {}
            State::Ready => self.ready.remove(v),
            _ => return,
        }
        self.settle(v, State::Skipped(reason));
    }
}
