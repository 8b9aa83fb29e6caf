//! Whether the containers of a release would be told what the target asserts: by the manifests, or by what they name in the
//! cluster. Changes nothing, shows no value, and reads none of a Secret.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::objects::{Workload, text, title};
use super::{Kubernetes, Rendered};
use crate::deploy::driver::{Failure, Release};
use crate::deploy::hands::Hands;
use crate::deploy::settings::{Told, Variables};

/// Prints the keys of a Secret, and nothing else of it.
const KEYS: &str = "--output=go-template={{range $key, $value := .data}}{{$key}}{{\"\\n\"}}{{end}}";

/// What a ConfigMap or a Secret has, by key; `None` where there is none.
type Source = Option<BTreeMap<String, Told>>;

/// What is looked into: its kind, its namespace, its name.
type Named = (&'static str, Option<String>, String);

impl Kubernetes {
    /// Whether the containers that get the images are told what they must be.
    pub(super) async fn assert(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        if self.settings.0.is_empty() {
            return Ok(());
        }
        let rendered = self.rendered(release, hands).await?;
        let mut all = Vec::new();
        let mut sources = BTreeMap::new();
        for workload in &rendered.workloads {
            let is_it = |o: &&Value| Workload::of(o).as_ref() == Some(workload);
            let object = match rendered.objects.iter().find(is_it) {
                Some(object) => Some(object.clone()),
                None => self.live(workload, hands).await?,
            };
            let Some(object) = object else { continue };
            let namespace = object["metadata"]["namespace"].as_str().map(str::to_owned);
            for container in ours(&object, &rendered) {
                for named in named(container, namespace.as_deref()) {
                    if let Entry::Vacant(place) = sources.entry(named) {
                        let source = self.source(place.key(), &rendered.objects, hands).await?;
                        place.insert(source);
                    }
                }
                let look = |kind: &'static str, name: &str| {
                    let named = (kind, namespace.clone(), name.to_owned());
                    sources.get(&named).and_then(Option::as_ref)
                };
                all.push(Variables {
                    place: format!("{} of {}", text(&container["name"]), workload.title()),
                    told: told(container, &look),
                });
            }
        }
        self.settings.in_containers(&self.target, &all)
    }

    /// What a ConfigMap or a Secret has: in the manifests, or else in the cluster.
    async fn source(
        &self,
        named: &Named,
        objects: &[Value],
        hands: &mut Hands,
    ) -> Result<Source, Failure> {
        let (kind, namespace, name) = named;
        let wanted = format!("{kind}/{name}");
        if let Some(object) = objects.iter().find(|o| title(o) == wanted) {
            return Ok(Some(keys(object)));
        }
        let output = if *kind == "secret" {
            KEYS
        } else {
            "--output=json"
        };
        let mut args = vec!["get", kind, name, "--ignore-not-found", output];
        let namespace = namespace.as_ref().map(|n| format!("--namespace={n}"));
        args.extend(namespace.as_deref());
        let printed = self.run(self.call(&args).quiet().muted(), hands).await?;
        if *kind == "secret" {
            let keys: BTreeMap<String, Told> = printed
                .lines()
                .map(|key| (key.to_owned(), Told::Hidden))
                .collect();
            return Ok((!keys.is_empty()).then_some(keys));
        }
        Ok(super::objects::read(&printed)?.first().map(keys))
    }
}

/// The containers of a workload that get an image of the release.
fn ours<'o>(object: &'o Value, rendered: &'o Rendered) -> impl Iterator<Item = &'o Value> {
    let places = rendered.placed.get(&title(object));
    let spec = &object["spec"]["template"]["spec"];
    let all = ["containers", "initContainers"];
    let all = all
        .into_iter()
        .flat_map(|field| spec[field].as_array().into_iter().flatten());
    all.filter(move |c| places.is_some_and(|p| p.contains_key(&text(&c["name"]))))
}

/// The ConfigMaps and Secrets that a container's variables come from.
fn named(container: &Value, namespace: Option<&str>) -> BTreeSet<Named> {
    let each = |field: &str| container[field].as_array().into_iter().flatten();
    let whole = each("envFrom").flat_map(|from| {
        [
            ("configmap", &from["configMapRef"]),
            ("secret", &from["secretRef"]),
        ]
    });
    let keys = each("env").flat_map(|var| {
        let from = &var["valueFrom"];
        [
            ("configmap", &from["configMapKeyRef"]),
            ("secret", &from["secretKeyRef"]),
        ]
    });
    let namespace = namespace.map(str::to_owned);
    whole
        .chain(keys)
        .filter(|(_, source)| source["name"].is_string())
        .map(|(kind, source)| (kind, namespace.clone(), text(&source["name"])))
        .collect()
}

/// What a container is told: of two sources the later one counts, and what is written for one variable more than both.
fn told<'s>(
    container: &Value,
    look: &impl Fn(&'static str, &str) -> Option<&'s BTreeMap<String, Told>>,
) -> BTreeMap<String, Told> {
    let mut told = BTreeMap::new();
    for from in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = text(&from["prefix"]);
        for (kind, field) in [("configmap", "configMapRef"), ("secret", "secretRef")] {
            for (key, value) in look(kind, &text(&from[field]["name"]))
                .into_iter()
                .flatten()
            {
                told.insert(format!("{prefix}{key}"), value.clone());
            }
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = text(&variable["name"]);
        let from = &variable["valueFrom"];
        if from.is_null() {
            told.insert(name, Told::Value(text(&variable["value"])));
            continue;
        }
        let known = [("configmap", "configMapKeyRef"), ("secret", "secretKeyRef")];
        let known = known.into_iter().find(|(_, field)| from[field].is_object());
        let value = match known {
            Some((kind, field)) => look(kind, &text(&from[field]["name"]))
                .and_then(|source| source.get(&text(&from[field]["key"])))
                .cloned(),
            // The platform itself knows it, once it runs.
            None => Some(Told::Hidden),
        };
        if let Some(value) = value {
            told.insert(name, value);
        }
    }
    told
}

/// What an object of the manifests has, by key.
fn keys(object: &Value) -> BTreeMap<String, Told> {
    let is_secret = object["kind"] == "Secret";
    let mut found = BTreeMap::new();
    for field in ["data", "stringData"] {
        for (key, value) in object[field].as_object().into_iter().flatten() {
            let value = match is_secret {
                true => Told::Hidden,
                false => Told::Value(text(value)),
            };
            found.insert(key.clone(), value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_comes_from_the_last_source_that_has_it_and_from_its_own_line_before_all() {
        let container = json!({
            "envFrom": [
                {"configMapRef": {"name": "one"}},
                {"prefix": "P_", "secretRef": {"name": "two"}},
                {"configMapRef": {"name": "gone", "optional": true}},
            ],
            "env": [
                {"name": "B", "value": "own"},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "A"}}},
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "two", "key": "none"}}},
                {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
        });
        let one = json!({"kind": "ConfigMap", "data": {"A": "1", "B": "2"}});
        let two = json!({"kind": "Secret", "data": {"KEY": "c2VjcmV0"}, "stringData": {"MORE": "secret"}});
        let sources = BTreeMap::from([
            ("one".to_owned(), keys(&one)),
            ("two".to_owned(), keys(&two)),
        ]);
        let told = told(&container, &|_, name| sources.get(name));
        let value = |text: &str| Told::Value(text.to_owned());
        let expected = [
            ("A", value("1")),
            ("B", value("own")),
            ("C", value("1")),
            ("E", Told::Hidden),
            ("P_KEY", Told::Hidden),
            ("P_MORE", Told::Hidden),
        ];
        let expected = expected.map(|(name, told)| (name.to_owned(), told));
        assert_eq!(told, BTreeMap::from(expected));
        let named: Vec<String> = named(&container, None)
            .into_iter()
            .map(|(k, _, n)| format!("{k}/{n}"))
            .collect();
        assert_eq!(named, ["configmap/gone", "configmap/one", "secret/two"]);
    }
}
