//! The language of `pipeline.kdl`: text in, meaning and diagnostics out; never runs anything.

pub mod codes;
pub mod diagnostic;
pub mod expr;
mod form;
mod load;
mod lower;
pub mod model;
mod names;
pub mod render;
pub mod schema;
pub mod source;
mod stdlib;
pub mod syntax;
mod text;
pub mod units;
