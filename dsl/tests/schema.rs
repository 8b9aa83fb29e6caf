//! Every example of the schema table can be written where its node belongs.

use dsl::Files;
use dsl::diagnostic::Severity;
use dsl::schema::{self, NodeSchema};

/// What examples name. A line goes where the example declares the same thing itself.
const AROUND: &[&str] = &[
    "secret GITHUB_TOKEN",
    "secret NPM_TOKEN",
    "secret SSH_KEY",
    "secret STAGING_SSH_KEY",
    "secret SLACK_WEBHOOK",
    "secret CACHE_ID",
    "secret CACHE_KEY",
    "secret CACHE_SIGN",
    "secret SIGNING_KEY",
    "secret SIGNING_PASSWORD",
    "registry ghcr \"ghcr.io/acme\"",
    "registry ecr \"public.ecr.aws/acme\"",
    "version next semantic=conventional-commits",
    "version app fixed=\"1.2.3\"",
    "target staging { container app; ready \"http://127.0.0.1/\" }",
    "target production { container app; ready \"http://127.0.0.1/\" }",
    "promotion to-production from=staging to=production { images app }",
    "template cargo-test { param crate; job unit { env CRATE=\"${param.crate}\"; run \"cargo test\" } }",
    "stage before {
    job test { matrix { os linux macos }; run \"make test\" }
    job lint { run \"make lint\" }
    job docs { run \"make docs\" }
    build app
    build migrator
    push app migrator to=ghcr tag=edge
    deploy app migrator to=staging
}",
];

struct Common;

impl Files for Common {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "ci/common.kdl" => Ok("secret COMMON\n".into()),
            _ => Err("there is no such file".into()),
        }
    }
}

/// The example in a whole pipeline: in blocks of the nodes around it.
fn pipeline(path: &str, node: &NodeSchema) -> String {
    let word = node.example.split([' ', '\n']).next().unwrap_or_default();
    // Some examples show the node in a larger one.
    let place = match word == node.name {
        true => path.to_owned(),
        false => schema::find(word).expect("examples begin with a node")[0]
            .0
            .clone(),
    };
    let body = within(&place, node.example);
    let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let declared: Vec<String> = body.lines().map(words).collect();
    let around = AROUND
        .iter()
        .filter(|line| !declared.contains(&words(line)));
    let around: Vec<&str> = around.copied().collect();
    format!("{}\n{body}\n", around.join("\n"))
}

fn within(place: &str, body: &str) -> String {
    let (parent, name) = place.rsplit_once('.').unwrap_or(("", place));
    let outer = |block: &str| within(parent, block);
    match parent {
        "" if schema::root().child(name).is_some() => match name {
            "stage" | "pipeline" | "template" => body.to_owned(),
            _ => format!("{body}\n"),
        },
        "" if matches!(name, "when" | "unless") => {
            format!("stage s {{\n{body}\njob j {{ run \"make\" }}\n}}")
        }
        "" => format!("stage s {{\n{body}\n}}"),
        "pipeline" => outer(&format!("pipeline p {{\n{body}\n}}")),
        "param" => outer(&format!("param p type=enum {{\n{body}\n}}")),
        "registry" => outer(&format!("registry r \"ghcr.io/acme\" {{\n{body}\n}}")),
        "promotion" if name == "images" => outer(&format!(
            "promotion p from=staging to=production {{\n{body}\n}}"
        )),
        "promotion" => outer(&format!(
            "promotion p from=staging to=production {{\nimages app\n{body}\n}}"
        )),
        "notify" if name == "run" => outer(&format!("notify command {{\n{body}\n}}")),
        "notify" => outer(&format!(
            "notify slack webhook=SLACK_WEBHOOK {{\n{body}\n}}"
        )),
        "target" => {
            let driver = match name {
                "container" | "compose" | "kubernetes" | "ecs" | "run" => "",
                _ => "container app",
            };
            outer(&format!("target t {{\n{driver}\n{body}\n}}"))
        }
        "target.compose" => outer(&format!("compose \"compose.yml\" {{\n{body}\n}}")),
        "target.container" => outer(&format!("container app {{\n{body}\n}}")),
        "target.run" => outer(&format!("run {{\n{body}\n}}")),
        "build" | "image" => outer(&format!("build other {{\n{body}\n}}")),
        "deploy" => outer(&format!(
            "deploy app to=staging as=again {{\n{body}\n}}\njob pack {{\nrun \"make\"\n}}"
        )),
        "push" => outer(&format!("push app to=ghcr as=again {{\n{body}\n}}")),
        "job" => {
            let run = match name {
                "run" => "",
                "service" => "container \"python:3.11\"\nrun \"make\"",
                _ => "run \"make\"",
            };
            outer(&format!("job j {{\n{body}\n{run}\n}}"))
        }
        "job.cache" => {
            let key = if name == "restore" { "key os arch" } else { "" };
            outer(&format!("cache c \"~/.cache/c\" {{\n{key}\n{body}\n}}"))
        }
        "job.matrix" => outer(&format!(
            "matrix {{\nos linux macos\nrust stable beta\n{body}\n}}"
        )),
        parent => panic!("say here how to write what stands in `{parent}`: {place}"),
    }
}

#[test]
fn every_example_loads_where_it_belongs() {
    let mut wrong = Vec::new();
    for (path, node) in schema::all().iter().skip(1) {
        if node.example.is_empty() {
            wrong.push(format!("{path} has no example"));
            continue;
        }
        let text = pipeline(path, node);
        let loaded = dsl::load(&Common, "pipeline.kdl", text.clone());
        let errors = loaded
            .diagnostics
            .iter()
            .filter(|d| d.severity() == Severity::Error);
        wrong.extend(errors.map(|d| format!("{path}: {} {} in\n{text}", d.code.id, d.message)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_node_and_field_says_what_it_is() {
    for (path, node) in schema::all().iter().skip(1) {
        assert!(node.doc.ends_with('.'), "{path}: {}", node.doc);
        let fields = node
            .args
            .iter()
            .chain(&node.rest)
            .chain(node.props)
            .chain(&node.open_props);
        for field in fields.chain(&node.open_children) {
            assert!(
                field.doc.ends_with('.'),
                "{path}.{}: {}",
                field.name,
                field.doc
            );
        }
    }
}
