//! Flowcharts drawn by real Mermaid in a headless browser: what can be read in the pictures.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engine::graph::{Collapse, Options, Picture, View, mermaid_label, picture, visible};
use serde_json::Value;

use crate::nasty::NASTY;
use crate::plans;
use crate::real::{folder, label, missing, skip};

const PAGE: &str = include_str!("page.html");
/// A browser that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn a_browser_draws_every_node_stage_and_label() {
    let views = plans::small_views();
    let pictures: Vec<Picture> = views[..3]
        .iter()
        .map(|v| picture(v, Options::default()))
        .collect();
    let Some(drawn) = draw(&pictures.iter().map(|p| p.text.clone()).collect::<Vec<_>>()) else {
        return;
    };
    for (drawn, picture) in drawn.iter().zip(&pictures) {
        assert_eq!(drawn["error"], Value::Null, "{}", picture.text);
        assert_eq!(drawn["svg"], true);
        let view = &picture.view;
        assert_eq!(texts(drawn, "nodes"), sorted(view.nodes.iter().map(label)));
        let stages = view.stages.iter().map(|s| visible(&s.name));
        assert_eq!(texts(drawn, "clusters"), sorted(stages));
    }
}

#[test]
fn a_browser_shows_text_of_any_kind_as_it_is() {
    let mut source = String::from("flowchart TD\n");
    // Mermaid itself writes `¶ß` for a semicolon while it works, and cannot tell the two apart.
    let own = |text: &&&str| !text.contains("¶ß");
    for (at, text) in NASTY.iter().filter(own).enumerate() {
        let label = mermaid_label(&visible(text));
        source += &format!("  n{at}[\"{label}\"]\n");
    }
    let Some(drawn) = draw(&[source]) else { return };
    assert_eq!(drawn[0]["error"], Value::Null);
    let wanted = NASTY.iter().filter(own).map(|text| match visible(text) {
        empty if empty.is_empty() => "\u{200b}".to_owned(),
        text => text,
    });
    assert_eq!(texts(&drawn[0], "nodes"), sorted(wanted));
}

#[test]
fn a_browser_draws_as_many_edges_as_are_allowed() {
    let view: View = plans::small_views().remove(4);
    let picture = picture(
        &view,
        Options {
            collapse: Collapse::Nothing,
            ..Options::default()
        },
    );
    assert_eq!(picture.edges.len(), 500);
    let Some(drawn) = draw(&[picture.text]) else {
        return;
    };
    assert_eq!(drawn[0]["error"], Value::Null);
    assert_eq!(
        texts(&drawn[0], "nodes"),
        sorted(picture.view.nodes.iter().map(label))
    );
}

/// The texts of one kind in a picture; a browser does not tell one blank from two.
fn texts(drawn: &Value, kind: &str) -> Vec<String> {
    let texts = drawn[kind].as_array().unwrap().iter();
    sorted(texts.map(|t| t.as_str().unwrap().to_owned()))
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let one_blank = |t: String| t.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut texts: Vec<String> = texts.map(one_blank).collect();
    texts.sort();
    texts
}

/// What a browser draws; nothing where there is none.
fn draw(sources: &[String]) -> Option<Vec<Value>> {
    if let Some(why) = missing() {
        skip(why);
        return None;
    }
    let Some(browser) = browser() else {
        skip("there is no Chromium; run tests/setup-mermaid.sh");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let sources = serde_json::to_string(sources)
        .unwrap()
        .replace('<', "\\u003c");
    std::fs::write(
        dir.path().join("diagrams.js"),
        format!("const diagrams = {sources};"),
    )
    .unwrap();
    std::fs::write(dir.path().join("page.html"), PAGE).unwrap();
    let script = folder().join("node_modules/mermaid/dist/mermaid.min.js");
    std::fs::copy(script, dir.path().join("mermaid.min.js")).unwrap();
    let page = dump(browser, dir.path());
    let (_, rest) = page
        .split_once("<pre id=\"result\">")
        .expect("the page is there");
    let (hex, _) = rest.split_once("</pre>").expect("the page is whole");
    assert!(!hex.is_empty(), "Mermaid did not come to an end");
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    Some(serde_json::from_slice(&bytes).unwrap())
}

fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| {
        let version = Command::new(name)
            .arg("--version")
            .stderr(Stdio::null())
            .output();
        version.is_ok_and(|o| o.status.success())
    })
}

/// The page after its scripts have ended.
fn dump(browser: &str, dir: &Path) -> String {
    let out = dir.join("out.html");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args([
            "--allow-file-access-from-files",
            "--virtual-time-budget=600000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", dir.join("page.html").display()))
        .stdout(std::fs::File::create(&out).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser hangs");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::read_to_string(out).unwrap()
}
