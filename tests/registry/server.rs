//! A real registry of a test's own. Knows nothing of pipe.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{has_program, skip};

/// A password whose base64 has `+` and `/` in it, and the line of `htpasswd -nbB -C 4` for it.
pub const PASSWORD: &str = "~~~???>>>~~~???";
const LINE: &str = "ci:$2b$04$PxKth3pJQX2T53UOAHbHnuaQR4fygGBM7vwF9MBvJ1b0HeufxKX4.";

/// Debian's `docker-registry` on a port of its own. It ends with whoever started it.
pub struct Registry {
    child: Child,
    folder: tempfile::TempDir,
    /// Its port on this machine.
    pub port: u16,
}

/// A registry; `None`, said loudly, where it is not installed.
#[track_caller]
pub fn registry() -> Option<Registry> {
    start("")
}

/// One that wants a name and a password.
#[track_caller]
pub fn locked() -> Option<Registry> {
    start("auth: { htpasswd: { realm: test, path: htpasswd } }\n")
}

#[track_caller]
fn start(more: &str) -> Option<Registry> {
    if !has_program("docker-registry") {
        skip("there is no docker-registry; `tests/setup-containers.sh` installs one");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: data }}, delete: {{ enabled: true }} }}\nhttp: {{ addr: \"127.0.0.1:0\" }}\n{more}"
    );
    std::fs::write(folder.path().join("config.yml"), config).unwrap();
    std::fs::write(folder.path().join("htpasswd"), format!("{LINE}\n")).unwrap();
    // It has no end of its own: the shell ends it when nobody holds its input any more.
    let mut child = Command::new("sh")
        .args([
            "-c",
            "docker-registry serve config.yml & read -r _; kill $!",
        ])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let port = loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the registry starts");
        if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            break digits.parse().unwrap();
        }
    };
    // Whoever writes to a log that nobody reads waits.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    Some(Registry {
        child,
        folder,
        port,
    })
}

impl Registry {
    /// Its host.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many bytes of contents it has, in whatever repository.
    pub fn blobs(&self) -> usize {
        let folder = self.folder.path().join("data/docker/registry/v2/blobs");
        walk(&folder)
    }

    /// Takes a repository away behind its back.
    pub fn forgets(&self, repository: &str) {
        let all = "data/docker/registry/v2/repositories";
        std::fs::remove_dir_all(self.folder.path().join(all).join(repository)).unwrap();
    }
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| match e.path() {
            path if path.is_dir() => walk(&path),
            path => usize::from(path.ends_with("data")),
        })
        .sum()
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
