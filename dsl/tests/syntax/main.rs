//! Texts that are no pipelines, and pipelines with every kind of slip, are answered with findings.

mod examples;
mod faults;
mod format;
mod hostile;
mod mistakes;
mod slips;
mod trees;
mod values;

use dsl::diagnostic::Diagnostic;
use dsl::source::{Source, SourceMap};

/// Pipelines that use the whole notation.
const PIPELINES: [&str; 3] = [
    include_str!("pipelines/registries.kdl"),
    include_str!("pipelines/compose.kdl"),
    include_str!("pipelines/scripts.kdl"),
];

fn source(text: &str) -> Source {
    let mut map = SourceMap::default();
    let id = map.add("pipeline.kdl", text);
    map.get(id).clone()
}

/// `code line:column-column message | help`, one finding in each line.
fn findings(text: &str) -> String {
    let source = source(text);
    let (_, findings) = dsl::syntax::parse(&source);
    let lines: Vec<_> = findings.iter().map(|f| line(&source, f)).collect();
    lines.join("\n")
}

fn line(source: &Source, finding: &Diagnostic) -> String {
    let span = finding.span();
    let (line, from) = source.line_column(span.start);
    let to = from + source.slice(span).chars().count();
    let help = finding.help.as_deref().unwrap_or("");
    let (code, message) = (finding.code.id, &finding.message);
    format!("{code} {line}:{from}-{to} {message} | {help}")
}

/// The codes of the findings, in order.
fn codes(text: &str) -> Vec<&'static str> {
    let (_, findings) = dsl::syntax::parse(&source(text));
    findings.iter().map(|f| f.code.id).collect()
}

/// Every span lies in the text, on the boundaries of characters.
fn assert_spans(source: &Source, findings: &[Diagnostic]) {
    for label in findings.iter().flat_map(|f| &f.labels) {
        let range = label.span.start as usize..label.span.end as usize;
        let found = source.text.get(range);
        assert!(found.is_some(), "{:?} in {:?}", label.span, source.text);
    }
}
