//! What killed processes left behind: found by its labels, removed.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::{
    ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions,
};

use futures_util::future::try_join3;

use super::mark::RUN;
use super::room::settled;
use super::{Engine, Trouble};

/// How long it may take: nobody waits for it.
const LIMIT: Duration = Duration::from_secs(30);

impl Engine {
    /// Removes what dead processes of this machine left: containers, then their networks and volumes. Gives the names.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn sweep(&self) -> Result<Vec<String>, Trouble> {
        match tokio::time::timeout(LIMIT, self.swept()).await {
            Ok(done) => done,
            Err(_) => Err(Trouble::silent(
                "what killed runs left is not removed",
                LIMIT,
            )),
        }
    }

    async fn swept(&self) -> Result<Vec<String>, Trouble> {
        let what = "what killed runs left cannot be listed";
        let label = || [("label".to_owned(), vec![RUN.to_owned()])];
        let mut gone = Vec::new();
        let containers = ListContainersOptions {
            all: true,
            filters: Some(label().into()),
            ..ListContainersOptions::default()
        };
        let networks = ListNetworksOptions {
            filters: Some(label().into()),
        };
        let volumes = ListVolumesOptions {
            filters: Some(label().into()),
        };
        // Side by side: a run waits for it.
        let (containers, networks, volumes) = try_join3(
            self.ask(
                what,
                settled(|| self.docker.list_containers(Some(containers.clone()))),
            ),
            self.ask(what, self.docker.list_networks(Some(networks))),
            self.ask(what, self.docker.list_volumes(Some(volumes))),
        )
        .await?;
        for container in containers {
            let name = container.names.unwrap_or_default().into_iter().next();
            let name = name.unwrap_or_default().trim_start_matches('/').to_owned();
            if let Some(id) = container.id.filter(|_| self.is_left(container.labels)) {
                self.remove(&id).await?;
                gone.push(name);
            }
        }
        for network in networks {
            if let Some(name) = network.name.filter(|_| self.is_left(network.labels)) {
                self.remove_network(&name).await?;
                gone.push(name);
            }
        }
        for volume in volumes.volumes.unwrap_or_default() {
            if self.is_left(Some(volume.labels)) {
                let call = self
                    .docker
                    .remove_volume(&volume.name, None::<RemoveVolumeOptions>);
                self.ask("a volume cannot be removed", call).await?;
                gone.push(volume.name);
            }
        }
        Ok(gone)
    }

    fn is_left(&self, labels: Option<impl IntoIterator<Item = (String, String)>>) -> bool {
        let labels: BTreeMap<String, String> = labels.into_iter().flatten().collect();
        self.mark.outlived(&labels)
    }
}
