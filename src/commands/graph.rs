//! `pipe graph`.

use crate::args::{Global, GraphArgs};
use crate::failed::Failed;
use crate::ui::out::Out;

/// Draws the pipeline.
///
/// # Errors
/// When there is none.
pub fn run(_: &Global, _: &GraphArgs, _: &Out) -> Result<i32, Failed> {
    Err(Failed::usage("not there yet"))
}
