//! For whose sake a step was skipped: the step behind a fan-in point, as nobody knows the points. Changes nothing.

use std::collections::BTreeMap;

use crate::plan::{Plan, VertexId};
use crate::run::schedule::{self, Core};

/// The steps behind fan-in points, each looked up once: the points are many steps wide.
#[derive(Default)]
pub(super) struct Roots(BTreeMap<u32, schedule::VertexId>);

impl Roots {
    /// The step that a fan-in point ended as it did for; the point itself where there is none.
    pub(super) fn of(
        &mut self,
        plan: &Plan,
        core: &Core,
        from: schedule::VertexId,
    ) -> schedule::VertexId {
        let kind = |v: schedule::VertexId| std::mem::discriminant(&core.state(v));
        let mut at = from;
        while plan.step(VertexId::new(at.0 as usize)).is_none() {
            if let Some(known) = self.0.get(&at.0) {
                at = *known;
                break;
            }
            let before = plan
                .graph
                .neighbors_directed(VertexId::new(at.0 as usize), petgraph::Direction::Incoming)
                .map(|v| schedule::VertexId(u32::try_from(v.index()).unwrap_or(u32::MAX)));
            match before.filter(|v| kind(*v) == kind(at)).min() {
                Some(next) => at = next,
                None => break,
            }
        }
        self.0.insert(from.0, at);
        at
    }
}
