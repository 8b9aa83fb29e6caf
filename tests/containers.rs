//! Jobs in containers, on real Docker and on real rootless Podman; and engines that fail, which are none.

mod choice;
pub mod engines;
pub mod fake;
mod faults;
mod images;
mod jobs;
mod old;
mod services;
mod stops;
