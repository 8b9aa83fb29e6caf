//! The scanner that makes SBOMs, where a pipeline names none of its own: whether it is there. Scans nothing.

use std::path::PathBuf;

use dsl::model::StepKind;
use dsl::source::Span;
use engine::plan::Plan;
use engine::run::{SCANNER, SCANNER_MISSING};

use crate::failed::Failed;
use crate::project::Project;

/// Where a step wants an SBOM by the usual scanner.
pub(super) fn usual(kind: &StepKind) -> Option<Span> {
    let StepKind::Build(build) = kind else {
        return None;
    };
    let sbom = build.attest.iter().find(|kind| kind.value == "sbom")?;
    build.scanner.is_none().then_some(sbom.span)
}

/// Refuses before anything begins what would fail for want of the scanner.
pub(super) fn there(project: &Project, plan: &Plan) -> Result<(), Failed> {
    let wanted = plan
        .steps()
        .find_map(|(_, step)| Some((step, usual(&plan.definition(step).kind)?)));
    let Some((step, span)) = wanted.filter(|_| in_path(SCANNER).is_none()) else {
        return Ok(());
    };
    let place = project.loaded.sources.place(span);
    Err(Failed::machine(format!(
        "{} wants an SBOM ({place}), and the program {SCANNER} is not in PATH",
        step.name
    ))
    .hint(format!("{SCANNER_MISSING}; nothing was begun")))
}

/// Where a program is.
pub(super) fn in_path(name: &str) -> Option<PathBuf> {
    engine::process::in_path(name, &std::env::var_os("PATH")?)
}
