//! Real Mermaid in Node: what it makes of a text, and what it should.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use engine::graph::{Edge, EdgeKind, End, Node, NodeKind, Picture, visible};
use serde_json::Value;

/// What Mermaid understood, or what it was meant to: lines that can be compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Structure {
    /// By id: label, shape and class.
    pub vertices: BTreeMap<String, String>,
    /// In the order in which they are written.
    pub edges: Vec<String>,
    /// By id: label and the nodes within.
    pub subgraphs: BTreeMap<String, String>,
    /// Why Mermaid refuses the text.
    pub error: Option<String>,
}

/// The folder with `package.json`.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/mermaid")
}

/// Says that a test did not run, or fails where all tests must.
pub fn skip(why: &str) {
    let required = std::env::var("PIPE_TESTS_REQUIRE_ALL").is_ok_and(|v| v == "1");
    assert!(!required, "{why}");
    // The harness keeps what a passing test prints; this is for people to see.
    let line = format!("SKIPPED: a test with real Mermaid: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Why real Mermaid is not there.
pub fn missing() -> Option<&'static str> {
    let there = folder().join("node_modules/mermaid/package.json").exists();
    (!there).then_some("tests/mermaid/node_modules is missing; run tests/setup-mermaid.sh")
}

/// What Mermaid makes of these texts; nothing where it is not installed.
pub fn read(texts: &[&str]) -> Option<Vec<Structure>> {
    if let Some(why) = missing() {
        skip(why);
        return None;
    }
    let started = Command::new("node")
        .arg("structure.mjs")
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut node = match started {
        Ok(node) => node,
        Err(error) => {
            skip(&format!("node cannot be started: {error}"));
            return None;
        }
    };
    let input = serde_json::to_vec(texts).unwrap();
    // Node reads everything before it writes anything.
    node.stdin.take().unwrap().write_all(&input).unwrap();
    let out = node.wait_with_output().unwrap();
    assert!(out.status.success(), "structure.mjs failed");
    let found: Vec<Value> = serde_json::from_slice(&out.stdout).unwrap();
    Some(found.iter().map(structure).collect())
}

fn structure(found: &Value) -> Structure {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let words = |v: &Value| list(v).iter().map(text).collect::<Vec<_>>().join(" ");
    let vertex = |v: &Value| {
        let (label, shape) = (text(&v["label"]), text(&v["shape"]));
        (
            text(&v["id"]),
            format!("{shape} {label:?} {}", words(&v["classes"])),
        )
    };
    let edge = |e: &Value| {
        assert_eq!(e["arrow"], "arrow_point");
        let (from, to, label) = (text(&e["from"]), text(&e["to"]), text(&e["label"]));
        format!("{from} {} {to} {label:?}", text(&e["stroke"]))
    };
    let subgraph = |s: &Value| {
        let mut nodes: Vec<String> = list(&s["nodes"]).iter().map(text).collect();
        nodes.sort();
        let label = text(&s["label"]);
        (text(&s["id"]), format!("{label:?} {}", nodes.join(" ")))
    };
    Structure {
        vertices: list(&found["vertices"]).iter().map(vertex).collect(),
        edges: list(&found["edges"]).iter().map(edge).collect(),
        subgraphs: list(&found["subgraphs"]).iter().map(subgraph).collect(),
        error: found["error"].as_str().map(str::to_owned),
    }
}

/// What Mermaid should make of a picture.
pub fn expected(picture: &Picture) -> Structure {
    let view = &picture.view;
    let nodes = view.nodes.iter().enumerate();
    let stages = view.stages.iter().enumerate().map(|(at, stage)| {
        let mut nodes: Vec<String> = stage.nodes.iter().map(|n| format!("n{n}")).collect();
        nodes.sort();
        let label = shown(&stage.name);
        (format!("s{at}"), format!("{label:?} {}", nodes.join(" ")))
    });
    Structure {
        vertices: nodes.map(|(at, n)| (format!("n{at}"), vertex(n))).collect(),
        edges: picture.edges.iter().map(edge).collect(),
        subgraphs: stages.collect(),
        error: None,
    }
}

/// The text of a label; an empty one is an invisible blank.
fn shown(text: &str) -> String {
    match visible(text) {
        empty if empty.is_empty() => "\u{200b}".to_owned(),
        text => text,
    }
}

/// The text in a node.
pub fn label(node: &Node) -> String {
    let mut lines = vec![shown(&node.label)];
    lines.extend(node.detail.as_deref().map(shown));
    lines.extend(node.status.map(|s| s.word().to_owned()));
    lines.join("\n")
}

fn vertex(node: &Node) -> String {
    let shape = match node.kind {
        NodeKind::Job | NodeKind::Push | NodeKind::Sign | NodeKind::Deploy => "square",
        NodeKind::Build | NodeKind::Stage => "subroutine",
        NodeKind::Image | NodeKind::Registry => "cylinder",
        NodeKind::Approve => "hexagon",
        NodeKind::Target => "stadium",
        NodeKind::Rollback => "lean_left",
        NodeKind::Release | NodeKind::Promote => "lean_right",
        NodeKind::Note => "round",
    };
    let class = node
        .status
        .map(|s| format!("is{}", s.word().replace('-', "")));
    format!("{shape} {:?} {}", label(node), class.unwrap_or_default())
}

fn edge(edge: &Edge) -> String {
    let end = |end| match end {
        End::Node(at) => format!("n{at}"),
        End::Stage(at) => format!("s{at}"),
        End::Legs(_) => panic!("legs are told apart in a picture"),
    };
    let (stroke, word) = match edge.kind {
        EdgeKind::Needs | EdgeKind::Flow | EdgeKind::Order => ("normal", ""),
        EdgeKind::Uses => ("normal", "uses"),
        EdgeKind::After => ("normal", "after"),
        EdgeKind::OnFailure => ("dotted", "on failure"),
        EdgeKind::Rollback => ("dotted", ""),
        EdgeKind::Promote => ("thick", ""),
    };
    let label = if edge.label.is_empty() {
        word
    } else {
        &edge.label
    };
    format!(
        "{} {stroke} {} {:?}",
        end(edge.from),
        end(edge.to),
        visible(label)
    )
}

/// The first differences, and the text.
pub fn report(found: &Structure, wanted: &Structure, text: &str) -> String {
    let mut out = String::new();
    let mut differ = |found: &[String], wanted: &[String]| {
        for line in found.iter().filter(|l| !wanted.contains(l)).take(5) {
            writeln!(out, "found   {line}").unwrap();
        }
        for line in wanted.iter().filter(|l| !found.contains(l)).take(5) {
            writeln!(out, "wanted  {line}").unwrap();
        }
    };
    let lines = |map: &BTreeMap<String, String>| -> Vec<String> {
        map.iter()
            .map(|(id, rest)| format!("{id} {rest}"))
            .collect()
    };
    differ(&lines(&found.vertices), &lines(&wanted.vertices));
    differ(&found.edges, &wanted.edges);
    differ(&lines(&found.subgraphs), &lines(&wanted.subgraphs));
    format!(
        "{:?}\n{out}\n{}",
        found.error,
        &text[..text.len().min(4000)]
    )
}
