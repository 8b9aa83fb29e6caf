//! The tree of a text, and where its parts are.

use dsl::syntax::tree::{Node, Value, ValueKind};

use super::{PIPELINES, source};

fn parse(text: &str) -> (dsl::source::Source, Vec<Node>) {
    let source = source(text);
    let (nodes, findings) = dsl::syntax::parse(&source);
    assert_eq!(findings, [], "{text}");
    (source, nodes)
}

/// The tree with the text that each span covers.
fn draw(text: &str) -> String {
    let (source, nodes) = parse(text);
    let value = |v: &Value| {
        let ty = v.ty.as_ref().map(|t| format!("({})", source.slice(t.span)));
        let kind = match &v.kind {
            ValueKind::String(text) => format!("{text:?}"),
            ValueKind::Int(number) => format!("{number}"),
            ValueKind::Float(number) => format!("{number:?}"),
            ValueKind::Bool(truth) => format!("{truth}"),
            ValueKind::Null => "null".to_owned(),
        };
        format!(
            "{}{kind} from {:?}",
            ty.unwrap_or_default(),
            source.slice(v.span)
        )
    };
    fn walk(
        source: &dsl::source::Source,
        nodes: &[Node],
        depth: usize,
        value: &dyn Fn(&Value) -> String,
        out: &mut Vec<String>,
    ) {
        let indent = "  ".repeat(depth);
        for node in nodes {
            let (name, text) = (&node.name, source.slice(node.span));
            out.push(format!(
                "{indent}{} from {:?}: {text:?}",
                name.value,
                source.slice(name.span)
            ));
            out.extend(node.args.iter().map(|a| format!("{indent}- {}", value(a))));
            for prop in &node.props {
                let name = source.slice(prop.name.span);
                out.push(format!(
                    "{indent}- {} from {name:?} = {}",
                    prop.name.value,
                    value(&prop.value)
                ));
            }
            if let Some(block) = &node.children {
                out.push(format!("{indent}- block {:?}", source.slice(block.span)));
                walk(source, &block.nodes, depth + 1, value, out);
            }
        }
    }
    let mut out = Vec::new();
    walk(&source, &nodes, 0, &value, &mut out);
    out.join("\n")
}

#[test]
fn spans_cover_what_was_written() {
    insta::assert_snapshot!(draw("é (file)\"ü\" x=#\"y\"# \"k\"=(t) 1.50 {\n    b; /-c\n    d { }\n} // end\n"), @r##"
    é from "é": "é (file)\"ü\" x=#\"y\"# \"k\"=(t) 1.50 {\n    b; /-c\n    d { }\n}"
    - (file)"ü" from "\"ü\""
    - x from "x" = "y" from "#\"y\"#"
    - k from "\"k\"" = (t)1.5 from "1.50"
    - block "{\n    b; /-c\n    d { }\n}"
      b from "b": "b"
      d from "d": "d { }"
      - block "{ }"
    "##);
}

#[test]
fn values_are_decoded() {
    insta::assert_snapshot!(draw("a 0xff 1_000 -2 1e3 #true #null \"\\u{e9}\\n\" word \"\"\"\n    x\n      y\n    \"\"\" #inf\n"), @r##"
    a from "a": "a 0xff 1_000 -2 1e3 #true #null \"\\u{e9}\\n\" word \"\"\"\n    x\n      y\n    \"\"\" #inf"
    - 255 from "0xff"
    - 1000 from "1_000"
    - -2 from "-2"
    - 1000.0 from "1e3"
    - true from "#true"
    - null from "#null"
    - "é\n" from "\"\\u{e9}\\n\""
    - "word" from "word"
    - "x\n  y" from "\"\"\"\n    x\n      y\n    \"\"\""
    - inf from "#inf"
    "##);
}

#[test]
fn what_is_left_out_is_not_in_the_tree() {
    insta::assert_snapshot!(draw("/-a {\n}\nb /-1 /* 2 */ 3 /-x=4 /-{ c } \\ // more\n    5 { /-d; e }\n"), @r#"
    b from "b": "b /-1 /* 2 */ 3 /-x=4 /-{ c } \\ // more\n    5 { /-d; e }"
    - 3 from "3"
    - 5 from "5"
    - block "{ /-d; e }"
      e from "e": "e"
    "#);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_read() {
    insta::assert_snapshot!(draw("\u{feff}a {\r\n    b \"\"\"\r\n        c\r\n        d\r\n        \"\"\"\r\n}\r\n"), @r#"
    a from "a": "a {\r\n    b \"\"\"\r\n        c\r\n        d\r\n        \"\"\"\r\n}"
    - block "{\r\n    b \"\"\"\r\n        c\r\n        d\r\n        \"\"\"\r\n}"
      b from "b": "b \"\"\"\r\n        c\r\n        d\r\n        \"\"\""
      - "c\nd" from "\"\"\"\r\n        c\r\n        d\r\n        \"\"\""
    "#);
}

#[test]
fn words_with_marks_inside_are_texts() {
    insta::assert_snapshot!(draw("a *.rs rust:1.95 app@sha256:ab don't --flag -x <b> a|b & v1.2 ...\n"), @r#"
    a from "a": "a *.rs rust:1.95 app@sha256:ab don't --flag -x <b> a|b & v1.2 ..."
    - "*.rs" from "*.rs"
    - "rust:1.95" from "rust:1.95"
    - "app@sha256:ab" from "app@sha256:ab"
    - "don't" from "don't"
    - "--flag" from "--flag"
    - "-x" from "-x"
    - "<b>" from "<b>"
    - "a|b" from "a|b"
    - "&" from "&"
    - "v1.2" from "v1.2"
    - "..." from "..."
    "#);
}

#[test]
fn pipelines_have_no_findings() {
    let sizes = PIPELINES.map(|text| parse(text).1.len());
    assert_eq!(sizes, [9, 6, 3]);
}

#[test]
fn a_mistake_leaves_the_other_nodes_in_the_tree() {
    let (nodes, findings) =
        dsl::syntax::parse(&source("a 1\nb {\n    c 30m { e }\n    f\n}\nd 2\n"));
    let names =
        |nodes: &[Node]| -> Vec<String> { nodes.iter().map(|n| n.name.value.clone()).collect() };
    assert_eq!(
        (names(&nodes), findings.len()),
        (vec!["a".into(), "b".into(), "d".into()], 1)
    );
    assert_eq!(names(nodes[1].nodes()), ["f"]);
    let lost: Vec<_> = nodes[1].lost().iter().map(|s| (s.start, s.end)).collect();
    assert_eq!(lost, [(12, 23)]);
}
