//! `pipe rollback` and `pipe promote`: a run of one step that is asked for and not written in the file. It goes the way of
//! every run: recorded, guarded, shown.

use std::sync::Arc;

use clap::Parser;
use dsl::model::{Deploy, Earlier, Promote, StepKind};
use dsl::source::{Span, Spanned};
use engine::ledger::{Bundle, History};

use super::run::carry_out;
use super::targets::{ledger, target_named};
use crate::args::{ByHandArgs, Cli, Command, Global, PromoteArgs, RollbackArgs, RunArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::confirm;
use crate::ui::out::Out;

/// The stage in which such a step stands.
pub const STAGE: &str = "by-hand";

/// Brings an earlier release back.
///
/// # Errors
/// When there is none, or the run cannot begin.
pub fn rollback(global: &Global, args: &RollbackArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let target = target_named(&project, &args.target)?;
    let history = history(&project, &target)?;
    let bundle = engine::run::earlier(&history, args.to.as_deref()).map_err(|failure| {
        let failed = Failed::refused(failure.what);
        match failure.help {
            Some(help) => failed.hint(help),
            None => failed,
        }
    })?;
    let question = format!("bring {} back to {target}?", told(&bundle));
    meant(&question, &args.by_hand, out)?;
    let span = project.loaded.pipeline.targets[&target].name.span;
    let step = StepKind::Deploy(Deploy {
        images: Vec::new(),
        digests: Vec::new(),
        target: Spanned::new(target.clone(), span),
        earlier: Some(Earlier {
            to: Some(bundle.id()),
        }),
    });
    run(
        global,
        project,
        &format!("rollback-{target}"),
        step,
        span,
        &args.by_hand,
        out,
    )
}

/// Moves what the source of a promotion runs.
///
/// # Errors
/// When there is no such promotion, or the run cannot begin.
pub fn promote(global: &Global, args: &PromoteArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let rules = &project.loaded.pipeline.promotions;
    let Some(rule) = rules.get(&args.rule) else {
        let known = rules.keys().map(String::as_str);
        return Err(unknown("promotion", &args.rule, known));
    };
    let (name, span, to) = (rule.name.clone(), rule.name.span, rule.to.value.clone());
    let from = rule.from.value.clone();
    meant(
        &format!("promote what {from} runs to {to}?"),
        &args.by_hand,
        out,
    )?;
    let step = StepKind::Promote(Promote { rule: name });
    run(
        global,
        project,
        &format!("promote-{}", args.rule),
        step,
        span,
        &args.by_hand,
        out,
    )
}

fn history(project: &Project, target: &str) -> Result<History, Failed> {
    let ledger = ledger(project)?;
    ledger.history(target).map_err(|e| Failed::of_ledger(&e))
}

fn told(bundle: &Bundle) -> String {
    format!("{} ({})", bundle.title(), bundle.images_in_short())
}

fn meant(question: &str, args: &ByHandArgs, out: &Out) -> Result<(), Failed> {
    if args.yes || confirm::confirm(question, out) {
        return Ok(());
    }
    let statement = question.trim_end_matches('?');
    Err(
        Failed::refused(format!("nothing was begun; this would {statement}"))
            .hint("add `--yes` to say that it is meant"),
    )
}

fn run(
    global: &Global,
    mut project: Project,
    name: &str,
    step: StepKind,
    at: Span,
    args: &ByHandArgs,
    out: &Out,
) -> Result<i32, Failed> {
    let pipeline = Arc::unwrap_or_clone(Arc::clone(&project.loaded.pipeline));
    project.loaded.pipeline = Arc::new(pipeline.with_step(STAGE, name, step, at));
    let mut run = usual();
    run.about.params.clone_from(&args.params);
    run.view = args.view;
    let names = [format!("{STAGE}.{name}")];
    let request = project.request(&run.about, None, &names, out)?;
    let plan = Arc::new(project.plan(request, out)?);
    carry_out(global, &project, &plan, None, &run, out)
}

/// The flags of a run that nobody gave any.
fn usual() -> RunArgs {
    match Cli::parse_from(["pipe", "run"]).command {
        Some(Command::Run(args)) => args,
        _ => unreachable!("`pipe run` is a run"),
    }
}

/// What does not exist, with what may have been meant.
pub fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Failed {
    let known: Vec<&str> = known.collect();
    let failed = Failed::usage(format!("there is no {kind} `{}`", name.escape_debug()));
    match dsl::diagnostic::nearest(name, known.iter().copied()) {
        Some(near) => failed.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => failed.hint(format!("the file declares no {kind}")),
        None => failed.hint(format!("there are {}", known.join(", "))),
    }
}
