//! Canary steps: a second Deployment beside the one that runs, with a few pods of the new release behind the same Service.
//! The old pods stay untouched until the last step; a canary that fails is taken away.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::driver::{Failure, Release};
use super::super::hands::Hands;
use super::objects::Workload;
use super::{EVERY, Kubernetes, Rendered};

/// The label by which a canary's pods are told from the others.
const TRACK: &str = "dev.pipe/track";

/// The steps of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The shares of the requests, in percent, below a hundred.
    pub shares: Vec<u32>,
    /// How long each step is watched.
    pub pause: Duration,
}

/// How many pods beside `old` ones get a share of the requests: at least one, and never more than the old ones.
fn pods(share: u32, old: u64) -> u64 {
    let share = u64::from(share.min(99));
    (old * share).div_ceil(100 - share).clamp(1, old.max(1))
}

fn beside(workload: &Workload) -> Workload {
    Workload {
        name: format!("{}-canary", workload.name),
        ..workload.clone()
    }
}

/// The second Deployment.
fn made(object: &Value, pods: u64) -> Value {
    let mut canary = object.clone();
    let name = format!("{}-canary", super::text(&object["metadata"]["name"]));
    canary["metadata"]["name"] = Value::String(name);
    canary["spec"]["replicas"] = pods.into();
    canary["spec"]["selector"]["matchLabels"][TRACK] = "canary".into();
    canary["spec"]["template"]["metadata"]["labels"][TRACK] = "canary".into();
    canary
}

impl Kubernetes {
    /// The Deployment that has a canary: the only one.
    fn old<'r>(&self, rendered: &'r Rendered) -> Result<(&'r Workload, &'r Value), Failure> {
        let [workload] = rendered.workloads.as_slice() else {
            return Err(
                Failure::new("a canary is of one Deployment, and there are several")
                    .help("name it with `deployment=`"),
            );
        };
        let mut objects = rendered.objects.iter();
        let object = objects.find(|o| Workload::of(o).as_ref() == Some(workload));
        match object {
            Some(object) if workload.kind == "deployment" => Ok((workload, object)),
            _ => Err(Failure::new(format!(
                "{} has no canary: only a Deployment with manifests has",
                workload.title()
            ))),
        }
    }

    /// Gives a release one share of the requests after the other.
    ///
    /// # Errors
    /// Why it is not good enough for all of them.
    pub(super) async fn try_out(
        &self,
        canary: &Canary,
        release: &Release,
        rendered: &Rendered,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        let (workload, object) = self.old(rendered)?;
        let Some(live) = self.live(workload, hands).await? else {
            hands
                .say("nothing runs there, so that there is no canary")
                .await;
            return Ok(());
        };
        let old = live["spec"]["replicas"].as_u64().unwrap_or(1);
        let beside = beside(workload);
        for share in &canary.shares {
            let pods = pods(*share, old);
            hands
                .say(&format!(
                    "canary: {share}% of the requests, {pods} beside {old}"
                ))
                .await;
            self.send(&[made(object, pods)], &["apply", "--filename=-"], hands)
                .await?;
            self.rolled_out(&beside, release, hands).await?;
            self.watched(canary.pause, &beside, release, hands).await?;
        }
        Ok(())
    }

    /// Looks at a step for as long as the file says.
    async fn watched(
        &self,
        pause: Duration,
        beside: &Workload,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            if let Some(ready) = &self.ready {
                ready.once(hands).await.map_err(|f| Failure {
                    what: format!("with the canary the target is not ready: {}", f.what),
                    ..f
                })?;
            }
            if !self.is_well(beside, hands).await? {
                let why = "the canary was ready, and then not";
                return Err(self.explained(beside, release, why, hands).await);
            }
            if began.elapsed() >= pause {
                return Ok(());
            }
            hands.pause(EVERY).await?;
        }
    }

    async fn is_well(&self, beside: &Workload, hands: &mut Hands) -> Result<bool, Failure> {
        let live = self.live(beside, hands).await?;
        let progress = live.as_ref().map(super::rollout::progress);
        Ok(progress == Some(super::rollout::Progress::Done))
    }

    /// Takes the canary away, where there is one.
    pub(super) async fn remove_canary(&self, hands: &mut Hands) -> Result<(), Failure> {
        if self.canary.is_none() {
            return Ok(());
        }
        let objects = self.here(hands).await?;
        for workload in self.chosen(&objects)? {
            let beside = beside(&workload);
            if self.live(&beside, hands).await?.is_none() {
                continue;
            }
            let title = beside.title();
            let args = ["delete", title.as_str(), "--ignore-not-found"];
            self.run(self.call_at(&beside, &args), hands).await?;
            let began = Instant::now();
            let all = [beside];
            while !self.left(&all, hands).await?.is_empty() {
                if began.elapsed() > super::GONE {
                    return Err(Failure::new(format!("the pods of {title} do not go away")));
                }
                hands.pause(EVERY).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_is_a_number_of_pods_beside_the_old_ones() {
        let of = |share, old| pods(share, old);
        assert_eq!([of(10, 10), of(20, 10), of(50, 10)], [2, 3, 10]);
        assert_eq!([of(1, 1), of(50, 3), of(90, 3), of(10, 0)], [1, 3, 3, 1]);
    }

    #[test]
    fn a_canary_has_the_labels_of_the_service_and_one_of_its_own() {
        let object = serde_json::json!({
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {
                "replicas": 4,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}},
            },
        });
        let canary = made(&object, 2);
        assert_eq!(
            canary,
            serde_json::json!({
                "kind": "Deployment",
                "metadata": {"name": "shop-canary"},
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": {"app": "shop", "dev.pipe/track": "canary"}},
                    "template": {"metadata": {"labels": {"app": "shop", "dev.pipe/track": "canary"}}},
                },
            })
        );
    }
}
