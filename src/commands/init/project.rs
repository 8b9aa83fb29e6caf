//! What kind of project a folder holds, by the files in it, and the jobs that check such a project. Runs nothing.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Manifests larger than this are not looked into.
const LARGEST: u64 = 1 << 20;

/// What a folder holds.
pub struct Found {
    /// In words, with the file that says so.
    pub what: String,
    /// Manifests of other kinds that are there too.
    pub others: Vec<&'static str>,
    name: String,
    stages: Vec<Stage>,
    decides: Decides,
}

struct Stage {
    name: &'static str,
    jobs: Vec<Job>,
}

/// What decides the result of every job, where that is plain to see: a job is run again only when it has changed.
type Decides = Option<&'static str>;

/// A job's name and its commands.
type Job = (String, Vec<String>);

type Kind = (
    &'static str,
    &'static str,
    fn(&Folder<'_>, &str) -> Vec<Stage>,
    Decides,
);

const OF_RUST: Decides = Some("inputs \".\" \"!target\"; key (run)\"rustc --version\"; ");
const OF_GO: Decides = Some("inputs \".\"; key (run)\"go version\"; ");

/// The kinds, by manifest. The first that is there decides.
const KINDS: &[Kind] = &[
    ("Cargo.toml", "a Rust project", rust, OF_RUST),
    ("package.json", "a Node.js project", node, None),
    ("pyproject.toml", "a Python project", python, None),
    ("requirements.txt", "a Python project", python, None),
    ("go.mod", "a Go module", go, OF_GO),
    ("Makefile", "a project with a Makefile", make, None),
];

struct Folder<'a>(&'a Path);

/// Looks at the folder.
pub fn of(root: &Path) -> Found {
    let folder = Folder(root);
    let there: Vec<&Kind> = KINDS.iter().filter(|(file, ..)| folder.has(file)).collect();
    let directory = root
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let Some((file, kind, stages, decides)) = there.first() else {
        let hello = job("hello", &["echo 'write here what checks this project'"]);
        return Found {
            what: "no project of a known kind: replace the job".to_owned(),
            others: Vec::new(),
            decides: None,
            name: word(&directory),
            stages: vec![Stage {
                name: "check",
                jobs: vec![hello],
            }],
        };
    };
    let text = folder.text(file);
    let mut others: Vec<&str> = there[1..]
        .iter()
        .filter(|(_, k, ..)| k != kind)
        .map(|(file, ..)| *file)
        .collect();
    others.retain(|o| *o != "Makefile");
    Found {
        what: format!("{kind}: {file}"),
        others,
        decides: *decides,
        name: word(&name(file, &text).unwrap_or(directory)),
        stages: stages(&folder, &text),
    }
}

impl Found {
    /// The text of a pipeline for it.
    pub fn pipeline(&self) -> String {
        let mut out = format!(
            "// What has to hold before a change lands; the same on a laptop and in any CI.\n\
             // `pipe check` finds mistakes in it, `pipe graph` draws it, `pipe explain job` explains a word.\n\
             pipeline {}\n\n\
             // Stages run one after the other; the jobs of a stage run side by side.\n",
            self.name
        );
        let decides = self.decides.unwrap_or_default();
        if self.decides.is_some() {
            out.push_str("// A job runs again only when one of its inputs has changed, or what its key prints.\n");
        }
        for stage in &self.stages {
            let _ = writeln!(out, "stage {} {{", stage.name);
            for (name, runs) in &stage.jobs {
                let runs: Vec<String> = runs.iter().map(|r| format!("run {}", quoted(r))).collect();
                match runs.as_slice() {
                    [run] => {
                        let _ = writeln!(out, "    job {name} {{ {decides}{run} }}");
                    }
                    runs => {
                        let _ = writeln!(
                            out,
                            "    job {name} {{\n        {}\n    }}",
                            runs.join("\n        ")
                        );
                    }
                }
            }
            out.push_str("}\n");
        }
        out
    }
}

impl Folder<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// The text of a file, as far as it is one.
    fn text(&self, name: &str) -> String {
        let path = self.0.join(name);
        let mut bytes = Vec::new();
        if path.is_file()
            && let Ok(file) = File::open(path)
        {
            // What cannot be read says nothing about the project.
            let _ = file.take(LARGEST).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn job(name: &str, runs: &[&str]) -> Job {
    (
        name.to_owned(),
        runs.iter().map(|r| (*r).to_owned()).collect(),
    )
}

fn rust(_: &Folder<'_>, manifest: &str) -> Vec<Stage> {
    let workspace = manifest.lines().any(|l| l.trim() == "[workspace]");
    let (format, all) = if workspace {
        ("--all ", "--workspace ")
    } else {
        ("", "")
    };
    let test = if workspace {
        "cargo test --workspace"
    } else {
        "cargo test"
    };
    let lint = format!("cargo clippy {all}--all-targets -- -D warnings");
    vec![
        Stage {
            name: "check",
            jobs: vec![
                job("format", &[&format!("cargo fmt {format}--check")]),
                job("lint", &[&lint]),
            ],
        },
        Stage {
            name: "test",
            jobs: vec![job("test", &[test])],
        },
    ]
}

/// The scripts that check something, in the order in which they are listed.
const SCRIPTS: &[&str] = &["lint", "typecheck", "type-check", "check", "test"];
/// What `npm init` writes for want of a test.
const NO_TEST: &str = "no test specified";

fn node(folder: &Folder<'_>, manifest: &str) -> Vec<Stage> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
    let locks = [
        ("pnpm-lock.yaml", "pnpm", "pnpm install --frozen-lockfile"),
        ("yarn.lock", "yarn", "yarn install --frozen-lockfile"),
        ("bun.lock", "bun", "bun install --frozen-lockfile"),
        ("package-lock.json", "npm", "npm ci"),
    ];
    let lock = locks.iter().find(|(file, ..)| folder.has(file));
    let wants = ["dependencies", "devDependencies"]
        .iter()
        .any(|k| manifest.get(k).is_some());
    let (manager, install) = match lock {
        Some((_, "yarn", _)) if folder.has(".yarnrc.yml") => {
            ("yarn", Some("yarn install --immutable"))
        }
        Some((_, manager, install)) => (*manager, Some(*install)),
        None => ("npm", wants.then_some("npm install")),
    };
    let script = |name: &&&str| {
        let text = manifest
            .get("scripts")
            .and_then(|s| s.get(**name))
            .and_then(|s| s.as_str());
        text.is_some_and(|t| !t.contains(NO_TEST))
    };
    let run = |name: &&str| job(name, &[&format!("{manager} run {name}")]);
    let mut checks: Vec<_> = SCRIPTS.iter().filter(script).map(run).collect();
    let build: Vec<_> = ["build"].iter().filter(script).map(run).collect();
    if checks.is_empty() && build.is_empty() {
        checks.push(job("syntax", &["find . -name node_modules -prune -o -name '*.js' -print0 | xargs -0 -r -n 1 node --check"]));
    }
    let install = install
        .map(|command| job("install", &[command]))
        .into_iter()
        .collect();
    stages(vec![
        ("install", install),
        ("check", checks),
        ("build", build),
    ])
}

fn python(folder: &Folder<'_>, manifest: &str) -> Vec<Stage> {
    let requirements = folder.has("requirements.txt");
    let all = format!("{manifest}\n{}", folder.text("requirements.txt"));
    let has = |tool: &str| all.contains(tool);
    let tools: Vec<&str> = ["ruff", "mypy", "pytest"]
        .into_iter()
        .filter(|t| has(t))
        .collect();
    let (prefix, install): (&str, Vec<String>) = if folder.has("uv.lock") {
        ("uv run ", vec!["uv sync --locked".into()])
    } else if has("[tool.uv") {
        ("uv run ", vec!["uv sync".into()])
    } else if folder.has("poetry.lock") || has("[tool.poetry") {
        ("poetry run ", vec!["poetry install".into()])
    } else if requirements || !tools.is_empty() || has("dependencies") {
        let mut what = if requirements {
            " -r requirements.txt".to_owned()
        } else {
            " -e .".to_owned()
        };
        tools.iter().for_each(|t| what += &format!(" {t}"));
        (
            ".venv/bin/",
            vec![
                "python3 -m venv .venv".into(),
                format!(".venv/bin/pip install --quiet{what}"),
            ],
        )
    } else {
        ("", Vec::new())
    };
    let python = if prefix.is_empty() {
        "python3"
    } else {
        "python"
    };
    let mut checks = Vec::new();
    for tool in tools {
        match tool {
            "ruff" => checks.push(job("lint", &[&format!("{prefix}ruff check")])),
            "mypy" => checks.push(job("types", &[&format!("{prefix}mypy .")])),
            _ => checks.push(job("test", &[&format!("{prefix}pytest")])),
        }
    }
    if !has("pytest") && folder.has("tests") {
        checks.push(job(
            "test",
            &[&format!("{prefix}{python} -m unittest discover -s tests")],
        ));
    }
    if checks.is_empty() {
        checks.push(job(
            "syntax",
            &[&format!("{prefix}{python} -m compileall -q -x '/[.]' .")],
        ));
    }
    let install = if install.is_empty() {
        Vec::new()
    } else {
        vec![("install".to_owned(), install)]
    };
    stages(vec![("install", install), ("check", checks)])
}

fn go(_: &Folder<'_>, _: &str) -> Vec<Stage> {
    stages(vec![
        (
            "check",
            vec![
                job("vet", &["go vet ./..."]),
                job("test", &["go test ./..."]),
            ],
        ),
        ("build", vec![job("build", &["go build ./..."])]),
    ])
}

fn make(_: &Folder<'_>, makefile: &str) -> Vec<Stage> {
    let has = |target: &&str| {
        makefile.lines().any(|l| {
            l.strip_prefix(*target)
                .is_some_and(|r| r.trim_start().starts_with(':'))
        })
    };
    let run = |target: &str| job(target, &[&format!("make {target}")]);
    let checks: Vec<_> = ["lint", "check", "test"]
        .into_iter()
        .filter(has)
        .map(run)
        .collect();
    let mut build: Vec<_> = ["build"].into_iter().filter(has).map(run).collect();
    if checks.is_empty() && build.is_empty() {
        build.push(job("make", &["make"]));
    }
    stages(vec![("build", build), ("check", checks)])
}

fn stages(all: Vec<(&'static str, Vec<Job>)>) -> Vec<Stage> {
    let some = all.into_iter().filter(|(_, jobs)| !jobs.is_empty());
    some.map(|(name, jobs)| Stage { name, jobs }).collect()
}

/// The project's own name: of the package, the project, the module.
fn name(file: &str, text: &str) -> Option<String> {
    let last = |path: &str| path.rsplit('/').next().map(str::to_owned);
    match file {
        "Cargo.toml" => toml_name(text, "[package]"),
        "pyproject.toml" => toml_name(text, "[project]"),
        "package.json" => last(
            serde_json::from_str::<serde_json::Value>(text)
                .ok()?
                .get("name")?
                .as_str()?,
        ),
        "go.mod" => last(text.lines().find_map(|l| l.strip_prefix("module "))?.trim()),
        _ => None,
    }
    .filter(|n| !n.is_empty())
}

/// `name = "…"` in a section. Enough for every manifest that a tool has written.
fn toml_name(text: &str, section: &str) -> Option<String> {
    let lines = text
        .lines()
        .map(str::trim)
        .skip_while(|l| *l != section)
        .skip(1);
    let own = lines.take_while(|l| !l.starts_with('['));
    own.filter_map(|l| l.split_once('='))
        .find(|(k, _)| k.trim() == "name")
        .and_then(|(_, v)| {
            let v = v.trim();
            let quote = v.chars().next().filter(|q| matches!(q, '"' | '\''))?;
            v[1..].split(quote).next().map(str::to_owned)
        })
}

/// A name of the language: letters, digits, `-`, `_`; in quotes where KDL would take it for something else.
fn word(name: &str) -> String {
    let fit = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '-'
        }
    };
    let word: String = name.chars().take(60).map(fit).collect();
    let word = word.trim_matches('-');
    match word {
        "" => "app".to_owned(),
        "true" | "false" | "null" | "inf" | "nan" => format!("\"{word}\""),
        word if word.starts_with(|c: char| c.is_ascii_alphabetic()) => word.to_owned(),
        word => format!("\"{word}\""),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
