//! A plan becomes a run: the only part that waits for the world. Tells everything by events; prints nothing.

mod build;
mod caching;
mod capture;
pub mod concurrency;
mod contained;
mod context;
mod deliver;
mod directories;
mod dispatch;
pub mod environment;
pub mod event;
pub mod forecast;
pub mod outcome;
mod place;
mod prepare;
mod push;
mod recipe;
pub mod registries;
pub mod remote;
mod results;
pub mod resume;
mod rivals;
pub mod schedule;
pub mod secrets;
mod signals;
mod spare;
mod task;
mod tools;
mod work;

pub use build::builder_of;
pub use caching::Keyed;
pub use dispatch::{GUARDIAN_KILLED, Options, run};
pub use recipe::is_cacheable;
pub use signals::asked_to_end;
