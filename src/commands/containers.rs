//! The container engine of a run: chosen before anything begins, and cleared of what killed runs left.

use std::sync::Arc;

use engine::container::{self, Engine, Kind, Late, Wanted};
use engine::plan::Plan;
use tokio::runtime::Runtime;

use crate::args::EngineArgs;
use crate::failed::Failed;
use crate::ui::out::Out;

/// The engine that is wanted: of the command line, or of the file.
#[must_use]
pub fn wanted(args: &EngineArgs, file: Option<&str>) -> Wanted {
    let own = args.engine.map(|kind| (kind, "`--engine`"));
    let named = match file {
        Some("docker") => Some((Kind::Docker, "the pipeline")),
        Some("podman") => Some((Kind::Podman, "the pipeline")),
        _ => None,
    };
    Wanted {
        kind: own.or(named),
    }
}

/// The engine of a run's builds and deployments, which is looked for when the first of them has to run.
#[must_use]
pub fn late(plan: &Plan, args: &EngineArgs) -> Option<Arc<Late>> {
    (plan.builds() || plan.drives_engine()).then(|| {
        let file = plan.pipeline.engine.as_ref().map(|e| e.value.as_str());
        Arc::new(Late::new(wanted(args, file), args.engine_timeout))
    })
}

/// The engine of a run; `None` where no step needs one from the start. Says which one it is where that is to be told.
///
/// # Errors
/// When there is none.
pub fn engine(
    runtime: &Runtime,
    plan: &Plan,
    args: &EngineArgs,
    is_told: bool,
    out: &Out,
) -> Result<Option<Arc<Engine>>, Failed> {
    if !plan.needs_engine() {
        return Ok(None);
    }
    let file = plan.pipeline.engine.as_ref().map(|e| e.value.as_str());
    let wanted = wanted(args, file);
    let env = |name: &str| std::env::var(name).ok();
    let engine = runtime
        .block_on(container::choose(&wanted, &env, args.engine_timeout))
        .map_err(|none| Failed::machine(none.what()).hint(none.help()))?;
    if is_told {
        out.report(&format!(
            "containers by {} ({})\n",
            engine.found().title(),
            engine.found().why
        ));
    }
    match runtime.block_on(engine.sweep()) {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => out.report(&format!(
            "removed what a killed run left: {}\n",
            gone.join(", ")
        )),
        Err(trouble) => out.warning(&trouble.what),
    }
    Ok(Some(Arc::new(engine)))
}
