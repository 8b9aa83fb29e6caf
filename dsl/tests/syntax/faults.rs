//! Random texts and pipelines with random slips: never a panic, never a place outside the text.

use dsl::syntax::tree::{Node, Value};
use kdl::KdlDocument;
use proptest::prelude::*;

use super::slips::{NOISE, mutants};
use super::{PIPELINES, assert_spans, source};

fn check(text: &str) -> usize {
    let source = source(text);
    let (nodes, findings) = dsl::syntax::parse(&source);
    assert_spans(&source, &findings);
    assert!(findings.len() <= 100);
    assert!(
        findings.iter().all(|f| f.code.id != "E139"),
        "{text:?} {}",
        super::findings(text)
    );
    if findings.is_empty() {
        match KdlDocument::parse_v2(text) {
            Ok(library) => assert_same(&nodes, &library, text),
            // The library refuses `/-a;`, which is KDL.
            Err(_) if text.contains("/-") => {}
            Err(error) => panic!("{text:?} {error:?}"),
        }
    }
    findings.len()
}

/// What has no finding means the same to the KDL library.
fn assert_same(nodes: &[Node], library: &KdlDocument, text: &str) {
    assert_eq!(nodes.len(), library.nodes().len(), "{text}");
    for (node, other) in nodes.iter().zip(library.nodes()) {
        assert_eq!(node.name.value, other.name().value(), "{text}");
        let args = other.entries().iter().filter(|e| e.name().is_none());
        let args: Vec<_> = args.map(|e| e.value().as_string()).collect();
        let ours: Vec<_> = node.args.iter().map(Value::as_str).collect();
        assert_eq!(ours, args, "{text}");
        let props = other.entries().iter().filter(|e| e.name().is_some());
        assert_eq!(node.props.len(), props.count(), "{text}");
        assert_eq!(
            node.children.is_some(),
            other.children().is_some(),
            "{text}"
        );
        if let Some(children) = other.children() {
            assert_same(node.nodes(), children, text);
        }
    }
}

#[test]
fn pipelines_with_slips_are_answered() {
    let (mut faulty, mut sound) = (0, 0);
    for text in mutants(700) {
        match check(&text) {
            0 => sound += 1,
            _ => faulty += 1,
        }
    }
    println!("{faulty} with findings, {sound} without");
    assert!(faulty > 1_000 && sound > 400, "{faulty}, {sound}");
}

/// Where braces stand that are not part of a text.
fn braces(text: &str) -> impl Iterator<Item = usize> {
    let found = text.match_indices(['{', '}']);
    let alone = found.filter(|(at, _)| {
        let around = [
            text[..*at].chars().next_back(),
            text[at + 1..].chars().next(),
        ];
        around.into_iter().flatten().all(char::is_whitespace)
    });
    alone.map(|(at, _)| at)
}

#[test]
fn a_lost_brace_is_one_finding() {
    for text in PIPELINES {
        for at in braces(text) {
            let mut mutant = text.to_owned();
            let expected = match mutant.remove(at) {
                '{' => ["E102"],
                _ => ["E101"],
            };
            assert_eq!(super::codes(&mutant), expected, "{mutant}");
        }
    }
}

#[test]
fn a_doubled_brace_is_one_finding() {
    for text in PIPELINES {
        for at in braces(text) {
            let mut mutant = text.to_owned();
            mutant.insert(at, char::from(text.as_bytes()[at]));
            let expected = match text.as_bytes()[at] {
                b'{' => ["E122"],
                _ => ["E102"],
            };
            assert_eq!(super::codes(&mutant), expected, "{mutant}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_mix_of_marks_is_answered(
        marks in prop::collection::vec(prop::sample::select(&NOISE[..]), 0..60),
        words in prop::collection::vec("[a-z \n\t0-9.]{0,6}", 0..60),
    ) {
        let text: String = marks.iter().zip(&words).flat_map(|(m, w)| [*m, w.as_str()]).collect();
        check(&text);
    }
}
