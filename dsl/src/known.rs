//! What a pipeline meant when it was last read: it means the same for as long as its files say the same. Reading that costs
//! a fifth of parsing and checking the files. It is for the same program only: another one may understand, or refuse, what
//! this one did not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Pipeline;
use crate::source::{SourceId, SourceMap};
use crate::{Files, Loaded};

/// The meaning of a pipeline without findings, with all texts that it was read from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known {
    pipeline: Arc<Pipeline>,
    sources: SourceMap,
    on_disk: Vec<SourceId>,
}

impl Known {
    /// What can be kept of a pipeline; nothing where there are findings, as these are told each time.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Option<Self> {
        loaded.diagnostics.is_empty().then(|| Self {
            pipeline: Arc::clone(&loaded.pipeline),
            sources: loaded.sources.clone(),
            on_disk: loaded.on_disk.clone(),
        })
    }

    /// The pipeline whose root file has this name, if all its files still say what they said. A text of another
    /// repository is locked by its hash in one of them, and the standard library is part of the program.
    #[must_use]
    pub fn again(self, files: &dyn Files, name: &str) -> Option<Loaded> {
        let Self {
            pipeline,
            sources,
            on_disk,
        } = self;
        let is_root = sources.iter().next().is_some_and(|s| s.name == name);
        let same = |id: &SourceId| {
            let source = sources.iter().find(|s| s.id == *id);
            source.is_some_and(|s| files.read(&s.name).is_ok_and(|text| text == s.text))
        };
        (is_root && on_disk.iter().all(same)).then_some(Loaded {
            pipeline,
            sources,
            on_disk,
            diagnostics: Vec::new(),
        })
    }
}
