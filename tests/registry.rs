//! Registries: real ones, folders, one that has what they lack, and what stands between and does harm.

mod copying;
mod elsewhere;
mod fake;
mod faults;
mod http;
pub mod images;
mod logins;
mod proxy;
mod pruning;
mod pushing;
mod server;
mod signing;
