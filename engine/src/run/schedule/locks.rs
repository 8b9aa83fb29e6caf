//! Named locks with slots, taken all at once. Knows no states and no other resources.

use std::collections::{BTreeMap, VecDeque};

use super::graph::{Graph, LockId, VertexId};

/// Who may hold what.
///
/// Steps ask again whenever there is room; undos wait in line, and no step gets a lock that an undo waits for.
#[derive(Debug)]
pub(super) struct Locks {
    locks: BTreeMap<LockId, Lock>,
    /// The locks of each vertex, sorted, each once.
    of: Vec<Vec<LockId>>,
}

#[derive(Debug, Default)]
struct Lock {
    free: u32,
    /// How many waiting undos will take a slot.
    wanted: u32,
    /// The undos that found no slot of this lock; when one is free, the first asks again.
    waiters: VecDeque<VertexId>,
}

impl Locks {
    /// A lock that `slots` does not list has one slot, and every lock has at least one.
    pub(super) fn new(graph: &Graph, slots: &[u32]) -> Self {
        let of: Vec<Vec<LockId>> = graph.ids().map(|v| locks_of(graph, v)).collect();
        let lock = |id: LockId| Lock {
            free: slots.get(id.0 as usize).map_or(1, |&n| n.max(1)),
            ..Lock::default()
        };
        let locks = of.iter().flatten().map(|&id| (id, lock(id))).collect();
        Self { locks, of }
    }

    pub(super) fn of(&self, v: VertexId) -> &[LockId] {
        &self.of[v.index()]
    }

    /// Whether a step could take its locks now.
    pub(super) fn are_free_for_step(&self, v: VertexId) -> bool {
        self.of(v).iter().all(|id| {
            let lock = &self.locks[id];
            lock.free > 0 && lock.wanted == 0
        })
    }

    /// Takes all locks of a vertex; the caller knows that they are free.
    pub(super) fn take(&mut self, v: VertexId) {
        self.each(v, |lock| lock.free -= 1);
    }

    /// Takes all locks of a vertex for its undo, or puts it in line and says no.
    pub(super) fn take_or_wait(&mut self, v: VertexId) -> bool {
        let took = self.take_or_park(v);
        if !took {
            self.each(v, |lock| lock.wanted += 1);
        }
        took
    }

    /// Gives back all locks of a vertex. Returns the undos that waited and now hold theirs.
    pub(super) fn release(&mut self, v: VertexId) -> Vec<VertexId> {
        self.each(v, |lock| lock.free += 1);
        let mut served = Vec::new();
        for id in self.of[v.index()].clone() {
            while let Some(waiter) = self.next_waiter(id) {
                if self.take_or_park(waiter) {
                    self.each(waiter, |lock| lock.wanted -= 1);
                    served.push(waiter);
                }
            }
        }
        served
    }

    /// Sends all waiting undos away.
    pub(super) fn forget_waiters(&mut self) {
        for lock in self.locks.values_mut() {
            lock.wanted = 0;
            lock.waiters.clear();
        }
    }

    fn take_or_park(&mut self, v: VertexId) -> bool {
        let full = self.of(v).iter().find(|id| self.locks[id].free == 0);
        let Some(&full) = full else {
            self.take(v);
            return true;
        };
        let lock = self.locks.get_mut(&full);
        lock.expect("it was found full").waiters.push_back(v);
        false
    }

    fn next_waiter(&mut self, id: LockId) -> Option<VertexId> {
        let lock = self.locks.get_mut(&id)?;
        if lock.free == 0 {
            return None;
        }
        lock.waiters.pop_front()
    }

    fn each(&mut self, v: VertexId, change: impl Fn(&mut Lock)) {
        for id in &self.of[v.index()] {
            self.locks.get_mut(id).into_iter().for_each(&change);
        }
    }
}

fn locks_of(graph: &Graph, v: VertexId) -> Vec<LockId> {
    if !graph.is_step(v) {
        return Vec::new();
    }
    let mut locks = graph.vertex(v).locks.clone();
    locks.sort_unstable();
    locks.dedup();
    locks
}
