//! A target's fields, with the values of one bundle put in: those of the run, or those that were recorded with the bundle
//! where it is an earlier one. Starts nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dsl::expr::{Expr, Lookup, Part, Ref, Template};
use dsl::model::{
    Ask, Compose, ComposeStep, Deploy, Driver as Means, Leg, Pipeline, Ready, Strategy, Target,
};
use dsl::source::{Span, Spanned};
use secrecy::{ExposeSecret, SecretString};

use super::super::outcome::Failure;
use super::{About, image_at};
use crate::container::{Engine, Kind};
use crate::deploy::{
    self, Asked, Canary, ComposeProject, Doing, Driver, Ecs, EngineAt, Kubernetes, Made, Make,
    OneContainer, Own, Readiness, Settings, Ssh,
};
use crate::ledger::Bundle;
use crate::plan::{self, Request, RunFacts, Variable};

/// A target and what its fields are filled with.
pub(in crate::run) struct Fields {
    pub(in crate::run) pipeline: Arc<Pipeline>,
    pub(in crate::run) request: Request,
    pub(in crate::run) leg: Leg,
    pub(in crate::run) env: Vec<Variable>,
    pub(in crate::run) run_id: u64,
    pub(in crate::run) target: Target,
    /// The private key for its host.
    pub(in crate::run) key: Option<SecretString>,
    pub(in crate::run) root: PathBuf,
    /// The container engine of this machine, once it is known.
    pub(in crate::run) engine: OnceLock<EngineAt>,
}

/// What is known of a run where a target's fields are filled.
struct Known<'a> {
    bundle: &'a Bundle,
    run_id: u64,
    /// Whether an image is called as an engine knows it, which may be the one that built it.
    on_engine: bool,
}

impl RunFacts for Known<'_> {
    fn run_id(&self) -> Option<String> {
        Some(self.run_id.to_string())
    }

    fn output(&self, _: Span, _: &str) -> Option<Result<String, String>> {
        Some(Err("a target's fields know no outputs".to_owned()))
    }

    fn image(&self, name: &str, digest: bool) -> Option<Result<String, String>> {
        let image = self.bundle.images.get(name);
        Some(match image {
            Some(image) if digest => Ok(image.digest.clone()),
            Some(image) if self.on_engine => Ok(image.on_engine(name)),
            Some(image) => Ok(image.reference()),
            None => Err("the deployment does not bring it".to_owned()),
        })
    }

    fn version(&self, _: &str) -> Option<String> {
        self.bundle.version.clone()
    }
}

impl Fields {
    pub(in crate::run) fn of(about: About<'_>, target: &Target) -> Self {
        let key = target.ssh.as_ref().and_then(|s| s.key.as_ref());
        Self {
            pipeline: Arc::clone(&about.plan.pipeline),
            request: about.plan.request.clone(),
            leg: about.planned.leg.clone(),
            env: about.planned.env.iter().cloned().collect(),
            run_id: about.run_id,
            key: key.and_then(|k| about.options.secrets.get(&k.value).cloned()),
            root: about.options.root.clone(),
            target: target.clone(),
            engine: OnceLock::new(),
        }
    }

    /// Makes the target for a bundle.
    pub(in crate::run) fn make(fields: &Arc<Self>) -> Make {
        let fields = Arc::clone(fields);
        Arc::new(move |bundle, recorded| fields.made(bundle, recorded))
    }

    fn made(
        &self,
        bundle: &Bundle,
        recorded: Option<&BTreeMap<String, String>>,
    ) -> Result<Made, deploy::Failure> {
        let fill = |template: &Template| self.text(template, bundle, recorded);
        let ready = self.target.ready.as_ref();
        let ready = ready.map(|r| readiness(r, &fill)).transpose()?;
        let mut values = BTreeMap::new();
        for template in self.target.templates() {
            for expr in template.value.exprs() {
                let bare = bare(expr);
                let name = bare.to_string();
                if let Ok(value) = fill(&bare) {
                    values.insert(name, value);
                }
            }
        }
        Ok(Made {
            driver: self.driver(bundle, &fill, ready.as_ref(), recorded.is_some())?,
            ready,
            values,
        })
    }

    fn driver(
        &self,
        bundle: &Bundle,
        fill: &dyn Fn(&Template) -> Result<String, deploy::Failure>,
        ready: Option<&Readiness>,
        is_earlier: bool,
    ) -> Result<Box<dyn Driver>, deploy::Failure> {
        let name = &self.target.name.value;
        let mut env = Vec::new();
        for var in &self.target.env {
            env.push((var.name.value.clone(), fill(&var.value.value)?));
        }
        let text = |t: &Option<Spanned<String>>| t.as_ref().map(|t| t.value.clone());
        let settings = self.settings();
        match &self.target.driver {
            Some(Means::Run(own)) => Ok(Box::new(Own {
                target: name.clone(),
                apply: text(&own.apply),
                observe: text(&own.observe),
                undo: text(&own.undo),
                env,
                settings,
            })),
            Some(Means::Container(one)) => {
                for var in &one.env {
                    env.push((var.name.value.clone(), fill(&var.value.value)?));
                }
                let strategy = self.target.strategy.as_ref();
                Ok(Box::new(OneContainer {
                    target: name.clone(),
                    name: one.name.value.clone(),
                    publish: text(&one.publish),
                    env,
                    env_files: one.env_files.iter().map(|f| f.value.clone()).collect(),
                    prune: one.prune,
                    blue_green: strategy.is_some_and(|s| s.kind.value == "blue-green"),
                    ready: ready.cloned(),
                    settings,
                    engine: self.engine_at(),
                }))
            }
            Some(Means::Compose(compose)) => {
                for var in &compose.env {
                    env.push((var.name.value.clone(), fill(&var.value.value)?));
                }
                Ok(Box::new(ComposeProject {
                    env,
                    settings,
                    bundle: bundle.clone(),
                    is_earlier,
                    ..self.compose(compose)
                }))
            }
            Some(Means::Kubernetes(means)) => Ok(Box::new(Kubernetes {
                target: name.clone(),
                kubectl: text(&means.kubectl)
                    .unwrap_or_else(|| "kubectl".to_owned())
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                context: text(&means.context),
                namespace: text(&means.namespace),
                manifests: text(&means.manifests).map(PathBuf::from),
                deployment: text(&means.deployment),
                container: text(&means.container),
                env,
                images: bundle.images.clone(),
                ready: ready.cloned(),
                canary: canary(self.target.strategy.as_ref())?,
                settings,
                manifested: Arc::default(),
            })),
            Some(Means::Ecs(means)) => Ok(Box::new(Ecs {
                target: name.clone(),
                cluster: fill(&means.cluster.value)?,
                service: fill(&means.service.value)?,
                region: fill(&means.region.value)?,
                container: text(&means.container),
                env,
                images: bundle.images.clone(),
                ready: ready.cloned(),
                ordered: Arc::default(),
                settings,
            })),
            None => Err(deploy::Failure::new(format!("{name} has no driver"))),
        }
    }

    fn settings(&self) -> Settings {
        let asserted = self.target.assert_env.iter();
        let asserted = asserted.map(|(name, value)| (name.value.clone(), value.value.clone()));
        Settings(asserted.collect())
    }

    /// A Compose project without what belongs to one bundle.
    fn compose(&self, compose: &Compose) -> ComposeProject {
        let all = |texts: &[Spanned<String>]| texts.iter().map(|t| t.value.clone()).collect();
        let steps = compose.steps.iter().map(|step| match step {
            ComposeStep::Up(services) => Doing::Up(all(services)),
            ComposeStep::Run(services) => Doing::Run(all(services)),
        });
        let target = &self.target.name.value;
        let project = match &compose.project {
            Some(project) => project.value.clone(),
            None => deploy::project_name(&self.pipeline.name, target),
        };
        ComposeProject {
            target: target.clone(),
            project,
            file: compose.file.value.clone(),
            dir: compose.dir.as_ref().map(|d| d.value.clone()),
            copies: all(&compose.copies),
            env_files: all(&compose.env_files),
            steps: steps.collect(),
            engine: self.engine_at(),
            ..ComposeProject::default()
        }
    }

    /// A text with the values of a bundle that is run here and now.
    ///
    /// # Errors
    /// A value that it does not have.
    pub(in crate::run) fn filled(
        &self,
        template: &Template,
        bundle: &Bundle,
    ) -> Result<String, deploy::Failure> {
        self.text(template, bundle, None)
    }

    fn text(
        &self,
        template: &Template,
        bundle: &Bundle,
        recorded: Option<&BTreeMap<String, String>>,
    ) -> Result<String, deploy::Failure> {
        let git_sha = |field: &str| match (field, bundle.commit.as_str()) {
            (_, "") => None,
            ("sha", sha) => Some(sha.to_owned()),
            ("short-sha", sha) => Some(sha.chars().take(7).collect()),
            _ => None,
        };
        let own = |expr: &Expr| match &expr.target {
            Ref::Image { .. } => None,
            Ref::Git(field) if git_sha(field).is_some() => git_sha(field),
            Ref::Version(_) if bundle.version.is_some() => bundle.version.clone(),
            _ => recorded.and_then(|r| r.get(&bare(expr).to_string()).cloned()),
        };
        let missing = |name: &str, why: &str| {
            deploy::Failure::new(format!(
                "`${{{name}}}` in the target {} has no value: {why}",
                self.target.name.value
            ))
        };
        let first = template
            .fill(&|expr| own(expr).map_or(Lookup::Later, Lookup::Value))
            .map_err(|m| missing(&m[0].name, &m[0].why))?;
        let facts = Known {
            bundle,
            run_id: self.run_id,
            on_engine: matches!(self.target.driver, Some(Means::Compose(_))),
        };
        let filled = plan::fill(
            &first,
            &self.pipeline,
            &self.request,
            &self.leg,
            &self.env,
            &facts,
        );
        let filled = filled.map_err(|m| missing(&m[0].name, &m[0].why))?;
        let text = filled.to_string();
        filled
            .known()
            .ok_or_else(|| deploy::Failure::new(format!("`{text}` has no value yet")))
    }

    /// Whether it is driven through a container engine of this machine.
    pub(in crate::run) fn wants_engine(&self) -> bool {
        let driver = self.target.driver.as_ref();
        let wants = matches!(driver, Some(Means::Container(_) | Means::Compose(_)));
        wants && self.target.ssh.is_none()
    }

    /// Takes the engine of this machine.
    pub(in crate::run) fn take_engine(&self, engine: &Engine) {
        let found = engine.found();
        let program = match found.kind {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        };
        let _ = self.engine.set(EngineAt {
            program: program.to_owned(),
            address: Some(found.address.clone()),
        });
    }

    fn engine_at(&self) -> EngineAt {
        self.engine.get().cloned().unwrap_or(EngineAt {
            program: String::new(),
            address: None,
        })
    }

    /// How the target's host is reached; its key is put into a file in `scratch`, which only its owner can read.
    pub(in crate::run) fn ssh(&self, scratch: &Path) -> Result<Option<Ssh>, Failure> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let Some(host) = &self.target.ssh else {
            return Ok(None);
        };
        let nothing = Bundle::default();
        let address = self.text(&host.address.value, &nothing, None);
        let address = address.map_err(|f| Failure::new(f.what))?;
        let mut ssh = Ssh::parse(&address)
            .map_err(|why| Failure::new(format!("the target {}: {why}", self.target.name.value)))?;
        ssh.known_hosts = host.known_hosts.as_ref().map(|k| self.root.join(&k.value));
        // A socket's name may have about a hundred bytes.
        let control = scratch.join("ssh");
        ssh.control = (control.as_os_str().len() < 80).then_some(control);
        if let Some(key) = &self.key {
            let file = scratch.join("key");
            let text = key.expose_secret().trim_end();
            let written = std::fs::File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&file)
                .and_then(|mut f| writeln!(f, "{text}"));
            written
                .map_err(|e| Failure::new(format!("the ssh key cannot be put into a file: {e}")))?;
            ssh.key = Some(file);
        }
        Ok(Some(ssh))
    }
}

/// The steps of a canary, where the strategy is one.
fn canary(strategy: Option<&Strategy>) -> Result<Option<Canary>, deploy::Failure> {
    let Some(strategy) = strategy.filter(|s| s.kind.value == "canary") else {
        return Ok(None);
    };
    let steps = strategy.steps.as_ref().map_or("", |s| s.value.as_str());
    Ok(Some(Canary {
        shares: dsl::units::shares(steps).map_err(deploy::Failure::new)?,
        pause: strategy.pause.unwrap_or_default(),
    }))
}

/// A reference without the functions applied to it.
fn bare(expr: &Expr) -> Template {
    let expr = Expr {
        calls: Vec::new(),
        ..expr.clone()
    };
    Template {
        parts: vec![Part::Expr(expr)],
    }
}

fn readiness(
    ready: &Ready,
    fill: &dyn Fn(&Template) -> Result<String, deploy::Failure>,
) -> Result<Readiness, deploy::Failure> {
    let mut asks = Vec::new();
    for ask in &ready.asks {
        asks.push(match ask {
            Ask::Http {
                url,
                status,
                contains,
            } => Asked::Http {
                url: fill(&url.value)?,
                status: *status,
                contains: contains
                    .iter()
                    .map(|c| fill(&c.value))
                    .collect::<Result<_, _>>()?,
            },
            Ask::Tcp(address) => Asked::Tcp(fill(&address.value)?),
            Ask::Command(text) => Asked::Command(text.value.clone()),
        });
    }
    Ok(Readiness {
        asks,
        within: ready.within,
        every: ready.every,
        stable_for: ready.stable_for,
    })
}

/// The configuration of a release: the pipeline, and what it brings to the target besides images.
fn configuration(definition: &str, target: &Target, root: &Path) -> String {
    let Some(Means::Compose(compose)) = &target.driver else {
        return definition.to_owned();
    };
    let all = |texts: &[Spanned<String>]| texts.iter().map(|t| t.value.clone()).collect();
    let project = ComposeProject {
        file: compose.file.value.clone(),
        dir: compose.dir.as_ref().map(|d| d.value.clone()),
        copies: all(&compose.copies),
        env_files: all(&compose.env_files),
        ..ComposeProject::default()
    };
    match project.said(root) {
        Some(files) => {
            let both = format!("{definition} {files}");
            blake3::hash(both.as_bytes()).to_hex().to_string()
        }
        None => definition.to_owned(),
    }
}

/// What a `deploy` of this run brings: digests that are given, or that its steps built.
pub(super) fn bundle(
    about: About<'_>,
    deploy: &Deploy,
    target: &Target,
) -> Result<Bundle, Failure> {
    let plan = about.plan;
    let fill = |template: &Template| -> Result<Option<String>, Failure> {
        let env: Vec<Variable> = about.planned.env.iter().cloned().collect();
        let filled = plan::fill(
            template,
            &plan.pipeline,
            &plan.request,
            &about.planned.leg,
            &env,
            about.facts,
        );
        let filled = filled.map_err(|m| {
            Failure::new(format!("`${{{}}}` has no value: {}", m[0].name, m[0].why))
        })?;
        Ok(filled.known())
    };
    let mut images = BTreeMap::new();
    for image in &deploy.images {
        let name = &image.value;
        let given = deploy.digests.iter().find(|d| d.name.value == *name);
        let text = match given {
            Some(given) => fill(&given.value.value)?
                .ok_or_else(|| Failure::new(format!("the digest of {name} has no value yet")))?,
            None => built(about.facts, name, target.fetches())?,
        };
        images.insert(name.clone(), image_at(name, &text)?);
    }
    let versions: Vec<&String> = plan.pipeline.versions.keys().collect();
    let version = match versions.as_slice() {
        [one] => {
            let expr = Expr {
                target: Ref::Version((*one).clone()),
                calls: Vec::new(),
                span: deploy.target.span,
            };
            fill(&Template {
                parts: vec![Part::Expr(expr)],
            })
            .unwrap_or_default()
        }
        _ => None,
    };
    Ok(Bundle {
        images,
        commit: plan.request.context.git.sha.clone().unwrap_or_default(),
        config: configuration(&about.options.definition, target, &about.options.root),
        version,
    })
}

/// The image as a registry has it, or as this machine does where that is enough.
fn built(facts: &dyn RunFacts, name: &str, fetches: bool) -> Result<String, Failure> {
    let pushed = facts.image(name, false);
    let in_registry = matches!(&pushed, Some(Ok(text)) if text.contains('@'));
    let found = match pushed {
        // On this machine it has a name that says its digest.
        _ if !in_registry && !fetches => facts.image(name, true),
        other => other,
    };
    match found {
        Some(Ok(text)) => Ok(text),
        Some(Err(why)) => Err(Failure::new(format!(
            "the image {name} cannot be deployed: {why}"
        ))),
        None => Err(Failure::new(format!("the image {name} is not known yet"))),
    }
}
