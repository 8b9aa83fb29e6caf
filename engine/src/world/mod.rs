//! The one door to git and to the environment of the CI that runs us: what happened, on which
//! commit, and whether it may be trusted. Unaware of pipelines, plans and runs; nothing else in
//! the engine calls `git` or reads a CI's variables.
//!
//! Values that come through this door are data from strangers. Names of branches and tags obey
//! git's own rules when they leave it, and stay plain strings: a branch called `$(rm -rf ~)` is
//! legal, and harmless as long as nobody builds a shell text from it.

pub mod changed;
mod checked_out;
mod ci;
pub mod context;
pub mod event;
pub mod git;
mod github;
mod includes;
pub mod refname;
#[cfg(test)]
mod testing;
pub mod variables;

pub use changed::{Changed, changed_paths};
pub use ci::build_url;
pub use context::{Context, ContextError, Flags, GitInfo, Provider, PullRequest, context};
pub use event::{Event, UnknownEvent};
pub use git::{Git, GitError};
pub use includes::Includes;
