//! The files of a pipeline: those beneath its folder, and those of other repositories, fetched once and kept.
//! Unaware of what is in them; that a fetched text is the right one is for whoever knows its hash.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dsl::{Files, Folder, MAX_FILE, Remote};

use super::git::{Git, GitError};

/// How long a fetch may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where includes come from.
pub struct Includes<'a> {
    folder: Folder,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Includes<'a> {
    /// The includes of the pipeline in this folder.
    pub fn new(folder: &Path, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            folder: Folder(folder.to_owned()),
            env,
        }
    }

    /// The clone that keeps what was fetched from a repository.
    fn clone_of(&self, repository: &str) -> Result<PathBuf, String> {
        let cache = (self.env)("XDG_CACHE_HOME").filter(|d| d.starts_with('/'));
        let home = || (self.env)("HOME").map(|home| format!("{home}/.cache"));
        let cache = cache
            .or_else(home)
            .ok_or("neither XDG_CACHE_HOME nor HOME says where to keep it")?;
        let name = &blake3::hash(repository.as_bytes()).to_hex()[..16];
        Ok(Path::new(&cache).join("pipe/includes").join(name))
    }
}

impl Files for Includes<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        self.folder.read(path)
    }

    fn fetch(&self, remote: &Remote) -> Result<String, String> {
        let clone = self.clone_of(&remote.repository)?;
        std::fs::create_dir_all(&clone).map_err(|e| format!("{}: {e}", clone.display()))?;
        let git = Git::new(&clone, self.env).with_deadline(DEADLINE);
        let say = |e: GitError| format!("git could not fetch it: {e}");
        if !clone.join(".git").exists() {
            git.output(&["init", "--quiet", "."]).map_err(say)?;
        }
        let commit = format!("{}^{{commit}}", remote.commit);
        if git.output(&["cat-file", "-e", &commit]).is_err() {
            let fetch = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--depth=1",
                "--",
                &remote.repository,
                &remote.commit,
            ];
            git.output(&fetch).map_err(say)?;
        }
        let object = format!("{}:{}", remote.commit, remote.path);
        let missing = |_| format!("that commit has no file `{}`", remote.path);
        let size = git.output(&["cat-file", "-s", &object]).map_err(missing)?;
        if size.trim().parse::<u64>().is_ok_and(|size| size > MAX_FILE) {
            return Err("it is larger than 1 MiB".to_owned());
        }
        git.output(&["cat-file", "blob", &object]).map_err(say)
    }
}
