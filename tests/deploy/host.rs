//! A host with Docker and Compose behind a registry that wants a login: what runs there, what its services answer, and
//! somebody who asks all the time. Its network is that of the tests' engines.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::containers::engines::Engine;
use crate::started::Started;
use crate::support::{Output, Project, has_program, skip, wait_until};

/// The registry, and where the images are in it.
const REGISTRY: &str = "127.0.0.1:5000/team";

/// Asks the port `$0` over HTTP; the last line of what it answers, or `nothing`.
const ASK: &str = "ask() { t=$({ printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; timeout 10 cat <&3; } 3<>/dev/tcp/127.0.0.1/$0 2>/dev/null | tail -n 1); echo \"${t:-nothing}\"; }\n";

/// Where `tests/setup-compose.sh` puts Compose.
pub const PLUGIN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/compose/cli-plugins/docker-compose"
);

/// Does it where Docker and Compose can be had.
#[track_caller]
pub fn on_host(test: impl FnOnce()) {
    if !std::path::Path::new(PLUGIN).exists() {
        return skip("there is no Compose; tests/setup-compose.sh gets it");
    }
    crate::containers::engines::on(Engine::Docker, test);
}

/// Does it where there are PostgreSQL and Redis, too.
#[track_caller]
pub fn with_databases(test: impl FnOnce()) {
    if !has_program("redis-server") || !std::path::Path::new("/usr/lib/postgresql").exists() {
        return skip("there is no PostgreSQL or Redis; tests/setup-compose.sh gets them");
    }
    on_host(test);
}

/// What Docker says.
pub fn docker(args: &[&str]) -> String {
    Engine::Docker.client(args)
}

/// What its user has to log in with.
pub fn config() -> PathBuf {
    Engine::place("docker/config")
}

/// The variables by which this host's engine is found.
pub fn env() -> [(&'static str, String); 2] {
    [
        ("DOCKER_HOST", Engine::Docker.host()),
        ("DOCKER_CONFIG", config().display().to_string()),
    ]
}

/// Pushes an image of the engine under a name of the registry; gives the reference by its digest.
fn push(image: &str, name: &str) -> String {
    let full = format!("{REGISTRY}/{name}");
    let _ = docker(&["tag", image, &full]);
    let config = config().display().to_string();
    let said = docker(&["--config", &config, "push", &full]);
    let digest = said
        .split("digest: ")
        .nth(1)
        .unwrap_or_else(|| panic!("{said}"));
    let digest = digest.split_whitespace().next().unwrap();
    format!("{}@{digest}", full.rsplit_once(':').unwrap().0)
}

/// An image of the web server with these variables.
pub fn app(env: &str) -> String {
    let name = format!("app:{}", env.replace('=', "-").to_lowercase());
    let id = Engine::Docker.web_with(env, &format!("localhost/compose-{name}"));
    push(&id, &name)
}

/// PostgreSQL and Redis, made of the programs of this machine.
fn databases() -> &'static [String; 2] {
    static MADE: OnceLock<[String; 2]> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Engine::place("databases");
        std::fs::create_dir(&folder).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deploy/databases.sh");
        let made = Command::new("sh").arg(script).arg(&folder).status();
        assert!(made.unwrap().success());
        let import = |name: &str, tag: &str, start: &str| {
            let tar = folder.join(format!("{name}.tar")).display().to_string();
            let local = format!("localhost/{name}:{tag}");
            let _ = docker(&["import", "-c", start, "-c", "VOLUME /data", &tar, &local]);
            push(&local, &format!("{name}:{tag}"))
        };
        [
            import("postgres", "15", "CMD [\"/bin/start\"]"),
            import(
                "redis",
                "7",
                "CMD [\"redis-server\",\"--dir\",\"/data\",\"--appendonly\",\"yes\"]",
            ),
        ]
    })
}

/// Both, as services of a Compose file, with the volume `data`.
pub fn database_services() -> String {
    let (postgres, redis) = (postgres(), redis());
    format!(
        r#"  postgres:
    image: {postgres}
    volumes: ["data:/data"]
    healthcheck: {{ test: ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", "postgres"], interval: 500ms, retries: 120 }}
  redis:
    image: {redis}
    healthcheck: {{ test: ["CMD", "redis-cli", "ping"], interval: 500ms, retries: 120 }}
"#
    )
}

/// The image of the database; its programs make the migrations, too.
pub fn postgres() -> &'static str {
    &databases()[0]
}

/// The image of Redis.
pub fn redis() -> &'static str {
    &databases()[1]
}

/// An image of migrations: it differs from another one only in its name.
pub fn migrator(name: &str) -> String {
    let made = docker(&["create", postgres()]);
    let change = format!("ENV MIGRATION={name}");
    let local = format!("localhost/migrator:{name}");
    let _ = docker(&["commit", "--change", &change, &made, &local]);
    let _ = docker(&["rm", "-v", &made]);
    push(&local, &format!("migrator:{name}"))
}

/// The binary in the network of the host.
pub fn command(project: &Project, args: &[&str]) -> Command {
    project.behind(&Engine::within_network(), &project.command(args))
}

/// Runs the binary on the host itself.
pub fn pipe(project: &Project, args: &[&str]) -> Output {
    let mut command = command(project, args);
    project.output(command.envs(env()))
}

/// Begins a run there.
pub fn begin<'p>(project: &'p Project, args: &[&str]) -> Started<'p> {
    let mut command = command(project, args);
    Started::of(project, command.envs(env()))
}

/// What answers on a port of the host.
pub fn answers(port: u16) -> String {
    let text = format!("{ASK}ask");
    let out = Engine::within("bash")
        .args(["-c", &text, &port.to_string()])
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// The containers of a project, as `SERVICE ID`, by service.
pub fn containers(project: &str) -> Vec<String> {
    let filter = format!("label=com.docker.compose.project={project}");
    let format = "{{.Label \"com.docker.compose.service\"}} {{.ID}}";
    let list = docker(&["ps", "-a", "--filter", &filter, "--format", format]);
    let mut list: Vec<String> = list.lines().map(str::to_owned).collect();
    list.sort();
    list
}

/// Those of one service.
pub fn container(project: &str, service: &str) -> Option<String> {
    let all = containers(project);
    let mut own = all
        .iter()
        .filter_map(|c| c.strip_prefix(&format!("{service} ")));
    own.next().map(str::to_owned)
}

/// Ends a project, and removes what it had.
pub struct Ends(pub &'static str);

impl Drop for Ends {
    fn drop(&mut self) {
        for container in containers(self.0) {
            let id = container.split(' ').next_back().unwrap_or_default();
            let _ = docker(&["rm", "-f", "-v", id]);
        }
    }
}

/// Somebody who asks a port of the host every 50 ms, and writes down what it answers.
pub struct Client {
    child: Child,
    folder: tempfile::TempDir,
}

impl Client {
    pub fn of(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let said = std::fs::File::create(folder.path().join("said")).unwrap();
        let text = format!("{ASK}while :; do ask; sleep 0.05; done");
        let child = Engine::within("bash")
            .args(["-c", &text, &port.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(said)
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// Everything that was answered, in order, until somebody who asked after this call has an answer.
    pub fn heard(mut self) -> Vec<String> {
        let said = self.folder.path().join("said");
        let text = || std::fs::read_to_string(&said).unwrap();
        let before = text().lines().count();
        // The next one may have been asked before, and the one after may not be whole yet.
        wait_until("the client has asked once more", || {
            text().lines().count() >= before + 3
        });
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|l| l.trim().to_owned()).collect()
    }

    /// The same, each change once.
    pub fn saw(self) -> Vec<String> {
        let mut all = self.heard();
        all.dedup();
        all
    }
}
