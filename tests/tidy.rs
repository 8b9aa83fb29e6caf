//! The rules of the house that a machine can check: the direction of data, the size of files, what each file says it is.

use std::path::{Path, PathBuf};

/// No file is longer, tests aside.
const LONGEST: usize = 800;

#[test]
fn data_flows_one_way() {
    let manifest = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    assert!(
        !manifest("dsl/Cargo.toml").contains("engine"),
        "dsl does not know the engine"
    );
    assert!(
        !manifest("dsl/Cargo.toml").contains("tokio"),
        "dsl waits for nothing"
    );
    // Who must not know whom. Text, model, plan, run, report: each knows only what comes before it.
    let rules: &[(&str, &[&str])] = &[
        (
            "dsl/src/syntax",
            &[
                "crate::schema",
                "crate::model",
                "crate::lower",
                "crate::check",
                "crate::form",
            ],
        ),
        (
            "dsl/src/schema",
            &[
                "crate::model",
                "crate::lower",
                "crate::check",
                "crate::syntax",
            ],
        ),
        (
            "dsl/src/model",
            &[
                "crate::syntax",
                "crate::form",
                "crate::lower",
                "crate::schema",
            ],
        ),
        (
            "dsl/src/check",
            &["crate::syntax", "crate::form", "crate::lower"],
        ),
        (
            "dsl/src/expr",
            &["crate::model", "crate::lower", "crate::schema"],
        ),
        (
            "engine/src/output",
            &[
                "crate::run",
                "crate::plan",
                "crate::process",
                "crate::record",
            ],
        ),
        (
            "engine/src/process",
            &[
                "crate::run",
                "crate::plan",
                "crate::output",
                "crate::record",
            ],
        ),
        (
            "engine/src/world",
            &["crate::run", "crate::plan", "crate::record"],
        ),
        (
            "engine/src/plan",
            &[
                "crate::run",
                "crate::record",
                "crate::process",
                "tokio",
                "std::fs",
                "std::env",
            ],
        ),
        (
            "engine/src/graph",
            &[
                "crate::run",
                "crate::record",
                "crate::process",
                "tokio",
                "std::fs",
                "std::env",
            ],
        ),
        (
            "engine/src/run/schedule",
            &[
                "tokio",
                "std::fs",
                "std::time",
                "crate::plan",
                "crate::process",
                "dsl::",
            ],
        ),
        (
            "engine/src/report.rs",
            &["crate::plan", "crate::process", "std::fs", "std::time"],
        ),
    ];
    let mut wrong = Vec::new();
    for (place, forbidden) in rules {
        for file in rust_files(&root().join(place)) {
            let text = without_tests(&std::fs::read_to_string(&file).unwrap());
            let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
            for line in code {
                if let Some(word) = forbidden.iter().find(|w| line.contains(**w)) {
                    wrong.push(format!("{}: knows {word}: {}", shown(&file), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_ui_prints_and_only_render_knows_miette() {
    let mut wrong = Vec::new();
    for file in sources() {
        let name = shown(&file);
        let text = std::fs::read_to_string(&file).unwrap();
        let knows_miette = text.contains("miette::") && name != "dsl/src/render/human.rs";
        let prints = (text.contains("stdout()") || text.contains("stderr()"))
            && !name.starts_with("src/ui/");
        // The tracing subscriber writes for itself; main hands it standard error.
        let prints = prints && name != "src/main.rs";
        if knows_miette || prints {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_and_none_is_too_long() {
    let mut wrong = Vec::new();
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not begin with `//!`", shown(&file)));
        }
        let lines = without_tests(&text).lines().count();
        if lines > LONGEST {
            wrong.push(format!("{}: {lines} lines", shown(&file)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_for_later_in_the_tree() {
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["X", "XX"].concat(),
    ];
    let mut wrong = Vec::new();
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, line) in text.lines().enumerate() {
            if words.iter().any(|w| line.contains(w.as_str())) {
                wrong.push(format!("{}:{}: {}", shown(&file), at + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_top_of_the_repository_holds_what_belongs_there() {
    let known = [
        "Cargo.lock",
        "Cargo.toml",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "benches",
        "book",
        "clippy.toml",
        "deny.toml",
        "dsl",
        "engine",
        "examples",
        "pipeline.kdl",
        "rustfmt.toml",
        "src",
        "stdlib-pipelines",
        "target",
        "tests",
    ];
    let entries = std::fs::read_dir(root()).unwrap().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let unknown: Vec<String> = names
        .filter(|n| !n.starts_with('.') && !known.contains(&n.as_str()))
        .collect();
    assert_eq!(unknown, Vec::<String>::new());
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().display().to_string()
}

/// All Rust files of the program and its libraries.
fn sources() -> Vec<PathBuf> {
    ["src", "dsl/src", "engine/src"]
        .iter()
        .flat_map(|d| rust_files(&root().join(d)))
        .collect()
}

fn rust_files(at: &Path) -> Vec<PathBuf> {
    if at.is_file() {
        return vec![at.to_owned()];
    }
    let mut files = Vec::new();
    let mut open = vec![at.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() && path.ends_with("tests") => {}
                _ if path.is_dir() => open.push(path),
                Some(ext) if ext == "rs" && !path.ends_with("tests.rs") => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

fn without_tests(text: &str) -> String {
    text.split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default()
        .to_owned()
}
