//! How far a rollout is, and why it does not go on: read from what Kubernetes tells of the workload and its pods. Pure.

use serde_json::Value;

use super::objects::text;
use crate::deploy::driver::Failure;

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on; what is done, for a person.
    Going(String),
    /// All pods are of the new kind, and available.
    Done,
    /// It will not end well by itself.
    Stuck(String),
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// How far the rollout of a workload is.
pub(super) fn progress(workload: &Value) -> Progress {
    let (spec, status) = (&workload["spec"], &workload["status"]);
    if number(&status["observedGeneration"]) < number(&workload["metadata"]["generation"]) {
        return Progress::Going("not seen by the controller yet".to_owned());
    }
    match workload["kind"].as_str() {
        Some("Deployment") => deployment(spec, status),
        Some("StatefulSet") => stateful(spec, status),
        _ => daemons(spec, status),
    }
}

fn deployment(spec: &Value, status: &Value) -> Progress {
    if spec["paused"].as_bool() == Some(true) {
        return Progress::Stuck("its rollout is paused".to_owned());
    }
    let condition = |name: &str| {
        let all = status["conditions"].as_array().into_iter().flatten();
        all.into_iter().find(|c| c["type"] == name)
    };
    if let Some(progressing) = condition("Progressing")
        && progressing["reason"] == "ProgressDeadlineExceeded"
    {
        let seconds = spec["progressDeadlineSeconds"].as_i64().unwrap_or(600);
        return Progress::Stuck(format!("nothing moved for {seconds}s"));
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let (all, updated) = (
        number(&status["replicas"]),
        number(&status["updatedReplicas"]),
    );
    let available = number(&status["availableReplicas"]);
    // Old pods that are left are still in `replicas`.
    if updated >= wanted && all <= updated && available >= updated {
        return Progress::Done;
    }
    let mut text = format!("{updated} of {wanted} new, {available} available");
    if let Some(failing) = condition("ReplicaFailure")
        && failing["status"] == "True"
    {
        text += &format!(": {}", one_line(&failing["message"]));
    }
    Progress::Going(text)
}

fn stateful(spec: &Value, status: &Value) -> Progress {
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return Progress::Stuck(
            "its updateStrategy is OnDelete, so nothing is replaced".to_owned(),
        );
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let (updated, ready) = (
        number(&status["updatedReplicas"]),
        number(&status["readyReplicas"]),
    );
    // When all are of one kind, Kubernetes stops counting those that are updated.
    let is_one = status["currentRevision"] == status["updateRevision"];
    if ready >= wanted && (is_one || updated >= wanted) {
        return Progress::Done;
    }
    Progress::Going(format!("{updated} of {wanted} new, {ready} ready"))
}

fn daemons(spec: &Value, status: &Value) -> Progress {
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return Progress::Stuck(
            "its updateStrategy is OnDelete, so nothing is replaced".to_owned(),
        );
    }
    let wanted = number(&status["desiredNumberScheduled"]);
    let updated = number(&status["updatedNumberScheduled"]);
    let available = number(&status["numberAvailable"]);
    if updated >= wanted && available >= wanted {
        return Progress::Done;
    }
    Progress::Going(format!("{updated} of {wanted} new, {available} available"))
}

/// What is wrong with a container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The pod.
    pub pod: String,
    /// The container; empty where the whole pod is meant.
    pub container: String,
    /// One line.
    pub what: String,
    /// Whether it ran, so that it has said something: then whether what it said is that of the try before.
    pub said: Option<bool>,
    /// Whether waiting does not help.
    pub is_final: bool,
    /// The image that its node could not fetch and will try to fetch again: only the cluster's warnings say why meanwhile.
    pub awaits: Option<String>,
}

impl Trouble {
    /// What it is, for a person.
    pub(super) fn title(&self) -> String {
        match self.container.as_str() {
            "" => format!("pod {}: {}", self.pod, self.what),
            container => format!("{container} in pod {}: {}", self.pod, self.what),
        }
    }

    /// The same with what the warnings about its pod say of the image that it waits for.
    pub(super) fn with(self, warnings: &[Value]) -> Self {
        let Some(image) = &self.awaits else {
            return self;
        };
        let begin = format!("Failed to pull image \"{image}\": ");
        let all = warnings.iter().rev().map(|w| text(&w["message"]));
        let mut whys = all.filter_map(|m| m.strip_prefix(&begin).map(str::to_owned));
        match whys.find(|why| is_nowhere(why)) {
            Some(why) => Self {
                what: not_had("ErrImagePull", &why),
                is_final: true,
                ..self
            },
            None => self,
        }
    }

    /// It as a failure of a workload.
    pub(super) fn failure(&self, workload: &str, said: &str) -> Failure {
        let said = match said {
            "" => String::new(),
            said => format!("; it said: {said}"),
        };
        Failure::new(format!("{workload}: {}{said}", self.title()))
    }
}

/// Whether a registry says that it does not have an image, or that it is none.
fn is_nowhere(message: &str) -> bool {
    let gone = ["not found", "manifest unknown", "invalid reference"];
    gone.iter().any(|g| message.contains(g))
}

fn not_had(reason: &str, message: &str) -> String {
    format!("its image cannot be had ({reason}): {}", in_line(message))
}

/// What is wrong with the pods that are not ready, the worst first.
pub(super) fn troubles(pods: &[Value]) -> Vec<Trouble> {
    let mut all = Vec::new();
    for pod in pods {
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            continue;
        }
        let name = text(&pod["metadata"]["name"]);
        let before = all.len();
        for field in ["initContainerStatuses", "containerStatuses"] {
            for status in pod["status"][field].as_array().into_iter().flatten() {
                all.extend(of_container(&name, status, field == "containerStatuses"));
            }
        }
        if all.len() == before {
            all.extend(of_pod(&name, pod));
        }
    }
    all.sort_by_key(|t| (!t.is_final, t.said.is_none()));
    all
}

fn of_container(pod: &str, status: &Value, for_good: bool) -> Option<Trouble> {
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    let ended = |t: &Value| {
        let code = number(&t["exitCode"]);
        match t["reason"].as_str() {
            Some("OOMKilled") => "it needed more memory than it may have".to_owned(),
            _ => format!("it ended with exit {code}"),
        }
    };
    let mut awaits = None;
    let (what, said, is_final) = if let Some(reason) = state["waiting"]["reason"].as_str() {
        let message = one_line(&state["waiting"]["message"]);
        match reason {
            "ContainerCreating" | "PodInitializing" => return None,
            "CrashLoopBackOff" => {
                let what = format!("{} and starts again and again ({reason})", ended(last));
                (what, Some(true), false)
            }
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
                let message = text(&state["waiting"]["message"]);
                let is_final = reason == "InvalidImageName"
                    || reason == "ErrImageNeverPull"
                    || is_nowhere(&message);
                awaits = (reason == "ImagePullBackOff").then(|| text(&status["image"]));
                (not_had(reason, &message), None, is_final)
            }
            _ => (format!("{reason}: {message}"), None, false),
        }
    } else if !state["terminated"].is_null() {
        if !for_good && number(&state["terminated"]["exitCode"]) == 0 {
            return None;
        }
        (ended(&state["terminated"]), Some(false), false)
    } else if !state["running"].is_null() && for_good && status["ready"] == false {
        let what = match last.is_null() {
            true => "it runs and is not ready".to_owned(),
            false => format!("{}, runs again and is not ready", ended(last)),
        };
        (what, Some(false), false)
    } else {
        return None;
    };
    Some(Trouble {
        pod: pod.to_owned(),
        container: text(&status["name"]),
        what,
        said,
        is_final,
        awaits,
    })
}

fn of_pod(name: &str, pod: &Value) -> Option<Trouble> {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let unscheduled = conditions.find(|c| c["type"] == "PodScheduled" && c["status"] == "False")?;
    Some(Trouble {
        pod: name.to_owned(),
        container: String::new(),
        what: format!("no node takes it: {}", one_line(&unscheduled["message"])),
        said: None,
        is_final: false,
        awaits: None,
    })
}

/// A message, fit for one line.
pub(super) fn one_line(message: &Value) -> String {
    in_line(&text(message))
}

fn in_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    dsl::text::shorten(&words.join(" "), 240)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop(status: &Value) -> Value {
        json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status})
    }

    #[test]
    fn a_rollout_is_done_when_only_new_pods_are_there_and_all_are_available() {
        let seen = |replicas, updated, available| {
            progress(&shop(
                &json!({"observedGeneration": 2, "replicas": replicas,
                "updatedReplicas": updated, "availableReplicas": available}),
            ))
        };
        assert_eq!(seen(2, 2, 2), Progress::Done);
        assert_eq!(
            seen(3, 2, 2),
            Progress::Going("2 of 2 new, 2 available".into())
        );
        assert_eq!(
            seen(2, 1, 2),
            Progress::Going("1 of 2 new, 2 available".into())
        );
        assert_eq!(
            seen(2, 2, 1),
            Progress::Going("2 of 2 new, 1 available".into())
        );
        let old = progress(&shop(&json!({"observedGeneration": 1, "replicas": 2,
            "updatedReplicas": 2, "availableReplicas": 2})));
        assert_eq!(
            old,
            Progress::Going("not seen by the controller yet".into())
        );
    }

    #[test]
    fn a_rollout_that_does_not_move_is_stuck() {
        let status = json!({"observedGeneration": 2, "conditions":
            [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "status": "False"}]});
        assert_eq!(
            progress(&shop(&status)),
            Progress::Stuck("nothing moved for 600s".into())
        );
    }

    #[test]
    fn what_is_wrong_with_pods_is_told_and_what_waiting_does_not_cure_comes_first() {
        let pod = |name: &str, status: &Value| json!({"metadata": {"name": name}, "status": {"containerStatuses": [status]}});
        let pods = [
            pod(
                "a",
                &json!({"name": "app", "ready": false, "state": {"running": {}}, "lastState": {}}),
            ),
            pod(
                "b",
                &json!({"name": "app", "ready": true, "state": {"running": {}}}),
            ),
            pod(
                "c",
                &json!({"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 7}}}),
            ),
            pod(
                "d",
                &json!({"name": "app", "state": {"waiting": {"reason": "ErrImagePull",
                "message": "manifest for r/app@sha256:0 not found:\n manifest unknown"}}}),
            ),
        ];
        let told: Vec<String> = troubles(&pods).iter().map(Trouble::title).collect();
        assert_eq!(
            told,
            [
                "app in pod d: its image cannot be had (ErrImagePull): manifest for r/app@sha256:0 not found: manifest unknown",
                "app in pod a: it runs and is not ready",
                "app in pod c: it ended with exit 7 and starts again and again (CrashLoopBackOff)",
            ]
        );
    }

    #[test]
    fn why_an_image_cannot_be_had_is_in_the_warnings_while_its_node_waits() {
        let pods = [
            json!({"metadata": {"name": "a"}, "status": {"containerStatuses": [{
                "name": "app",
                "image": "r/app@sha256:0",
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"r/app@sha256:0\""}},
            }]}}),
        ];
        let told = |warnings: &[Value]| {
            let trouble = troubles(&pods).remove(0).with(warnings);
            (trouble.is_final, trouble.title())
        };
        let of = |image: &str, why: &str| json!({"message": format!("Failed to pull image \"{image}\": {why}")});
        let waits = "app in pod a: its image cannot be had (ImagePullBackOff): Back-off pulling image \"r/app@sha256:0\"";
        assert_eq!(told(&[]), (false, waits.to_owned()));
        let others = [
            of("r/db:1", "not found"),
            of("r/app@sha256:0", "i/o timeout"),
        ];
        assert_eq!(told(&others), (false, waits.to_owned()));
        let long = format!("{} manifest unknown", "x".repeat(300));
        let (is_final, title) =
            told(&[of("r/app@sha256:0", &long), of("r/app@sha256:0", "timeout")]);
        assert!(is_final);
        let begin = "app in pod a: its image cannot be had (ErrImagePull): xxx";
        assert!(title.starts_with(begin), "{title}");
    }
}
