//! Deployments with a target's own commands: the example `laptop`, whose machine keeps real processes running that answer
//! over HTTP. Whether something is healthy is asked of them, never of the engine.

mod container;
mod crash;
mod metrics;
mod people;
mod shop;
mod signed;
pub mod ssh;
mod way;
