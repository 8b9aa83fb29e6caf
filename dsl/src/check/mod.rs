//! What is wrong with a pipeline as a whole: cycles, things that never happen, deliveries that would hurt.

mod cycle;
mod delivery;
mod possible;
mod steps;
mod unused;

use crate::diagnostic::Diagnostics;
use crate::model::Pipeline;
use crate::names::Names;

/// All findings about a pipeline whose names are resolved.
pub fn check(pipeline: &Pipeline, names: &Names, out: &mut Diagnostics) {
    steps::check(pipeline, out);
    cycle::check(pipeline, out);
    possible::check(pipeline, out);
    delivery::check(pipeline, names, out);
    unused::check(pipeline, names, out);
}
