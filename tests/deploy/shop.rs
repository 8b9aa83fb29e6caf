//! The shop of the example: its versions, good and bad; the machine that runs it; and somebody who asks it all the time.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::network::{self, Asking};
use crate::support::{Output, Project, has_program, wait_until};

/// What is wrong with a version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Is {
    Good,
    /// `/ready` answers 503.
    NeverReady,
    /// It ends at once.
    NeverStarts,
    /// After three seconds every answer is a 500.
    TurnsBad,
}

/// A checkout of the example with a machine of its own.
pub struct Shop {
    pub project: Project,
    ports: [u16; 2],
    host: Child,
}

/// Why these tests cannot run here, if they cannot.
pub fn lacks() -> Option<&'static str> {
    (!has_program("python3")).then_some("python3 is not here")
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Shop {
    pub fn new() -> Self {
        Self::with(&|text| text)
    }

    /// With a pipeline that differs from the example's.
    pub fn with(change: &dyn Fn(String) -> String) -> Self {
        let project = Project::new();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/laptop");
        let ports = [free_port(), free_port()];
        for name in ["shop.py", "host.py", "pipeline.kdl", ".gitignore"] {
            let text = std::fs::read_to_string(example.join(name)).unwrap();
            let text = text
                .replace("8301", &ports[0].to_string())
                .replace("8302", &ports[1].to_string())
                .replace("within=\"15s\"", "within=\"30s\"");
            let text = if name == "pipeline.kdl" {
                change(text)
            } else {
                text
            };
            project.write(name, &text);
        }
        std::fs::set_permissions(
            project.path("host.py"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let project = project.git();
        project.run_git(&["config", "user.name", "Ada"]);
        let host = std::process::Command::new("python3")
            .args(["host.py", "run"])
            .current_dir(project.root())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            project,
            ports,
            host,
        }
    }

    /// Writes and commits a version of the shop.
    pub fn version(&self, version: &str, is: Is) {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/laptop/shop.py");
        let text = std::fs::read_to_string(example).unwrap();
        let text = text.replace("VERSION = \"1\"", &format!("VERSION = \"{version}\""));
        let text = match is {
            Is::Good => text,
            Is::NeverReady => text.replace("(200, f\"ready", "(503, f\"ready"),
            Is::NeverStarts => text.replace("import hashlib", "raise SystemExit(1)\nimport hashlib"),
            Is::TurnsBad => text
                .replace("import sys\n", "import sys\nimport time\n\nBEGAN = time.monotonic()\n")
                .replace(
                    "        self.send_response(status)",
                    "        if time.monotonic() - BEGAN > 3:\n            status = 500\n        self.send_response(status)",
                ),
        };
        self.project.write("shop.py", &text);
        self.commit(version);
    }

    /// Changes the pipeline, and commits it.
    pub fn pipeline(&self, change: &dyn Fn(String) -> String) {
        let text = change(self.project.read("pipeline.kdl"));
        self.project.write("pipeline.kdl", &text);
        self.commit("pipeline");
    }

    pub fn commit(&self, message: &str) {
        self.project.run_git(&["add", "-A"]);
        self.project
            .run_git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// Deploys what is there to staging.
    pub fn deploy(&self) -> Output {
        self.project.pipe(&["run", "deploy-staging", "--yes"])
    }

    /// What answers on a target now: its version.
    pub fn answers(&self, target: &str) -> Option<String> {
        let (status, text) = network::get(self.address(target), "/")?;
        (status == 200).then(|| text.trim().to_owned())
    }

    /// Waits until a target answers with a version.
    #[track_caller]
    pub fn until_answers(&self, target: &str, expected: &str) {
        wait_until(expected, || {
            self.answers(target).as_deref() == Some(expected)
        });
    }

    pub fn port(&self, target: &str) -> u16 {
        self.ports[usize::from(target == "production")]
    }

    /// Where a target answers.
    pub fn address(&self, target: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(target)).into()
    }

    /// Somebody who asks a target all the time, and writes down its version or what else it answers.
    pub fn asking(&self, target: &str) -> Asking {
        Asking::of(None, self.address(target), |answer| match answer {
            Some((200, text)) => text.trim().to_owned(),
            Some((status, _)) => status.to_string(),
            None => "nothing".to_owned(),
        })
    }

    /// What the ledger says of a target, the oldest first, as plain git reads it.
    pub fn ledger(&self, target: &str) -> Vec<String> {
        let name = format!("refs/pipe/targets/{target}");
        let log = self
            .project
            .run_git(&["log", "--reverse", "--format=%s", &name]);
        let versions: Vec<(String, String)> = self
            .project
            .run_git(&["log", "--all", "--format=%h %s", "--abbrev=7"])
            .lines()
            .filter_map(|l| l.split_once(' '))
            .map(|(h, s)| (h.to_owned(), s.to_owned()))
            .collect();
        log.lines()
            .map(|line| {
                let mut line = line
                    .strip_prefix(&format!("{target}: "))
                    .unwrap()
                    .to_owned();
                for (hash, subject) in &versions {
                    line = line.replace(hash, &format!("v{subject}"));
                }
                without_bundles(&line)
            })
            .collect()
    }

    /// What `pipe targets` says of a target: its state and version.
    pub fn told(&self, target: &str) -> (String, Option<String>) {
        let out = self.project.pipe(&["targets", target, "--format", "json"]);
        let lines: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        let text = |field: &str| lines[0][field].as_str().map(str::to_owned);
        let commit = text("commit");
        let version = commit.map(|c| {
            let subject = self.project.run_git(&["show", "-s", "--format=%s", &c]);
            subject.trim().to_owned()
        });
        (text("state").unwrap(), version)
    }
}

/// The names of bundles, in parentheses, taken out.
fn without_bundles(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(" (") {
        let (before, after) = rest.split_at(at);
        out += before;
        let end = after.find(')').map_or(after.len(), |e| e + 1);
        let inside = &after[2..end - 1];
        let is_bundle = inside.len() == 16 && inside.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_bundle {
            out += &after[..end];
        }
        rest = &after[end..];
    }
    out + rest
}

impl Drop for Shop {
    fn drop(&mut self) {
        // The machine's programs are its children; they go first.
        for program in crate::started::children(i32::try_from(self.host.id()).unwrap()) {
            if let Some(pid) = rustix::process::Pid::from_raw(program) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.host.kill();
        let _ = self.host.wait();
    }
}
