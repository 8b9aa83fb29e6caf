//! From a job's `container` and its services to what an engine is asked for, with every value put in. Asks no engine.

use std::path::{Path, PathBuf};

use dsl::expr::Template;
use dsl::model::{Ask, Container, Job, Pull, Ready};

use super::outcome::Failure;
use super::work::Work;
use crate::container::{Built, Probe, Service, Setup, Source};

/// Where a job runs, if not on this machine itself.
#[derive(Debug, Clone)]
pub(super) struct Contained {
    pub(super) source: Source,
    pub(super) services: Vec<Service>,
    pub(super) cpu: u32,
    pub(super) memory: u64,
}

/// What an image of this pipeline is called on an engine, and which one it is.
pub(super) type BuiltImages<'b> = dyn Fn(&str) -> Result<(String, Built), Failure> + 'b;

/// What a job's container and its services are to be; `None` for a job on this machine. `fill` puts values in;
/// `built` knows the images of this pipeline.
///
/// # Errors
/// A value that is missing, or one that is no address.
pub(super) fn contained(
    job: &Job,
    fill: &dyn Fn(&Template) -> Result<String, Failure>,
    built: &BuiltImages<'_>,
) -> Result<Option<Contained>, Failure> {
    let Some(container) = &job.container else {
        return Ok(None);
    };
    let source = |template: &Template| {
        Ok::<_, Failure>(Source {
            reference: fill(template)?,
            platform: job.platform.clone(),
            pull: job.pull,
            built: None,
        })
    };
    let mut services = Vec::new();
    for service in &job.services {
        let name = service.name.value.clone();
        let mut env = Vec::new();
        for var in &service.env {
            env.push((var.name.value.clone(), fill(&var.value.value)?));
        }
        let ready = service.ready.as_ref().map(|ready| probe(ready, fill));
        let ready = ready.transpose().map_err(|failure| Failure {
            what: format!("service {name}: {}", failure.what),
            ..failure
        })?;
        services.push(Service {
            name,
            source: source(&service.image.value)?,
            env,
            ready,
        });
    }
    Ok(Some(Contained {
        source: match container {
            Container::Reference(reference) => source(&reference.value)?,
            Container::Image(name) => {
                let (reference, built) = built(&name.value)?;
                Source {
                    reference,
                    platform: None,
                    pull: Pull::Never,
                    built: Some(built),
                }
            }
        },
        services,
        cpu: job.resources.cpu,
        memory: job.resources.memory,
    }))
}

fn probe(
    ready: &Ready,
    fill: &dyn Fn(&Template) -> Result<String, Failure>,
) -> Result<Probe, Failure> {
    let mut probe = Probe::new(ready.within, ready.every, ready.stable_for);
    for ask in &ready.asks {
        let added = match ask {
            Ask::Tcp(address) => probe.tcp(&fill(&address.value)?),
            Ask::Command(text) => {
                probe.command(&text.value);
                Ok(())
            }
            Ask::Http {
                url,
                status,
                contains,
            } => {
                let parts = contains.iter().map(|part| fill(&part.value));
                let parts = parts.collect::<Result<Vec<_>, _>>()?;
                probe.http(&fill(&url.value)?, *status, parts)
            }
        };
        added.map_err(|why| Failure::new(why).help("correct its `ready`"))?;
    }
    Ok(probe)
}

impl Contained {
    /// The images that decide a result, with what they are in its key.
    pub(super) fn sources(&self) -> Vec<(String, Source)> {
        let services = self
            .services
            .iter()
            .map(|s| (format!("image of {}", s.name), s.source.clone()));
        [("image".to_owned(), self.source.clone())]
            .into_iter()
            .chain(services)
            .collect()
    }

    /// Everything about it that an engine needs.
    pub(super) fn setup(&self, work: &Work, root: &Path, scratch: &Path) -> Setup {
        let folders = work.kept.iter().map(|kept| {
            let there = match &kept.in_home {
                Some(rest) => Path::new("~").join(rest),
                None => kept.path.clone(),
            };
            (kept.path.clone(), there)
        });
        Setup {
            source: self.source.clone(),
            root: root.to_path_buf(),
            scratch: scratch.to_path_buf(),
            folders: folders.collect::<Vec<(PathBuf, PathBuf)>>(),
            cpu: self.cpu,
            memory: self.memory,
            services: self.services.clone(),
        }
    }
}
