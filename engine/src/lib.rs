//! stub

pub mod world;
