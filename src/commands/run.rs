//! `pipe run`: the plan, carried out.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::cache::{Cache, Settings};
use engine::notify::Notifier;
use engine::oci::Layout;
use engine::output::{Masker, OuterCi};
use engine::plan::Plan;
use engine::record::{FORMAT, Header, Journal, RunDir, Summary};
use engine::run::event::Subscriber;
use engine::run::outcome::exit;
use engine::run::registries::Registries;
use engine::run::resume::Resumed;
use engine::run::secrets::Secrets;
use engine::run::{Options, concurrency, secrets};
use engine::world::Provider;
use indexmap::IndexMap;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::{containers, plan as plan_command, resume, scanner};
use crate::again::Again;
use crate::args::{Global, RunArgs, RunFormat};
use crate::failed::Failed;
use crate::project::Project;
use crate::remote::Wanted;
use crate::ui::confirm;
use crate::ui::out::Out;
use crate::ui::{Reporting, reporter};

/// Runs the pipeline.
///
/// # Errors
/// Everything that forbids to begin.
pub fn run(global: &Global, args: &RunArgs, out: &Out) -> Result<i32, Failed> {
    // The process ends after this: the file's model is not taken apart piece by piece before.
    let project = Project::open_to_run(global, out)?;
    let project = ManuallyDrop::new(project);
    if !project.loaded.diagnostics.is_empty() {
        out.report(&project.findings(out));
    }
    let earlier = args
        .resume
        .as_ref()
        .map(|run| resume::find(&project, run))
        .transpose()?;
    let request = match &earlier {
        Some(earlier) => resume::request(&project, earlier)?,
        None => project.request(&args.about, args.into.as_ref(), &args.names, out)?,
    };
    let plan = ManuallyDrop::new(Arc::new(project.plan(request, out)?));
    let resumed = match &earlier {
        Some(earlier) => match resume::resumed(&project, &plan, earlier)? {
            Some(resumed) => Some(resumed),
            None => {
                out.report(&format!(
                    "run {} has passed; there is nothing to continue\n",
                    earlier.id
                ));
                return Ok(exit::OK);
            }
        },
        None => None,
    };
    let is_json = args.view.format() == RunFormat::Json;
    if args.dry_run && is_json {
        out.line(&plan_command::json(&project, &plan));
        return Ok(exit::OK);
    }
    if is_json && plan.steps().next().is_none() {
        out.report("nothing to do; `pipe plan` says why\n");
        return Ok(exit::OK);
    }
    if args.dry_run || plan.steps().next().is_none() {
        let again = Again::of(global, &args.about, args.into.as_ref(), &str::to_owned);
        let status = plan_command::human(&project, &plan, &again, out);
        // What was named and cannot run is no success; what no event selects is.
        let refused = !args.dry_run && !args.names.is_empty();
        return Ok(if refused { exit::REFUSED } else { status });
    }
    if resumed.is_none() {
        asked_for(&plan, args, out)?;
    }
    accepted(&project, &plan)?;
    scanner::there(&project, &plan)?;
    if depth() >= DEEPEST {
        return Err(Failed::refused(format!(
            "this would be run number {} inside of another",
            depth() + 1
        ))
        .hint("a job runs `pipe run`, and so starts itself again and again; name the steps that it means"));
    }
    carry_out(global, &project, &plan, resumed, args, out)
}

/// Steps that change the outside world are selected by an event, or somebody says that they are meant.
fn asked_for(plan: &Plan, args: &RunArgs, out: &Out) -> Result<(), Failed> {
    if args.names.is_empty() || args.yes {
        return Ok(());
    }
    let steps: Vec<&str> = plan
        .steps()
        .filter(|(_, s)| plan.definition(s).kind.has_effects())
        .map(|(_, s)| s.label.as_str())
        .collect();
    if steps.is_empty() || confirm::confirm(&format!("run {}?", steps.join(", ")), out) {
        return Ok(());
    }
    Err(Failed::refused(format!(
        "{} would change the outside world, and nothing was begun",
        steps.join(", ")
    ))
    .hint("add `--yes` to say that it is meant; `pipe plan` shows what it would do"))
}

/// So many runs may be inside of each other.
const DEEPEST: u32 = 8;

/// How long what nobody waits for may go on after a run.
const LEFT: Duration = Duration::from_secs(1);

/// How many runs are around this one.
fn depth() -> u32 {
    let told = std::env::var("PIPE_DEPTH").ok();
    told.and_then(|d| d.parse().ok()).unwrap_or(0)
}

/// Refuses before anything begins what a registry would not accept from this run.
fn accepted(project: &Project, plan: &Plan) -> Result<(), Failed> {
    let refused = plan.not_accepted().into_iter();
    let refused = refused.filter_map(|not| {
        let place = project.loaded.sources.place(not.span);
        Some(format!(
            "{}: {} ({place})",
            plan.step(not.vertex)?.name,
            not.why
        ))
    });
    let refused: Vec<String> = refused.collect();
    let Some((first, others)) = refused.split_first() else {
        return Ok(());
    };
    let help = "nothing was begun; `pipe plan` shows what this event selects".to_owned();
    let failed = Failed::refused(first.clone());
    let failed = others.iter().fold(failed, |f, o| f.and(o.clone(), None));
    Err(failed.hint(help))
}

pub(super) fn carry_out(
    global: &Global,
    project: &Project,
    plan: &Arc<Plan>,
    resumed: Option<Resumed>,
    args: &RunArgs,
    out: &Out,
) -> Result<i32, Failed> {
    let env = |name: &str| std::env::var(name).ok();
    let secrets = secrets::resolve(plan, &project.root, &env).map_err(|errors| {
        errors
            .into_iter()
            .fold(Failed::told(exit::USAGE), |failed, e| {
                failed.and(e.to_string(), Some(e.help))
            })
    })?;
    let remote = Wanted::by(project, plan, args, out);
    let (notifiers, addresses) = notifiers(project, plan, &env);
    let values: Vec<(String, Vec<u8>)> = secrets
        .iter()
        .chain(
            remote
                .iter()
                .flat_map(|r| &r.secrets)
                .filter(|(n, _)| !secrets.contains_key(*n)),
        )
        .chain(&addresses)
        .map(|(n, v)| (n.clone(), v.expose_secret().as_bytes().to_vec()))
        .collect();
    let (masker, warnings) = Masker::new(&values);
    warnings.iter().for_each(|w| out.warning(w));
    let mask = |text: &str| masker.mask_str(text).into_owned();
    let again = Again::of(global, &args.about, args.into.as_ref(), &mask);
    let runtime = engine::process::runtime();
    let runtime = runtime.map_err(|e| {
        Failed::machine(format!("the run cannot begin: {e}")).hint("is `ulimit -n` very low?")
    })?;
    let format = format(args.view.format(), plan, out);
    let is_told = format != RunFormat::Quiet;
    let engine = containers::engine(&runtime, plan, &args.engine, is_told, out)?;
    let _held = group(project, plan, out)?;
    if resumed.is_none() {
        warn_of_interrupted(project, out);
    }
    let record = record(project, plan, &masker, out)?;
    let scratch = scratch(record.as_ref())?;
    let mut reporters: Vec<Box<dyn Subscriber>> = reporter(
        &Reporting {
            format,
            project,
            plan,
            all_output: args.output,
            again,
        },
        out,
    );
    let options = Options {
        cache: cache(project, plan, args, remote.as_ref(), scratch.path(), out),
        remote_wait: args.remote_wait,
        resumed,
        uncached: args.no_cache.clone().unwrap_or_default(),
        root: project.root.clone(),
        jobs: args.jobs.unwrap_or_else(engine::processors),
        fail_fast: args.fail_fast,
        depth: depth(),
        grace: args.grace,
        secrets,
        masker: Arc::new(masker),
        outer: outer_ci(plan),
        record,
        scratch: scratch.path().to_path_buf(),
        cancel: CancellationToken::new(),
        engine,
        late: containers::late(plan, &args.engine),
        images: match project.images() {
            Some(images) => images,
            None => Layout::at(&scratch.path().join("images")),
        },
        definition: project.definition(),
        registries: Registries {
            patience: args.registry_timeout,
        },
        notifiers,
    };
    let outcome = runtime.block_on(engine::run::run(plan, options, &mut reporters));
    // Nobody waits for an answer any more, such as that of a git which got none itself.
    runtime.shutdown_timeout(LEFT);
    Ok(outcome.exit_code())
}

/// Who is told how the run ended, and the secrets that this takes. One without a value is told when somebody would have
/// been; a run that is not trusted tells nobody.
fn notifiers(
    project: &Project,
    plan: &Plan,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Notifier>, Secrets) {
    if !plan.request.context.trusted {
        return (Vec::new(), Secrets::default());
    }
    let (pipeline, root) = (&plan.pipeline, &project.root);
    let found = RefCell::new(Secrets::default());
    let secret = |name: &str| {
        let read = secrets::named(pipeline, [name].into_iter(), root, env);
        let read = read.map_err(|errors| errors[0].to_string())?;
        found.borrow_mut().extend(read.clone());
        let value = read.get(name).cloned();
        value.ok_or_else(|| format!("there is no secret {name}"))
    };
    let notifiers = engine::notify::notifiers(pipeline, root, &secret);
    (notifiers, found.into_inner())
}

/// The cache of this run; none where nobody wants one.
fn cache(
    project: &Project,
    plan: &Plan,
    args: &RunArgs,
    remote: Option<&Wanted<'_>>,
    scratch: &Path,
    out: &Out,
) -> Option<Arc<Cache>> {
    if args.keeps_nothing() {
        return None;
    }
    let context = &plan.request.context;
    let settings = project.cache_settings(context).zip(project.memory(context));
    let Some((settings, memory)) = settings else {
        if plan
            .steps()
            .any(|(_, s)| engine::run::is_cacheable(plan.definition(s)))
        {
            out.warning("there is no folder for results, so nothing is kept");
            out.hint("set HOME or XDG_CACHE_HOME, or name one with `--cache-dir`");
        }
        return None;
    };
    project.remember();
    let remote = remote.and_then(|r| r.open(&settings, out));
    let settings = Settings {
        scratch: Some(scratch.to_path_buf()),
        refresh: args.refresh,
        ..settings
    };
    let cache = Cache::open_with(settings, memory);
    Some(Arc::new(match remote {
        Some(remote) => cache.with_remote(remote),
        None => cache,
    }))
}

/// Takes the run's concurrency group, if it has one.
fn group(project: &Project, plan: &Plan, out: &Out) -> Result<Option<concurrency::Held>, Failed> {
    let Some(concurrency) = &plan.pipeline.concurrency else {
        return Ok(None);
    };
    let text = plan.concurrency_group().map_err(|missing| {
        Failed::usage(format!(
            "the concurrency group has no value: `${{{}}}`: {}",
            missing.name, missing.why
        ))
        .hint(format!(
            "see {}",
            project.loaded.sources.place(concurrency.group.span)
        ))
    })?;
    let Some(text) = text else { return Ok(None) };
    let verb = if concurrency.cancel {
        "cancelling"
    } else {
        "waiting for"
    };
    let mut waiting = |holder: &str| {
        out.report(&format!(
            "{verb} the run of process {holder} (concurrency group {text})\n"
        ));
    };
    let folder = project.runs().folder().to_path_buf();
    match concurrency::hold(&folder, &text, concurrency.cancel, &mut waiting) {
        Ok(held) => Ok(Some(held)),
        Err(e) => Err(
            Failed::machine(format!("the concurrency group cannot be held: {e}"))
                .hint(format!("make {} writable", folder.display())),
        ),
    }
}

/// Begins the run's record. A run without steps that want one goes on without.
fn record(
    project: &Project,
    plan: &Plan,
    masker: &Masker,
    out: &Out,
) -> Result<Option<(RunDir, Journal)>, Failed> {
    let header = Header {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began: jiff::Timestamp::now().to_string(),
        file: project.file.clone(),
        definition: project.definition(),
        context: plan.request.context.clone(),
        names: plan.request.names.clone(),
        params: masked(&plan.request.params, masker),
    };
    let runs = project.runs();
    let error = match runs.begin(&header) {
        Ok(record) => return Ok(Some(record)),
        Err(error) => error,
    };
    let message = format!("{} cannot be written: {error}", runs.folder().display());
    let wants = plan.steps().find(|(_, s)| {
        let step = plan.definition(s);
        step.rollback.is_some()
            || step
                .job()
                .is_some_and(|j| !j.artifacts.is_empty() || !j.takes.is_empty())
    });
    match wants {
        Some((_, step)) => Err(Failed::machine(format!("{message}; `{}` needs it, so nothing was begun", step.label))
            .hint("rollbacks are recorded before they can be needed, and artifacts are kept there; make it writable")),
        None => {
            out.warning(&format!("{message}; the run is not recorded, and has no logs"));
            Ok(None)
        }
    }
}

/// Tells what the run before this one may have left behind, if it was killed.
fn warn_of_interrupted(project: &Project, out: &Out) {
    let runs = project.runs();
    let last = runs.ids().last().copied().filter(|id| !runs.is_over(*id));
    let last = last.and_then(|id| runs.summary(id).ok());
    let Some(last) = last.filter(Summary::is_interrupted) else {
        return;
    };
    let left = last.left_undone();
    if left.is_empty() {
        return;
    }
    let (id, steps) = (last.id, left.join(", "));
    out.warning(&format!(
        "run {id} was interrupted: {steps} had begun, and was not undone"
    ));
    let same = last.reading.header.definition == project.definition();
    let what = if same {
        format!("`pipe run --resume={id}` undoes it and continues")
    } else {
        "look at what it left, then undo it by hand or run it again".to_owned()
    };
    out.hint(&format!("{what}; `pipe logs {id}` shows how far it came"));
}

/// What is recorded of the parameters: somebody may have put a secret into one.
fn masked(params: &IndexMap<String, String>, masker: &Masker) -> IndexMap<String, String> {
    let mask = |text: &str| masker.mask_str(text).into_owned();
    params.iter().map(|(n, v)| (n.clone(), mask(v))).collect()
}

fn scratch(record: Option<&(RunDir, Journal)>) -> Result<tempfile::TempDir, Failed> {
    let made = match record {
        Some((dir, _)) => tempfile::Builder::new()
            .prefix("tmp-")
            .tempdir_in(&dir.path),
        None => tempfile::Builder::new().prefix("pipe-").tempdir(),
    };
    made.map_err(|e| {
        Failed::machine(format!("no temporary folder can be made: {e}")).hint("is the disk full?")
    })
}

fn format(asked: RunFormat, plan: &Plan, out: &Out) -> RunFormat {
    match (asked, plan.request.context.provider) {
        (RunFormat::Auto, Some(Provider::GitHub)) => RunFormat::Github,
        (RunFormat::Auto, Some(Provider::GitLab)) => RunFormat::Gitlab,
        (RunFormat::Auto, _)
            if out.terminal && std::env::var("TERM").is_ok_and(|t| t != "dumb") =>
        {
            RunFormat::Live
        }
        (RunFormat::Auto, _) => RunFormat::Plain,
        (asked, _) => asked,
    }
}

fn outer_ci(plan: &Plan) -> OuterCi {
    let has = |name: &str| std::env::var_os(name).is_some();
    match plan.request.context.provider {
        Some(Provider::GitHub) => OuterCi::GitHub,
        Some(Provider::GitLab) => OuterCi::GitLab,
        _ if has("TF_BUILD") => OuterCi::Azure,
        _ if has("TEAMCITY_VERSION") => OuterCi::TeamCity,
        _ => OuterCi::None,
    }
}
