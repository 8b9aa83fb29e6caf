//! Registries: real ones, folders, one that has what they lack, and what stands between and does harm.

mod copying;
mod images;
mod logins;
mod server;
