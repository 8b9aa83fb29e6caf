//! What a service ran before and `pipe` had not deployed: its task definition, which AWS keeps, and the way back there.

use std::collections::BTreeMap;

use super::super::driver::Failure;
use super::super::hands::Hands;
use super::Ecs;
use super::task::{self, Progress, text};
use crate::ledger::Place;

impl Ecs {
    fn place(&self) -> String {
        format!("service/{}", self.service)
    }

    /// The revision that the service runs, where it runs one alone.
    pub(super) async fn remembered(
        &self,
        hands: &mut Hands,
    ) -> Result<Option<BTreeMap<String, Place>>, Failure> {
        let service = self.now(hands).await?;
        let revision = text(&service["taskDefinition"]);
        let deployments = service["deployments"].as_array().map_or(0, Vec::len);
        if deployments != 1 || task::progress(&service, &revision) != Progress::Done {
            return Ok(None);
        }
        let place = Place {
            revision,
            replicas: None,
        };
        Ok(Some([(self.place(), place)].into()))
    }

    /// Lets the service run that revision again, and waits until it does.
    pub(super) async fn restored(
        &self,
        places: &BTreeMap<String, Place>,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        let Some(place) = places.get(&self.place()) else {
            return Err(Failure::new(format!(
                "it is not recorded what {} ran before",
                self.service
            )));
        };
        let service = self.now(hands).await?;
        self.ordered.lock().await.events = task::events(&service).map(|e| text(&e["id"])).collect();
        // ECS may have gone there by itself, or it was never told to leave.
        if text(&service["taskDefinition"]) == place.revision {
            self.ordered.lock().await.revision = Some(place.revision.clone());
        } else {
            self.update(&place.revision, false, hands).await?;
        }
        self.rolled_out(hands).await
    }
}
