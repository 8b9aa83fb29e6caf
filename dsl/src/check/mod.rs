//! What is wrong with a pipeline as a whole: cycles, things that never happen, deliveries that would hurt.

mod caching;
mod cycle;
mod delivery;
mod images;
mod possible;
mod steps;
mod targets;
mod unused;

use crate::cascade::{is_in_a_line, is_local};
use crate::diagnostic::{Diagnostics, Severity};
use crate::model::Pipeline;
use crate::names::Names;

/// All findings about a pipeline whose names are resolved. What needs the whole picture is said only where nothing of
/// it is missing: a lost step would look like one that was forgotten. That a name is declared nowhere is also said where
/// only lines are lost.
pub fn check(pipeline: &Pipeline, names: &Names, out: &mut Diagnostics) {
    let whole = out.iter().all(is_local);
    let has_all_names = out.iter().all(is_in_a_line);
    steps::check(pipeline, out);
    cycle::check(pipeline, out);
    caching::check(pipeline, out);
    targets::check(pipeline, out);
    images::check(pipeline, out);
    if has_all_names {
        let mut found = Diagnostics::new();
        steps::undo(pipeline, &mut found);
        possible::check(pipeline, &mut found);
        delivery::check(pipeline, names, &mut found);
        out.extend(found.into_iter().filter(|d| whole || d.missing.is_some()));
    }
    if out.iter().all(|d| d.severity() == Severity::Warning) {
        unused::check(pipeline, names, out);
    }
}
