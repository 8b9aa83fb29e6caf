//! A project in a folder of its own, and the binary run in it. Everything around it is fixed: environment, width,
//! home, git. Outputs are compared whole.

#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod tree;

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The binary under test.
pub const PIPE: &str = env!("CARGO_BIN_EXE_pipe");

/// Starts what tests need through a script, and waits until it has made the file `up`. It ends what it started when its
/// input ends.
pub fn brought_up(
    what: &str,
    mut script: Command,
    up: &Path,
    patience: std::time::Duration,
) -> Result<std::process::Child, String> {
    let mut child = script
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let began = std::time::Instant::now();
    while !up.exists() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("{what} cannot be started: {status}"));
        }
        if began.elapsed() > patience {
            return Err(format!("{what} did not start"));
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(child)
}

/// A folder with a project in it; it goes away with the value.
pub struct Project {
    dir: TempDir,
}

impl Project {
    /// An empty project, outside of any repository.
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// The same in a folder beneath this one.
    pub fn within(folder: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pipe-test-")
            .tempdir_in(folder)
            .unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        std::fs::create_dir(dir.path().join("app")).unwrap();
        Self { dir }
    }

    /// A project with this pipeline.
    pub fn with(pipeline: &str) -> Self {
        Self::new().file("pipeline.kdl", pipeline)
    }

    /// The project's folder.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    /// The home of whoever runs it.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The path of a file of the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Writes a file.
    pub fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Makes it a repository with one commit on `main`, always the same.
    pub fn git(self) -> Self {
        for args in [
            vec!["init", "-q", "-b", "main", "."],
            vec!["add", "-A"],
            vec!["commit", "-q", "--allow-empty", "-m", "first"],
        ] {
            self.run_git(&args);
        }
        self
    }

    /// Runs git in it.
    pub fn run_git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        self.environment(&mut git);
        let out = git
            .args([
                "-c",
                "user.name=Ada",
                "-c",
                "user.email=ada@example.com",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .env("GIT_AUTHOR_DATE", "2026-01-02T03:04:05Z")
            .env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z")
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    /// The binary with these arguments, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PIPE);
        self.environment(&mut command);
        command.args(args).stdin(Stdio::null());
        command
    }

    /// The binary with these words, at a terminal of its own.
    pub fn at_terminal(&self, words: &str) -> Command {
        let mut script = Command::new("script");
        self.environment(&mut script);
        script
            .args(["-qefc", &format!("{PIPE} {words}"), "/dev/null"])
            .stdin(Stdio::null());
        script
    }

    /// A command on this project behind the words that lead it into another network.
    pub fn behind(&self, words: &[String], plain: &Command) -> Command {
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg(plain.get_program())
            .args(plain.get_args())
            .env_clear()
            .current_dir(self.root())
            .stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    /// Runs the binary.
    pub fn pipe(&self, args: &[&str]) -> Output {
        self.pipe_env(args, &[])
    }

    /// Runs the binary with further variables.
    pub fn pipe_env(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = self.command(args);
        command.envs(env.iter().copied());
        self.output(&mut command)
    }

    /// Runs a prepared command to its end.
    pub fn output(&self, command: &mut Command) -> Output {
        let out = command.output().unwrap();
        Output {
            code: out.status.code(),
            stdout: self.filtered(&String::from_utf8_lossy(&out.stdout)),
            stderr: self.filtered(&String::from_utf8_lossy(&out.stderr)),
        }
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .current_dir(self.root())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("LANG", "C.UTF-8")
            .env("COLUMNS", "100")
            .env("TERM", "dumb")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CEILING_DIRECTORIES", self.dir.path());
        for name in ["CARGO_HOME", "RUSTUP_HOME"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // The toolchain of whoever runs the tests, also where it lives in their home.
        if let (None, Some(home)) = (std::env::var_os("RUSTUP_HOME"), std::env::var_os("HOME")) {
            let home = Path::new(&home);
            command
                .env("RUSTUP_HOME", home.join(".rustup"))
                .env("CARGO_HOME", home.join(".cargo"));
        }
    }

    /// What differs from run to run replaced: the folder, times, durations.
    pub fn filtered(&self, text: &str) -> String {
        let root = self.root();
        let real = root.canonicalize().unwrap_or_else(|_| root.clone());
        let text = text
            .replace(&*real.to_string_lossy(), "[root]")
            .replace(&*root.to_string_lossy(), "[root]");
        durations(&text)
    }
}

/// Replaces `0.1s`, `12.3s`, `1m02s` by `[t]`.
fn durations(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let len = from
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | 'm' | 's')))
            .unwrap_or(from.len());
        let word = &from[..len];
        let is_start =
            !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '"'));
        let is_time =
            word.ends_with('s') && (word.contains('.') || word.contains('m')) && word.len() > 2;
        out.push_str(if is_start && is_time { "[t]" } else { word });
        rest = &from[len..];
    }
    out + rest
}

/// What a program printed, and how it ended.
#[must_use = "compare it, or assert its exit code"]
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// All of it, for a snapshot.
    pub fn whole(&self) -> String {
        let mut text = format!(
            "exit {}\n",
            self.code.map_or("by a signal".into(), |c| c.to_string())
        );
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                let _ = write!(text, "--- {name}\n{}\n", stream.trim_end());
            }
        }
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Waits until something holds; fails the test after a minute and a half. Where it is a program that knows, most of the time
/// is left to those who are waited for.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    const SOON: std::time::Duration = std::time::Duration::from_millis(20);
    let mut asked = std::time::Instant::now();
    let deadline = asked + std::time::Duration::from_secs(90);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited for: {what}");
        let longer = asked.elapsed() * 3;
        std::thread::sleep(longer.clamp(SOON, SOON * 50));
        asked = std::time::Instant::now();
    }
}

/// The processes whose environment or command line has this text: those that something left behind.
pub fn processes_with(text: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let has = |pid: &i32, file: &str| {
        std::fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|b| find(&b, text.as_bytes()))
    };
    let zombie = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| {
            s.rsplit_once(')')
                .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
        })
    };
    pids.filter(|pid| *pid != own && (has(pid, "environ") || has(pid, "cmdline")) && !zombie(pid))
        .collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

/// Whether a program can be found; a test that needs an absent part says so loudly.
pub fn has_program(name: impl AsRef<OsStr>) -> bool {
    Command::new(name)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok()
}

/// Says that a test is skipped, and fails it where nothing may be skipped.
#[track_caller]
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
    assert!(
        std::env::var_os("PIPE_TESTS_REQUIRE_ALL").is_none(),
        "nothing may be skipped here: {why}"
    );
}
