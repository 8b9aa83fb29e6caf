//! stub

pub mod run;
