//! The queue of ready steps and the room they wait for. Knows no states and no edges.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::graph::{Graph, LockId, VertexId};
use super::locks::Locks;

/// How often less urgent steps may start before a step that does not fit; then it makes them wait.
pub(super) const PATIENCE: u8 = 16;

/// How many sizes of steps one filling tries before it gives up; bounds the work after an event.
const TRIES: usize = 64;

/// The ready steps, by urgency.
///
/// Steps that ask for the same are one class: when the most urgent of a class does not fit, none of them does.
/// So one look per class is enough, however many steps are ready.
#[derive(Debug)]
pub(super) struct Ready {
    room: Room,
    classes: Vec<Class>,
    class_of: Vec<usize>,
    /// The most urgent step of every class that has one.
    heads: BTreeSet<(Urgency, usize)>,
    urgency: Vec<Urgency>,
    passed_over: Vec<u8>,
}

/// The larger priority first, then the smaller id.
type Urgency = (Reverse<u64>, VertexId);

#[derive(Debug, Clone, Copy)]
struct Room {
    jobs: u32,
    cpu: u32,
    memory: u64,
}

#[derive(Debug)]
struct Class {
    cpu: u32,
    memory: u64,
    members: BTreeSet<Urgency>,
}

/// Why a step does not start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misfit {
    Locks,
    Room,
}

/// The steps one filling had to leave, and the locks it keeps for them.
#[derive(Default)]
struct Refused {
    steps: Vec<(VertexId, Misfit)>,
    reserved: BTreeSet<LockId>,
    /// A step has waited long enough for cpu or memory: nothing less urgent starts.
    closed: bool,
}

impl Ready {
    /// At least one job runs at a time; a step never asks for more than there is.
    pub(super) fn new(graph: &Graph, locks: &Locks, jobs: u32, cpu: u32, memory: u64) -> Self {
        let mut classes = Vec::new();
        let mut known = BTreeMap::new();
        let mut class_of = Vec::new();
        for v in graph.ids() {
            let spec = graph.vertex(v);
            let (cpu, memory) = (spec.cpu.min(cpu), spec.memory.min(memory));
            let class = *known
                .entry((cpu, memory, locks.of(v)))
                .or_insert(classes.len());
            class_of.push(class);
            if class == classes.len() {
                let members = BTreeSet::new();
                classes.push(Class {
                    cpu,
                    memory,
                    members,
                });
            }
        }
        let urgency = graph.ids().map(|v| (Reverse(graph.vertex(v).priority), v));
        Self {
            room: Room {
                jobs: jobs.max(1),
                cpu,
                memory,
            },
            classes,
            passed_over: vec![0; class_of.len()],
            class_of,
            heads: BTreeSet::new(),
            urgency: urgency.collect(),
        }
    }

    pub(super) fn insert(&mut self, v: VertexId) {
        self.change(v, BTreeSet::insert);
    }

    pub(super) fn remove(&mut self, v: VertexId) {
        self.change(v, |members, urgency| members.remove(&urgency));
    }

    /// All of them, class after class.
    pub(super) fn queue(&self) -> impl Iterator<Item = VertexId> {
        let classes = self.heads.iter().map(|(_, class)| &self.classes[*class]);
        classes.flat_map(|class| class.members.iter().map(|(_, v)| *v))
    }

    /// Takes out the steps that start now, with the room and the locks they need.
    ///
    /// The most urgent step that fits goes first; smaller ones fill the gaps until a step that does not fit loses patience.
    pub(super) fn fill(&mut self, locks: &mut Locks) -> Vec<VertexId> {
        let mut started = Vec::new();
        let mut refused = Refused::default();
        let mut last = Bound::Unbounded;
        while self.room.jobs > 0 && !refused.closed && refused.steps.len() < TRIES {
            let Some(&head) = self.heads.range((last, Bound::Unbounded)).next() else {
                break;
            };
            last = Bound::Excluded(head);
            let v = head.0.1;
            match self.misfit(v, locks, &refused) {
                Some(misfit) => {
                    refused.steps.push((v, misfit));
                    self.ask_for_room(v, misfit, locks, &mut refused);
                }
                None => {
                    self.remove(v);
                    self.take_room(v);
                    locks.take(v);
                    started.push(v);
                    self.pass_over(locks, &mut refused);
                }
            }
        }
        started
    }

    /// Gives back the room of a step that ended.
    pub(super) fn release(&mut self, v: VertexId) {
        let class = &self.classes[self.class_of[v.index()]];
        self.room.jobs += 1;
        self.room.cpu += class.cpu;
        self.room.memory += class.memory;
    }

    fn take_room(&mut self, v: VertexId) {
        let class = &self.classes[self.class_of[v.index()]];
        self.room.jobs -= 1;
        self.room.cpu -= class.cpu;
        self.room.memory -= class.memory;
    }

    fn misfit(&self, v: VertexId, locks: &Locks, refused: &Refused) -> Option<Misfit> {
        let class = &self.classes[self.class_of[v.index()]];
        let reserved = locks.of(v).iter().any(|id| refused.reserved.contains(id));
        if reserved || !locks.are_free_for_step(v) {
            Some(Misfit::Locks)
        } else if class.cpu > self.room.cpu || class.memory > self.room.memory {
            Some(Misfit::Room)
        } else {
            None
        }
    }

    /// Counts a start that went past all refused steps.
    fn pass_over(&mut self, locks: &Locks, refused: &mut Refused) {
        for i in 0..refused.steps.len() {
            let (v, misfit) = refused.steps[i];
            let count = &mut self.passed_over[v.index()];
            *count = count.saturating_add(1);
            self.ask_for_room(v, misfit, locks, refused);
        }
    }

    /// Lets a step that was passed over too often keep others from what it waits for.
    fn ask_for_room(&self, v: VertexId, misfit: Misfit, locks: &Locks, refused: &mut Refused) {
        if self.passed_over[v.index()] < PATIENCE {
            return;
        }
        match misfit {
            Misfit::Locks => refused.reserved.extend(locks.of(v)),
            Misfit::Room => refused.closed = true,
        }
    }

    /// Changes the members of the class of `v` and keeps its head listed.
    fn change(&mut self, v: VertexId, change: impl Fn(&mut BTreeSet<Urgency>, Urgency) -> bool) {
        let id = self.class_of[v.index()];
        let members = &mut self.classes[id].members;
        let before = members.first().copied();
        change(members, self.urgency[v.index()]);
        let after = members.first().copied();
        if before != after {
            before.map(|head| self.heads.remove(&(head, id)));
            after.map(|head| self.heads.insert((head, id)));
        }
    }
}
