//! Real repositories in temporary directories, with a home and an author of their own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Context, Flags, Git, context};

/// A directory for one test, below a home of its own.
pub(super) struct Place {
    home: tempfile::TempDir,
    root: PathBuf,
}

pub(super) fn path_of() -> String {
    std::env::var("PATH").unwrap()
}

/// Whether the real git succeeds with these arguments.
pub(super) fn real_git<const N: usize>(args: [&str; N]) -> bool {
    let quiet = || Stdio::null();
    let mut git = Command::new("git");
    git.args(args)
        .current_dir("/")
        .stdout(quiet())
        .stderr(quiet());
    git.status().unwrap().success()
}

impl Place {
    /// A directory that is no repository.
    pub(super) fn empty() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("work");
        std::fs::create_dir(&root).unwrap();
        Self { home, root }
    }

    /// A repository whose branch `main` has no commit.
    pub(super) fn unborn() -> Self {
        let place = Self::empty();
        place.run(&["init", "--quiet", "--initial-branch=main", "."]);
        place
    }

    /// A repository with one commit on `main`.
    pub(super) fn repository() -> Self {
        let place = Self::unborn();
        place.commit("README", "first\n\nbody");
        place
    }

    /// A clone of its last commit alone, whose message is `second`.
    pub(super) fn shallow() -> Self {
        let place = Self::repository();
        place.commit("README", "second");
        let from = format!("file://{}", place.root().display());
        place.run(&["clone", "--quiet", "--depth=1", &from, "../clone"]);
        place.at("clone")
    }

    /// The same home, another directory in it.
    pub(super) fn at(self, directory: &str) -> Self {
        let root = self.home.path().join(directory);
        Self { root, ..self }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What the tests' environment says: the real `PATH`, our home, nothing else.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        match name {
            "PATH" => Some(path_of()),
            "HOME" => Some(self.home.path().to_str().unwrap().to_owned()),
            _ => None,
        }
    }

    pub(super) fn git(&self) -> Git {
        Git::new(&self.root, &|name| self.env(name))
    }

    /// Runs git and returns what it printed, without the end of line.
    pub(super) fn run(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(args)
            .current_dir(&self.root)
            .env_clear()
            .env("GIT_CONFIG_NOSYSTEM", "1");
        git.env("PATH", path_of()).env("HOME", self.home.path());
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ann Author");
            git.env(format!("GIT_{who}_EMAIL"), "ann@example.com");
            git.env(format!("GIT_{who}_DATE"), "2026-01-02T03:04:05Z");
        }
        let output = git.output().unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    pub(super) fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Writes a shell script that can be run.
    pub(super) fn program(&self, path: &str, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let file = self.write(path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        file
    }

    /// Commits one file, whose content is the message, and returns the id.
    pub(super) fn commit(&self, path: &str, message: &str) -> String {
        self.write(path, message);
        self.run(&["add", "--", path]);
        self.run(&["commit", "--quiet", "--message", message]);
        self.head()
    }

    pub(super) fn head(&self) -> String {
        self.run(&["rev-parse", "HEAD"])
    }

    /// The context here, in a CI that sets `variables`.
    pub(super) fn context(
        &self,
        variables: &[(&str, &str)],
        flags: &Flags,
    ) -> (Context, Vec<String>) {
        let env = |name: &str| {
            let set = variables.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| (*value).to_owned())
                .or_else(|| self.env(name))
        };
        context(&self.root, &env, flags, true).unwrap()
    }
}
