//! Steps of a run that may make the same files, in no order: whose such a file is, nobody can tell afterwards. Knows
//! which they are; reads nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
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
    makers: Vec<Maker>,
    /// By vertex: indexes into `makers`.
    of: BTreeMap<u32, Vec<usize>>,
}

#[derive(Debug)]
struct Maker {
    vertex: u32,
    name: String,
    products: Vec<String>,
    /// Read when somebody asks.
    patterns: OnceLock<Option<Patterns>>,
}

impl Rivals {
    /// Of all steps of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut makers = Vec::new();
        // By the part of a pattern before its first wildcard, with a `/` at its end.
        let mut beneath: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (vertex, step) in plan.steps() {
            let products = plan.definition(step).job().map(recipe::products);
            let products = products.unwrap_or_default();
            for pattern in products.iter().filter(|p| !p.starts_with('!')) {
                beneath
                    .entry(prefix(pattern))
                    .or_default()
                    .push(makers.len());
            }
            if !products.is_empty() {
                makers.push(Maker {
                    vertex: u32::try_from(vertex.index()).unwrap_or(u32::MAX),
                    name: step.name.clone(),
                    products,
                    patterns: OnceLock::new(),
                });
            }
        }
        // Most steps are alone with what they make.
        let mut near: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (own, makers) in &beneath {
            let mut found = near_of(&beneath, own);
            if let Some(one) = found.next()
                && found.any(|other| other != one)
            {
                let found: BTreeSet<usize> = near_of(&beneath, own).collect();
                for maker in makers {
                    near.entry(*maker).or_default().extend(&found);
                }
            }
        }
        let mut of = BTreeMap::new();
        for (at, near) in near {
            let vertex = makers[at].vertex;
            let ordered = ordered(plan, vertex);
            let free = |other: &usize| *other != at && !ordered.contains(&makers[*other].vertex);
            let rivals: Vec<usize> = near.into_iter().filter(free).collect();
            if !rivals.is_empty() {
                of.insert(vertex, rivals);
            }
        }
        Self { makers, of }
    }

    /// Of these paths the first that another step may have made as well, and which step.
    pub(super) fn contested<'p>(&self, vertex: u32, paths: &[&'p str]) -> Option<(&'p str, &str)> {
        let rivals = self.of.get(&vertex)?.iter().map(|at| &self.makers[*at]);
        rivals.into_iter().find_map(|rival| {
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

/// Who makes something above or beneath the place where a pattern begins.
fn near_of<'b>(
    beneath: &'b BTreeMap<String, Vec<usize>>,
    own: &'b str,
) -> impl Iterator<Item = usize> + 'b {
    let below = beneath
        .range::<str, _>((Bound::Included(own), Bound::Unbounded))
        .take_while(move |(other, _)| other.starts_with(own))
        .map(|(_, makers)| makers);
    let above = own
        .char_indices()
        .filter(|(at, c)| *c == '/' && at + 1 < own.len())
        .map(|(at, _)| &own[..=at]);
    let above = (!own.is_empty()).then_some("").into_iter().chain(above);
    below
        .chain(above.filter_map(|above| beneath.get(above)))
        .flatten()
        .copied()
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
