//! Views for tests, from pipelines as people write them.

use super::{Statuses, View};
use crate::plan::{Plan, Request, plan};
use crate::world::{Changed, Context, Event, GitInfo};

struct NoFiles;

impl dsl::Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".to_owned())
    }
}

/// The plan of a push on main.
pub(super) fn planned(text: &str) -> (Plan, dsl::source::SourceMap) {
    let loaded = dsl::load(&NoFiles, "pipeline.kdl", text.to_owned());
    assert!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    let request = Request {
        context: Context {
            event: Event::Push,
            provider: None,
            trusted: true,
            git: GitInfo {
                branch: Some("main".to_owned()),
                sha: Some("1a2b3c4d5e6f".to_owned()),
                ..GitInfo::default()
            },
            pr: None,
            build_url: None,
            run_number: None,
            base: None,
        },
        names: Vec::new(),
        everything: false,
        params: indexmap::IndexMap::new(),
        changed: Changed::Unknown("a test".to_owned()),
        date: "2026-01-31".to_owned(),
        versions: indexmap::IndexMap::new(),
    };
    let plan = plan(&loaded.pipeline, request, &|_| None).expect("it has a plan");
    (plan, loaded.sources)
}

/// The view of a push on main.
pub(super) fn viewed(text: &str, statuses: Option<&Statuses>) -> View {
    super::view(&planned(text).0, statuses)
}
