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
            let value = expanded(&text(&variable["value"]), &told);
            told.insert(name, value);
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

/// A value as the kubelet makes it out of what is written: `$(NAME)` is a variable of `envFrom`, of an earlier line, or of
/// a Service; one that nobody knows stays as it is written, and `$$` is a `$`. With one that is hidden the whole is.
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>, and to the letter
/// `third_party/forked/golang/expansion` of Kubernetes.
fn expanded(written: &str, known: &BTreeMap<String, Told>) -> Told {
    let mut value = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        value += before;
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            value.push('$');
            rest = after;
            continue;
        }
        let named = rest.strip_prefix('(').and_then(|r| r.split_once(')'));
        let Some((name, after)) = named else {
            value.push('$');
            continue;
        };
        match known.get(name) {
            Some(Told::Value(known)) => value += known,
            Some(Told::Hidden) => return Told::Hidden,
            None if is_of_service(name) => return Told::Hidden,
            None => value += &format!("$({name})"),
        }
        rest = after;
    }
    Told::Value(value + rest)
}

/// Whether a variable has a name as those that the kubelet makes of the Services of a namespace, and alone knows.
fn is_of_service(name: &str) -> bool {
    let parts = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"];
    name.ends_with("_PORT") || parts.iter().any(|part| name.contains(part))
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

    /// What `WANTED` is with this line, after these lines and a source that has `A`.
    fn wanted(lines: &[(&str, &str)], line: &str) -> Told {
        let line = ("WANTED", line);
        let env: Vec<Value> = lines
            .iter()
            .chain([&line])
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        let container = json!({
            "envFrom": [
                {"configMapRef": {"name": "one"}},
                {"prefix": "P_", "secretRef": {"name": "two"}},
            ],
            "env": env,
        });
        let sources = BTreeMap::from([
            (
                "one",
                keys(&json!({"kind": "ConfigMap", "data": {"A": "1", "R": "$(A)"}})),
            ),
            (
                "two",
                keys(&json!({"kind": "Secret", "data": {"KEY": "c2VjcmV0"}})),
            ),
        ]);
        told(&container, &|_, name| sources.get(name))["WANTED"].clone()
    }

    fn is(text: &str) -> Told {
        Told::Value(text.to_owned())
    }

    #[test]
    fn a_reference_is_the_variable_of_an_earlier_line_or_of_a_source() {
        let lines = [("B", "2"), ("C", "$(B)$(B)")];
        assert_eq!(wanted(&lines, "x-$(A)-$(B)-$(C)-y"), is("x-1-2-22-y"));
        // The earlier line counts, and not the source that has the name, too.
        assert_eq!(wanted(&[("A", "own")], "$(A)"), is("own"));
        assert_eq!(wanted(&[("A", "$(A)0")], "$(A)"), is("10"));
    }

    #[test]
    fn a_reference_to_what_is_nowhere_or_only_later_stays_as_it_is_written() {
        assert_eq!(wanted(&[], "$(NONE)/$(A)"), is("$(NONE)/1"));
        assert_eq!(wanted(&[("C", "$(B)"), ("B", "2")], "$(C)"), is("$(B)"));
        assert_eq!(wanted(&[], "$(WANTED)"), is("$(WANTED)"));
    }

    #[test]
    fn two_dollars_are_one_and_begin_no_reference() {
        assert_eq!(wanted(&[], "$$(A)"), is("$(A)"));
        assert_eq!(wanted(&[], "$$$(A)"), is("$1"));
        assert_eq!(wanted(&[], "a$$b$$"), is("a$b$"));
    }

    #[test]
    fn what_is_no_reference_stays_as_it_is_written() {
        for text in ["$A", "${A}", "$", "a$", "$(A", "$(", "5$ (A)", "é$é"] {
            assert_eq!(wanted(&[], text), is(text));
        }
        assert_eq!(wanted(&[], "$()$(a b)"), is("$()$(a b)"));
        assert_eq!(wanted(&[], "$($(A)"), is("$($(A)"));
    }

    #[test]
    fn only_what_is_written_for_one_variable_is_expanded_and_that_once() {
        assert_eq!(wanted(&[], "$(R)"), is("$(A)"));
        assert_eq!(wanted(&[("B", "$$(A)")], "$(B)"), is("$(A)"));
    }

    #[test]
    fn with_a_part_of_a_secret_or_of_a_service_the_whole_is_hidden() {
        assert_eq!(wanted(&[], "x$(P_KEY)"), Told::Hidden);
        assert_eq!(wanted(&[("B", "$(P_KEY)")], "$(B)"), Told::Hidden);
        for name in [
            "DB_SERVICE_HOST",
            "DB_SERVICE_PORT_SQL",
            "DB_PORT",
            "DB_PORT_1_TCP_ADDR",
        ] {
            assert_eq!(wanted(&[], &format!("$({name})")), Told::Hidden);
        }
    }
}
