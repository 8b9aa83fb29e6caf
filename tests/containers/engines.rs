//! Real engines for the tests: Docker, rootless Podman and a registry, started once, apart from everything else on the
//! machine, and ended with the test program.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Pid;

use crate::started::Started;
use crate::support::{Output, PIPE, Project, brought_up, skip, wait_until};

/// The number of the plain user who runs pipe here, and to whom Podman belongs. Nobody has it.
pub const USER: u32 = 47110;

/// How long the engines may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both of them, while they run: they end with their input.
struct Engines {
    folder: PathBuf,
    /// The first process of their own little machine.
    inside: i32,
    /// What ends with the test program.
    _ending: Child,
}

impl Engines {
    fn inside(&self) -> i32 {
        self.inside
    }
}

/// One engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Docker,
    Podman,
}

fn engines() -> Result<&'static Engines, &'static str> {
    static ENGINES: OnceLock<Result<Engines, String>> = OnceLock::new();
    let engines = ENGINES.get_or_init(start);
    engines.as_ref().map_err(String::as_str)
}

fn start() -> Result<Engines, String> {
    if !rustix::process::getuid().is_root() {
        return Err("only root can start container engines".to_owned());
    }
    for program in [
        "dockerd",
        "podman",
        "docker-registry",
        "busybox",
        "newuidmap",
    ] {
        let there = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).exists());
        if !there {
            return Err(format!(
                "{program} is not installed; tests/setup-containers.sh gets it"
            ));
        }
    }
    let folder = tempfile::Builder::new().prefix("pipe-engines-").tempdir();
    // The script removes it.
    let folder = folder.map_err(|e| e.to_string())?.keep();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.join("pipe");
    std::fs::hard_link(PIPE, &binary)
        .or_else(|_| std::fs::copy(PIPE, &binary).map(|_| ()))
        .unwrap();
    let mut script = Command::new("sh");
    script.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/containers/up.sh"
    ));
    script.arg(&folder).arg(USER.to_string());
    let what = "the container engines";
    let child = brought_up(what, script, &folder.join("up"), PATIENCE)?;
    Ok(Engines {
        folder,
        inside: crate::started::inside(&child),
        _ending: child,
    })
}

/// Does it with Docker, then with Podman.
#[track_caller]
pub fn on_both(test: impl Fn(Engine)) {
    on(Engine::Docker, || test(Engine::Docker));
    on(Engine::Podman, || test(Engine::Podman));
}

/// Does it with both at the same time, where most of the time is waiting.
#[track_caller]
pub fn on_both_at_once(test: impl Fn(Engine) + Sync) {
    if let Err(why) = engines() {
        return skip(why);
    }
    std::thread::scope(|scope| {
        let docker = scope.spawn(|| test(Engine::Docker));
        eprintln!("with Docker, and with Podman");
        test(Engine::Podman);
        if let Err(why) = docker.join() {
            std::panic::resume_unwind(why);
        }
    });
}

/// Does it where the engine can be had.
#[track_caller]
pub fn on(engine: Engine, test: impl FnOnce()) {
    match engines() {
        Ok(_) => {
            eprintln!("with {engine:?}");
            test();
        }
        Err(why) => skip(why),
    }
}

impl Engine {
    fn folder() -> &'static Path {
        &engines().expect("only with engines").folder
    }

    /// A folder of theirs, which goes with them.
    pub fn place(name: &str) -> PathBuf {
        Self::folder().join(name)
    }

    /// The network in which the engines and their registry are.
    pub fn network() -> crate::network::Of {
        Some(engines().expect("only with engines").inside())
    }

    /// The words in front of a command that runs in the network in which the engines and their registry are, as root.
    pub fn within_network() -> Vec<String> {
        let inside = engines().expect("only with engines").inside().to_string();
        ["nsenter", "--target", &inside, "--net", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// A command there.
    pub fn within(program: impl AsRef<std::ffi::OsStr>) -> Command {
        let words = Self::within_network();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(program);
        command
    }

    /// Where it listens.
    pub fn host(self) -> String {
        let folder = Self::folder().display();
        match self {
            Engine::Docker => format!("unix://{folder}/docker.sock"),
            Engine::Podman => format!("unix://{folder}/podman/run/podman/podman.sock"),
        }
    }

    /// What its client says.
    pub fn client(self, args: &[&str]) -> String {
        let out = Command::new("docker")
            .arg("--host")
            .arg(self.host())
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
            + String::from_utf8_lossy(&out.stderr).trim()
    }

    /// Makes an image of the web server with this variable; gives its id, without what stands before the colon.
    pub fn web_with(self, env: &str, name: &str) -> String {
        let tar = Self::folder().join("box.tar").display().to_string();
        let variable = format!("ENV {env}");
        let changes = ["-c", "CMD [\"/bin/serve\"]", "-c", &variable, &tar, name];
        let said = match self {
            Engine::Docker => self.client(&[&["import"], &changes[..]].concat()),
            Engine::Podman => {
                let out = Command::new("podman")
                    .arg(format!("--url={}", self.host()))
                    .args(["import", "--quiet"])
                    .args(changes)
                    .output()
                    .unwrap();
                String::from_utf8_lossy(&out.stdout).trim().to_owned()
            }
        };
        let id = said.lines().last().unwrap_or_default();
        id.strip_prefix("sha256:").unwrap_or(id).to_owned()
    }

    /// The binary with these arguments, run by a plain user to whom the project belongs.
    pub fn command(self, project: &Project, args: &[&str]) -> Command {
        give(project.root().parent().unwrap());
        let plain = project.command(&[]);
        let mut command = Command::new("setpriv");
        let user = USER.to_string();
        command
            .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
            .arg(Self::folder().join("pipe"))
            .args(args)
            .env_clear()
            .current_dir(project.root())
            .stdin(Stdio::null())
            .env("DOCKER_HOST", self.host());
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    /// The same with the programs that build: those of the distribution, and Podman where its service and its user are.
    pub fn building(self, project: &Project, args: &[&str]) -> Command {
        let plain = self.command(project, args);
        let folder = Self::folder();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}/bin:/usr/bin:{path}", folder.display());
        let mut command = match self {
            Engine::Docker => plain,
            Engine::Podman => {
                let inside = engines().expect("only with engines").inside();
                let mut command = Command::new("nsenter");
                command
                    .args(["--target", &inside.to_string(), "--mount", "--net", "--pid"])
                    .args(["sh", "-c", "cd \"$1\"; shift; exec setsid \"$@\"", "sh"])
                    .arg(project.root())
                    .arg(plain.get_program())
                    .args(plain.get_args())
                    .env_clear()
                    .stdin(Stdio::null());
                for (name, value) in plain.get_envs() {
                    command.env(name, value.unwrap());
                }
                command
            }
        };
        command.env("PATH", path);
        command
    }

    /// The same where the engines' own registry answers `pipe` too.
    pub fn beside_registry(self, project: &Project, args: &[&str]) -> Command {
        let plain = self.building(project, args);
        if self == Engine::Podman {
            return plain;
        }
        project.behind(&Self::within_network(), &plain)
    }

    /// What Podman's own command line says, which sees more than its service.
    pub fn podman(project: &Project, args: &[&str]) -> String {
        let mut command = Self::Podman.building(project, &[]);
        let mut own = Command::new("nsenter");
        let around = command.get_args().take(8).map(std::ffi::OsStr::to_owned);
        own.args(around.collect::<Vec<_>>())
            .args([project.root().as_os_str(), "setpriv".as_ref()])
            .args(["--reuid", &USER.to_string(), "--regid", &USER.to_string()])
            .arg("--clear-groups")
            .arg(Self::folder().join("bin/podman"))
            .args(args);
        command = own;
        let out = command.output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// The process of pipe in a run that was begun with the programs that build.
    pub fn guardian(self, run: &Started<'_>) -> Pid {
        let started = run.guardian();
        match self {
            Engine::Docker => started,
            Engine::Podman => {
                let children = || crate::started::children(started.as_raw_pid());
                wait_until("it is inside", || !children().is_empty());
                Pid::from_raw(children()[0]).unwrap()
            }
        }
    }

    /// Runs the binary to its end.
    pub fn pipe(self, project: &Project, args: &[&str]) -> Output {
        project.output(&mut self.command(project, args))
    }

    /// Begins a run.
    pub fn begin<'p>(self, project: &'p Project, args: &[&str]) -> Started<'p> {
        Started::of(project, &mut self.command(project, args))
    }

    /// What pipe made for a project that is still there: containers and networks.
    pub fn left_of(self, project: &Project) -> Vec<String> {
        let root = project.root();
        let real = root.canonicalize().unwrap();
        let label = format!("label=dev.pipe.folder={}", real.display());
        let lists = [
            self.client(&["ps", "-a", "--filter", &label, "--format", "{{.Names}}"]),
            self.client(&["network", "ls", "--filter", &label, "--format", "{{.Name}}"]),
        ];
        lists
            .iter()
            .flat_map(|l| l.lines())
            .map(str::to_owned)
            .collect()
    }

    /// Asserts that nothing is left of a project.
    #[track_caller]
    pub fn has_nothing_of(self, project: &Project) {
        assert_eq!(self.left_of(project), Vec::<String>::new(), "{self:?}");
    }
}

/// Gives a folder to the plain user.
fn give(folder: &Path) {
    let _ = chown(folder, Some(USER), Some(USER));
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            give(&path);
        } else {
            let _ = std::os::unix::fs::lchown(&path, Some(USER), Some(USER));
        }
    }
}
