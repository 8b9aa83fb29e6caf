//! A host with Docker and Compose behind a registry that wants a login: what runs there, what its services answer, and
//! somebody who asks all the time. Its network is that of the tests' engines.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::containers::engines::Engine;
use crate::network::{self, Answer, Asking};
use crate::started::Started;
use crate::support::{Output, Project, has_program, skip};

/// The registry, and where the images are in it.
const REGISTRY: &str = "127.0.0.1:5000/team";

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

/// A check of a container's health that is made often until it is good, and then seldom: each costs a tenth of a second of a
/// processor.
fn asked_for(command: &str) -> String {
    format!(
        r#"["CMD", "sh", "-c", "{command} || exit 1; [ ! -e /tmp/asked ] || sleep 5; >/tmp/asked"]"#
    )
}

/// Both, as services of a Compose file, with the volume `data`.
pub fn database_services() -> String {
    let (postgres, redis) = (postgres(), redis());
    let (postgres_answers, redis_answers) = (
        asked_for("pg_isready -h 127.0.0.1 -U postgres"),
        asked_for("redis-cli ping"),
    );
    format!(
        r#"  postgres:
    image: {postgres}
    volumes: ["data:/data"]
    healthcheck: {{ test: {postgres_answers}, interval: 500ms, retries: 120 }}
  redis:
    image: {redis}
    healthcheck: {{ test: {redis_answers}, interval: 500ms, retries: 120 }}
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

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The last line of an answer.
fn last_line(answer: Answer) -> String {
    let text = answer.map(|(_, text)| text).unwrap_or_default();
    let last = text.lines().last().map(str::trim);
    last.filter(|l| !l.is_empty())
        .unwrap_or("nothing")
        .to_owned()
}

/// What answers on a port of the host.
pub fn answers(port: u16) -> String {
    let asking = || network::get(address(port), "/");
    last_line(network::within(Engine::network(), asking))
}

/// Somebody who asks a port of the host all the time.
pub fn asking(port: u16) -> Asking {
    Asking::of(Engine::network(), address(port), last_line)
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
