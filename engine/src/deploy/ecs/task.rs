//! Task definitions, tasks and events, as AWS tells them in JSON. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::places::{self, Container};
use super::super::settings::{Told, Variables};
use crate::ledger::ImageAt;

/// What a description of a task definition has besides what can be registered.
const ONLY_TOLD: [&str; 8] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
];

/// A text, empty where there is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `shop:12` of `arn:aws:ecs:eu-central-1:1234:task-definition/shop:12`.
pub(super) fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// The containers of a definition or of a task.
pub(super) fn containers(list: &Value) -> Vec<Container> {
    let list = list.as_array().into_iter().flatten();
    let container = |c: &Value| Container {
        of: "the task".to_owned(),
        name: text(&c["name"]),
        image: text(&c["image"]),
        // What is not essential may end, and another one waits for it.
        is_first: c["essential"] == false,
    };
    list.map(container).collect()
}

/// Whether a definition runs exactly these images.
pub(super) fn runs(
    definition: &Value,
    placed: &[(Container, Option<String>)],
    images: &BTreeMap<String, ImageAt>,
) -> bool {
    let all = containers(&definition["taskDefinition"]["containerDefinitions"]);
    placed.iter().zip(all).all(|((_, image), container)| {
        let image = image.as_ref().and_then(|name| images.get(name));
        image.is_none_or(|image| image.reference() == container.image)
    })
}

/// What is registered: the definition with these images.
pub(super) fn renewed(
    definition: &Value,
    placed: &[(Container, Option<String>)],
    images: &BTreeMap<String, ImageAt>,
) -> Value {
    let mut new = definition["taskDefinition"].clone();
    if let Some(fields) = new.as_object_mut() {
        fields.retain(|name, _| !ONLY_TOLD.contains(&name.as_str()));
    }
    let list = new["containerDefinitions"].as_array_mut();
    for (container, (_, image)) in list.into_iter().flatten().zip(placed) {
        if let Some(image) = image.as_ref().and_then(|name| images.get(name)) {
            container["image"] = Value::String(image.reference());
        }
    }
    if definition["tags"].as_array().is_some_and(|t| !t.is_empty()) {
        new["tags"] = definition["tags"].clone();
    }
    new
}

/// What the containers that get an image are told: values as they are written, and of secrets that they are there. Files
/// with variables lie elsewhere, and are not read.
pub(super) fn variables(
    definition: &Value,
    placed: &[(Container, Option<String>)],
) -> Vec<Variables> {
    let definition = &definition["taskDefinition"];
    let revision = text(&definition["taskDefinitionArn"]);
    let list = definition["containerDefinitions"].as_array();
    let all = list.into_iter().flatten().zip(placed);
    let ours = all.filter(|(_, (_, image))| image.is_some());
    let one = |(container, (known, _)): (&Value, &(Container, _))| {
        let mut told = BTreeMap::new();
        for variable in container["environment"].as_array().into_iter().flatten() {
            let value = Told::Value(text(&variable["value"]));
            told.insert(text(&variable["name"]), value);
        }
        for secret in container["secrets"].as_array().into_iter().flatten() {
            told.insert(text(&secret["name"]), Told::Hidden);
        }
        let mut place = format!("{} of {}", known.name, short(&revision));
        let files = container["environmentFiles"].as_array();
        if files.is_some_and(|files| !files.is_empty()) {
            place += " (whose environmentFiles are not read)";
        }
        Variables { place, told }
    };
    ours.map(one).collect()
}

/// The digest that a container of a task runs.
pub(super) fn digest(container: &Value) -> Option<String> {
    let told = text(&container["imageDigest"]);
    let reference = text(&container["image"]);
    let digest = places::digest_in(&told).or_else(|| places::digest_in(&reference))?;
    Some(digest.to_owned())
}

/// The events of a service, the newest first.
pub(super) fn events(service: &Value) -> impl Iterator<Item = &Value> {
    service["events"].as_array().into_iter().flatten()
}

/// How far a deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on; what is done, for a person.
    Going(String),
    /// All tasks are new, and run.
    Done,
    /// It failed.
    Failed(String),
}

/// How far a service is with a revision.
pub(super) fn progress(service: &Value, revision: &str) -> Progress {
    let number = |v: &Value| v.as_i64().unwrap_or_default();
    let mut all = service["deployments"].as_array().into_iter().flatten();
    let Some(primary) = all.find(|d| d["status"] == "PRIMARY") else {
        return Progress::Going("no deployment yet".to_owned());
    };
    let of = text(&primary["taskDefinition"]);
    if of != revision {
        return Progress::Failed(format!(
            "the service went to {} by itself, and not to {}",
            short(&of),
            short(revision)
        ));
    }
    let (running, wanted) = (
        number(&primary["runningCount"]),
        number(&primary["desiredCount"]),
    );
    let others = service["deployments"].as_array().map_or(0, Vec::len) - 1;
    match primary["rolloutState"].as_str() {
        Some("FAILED") => return Progress::Failed(text(&primary["rolloutStateReason"])),
        Some("COMPLETED") if running >= wanted => return Progress::Done,
        None if running >= wanted && others == 0 => return Progress::Done,
        _ => {}
    }
    let failed = match number(&primary["failedTasks"]) {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    Progress::Going(format!("{running} of {wanted} tasks run{failed}"))
}

/// Why a task stopped, for a person.
pub(super) fn stopped(task: &Value) -> String {
    let mut parts = vec![text(&task["stoppedReason"])];
    for container in task["containers"].as_array().into_iter().flatten() {
        let reason = text(&container["reason"]);
        let exit = container["exitCode"].as_i64().filter(|code| *code != 0);
        let what = match (exit, reason.is_empty()) {
            (Some(code), true) => format!("exit {code}"),
            (Some(code), false) => format!("exit {code}, {reason}"),
            (None, false) => reason,
            (None, true) => continue,
        };
        parts.push(format!("{}: {what}", text(&container["name"])));
    }
    parts.retain(|p| !p.is_empty());
    dsl::text::shorten(&parts.join("; "), 240)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(primary: &Value) -> Value {
        json!({"deployments": [primary, {"status": "ACTIVE", "taskDefinition": "x/shop:1"}]})
    }

    #[test]
    fn calm_is_a_success_only_with_the_revision_that_was_ordered() {
        let state = |revision: &str, state: &str| {
            json!({"status": "PRIMARY", "taskDefinition": revision, "rolloutState": state,
                "rolloutStateReason": "it failed", "runningCount": 2, "desiredCount": 2, "failedTasks": 1})
        };
        let of = |primary| progress(&service(&primary), "x/shop:2");
        assert_eq!(of(state("x/shop:2", "COMPLETED")), Progress::Done);
        assert_eq!(
            of(state("x/shop:1", "COMPLETED")),
            Progress::Failed("the service went to shop:1 by itself, and not to shop:2".into())
        );
        assert_eq!(
            of(state("x/shop:2", "FAILED")),
            Progress::Failed("it failed".into())
        );
        assert_eq!(
            of(state("x/shop:2", "IN_PROGRESS")),
            Progress::Going("2 of 2 tasks run, 1 failed".into())
        );
    }

    #[test]
    fn a_new_revision_differs_in_its_images_alone() {
        let digest = format!("sha256:{}", "d".repeat(64));
        let definition = json!({
            "taskDefinition": {
                "taskDefinitionArn": "x/shop:1", "revision": 1, "status": "ACTIVE", "family": "shop",
                "requiresAttributes": [], "compatibilities": ["EC2"], "registeredAt": 1, "registeredBy": "me",
                "cpu": "256", "containerDefinitions": [
                    {"name": "shop", "image": "r/shop:1", "essential": true, "environment": [{"name": "A", "value": "1"}]},
                    {"name": "proxy", "image": "envoy", "essential": true},
                ],
            },
            "tags": [{"key": "team", "value": "x"}],
        });
        let images: BTreeMap<String, ImageAt> = [(
            "shop".to_owned(),
            ImageAt::parse(&format!("r/shop@{digest}")).unwrap(),
        )]
        .into();
        let list = containers(&definition["taskDefinition"]["containerDefinitions"]);
        let places = places::places(&list, &images, None).unwrap();
        let placed: Vec<_> = list.into_iter().zip(places).collect();
        assert!(!runs(&definition, &placed, &images));
        let new = renewed(&definition, &placed, &images);
        assert_eq!(
            new,
            json!({
                "family": "shop", "cpu": "256", "containerDefinitions": [
                    {"name": "shop", "image": format!("r/shop@{digest}"), "essential": true, "environment": [{"name": "A", "value": "1"}]},
                    {"name": "proxy", "image": "envoy", "essential": true},
                ],
                "tags": [{"key": "team", "value": "x"}],
            })
        );
        assert!(runs(&json!({"taskDefinition": new}), &placed, &images));
    }

    #[test]
    fn why_a_task_stopped_is_told_with_its_containers() {
        let task = json!({"stoppedReason": "Essential container in task exited", "containers": [
            {"name": "shop", "exitCode": 7}, {"name": "log", "exitCode": 0},
            {"name": "init", "reason": "CannotPullContainerError: not found"}]});
        assert_eq!(
            stopped(&task),
            "Essential container in task exited; shop: exit 7; init: CannotPullContainerError: not found"
        );
    }
}
