//! Kubernetes' objects, as it tells them in JSON: which are workloads, which images their containers get. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::driver::Failure;
use super::super::places::{self, Container};
use crate::ledger::ImageAt;

/// Kinds whose pods run for good and are replaced by a rollout.
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// Something that keeps pods running.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Workload {
    /// `deployment`, `statefulset`, `daemonset`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace, where one is known.
    pub namespace: Option<String>,
}

impl Workload {
    /// What it is called, for a person and for kubectl.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The workload that an object is, if it is one.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let kind = object["kind"].as_str()?;
        WORKLOADS.contains(&kind).then(|| Self {
            kind: kind.to_lowercase(),
            name: text(&object["metadata"]["name"]),
            namespace: object["metadata"]["namespace"].as_str().map(str::to_owned),
        })
    }
}

/// Reads the objects that kubectl prints: one after the other, or in lists.
///
/// # Errors
/// What cannot be read.
pub(super) fn read(printed: &str) -> Result<Vec<Value>, Failure> {
    let mut objects = Vec::new();
    for value in serde_json::Deserializer::from_str(printed).into_iter::<Value>() {
        let value = value.map_err(|e| Failure::new(format!("kubectl printed no JSON: {e}")))?;
        match value["items"].as_array() {
            Some(items) if text(&value["kind"]).ends_with("List") => {
                objects.extend(items.iter().cloned());
            }
            _ => objects.push(value),
        }
    }
    Ok(objects)
}

/// The objects as one text for kubectl.
pub(super) fn written(objects: &[Value]) -> String {
    let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    list.to_string()
}

/// A text, empty where there is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What an object is called, for a person: `service/shop`.
pub(super) fn title(object: &Value) -> String {
    let kind = text(&object["kind"]).to_lowercase();
    format!("{kind}/{}", text(&object["metadata"]["name"]))
}

/// Whether an object defines a kind.
pub(super) fn defines(object: &Value) -> bool {
    object["kind"] == "CustomResourceDefinition"
}

/// The kinds that objects define: their groups and names.
pub(super) fn defined(objects: &[Value]) -> Vec<(String, String)> {
    let all = objects.iter().filter(|o| defines(o));
    all.map(|o| (text(&o["spec"]["group"]), text(&o["spec"]["names"]["kind"])))
        .collect()
}

/// The group and the name of an object's kind.
pub(super) fn kind(object: &Value) -> (String, String) {
    let version = text(&object["apiVersion"]);
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    (group.to_owned(), text(&object["kind"]))
}

/// The containers of a workload's pods.
pub(super) fn containers(workload: &Value) -> Vec<Container> {
    let of = title(workload);
    let spec = &workload["spec"]["template"]["spec"];
    let mut all = Vec::new();
    for (field, is_first) in [("containers", false), ("initContainers", true)] {
        for container in spec[field].as_array().into_iter().flatten() {
            all.push(Container {
                of: of.clone(),
                name: text(&container["name"]),
                image: text(&container["image"]),
                is_first,
            });
        }
    }
    all
}

/// Which containers of which workloads run which image: by the workload's title, then the container's name.
pub(super) type Placed = BTreeMap<String, BTreeMap<String, String>>;

/// Finds for each image where it runs.
///
/// # Errors
/// An image that no container is known to run.
pub(super) fn placed(
    workloads: &[&Value],
    images: &BTreeMap<String, ImageAt>,
    named: Option<&str>,
) -> Result<Placed, Failure> {
    let all: Vec<Container> = workloads.iter().flat_map(|w| containers(w)).collect();
    let places = places::places(&all, images, named)?;
    let mut placed = Placed::new();
    for (container, image) in all.into_iter().zip(places) {
        let of = placed.entry(container.of).or_default();
        if let Some(image) = image {
            of.insert(container.name, image);
        }
    }
    Ok(placed)
}

/// Puts the images into a workload, by digest.
pub(super) fn put(workload: &mut Value, placed: &Placed, images: &BTreeMap<String, ImageAt>) {
    let Some(places) = placed.get(&title(workload)) else {
        return;
    };
    for field in ["containers", "initContainers"] {
        let list = workload["spec"]["template"]["spec"][field].as_array_mut();
        for container in list.into_iter().flatten() {
            let name = text(&container["name"]);
            if let Some(image) = places.get(&name).and_then(|n| images.get(n)) {
                container["image"] = Value::String(image.reference());
            }
        }
    }
}

/// Sets an annotation, where there is none of this name.
pub(super) fn annotate(object: &mut Value, name: &str, value: &str) {
    if object["metadata"]["annotations"].is_null() {
        object["metadata"]["annotations"] = Value::Object(Map::new());
    }
    if let Some(all) = object["metadata"]["annotations"].as_object_mut() {
        all.entry(name)
            .or_insert_with(|| Value::String(value.to_owned()));
    }
}

/// A selector as kubectl takes it on its command line.
pub(super) fn selector(workload: &Value) -> String {
    let selector = &workload["spec"]["selector"];
    let mut parts = Vec::new();
    for (name, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{name}={}", text(value)));
    }
    for one in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = text(&one["key"]);
        let values = one["values"].as_array().into_iter().flatten();
        let values: Vec<String> = values.map(text).collect();
        let values = values.join(",");
        parts.push(match one["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key,
        });
    }
    parts.join(",")
}

/// The digests that a pod's containers run, by the container's name. What never ran has none.
pub(super) fn digests(pod: &Value) -> Vec<(String, String)> {
    let is_going = !pod["metadata"]["deletionTimestamp"].is_null();
    let phase = text(&pod["status"]["phase"]);
    if is_going || phase == "Failed" || phase == "Succeeded" {
        return Vec::new();
    }
    let mut found = Vec::new();
    for field in ["containerStatuses", "initContainerStatuses"] {
        for status in pod["status"][field].as_array().into_iter().flatten() {
            let id = text(&status["imageID"]);
            if let Some(digest) = places::digest_in(&id) {
                found.push((text(&status["name"]), digest.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_from_documents_and_lists() {
        let printed = r#"{"kind":"Service","metadata":{"name":"a"}}
            {"kind":"List","items":[{"kind":"Deployment","metadata":{"name":"b","namespace":"n"}}]}"#;
        let objects = read(printed).unwrap();
        let titles: Vec<String> = objects.iter().map(title).collect();
        assert_eq!(titles, ["service/a", "deployment/b"]);
        let workloads: Vec<Workload> = objects.iter().filter_map(Workload::of).collect();
        assert_eq!(workloads.len(), 1);
        assert_eq!(workloads[0].namespace.as_deref(), Some("n"));
    }

    #[test]
    fn a_selector_is_written_as_kubectl_wants_it() {
        let workload = serde_json::json!({"spec": {"selector": {
            "matchLabels": {"app": "shop"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "new", "operator": "Exists"},
            ],
        }}});
        assert_eq!(selector(&workload), "app=shop,tier in (a,b),!old,new");
    }

    #[test]
    fn a_pod_that_ends_runs_nothing() {
        let digest = format!("sha256:{}", "c".repeat(64));
        let mut pod = serde_json::json!({"metadata": {}, "status": {"phase": "Running", "containerStatuses": [
            {"name": "app", "imageID": format!("docker-pullable://r/app@{digest}")},
            {"name": "new", "imageID": ""},
        ]}});
        assert_eq!(digests(&pod), [("app".to_owned(), digest)]);
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(digests(&pod), []);
    }
}
