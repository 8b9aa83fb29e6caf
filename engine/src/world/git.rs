//! Runs the `git` program: where it is, what it may see of the environment, how long it may take,
//! and what its failures mean. Unaware of what the answers are for.

use crate::process::{Reserved, start_leader};
use std::{
    ffi::OsStr,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// How long a call may take. Far more than a local question needs, short enough to wait for.
const DEADLINE: Duration = Duration::from_secs(20);
/// How much one call may answer: the names of about a million files.
const MOST_OUTPUT: u64 = 64 << 20;
/// How much of what git complains about is kept.
const MOST_COMPLAINT: u64 = 64 << 10;
/// How many lines of the other side are shown.
const MOST_SAID: usize = 8;

/// What git gets of our environment. No `GIT_*`: a hook or a CI that set `GIT_DIR` or
/// `GIT_CONFIG_COUNT` would make git answer about another repository, or run programs.
const INHERITED: &[&str] = &[
    "ALL_PROXY",
    "HOME",
    "HTTPS_PROXY",
    "LOGNAME",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SYSTEMROOT",
    "TMPDIR",
    "USER",
    "USERPROFILE",
    "XDG_CONFIG_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// What git is told each time, before its own configuration gets a word.
const SETTINGS: &[&str] = &[
    "--no-pager",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.pager=cat",
    "-c",
    "protocol.ext.allow=never",
    // A directory of the repository that looks like a bare repository brings no configuration.
    "-c",
    "safe.bareRepository=explicit",
];

/// The `git` program, asked about one directory.
#[derive(Clone, Debug)]
pub struct Git {
    root: PathBuf,
    program: Option<PathBuf>,
    env: Vec<(&'static str, String)>,
    deadline: Duration,
}

/// Why git gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is no `git` in an absolute directory of `PATH`.
    #[error("git is not installed: there is no `git` in PATH")]
    NotInstalled,
    /// The directory is in no repository.
    #[error("`{}` is not in a git repository", .0.display())]
    NotARepository(PathBuf),
    /// The branch has no commit yet.
    #[error("the branch has no commit yet")]
    Unborn,
    /// Git does not read repositories that somebody else owns.
    #[error("git does not trust `{0}`, which belongs to another user")]
    DubiousOwnership(String),
    /// The call took longer than it may.
    #[error("`git {command}` did not end within {} seconds", .limit.as_secs())]
    TimedOut {
        /// The subcommand.
        command: String,
        /// What it was given.
        limit: Duration,
    },
    /// The answer is larger than we read.
    #[error("`git {command}` answered more than 64 MiB")]
    TooMuch {
        /// The subcommand.
        command: String,
    },
    /// Anything else, in git's own words.
    #[error("`git {command}` failed: {message}")]
    Failed {
        /// The subcommand.
        command: String,
        /// The exit code, where it was no signal.
        code: Option<i32>,
        /// What git wrote to its error output that says why, and what the other side said.
        message: String,
    },
}

impl GitError {
    /// What to do about it, where there is something to say.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::NotInstalled => Some("install git, or put its directory into PATH".into()),
            Self::NotARepository(_) => Some("run `git init`, or check the repository out".into()),
            Self::Unborn => Some("make a first commit".into()),
            Self::DubiousOwnership(path) => Some(format!(
                "if you trust it: git config --global --add safe.directory {}",
                quoted(path)
            )),
            Self::TimedOut { .. } | Self::TooMuch { .. } | Self::Failed { .. } => None,
        }
    }
}

impl Git {
    /// Finds git for the directory `root`; that it is missing is said by the first call.
    pub fn new(root: &Path, env: &dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            root: root.to_owned(),
            program: find("git", env("PATH").as_deref()),
            env: INHERITED
                .iter()
                .filter_map(|&name| Some((name, env(name)?)))
                .collect(),
            deadline: DEADLINE,
        }
    }

    /// The same git with another deadline, for calls that go over the network.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The directory that the calls are about.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs `git ARGS` and returns what it printed; bytes that are no UTF-8 become `U+FFFD`.
    ///
    /// The caller puts `--end-of-options` or `--` before operands that it did not write itself.
    pub fn output<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, GitError> {
        self.answer(args, &[], None)
    }

    /// The same with `input` to read, and with variables that git gets besides.
    ///
    /// # Errors
    /// What git could not do.
    pub fn answer<S: AsRef<OsStr>>(
        &self,
        args: &[S],
        env: &[(&str, &str)],
        input: Option<Vec<u8>>,
    ) -> Result<String, GitError> {
        let command = args
            .first()
            .map(|arg| arg.as_ref().to_string_lossy().into_owned());
        let command = command.unwrap_or_default();
        let (mut child, _reserved) = self.spawn(args, env, input.is_some(), &command)?;
        if let (Some(bytes), Some(mut stdin)) = (input, child.stdin.take()) {
            // Git may answer before it has read everything; one that reads nothing is judged by its end.
            thread::spawn(move || stdin.write_all(&bytes));
        }
        let began = Instant::now();
        let ended = finish(&mut child, self.deadline);
        tracing::debug!(command, elapsed = ?began.elapsed(), "git");
        if !matches!(ended, Ended::Exited { .. }) {
            kill(&mut child);
        }
        match ended {
            Ended::Exited { status, output, .. } if status.success() => Ok(output),
            Ended::Exited {
                status, complaint, ..
            } => Err(explain(&self.root, command, status.code(), &complaint)),
            Ended::TooMuch => Err(GitError::TooMuch { command }),
            Ended::TimedOut => Err(GitError::TimedOut {
                command,
                limit: self.deadline,
            }),
        }
    }

    /// The remote that counts: the only one, or else `origin`.
    ///
    /// # Errors
    /// What git could not do.
    pub fn remote(&self) -> Result<Option<String>, GitError> {
        let remotes = self.output(&["remote"])?;
        let remotes: Vec<&str> = remotes.lines().collect();
        let remote = match remotes.as_slice() {
            [only] => Some(*only),
            many => many.iter().copied().find(|r| *r == "origin"),
        };
        Ok(remote.map(str::to_owned))
    }

    /// The address of that remote.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn remote_address(&self) -> Result<Option<String>, GitError> {
        let Some(remote) = self.remote()? else {
            return Ok(None);
        };
        let address = self.output(&["remote", "get-url", "--", &remote])?;
        Ok(Some(address.trim_end().to_owned()))
    }

    /// Whether tracked files differ from the last commit or untracked ones lie about.
    /// This walks the whole tree: ask only where the answer matters.
    pub fn dirty(&self) -> Result<bool, GitError> {
        let status = ["status", "--porcelain", "-z", "--untracked-files=normal"];
        let status = [&status[..], &["--ignore-submodules=dirty", "--", "."]].concat();
        Ok(!self.output(&status)?.is_empty())
    }

    fn spawn<S: AsRef<OsStr>>(
        &self,
        args: &[S],
        env: &[(&str, &str)],
        has_input: bool,
        command: &str,
    ) -> Result<(Child, Reserved), GitError> {
        let program = self.program.as_ref().ok_or(GitError::NotInstalled)?;
        let mut call = Command::new(program);
        call.args(SETTINGS).args(args).current_dir(&self.root);
        call.env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(env.iter().copied());
        call.env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0");
        let input = if has_input {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        call.stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        start_leader(&mut call).map_err(|error| GitError::Failed {
            command: command.to_owned(),
            code: None,
            message: format!("cannot start `{}`: {error}", program.display()),
        })
    }
}

enum Ended {
    Exited {
        status: ExitStatus,
        output: String,
        complaint: String,
    },
    TooMuch,
    TimedOut,
}

/// Reads both streams to their ends and waits for the exit, all before the deadline.
fn finish(child: &mut Child, limit: Duration) -> Ended {
    let end = Instant::now() + limit;
    let output = child
        .stdout
        .take()
        .map(|stream| reader(stream, MOST_OUTPUT));
    let complaint = child
        .stderr
        .take()
        .map(|stream| reader(stream, MOST_COMPLAINT));
    let Some((output, whole)) = received(output, end) else {
        return Ended::TimedOut;
    };
    if !whole {
        return Ended::TooMuch;
    }
    let Some((complaint, _)) = received(complaint, end) else {
        return Ended::TimedOut;
    };
    let mut pause = Duration::from_micros(50);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return Ended::Exited {
                    status,
                    output,
                    complaint,
                };
            }
            Ok(None) if Instant::now() < end => thread::sleep(pause),
            Ok(None) | Err(_) => return Ended::TimedOut,
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Reads up to `most` bytes on a thread of its own, and says whether that was all. The rest is
/// read and dropped, as git would fail on a closed stream; killing git ends that.
fn reader(stream: impl Read + Send + 'static, most: u64) -> Receiver<(Vec<u8>, bool)> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut stream = stream.take(most);
        let read = stream.read_to_end(&mut bytes);
        let mut rest = stream.into_inner();
        let more = rest.read(&mut [0]).is_ok_and(|count| count > 0);
        let _ = sender.send((bytes, read.is_ok() && !more));
        let _ = std::io::copy(&mut rest, &mut std::io::sink());
    });
    receiver
}

fn received(stream: Option<Receiver<(Vec<u8>, bool)>>, end: Instant) -> Option<(String, bool)> {
    let left = end.saturating_duration_since(Instant::now());
    let (bytes, whole) = stream?.recv_timeout(left).ok()?;
    Some((String::from_utf8_lossy(&bytes).into_owned(), whole))
}

/// Kills git and the helpers that it started: they share its process group.
fn kill(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// Turns git's complaint into the kind of failure that it is.
fn explain(root: &Path, command: String, code: Option<i32>, complaint: &str) -> GitError {
    if complaint.contains("not a git repository") {
        return GitError::NotARepository(root.to_owned());
    }
    if let Some((_, rest)) = complaint.split_once("dubious ownership in repository at '") {
        let path = rest.lines().next().unwrap_or_default();
        return GitError::DubiousOwnership(path.trim_end_matches('\'').to_owned());
    }
    let unborn = [
        "does not have any commits yet",
        "argument 'HEAD'",
        "bad revision 'HEAD'",
    ];
    if unborn.iter().any(|words| complaint.contains(words)) {
        return GitError::Unborn;
    }
    GitError::Failed {
        command,
        code,
        message: last_words(complaint),
    }
}

/// The line that says what is wrong: the last `fatal:` or `error:`, else the last line. Why a push was refused stands in
/// lines before that, and hooks of the other side have words of their own.
fn last_words(complaint: &str) -> String {
    let lines = || {
        complaint
            .lines()
            .rev()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let told = |line: &'_ str| {
        let rest = line.strip_prefix("fatal: ");
        rest.or_else(|| line.strip_prefix("error: "))
            .map(str::to_owned)
    };
    // Who could not be reached, and why, was said before that.
    let is_end = |words: &String| words == "Could not read from remote repository.";
    let fatal = lines().enumerate().find_map(|(n, l)| Some((n, told(l)?)));
    let words = match fatal {
        Some((n, words)) if is_end(&words) => {
            let cause = lines().nth(n + 1);
            cause.map_or(words, |l| told(l).unwrap_or_else(|| l.to_owned()))
        }
        // The reasons of each address follow.
        Some((n, words)) if words.ends_with(':') && n > 0 => {
            format!("{words} {}", lines().nth(n - 1).unwrap_or_default())
        }
        Some((_, words)) => words,
        None => lines().next().unwrap_or("it said nothing").to_owned(),
    };
    let mut words = plain(&words);
    let refused = lines().find(|line| line.starts_with("! ["));
    if let Some((_, why)) = refused.and_then(|line| line.rsplit_once('(')) {
        words = format!("{words} ({}", plain(why));
    }
    let said = complaint
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"));
    let said: Vec<String> = said
        .map(|line| plain(line.trim()))
        .filter(|line| !line.is_empty())
        .take(MOST_SAID)
        .collect();
    match said.is_empty() {
        true => words,
        false => format!("{words}; the other side says: {}", said.join("; ")),
    }
}

/// Words of others, as far as they do no harm on a terminal.
fn plain(words: &str) -> String {
    let shown = words.chars().filter(|c| !c.is_control());
    shown.take(300).collect()
}

/// The program in the absolute directories of `path`. A relative one (`.`) would let the
/// repository bring its own git.
fn find(program: &str, path: Option<&str>) -> Option<PathBuf> {
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(path?)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(&name))
        .find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

/// The path as one word of a shell command that a person may copy.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::Place;

    #[test]
    fn a_missing_git_is_said_and_a_git_in_the_repository_is_not_run() {
        let place = Place::repository();
        place.program("git", "touch PWNED");
        let here = std::env::current_dir().unwrap();
        let up = "../".repeat(here.components().count() - 1);
        let root = place.root().strip_prefix("/").unwrap().display();
        let path = format!("{up}{root}:/nowhere");
        assert!(Path::new(&path.replace(":/nowhere", "/git")).exists());
        let git = Git::new(place.root(), &|name| (name == "PATH").then(|| path.clone()));
        assert_eq!(git.output(&["version"]), Err(GitError::NotInstalled));
        assert!(!place.root().join("PWNED").exists());
    }

    #[test]
    fn gits_end_is_not_lost_to_the_steps_that_end_meanwhile() {
        let place = Place::empty();
        place.program("git", "exec >&- 2>&-; sleep 0.2; exit 7");
        let path = place.root().display().to_string();
        let path = format!("{path}:{}", std::env::var("PATH").unwrap());
        let git = Git::new(place.root(), &|name| (name == "PATH").then(|| path.clone()));
        let answer = thread::spawn(move || git.output(&["push"]));
        while !answer.is_finished() {
            crate::process::reap_orphans();
        }
        let failed = GitError::Failed {
            command: "push".into(),
            code: Some(7),
            message: "it said nothing".into(),
        };
        assert_eq!(answer.join().unwrap(), Err(failed));
    }

    #[test]
    fn a_directory_outside_of_any_repository_is_named() {
        let place = Place::empty();
        assert_eq!(
            place.git().output(&["rev-parse", "HEAD"]),
            Err(GitError::NotARepository(place.root().to_owned()))
        );
    }

    #[test]
    fn a_failure_is_the_last_thing_that_git_said() {
        let place = Place::repository();
        assert_eq!(
            place
                .git()
                .output(&["rev-parse", "--verify", "--end-of-options", "nothing"]),
            Err(GitError::Failed {
                command: "rev-parse".into(),
                code: Some(128),
                message: "Needed a single revision".into()
            })
        );
    }

    #[test]
    fn why_a_remote_cannot_be_read_is_what_was_said_before() {
        let end = "fatal: Could not read from remote repository.\n\nPlease make sure you have the \
                   correct access rights\nand the repository exists.\n";
        for (said, expected) in [
            (
                "ssh: connect to host h port 22: no route\n",
                "ssh: connect to host h port 22: no route",
            ),
            (
                "fatal: '/gone' does not appear to be a git repository\n",
                "'/gone' does not appear to be a git repository",
            ),
            ("", "Could not read from remote repository."),
        ] {
            assert_eq!(last_words(&format!("{said}{end}")), expected);
        }
    }

    #[test]
    fn somebody_elses_repository_comes_with_its_remedy() {
        let words = "fatal: detected dubious ownership in repository at '/srv/it's'\nTo add an \
                     exception for this directory, call:\n\n\tgit config …\n";
        let error = explain(Path::new("."), "log".into(), Some(128), words);
        assert_eq!(error, GitError::DubiousOwnership("/srv/it's".into()));
        assert_eq!(
            error.remedy().unwrap(),
            r"if you trust it: git config --global --add safe.directory '/srv/it'\''s'"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_git_that_hangs_is_killed_with_its_helpers() {
        let place = Place::repository();
        let program = place.program("bin/git", "/bin/sleep 600 & echo $! >helper; wait");
        let path = program.parent().unwrap().display().to_string();
        let limit = Duration::from_secs(2);
        let git = Git::new(place.root(), &|name| (name == "PATH").then(|| path.clone()))
            .with_deadline(limit);
        let expected = GitError::TimedOut {
            command: "log".into(),
            limit,
        };
        assert_eq!(git.output(&["log"]), Err(expected));
        let helper = std::fs::read_to_string(place.root().join("helper")).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", helper.trim()));
        let alive = || state().is_ok_and(|state| !state.contains(") Z "));
        let patience = Instant::now() + Duration::from_secs(10);
        while alive() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!alive());
    }

    #[test]
    fn an_endless_answer_is_cut_off() {
        let place = Place::repository();
        let program = place.program("bin/git", "while :; do /bin/cat /dev/zero; done");
        let path = program.parent().unwrap().display().to_string();
        let git = Git::new(place.root(), &|name| (name == "PATH").then(|| path.clone()));
        assert_eq!(
            git.output(&["log"]),
            Err(GitError::TooMuch {
                command: "log".into()
            })
        );
    }

    #[test]
    fn a_directory_in_the_repository_that_looks_like_a_bare_one_is_not_used() {
        let place = Place::repository();
        place.run(&["init", "--quiet", "--bare", "trap"]);
        let git = Git::new(&place.root().join("trap"), &|name| place.env(name));
        let error = git.output(&["rev-parse", "--git-dir"]).unwrap_err();
        assert!(matches!(error, GitError::Failed { .. }), "{error}");
    }

    #[test]
    fn git_sees_neither_our_git_variables_nor_the_hooks_of_the_repository() {
        let place = Place::repository();
        place.program(".git/hooks/post-index-change", "touch PWNED");
        place.program("monitor", "touch PWNED");
        place.run(&["config", "core.fsmonitor", "./monitor"]);
        place.write("new", "");
        let git = Git::new(place.root(), &|name| match name {
            "GIT_DIR" => Some("/nowhere".into()),
            name => place.env(name),
        });
        assert_eq!(git.dirty(), Ok(true));
        git.output(&["add", "--", "new"]).unwrap();
        assert!(!place.root().join("PWNED").exists());
    }

    #[test]
    fn a_clean_tree_is_not_dirty() {
        assert_eq!(Place::repository().git().dirty(), Ok(false));
    }
}
