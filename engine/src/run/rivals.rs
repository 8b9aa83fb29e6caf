//! Steps of a run that may make the same files, in no order: whose such a file is, nobody can tell afterwards. Knows
//! which they are; reads nothing.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;
use std::sync::OnceLock;

use petgraph::Direction;
use petgraph::graph::NodeIndex;

use super::recipe;
use crate::files::{self, Patterns};
use crate::plan::{Plan, VertexId};

/// For every step of a plan: the others that may make the same files.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    /// Those that are somebody's rival, by vertex.
    makers: BTreeMap<u32, Maker>,
    /// By vertex: the vertices of its rivals.
    of: BTreeMap<u32, Vec<u32>>,
}

#[derive(Debug)]
struct Maker {
    name: String,
    products: Vec<String>,
    /// Read when somebody asks.
    patterns: OnceLock<Option<Patterns>>,
}

impl Maker {
    fn of(plan: &Plan, vertex: u32) -> Option<Self> {
        let step = plan.step(VertexId::new(vertex as usize))?;
        let products = recipe::products(plan.definition(step).job()?);
        Some(Self {
            name: step.name.clone(),
            products: products.map(str::to_owned).collect(),
            patterns: OnceLock::new(),
        })
    }
}

impl Rivals {
    /// Of all steps of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        // By the part of a pattern before its first wildcard, with a `/` at its end.
        let mut beneath: Vec<(String, u32)> = Vec::new();
        for (vertex, step) in plan.steps() {
            let Some(job) = plan.definition(step).job() else {
                continue;
            };
            let vertex = u32::try_from(vertex.index()).unwrap_or(u32::MAX);
            let wanted = recipe::products(job).filter(|p| !p.starts_with('!'));
            beneath.extend(wanted.map(|pattern| (prefix(pattern), vertex)));
        }
        beneath.sort_unstable();
        let mut near: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        let mut note = |one: u32, other: u32| {
            near.entry(one).or_default().insert(other);
            near.entry(other).or_default().insert(one);
        };
        // Whoever makes something above a place comes before it, and is still open there. Most are alone.
        let mut open: Vec<(&str, u32)> = Vec::new();
        for (own, vertex) in &beneath {
            while open.pop_if(|(above, _)| !own.starts_with(*above)).is_some() {}
            let others = open.iter().map(|(_, other)| *other);
            others
                .filter(|o| o != vertex)
                .for_each(|o| note(*vertex, o));
            open.push((own, *vertex));
        }
        let mut rivals = Self::default();
        for (vertex, near) in near {
            let ordered = ordered(plan, vertex);
            let free: Vec<u32> = near.difference(&ordered).copied().collect();
            for other in &free {
                if let Entry::Vacant(entry) = rivals.makers.entry(*other) {
                    Maker::of(plan, *other).map(|maker| entry.insert(maker));
                }
            }
            if !free.is_empty() {
                rivals.of.insert(vertex, free);
            }
        }
        rivals
    }

    /// Of these paths the first that another step may have made as well, and which step.
    pub(super) fn contested<'p>(&self, vertex: u32, paths: &[&'p str]) -> Option<(&'p str, &str)> {
        let rivals = self.of.get(&vertex)?.iter();
        let mut rivals = rivals.filter_map(|v| self.makers.get(v));
        rivals.find_map(|rival| {
            let patterns = rival
                .patterns
                .get_or_init(|| Patterns::new(rival.products.iter().map(String::as_str)).ok());
            let patterns = patterns.as_ref()?;
            let path = paths.iter().find(|p| patterns.matches(Path::new(p)))?;
            Some((*path, rival.name.as_str()))
        })
    }
}

fn prefix(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len() + 1);
    for part in files::literal_parts(pattern) {
        text += part;
        text.push('/');
    }
    text
}

/// The vertices that certainly end before a step begins, or begin after it has ended.
fn ordered(plan: &Plan, vertex: u32) -> BTreeSet<u32> {
    let mut seen = BTreeSet::new();
    for direction in [Direction::Incoming, Direction::Outgoing] {
        let mut open: Vec<VertexId> = vec![NodeIndex::new(vertex as usize)];
        let mut known = BTreeSet::new();
        while let Some(at) = open.pop() {
            let more = plan.graph.neighbors_directed(at, direction);
            open.extend(more.filter(|v| known.insert(*v)));
        }
        seen.extend(
            known
                .iter()
                .map(|v| u32::try_from(v.index()).unwrap_or(u32::MAX)),
        );
    }
    seen
}
