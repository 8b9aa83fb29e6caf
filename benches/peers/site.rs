//! The folder in which all peers work in turn: a git repository with the inputs. Does not know the peers' files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::jobs::RAN;
use crate::peer::{Peer, search_path};

/// What is never committed: outputs, and what the peers keep and write.
const IGNORED: &str = "/out/\n/ran\n/.pipe/\n/.cache/\n/.turbo/\n/.moon/cache/\n/.nx/\n/.task/\n/.ninja_*\n/node_modules\n";

/// A repository with inputs.
///
/// What was made in it is set aside and deleted at the very end: ext4 looks for a free inode past all that were freed in
/// the last minutes, so that a round would pay for what the ones before it left. Nobody's first run does.
pub struct Site {
    pub folder: PathBuf,
    aside: PathBuf,
    /// What is there before anything is made.
    inputs: BTreeSet<OsString>,
    is_large: bool,
    home: PathBuf,
    log: PathBuf,
}

impl Site {
    /// A new repository; `fill` makes its inputs.
    pub fn new(under: &Path, name: &str, fill: impl FnOnce(&Path)) -> Self {
        let mut site = Self {
            folder: under.join(name),
            aside: under.join("aside"),
            inputs: BTreeSet::new(),
            is_large: false,
            home: under.join("home"),
            log: under.join("log"),
        };
        fs::create_dir_all(&site.folder).expect("a folder is made");
        fs::create_dir_all(&site.home).expect("a folder is made");
        fs::write(site.folder.join(".gitignore"), IGNORED).expect("a file is written");
        fill(&site.folder);
        site.git(&["init", "--quiet"]);
        site.git(&["add", "--all"]);
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
        site.git(&[&who[..], &["commit", "--quiet", "--message", "inputs"]].concat());
        site.inputs = site.names().collect();
        site
    }

    /// What was made is deleted at once: there would be no room for it.
    pub fn large(self) -> Self {
        Self {
            is_large: true,
            ..self
        }
    }

    /// Ends the work in this folder; `under` is deleted when all have ended.
    pub fn close(self) {
        self.set_aside(&self.folder);
    }

    fn names(&self) -> impl Iterator<Item = OsString> + use<> {
        let entries = fs::read_dir(&self.folder).expect("a folder is read");
        entries.map(|entry| entry.expect("a folder is read").file_name())
    }

    fn set_aside(&self, path: &Path) {
        if self.is_large {
            fs::remove_dir_all(path).expect("the folder is removed");
            return;
        }
        fs::create_dir_all(&self.aside).expect("a folder is made");
        let place = tempfile::tempdir_in(&self.aside)
            .expect("a temporary folder")
            .keep();
        let to = place.join("it");
        fs::rename(path, to).expect("a folder is renamed");
    }

    /// Takes away everything but the inputs, and puts these back as they were.
    pub fn reset(&self) {
        self.git(&["checkout", "--quiet", "--", "."]);
        for name in self.names().filter(|name| !self.inputs.contains(name)) {
            let path = self.folder.join(name);
            match path.is_dir() {
                true => self.set_aside(&path),
                false => fs::remove_file(path).expect("the file is removed"),
            }
        }
        self.git(&["clean", "-xffd", "--quiet"]);
        self.empty_out();
    }

    /// Takes away the outputs; their folder is there.
    pub fn empty_out(&self) {
        self.remove_out();
        fs::create_dir(self.folder.join("out")).expect("a folder is made");
    }

    /// Takes away the outputs with their folder.
    pub fn remove_out(&self) {
        let out = self.folder.join("out");
        if out.exists() {
            self.set_aside(&out);
        }
    }

    /// The jobs that said that they ran, since the last time somebody asked.
    pub fn ran(&self) -> Vec<usize> {
        let file = self.folder.join(RAN);
        let text = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(&file);
        let mut ran: Vec<_> = text.lines().filter_map(|l| l.parse().ok()).collect();
        ran.sort_unstable();
        ran
    }

    /// The last thing that a peer wrote.
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let last = text.lines().rfind(|l| !l.trim().is_empty());
        last.unwrap_or_default().trim().to_owned()
    }

    /// A call of a peer; what it writes goes to a file.
    pub fn command(&self, peer: &Peer, workers: usize) -> Command {
        let mut command = Command::new(peer.program().expect("the peer is installed"));
        let log = fs::File::create(&self.log).expect("a file is made");
        let log_too = log.try_clone().expect("a file is opened twice");
        command
            .args((peer.args)(workers))
            .current_dir(&self.folder)
            .stdout(log)
            .stderr(log_too);
        self.surround(&mut command);
        command
    }

    /// Runs one command as the peers would.
    pub fn shell(&self, text: &str) {
        // With its path: a name would be looked for after a fork, which costs more than `posix_spawn`.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", text])
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        self.surround(&mut command);
        let status = command.status().expect("sh starts");
        assert!(status.success(), "{text}: {status}");
    }

    /// The same surroundings for everybody: nothing of the user's, no network, no daemons.
    fn surround(&self, command: &mut Command) {
        let cache = |name: &str| self.folder.join(".cache").join(name);
        command
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("DO_NOT_TRACK", "1")
            .env("PIPE_CACHE_DIR", cache("pipe"))
            .env("TURBO_TELEMETRY_DISABLED", "1")
            .env("TURBO_NO_UPDATE_NOTIFIER", "1")
            .env("PROTO_OFFLINE", "1")
            .env("NX_DAEMON", "false")
            .env("NX_NO_CLOUD", "true")
            .env("NX_TUI", "false")
            .env("NX_CACHE_DIRECTORY", cache("nx"));
    }

    fn git(&self, args: &[&str]) {
        let mut command = Command::new("git");
        command
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(args)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        self.surround(&mut command);
        let status = command.status().expect("git starts");
        assert!(status.success(), "git {args:?}: {status}");
    }
}
