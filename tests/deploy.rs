//! Deployments with a target's own commands: the example `laptop`, whose machine keeps real processes running that answer
//! over HTTP. Whether something is healthy is asked of them, never of the engine.

mod away;
mod compose;
mod container;
mod crash;
pub mod host;
mod ledger;
mod metrics;
mod once;
mod people;
mod remote;
mod shop;
mod signed;
pub mod ssh;
mod way;
