//! `pipe init`.

use crate::args::{Global, InitArgs};
use crate::failed::Failed;
use crate::ui::out::Out;

/// Writes a first pipeline.
///
/// # Errors
/// When there is one.
pub fn run(_: &Global, _: &InitArgs, _: &Out) -> Result<i32, Failed> {
    Err(Failed::usage("not there yet"))
}
