//! A job in a container beside the same calls of the engine's API made by hand, and beside `docker run`: in turns, on real
//! Docker and on real rootless Podman, which it starts apart from everything else like the tests do.
//!
//! `cargo bench --bench containers -- [ROUNDS]`. Everybody is started as a program of its own, so that starting counts for
//! all. Wants root, and what `tests/setup-containers.sh` gets.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run says where")]
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptions, StartContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;

const IMAGE: &str = "localhost/box:1";
/// Who runs everything here, and to whom Podman belongs. Nobody has the number.
const USER: u32 = 47110;

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [verb, engine, commands] = args.as_slice()
        && verb == "raw"
    {
        return raw(engine, commands.parse().unwrap());
    }
    let rounds = args.first().and_then(|a| a.parse().ok()).unwrap_or(9);
    let folder = tempfile::tempdir().unwrap().keep();
    open(&folder);
    let own = folder.join("raw");
    std::fs::copy(std::env::current_exe().unwrap(), &own).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/containers/up.sh");
    let mut engines = Command::new("sh")
        .args([script.as_ref(), folder.as_os_str()])
        .arg(USER.to_string())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.join("up").exists() {
        assert!(engines.try_wait().unwrap().is_none(), "the engines start");
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "{rounds} rounds, medians; the ratio is that of pipe to the raw calls, and to docker run"
    );
    println!(
        "{:<22} {:>10} {:>10} {:>12}",
        "", "pipe", "raw calls", "docker run"
    );
    for (name, socket) in [
        ("Docker", "docker.sock"),
        ("Podman", "podman/run/podman/podman.sock"),
    ] {
        let engine = format!("unix://{}/{socket}", folder.display());
        for commands in [1, 10] {
            let place = Site::new(&folder, &engine, commands);
            place.compare(&format!("{name}, {commands} commands"), rounds);
        }
    }
    // It ends with its input.
    drop(engines.stdin.take());
    engines.wait().unwrap();
}

fn open(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A project, and who runs its commands.
struct Site {
    root: tempfile::TempDir,
    engine: String,
    own: std::path::PathBuf,
    commands: usize,
}

impl Site {
    fn new(folder: &Path, engine: &str, commands: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let runs = "\n        run \"true\"".repeat(commands);
        let text = format!(
            "pipeline bench\nstage all {{\n    job one {{\n        container \"{IMAGE}\"{runs}\n    }}\n}}\n"
        );
        std::fs::write(root.path().join("pipeline.kdl"), text).unwrap();
        chown(root.path(), Some(USER), Some(USER)).unwrap();
        Self {
            root,
            engine: engine.to_owned(),
            own: folder.join("raw"),
            commands,
        }
    }

    /// Measures all in turns, and prints a line.
    fn compare(&self, what: &str, rounds: usize) {
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..rounds {
            let mut pipe = self.program(env!("CARGO_BIN_EXE_pipe").as_ref());
            times[0].push(timed(pipe.arg("run")));
            let mut raw = self.program(&self.own);
            times[1].push(timed(
                raw.args(["raw", &self.engine])
                    .arg(self.commands.to_string()),
            ));
            let mut docker = self.program("sh".as_ref());
            let one = format!(
                "docker run --rm --user {USER} -v \"$PWD:$PWD\" -w \"$PWD\" {IMAGE} sh -euc true\n"
            );
            times[2].push(timed(docker.args(["-euc", &one.repeat(self.commands)])));
        }
        let [pipe, raw, docker] = times.map(median);
        let ratio = |other: Duration| pipe.as_secs_f64() / other.as_secs_f64();
        println!(
            "{what:<22} {:>7} ms {:>7} ms {:>9} ms {:>7.2} {:>7.2}",
            pipe.as_millis(),
            raw.as_millis(),
            docker.as_millis(),
            ratio(raw),
            ratio(docker)
        );
    }

    fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.root.path())
            .env("DOCKER_HOST", &self.engine)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .uid(USER)
            .gid(USER);
        command
    }
}

fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}");
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The least that a job in a container takes: one container with the folder in it, its commands, and its end. It does not
/// even ask which engine it speaks with.
fn raw(engine: &str, commands: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let docker = Docker::connect_with_unix(engine, 60, API_DEFAULT_VERSION).unwrap();
        let here = std::env::current_dir().unwrap().display().to_string();
        let name = format!("raw-{}", std::process::id());
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["sleep".to_owned(), "60".to_owned()]),
            user: Some(format!("{USER}:{USER}")),
            working_dir: Some(here.clone()),
            host_config: Some(HostConfig {
                binds: Some(vec![format!("{here}:{here}")]),
                userns_mode: engine.contains("podman").then(|| "keep-id".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptions {
            name: Some(name.clone()),
            ..CreateContainerOptions::default()
        };
        docker.create_container(Some(options), body).await.unwrap();
        docker
            .start_container(&name, None::<StartContainerOptions>)
            .await
            .unwrap();
        for _ in 0..commands {
            let options = CreateExecOptions {
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                cmd: Some(vec!["sh", "-euc", "true"]),
                ..CreateExecOptions::default()
            };
            let exec = docker.create_exec(&name, options).await.unwrap();
            let StartExecResults::Attached { mut output, .. } =
                docker.start_exec(&exec.id, None).await.unwrap()
            else {
                panic!("it is attached");
            };
            while output.next().await.is_some() {}
            while docker.inspect_exec(&exec.id).await.unwrap().running == Some(true) {}
        }
        let options = RemoveContainerOptions {
            force: true,
            ..RemoveContainerOptions::default()
        };
        docker.remove_container(&name, Some(options)).await.unwrap();
    });
}
