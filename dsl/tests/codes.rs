//! The table of codes keeps its word: each bad example has exactly that finding, each good one has none.

use dsl::{Files, Loaded};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("there is no {path} here"))
    }
}

fn load(text: &str) -> Loaded {
    dsl::load(&NoFiles, "pipeline.kdl", text.to_owned())
}

fn found(text: &str) -> Vec<String> {
    let loaded = load(text);
    loaded
        .diagnostics
        .iter()
        .map(|d| format!("{}: {}", d.code.id, d.message))
        .collect()
}

#[test]
fn every_bad_example_has_its_finding_and_no_other() {
    let wrong: Vec<String> = dsl::codes::all()
        .filter(|c| !c.bad.is_empty())
        .filter_map(|code| {
            let ids: Vec<&str> = load(code.bad)
                .diagnostics
                .iter()
                .map(|d| d.code.id)
                .collect();
            let fits = !ids.is_empty() && ids.iter().all(|id| *id == code.id);
            (!fits).then(|| format!("{} gave {:?}", code.id, found(code.bad)))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_good_example_has_no_finding() {
    let wrong: Vec<String> = dsl::codes::all()
        .filter(|c| !c.good.is_empty())
        .filter(|c| !load(c.good).diagnostics.is_empty())
        .map(|c| format!("{} gave {:?}", c.id, found(c.good)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn codes_are_unique_and_in_order() {
    let ids: Vec<&str> = dsl::codes::all().map(|c| c.id).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len(), "a code is used twice: {ids:?}");
}
