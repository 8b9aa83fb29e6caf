//! Containers beside a job: begun on its network, waited for, their logs shown where they are why it failed.

use std::net::Ipv4Addr;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;

use super::ready::Question;
use super::room::{Room, connected};
use super::{Engine, Source, Trouble};

/// How many lines of a service's log are shown.
const TAIL: &str = "40";

/// A service as it is wanted.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its host name.
    pub name: String,
    /// Its image.
    pub source: Source,
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// When it counts as ready.
    pub ready: Option<Probe>,
}

/// How a service is asked whether it is ready.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The questions; all must be answered well.
    pub(super) questions: Vec<Question>,
    /// How long to wait.
    pub within: Duration,
    /// The time between two tries.
    pub every: Duration,
    /// How long it must stay ready.
    pub stable_for: Duration,
}

/// A service that was begun.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) service: Service,
    pub(super) container: String,
    image: String,
    pub(super) address: Option<Ipv4Addr>,
}

impl Beside {
    pub(super) fn new(service: Service, container: String, image: String) -> Self {
        Self {
            service,
            container,
            image,
            address: None,
        }
    }

    /// Begins it; gives its address on the network.
    pub(super) async fn start(&self, room: &Room<'_>, network: &str) -> Result<Ipv4Addr, Trouble> {
        let (engine, acting) = (room.engine, &room.acting);
        let name = &self.service.name;
        let own = |trouble: Trouble| Trouble {
            what: format!("service {name}: {}", trouble.what),
            ..trouble
        };
        let env = self.service.env.iter().map(|(n, v)| format!("{n}={v}"));
        let body = ContainerCreateBody {
            image: Some(self.image.clone()),
            hostname: Some(name.clone()),
            env: Some(env.collect()),
            labels: Some(engine.mark.labels(&room.setup.root)),
            host_config: Some(HostConfig {
                network_mode: Some(network.to_owned()),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                ..HostConfig::default()
            }),
            networking_config: Some(connected(network, name)),
            ..ContainerCreateBody::default()
        };
        let platform = self.service.source.platform.as_deref();
        let what = &self.container;
        let made = engine.create(what, body, platform, acting).await;
        made.map_err(own)?;
        engine.start(what, acting).await.map_err(own)?;
        let state = engine.state(what).await.map_err(own)?;
        // One that has ended at once has none; that is found out when it is asked whether it is ready.
        Ok(state.address.unwrap_or(Ipv4Addr::UNSPECIFIED))
    }
}

impl Engine {
    /// The end of a container's log, line by line. What cannot be had is left out.
    pub(super) async fn log_of(&self, container: &str) -> Vec<String> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: TAIL.to_owned(),
            ..LogsOptions::default()
        };
        let mut bytes = Vec::new();
        let mut stream = self.docker.logs(container, Some(options));
        let reading = async {
            while let Some(Ok(output)) = stream.next().await {
                bytes.extend_from_slice(&output.into_bytes());
            }
        };
        let _ = tokio::time::timeout(self.patience, reading).await;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().map(str::to_owned).collect()
    }
}
