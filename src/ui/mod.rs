//! What people see. The only part of the program that prints.

pub mod confirm;
pub mod ending;
mod github;
mod gitlab;
mod json;
mod live;
pub mod out;
mod plain;
mod quiet;
mod screen;
pub mod words;

use std::sync::Arc;

use engine::plan::Plan;
use engine::run::event::Subscriber;

use crate::again::Again;
use crate::args::RunFormat;
use crate::project::Project;
use out::Out;

/// What the reporters of a run need to know.
pub struct Reporting<'a> {
    /// The format; never `Auto`.
    pub format: RunFormat,
    /// The pipeline.
    pub project: &'a Project,
    /// The plan.
    pub plan: &'a Arc<Plan>,
    /// Whether all output of the steps is shown on a terminal too.
    pub all_output: bool,
    /// The command that was given.
    pub again: Again,
}

/// The reporters of a run.
#[must_use]
pub fn reporter(about: &Reporting<'_>, out: &Out) -> Vec<Box<dyn Subscriber>> {
    let ending = ending::Ending::new(about, out);
    let reporter: Box<dyn Subscriber> = match about.format {
        RunFormat::Json => Box::new(json::Json::new(out)),
        RunFormat::Github => Box::new(github::GitHub::new(ending, about, out)),
        RunFormat::Gitlab => Box::new(gitlab::GitLab::new(ending, about, out)),
        RunFormat::Live => Box::new(live::Live::new(ending, about, out)),
        RunFormat::Quiet => Box::new(quiet::Quiet::new(ending, out)),
        RunFormat::Plain | RunFormat::Auto => Box::new(plain::Plain::new(ending, about, out)),
    };
    vec![reporter]
}
