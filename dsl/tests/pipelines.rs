//! The acceptance pipelines and the standard library mean something, and nothing is wrong with them.

use dsl::render::plain_line;
use dsl::{Files, Loaded};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".into())
    }
}

const PIPELINES: [(&str, &str); 5] = [
    (
        "split-registries",
        include_str!("../../tests/pipelines/split-registries.kdl"),
    ),
    (
        "build-once",
        include_str!("../../tests/pipelines/build-once.kdl"),
    ),
    (
        "ecs-service",
        include_str!("../../tests/pipelines/ecs-service.kdl"),
    ),
    (
        "snapshot-release",
        include_str!("../../tests/pipelines/snapshot-release.kdl"),
    ),
    (
        "supply-chain",
        include_str!("../../tests/pipelines/supply-chain.kdl"),
    ),
];

fn load(text: &str) -> Loaded {
    dsl::load(&NoFiles, "pipeline.kdl", text.to_owned())
}

fn findings(loaded: &Loaded) -> Vec<String> {
    let lines = loaded.diagnostics.iter();
    lines.map(|d| plain_line(d, &loaded.sources)).collect()
}

fn steps(loaded: &Loaded) -> Vec<String> {
    let ids = 0..u32::try_from(loaded.pipeline.steps.len()).expect("a test's own data");
    ids.map(|id| loaded.pipeline.full_name(dsl::model::StepId(id)))
        .collect()
}

#[test]
fn the_acceptance_pipelines_have_no_finding() {
    for (name, text) in PIPELINES {
        assert_eq!(findings(&load(text)), [""; 0], "{name}");
    }
}

#[test]
fn the_acceptance_pipelines_are_in_the_usual_layout() {
    for (name, text) in PIPELINES {
        let mut sources = dsl::source::SourceMap::default();
        let id = sources.add(name, text);
        let formatted = dsl::syntax::format(sources.get(id));
        assert_eq!(formatted.as_deref(), Ok(text), "{name}");
    }
}

#[test]
fn a_template_of_the_standard_library_is_there_without_an_include() {
    let loaded = load(PIPELINES[0].1);
    assert_eq!(
        steps(&loaded)[6..],
        [
            "production.release-release",
            "production.build-app",
            "production.push-app",
            "production.deploy-production",
            "production.backport",
            "housekeeping.prune",
        ]
    );
}

#[test]
fn every_template_of_the_standard_library_can_be_used() {
    let loaded = load(
        r#"
pipeline all
secret GITHUB_TOKEN
stage all {
    use std.backport from=hotfix
    use std.cargo-test features="all"
    use std.cargo-lint
    use std.uv-pytest as=uv options="-q"
    use std.poetry-pytest as=poetry
    use std.ruff
    use std.npm-script script=build { outputs "dist/**" }
    use std.npm-script
    use std.pnpm-script
    use std.mkdocs-build
    use std.mike version="${git.tag}"
}
"#,
    );
    assert_eq!(findings(&loaded), [""; 0]);
    assert_eq!(
        steps(&loaded),
        [
            "all.backport",
            "all.cargo-test",
            "all.cargo-fmt",
            "all.cargo-clippy",
            "all.uv-pytest",
            "all.poetry-pytest",
            "all.ruff",
            "all.npm-build",
            "all.npm-test",
            "all.pnpm-test",
            "all.mkdocs",
            "all.mike",
        ]
    );
}

#[test]
fn a_file_of_the_standard_library_is_included_under_any_name() {
    let loaded = load(
        "include \"std/rust.kdl\" as=rs\nstage test {\n    use rs.cargo-lint\n    use std.ruff\n}\n",
    );
    assert_eq!(findings(&loaded), [""; 0]);
    let loaded = load("include \"std/rust.kdl\"\nstage test {\n    use cargo-lint\n}\n");
    assert_eq!(findings(&loaded), [""; 0]);
}
