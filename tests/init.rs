//! `pipe init`: what it writes for which project, and that what it writes works.

use crate::support::{Project, has_program, skip};

/// The projects that are known, by a file that makes them one.
fn projects() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let cargo = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let scripts =
        r#"{"name":"@acme/shop","scripts":{"test":"node --test","lint":"eslint .","build":"tsc"}}"#;
    vec![
        ("rust", vec![("Cargo.toml", cargo)]),
        (
            "a rust workspace",
            vec![("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n")],
        ),
        (
            "npm",
            vec![("package.json", scripts), ("package-lock.json", "{}")],
        ),
        (
            "pnpm",
            vec![("package.json", scripts), ("pnpm-lock.yaml", "")],
        ),
        (
            "yarn",
            vec![
                ("package.json", scripts),
                ("yarn.lock", ""),
                (".yarnrc.yml", ""),
            ],
        ),
        (
            "fresh from npm init",
            vec![(
                "package.json",
                r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#,
            )],
        ),
        ("a broken package.json", vec![("package.json", "{")]),
        (
            "uv",
            vec![
                (
                    "pyproject.toml",
                    "[project]\nname = \"shop\"\n[dependency-groups]\ndev = [\"pytest\", \"ruff\"]\n",
                ),
                ("uv.lock", ""),
            ],
        ),
        (
            "poetry",
            vec![(
                "pyproject.toml",
                "[tool.poetry]\nname = \"shop\"\n[tool.poetry.group.dev.dependencies]\npytest = \"*\"\n",
            )],
        ),
        (
            "pip",
            vec![
                (
                    "pyproject.toml",
                    "[project]\nname = \"shop\"\ndependencies = [\"flask\"]\n",
                ),
                ("requirements.txt", "flask\npytest\n"),
            ],
        ),
        (
            "python without dependencies",
            vec![
                ("pyproject.toml", "[project]\nname = 'shop'\n"),
                ("tests/test_a.py", ""),
            ],
        ),
        (
            "go",
            vec![("go.mod", "module example.com/acme/shop\n\ngo 1.25\n")],
        ),
        (
            "make",
            vec![(
                "Makefile",
                "test: build\n\ttrue\nbuild:\n\ttrue\nlinting:\n\ttrue\n",
            )],
        ),
        (
            "make without a known target",
            vec![("Makefile", "all:\n\ttrue\n")],
        ),
        ("nothing", vec![]),
    ]
}

fn project(files: &[(&str, &str)]) -> Project {
    files
        .iter()
        .fold(Project::new(), |p, (name, text)| p.file(name, text))
}

#[test]
fn every_kind_of_project_gets_its_jobs() {
    let all: Vec<String> = projects()
        .iter()
        .map(|(kind, files)| {
            let written = project(files).pipe(&["init", "--stdout"]).exits(0).stdout;
            let own: Vec<&str> = written
                .lines()
                .filter(|l| !l.is_empty() && !l.starts_with("//"))
                .collect();
            format!("== {kind}\n{}\n", own.join("\n"))
        })
        .collect();
    insta::assert_snapshot!(all.concat(), @r#"
    == rust
    pipeline shop
    stage check {
        job format { inputs "." "!target"; key (run)"rustc --version"; run "cargo fmt --check" }
        job lint { inputs "." "!target"; key (run)"rustc --version"; run "cargo clippy --all-targets -- -D warnings" }
    }
    stage test {
        job test { inputs "." "!target"; key (run)"rustc --version"; run "cargo test" }
    }
    == a rust workspace
    pipeline app
    stage check {
        job format { inputs "." "!target"; key (run)"rustc --version"; run "cargo fmt --all --check" }
        job lint { inputs "." "!target"; key (run)"rustc --version"; run "cargo clippy --workspace --all-targets -- -D warnings" }
    }
    stage test {
        job test { inputs "." "!target"; key (run)"rustc --version"; run "cargo test --workspace" }
    }
    == npm
    pipeline shop
    stage install {
        job install { run "npm ci" }
    }
    stage check {
        job lint { run "npm run lint" }
        job test { run "npm run test" }
    }
    stage build {
        job build { run "npm run build" }
    }
    == pnpm
    pipeline shop
    stage install {
        job install { run "pnpm install --frozen-lockfile" }
    }
    stage check {
        job lint { run "pnpm run lint" }
        job test { run "pnpm run test" }
    }
    stage build {
        job build { run "pnpm run build" }
    }
    == yarn
    pipeline shop
    stage install {
        job install { run "yarn install --immutable" }
    }
    stage check {
        job lint { run "yarn run lint" }
        job test { run "yarn run test" }
    }
    stage build {
        job build { run "yarn run build" }
    }
    == fresh from npm init
    pipeline app
    stage check {
        job syntax { run "find . -name node_modules -prune -o -name '*.js' -print0 | xargs -0 -r -n 1 node --check" }
    }
    == a broken package.json
    pipeline app
    stage check {
        job syntax { run "find . -name node_modules -prune -o -name '*.js' -print0 | xargs -0 -r -n 1 node --check" }
    }
    == uv
    pipeline shop
    stage install {
        job install { run "uv sync --locked" }
    }
    stage check {
        job lint { run "uv run ruff check" }
        job test { run "uv run pytest" }
    }
    == poetry
    pipeline app
    stage install {
        job install { run "poetry install" }
    }
    stage check {
        job test { run "poetry run pytest" }
    }
    == pip
    pipeline shop
    stage install {
        job install {
            run "python3 -m venv .venv"
            run ".venv/bin/pip install --quiet -r requirements.txt pytest"
        }
    }
    stage check {
        job test { run ".venv/bin/pytest" }
    }
    == python without dependencies
    pipeline shop
    stage check {
        job test { run "python3 -m unittest discover -s tests" }
    }
    == go
    pipeline shop
    stage check {
        job vet { inputs "."; key (run)"go version"; run "go vet ./..." }
        job test { inputs "."; key (run)"go version"; run "go test ./..." }
    }
    stage build {
        job build { inputs "."; key (run)"go version"; run "go build ./..." }
    }
    == make
    pipeline app
    stage build {
        job build { run "make build" }
    }
    stage check {
        job test { run "make test" }
    }
    == make without a known target
    pipeline app
    stage build {
        job make { run "make" }
    }
    == nothing
    pipeline app
    stage check {
        job hello { run "echo 'write here what checks this project'" }
    }
    "#);
}

#[test]
fn what_it_writes_is_short_formatted_and_has_no_finding() {
    for (kind, files) in projects() {
        let project = project(&files);
        let _ = project.pipe(&["init"]).exits(0);
        let text = project.read("pipeline.kdl");
        assert!(text.lines().count() <= 20, "{kind}: {text}");
        let _ = project.pipe(&["fmt", "--check"]).exits(0);
        let checked = project.pipe(&["check", "--strict"]).exits(0);
        assert!(checked.stdout.starts_with(" ok "), "{kind}: {checked:?}");
    }
}

#[test]
fn a_fresh_rust_project_is_green_at_once() {
    let project = Project::new()
        .file(
            "Cargo.toml",
            "[package]\nname = \"fresh\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        )
        .file(
            "src/main.rs",
            "fn main() {\n    println!(\"Hello, world!\");\n}\n",
        );
    insta::assert_snapshot!(project.pipe(&["init"]).whole(), @r#"
    exit 0
    --- stdout
     wrote  pipeline.kdl  a Rust project: Cargo.toml

       // What has to hold before a change lands; the same on a laptop and in any CI.
       // `pipe check` finds mistakes in it, `pipe graph` draws it, `pipe explain job` explains a word.
       pipeline fresh

       // Stages run one after the other; the jobs of a stage run side by side.
       // A job runs again only when one of its inputs has changed, or what its key prints.
       stage check {
           job format { inputs "." "!target"; key (run)"rustc --version"; run "cargo fmt --check" }
           job lint { inputs "." "!target"; key (run)"rustc --version"; run "cargo clippy --all-targets -- -D warnings" }
       }
       stage test {
           job test { inputs "." "!target"; key (run)"rustc --version"; run "cargo test" }
       }

     Next:
       pipe graph  draw it
       pipe run    run it; the record goes to .pipe/, which git ignores
    "#);
    insta::assert_snapshot!(project.pipe(&["plan"]).whole(), @"
    exit 0
    --- stdout
     Plan for manual   3 steps to run
     check
       + format  cargo fmt --check
       + lint    cargo clippy --all-targets -- -D warnings
     test
       + test    cargo test
     Nothing was changed. Run it: pipe run
    ");
    let run = project.pipe(&["run"]).exits(0);
    let verdict = run.stdout.lines().last().unwrap_or_default();
    assert!(
        verdict.starts_with(" ok  3 steps in [t] · 3 passed"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_it_writes_for_the_programs_that_are_here_runs() {
    let test =
        "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        pass\n";
    let npm = r#"{"name":"shop","scripts":{"test":"node --check a.js"}}"#;
    let cases: [(&str, Vec<(&str, &str)>); 5] = [
        (
            "python3",
            vec![
                ("pyproject.toml", "[project]\nname = 'shop'\n"),
                ("tests/test_a.py", test),
            ],
        ),
        (
            "python3",
            vec![
                ("pyproject.toml", "[project]\nname = 'shop'\n"),
                ("shop.py", ""),
            ],
        ),
        (
            "node",
            vec![
                ("package.json", "{}"),
                ("a.js", "1"),
                ("node_modules/b.js", "not javascript"),
            ],
        ),
        ("npm", vec![("package.json", npm), ("a.js", "1")]),
        ("make", vec![("Makefile", "test:\n\ttrue\n")]),
    ];
    for (program, files) in cases {
        if !has_program(program) {
            skip(&format!("{program} is not here"));
            continue;
        }
        let project = project(&files);
        let _ = project.pipe(&["init"]).exits(0);
        let _ = project.pipe(&["run"]).exits(0);
    }
    let nothing = Project::new();
    let _ = nothing.pipe(&["init"]).exits(0);
    let _ = nothing.pipe(&["run"]).exits(0);
}

#[test]
fn a_file_that_is_there_is_not_overwritten_unless_that_is_asked_for() {
    let project = Project::with("mine").file("Makefile", "test:\n\ttrue\n");
    insta::assert_snapshot!(project.pipe(&["init"]).whole(), @"
    exit 5
    --- stderr
    error: pipeline.kdl is there already; nothing was overwritten
    hint: `--force` overwrites it, `--stdout` shows what would be written
    ");
    assert_eq!(project.read("pipeline.kdl"), "mine");
    let _ = project.pipe(&["init", "--force"]).exits(0);
    assert_eq!(
        project.read("pipeline.kdl"),
        project.pipe(&["init", "--stdout"]).stdout
    );
}

#[test]
fn a_link_is_not_written_through() {
    let project = Project::new();
    std::os::unix::fs::symlink(
        project.home().join("elsewhere"),
        project.path("pipeline.kdl"),
    )
    .unwrap();
    let _ = project.pipe(&["init"]).exits(5);
    assert!(!project.home().join("elsewhere").exists());
}

#[test]
fn a_workflow_is_added_to_a_pipeline_that_is_there() {
    let project = Project::with("pipeline mine");
    insta::assert_snapshot!(project.pipe(&["init", "--ci", "github"]).whole(), @r#"
    exit 0
    --- stdout
     kept   pipeline.kdl
     wrote  .github/workflows/pipe.yml  runs it in CI

       name: pipe
       on: [push, pull_request]
       permissions:
         contents: read
       jobs:
         pipe:
           runs-on: ubuntu-latest
           steps:
             - uses: actions/checkout@v4
               with:
                 fetch-depth: 0 # the whole history: `when paths=` compares commits
             - run: cargo install --locked --git "$PIPE_GIT" pipe
               env:
                 PIPE_GIT: ${{ vars.PIPE_GIT }}
             - run: pipe run

     pipe has no release yet: set the variable PIPE_GIT of the CI to the address of its repository.
     Next:
       pipe graph  draw it
       pipe run    run it; the record goes to .pipe/, which git ignores
    "#);
    assert_eq!(project.read("pipeline.kdl"), "pipeline mine");
    let _ = project.pipe(&["init", "--ci", "github"]).exits(5);
    insta::assert_snapshot!(project.pipe(&["init", "--ci", "gitlab", "--stdout"]).whole(), @r#"
    exit 0
    --- stdout
    pipe:
      image: rust:1.95
      variables:
        GIT_DEPTH: "0" # the whole history: `when paths=` compares commits
      rules:
        - if: $CI_PIPELINE_SOURCE == "merge_request_event"
        - if: $CI_COMMIT_TAG
        - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
          when: never
        - if: $CI_COMMIT_BRANCH
      script:
        - cargo install --locked --git "$PIPE_GIT" pipe
        - pipe run
    "#);
    assert!(!project.path(".gitlab-ci.yml").exists());
}

#[test]
fn several_manifests_are_named() {
    let project = Project::new()
        .file("Cargo.toml", "[package]\nname = \"1st\"\n")
        .file("package.json", "{}")
        .file("pyproject.toml", "")
        .file("requirements.txt", "");
    let said = project.pipe(&["init"]).exits(0).stdout;
    assert!(
        said.contains(" There is also package.json, pyproject.toml, requirements.txt: add jobs"),
        "{said}"
    );
    assert!(said.contains("\n   pipeline \"1st\"\n"), "{said}");
}

#[test]
fn names_that_kdl_would_misread_are_quoted_and_odd_ones_made_fit() {
    for (name, shown) in [
        ("true", "\"true\""),
        ("a b/c", "a-b-c"),
        ("ünï", "n"),
        ("---", "app"),
        ("it's", "it-s"),
    ] {
        let manifest = format!("[package]\nname = \"{name}\"\n");
        let project = Project::new().file("Cargo.toml", &manifest);
        let written = project.pipe(&["init", "--stdout"]).exits(0).stdout;
        assert!(
            written.contains(&format!("\npipeline {shown}\n")),
            "{name}: {written}"
        );
    }
}

#[test]
fn other_folders_and_file_names_can_be_given() {
    let project = Project::new().file("sub/Makefile", "test:\n\ttrue\n");
    let _ = project
        .pipe(&["init", "-C", "sub", "-f", "ci/main.kdl"])
        .exits(0);
    assert_eq!(
        project.read("sub/ci/main.kdl"),
        project.pipe(&["init", "-C", "sub", "--stdout"]).stdout
    );
    insta::assert_snapshot!(project.pipe(&["init", "-C", "none"]).whole(), @"
    exit 2
    --- stderr
    error: there is no folder none
    ");
}
