//! Where the commands of a job run: its container, the services beside it, their network. Begun when it is first needed,
//! begun again when it had to be killed, removed at the end whatever happened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, Mount, MountType, NetworkCreateRequest,
    NetworkingConfig,
};
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, RemoveContainerOptions, StartContainerOptions,
};
use futures_util::future::{join_all, try_join_all};
use tokio::sync::{RwLock, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::exec::Stops;
use super::inside::Inside;
use super::service::{Beside, Service};
use super::turn::turn;
use super::{CLEAN_UP, CLEAN_UP_SOON, Engine, Kind, Source, Trouble};
use crate::process::{Chunk, Ended, Exit, Spec, Stop, Stream};

/// The home of a job in a container. Always the same, as programs write it into what they keep.
const HOME: &str = "/home/pipe";

/// Podman's word for a container in which its user has the number that it has outside.
const KEEP_ID: &str = "keep-id";

/// How long Podman may be between two states.
const BETWEEN: Duration = Duration::from_secs(10);

/// Asks again while Podman is between two states.
pub(super) async fn settled<T, F: Future<Output = Result<T, Error>>>(
    call: impl Fn() -> F,
) -> Result<T, Error> {
    let until = Instant::now() + BETWEEN;
    loop {
        match call().await {
            Err(error) if passes(&error) && Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

/// Whether Podman will answer otherwise in a moment.
fn passes(error: &Error) -> bool {
    match error {
        // A container is `stopped` before it has `exited`: the API has no word for that, so the answer cannot be read.
        Error::JsonDataError { message, .. } => message.contains("`stopped`"),
        // Another container's interface went away while it looked which addresses are taken.
        Error::DockerResponseServerError { message, .. } => {
            message.contains("no such network interface")
        }
        _ => false,
    }
}

/// Rooms get numbers, so that no two of a process share a name.
static ROOMS: AtomicU32 = AtomicU32::new(0);

/// What a room is to be like.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The image of the job's container.
    pub source: Source,
    /// The pipeline's folder, which is at the same place in the container.
    pub root: PathBuf,
    /// A folder that lives as long as the run, also at the same place.
    pub scratch: PathBuf,
    /// Further folders: here, and in the container; `~` is its home.
    pub folders: Vec<(PathBuf, PathBuf)>,
    /// Processors; 0: as many as there are.
    pub cpu: u32,
    /// Bytes of main memory; 0: as many as there are.
    pub memory: u64,
    /// Containers beside it.
    pub services: Vec<Service>,
}

/// A room, begun or not.
#[derive(Debug)]
pub struct Room<'e> {
    pub(super) engine: &'e Engine,
    pub(super) setup: &'e Setup,
    name: String,
    folder: PathBuf,
    inside: Option<Inside>,
    /// Containers that may be there, by name: noted before they are made.
    made: Vec<String>,
    network: Option<String>,
    pub(super) beside: Vec<Beside>,
    /// The job's container, while it runs.
    pub(super) job: Option<String>,
    jobs: u32,
    has_begun: bool,
    pub(super) acting: Acting,
}

/// Held by every call that makes something, until the engine has answered it: one that nobody waits for any more still
/// makes what it asked for, and that is to be removed too.
pub(super) type Acting = Arc<RwLock<()>>;

impl<'e> Room<'e> {
    /// A room that is begun with its first command.
    #[must_use]
    pub fn new(engine: &'e Engine, setup: &'e Setup) -> Self {
        let number = ROOMS.fetch_add(1, Ordering::Relaxed);
        Self {
            engine,
            setup,
            name: format!("{}-{number}", engine.mark.name()),
            folder: setup.scratch.join(format!("room-{number}")),
            inside: None,
            made: Vec::new(),
            network: None,
            beside: Vec::new(),
            job: None,
            jobs: 0,
            has_begun: false,
            acting: Acting::default(),
        }
    }

    /// Whether a command could run in it.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Runs one command to its end; begins the room where that is needed. Like [`crate::process::run`].
    ///
    /// # Errors
    /// What the engine did not do.
    pub async fn run(
        &mut self,
        spec: &Spec,
        timeout: Option<Duration>,
        grace: Duration,
        cancel: &CancellationToken,
        kill: &CancellationToken,
        output: mpsc::Sender<Chunk>,
    ) -> Result<Ended, Trouble> {
        let began = Instant::now();
        let stops = Stops {
            end: timeout.and_then(|t| began.checked_add(t)),
            grace,
            cancel,
            kill,
        };
        if let Some(stop) = self.begin_unless(&stops, &output).await? {
            return Ok(Ended {
                exit: Exit::Code(1),
                stopped: Some(stop),
                leaked: 0,
                cut: false,
                elapsed: began.elapsed(),
            });
        }
        let mut ended = self.exec(spec, &stops, output).await?;
        ended.elapsed = began.elapsed();
        Ok(ended)
    }

    /// Begins, unless it is to stop before that is done.
    async fn begin_unless(
        &mut self,
        stops: &Stops<'_>,
        output: &mpsc::Sender<Chunk>,
    ) -> Result<Option<Stop>, Trouble> {
        let (tell, mut told) = mpsc::unbounded_channel::<String>();
        let say = move |line: String| {
            let _ = tell.send(line);
        };
        let stop = {
            let begin = self.begin(&say);
            tokio::pin!(begin);
            loop {
                tokio::select! {
                    biased;
                    () = stops.kill.cancelled() => break Some(Stop::Killed),
                    () = stops.cancel.cancelled() => break Some(Stop::Cancelled),
                    () = stops.over() => break Some(Stop::TimedOut),
                    Some(line) = told.recv() => write(output, &line).await,
                    done = &mut begin => match done {
                        Ok(()) => break None,
                        Err(trouble) => {
                            rest(&mut told, output).await;
                            return Err(trouble);
                        }
                    },
                }
            }
        };
        rest(&mut told, output).await;
        Ok(stop)
    }

    async fn begin(&mut self, say: &(dyn Fn(String) + Sync)) -> Result<(), Trouble> {
        if self.job.is_some() {
            return Ok(());
        }
        if self.inside.is_none() {
            std::fs::create_dir_all(self.folder.join("home"))
                .and_then(|()| Inside::put(&self.folder))
                .map(|inside| self.inside = Some(inside))
                .map_err(|e| Trouble::new(format!("the container cannot be prepared: {e}")))?;
        }
        let sources = self.setup.services.iter().map(|s| &s.source);
        let all = [&self.setup.source].into_iter().chain(sources);
        let images = try_join_all(all.map(|source| self.engine.image(source, say))).await?;
        if self.jobs == 0 {
            let digest = images[0].digest.as_ref().unwrap_or(&images[0].id);
            say(format!("in {} {digest}", self.setup.source.reference));
        }
        if !self.setup.services.is_empty() && self.network.is_none() {
            self.connect().await?;
            for (service, image) in self.setup.services.iter().zip(&images[1..]) {
                let name = format!("{}-{}", self.name, service.name);
                self.made.push(name.clone());
                let beside = service.clone();
                self.beside
                    .push(Beside::new(beside, name, image.id.clone()));
            }
            let network = self.network.clone().unwrap_or_default();
            let starts = self.beside.iter().map(|b| b.start(self, &network));
            let addresses = try_join_all(starts).await?;
            for (beside, address) in self.beside.iter_mut().zip(addresses) {
                beside.address = Some(address);
            }
        }
        let is_first = self.jobs == 0;
        self.jobs += 1;
        let name = format!("{}-job-{}", self.name, self.jobs);
        self.made.push(name.clone());
        self.start(
            &name,
            self.body(&images[0].id),
            self.setup.source.platform.as_deref(),
        )
        .await?;
        self.job = Some(name);
        if is_first {
            self.until_ready(say).await?;
        }
        self.has_begun = true;
        Ok(())
    }

    /// Makes the network of the services.
    async fn connect(&mut self) -> Result<(), Trouble> {
        self.network = Some(self.name.clone());
        let request = NetworkCreateRequest {
            name: self.name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(self.engine.mark.labels(&self.setup.root)),
            ..NetworkCreateRequest::default()
        };
        let docker = self.engine.docker.clone();
        let call = async move { settled(|| docker.create_network(request.clone())).await };
        let what = "the network of the services cannot be made";
        self.engine.act(what, &self.acting, call).await.map(|_| ())
    }

    async fn start(
        &self,
        name: &str,
        body: ContainerCreateBody,
        platform: Option<&str>,
    ) -> Result<(), Trouble> {
        let acting = &self.acting;
        self.engine.create(name, body, platform, acting).await?;
        self.engine.start(name, acting).await
    }

    fn body(&self, image: &str) -> ContainerCreateBody {
        let engine = self.engine;
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let (program, lifeline) = self.inside.as_ref().map_or_else(Default::default, |i| {
            (shown(&i.program), shown(&i.lifeline))
        });
        let (user, userns) = identity(engine);
        let names = self
            .beside
            .iter()
            .filter_map(|b| Some(format!("{}:{}", b.service.name, b.address?)));
        let mut security = vec!["no-new-privileges".to_owned()];
        if engine.found.selinux {
            // Otherwise the folder would have to be labelled anew, for everybody who uses it.
            security.push("label=disable".to_owned());
        }
        let memory = i64::try_from(self.setup.memory).ok().filter(|m| *m > 0);
        let cpus = self.setup.cpu.min(engine.found.cpus);
        ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(vec![program, "wait".to_owned(), lifeline]),
            cmd: Some(Vec::new()),
            user: Some(user),
            working_dir: Some(shown(&self.setup.root)),
            env: Some(vec![format!("HOME={HOME}")]),
            labels: Some(engine.mark.labels(&self.setup.root)),
            host_config: Some(HostConfig {
                mounts: Some(self.mounts()),
                network_mode: self.network.clone(),
                extra_hosts: Some(names.collect()),
                security_opt: Some(security),
                userns_mode: userns,
                nano_cpus: (cpus > 0).then(|| i64::from(cpus) * 1_000_000_000),
                memory,
                memory_swap: memory,
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    fn mounts(&self) -> Vec<Mount> {
        let setup = self.setup;
        let home = self.folder.join("home");
        let mut folders = vec![(setup.root.clone(), setup.root.clone())];
        if !setup.scratch.starts_with(&setup.root) {
            folders.push((setup.scratch.clone(), setup.scratch.clone()));
        }
        folders.push((home.clone(), PathBuf::from(HOME)));
        for (here, there) in &setup.folders {
            let target = match there.strip_prefix("~") {
                Ok(rest) => {
                    // The engine would make it, and it would be root's.
                    let _ = std::fs::create_dir_all(home.join(rest));
                    Path::new(HOME).join(rest)
                }
                Err(_) => there.clone(),
            };
            if !target.starts_with(&setup.root) {
                folders.push((here.clone(), target));
            }
        }
        let mount = |(here, there): (PathBuf, PathBuf)| Mount {
            typ: Some(MountType::BIND),
            source: Some(here.to_string_lossy().into_owned()),
            target: Some(there.to_string_lossy().into_owned()),
            ..Mount::default()
        };
        folders.into_iter().map(mount).collect()
    }

    /// The program that asks services, and a file for its question.
    pub(super) fn prober(&self, at: usize) -> Option<(PathBuf, PathBuf)> {
        let program = self.inside.as_ref()?.program.clone();
        Some((program, self.folder.join(format!("ask-{at}"))))
    }

    /// Removes everything, `soon` where somebody waits for the end of a cancelled run; gives what could not be removed, for a warning. The next run on this machine removes it then.
    pub async fn end(&mut self, soon: bool) -> Option<String> {
        // Its end ends process 1, before anybody is asked.
        self.inside = None;
        self.job = None;
        let engine = self.engine;
        let made = std::mem::take(&mut self.made);
        let network = self.network.take();
        let acting = Arc::clone(&self.acting);
        let limit = if soon { CLEAN_UP_SOON } else { CLEAN_UP };
        let limit = limit.min(engine.patience);
        let removal = async {
            // What never gets an answer may be there all the same.
            let _ = tokio::time::timeout(limit / 2, acting.write()).await;
            let removals = join_all(made.iter().map(|name| engine.remove(name))).await;
            let mut wrong = removals.into_iter().find_map(Result::err);
            if let Some(network) = &network
                && let Err(trouble) = engine.remove_network(network).await
            {
                wrong = wrong.or(Some(trouble));
            }
            wrong.map(|t| t.what)
        };
        match tokio::time::timeout(limit, removal).await {
            Ok(wrong) => wrong,
            Err(_) => Some("a container cannot be removed: the engine does not answer".to_owned()),
        }
    }

    /// Whether its job may use so much memory only.
    #[must_use]
    pub fn has_memory_limit(&self) -> bool {
        self.setup.memory > 0
    }
}

/// Who the job is in its container: whoever runs pipe, so that every file it makes is theirs.
fn identity(engine: &Engine) -> (String, Option<String>) {
    let user = rustix::process::getuid().as_raw();
    let group = rustix::process::getgid().as_raw();
    match (engine.found.rootless, engine.found.kind) {
        (false, _) => (format!("{user}:{group}"), None),
        (true, Kind::Podman) if engine.found.is_own => {
            (format!("{user}:{group}"), Some(KEEP_ID.to_owned()))
        }
        // Root of a rootless Docker is whoever started it; nobody else is known there.
        (true, _) => ("0:0".to_owned(), None),
    }
}

async fn write(output: &mpsc::Sender<Chunk>, line: &str) {
    let chunk = Chunk {
        stream: Stream::Stdout,
        bytes: format!("{line}\n").into_bytes(),
    };
    let _ = output.send(chunk).await;
}

async fn rest(told: &mut mpsc::UnboundedReceiver<String>, output: &mpsc::Sender<Chunk>) {
    while let Ok(line) = told.try_recv() {
        write(output, &line).await;
    }
}

/// The state of a container.
pub(super) struct State {
    pub(super) is_running: bool,
    pub(super) exit: i64,
    pub(super) address: Option<std::net::Ipv4Addr>,
}

impl Engine {
    /// Like `ask`, for what makes something: goes on where nobody waits any more.
    async fn act<T: Send + 'static>(
        &self,
        what: &str,
        acting: &Acting,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Trouble> {
        let held = Arc::clone(acting).read_owned().await;
        let going = tokio::spawn(async move {
            let answer = call.await;
            drop(held);
            answer
        });
        let answer = async {
            going.await.unwrap_or_else(|e| {
                let err = std::io::Error::other(e);
                Err(Error::IOError { err })
            })
        };
        self.ask(what, answer).await
    }

    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
        platform: Option<&str>,
        acting: &Acting,
    ) -> Result<(), Trouble> {
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            platform: platform.unwrap_or_default().to_owned(),
        };
        let what = "the container cannot be made";
        let docker = self.docker.clone();
        let host = body.host_config.as_ref();
        let turn = match host.and_then(|h| h.userns_mode.as_deref()) {
            Some(KEEP_ID) => turn(&self.found, self.patience).await,
            _ => None,
        };
        let call = async move {
            let made = docker.create_container(Some(options), body).await;
            drop(turn);
            made
        };
        let made = self.act(what, acting, call).await;
        made.map(|_| ()).map_err(explained)
    }

    pub(super) async fn start(&self, name: &str, acting: &Acting) -> Result<(), Trouble> {
        let (docker, name) = (self.docker.clone(), name.to_owned());
        let options = None::<StartContainerOptions>;
        let call = async move { docker.start_container(&name, options).await };
        let started = self
            .act("the container cannot be started", acting, call)
            .await;
        started.map_err(explained)
    }

    pub(super) async fn state(&self, name: &str) -> Result<State, Trouble> {
        let call = settled(|| self.docker.inspect_container(name, None));
        let seen = self.ask("the container cannot be looked at", call).await?;
        let state = seen.state.unwrap_or_default();
        let networks = seen.network_settings.and_then(|n| n.networks);
        let address =
            networks.and_then(|all| all.into_values().find_map(|n| n.ip_address?.parse().ok()));
        Ok(State {
            is_running: state.running.unwrap_or_default(),
            exit: state.exit_code.unwrap_or_default(),
            address,
        })
    }

    /// Removes a container whatever it does; fine where there is none.
    pub(super) async fn remove(&self, name: &str) -> Result<(), Trouble> {
        if self.found.kind == Kind::Podman {
            // Otherwise it would be asked to end first, and given ten seconds.
            let options = KillContainerOptions {
                signal: "SIGKILL".to_owned(),
            };
            let _ = self
                .ask("", self.docker.kill_container(name, Some(options)))
                .await;
        }
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            link: false,
        };
        let call = self.docker.remove_container(name, Some(options));
        match self.ask("a container cannot be removed", call).await {
            // 409: somebody is removing it already.
            Err(t) if !matches!(t.status, Some(404 | 409)) => Err(t),
            _ => Ok(()),
        }
    }

    pub(super) async fn remove_network(&self, name: &str) -> Result<(), Trouble> {
        let call = self.docker.remove_network(name);
        match self.ask("a network cannot be removed", call).await {
            Err(t) if !t.is_not_there() => Err(t),
            _ => Ok(()),
        }
    }
}

/// What an engine means that says of a file that it is not there, or of a user that it has no numbers.
fn explained(trouble: Trouble) -> Trouble {
    let low = trouble.what.to_lowercase();
    if low.contains("/etc/subuid") {
        return trouble.help(
            "give whoever runs Podman ranges in both files, with `usermod --add-subuids` and `--add-subgids`, then run `podman system migrate`",
        );
    }
    let is_missing = ["bind source path does not exist", "statfs", "/inside"]
        .iter()
        .any(|w| low.contains(w));
    if is_missing {
        return trouble.help(
            "the engine does not see this folder at its path: is it on another machine, or does pipe itself run in a container?",
        );
    }
    trouble
}

/// How a container is connected to a network under a name.
pub(super) fn connected(network: &str, name: &str) -> NetworkingConfig {
    let endpoint = EndpointSettings {
        aliases: Some(vec![name.to_owned()]),
        ..EndpointSettings::default()
    };
    NetworkingConfig {
        endpoints_config: Some([(network.to_owned(), endpoint)].into()),
    }
}
