//! The peers: which program each is, how it is called, what it can do. Does not know what they are given.

use std::path::{Path, PathBuf};

use crate::files;
use crate::jobs::Job;
use crate::settings::Settings;

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    Graphs,
    Restore,
    Hashing,
}

/// A program that runs jobs.
pub struct Peer {
    pub name: &'static str,
    /// The name of its program.
    file: &'static str,
    /// Where it takes part.
    pub parts: &'static [Part],
    /// Whether it knows what is up to date.
    pub checks: bool,
    /// Whether it brings back outputs that were removed.
    pub restores: bool,
    /// With what it is called, for so many jobs at once.
    pub args: fn(usize) -> Vec<String>,
    /// Writes its own file for these jobs.
    pub write: fn(&Path, &[Job]),
}

use Part::{Graphs, Hashing, Restore};

const PIPE: Peer = Peer {
    name: "pipe",
    file: "pipe",
    parts: &[Graphs, Restore, Hashing],
    checks: true,
    restores: true,
    args: |workers| words(&["run", "--jobs"], &[&workers.to_string()]),
    write: files::pipe,
};

/// Every peer.
const PEERS: [Peer; 9] = [
    PIPE,
    Peer {
        name: "pipe-sh",
        parts: &[Graphs],
        write: files::pipe_by_shell,
        ..PIPE
    },
    Peer {
        name: "ninja",
        file: "ninja",
        parts: &[Graphs],
        checks: true,
        restores: false,
        args: |workers| words(&["-j"], &[&workers.to_string()]),
        write: files::ninja,
    },
    Peer {
        name: "make",
        file: "make",
        parts: &[Graphs],
        checks: true,
        restores: false,
        args: |workers| words(&[], &[&format!("-j{workers}")]),
        write: files::make,
    },
    Peer {
        name: "go-task",
        file: "task",
        parts: &[Graphs, Hashing],
        checks: true,
        restores: false,
        args: |workers| words(&["-C"], &[&workers.to_string()]),
        write: files::task,
    },
    Peer {
        name: "just",
        file: "just",
        parts: &[Graphs],
        checks: false,
        restores: false,
        args: |workers| words(&["--jobs"], &[&workers.to_string()]),
        write: files::just,
    },
    Peer {
        name: "turbo",
        file: "turbo",
        parts: &[Graphs, Restore, Hashing],
        checks: true,
        restores: true,
        args: |workers| {
            let calm = [
                "run",
                "all",
                "--cache=local:rw",
                "--output-logs=errors-only",
            ];
            words(&calm, &[&format!("--concurrency={workers}")])
        },
        write: files::turbo,
    },
    Peer {
        name: "moon",
        file: "moon",
        parts: &[Restore, Hashing],
        checks: true,
        restores: true,
        args: |_| words(&["run", "root:j0"], &[]),
        write: files::moon,
    },
    Peer {
        name: "nx",
        file: "nx",
        parts: &[Restore, Hashing],
        checks: true,
        restores: true,
        args: |_| words(&["run", "bench:j0"], &[]),
        write: files::nx,
    },
];

fn words(first: &[&str], rest: &[&str]) -> Vec<String> {
    first.iter().chain(rest).map(ToString::to_string).collect()
}

/// Those that were asked for and are installed; the others are named loudly.
pub fn installed(settings: &Settings) -> Vec<Peer> {
    let wanted = PEERS.into_iter().filter(|p| settings.peer(p.name));
    wanted
        .filter(|peer| {
            let found = peer.program().is_some();
            if !found {
                println!(
                    "!! {} IS LEFT OUT: `{}` is not installed (benches/peers-install.sh)",
                    peer.name, peer.file
                );
            }
            found
        })
        .collect()
}

impl Peer {
    /// Where its program is.
    pub fn program(&self) -> Option<PathBuf> {
        if self.file == "pipe" {
            return Some(env!("CARGO_BIN_EXE_pipe").into());
        }
        let search = search_path();
        std::env::split_paths(&search)
            .map(|folder| folder.join(self.file))
            .find(|file| file.is_file())
    }
}

/// Where programs are looked for: first among what `peers-install.sh` installed.
pub fn search_path() -> std::ffi::OsString {
    let system = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&system).collect::<Vec<_>>();
    std::env::join_paths(std::iter::once(installed_to().join("bin")).chain(folders))
        .expect("no folder of PATH has a colon")
}

/// Where `peers-install.sh` puts what it installs.
pub fn installed_to() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("a folder in target").join("peers")
}
