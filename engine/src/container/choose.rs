//! Which engine: the one that is named, or the first one that answers where engines usually are.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};

use super::hello;
use super::image::Images;
use super::mark::Mark;
use super::{Engine, Trouble, within};
use crate::side_by_side::processors;

/// The two kinds of engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl Kind {
    /// Its name, for a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Docker => "Docker",
            Kind::Podman => "Podman",
        }
    }
}

/// What somebody asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The kind, and who wants it: `--engine`. Without it the first one that answers is taken.
    pub kind: Option<(Kind, &'static str)>,
}

/// An engine that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Its version.
    pub version: String,
    /// The version of the API that is spoken with it.
    pub api: String,
    /// Whether it runs as a plain user.
    pub rootless: bool,
    /// Where it listens.
    pub address: String,
    /// Why this one, as a sentence part.
    pub why: String,
    /// Whether it belongs to whoever runs pipe.
    pub(super) is_own: bool,
    /// Processors that it may use.
    pub(super) cpus: u32,
    /// Whether files have to be let through to containers by label.
    pub(super) selinux: bool,
    /// Whether its images are in the store of containerd, and not in its own.
    pub(crate) other_store: bool,
}

impl Found {
    /// For a person: `rootless Podman 4.3.1 at unix:///…`.
    #[must_use]
    pub fn title(&self) -> String {
        let how = if self.rootless { "rootless " } else { "" };
        format!(
            "{how}{} {} at {}",
            self.kind.name(),
            self.version,
            self.address
        )
    }
}

/// A place where an engine was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The address.
    pub address: String,
    /// Why it was looked at.
    pub from: String,
    /// Why it is not the one.
    pub why: String,
}

/// That there is no engine, and where one was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// What was wanted.
    pub wanted: Wanted,
    /// Everything that was tried.
    pub tried: Vec<Tried>,
}

impl NotFound {
    /// What is missing.
    #[must_use]
    pub fn what(&self) -> String {
        let what = match &self.wanted.kind {
            Some((kind, by)) => format!("{} does not answer ({by} asks for it)", kind.name()),
            None => "no container engine answers".to_owned(),
        };
        let tried = self
            .tried
            .iter()
            .map(|t| format!("\n  {} ({}): {}", t.address, t.from, t.why));
        what + ":" + &tried.collect::<String>()
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        let denied = self.tried.iter().find(|t| t.why == DENIED);
        if let Some(denied) = denied {
            return format!(
                "you may not use {}: join the group that owns it (`sudo usermod -aG docker $USER`, then log in again), or use rootless Podman",
                denied.address
            );
        }
        if let Some(told) = self.tried.iter().find(|t| t.from == VARIABLE) {
            return format!("start the engine at {}, or unset DOCKER_HOST", told.address);
        }
        match self.wanted.kind {
            Some((Kind::Docker, _)) => "start it (`sudo systemctl start docker`), or name another with `--engine podman`",
            Some((Kind::Podman, _)) => "start its service (`systemctl --user start podman.socket`), or name another with `--engine docker`",
            None => "install Podman and start its service (`systemctl --user start podman.socket`), or install and start Docker",
        }
        .to_owned()
    }
}

const DENIED: &str = "permission denied";
const VARIABLE: &str = "DOCKER_HOST";

/// Where engines are, in the order in which they are looked for: address and reason.
fn places(env: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    if let Some(host) = env("DOCKER_HOST").filter(|h| !h.is_empty()) {
        return vec![(host, VARIABLE.to_owned())];
    }
    let uid = rustix::process::getuid().as_raw();
    let mut places = Vec::new();
    let mut add = |path: String, why: &str| {
        let address = format!("unix://{path}");
        if places.iter().all(|(a, _)| *a != address) {
            places.push((address, why.to_owned()));
        }
    };
    if let Some(folder) = env("XDG_RUNTIME_DIR").filter(|d| d.starts_with('/')) {
        add(
            format!("{folder}/podman/podman.sock"),
            "Podman of this user",
        );
    }
    add(
        format!("/run/user/{uid}/podman/podman.sock"),
        "Podman of this user",
    );
    add(
        "/run/podman/podman.sock".to_owned(),
        "Podman of this machine",
    );
    add("/var/run/docker.sock".to_owned(), "Docker of this machine");
    places
}

/// Finds the engine to use.
///
/// # Errors
/// When there is none.
pub async fn choose(
    wanted: &Wanted,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
    patience: Duration,
) -> Result<Engine, NotFound> {
    let mut tried = Vec::new();
    for (address, from) in places(env) {
        let why = match connect(&address, &from, patience).await {
            Ok(mut engine) => match &wanted.kind {
                Some((kind, _)) if *kind != engine.found.kind => {
                    format!("it is {}", engine.found.title())
                }
                Some((_, by)) => {
                    engine.found.why = format!("{by} asks for it");
                    return Ok(engine);
                }
                None => return Ok(engine),
            },
            Err(why) => why,
        };
        tried.push(Tried { address, from, why });
    }
    Err(NotFound {
        wanted: wanted.clone(),
        tried,
    })
}

/// Asks every place where engines are.
pub async fn look_everywhere(
    env: &dyn Fn(&str) -> Option<String>,
    patience: Duration,
) -> Vec<Result<Found, Tried>> {
    let mut all = Vec::new();
    for (address, from) in places(env) {
        all.push(match connect(&address, &from, patience).await {
            Ok(engine) => Ok(engine.found),
            Err(why) => Err(Tried { address, from, why }),
        });
    }
    all
}

async fn connect(address: &str, from: &str, patience: Duration) -> Result<Engine, String> {
    let docker = client(address, API_DEFAULT_VERSION)?;
    let what = "it cannot be asked";
    let said = |t: Trouble| {
        t.what
            .trim_start_matches(what)
            .trim_start_matches(": ")
            .to_owned()
    };
    let hello = match hello::ask(address, patience).await? {
        Some(hello) => hello,
        None => hello::Hello::of_version(
            within(patience, what, docker.version())
                .await
                .map_err(said)?,
        ),
    };
    let kind = hello.kind;
    let api = hello.spoken();
    let docker = client(address, &api)?;
    let socket = address.strip_prefix("unix://");
    let owner = socket.and_then(|path| std::fs::metadata(path).ok());
    let mut found = Found {
        kind,
        version: hello.version,
        api: api.to_string(),
        // Podman takes long to tell about itself; the owner of its socket says it too.
        rootless: kind == Kind::Podman && owner.as_ref().is_some_and(|o| o.uid() != 0),
        is_own: owner.is_some_and(|o| o.uid() == rustix::process::getuid().as_raw()),
        address: address.to_owned(),
        why: match from {
            VARIABLE => "DOCKER_HOST names it".to_owned(),
            _ => format!("{from}, the first one that answers"),
        },
        cpus: processors(),
        selinux: std::path::Path::new("/sys/fs/selinux/enforce").exists(),
        other_store: false,
    };
    if kind == Kind::Docker {
        let info = within(patience, what, docker.info()).await.map_err(said)?;
        let options = info.security_options.unwrap_or_default();
        let has = |name: &str| options.iter().any(|o| o.starts_with(name));
        found.rootless = has("name=rootless");
        let status = info.driver_status.unwrap_or_default();
        let told = status.iter().flatten();
        found.other_store = told
            .into_iter()
            .any(|word| word == "io.containerd.snapshotter.v1");
        found.selinux = has("name=selinux");
        let cpus = info.ncpu.and_then(|n| u32::try_from(n).ok());
        found.cpus = cpus.filter(|n| *n > 0).unwrap_or(found.cpus);
    }
    Ok(Engine {
        docker,
        found,
        patience,
        mark: Mark::own(),
        images: Images::default(),
    })
}

/// A client that sends nothing yet.
fn client(address: &str, api: &ClientVersion) -> Result<Docker, String> {
    // Every call has its own limit; this one would also cover pulls.
    let seconds = 24 * 3600;
    let client = match address.split_once("://") {
        Some(("unix", path)) => {
            usable(path)?;
            Docker::connect_with_unix(address, seconds, api)
        }
        Some(("tcp" | "http", _)) => Docker::connect_with_http(address, seconds, api),
        Some((scheme, _)) => {
            return Err(format!(
                "pipe does not speak {scheme}:// with an engine; a job needs its folder on the same machine"
            ));
        }
        None => return Err("it is no address; write unix:///path or tcp://host:port".to_owned()),
    };
    let client = client.map_err(|e| e.to_string())?;
    Ok(client.with_request_modifier(url_safe))
}

/// Whether there is a socket that we may use.
fn usable(path: &str) -> Result<(), String> {
    use rustix::fs::{Access, access};
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::ACCESS) => Err(DENIED.to_owned()),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
            Err("there is no socket".to_owned())
        }
        Err(e) => Err(std::io::Error::from(e).to_string()),
    }
}

/// Engines read the header of a login as URL-safe base64 and refuse the other one, which the client writes: a login
/// would work or not as its bytes fall.
fn url_safe(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    for name in ["X-Registry-Auth", "X-Registry-Config"] {
        let Some(value) = request.headers().get(name) else {
            continue;
        };
        let safe = value.to_str().unwrap_or_default();
        let safe = safe.replace('+', "-").replace('/', "_");
        if let Ok(value) = safe.parse() {
            request.headers_mut().insert(name, value);
        }
    }
    request
}
