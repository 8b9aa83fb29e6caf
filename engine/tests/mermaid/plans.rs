//! Views of planned pipelines: of every kind of step and edge, and of sizes around Mermaid's limits.

use std::fmt::Write;

use engine::graph::{Status, Statuses, View, view};
use engine::plan::{Request, plan};
use engine::world::{Changed, Context, Event, GitInfo};

struct NoFiles;

impl dsl::Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".to_owned())
    }
}

const BUILD_ONCE: &str = include_str!("../../src/graph/tests/build-once.kdl");

/// Names that are allowed, and the worst of those.
const NAMES: &str = r##"pipeline names
stage end { job graph { run "true" }; job end { needs graph; run "true" } }
stage subgraph {
    job click { matrix { os "a\"b" "%%{x}%%" "1. x" "---" "<script>" "`" "#42;" "😀 構築"; n end "_self" }; run "true" }
    job o { after click; run "true"; rollback { run "true" } }
    job x { on-failure o; run "true" }
}
stage class { needs subgraph end; job class { run "true" } }
stage später { needs nothing=#true; job 構築 { needs end.end; run "true" } }
"##;

/// Views in which everything can be drawn out.
pub fn small_views() -> Vec<View> {
    let outcomes: Statuses = [
        ("test.lint", Status::Passed),
        ("test.unit (linux, beta)", Status::Failed),
        ("release.build-app", Status::Skipped),
        ("staging.warm", Status::RollbackFailed),
    ]
    .map(|(n, s)| (n.to_owned(), s))
    .into();
    vec![
        viewed(BUILD_ONCE, None),
        viewed(BUILD_ONCE, Some(&outcomes)),
        viewed(NAMES, None),
        viewed(&chain(1, 501, 1), None),
        viewed(&chain(1, 6, 10), None),
    ]
}

/// Views of all sizes.
pub fn views() -> Vec<View> {
    let large = [
        (1, 502, 1),
        (2, 6, 10),
        (400, 1, 1),
        (401, 1, 1),
        (20, 25, 1),
        (3, 200, 1),
        (900, 1, 1),
    ];
    let large = large.map(|(stages, jobs, legs)| viewed(&chain(stages, jobs, legs), None));
    small_views().into_iter().chain(large).collect()
}

/// So many stages of so many jobs, each of which waits for the one before; each job with so many legs.
fn chain(stages: usize, jobs: usize, legs: usize) -> String {
    let mut text = String::from("pipeline big\n");
    for stage in 0..stages {
        writeln!(text, "stage s{stage} {{").unwrap();
        for job in 0..jobs {
            let values: String = (0..legs).map(|l| format!(" v{l}")).collect();
            let matrix = if legs > 1 {
                format!("matrix {{ v{values} }}; ")
            } else {
                String::new()
            };
            let needs = if job > 0 {
                format!("needs j{}; ", job - 1)
            } else {
                String::new()
            };
            writeln!(text, "  job j{job} {{ {matrix}{needs}run \"true\" }}").unwrap();
        }
        text.push_str("}\n");
    }
    text
}

/// The view of a push on main.
pub fn viewed(text: &str, statuses: Option<&Statuses>) -> View {
    let loaded = dsl::load(&NoFiles, "pipeline.kdl", text.to_owned());
    planned(&loaded, false, statuses)
}

/// The acceptance pipelines, the examples and the project's own, whole and as a push on main selects them.
pub fn real_views() -> Vec<View> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("pipeline.kdl")];
    for entry in std::fs::read_dir(root.join("tests/pipelines")).unwrap() {
        files.push(entry.unwrap().path());
    }
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        files.push(entry.unwrap().path().join("pipeline.kdl"));
    }
    files.sort();
    let load = |file: &std::path::PathBuf| {
        dsl::load_file(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    };
    let views = files.iter().flat_map(|f| {
        [
            planned(&load(f), true, None),
            planned(&load(f), false, None),
        ]
    });
    views.collect()
}

fn planned(loaded: &dsl::Loaded, everything: bool, statuses: Option<&Statuses>) -> View {
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
        everything,
        params: indexmap::IndexMap::new(),
        changed: Changed::Unknown("a test".to_owned()),
        date: "2026-01-31".to_owned(),
        versions: indexmap::IndexMap::new(),
    };
    let plan = plan(&loaded.pipeline, request, &|_| None).expect("it has a plan");
    view(&plan, statuses)
}
