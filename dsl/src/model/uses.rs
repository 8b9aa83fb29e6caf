//! What a step uses that another step makes: images, versions. Who makes it depends on which steps are in the run.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Container, Pipeline, StageId, Step, StepId, StepKind, VersionScheme};
use crate::expr::{Ref, Template};
use crate::source::{Span, Spanned};

/// Something that a step uses and another one makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// What it is.
    pub what: Made,
    /// Where it is named.
    pub span: Span,
}

/// Something that a step makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Made {
    /// An image, in a registry or at least built.
    Image {
        /// Its name.
        name: String,
        /// Whether it must be in a registry.
        pushed: bool,
    },
    /// A version, computed by a `release` where there is one.
    Version(String),
    /// Any release.
    Release,
    /// What a target runs, or a registry has: the place's name.
    At(String),
}

impl Step {
    /// Every text with references that belongs to the step.
    #[must_use]
    pub fn templates(&self) -> Vec<&Spanned<Template>> {
        let mut out: Vec<&Spanned<Template>> = self.env.iter().map(|v| &v.value).collect();
        match &self.kind {
            StepKind::Job(job) => {
                if let Some(Container::Reference(reference)) = &job.container {
                    out.push(reference);
                }
                for service in &job.services {
                    out.push(&service.image);
                    out.extend(service.env.iter().map(|v| &v.value));
                    let asks = service.ready.iter().flat_map(|r| &r.asks);
                    out.extend(asks.flat_map(super::Ask::templates));
                }
            }
            StepKind::Build(build) => {
                out.extend(build.args.iter().map(|v| &v.value));
                out.extend(build.labels.iter().map(|v| &v.value));
            }
            StepKind::Push(push) => out.extend(&push.tags),
            StepKind::Deploy(deploy) => out.extend(deploy.digests.iter().map(|d| &d.value)),
            _ => {}
        }
        out
    }

    /// What it uses that other steps make, apart from outputs and artifacts.
    #[must_use]
    pub fn uses(&self, pipeline: &Pipeline) -> Vec<Use> {
        let mut out = Vec::new();
        let image = |name: &Spanned<String>, pushed| Use {
            what: Made::Image {
                name: name.value.clone(),
                pushed,
            },
            span: name.span,
        };
        match &self.kind {
            StepKind::Job(job) => {
                if let Some(Container::Image(name)) = &job.container {
                    out.push(image(name, false));
                }
            }
            StepKind::Push(push) => out.extend(push.images.iter().map(|i| image(i, false))),
            StepKind::Sign(sign) => out.extend(sign.images.iter().map(|i| image(i, true))),
            StepKind::Deploy(deploy) => {
                let pushed = pipeline
                    .targets
                    .get(&deploy.target.value)
                    .is_some_and(super::Target::fetches);
                let given =
                    |i: &&Spanned<String>| deploy.digests.iter().all(|d| d.name.value != i.value);
                let wanted = deploy.images.iter().filter(given);
                out.extend(wanted.map(|i| image(i, pushed)));
            }
            StepKind::Promote(promote) => {
                let rule = pipeline.promotions.get(&promote.rule.value);
                out.extend(rule.map(|rule| Use {
                    what: Made::At(rule.from.value.clone()),
                    span: promote.rule.span,
                }));
            }
            _ => {}
        }
        for template in self.templates() {
            out.extend(template.value.exprs().filter_map(|expr| {
                let what = match &expr.target {
                    Ref::Image { name, digest } => Made::Image {
                        name: name.clone(),
                        pushed: !digest,
                    },
                    Ref::Version(name) => Made::Version(name.clone()),
                    _ => return None,
                };
                Some(Use {
                    what,
                    span: expr.span,
                })
            }));
        }
        let conditions = self
            .selection
            .when
            .iter()
            .chain(&pipeline.stage(self.stage).selection.when);
        out.extend(conditions.filter(|c| c.released).map(|c| Use {
            what: Made::Release,
            span: c.span,
        }));
        out
    }

    /// Whether it makes this.
    #[must_use]
    pub fn makes(&self, what: &Made) -> bool {
        match (&self.kind, what) {
            (
                StepKind::Build(b),
                Made::Image {
                    name,
                    pushed: false,
                },
            ) => b.image.as_ref().is_some_and(|i| i.value == *name),
            (StepKind::Push(p), Made::Image { name, pushed: true }) => {
                p.images.iter().any(|i| i.value == *name)
            }
            (StepKind::Release(r), Made::Version(name)) => r.version.value == *name,
            (StepKind::Release(_), Made::Release) => true,
            (StepKind::Deploy(d), Made::At(name)) => d.target.value == *name,
            (StepKind::Push(p), Made::At(name)) => p.registry.value == *name,
            _ => false,
        }
    }
}

impl Step {
    /// Everything it makes, apart from outputs and artifacts.
    fn made(&self) -> Vec<Made> {
        let image = |name: &Spanned<String>, pushed| Made::Image {
            name: name.value.clone(),
            pushed,
        };
        let mut made = match &self.kind {
            StepKind::Build(b) => b.image.iter().map(|i| image(i, false)).collect(),
            StepKind::Push(p) => {
                let images = p.images.iter().map(|i| image(i, true));
                images.chain([Made::At(p.registry.value.clone())]).collect()
            }
            StepKind::Release(r) => vec![Made::Version(r.version.value.clone()), Made::Release],
            StepKind::Deploy(d) => vec![Made::At(d.target.value.clone())],
            _ => Vec::new(),
        };
        made.dedup();
        made
    }
}

impl Pipeline {
    /// The steps that make `what` for a step of `stage`: those of its own stage, else of the nearest stage before
    /// it that has some. Only steps for which `selected` holds count. An image that nobody pushes is taken from its
    /// build.
    pub fn makers(
        &self,
        stage: StageId,
        what: &Made,
        selected: &dyn Fn(StepId) -> bool,
    ) -> Vec<StepId> {
        let find = |what: &Made| {
            let all = self.all_makers(what);
            let end = all.partition_point(|id| self.step(*id).stage <= stage);
            let before = || all[..end].iter().rev().copied().filter(|id| selected(*id));
            let nearest = self.step(before().next()?).stage;
            let mut found: Vec<StepId> = before()
                .take_while(|id| self.step(*id).stage == nearest)
                .collect();
            found.reverse();
            Some(found)
        };
        let built = |what: &Made| match what {
            Made::Image { name, pushed: true } => find(&Made::Image {
                name: name.clone(),
                pushed: false,
            }),
            _ => None,
        };
        find(what).or_else(|| built(what)).unwrap_or_default()
    }

    /// Every step that makes `what`, stage after stage.
    #[must_use]
    pub fn all_makers(&self, what: &Made) -> &[StepId] {
        self.makers.get(what).map_or(&[], Vec::as_slice)
    }

    /// Notes who makes what, once all steps are there.
    pub(crate) fn index_makers(&mut self) {
        let mut makers: IndexMap<Made, Vec<StepId>> = IndexMap::new();
        for id in self.stages.iter().flat_map(|s| &s.steps) {
            for made in self.step(*id).made() {
                makers.entry(made).or_default().push(*id);
            }
        }
        self.makers = makers;
    }

    /// Whether this version's value needs no step: only a semantic or calendar one is made by a release.
    #[must_use]
    pub fn version_is_static(&self, name: &str) -> bool {
        let scheme = self.versions.get(name).map(|v| &v.scheme);
        matches!(
            scheme,
            Some(VersionScheme::File(_) | VersionScheme::Fixed(_))
        )
    }
}

impl super::Target {
    /// Whether it fetches images from a registry, because they are not on this machine's engine.
    #[must_use]
    pub fn fetches(&self) -> bool {
        self.ssh.is_some()
            || self
                .driver
                .as_ref()
                .is_some_and(super::Driver::reports_itself)
    }
}
