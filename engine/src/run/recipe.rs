//! What decides the result of a step, as far as it is known before a file is read. Reads nothing, starts nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use dsl::model::{Command, Job, KeyPart, Shell, Step, StepId, StepKind};
use petgraph::Direction;
use petgraph::visit::EdgeRef;

use super::contained::Contained;
use super::environment::Environment;
use crate::cache::{Digest, Key, key};
use crate::container::{Source, is_by_digest};
use crate::plan::{Edge, Plan, PlannedStep, Vertex, VertexId};

/// What decides a result, and what the result is made of.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// The key, still without what has to be read.
    pub(super) key: Key,
    /// Patterns of the inputs.
    pub(super) inputs: Vec<String>,
    /// The parts of its `key` that have to be read or run.
    pub(super) parts: Vec<KeyPart>,
    /// Patterns of everything that it makes: outputs and the files of artifacts.
    pub(super) products: Vec<String>,
    /// What the steps that it needs make, by the step's name.
    pub(super) makers: BTreeMap<String, (StepId, Vec<String>)>,
    /// Artifacts that it takes.
    pub(super) takes: Vec<Take>,
    /// Whether it makes artifacts itself.
    pub(super) hands_on: bool,
    /// Images that have to be looked up, with their names in the key.
    pub(super) images: Vec<(String, Source)>,
    /// The image that it makes, which has to be in the store for a result to be there.
    pub(super) image: Option<String>,
    /// The context and the Dockerfile of a build: all of the context is its inputs.
    pub(super) context: Option<(String, String)>,
    /// What the run knew before it began, where all but files was decided by that.
    pub(super) circumstances: Option<Digest>,
}

impl Recipe {
    /// Patterns of all files that decide the key, where there is nothing else that has to be found out.
    pub(super) fn files(&self) -> Option<Vec<&str>> {
        let runs = self.parts.iter().any(|p| matches!(p, KeyPart::Run(_)));
        // Which image a name stands for is asked of an engine; until then the key is no key.
        let asks = !self.images.is_empty() || !self.takes.is_empty() || self.image.is_some();
        if runs || asks {
            return None;
        }
        let files = self.parts.iter().filter_map(|p| match p {
            KeyPart::File(pattern) => Some(pattern),
            _ => None,
        });
        let made = self.makers.values().flat_map(|(_, made)| made);
        let all = self.inputs.iter().chain(files).chain(made);
        Some(all.map(String::as_str).collect())
    }
}

/// An artifact that a step takes.
#[derive(Debug, Clone)]
pub(super) struct Take {
    /// Its name and whose it is.
    pub(super) name: String,
    /// Where it is kept in this run.
    pub(super) kept: PathBuf,
    /// The step that made it.
    pub(super) maker: StepId,
    /// Its content, where the run knows it.
    pub(super) known: Option<Digest>,
}

/// Whether the result of a step can be kept: its author says what decides it, and it has no effect elsewhere.
#[must_use]
pub fn is_cacheable(step: &Step) -> bool {
    why_never(step).is_none()
}

/// Why the result of a step is never kept.
pub(super) fn why_never(step: &Step) -> Option<&'static str> {
    let job = match &step.kind {
        StepKind::Job(job) => job,
        StepKind::Build(_) => {
            return step
                .rollback
                .is_some()
                .then_some("it has a `rollback`, so what it did may have been undone");
        }
        _ => return Some("it changes the outside world"),
    };
    if job.inputs.is_empty() && job.key.is_empty() {
        return Some("it names no `inputs` and no `key`");
    }
    if step.rollback.is_some() {
        return Some("it has a `rollback`, so what it did may have been undone");
    }
    let runs = job.key.iter().any(|p| matches!(p.value, KeyPart::Run(_)));
    let contained = job.container.is_some() || !job.services.is_empty();
    (runs && contained)
        .then_some("it runs in a container, and its `key` runs a command on this machine")
}

/// Adds what a job's container adds to its recipe: which images, and what the services are told.
pub(super) fn contain(
    recipe: &mut Recipe,
    contained: &Contained,
    secret: &dyn Fn(&str) -> Option<String>,
) {
    let setting = Arc::make_mut(&mut recipe.key.setting);
    if let Some(platform) = &contained.source.platform {
        setting.insert("platform".into(), platform.clone());
    }
    for service in &contained.services {
        for (name, value) in &service.env {
            let value = secret(value).unwrap_or_else(|| value.clone());
            setting.insert(format!("{name} of {}", service.name), value);
        }
    }
    for (name, source) in contained.sources() {
        // A digest says which image it is; anything else is looked up when it runs.
        if let Some(built) = &source.built {
            setting.insert(name, built.digest.to_string());
        } else if is_by_digest(&source.reference) {
            setting.insert(name, source.reference);
        } else {
            recipe.images.push((name, source));
        }
    }
}

/// The recipe of a cacheable step. `env` are the variables that count.
pub(super) fn recipe(
    plan: &Plan,
    vertex: u32,
    planned: &PlannedStep,
    env: BTreeMap<String, String>,
    takes: Vec<Take>,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Option<Recipe> {
    let step = plan.definition(planned);
    let job = step.job().filter(|_| is_cacheable(step))?;
    let shell = job.shell.as_ref().or(plan.pipeline.shell.as_ref());
    let key = Key {
        version: key::VERSION,
        platform: key::platform(),
        step: planned.name.clone(),
        commands: commands(job, step).into(),
        setting: setting(job, shell).into(),
        env: env.into(),
        parts: known_parts(job, secret),
        inputs: BTreeMap::new(),
        taken: BTreeMap::new(),
        makes: makes(job).into(),
    };
    Some(Recipe {
        key,
        inputs: job.inputs.iter().map(|p| p.value.clone()).collect(),
        parts: job
            .key
            .iter()
            .map(|p| p.value.clone())
            .filter(|p| matches!(p, KeyPart::File(_) | KeyPart::Run(_)))
            .collect(),
        products: products(job).map(str::to_owned).collect(),
        makers: makers(plan, vertex),
        takes,
        hands_on: !job.artifacts.is_empty(),
        images: Vec::new(),
        image: None,
        context: None,
        circumstances: None,
    })
}

/// The parts of a `key` that are known already.
fn known_parts(job: &Job, secret: &dyn Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let is_known = |part: &&dsl::source::Spanned<KeyPart>| {
        !matches!(part.value, KeyPart::File(_) | KeyPart::Run(_))
    };
    let named = job
        .key
        .iter()
        .filter(is_known)
        .map(|p| known_part(&p.value, secret));
    let mut parts = BTreeMap::new();
    for (name, value) in named {
        // Two texts are two parts, and not one with both in it.
        let (mut own, mut at) = (name.clone(), 1);
        while parts.contains_key(&own) {
            at += 1;
            own = format!("{name} {at}");
        }
        parts.insert(own, value);
    }
    parts
}

/// The name and the value of a part for which nothing has to be read or run.
pub(super) fn known_part(
    part: &KeyPart,
    secret: &dyn Fn(&str) -> Option<String>,
) -> (String, String) {
    match part {
        KeyPart::Os => ("os".to_owned(), std::env::consts::OS.to_owned()),
        KeyPart::Arch => ("arch".to_owned(), std::env::consts::ARCH.to_owned()),
        KeyPart::Text(text) => ("text".to_owned(), text.clone()),
        KeyPart::Env(name) => {
            let value = std::env::var_os(name).map(|v| exact(&v));
            let value = value.map_or("not set".to_owned(), |v| {
                secret(&v).unwrap_or_else(|| format!("{v:?}"))
            });
            (format!("(env) {name}"), value)
        }
        KeyPart::File(text) | KeyPart::Run(text) => (text.clone(), String::new()),
    }
}

/// Patterns of everything that a job makes.
pub(super) fn products(job: &Job) -> impl Iterator<Item = &str> {
    let artifacts = job.artifacts.iter().flat_map(|a| &a.paths);
    let all = job.outputs.iter().chain(artifacts);
    all.map(|p| p.value.as_str())
}

/// Several texts as one, from which nobody could make others.
fn listed(texts: &[&str]) -> String {
    serde_json::to_string(texts).unwrap_or_default()
}

fn commands(job: &Job, step: &Step) -> BTreeMap<String, String> {
    let numbered = |prefix: &'static str| {
        move |(at, command): (usize, &Command)| {
            let text = match command {
                Command::Shell(text) => text.value.clone(),
                // No shell text looks like this by chance.
                Command::Exec(words) => {
                    let words: Vec<&str> = words.iter().map(|w| w.value.as_str()).collect();
                    format!("exec {}", listed(&words))
                }
            };
            (format!("{prefix}{:02}", at + 1), text)
        }
    };
    let run = job.run.iter().enumerate().map(numbered(""));
    let always = step.always.iter().enumerate().map(numbered("always "));
    run.chain(always).collect()
}

fn setting(job: &Job, shell: Option<&Shell>) -> BTreeMap<String, String> {
    let mut setting = BTreeMap::new();
    if let Some(shell) = shell {
        let words = [&shell.program.value].into_iter().chain(&shell.args);
        let words: Vec<&str> = words.map(String::as_str).collect();
        setting.insert("shell".into(), listed(&words));
    }
    if let Some(workdir) = &job.workdir {
        setting.insert("workdir".into(), workdir.value.clone());
    }
    setting
}

fn makes(job: &Job) -> BTreeMap<String, String> {
    let list = |paths: &[dsl::source::Spanned<String>]| {
        let paths: Vec<&str> = paths.iter().map(|p| p.value.as_str()).collect();
        listed(&paths)
    };
    let mut makes = BTreeMap::new();
    if !job.outputs.is_empty() {
        makes.insert("outputs".into(), list(&job.outputs));
    }
    for artifact in &job.artifacts {
        let name = format!("artifact {}", artifact.name.value);
        makes.insert(name, list(&artifact.paths));
    }
    makes
}

/// What the steps make that a step needs, or of which it uses an output.
pub(super) fn makers(plan: &Plan, vertex: u32) -> BTreeMap<String, (StepId, Vec<String>)> {
    let mut makers = BTreeMap::new();
    let own = VertexId::new(vertex as usize);
    for edge in plan.graph.edges_directed(own, Direction::Incoming) {
        if !matches!(edge.weight(), Edge::Needs | Edge::Reference) {
            continue;
        }
        let maker = match &plan.graph[edge.source()] {
            Vertex::Step(step) => step.id,
            Vertex::Legs(id) => *id,
            Vertex::Begin(_) | Vertex::End(_) => continue,
        };
        if let Some(job) = plan.pipeline.step(maker).job() {
            let products: Vec<_> = products(job).map(str::to_owned).collect();
            if !products.is_empty() {
                makers.insert(plan.pipeline.full_name(maker), (maker, products));
            }
        }
    }
    makers
}

/// Which variables decide a result: what the file declares, what it lets through, and of the short list what chooses a
/// tool or a language. `own` are the step's and `passed` those of the short list; `secret` gives what stands for a value that must not be written down.
pub(super) fn variables(
    own: &Environment,
    passed: Option<&Environment>,
    declared: &[String],
    secret: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let counts = |name: &str| declared.iter().any(|d| d == name) || Environment::decides(name);
    let all = passed.into_iter().chain([own]).flat_map(Environment::iter);
    let named = all.filter_map(|(name, value)| {
        let name = name.to_str().filter(|n| counts(n))?.to_owned();
        let value = exact(value);
        let value = secret(&value).unwrap_or(value);
        Some((name, value))
    });
    named.collect()
}

/// A text for a value; two values never have the same, also where they are not UTF-8.
fn exact(value: &OsStr) -> String {
    match value.to_str() {
        Some(text) => text.to_owned(),
        None => format!("not UTF-8: {value:?}"),
    }
}
