//! Graphs and events as text, commands back as text, so that a test reads as a story.

use indexmap::IndexMap;

use crate::run::schedule::{
    Command, Core, EdgeKind, EdgeSpec, Event, Graph, GraphError, GroupId, GroupSpec, Kind, Limits,
    LockId, SkipReason, State, StepResult, VertexId, VertexSpec,
};

/// No limit that a test notices.
pub(super) fn ample() -> Limits {
    Limits {
        jobs: 100,
        cpu: 8,
        memory: 8,
        lock_slots: Vec::new(),
        fail_fast: false,
    }
}

/// A graph whose vertices have names.
///
/// One vertex per line: `name word…`, where a word is `gate`, `soft`, `undo`, `in=GROUP` (`in=GROUP!` undoes itself),
/// `priority=`, `cpu=`, `memory=`, `lock=A,B` (slots in order of first use), or `needs=`, `after=`, `on-failure=` with earlier names.
pub(super) struct Sketch {
    names: IndexMap<String, VertexSpec>,
    edges: Vec<EdgeSpec>,
    groups: IndexMap<String, GroupSpec>,
    locks: IndexMap<String, ()>,
}

impl Sketch {
    pub(super) fn new(text: &str) -> Self {
        let mut sketch = Self {
            names: IndexMap::new(),
            edges: Vec::new(),
            groups: IndexMap::new(),
            locks: IndexMap::new(),
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.for_each(|line| sketch.line(line));
        sketch
    }

    fn line(&mut self, line: &str) {
        let (name, words) = line.split_once(' ').unwrap_or((line, ""));
        let to = index(self.names.len());
        let mut spec = VertexSpec::default();
        for word in words.split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("gate", _) => spec.kind = Kind::Gate,
                ("soft", _) => spec.allow_failure = true,
                ("undo", _) => spec.undo = true,
                ("in", group) => spec.group = Some(self.group(group)),
                ("priority", n) => spec.priority = n.parse().unwrap(),
                ("cpu", n) => spec.cpu = n.parse().unwrap(),
                ("memory", n) => spec.memory = n.parse().unwrap(),
                ("lock", list) => spec.locks = list.split(',').map(|l| self.lock(l)).collect(),
                ("needs", list) => self.edges(list, to, EdgeKind::Needs),
                ("after", list) => self.edges(list, to, EdgeKind::After),
                ("on-failure", list) => self.edges(list, to, EdgeKind::OnFailure),
                (other, _) => panic!("unknown word {other}"),
            }
        }
        self.names.insert(name.to_owned(), spec);
    }

    fn group(&mut self, name: &str) -> GroupId {
        let undo_on_failure = name.ends_with('!');
        let spec = GroupSpec { undo_on_failure };
        GroupId(index(self.groups.insert_full(name.to_owned(), spec).0).0)
    }

    fn lock(&mut self, name: &str) -> LockId {
        LockId(index(self.locks.insert_full(name.to_owned(), ()).0).0)
    }

    fn edges(&mut self, list: &str, to: VertexId, kind: EdgeKind) {
        let edge = |from: &str| EdgeSpec {
            from: self.id(from),
            to,
            kind,
        };
        let edges: Vec<EdgeSpec> = list.split(',').map(edge).collect();
        self.edges.extend(edges);
    }

    fn id(&self, name: &str) -> VertexId {
        index(self.names.get_index_of(name).expect(name))
    }

    fn name(&self, v: VertexId) -> &str {
        self.names.get_index(v.0 as usize).unwrap().0
    }

    pub(super) fn graph(&self) -> Graph {
        self.try_graph().unwrap()
    }

    fn try_graph(&self) -> Result<Graph, GraphError> {
        let vertices = self.names.values().cloned().collect();
        Graph::new(
            vertices,
            &self.edges,
            self.groups.values().copied().collect(),
        )
    }

    fn event(&self, text: &str) -> Event {
        let (verb, name) = text.split_once(' ').unwrap_or((text, ""));
        let finished = |result| Event::Finished {
            v: self.id(name),
            result,
        };
        match verb {
            "pass" => finished(StepResult::Passed { cached: false }),
            "cache" => finished(StepResult::Passed { cached: true }),
            "fail" => finished(StepResult::Failed),
            "refuse" => finished(StepResult::NotBegun),
            "idle" => finished(StepResult::NotNeeded),
            "cut" => finished(StepResult::Cancelled),
            "undone" => Event::UndoFinished {
                v: self.id(name),
                ok: true,
            },
            "not-undone" => Event::UndoFinished {
                v: self.id(name),
                ok: false,
            },
            "cancel" => Event::Cancel,
            "kill" => Event::Kill,
            other => panic!("unknown event {other}"),
        }
    }

    fn command(&self, command: &Command) -> String {
        match *command {
            Command::Start(v) => format!("start {}", self.name(v)),
            Command::Stop(v) => format!("stop {}", self.name(v)),
            Command::Undo(v) => format!("undo {}", self.name(v)),
            Command::UndoDropped(v) => format!("drop undo {}", self.name(v)),
            Command::Settled { v, state } => format!("{} {}", self.name(v), self.state(state)),
            Command::Finish => "finish".to_owned(),
        }
    }

    fn state(&self, state: State) -> String {
        let State::Skipped(reason) = state else {
            return match state {
                State::Passed { cached: false } => "passed".to_owned(),
                State::Passed { cached: true } => "cached".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            };
        };
        match reason {
            SkipReason::NeedFailed(v) => format!("skipped: {} failed", self.name(v)),
            SkipReason::NeedCancelled(v) => format!("skipped: {} cancelled", self.name(v)),
            SkipReason::NeedSkipped(v) => format!("skipped: {} skipped", self.name(v)),
            SkipReason::NotTriggered => "skipped: not triggered".to_owned(),
            SkipReason::NotNeeded => "skipped: not needed".to_owned(),
            SkipReason::NeedNotNeeded(v) => format!("skipped: {} not needed", self.name(v)),
            SkipReason::FailFast => "skipped: fail-fast".to_owned(),
            SkipReason::GroupUndoing => "skipped: undoing".to_owned(),
            SkipReason::RunCancelled => "skipped: run cancelled".to_owned(),
        }
    }
}

fn index(i: usize) -> VertexId {
    VertexId(u32::try_from(i).unwrap())
}

/// A run of a sketch under way.
pub(super) struct Story {
    sketch: Sketch,
    pub(super) core: Core,
    started: Option<Vec<Command>>,
}

impl Story {
    pub(super) fn new(graph: &str, limits: &Limits) -> Self {
        let sketch = Sketch::new(graph);
        let mut core = Core::new(sketch.graph(), limits);
        let started = Some(core.start());
        Self {
            sketch,
            core,
            started,
        }
    }

    /// The commands of the start, if they were not asked for yet, and of each event.
    pub(super) fn tell(&mut self, events: &[&str]) -> Vec<String> {
        let mut told: Vec<Vec<Command>> = self.started.take().into_iter().collect();
        for event in events {
            told.push(self.core.on_event(self.sketch.event(event)));
        }
        let line = |commands: &Vec<Command>| {
            let words: Vec<String> = commands.iter().map(|c| self.sketch.command(c)).collect();
            words.join(", ")
        };
        told.iter().map(line).collect()
    }

    pub(super) fn id(&self, name: &str) -> VertexId {
        self.sketch.id(name)
    }
}

/// The commands of the start and of each event of a run without limits.
pub(super) fn tell(graph: &str, events: &[&str]) -> Vec<String> {
    tell_within(&ample(), graph, events)
}

/// The commands of the start and of each event.
pub(super) fn tell_within(limits: &Limits, graph: &str, events: &[&str]) -> Vec<String> {
    Story::new(graph, limits).tell(events)
}

/// The undos that `pipe plan` shows for a failure.
pub(super) fn undo_order(graph: &str, failed: &str) -> Vec<String> {
    let sketch = Sketch::new(graph);
    let order = sketch.graph().undo_order(sketch.id(failed));
    order.iter().map(|&v| sketch.name(v).to_owned()).collect()
}
