//! What is wrong with a pipeline as a whole: cycles, things that never happen, deliveries that would hurt.

mod caching;
mod cycle;
mod delivery;
mod images;
mod possible;
mod steps;
mod targets;
mod unused;

use crate::cascade::is_local;
use crate::diagnostic::{Diagnostics, Severity};
use crate::model::Pipeline;
use crate::names::Names;

/// All findings about a pipeline whose names are resolved. What needs the whole picture is looked at only where
/// nothing of it is missing: a lost step would look like one that was forgotten.
pub fn check(pipeline: &Pipeline, names: &Names, out: &mut Diagnostics) {
    let whole = out.iter().all(is_local);
    steps::check(pipeline, out);
    cycle::check(pipeline, out);
    caching::check(pipeline, out);
    targets::check(pipeline, out);
    images::check(pipeline, out);
    if whole {
        steps::undo(pipeline, out);
        possible::check(pipeline, out);
        delivery::check(pipeline, names, out);
    }
    if out.iter().all(|d| d.severity() == Severity::Warning) {
        unused::check(pipeline, names, out);
    }
}
