//! The language of `pipeline.kdl`: text in, meaning and diagnostics out; never runs anything.

pub mod codes;
pub mod diagnostic;
pub mod render;
pub mod source;
pub mod syntax;
