//! The documentation says what is so: its pipelines load, its shell sessions are run, its links lead somewhere, and
//! what is derived from tables is up to date.

mod cli;
mod page;
mod session;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dsl::diagnostic::Severity;
use page::{Block, Page};

const UPDATE: &str = "UPDATE_BOOK=1 cargo test --test pipe docs:: writes what is so now";

fn updating() -> bool {
    std::env::var_os("UPDATE_BOOK").is_some()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page: of the root, the examples and the book.
fn pages() -> Vec<Page> {
    let mut found = Vec::new();
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        found.push(PathBuf::from(name));
    }
    for folder in ["book/src", "examples"] {
        markdown(Path::new(folder), &mut found);
    }
    found.sort();
    found
        .into_iter()
        .map(|path| Page::read(root(), path))
        .collect()
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            markdown(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
}

/// The files that a page has shown so far, for `include`.
struct Shown(BTreeMap<String, String>);

impl dsl::Files for Shown {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "there is no such file".to_owned())
    }
}

/// A fragment inside of the least that makes it a pipeline.
fn whole(block: &Block) -> String {
    let text = &block.text;
    match block.attribute("fragment") {
        None => text.clone(),
        Some("top") => {
            format!("{text}\nstage fragment {{\n    job fragment {{ run \"true\" }}\n}}\n")
        }
        Some("stage") => format!("stage fragment {{\n{text}\n}}\n"),
        Some("job") => format!(
            "stage fragment {{\n    job fragment {{\n        run \"true\"\n{text}\n    }}\n}}\n"
        ),
        Some(other) => panic!("no fragment is called {other}"),
    }
}

#[test]
fn every_pipeline_in_the_documentation_loads_or_has_the_finding_that_it_shows() {
    let mut seen = 0;
    // The examples of the schema are pieces; dsl/tests/schema.rs puts each into its place.
    let pages = pages()
        .into_iter()
        .filter(|p| !p.path.ends_with("reference/language.md"));
    for page in pages {
        let mut shown = Shown(BTreeMap::new());
        for block in page.blocks.iter().filter(|b| b.language() == "kdl") {
            seen += 1;
            if let Some(name) = block.attribute("file") {
                shown.0.insert(name.to_owned(), block.text.clone());
                if name != "pipeline.kdl" {
                    continue;
                }
            }
            let loaded = dsl::load(&shown, "pipeline.kdl", whole(block));
            let at = page.at(block);
            let found: Vec<&str> = match block.attribute("fail") {
                Some(_) => loaded.diagnostics.iter().map(|d| d.code.id).collect(),
                None => {
                    let errors = loaded
                        .diagnostics
                        .iter()
                        .filter(|d| d.severity() == Severity::Error);
                    errors.map(|d| d.code.id).collect()
                }
            };
            let wanted: Vec<&str> = block.attribute("fail").into_iter().collect();
            let found: Vec<&str> = BTreeSet::from_iter(found).into_iter().collect();
            assert_eq!(found, wanted, "{at}: {:#?}", loaded.diagnostics);
        }
    }
    assert!(seen > 20, "only {seen} pipelines were found");
}

#[test]
fn every_shell_session_in_the_documentation_prints_what_it_shows() {
    let mut wrong = Vec::new();
    for page in pages() {
        let ran = session::run(&page);
        if !ran.wrong.is_empty() && updating() {
            page.replace(root(), &ran.now);
        }
        wrong.extend(ran.wrong);
    }
    assert!(wrong.is_empty(), "\n{}\n{UPDATE}", wrong.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    for page in &pages {
        for (line, link) in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.path.parent().unwrap();
            let target = if file.is_empty() {
                page.path.clone()
            } else {
                page::normal(&folder.join(file))
            };
            let known = pages.iter().find(|p| p.path == target);
            let good = match known {
                Some(target) => anchor.is_empty() || target.anchors().contains(anchor),
                None => anchor.is_empty() && root().join(&target).exists(),
            };
            if !good {
                wrong.push(format!("{}:{line}: {link}", page.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_summary_lists_every_page_of_the_book_once() {
    let pages = pages();
    let book: BTreeSet<PathBuf> = pages
        .iter()
        .filter(|p| p.path.starts_with("book/src"))
        .map(|p| p.path.clone())
        .collect();
    let summary = PathBuf::from("book/src/SUMMARY.md");
    let page = pages.iter().find(|p| p.path == summary).unwrap();
    let listed: Vec<PathBuf> = page
        .links()
        .into_iter()
        .map(|(_, l)| Path::new("book/src").join(l))
        .collect();
    let mut wanted = book;
    wanted.remove(&summary);
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(listed.len(), wanted.len(), "a page is listed twice");
}

#[test]
fn pages_made_from_tables_are_up_to_date() {
    let folder = root().join("book/src/reference");
    let mut stale = Vec::new();
    for (name, text) in [
        ("cli.md", cli::page()),
        ("environment.md", tables::environment()),
        ("language.md", tables::language()),
        ("codes.md", tables::codes()),
        (
            "standard-library.md",
            tables::standard_library(&root().join("stdlib-pipelines")),
        ),
    ] {
        let path = folder.join(name);
        if updating() {
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "stale: {stale:?}; {UPDATE}");
}

/// The first command of the README does the main job on something real, the second one passes the tests.
#[test]
fn the_first_two_commands_of_the_readme_are_what_the_project_promises() {
    let readme = Page::read(root(), PathBuf::from("README.md"));
    let shell = readme.blocks.iter().filter(|b| b.language() == "sh");
    let commands: Vec<&str> = shell.flat_map(|b| b.text.lines()).take(2).collect();
    assert_eq!(
        commands,
        [
            "cargo run --release -- -C examples/quickstart run",
            "tests/all"
        ]
    );
}

#[test]
fn the_promises_name_tests_that_exist() {
    let page = Page::read(root(), PathBuf::from("book/src/design/promises.md"));
    let mut sources = String::new();
    for folder in ["dsl", "engine", "tests"] {
        rust(&root().join(folder), &mut sources);
    }
    let text: String = page.prose.into_iter().map(|(_, l)| l + " ").collect();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|w| w.matches('_').count() > 2)
        .collect();
    let missing: Vec<&&str> = named
        .iter()
        .filter(|n| !sources.contains(&format!("fn {n}(")))
        .collect();
    assert!(named.len() > 20 && missing.is_empty(), "{missing:?}");
}

fn rust(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            rust(&path, text);
        } else if path.extension().is_some_and(|e| e == "rs") {
            *text += &std::fs::read_to_string(path).unwrap();
        }
    }
}

#[test]
fn our_own_pipeline_has_no_finding_and_the_readme_draws_it() {
    let pipe = |args: &[&str]| {
        let out = std::process::Command::new(crate::support::PIPE)
            .current_dir(root())
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    };
    pipe(&["check", "--strict"]);
    pipe(&["fmt", "--check"]);
    pipe(&["graph", "--into", "README.md", "--check"]);
}

#[test]
fn the_page_of_exit_codes_has_every_code() {
    use engine::run::outcome::exit;
    let page = Page::read(root(), PathBuf::from("book/src/concepts/exit-codes.md"));
    let rows = page
        .prose
        .iter()
        .filter_map(|(_, l)| l.strip_prefix("| ")?.split(' ').next());
    let told: Vec<&str> = rows
        .filter(|w| w.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let codes = [
        exit::OK,
        exit::FAILED,
        exit::USAGE,
        exit::INFRASTRUCTURE,
        exit::WAITING,
        exit::REFUSED,
        exit::ROLLED_BACK,
        exit::NEEDS_ATTENTION,
        exit::SIGNAL,
    ];
    assert_eq!(told, codes.map(|c| c.to_string()));
}
