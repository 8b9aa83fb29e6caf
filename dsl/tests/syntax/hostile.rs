//! Texts made to cost time, memory or stack.

use super::{codes, source};

const MIB: usize = 1024 * 1024;

#[test]
fn slash_dashes_in_each_other_are_refused() {
    let nested = "a {\n/-b {\n/-c {\n/-d {\n/-e {\n/-f {\n}\n}\n}\n}\n}\n}\n";
    assert_eq!(codes(nested), ["E131"]);
    let glued = format!("a {}{}", "/-{".repeat(60), "}".repeat(60));
    assert_eq!(codes(&glued), ["E122", "E122", "E122", "E131"]);
}

#[test]
fn four_hundred_blocks_in_each_other_are_one_finding() {
    let text = format!("{}{}", "a {".repeat(400), "}".repeat(400));
    assert_eq!(codes(&text), ["E131"]);
}

#[test]
fn thousands_of_parentheses_are_one_finding() {
    assert_eq!(codes(&format!("a {}\n", ")".repeat(16_000))), ["E126"]);
}

#[test]
fn a_line_of_65536_columns_is_not_read() {
    assert_eq!(
        codes(&format!("a \"{}\"\n}}", "x".repeat(65_536))),
        ["E130"]
    );
}

#[test]
fn a_file_over_a_mebibyte_is_not_read() {
    assert_eq!(codes(&"a\n".repeat(MIB / 2)), ["E130"]); // too many nodes
    assert_eq!(codes(&"\n".repeat(MIB)), [""; 0]);
    assert_eq!(codes(&"\n".repeat(MIB + 1)), ["E130"]);
}

#[test]
fn a_node_with_too_many_values_is_refused() {
    let lines = |n: usize| format!("a{}\n", " \\\n1".repeat(n));
    assert_eq!(codes(&lines(10_000)), [""; 0]);
    assert_eq!(codes(&lines(10_001)), ["E130"]);
}

#[test]
fn at_most_a_hundred_findings_are_kept() {
    assert_eq!(codes(&"}\n".repeat(MIB / 2)).len(), 100);
    assert_eq!(codes(&"\"a\n".repeat(MIB / 3)).len(), 100);
    assert_eq!(codes(&"a 1x\n".repeat(MIB / 5)).len(), 100);
}

#[test]
fn a_comment_of_stars_is_skipped() {
    let text = format!("a /*{}*/ b\n", "*\n".repeat(MIB / 4));
    let (nodes, findings) = dsl::syntax::parse(&source(&text));
    assert_eq!((nodes.len(), findings.len()), (1, 0));
    assert_eq!(nodes[0].args[0].as_str(), Some("b"));
}

#[test]
fn unclosed_openers_by_the_hundred_thousand_are_answered() {
    for opener in [
        "a {\n", "/* x\n", "\"\n", "\"\"\"\n", "${\n", "[\n", "“\n", "/-\n", "(\n", "#\"\n",
    ] {
        assert_ne!(
            codes(&opener.repeat(MIB / opener.len())),
            [""; 0],
            "{opener}"
        );
    }
}
