//! The language of `pipeline.kdl`: text in, meaning and diagnostics out; never runs anything.

pub mod calver;
mod cascade;
mod check;
pub mod codes;
pub mod diagnostic;
pub mod explain;
pub mod expr;
mod form;
mod known;
mod load;
mod lower;
pub mod model;
mod names;
pub mod reference;
pub mod render;
mod resolve;
pub mod schema;
pub mod source;
mod stdlib;
pub mod syntax;
pub mod text;
pub mod units;

use std::path::Path;
use std::sync::Arc;

use diagnostic::{Diagnostic, Severity};
use model::Pipeline;
use source::{SourceId, SourceMap, Span};

pub use known::Known;
pub use load::{Files, Folder, MAX_FILE, Remote};

/// What a file means, and what is wrong with it.
#[derive(Debug)]
pub struct Loaded {
    /// The pipeline, as far as it could be understood.
    pub pipeline: Arc<Pipeline>,
    /// All files that were read.
    pub sources: SourceMap,
    /// All findings, in file order.
    pub diagnostics: Vec<Diagnostic>,
    /// Which of the files are files of the pipeline's folder.
    on_disk: Vec<SourceId>,
}

impl Loaded {
    /// Whether a finding forbids to run it.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity() == Severity::Error)
    }
}

/// Loads the pipeline whose root file has this name and text. Never fails: what is wrong is in the findings.
#[must_use]
pub fn load(files: &dyn Files, name: &str, text: String) -> Loaded {
    let load::Units {
        units,
        sources,
        on_disk,
        mut diagnostics,
    } = load::read_all(files, name, text);
    let lowered = lower::lower(&units, &sources, &mut diagnostics);
    let (mut pipeline, names) = resolve::resolve(lowered, &mut diagnostics);
    let sound = diagnostics
        .iter()
        .all(|d| d.severity() == Severity::Warning);
    if sound && pipeline.stages.is_empty() {
        diagnostics.push(no_stage(&sources));
    }
    check::check(&pipeline, &names, &mut diagnostics);
    if pipeline.name.is_empty() {
        pipeline.name = "pipeline".to_owned();
    }
    cascade::tidy(&mut diagnostics, &units, &sources);
    Loaded {
        pipeline: Arc::new(pipeline),
        sources,
        diagnostics,
        on_disk,
    }
}

/// Loads a file from disk; its folder is the pipeline's.
///
/// # Errors
/// Why the root file itself cannot be read, as a sentence part.
pub fn load_file(path: &Path) -> Result<Loaded, String> {
    let folder = folder_of(path).to_owned();
    load_file_with(path, &Folder(folder))
}

/// Loads a file from disk, with another way to its includes.
///
/// # Errors
/// Why the root file itself cannot be read, as a sentence part.
pub fn load_file_with(path: &Path, files: &dyn Files) -> Result<Loaded, String> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let text = files.read(&name)?;
    Ok(load(files, &name, text))
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn no_stage(sources: &SourceMap) -> Diagnostic {
    let root = sources
        .iter()
        .next()
        .map_or(Span::default(), |s| Span::new(s.id, 0, s.text.len().min(1)));
    Diagnostic::new(&codes::names::NO_STAGE, "there is no stage in this pipeline", root, "nothing to run")
        .help("add one: `stage test { job unit { run \"cargo test\" } }`; `pipe init` writes a whole file")
}
