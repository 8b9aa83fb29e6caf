//! The graph a run works off: vertices, typed edges, groups. Knows no states, no limits and nothing of what a vertex does.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;

use thiserror::Error;

/// A checked, acyclic graph.
#[derive(Debug, Clone)]
pub struct Graph {
    vertices: Vec<VertexSpec>,
    groups: Vec<GroupSpec>,
    incoming: Adjacency,
    outgoing: Adjacency,
    /// Position of each vertex in the estimated starting order.
    rank: Vec<u32>,
    /// See [`Graph::survives`] and `failure_branch`.
    role: Vec<Role>,
}

/// Index of a vertex in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexId(pub u32);

/// Index of a group in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// Index of a lock in [`Limits::lock_slots`](super::Limits::lock_slots).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u32);

/// What a vertex is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// Something that is started, runs and reports.
    #[default]
    Step,
    /// A pure fan-in point; it completes by itself, without a command.
    Gate,
}

/// One vertex.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VertexSpec {
    /// What it is; a gate uses no resources, no locks and has no undo.
    pub kind: Kind,
    /// The group it is compensated with.
    pub group: Option<GroupId>,
    /// Length of the longest path to the end; larger starts first, then the smaller id.
    pub priority: u64,
    /// Processors it asks for; more than there are means all of them.
    pub cpu: u32,
    /// Memory it asks for; more than there is means all of it.
    pub memory: u64,
    /// Locks of which it holds one slot each while it runs and while it is undone.
    pub locks: Vec<LockId>,
    /// Whether its failure is no failure of the run.
    pub allow_failure: bool,
    /// Whether it has a rollback.
    pub undo: bool,
}

/// How one vertex waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// The other must have succeeded.
    Needs,
    /// The other must have ended, however it ended.
    After,
    /// The other, or one of the others with this kind of edge, must have failed.
    OnFailure,
}

/// One edge: `to` waits for `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeSpec {
    /// The vertex that is waited for.
    pub from: VertexId,
    /// The vertex that waits.
    pub to: VertexId,
    /// How it waits.
    pub kind: EdgeKind,
}

/// One group of vertices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupSpec {
    /// Whether a failure in the group undoes all that was done in it, in reverse order.
    pub undo_on_failure: bool,
}

/// Why vertices and edges are no graph to run; always the planner's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GraphError {
    /// An edge names a vertex that does not exist.
    #[error("an edge names vertex {0}, which is not in the graph")]
    UnknownVertex(VertexId),
    /// A vertex names a group that does not exist.
    #[error("vertex {0} is in a group that is not in the graph")]
    UnknownGroup(VertexId),
    /// A vertex waits for itself in the end.
    #[error("vertex {0} waits for itself")]
    Cycle(VertexId),
}

impl Graph {
    /// Checks and indexes a graph.
    ///
    /// # Errors
    /// When an edge or a group points nowhere, or when the edges form a cycle.
    pub fn new(
        vertices: Vec<VertexSpec>,
        edges: &[EdgeSpec],
        groups: Vec<GroupSpec>,
    ) -> Result<Self, GraphError> {
        check_ids(&vertices, edges, &groups)?;
        let count = vertices.len();
        let incoming = Adjacency::new(count, edges, |e| e.to, |e| e.from);
        let outgoing = Adjacency::new(count, edges, |e| e.from, |e| e.to);
        let order = starting_order(&vertices, &incoming, &outgoing)?;
        let role = roles(&vertices, &incoming, &order);
        let mut rank = vec![0; count];
        for (position, v) in (0..).zip(&order) {
            rank[v.index()] = position;
        }
        Ok(Self {
            vertices,
            groups,
            incoming,
            outgoing,
            rank,
            role,
        })
    }

    /// The undos that would run, in order, if `v` failed after everything it waits for has passed.
    ///
    /// An estimate, because a run undoes in reverse order of completion, which only the run knows.
    /// Steps of the group that run beside `v` are left out.
    #[must_use]
    pub fn undo_order(&self, v: VertexId) -> Vec<VertexId> {
        let spec = self.vertex(v);
        if spec.allow_failure {
            return Vec::new();
        }
        let mut undone = vec![v];
        if self.undoes_group(v) {
            undone.extend(self.ancestors(v).into_iter().filter(|&a| {
                self.vertex(a).group == spec.group
                    && (self.in_failure_branch(v) || !self.in_failure_branch(a))
            }));
        }
        undone.retain(|&u| self.has_undo(u));
        undone.sort_by_key(|u| Reverse(self.rank[u.index()]));
        undone
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = VertexId> + use<> {
        (0..).take(self.vertices.len()).map(VertexId)
    }

    pub(super) fn vertex(&self, v: VertexId) -> &VertexSpec {
        &self.vertices[v.index()]
    }

    pub(super) fn is_step(&self, v: VertexId) -> bool {
        self.vertex(v).kind == Kind::Step
    }

    pub(super) fn has_undo(&self, v: VertexId) -> bool {
        self.vertex(v).undo && self.is_step(v)
    }

    pub(super) fn groups(&self) -> &[GroupSpec] {
        &self.groups
    }

    /// Whether a failure of `v` undoes the whole group of `v`.
    pub(super) fn undoes_group(&self, v: VertexId) -> bool {
        self.vertex(v)
            .group
            .is_some_and(|g| self.groups[g.index()].undo_on_failure)
    }

    pub(super) fn incoming(&self, v: VertexId) -> &[(VertexId, EdgeKind)] {
        self.incoming.of(v)
    }

    pub(super) fn outgoing(&self, v: VertexId) -> &[(VertexId, EdgeKind)] {
        self.outgoing.of(v)
    }

    /// Whether `v` is there for the time after a failure, so that fail-fast and the winding up of its group let it start.
    ///
    /// Such are: whoever waits with *after* or *on-failure*, directly or at a gate that does,
    /// and whoever needs a step that only runs on failure.
    pub(super) fn survives(&self, v: VertexId) -> bool {
        let role = self.role[v.index()];
        role.failure_branch || role.clean_up
    }

    fn in_failure_branch(&self, v: VertexId) -> bool {
        self.role[v.index()].failure_branch
    }

    fn ancestors(&self, v: VertexId) -> BTreeSet<VertexId> {
        let mut found = BTreeSet::new();
        let mut open = vec![v];
        while let Some(next) = open.pop() {
            let new = self.incoming(next).iter().map(|&(from, _)| from);
            open.extend(new.filter(|&from| found.insert(from)));
        }
        found
    }
}

impl VertexId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl GroupId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for VertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The neighbours of every vertex on one side, in one allocation.
#[derive(Debug, Clone)]
struct Adjacency {
    /// Where the neighbours of each vertex begin; one more entry than vertices.
    first: Vec<usize>,
    neighbours: Vec<(VertexId, EdgeKind)>,
}

impl Adjacency {
    fn new(
        count: usize,
        edges: &[EdgeSpec],
        near: impl Fn(&EdgeSpec) -> VertexId,
        far: impl Fn(&EdgeSpec) -> VertexId,
    ) -> Self {
        let mut sorted: Vec<&EdgeSpec> = edges.iter().collect();
        sorted.sort_by_key(|e| near(e));
        let mut first = vec![0; count + 1];
        for edge in edges {
            first[near(edge).index() + 1] += 1;
        }
        for i in 0..count {
            first[i + 1] += first[i];
        }
        let neighbours = sorted.iter().map(|e| (far(e), e.kind)).collect();
        Self { first, neighbours }
    }

    fn of(&self, v: VertexId) -> &[(VertexId, EdgeKind)] {
        &self.neighbours[self.first[v.index()]..self.first[v.index() + 1]]
    }
}

/// What a vertex is for when something has failed.
#[derive(Debug, Clone, Copy, Default)]
struct Role {
    /// It runs only if something failed.
    failure_branch: bool,
    /// It waits with *after*, itself or at a gate.
    clean_up: bool,
}

/// The roles of all vertices, found along `order`.
///
/// A gate does not inherit the failure branch: it passes when the branch was not taken.
fn roles(vertices: &[VertexSpec], incoming: &Adjacency, order: &[VertexId]) -> Vec<Role> {
    let mut roles = vec![Role::default(); vertices.len()];
    for &v in order {
        let mut role = Role::default();
        let is_step = vertices[v.index()].kind == Kind::Step;
        for &(from, kind) in incoming.of(v) {
            let other = roles[from.index()];
            let other_is_gate = vertices[from.index()].kind == Kind::Gate;
            match kind {
                EdgeKind::OnFailure => role.failure_branch = true,
                EdgeKind::After => role.clean_up = true,
                EdgeKind::Needs => {
                    role.failure_branch |= is_step && other.failure_branch;
                    role.clean_up |= is_step && other_is_gate && other.clean_up;
                }
            }
        }
        roles[v.index()] = role;
    }
    roles
}

fn check_ids(
    vertices: &[VertexSpec],
    edges: &[EdgeSpec],
    groups: &[GroupSpec],
) -> Result<(), GraphError> {
    let outside = |v: &VertexId| v.index() >= vertices.len();
    if let Some(v) = edges.iter().flat_map(|e| [e.from, e.to]).find(outside) {
        return Err(GraphError::UnknownVertex(v));
    }
    let lost = |spec: &VertexSpec| spec.group.is_some_and(|g| g.index() >= groups.len());
    match (0..).zip(vertices).find(|(_, spec)| lost(spec)) {
        Some((id, _)) => Err(GraphError::UnknownGroup(VertexId(id))),
        None => Ok(()),
    }
}

/// The order in which one worker would start the vertices: topological, the larger priority first.
fn starting_order(
    vertices: &[VertexSpec],
    incoming: &Adjacency,
    outgoing: &Adjacency,
) -> Result<Vec<VertexId>, GraphError> {
    let ids = || (0..).take(vertices.len()).map(VertexId);
    let urgency = |v: VertexId| (vertices[v.index()].priority, Reverse(v));
    let mut waits: Vec<usize> = ids().map(|v| incoming.of(v).len()).collect();
    let free = ids().filter(|v| waits[v.index()] == 0);
    let mut ready: BinaryHeap<_> = free.map(urgency).collect();
    let mut order = Vec::with_capacity(vertices.len());
    while let Some((_, Reverse(v))) = ready.pop() {
        order.push(v);
        for &(to, _) in outgoing.of(v) {
            waits[to.index()] -= 1;
            if waits[to.index()] == 0 {
                ready.push(urgency(to));
            }
        }
    }
    match ids().find(|v| waits[v.index()] > 0) {
        Some(stuck) => Err(GraphError::Cycle(on_cycle(stuck, incoming, &waits))),
        None => Ok(order),
    }
}

/// Walks back from a vertex that never became free until it meets a vertex twice.
fn on_cycle(stuck: VertexId, incoming: &Adjacency, waits: &[usize]) -> VertexId {
    let mut seen = BTreeSet::new();
    let mut v = stuck;
    while seen.insert(v) {
        let mut stuck_before = incoming.of(v).iter().map(|&(from, _)| from);
        v = stuck_before
            .find(|from| waits[from.index()] > 0)
            .expect("a vertex that never became free waits for another such vertex");
    }
    v
}
