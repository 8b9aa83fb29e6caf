//! The file with which a CI runs the pipeline. The CI gives the machine and the event; the rest is the pipeline's.

use crate::args::CiFile;

/// Where the CI looks for it.
pub fn path(ci: CiFile) -> &'static str {
    match ci {
        CiFile::Github => ".github/workflows/pipe.yml",
        CiFile::Gitlab => ".gitlab-ci.yml",
    }
}

/// The file.
pub fn text(ci: CiFile) -> &'static str {
    match ci {
        CiFile::Github => GITHUB,
        CiFile::Gitlab => GITLAB,
    }
}

const GITHUB: &str = r#"name: pipe
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
"#;

const GITLAB: &str = r#"pipe:
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
"#;
