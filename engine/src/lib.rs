//! The engine of pipe: a pipeline in, a plan, a run and its record out; never prints.

pub mod cache;
pub mod container;
pub mod deploy;
pub mod files;
pub mod graph;
pub mod ledger;
pub mod notify;
pub mod oci;
pub mod output;
mod own_files;
pub mod plan;
pub mod process;
pub mod promote;
pub mod record;
pub mod release;
pub mod report;
pub mod run;
pub mod seen;
mod side_by_side;
pub mod version;
mod web;
pub mod world;

pub use side_by_side::processors;
