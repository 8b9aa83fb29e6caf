//! Pods of a StatefulSet that hold up what is to replace them. Kubernetes replaces one after the other and waits until each
//! is ready, also where that is one of a release that nobody wants any more; somebody has to take it away ("forced
//! rollback" in its manual). Does not know which release is wanted.

use serde_json::Value;

use super::super::driver::Failure;
use super::super::hands::Hands;
use super::Kubernetes;
use super::objects::{Workload, text};
use super::rollout;

/// The label with the revision that a pod was made of.
const REVISION: &str = "controller-revision-hash";

/// The pods that are still of another revision than the one that is wanted, in the order in which they are replaced.
fn outdated<'p>(live: &Value, pods: &'p [Value]) -> Vec<&'p Value> {
    let wanted = text(&live["status"]["updateRevision"]);
    let is_seen = live["status"]["observedGeneration"] == live["metadata"]["generation"];
    if live["kind"] != "StatefulSet" || wanted.is_empty() || !is_seen {
        return Vec::new();
    }
    // Those below it stay as they are, because the file says so.
    let from = live["spec"]["updateStrategy"]["rollingUpdate"]["partition"].as_u64();
    let number = |pod: &Value| {
        let name = text(&pod["metadata"]["name"]);
        let (_, number) = name.rsplit_once('-')?;
        number.parse::<u64>().ok()
    };
    let is_outdated = |pod: &&Value| {
        pod["metadata"]["deletionTimestamp"].is_null()
            && text(&pod["metadata"]["labels"][REVISION]) != wanted
            && number(pod).is_some_and(|n| n >= from.unwrap_or_default())
    };
    let mut all: Vec<&Value> = pods.iter().filter(is_outdated).collect();
    all.sort_by_key(|pod| std::cmp::Reverse(number(pod)));
    all
}

impl Kubernetes {
    /// Takes away a pod of a StatefulSet that is not ready and not what it is to run, one at a time; says how many pods are
    /// still to be replaced, where there are some.
    pub(super) async fn unstuck(
        &self,
        workload: &Workload,
        live: &Value,
        hands: &mut Hands,
    ) -> Result<Option<String>, Failure> {
        if workload.kind != "statefulset" {
            return Ok(None);
        }
        let pods = self.pods(workload, live, hands).await?;
        let outdated = outdated(live, &pods);
        let troubled = outdated.iter().find_map(|pod| {
            let pod = std::slice::from_ref(*pod);
            rollout::troubles(pod).into_iter().next()
        });
        if let Some(trouble) = troubled {
            let line = format!(
                "pod {} holds up what replaces it, and is taken away: {}",
                trouble.pod, trouble.what
            );
            hands.say(&line).await;
            let args = [
                "delete",
                "pod",
                &trouble.pod,
                "--ignore-not-found",
                "--wait=false",
            ];
            self.run(self.call_at(workload, &args).quiet(), hands)
                .await?;
        }
        Ok(match outdated.len() {
            0 => None,
            1 => Some("1 pod is still to be replaced".to_owned()),
            many => Some(format!("{many} pods are still to be replaced")),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pods_of_another_revision_are_replaced_from_the_last_one_down_to_the_partition() {
        let pod = |name: &str, revision: &str| json!({"metadata": {"name": name, "labels": {REVISION: revision}}});
        let mut ended = pod("db-4", "old");
        ended["metadata"]["deletionTimestamp"] = json!("now");
        let pods = [
            pod("db-0", "old"),
            pod("db-1", "old"),
            pod("db-2", "old"),
            pod("db-3", "new"),
            ended,
        ];
        let live = |kind: &str, seen: u64, partition: u64| {
            json!({"kind": kind, "metadata": {"generation": 2},
                "spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}},
                "status": {"observedGeneration": seen, "updateRevision": "new"}})
        };
        let names = |live: &Value| -> Vec<String> {
            let all = outdated(live, &pods).into_iter();
            all.map(|pod| text(&pod["metadata"]["name"])).collect()
        };
        assert_eq!(names(&live("StatefulSet", 2, 1)), ["db-2", "db-1"]);
        assert_eq!(names(&live("StatefulSet", 1, 1)), Vec::<String>::new());
        assert_eq!(names(&live("DaemonSet", 2, 0)), Vec::<String>::new());
    }
}
