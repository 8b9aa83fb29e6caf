//! Findings as SARIF 2.1.0, which code scanning services read. Knows that format's shape.

use super::json::to_text;
use super::{Region, in_order, word};
use crate::diagnostic::{Code, Diagnostic, Label};
use crate::source::SourceMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All findings as one run of the tool `pipe` of this version.
#[must_use]
pub fn sarif(diagnostics: &[Diagnostic], sources: &SourceMap, version: &str) -> String {
    let findings = in_order(diagnostics);
    let codes: BTreeMap<&str, Code> = findings.iter().map(|d| (d.code.id, d.code)).collect();
    let ids: Vec<&str> = codes.keys().copied().collect();
    let results = findings.iter().map(|d| result(d, &ids, sources));
    to_text(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "pipe",
                "version": version,
                "rules": codes.values().map(|c| rule(c)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    }))
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.id,
        "shortDescription": { "text": code.title },
        "help": { "text": code.explanation, "markdown": code.explanation },
        "defaultConfiguration": { "level": word(code.severity()) },
    })
}

fn result(d: &Diagnostic, ids: &[&str], sources: &SourceMap) -> Value {
    let text = match &d.help {
        Some(help) => format!("{}\n{help}", d.message),
        None => d.message.clone(),
    };
    let mut result = json!({
        "ruleId": d.code.id,
        "ruleIndex": ids.iter().position(|id| *id == d.code.id),
        "level": word(d.severity()),
        "message": { "text": text },
        "locations": [location(&d.labels[0], sources)],
    });
    if d.labels.len() > 1 {
        let related = d.labels[1..].iter().enumerate().map(|(at, label)| {
            let mut location = location(label, sources);
            location["id"] = json!(at + 1);
            location
        });
        result["relatedLocations"] = related.collect();
    }
    result
}

fn location(label: &Label, sources: &SourceMap) -> Value {
    let region = Region::of(label.span, sources);
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&sources.get(label.span.source).name) },
            "region": {
                "startLine": region.line,
                "startColumn": region.column,
                "endLine": region.end_line,
                "endColumn": region.end_column,
            },
        },
    });
    if !label.text.is_empty() {
        location["message"] = json!({ "text": label.text });
    }
    location
}

/// A relative reference; a `:` is encoded too because it would end a scheme.
fn uri(name: &str) -> String {
    let encode = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(b).to_string()
        }
        _ => format!("%{b:02X}"),
    };
    name.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::syntax::UNCLOSED_BLOCK;
    use crate::diagnostic::CodeInfo;
    use crate::source::Span;

    static UNUSED: CodeInfo = CodeInfo {
        id: "W900",
        title: "a name is never used",
        explanation: "Nothing refers to it.",
        bad: "",
        good: "",
    };

    fn document() -> Value {
        let mut sources = SourceMap::default();
        let main = sources.add("pipeline.kdl", "ü {\n  x\n");
        let other = sources.add("ci/a b#1:ü.kdl", "use x\n");
        let findings = [
            Diagnostic::new(&UNUSED, "`x` is unused", Span::new(other, 4, 5), ""),
            Diagnostic::new(
                &UNCLOSED_BLOCK,
                "never closed",
                Span::new(main, 3, 8),
                "this",
            )
            .label(Span::new(other, 0, 3), "used here")
            .help("write `}`"),
        ];
        serde_json::from_str(&sarif(&findings, &sources, "0.1.0")).unwrap()
    }

    #[test]
    fn the_rules_are_the_codes_that_were_used() {
        assert_eq!(
            document()["runs"][0]["tool"],
            json!({ "driver": { "name": "pipe", "version": "0.1.0", "rules": [
                {
                    "id": "E101",
                    "shortDescription": { "text": UNCLOSED_BLOCK.title },
                    "help": {
                        "text": UNCLOSED_BLOCK.explanation,
                        "markdown": UNCLOSED_BLOCK.explanation,
                    },
                    "defaultConfiguration": { "level": "error" },
                },
                {
                    "id": "W900",
                    "shortDescription": { "text": "a name is never used" },
                    "help": {
                        "text": "Nothing refers to it.",
                        "markdown": "Nothing refers to it.",
                    },
                    "defaultConfiguration": { "level": "warning" },
                },
            ]}})
        );
    }

    #[test]
    fn a_result_has_its_place_and_the_other_labels_as_related_places() {
        let results = document()["runs"][0]["results"].clone();
        assert_eq!(
            results[0],
            json!({
                "ruleId": "E101",
                "ruleIndex": 0,
                "level": "error",
                "message": { "text": "never closed\nwrite `}`" },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": "pipeline.kdl" },
                        "region": {
                            "startLine": 1, "startColumn": 3, "endLine": 2, "endColumn": 4,
                        },
                    },
                    "message": { "text": "this" },
                }],
                "relatedLocations": [{
                    "id": 1,
                    "physicalLocation": {
                        "artifactLocation": { "uri": "ci/a%20b%231%3A%C3%BC.kdl" },
                        "region": {
                            "startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 4,
                        },
                    },
                    "message": { "text": "used here" },
                }],
            })
        );
        assert_eq!(results[1]["ruleIndex"], 1);
        assert_eq!(results[1]["relatedLocations"], Value::Null);
        assert_eq!(results.as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_document_says_what_it_is_and_how_columns_count() {
        let document = document();
        assert_eq!(document["version"], "2.1.0");
        assert_eq!(document["runs"].as_array().unwrap().len(), 1);
        assert_eq!(document["runs"][0]["columnKind"], "unicodeCodePoints");
    }
}
