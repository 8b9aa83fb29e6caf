//! From a plan to what the schedule core and the workers need. Starts nothing.

mod moving;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsl::expr::{Missing, Template};
use dsl::model::{ArtifactUse, Job, KeptDirectory, KeyPart, StepKind};
use dsl::source::Spanned;
use indexmap::IndexMap;
use petgraph::visit::EdgeRef;
use secrecy::ExposeSecret;

use super::build::{self, Build, Layers, Login, local_name};
use super::caching;
use super::contained::{self, Contained};
use super::deliver;
use super::directories::Directory;
use super::dispatch::Options;
use super::environment::Environment;
use super::gate;
use super::outcome::{Failure, Outcome};
use super::recipe::{self, Recipe, Take};
use super::release::{Forge, Release};
use super::schedule::{
    self, EdgeKind, EdgeSpec, Graph, GroupId, GroupSpec, Kind, Limits, LockId, SkipReason,
    VertexSpec,
};
use super::task::Task;
use super::work::Work;
use crate::cache::Action;
use crate::container::Built;
use crate::plan::{self, Edge, Plan, RunFacts, Vertex, VertexId};
use crate::side_by_side::processors;

/// The plan as the schedule core sees it. `remaining` says of each vertex how long it is from there to the end.
pub(super) fn graph(plan: &Plan, options: &Options, remaining: &[u64]) -> (Graph, Limits) {
    let mut locks: IndexMap<String, u32> = IndexMap::new();
    let vertices = plan
        .graph
        .node_indices()
        .map(|v| vertex(plan, v, remaining[v.index()], &mut locks))
        .collect();
    let edges: Vec<EdgeSpec> = plan
        .graph
        .edge_references()
        .map(|e| EdgeSpec {
            from: id(e.source()),
            to: id(e.target()),
            kind: match e.weight() {
                Edge::Needs | Edge::Reference | Edge::Order => EdgeKind::Needs,
                Edge::After => EdgeKind::After,
                Edge::OnFailure => EdgeKind::OnFailure,
            },
        })
        .collect();
    let groups = plan.stages.iter().map(|s| GroupSpec {
        undo_on_failure: s.undo_on_failure,
    });
    let graph = Graph::new(vertices, &edges, groups.collect()).expect("a plan is a sound graph");
    let limits = Limits {
        jobs: options.jobs,
        cpu: processors(),
        memory: memory(),
        lock_slots: locks.values().copied().collect(),
        fail_fast: options.fail_fast,
    };
    (graph, limits)
}

fn id(vertex: VertexId) -> schedule::VertexId {
    schedule::VertexId(u32::try_from(vertex.index()).unwrap_or(u32::MAX))
}

fn vertex(
    plan: &Plan,
    v: VertexId,
    priority: u64,
    locks: &mut IndexMap<String, u32>,
) -> VertexSpec {
    let gate = VertexSpec {
        kind: Kind::Gate,
        priority,
        ..VertexSpec::default()
    };
    let Vertex::Step(planned) = &plan.graph[v] else {
        return gate;
    };
    let step = plan.definition(planned);
    let resources = step.job().map(|j| j.resources).unwrap_or_default();
    let held = step.locks.iter().map(|lock| {
        let entry = locks.entry(lock.name.value.clone());
        let at = entry.index();
        entry.or_insert(lock.slots);
        LockId(u32::try_from(at).unwrap_or(u32::MAX))
    });
    VertexSpec {
        kind: Kind::Step,
        group: Some(GroupId(u32::try_from(planned.stage).unwrap_or(u32::MAX))),
        priority,
        // A job that says nothing is bounded by the number of jobs alone.
        cpu: resources.cpu,
        memory: resources.memory,
        locks: held.collect(),
        allow_failure: step.allow_failure,
        undo: match &step.kind {
            StepKind::Promote(promote) if plan.is_transfer(promote) => step.rollback.is_some(),
            _ => step.can_be_undone(),
        },
    }
}

/// The machine's main memory, in bytes.
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[allow(clippy::useless_conversion, reason = "not everywhere is it a u64")]
    let all = u64::from(info.totalram);
    all.saturating_mul(u64::from(info.mem_unit).max(1))
}

/// A step's commands, with every value put in.
///
/// # Errors
/// A value that is missing although the step begins.
pub(super) fn work(
    plan: &Plan,
    vertex: u32,
    options: &Options,
    run_id: u64,
    facts: &dyn RunFacts,
    artifacts: Option<&Path>,
    recipe: Option<Arc<Recipe>>,
) -> Result<Work, Failure> {
    let planned = plan
        .step(VertexId::new(vertex as usize))
        .expect("only steps are started");
    let step = plan.definition(planned);
    let pipeline = &plan.pipeline;
    let work = Work {
        contained: None,
        name: planned.name.as_str().into(),
        task: Task::Commands(Vec::new()),
        always: step.always.clone(),
        shell: pipeline.shell.clone(),
        workdir: None,
        timeout: step.timeout.or(pipeline.timeout),
        retry: step.retry.clone(),
        outputs: Vec::new(),
        artifacts: Vec::new(),
        kept: Vec::new(),
        takes: Vec::new(),
        recipe,
        env: environment(plan, planned, options, run_id, facts)?,
    };
    let about = deliver::About {
        plan,
        planned,
        options,
        run_id,
        facts,
    };
    match &step.kind {
        StepKind::Job(job) => of_job(plan, planned, job, options, facts, artifacts, work),
        StepKind::Build(build) => {
            let build = build_of(plan, planned, build, options, facts)?;
            Ok(Work {
                task: Task::Build(Box::new(build)),
                ..work
            })
        }
        StepKind::Release(release) => Ok(Work {
            task: Task::Release(Box::new(release_of(plan, release)?)),
            ..work
        }),
        StepKind::Deploy(deploy) => {
            let delivery = deliver::of_deploy(about, deploy)?;
            Ok(Work {
                task: Task::Deliver(Box::new(delivery)),
                ..work
            })
        }
        StepKind::Promote(promote) if plan.is_transfer(promote) => Ok(Work {
            task: Task::Transfer(Box::new(moving::transfer_of(about, promote)?)),
            ..work
        }),
        StepKind::Promote(promote) => {
            let promoting = gate::of_promote(about, promote)?;
            Ok(Work {
                task: Task::Promote(Box::new(promoting)),
                ..work
            })
        }
        StepKind::Approve(approve) => Ok(Work {
            task: Task::Approve(Box::new(gate::of_approve(about, approve))),
            ..work
        }),
        StepKind::Push(push) => {
            let push = moving::push_of(about, push)?;
            Ok(Work {
                task: Task::Push(Box::new(push)),
                ..work
            })
        }
        StepKind::Sign(sign) => Ok(Work {
            task: Task::Sign(Box::new(moving::sign_of(about, sign)?)),
            ..work
        }),
    }
}

/// What a job adds to the work that every step is.
fn of_job(
    plan: &Plan,
    planned: &plan::PlannedStep,
    job: &Job,
    options: &Options,
    facts: &dyn RunFacts,
    artifacts: Option<&Path>,
    work: Work,
) -> Result<Work, Failure> {
    let texts = |list: &[Spanned<String>]| list.iter().map(|t| t.value.clone()).collect::<Vec<_>>();
    let takes = job.takes.iter().filter_map(|take| {
        let kept = kept_artifact(plan, take, artifacts?)?;
        let into = take.into.as_ref().map(|i| PathBuf::from(&i.value));
        Some((kept, into.unwrap_or_default()))
    });
    Ok(Work {
        contained: contained_of(plan, planned, job, options, facts)?,
        task: Task::Commands(job.run.clone()),
        shell: job.shell.clone().or(work.shell),
        workdir: job.workdir.as_ref().map(|w| w.value.clone()),
        outputs: texts(&job.outputs),
        artifacts: job
            .artifacts
            .iter()
            .map(|a| (a.name.value.clone(), texts(&a.paths)))
            .collect(),
        kept: job
            .caches
            .iter()
            .map(|c| directory(plan, c, options))
            .collect(),
        takes: takes.collect(),
        ..work
    })
}

/// What is released.
fn release_of(plan: &Plan, release: &dsl::model::Release) -> Result<Release, Failure> {
    let name = &release.version.value;
    let request = &plan.request;
    let git = &request.context.git;
    let no_scheme = || Failure::new(format!("there is no version `{name}`"));
    let scheme = plan.pipeline.versions.get(name).ok_or_else(no_scheme)?;
    let in_file = request.versions.get(name).cloned().transpose();
    let in_file = in_file
        .map_err(|why| Failure::new(format!("the version `{name}` cannot be read: {why}")))?;
    Ok(Release {
        name: name.clone(),
        request: crate::release::Request {
            scheme: scheme.scheme.clone(),
            in_file,
            sha: git.sha.clone().ok_or_else(|| {
                Failure::new("there is no git commit to release").help("make a first commit")
            })?,
            branch: git.branch.clone(),
            day: request.date.clone(),
            changelog: release.changelog.as_ref().map(|c| c.value.clone()),
            annotated: release.options.annotated,
        },
        forge: Forge::of(&release.options),
    })
}

/// The logins of the registries that a run speaks to, for the programs that it starts.
fn logins(
    plan: &Plan,
    options: &Options,
    fill: &dyn Fn(&Template) -> Result<String, Failure>,
) -> Vec<Login> {
    let mut registries = plan.registries();
    for registry in plan.registries_begun_with() {
        if registries
            .iter()
            .all(|r| r.name.value != registry.name.value)
        {
            registries.push(registry);
        }
    }
    let logins = registries.into_iter().filter_map(|registry| {
        let login = registry.login.as_ref()?;
        let prefix = fill(&registry.prefix.value).ok()?;
        Some(Login {
            host: prefix.split('/').next()?.to_owned(),
            user: login.user.as_ref()?.value.clone(),
            password: options
                .secrets
                .get(&login.password.as_ref()?.value)?
                .clone(),
        })
    });
    logins.collect()
}

/// How an image is built, with every value put in.
///
/// # Errors
/// A value that is missing.
fn build_of(
    plan: &Plan,
    planned: &plan::PlannedStep,
    build: &dsl::model::Build,
    options: &Options,
    facts: &dyn RunFacts,
) -> Result<Build, Failure> {
    let text = |field: &Option<Spanned<String>>, usual: &str| {
        field.as_ref().map_or(usual.to_owned(), |f| f.value.clone())
    };
    let texts = |list: &[Spanned<String>]| list.iter().map(|t| t.value.clone()).collect();
    let fill = |template: &Template| filled(plan, planned, template, facts);
    let values = |list: &[dsl::model::EnvVar]| {
        list.iter()
            .map(|var| Ok((var.name.value.clone(), fill(&var.value.value)?)))
            .collect::<Result<Vec<_>, Failure>>()
    };
    let mut layers = Vec::new();
    let name = text(&build.image, "");
    for registry in &build.cache_registries {
        if let Some(registry) = plan.pipeline.registries.get(&registry.value) {
            let repository = text(&build.repository, &name);
            let prefix = fill(&registry.prefix.value)?;
            // A folder keeps images, and no builder's layers.
            if prefix.starts_with(['.', '/']) {
                continue;
            }
            let reached =
                options
                    .registries
                    .reach(registry, &prefix, &options.root, &options.secrets);
            let place = reached.ok().and_then(|r| r.place(&repository).ok());
            layers.push(Layers {
                repository: format!("{prefix}/{repository}"),
                place: place.filter(|_| plan.request.context.trusted),
            });
        }
    }
    // Of what this run knows anyway: a build that only begins with such an image wants no secret to be there, and takes
    // one that is.
    let logins = logins(plan, options, &fill);
    let secrets = build.secrets.iter().filter_map(|name| {
        let value = options.secrets.get(&name.value)?;
        Some((name.value.clone(), value.clone()))
    });
    Ok(Build {
        image: name.clone(),
        context: text(&build.context, "."),
        dockerfile: text(&build.dockerfile, "Dockerfile"),
        target: build.target.as_ref().map(|t| t.value.clone()),
        platforms: texts(&build.platforms),
        args: values(&build.args)?,
        labels: values(&build.labels)?,
        secrets: secrets.collect(),
        layers,
        provenance: build.attest.iter().any(|kind| kind.value == "provenance"),
        sbom: build
            .wants_sbom()
            .then(|| text(&build.scanner, build::SCAN)),
        keeps_all: build.cache_mode.as_ref().is_some_and(|m| m.value == "max"),
        inline: build.cache_inline,
        pushed_as: match build.cache_inline {
            true => moving::pushed_as(plan, &name, &fill),
            false => Vec::new(),
        },
        local: build
            .cache_local
            .as_ref()
            .map(|folder| options.root.join(&folder.value)),
        compression: build.cache_compression.as_ref().map(|c| c.value.clone()),
        logins,
        inputs: texts(&build.inputs),
        commit: plan.request.context.git.sha.clone(),
    })
}

/// A text with every value put in.
pub(super) fn filled(
    plan: &Plan,
    planned: &plan::PlannedStep,
    template: &Template,
    facts: &dyn RunFacts,
) -> Result<String, Failure> {
    let env: Vec<plan::Variable> = planned.env.iter().cloned().collect();
    let (pipeline, request) = (&plan.pipeline, &plan.request);
    let filled = plan::fill(template, pipeline, request, &planned.leg, &env, facts);
    let filled = filled.map_err(|missing| no_value(&missing[0]))?;
    let text = filled.to_string();
    filled
        .known()
        .ok_or_else(|| Failure::new(format!("`{text}` has no value yet")))
}

/// Where the job runs, if not on this machine itself.
fn contained_of(
    plan: &Plan,
    planned: &plan::PlannedStep,
    job: &Job,
    options: &Options,
    facts: &dyn RunFacts,
) -> Result<Option<Contained>, Failure> {
    let fill = |template: &Template| filled(plan, planned, template, facts);
    let built = |name: &str| {
        let digest = match facts.image(name, true) {
            Some(Ok(digest)) => digest,
            Some(Err(why)) => return Err(Failure::new(format!("the image {name}: {why}"))),
            None => return Err(Failure::new(format!("the image {name} is not built yet"))),
        };
        let reference = local_name(name, &digest);
        let digest = digest
            .parse()
            .map_err(|e| Failure::new(format!("the image {name} has no digest: {e}")))?;
        let layout = options.images.clone();
        Ok((reference, Built { layout, digest }))
    };
    contained::contained(job, &fill, &built)
}

/// Where a run keeps an artifact that a step takes.
fn kept_artifact(plan: &Plan, take: &ArtifactUse, artifacts: &Path) -> Option<PathBuf> {
    let pipeline = &plan.pipeline;
    let maker = pipeline.step(take.step?);
    let stage = &pipeline.stage(maker.stage).name.value;
    let own = artifacts.join(stage).join(&maker.name.value);
    Some(own.join(&take.name.value))
}

/// What decides a step's result, as far as it is known with these facts; `None` where it is not kept. `artifacts` is where
/// the run keeps them.
///
/// # Errors
/// A value that is missing.
pub(super) fn recipe(
    plan: &Plan,
    vertex: u32,
    options: &Options,
    facts: &dyn RunFacts,
    artifacts: Option<&Path>,
    made: &BTreeMap<u32, Arc<Action>>,
) -> Result<Option<Recipe>, Failure> {
    let planned = plan.step(VertexId::new(vertex as usize));
    let (Some(planned), Some(cache)) = (planned, &options.cache) else {
        return Ok(None);
    };
    let step = plan.definition(planned);
    if !recipe::is_cacheable(step) || options.is_uncached(plan, planned) {
        return Ok(None);
    }
    let trouble = std::cell::RefCell::new(None);
    let secret = |value: &str| {
        let is_secret = options.masker.mask_str(value) != value
            || options
                .secrets
                .iter()
                .any(|(_, s)| s.expose_secret() == value);
        let salted = is_secret.then(|| cache.salted(value))?;
        Some(salted.unwrap_or_else(|e| {
            trouble.replace(Some(e));
            String::new()
        }))
    };
    let recipe = match &step.kind {
        StepKind::Job(job) => {
            let contained = contained_of(plan, planned, job, options, facts)?;
            let own = variables(plan, planned, options, facts)?;
            let passed = job.container.is_none().then(Environment::deciding);
            let declared = declared(plan, planned, job);
            let variables = recipe::variables(&own, passed, &declared, &secret);
            let takes = takes(plan, job, artifacts, made);
            let mut recipe = recipe::recipe(plan, vertex, planned, variables, takes, &secret);
            if let (Some(recipe), Some(contained)) = (&mut recipe, &contained) {
                recipe::contain(recipe, contained, &secret);
            }
            recipe
        }
        StepKind::Build(build) => {
            let build = build_of(plan, planned, build, options, facts)?;
            Some(build::recipe(plan, vertex, &build, &secret))
        }
        _ => None,
    };
    if let Some(e) = trouble.take() {
        // Without the salt a secret would have to stand in the key as it is, or not at all.
        cache.failed("used", &e.to_string());
        return Ok(None);
    }
    Ok(recipe)
}

/// The artifacts that a job takes, with what is known of them.
fn takes(
    plan: &Plan,
    job: &Job,
    artifacts: Option<&Path>,
    made: &BTreeMap<u32, Arc<Action>>,
) -> Vec<Take> {
    let takes = job.takes.iter().filter_map(|take| {
        let into = take
            .into
            .as_ref()
            .map_or(String::new(), |i| format!(" into {}", i.value));
        let maker = take.step?;
        let mut legs = plan.steps().filter(|(_, s)| s.id == maker);
        let one = legs.next().filter(|_| legs.next().is_none());
        let result = one.and_then(|(v, _)| made.get(&id(v).0));
        Some(Take {
            name: format!(
                "artifact {} of {}{into}",
                take.name.value,
                plan.pipeline.full_name(maker)
            ),
            kept: kept_artifact(plan, take, artifacts?)?,
            maker,
            known: result.and_then(|r| caching::artifact_of(r, &take.name.value)),
        })
    });
    takes.collect()
}

/// The names of the variables that the file gives to a step.
fn declared(plan: &Plan, planned: &plan::PlannedStep, job: &Job) -> Vec<String> {
    let passed = plan
        .pipeline
        .pass_env
        .iter()
        .chain(&job.pass_env)
        .chain(&job.secrets);
    let declared = planned.env.iter().map(|(name, _)| name.clone());
    declared.chain(passed.map(|n| n.value.clone())).collect()
}

/// What a step sees: the short list from outside, its variables, the secrets of a job, what every step is given.
fn environment(
    plan: &Plan,
    planned: &plan::PlannedStep,
    options: &Options,
    run_id: u64,
    facts: &dyn RunFacts,
) -> Result<Environment, Failure> {
    let job = plan.definition(planned).job();
    let mut env = match job.and_then(|j| j.container.as_ref()) {
        None => Environment::passed(),
        Some(_) => Environment::passed_into_container(),
    };
    env.extend(variables(plan, planned, options, facts)?);
    given(plan, planned, options, run_id, &mut env);
    if recipe::is_cacheable(plan.definition(planned)) {
        // What differs from run to run would make the result another one, behind the back of its key.
        dsl::units::RUN_VARIABLES
            .iter()
            .for_each(|name| env.remove(name));
    }
    Ok(env)
}

/// The variables that the file gives to a step or lets through to it, and the secrets of a job.
fn variables(
    plan: &Plan,
    planned: &plan::PlannedStep,
    options: &Options,
    facts: &dyn RunFacts,
) -> Result<Environment, Failure> {
    let pipeline = &plan.pipeline;
    let job = plan.definition(planned).job();
    let own = job.iter().flat_map(|j| &j.pass_env);
    let passed = pipeline.pass_env.iter().chain(own);
    let mut env = Environment::named(passed.map(|n| n.value.as_str()));
    // The file may say otherwise: some tools take every warning for an error where this is `true`.
    env.set("CI", "true");
    let mut known = Vec::new();
    for (name, template) in &planned.env {
        let filled = plan::fill(
            template,
            pipeline,
            &plan.request,
            &planned.leg,
            &known,
            facts,
        );
        let filled = filled.map_err(|missing| no_value(&missing[0]))?;
        let value = filled
            .known()
            .ok_or_else(|| Failure::new(format!("the variable {name} has no value yet")))?;
        if value.contains('\0') {
            return Err(Failure::new(format!(
                "the variable {name} has a NUL byte in its value"
            )));
        }
        env.set(name, value);
        known.push((name.clone(), filled));
    }
    for secret in job.iter().flat_map(|j| &j.secrets) {
        if let Some(value) = options.secrets.get(&secret.value) {
            env.set(&secret.value, value.expose_secret());
        }
    }
    Ok(env)
}

/// A kept directory on this machine: where the path says, `~` being the home that the job gets.
///
/// In a CI a home may be new every time. On a laptop it lasts, and belongs to more than this pipeline: a copy of a package
/// manager's whole store would help nobody.
fn directory(plan: &Plan, cache: &KeptDirectory, options: &Options) -> Directory {
    let path = &cache.path.value;
    let home = path.strip_prefix("~/").zip(std::env::var_os("HOME"));
    let in_home = path.strip_prefix("~/").map(PathBuf::from);
    let values = |parts: &[Spanned<KeyPart>]| parts.iter().map(|p| p.value.clone()).collect();
    let path = match home {
        Some((rest, home)) => PathBuf::from(home).join(rest),
        None => options.root.join(path),
    };
    let lasts = plan.request.context.provider.is_none() && !path.starts_with(&options.root);
    Directory {
        name: cache.name.value.clone(),
        in_home,
        path,
        key: if lasts {
            Vec::new()
        } else {
            values(&cache.key)
        },
        shorter: cache.restore.iter().map(|parts| values(parts)).collect(),
    }
}

/// The same step's undo; `deployment` is what it deployed, if it did.
pub(super) fn undo(plan: &Plan, vertex: u32, work: Work, deployment: Option<&str>) -> Work {
    let delivery = match &work.task {
        Task::Deliver(delivery) => Some(delivery.as_ref()),
        Task::Promote(promoting) => Some(&promoting.delivery),
        _ => None,
    };
    if let Some(delivery) = delivery {
        // One that changed nothing has nothing to go back from.
        let task = deployment.map_or(Task::Commands(Vec::new()), |deployment| {
            Task::Deliver(Box::new(delivery.before(deployment)))
        });
        return Work {
            task,
            always: Vec::new(),
            ..work
        };
    }
    let planned = plan
        .step(VertexId::new(vertex as usize))
        .expect("only steps are undone");
    let rollback = plan.definition(planned).rollback.clone();
    let (commands, timeout) = rollback.map_or((Vec::new(), None), |r| (r.run, r.timeout));
    Work {
        task: Task::Commands(commands),
        timeout,
        always: Vec::new(),
        ..work
    }
}

/// Where a step's artifacts are kept: `stage/step`. Legs share it, as they share the name of the artifact.
pub(super) fn folder(plan: &Plan, vertex: u32) -> PathBuf {
    let planned = plan
        .step(VertexId::new(vertex as usize))
        .expect("only steps make artifacts");
    let step = plan.definition(planned);
    PathBuf::from(&plan.stages[planned.stage].name).join(&step.name.value)
}

fn no_value(missing: &Missing) -> Failure {
    Failure::new(format!(
        "`${{{}}}` has no value: {}",
        missing.name, missing.why
    ))
    .help(format!(
        "put it out there, or write `${{{}.default('…')}}`",
        missing.name
    ))
}

fn given(
    plan: &Plan,
    planned: &plan::PlannedStep,
    options: &Options,
    run_id: u64,
    env: &mut Environment,
) {
    let context = &plan.request.context;
    env.set("PIPE", "true");
    env.set("PIPE_RUN_ID", run_id.to_string());
    env.set("PIPE_STAGE", &plan.stages[planned.stage].name);
    env.set("PIPE_STEP", &planned.label);
    env.set("PIPE_WORKSPACE", &options.root);
    env.set("PIPE_EVENT", context.event.name());
    let names = [
        ("PIPE_SHA", &context.git.sha),
        ("PIPE_BRANCH", &context.git.branch),
        ("PIPE_TAG", &context.git.tag),
    ];
    for (name, value) in names {
        // Set where there is none, too: the default shell ends at a variable that is not set.
        env.set(name, value.as_deref().unwrap_or_default());
    }
    env.set("PIPE_TRUSTED", context.trusted.to_string());
    env.set("PIPE_DEPTH", (options.depth + 1).to_string());
}

/// Why the core skipped a step, in words. `root` gives the step behind a fan-in point.
pub(super) fn skipped(
    plan: &Plan,
    reason: SkipReason,
    root: &mut dyn FnMut(schedule::VertexId) -> schedule::VertexId,
) -> Outcome {
    let mut name = |v: schedule::VertexId| match &plan.graph[VertexId::new(root(v).0 as usize)] {
        Vertex::Step(step) => step.label.clone(),
        Vertex::Begin(_) => "the stage before".to_owned(),
        Vertex::End(stage) => format!("stage {}", plan.stages[*stage].name),
        Vertex::Legs(id) => plan.pipeline.step(*id).name.value.clone(),
    };
    let (reason, blocked) = match reason {
        SkipReason::NeedFailed(v) => (format!("{} failed", name(v)), true),
        SkipReason::NeedCancelled(v) => (format!("{} was cancelled", name(v)), true),
        SkipReason::NeedSkipped(v) => (format!("{} was skipped", name(v)), true),
        SkipReason::NotTriggered => ("nothing failed that it waits for".to_owned(), false),
        SkipReason::NotNeeded => ("there was nothing to do".to_owned(), false),
        SkipReason::NeedNotNeeded(v) => (format!("{} had nothing to do", name(v)), false),
        SkipReason::FailFast => (
            "another step failed, and --fail-fast stops the run".to_owned(),
            true,
        ),
        SkipReason::GroupUndoing => (
            "another step failed, and the stage is undone".to_owned(),
            true,
        ),
        SkipReason::RunCancelled => ("the run was cancelled".to_owned(), true),
    };
    Outcome::Skipped { reason, blocked }
}
