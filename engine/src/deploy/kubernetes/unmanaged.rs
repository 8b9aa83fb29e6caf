//! What workloads ran before and `pipe` had not deployed: the revisions of their rollouts, which the cluster keeps, and the
//! way back there. Other objects that the manifests changed have no revisions; they stay, and are named.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::driver::{Failure, Release};
use super::super::hands::Hands;
use super::super::patience::Patience;
use super::objects::{self, Workload, text, title};
use super::rollout::{self, Progress};
use super::wait::{ASKING, WITHIN};
use super::{EVERY, FIRST, Kubernetes};
use crate::ledger::Place;

/// Where a Deployment has the number of its revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

impl Kubernetes {
    /// How a workload is called in a record: its kind and its name, and before them the namespace where that is not the
    /// target's.
    fn called(&self, workload: &Workload) -> String {
        match &workload.namespace {
            Some(own) if self.namespace.as_ref() != Some(own) => {
                format!("{own}/{}", workload.title())
            }
            _ => workload.title(),
        }
    }

    /// The revisions of the workloads that are there, where all of them are calm.
    pub(super) async fn remembered(
        &self,
        hands: &mut Hands,
    ) -> Result<Option<BTreeMap<String, Place>>, Failure> {
        let objects = self.here(hands).await?;
        let mut places = BTreeMap::new();
        for workload in self.chosen(&objects)? {
            let Some(live) = self.live(&workload, hands).await? else {
                continue;
            };
            let is_kept = live["spec"]["revisionHistoryLimit"] != 0;
            if !is_kept || rollout::progress(&live) != Progress::Done {
                return Ok(None);
            }
            let Some(revision) = self.revision(&workload, &live, hands).await? else {
                return Ok(None);
            };
            let place = Place {
                revision,
                replicas: live["spec"]["replicas"].as_u64(),
            };
            places.insert(self.called(&workload), place);
        }
        Ok((!places.is_empty()).then_some(places))
    }

    /// The number of the revision that a calm workload runs.
    async fn revision(
        &self,
        workload: &Workload,
        live: &Value,
        hands: &mut Hands,
    ) -> Result<Option<String>, Failure> {
        if workload.kind == "deployment" {
            let revision = text(&live["metadata"]["annotations"][REVISION]);
            return Ok((!revision.is_empty()).then_some(revision));
        }
        let args = ["get", "controllerrevisions", "--output=json"];
        let call = self.call_at(workload, &args).quiet().muted();
        let all = objects::read(&self.run(call, hands).await?)?;
        let of_it = all.iter().filter(|r| {
            let owners = r["metadata"]["ownerReferences"].as_array();
            let mut owners = owners.into_iter().flatten();
            owners.any(|o| o["uid"] == live["metadata"]["uid"])
        });
        // The newest one is what it runs, also after somebody has gone back.
        let newest = of_it.filter_map(|r| r["revision"].as_u64()).max();
        Ok(newest.map(|n| n.to_string()))
    }

    /// Brings the workloads back to their revisions, takes away those that the release made, and waits until they are up.
    pub(super) async fn restored(
        &self,
        from: &Release,
        places: &BTreeMap<String, Place>,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        self.remove_canary(hands).await?;
        let objects = self.here(hands).await?;
        let (mut back, mut made) = (Vec::new(), Vec::new());
        for workload in self.chosen(&objects)? {
            let Some(place) = places.get(&self.called(&workload)) else {
                if self.is_made_by(from, &workload, hands).await? {
                    made.push(workload);
                }
                continue;
            };
            let is_it = |o: &&Value| Workload::of(o).as_ref() == Some(&workload);
            let written = objects.iter().find(is_it);
            // A number that the manifests do not say is somebody else's, such as an autoscaler's.
            let replicas = place
                .replicas
                .filter(|_| written.is_some_and(|o| !o["spec"]["replicas"].is_null()));
            back.push((workload, place.revision.clone(), replicas));
        }
        if back.len() < places.len() {
            let known: Vec<&str> = places.keys().map(String::as_str).collect();
            return Err(Failure::new(format!(
                "the manifests that are here do not have all that ran before: {}",
                known.join(", ")
            )));
        }
        for (workload, revision, replicas) in &back {
            let title = workload.title();
            let to = format!("--to-revision={revision}");
            let call = self.call_at(workload, &["rollout", "undo", &title, &to]);
            match self.run(call, hands).await {
                // Whoever went back before was ended: a revision that is run again has another number. What runs then is
                // compared all the same.
                Err(failure) if is_renumbered(&failure) => {
                    let line = format!(
                        "{title} has no revision {revision} any more: it may be back already"
                    );
                    hands.say(&line).await;
                }
                undone => drop(undone?),
            }
            if let Some(replicas) = replicas {
                let replicas = format!("--replicas={replicas}");
                let call = self.call_at(workload, &["scale", &title, &replicas]);
                self.run(call, hands).await?;
            }
        }
        for workload in &made {
            let title = workload.title();
            let args = ["delete", title.as_str(), "--ignore-not-found"];
            self.run(self.call_at(workload, &args), hands).await?;
        }
        for (workload, ..) in &back {
            self.until_calm(workload, hands).await?;
        }
        self.until_gone(&made, hands).await?;
        let is_other = |o: &&Value| Workload::of(o).is_none();
        let others: Vec<String> = objects.iter().filter(is_other).map(title).collect();
        if !others.is_empty() {
            let line = format!("left as this release has it: {}", others.join(", "));
            hands.say(&line).await;
        }
        Ok(())
    }

    /// Whether a workload is there that this release has made.
    async fn is_made_by(
        &self,
        from: &Release,
        workload: &Workload,
        hands: &mut Hands,
    ) -> Result<bool, Failure> {
        let live = self.live(workload, hands).await?;
        let first = live.map(|live| text(&live["metadata"]["annotations"][FIRST]));
        Ok(first.is_some_and(|first| first == from.bundle.id()))
    }

    /// Waits until all pods of a workload are what it is to run, whatever becomes of those that it ran in between.
    async fn until_calm(&self, workload: &Workload, hands: &mut Hands) -> Result<(), Failure> {
        let patience = Patience::new(self.ready.as_ref(), WITHIN, ASKING);
        loop {
            let failure = match self.live(workload, hands).await {
                Ok(Some(live)) => {
                    let replaced = self.unstuck(workload, &live, hands).await;
                    match (rollout::progress(&live), replaced) {
                        (Progress::Done, Ok(None)) => return Ok(()),
                        (_, Err(failure)) if !failure.unreachable => return Err(failure),
                        (_, Err(failure)) => failure,
                        (Progress::Done, Ok(Some(why)))
                        | (Progress::Going(why) | Progress::Stuck(why), Ok(_)) => Failure::new(why),
                    }
                }
                Ok(None) => return Err(Failure::new(format!("{} is gone", workload.title()))),
                // A cluster that does not answer for a moment is no reason to give up.
                Err(failure) if failure.unreachable => failure,
                Err(failure) => return Err(failure),
            };
            if let Some(late) = patience.is_over(hands) {
                if failure.unreachable {
                    return Err(failure);
                }
                return Err(Failure::new(format!(
                    "{}: not back within {}: {}",
                    workload.title(),
                    late.so_far,
                    failure.what
                )));
            }
            hands.pause(EVERY).await?;
        }
    }
}

/// Whether kubectl says that there is no such revision.
fn is_renumbered(failure: &Failure) -> bool {
    failure.what.contains("unable to find") && failure.what.contains("revision")
}
