//! A registry of the pipeline for a command that is no run: with its login, and a prefix that needs no run.

use std::time::Duration;

use dsl::model::Registry;
use engine::run::outcome::exit;
use engine::run::registries::{Reached, Registries};
use engine::run::secrets;

use crate::failed::Failed;
use crate::project::Project;

/// A registry, ready to be asked; it may show no sign of life for so long.
///
/// # Errors
/// When its prefix is known only in a run or is none, or its password has no value.
pub fn reach(
    project: &Project,
    registry: &Registry,
    patience: Duration,
) -> Result<Reached, Failed> {
    let (pipeline, name) = (&project.loaded.pipeline, &registry.name.value);
    let env = |name: &str| std::env::var(name).ok();
    let prefix =
        registry.prefix.value.known().ok_or_else(|| {
            Failed::usage(format!("the prefix of `{name}` is known only in a run"))
        })?;
    let password = registry.login.as_ref().and_then(|l| l.password.as_ref());
    let password = password.map(|p| p.value.as_str());
    let secrets = secrets::named(pipeline, password.into_iter(), &project.root, &env);
    let secrets = secrets.map_err(|errors| {
        let all = errors.into_iter();
        all.fold(Failed::told(exit::USAGE), |f, e| {
            f.and(e.to_string(), Some(e.help))
        })
    })?;
    let registries = Registries { patience };
    let reached = registries.reach(registry, &prefix, &project.root, &secrets);
    reached.map_err(Failed::usage)
}
