//! `pipe run --resume`: the earlier run, whether it can be continued, and what it was about.

use engine::plan::{Plan, Request};
use engine::record::Summary;
use engine::run::resume::{NotResumable, Resumed};
use engine::world::{self, Changed, Flags, Git, changed_paths};

use super::logs;
use crate::failed::Failed;
use crate::project::Project;

/// The run that is meant, with what it was about.
///
/// # Errors
/// When there is no such run, it was of another pipeline or commit, or its record cannot be read.
pub fn find(project: &Project, run: &str) -> Result<Summary, Failed> {
    let runs = project.runs();
    if runs.ids().is_empty() {
        return Err(Failed::refused("there is no run to continue").hint("`pipe run` begins one"));
    }
    let id = logs::run_id(&runs, run)?.ok_or_else(|| {
        Failed::usage(format!("`{run}` is not the number of a run")).hint("`pipe runs` lists them")
    })?;
    let summary = runs.summary(id).map_err(Failed::machine)?;
    let header = &summary.reading.header;
    let anew = "`pipe run` begins a new one; what was kept of this one is used all the same";
    if header.file != project.file || header.definition != project.definition() {
        return Err(Failed::refused(format!("the pipeline has changed since run {id}")).hint(anew));
    }
    let env = |name: &str| std::env::var(name).ok();
    let now = world::context(&project.root, &env, &Flags::default(), false).map(|(now, _)| now);
    let here = now.ok().and_then(|now| now.git.sha);
    if here != header.context.git.sha {
        let then = header.context.git.sha.as_deref().unwrap_or("no commit");
        return Err(Failed::refused(format!(
            "run {id} is about {}, and this checkout is at {}",
            short(then),
            short(here.as_deref().unwrap_or("no commit"))
        ))
        .hint(anew));
    }
    Ok(summary)
}

fn short(commit: &str) -> &str {
    if commit.contains(' ') {
        commit
    } else {
        crate::ui::words::short(commit)
    }
}

/// What the run was about.
///
/// # Errors
/// When a parameter had a secret in it, which is not recorded.
pub fn request(project: &Project, earlier: &Summary) -> Result<Request, Failed> {
    let header = &earlier.reading.header;
    if let Some((name, _)) = header.params.iter().find(|(_, v)| v.contains("***")) {
        return Err(Failed::refused(format!(
            "run {} had a secret in its parameter `{name}`, and secrets are not recorded",
            earlier.id
        ))
        .hint("begin a new run"));
    }
    let env = |name: &str| std::env::var(name).ok();
    let asks = project.loaded.pipeline.asks_for_paths() && header.names.is_empty();
    let changed = if asks {
        changed_paths(&Git::new(&project.root, &env), &header.context)
    } else {
        Changed::Unknown("nothing asks for it".to_owned())
    };
    Ok(Request {
        context: header.context.clone(),
        names: header.names.clone(),
        everything: false,
        params: header.params.clone(),
        changed,
        date: header.began.get(..10).unwrap_or_default().to_owned(),
        versions: project.versions(),
    })
}

/// What the run has done of a plan; none if it has passed.
///
/// # Errors
/// Why it cannot be continued.
pub fn resumed(
    project: &Project,
    plan: &Plan,
    earlier: &Summary,
) -> Result<Option<Resumed>, Failed> {
    let folder = project.runs().dir(earlier.id).path;
    let id = earlier.id;
    match engine::run::resume::resumed(plan, earlier, &folder) {
        Ok(resumed) => Ok(Some(resumed)),
        Err(NotResumable::Passed) => Ok(None),
        Err(why @ NotResumable::Alive) => Err(Failed::refused(format!(
            "run {id} cannot be continued: {why}"
        ))
        .hint("wait for its end, or end it")),
        Err(why @ NotResumable::UndoFailed(_)) => Err(Failed::refused(format!(
            "run {id} cannot be continued: {why}"
        ))
        .hint(format!(
            "`pipe logs {id}` shows why; mend it by hand, then `pipe run` begins anew"
        ))),
    }
}
