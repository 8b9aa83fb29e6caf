//! Any text: `parse` answers with places inside it, and `format` keeps its meaning.
//! Run with `cargo +nightly fuzz run syntax ../tests/syntax/pipelines` in this folder.

#![no_main]

use dsl::source::{Source, SourceMap};
use dsl::syntax::{format, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = source(text);
    let (nodes, findings) = parse(&source);
    for label in findings.iter().flat_map(|f| &f.labels) {
        let range = label.span.start as usize..label.span.end as usize;
        assert!(text.get(range).is_some());
    }
    let Ok(formatted) = format(&source) else {
        return;
    };
    let names = |nodes: &[dsl::syntax::tree::Node]| -> Vec<String> {
        nodes.iter().map(|n| n.name.value.clone()).collect()
    };
    let again = self::source(&formatted);
    assert_eq!(names(&parse(&again).0), names(&nodes));
    assert_eq!(format(&again).ok().as_ref(), Some(&formatted));
});

fn source(text: &str) -> Source {
    let mut map = SourceMap::default();
    let id = map.add("pipeline.kdl", text);
    map.get(id).clone()
}
