//! Bundles onto targets: one path for every driver, for promotions and for rollbacks. `machine` has the order and what is
//! promised about it, `deployment` does it, `driver` is what a target has to answer. Does not know steps, plans or views.

mod compose;
mod container;
mod deployment;
mod driver;
mod ecs;
mod hands;
mod kubernetes;
mod lease;
mod machine;
mod own;
mod patience;
mod places;
mod ready;
mod settings;
mod settled;
mod ssh;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use compose::{
    ComposeProject, Doing, FIND as FIND_COMPOSE, found as compose_found, project_name,
};
pub use container::{EngineAt, OneContainer};
pub use deployment::{Before, Journal, Made, Make, Request, deploy};
pub use driver::{Answer, Driver, Failure, Observed, Release};
pub use ecs::Ecs;
pub use hands::{Call, Hands, Migrated, Told};
pub use kubernetes::{Canary, Kubernetes};
pub use machine::{Back, Do, Ending, Machine};
pub use own::{Own, variables};
pub use ready::{Asked, Readiness};
pub use settings::Settings;
pub use ssh::{Ssh, quoted};
