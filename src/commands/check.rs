//! `pipe check`: all mistakes at once.

use dsl::diagnostic::Severity;
use dsl::render;
use engine::run::outcome::exit;

use crate::args::{CheckArgs, CheckFormat, Global};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words;

/// Checks the file.
///
/// # Errors
/// When it cannot be read.
pub fn run(global: &Global, args: &CheckArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open(global)?;
    let loaded = &project.loaded;
    let (findings, sources) = (&loaded.diagnostics, &loaded.sources);
    let usual = if std::env::var_os("GITHUB_ACTIONS").is_some() {
        CheckFormat::Github
    } else {
        CheckFormat::Human
    };
    match args.format.unwrap_or(usual) {
        CheckFormat::Json => out.line(&render::json(findings, sources)),
        CheckFormat::Sarif => {
            out.line(&render::sarif(findings, sources, env!("CARGO_PKG_VERSION")));
        }
        CheckFormat::Github => {
            out.text(&render::github(findings, sources));
            human(&project, out);
        }
        CheckFormat::Human => human(&project, out),
    }
    let fails = |severity| severity == Severity::Error || args.strict;
    let failed = findings.iter().any(|f| fails(f.severity()));
    Ok(if failed { exit::USAGE } else { exit::OK })
}

fn human(project: &Project, out: &Out) {
    if project.loaded.diagnostics.is_empty() {
        let pipeline = &project.loaded.pipeline;
        let steps = words::count(pipeline.steps.len(), "step");
        let stages = words::count(pipeline.stages.len(), "stage");
        out.line(&format!(
            " {}  {}: {stages}, {steps}",
            words::paint(words::GOOD, "ok"),
            project.file
        ));
    } else {
        out.text(&project.findings(out));
    }
}
