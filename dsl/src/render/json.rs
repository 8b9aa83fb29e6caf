//! Findings as one JSON document, for programs. Keeps every finding and every label.

use super::{Region, count, in_order, word};
use crate::diagnostic::{Diagnostic, Label};
use crate::source::SourceMap;
use serde::Serialize;

/// All findings as `{"format":1,"findings":[…],"errors":n,"warnings":n}`.
#[must_use]
pub fn json(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let findings = in_order(diagnostics);
    let (errors, warnings) = count(&findings);
    to_text(&Document {
        format: 1,
        findings: findings.iter().map(|d| finding(d, sources)).collect(),
        errors,
        warnings,
    })
}

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    findings: Vec<Finding<'a>>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct Finding<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    help: Option<&'a str>,
    labels: Vec<Place<'a>>,
}

/// Lines and columns count characters from 1; `start` and `end` are bytes from 0.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    start: u32,
    end: u32,
    text: &'a str,
}

fn finding<'a>(d: &'a Diagnostic, sources: &'a SourceMap) -> Finding<'a> {
    Finding {
        code: d.code.id,
        severity: word(d.severity()),
        message: &d.message,
        help: d.help.as_deref(),
        labels: d.labels.iter().map(|l| place(l, sources)).collect(),
    }
}

fn place<'a>(label: &'a Label, sources: &'a SourceMap) -> Place<'a> {
    let region = Region::of(label.span, sources);
    Place {
        file: &sources.get(label.span.source).name,
        line: region.line,
        column: region.column,
        end_line: region.end_line,
        end_column: region.end_column,
        start: label.span.start,
        end: label.span.end,
        text: &label.text,
    }
}

/// JSON in which characters that act on a terminal are escaped. They can only be inside strings,
/// and JSON itself asks that of the ASCII ones alone.
pub(super) fn to_text(document: &impl Serialize) -> String {
    let json = serde_json::to_string(document).unwrap_or_default();
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if super::stand_in(c, true).is_none() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::syntax::UNCLOSED_BLOCK;
    use crate::source::Span;

    #[test]
    fn every_label_has_its_place_in_lines_and_in_bytes() {
        let mut sources = SourceMap::default();
        let id = sources.add("pipeline.kdl", "é {\n  x\n");
        let d = Diagnostic::new(&UNCLOSED_BLOCK, "never closed", Span::new(id, 3, 4), "here")
            .label(Span::new(id, 0, 8), "")
            .help("write `}`");
        assert_eq!(
            json(&[d.clone(), d], &sources),
            concat!(
                r#"{"format":1,"findings":[{"code":"E101","severity":"error","#,
                r#""message":"never closed","help":"write `}`","labels":["#,
                r#"{"file":"pipeline.kdl","line":1,"column":3,"endLine":1,"endColumn":4,"#,
                r#""start":3,"end":4,"text":"here"},"#,
                r#"{"file":"pipeline.kdl","line":1,"column":1,"endLine":2,"endColumn":4,"#,
                r#""start":0,"end":8,"text":""}]}],"errors":1,"warnings":0}"#,
            )
        );
    }

    #[test]
    fn characters_that_act_on_a_terminal_are_escaped_and_come_back() {
        let mut sources = SourceMap::default();
        let id = sources.add("pipeline.kdl", "");
        let message = "\x1b \u{9b} \u{202e} \u{e0041} ü";
        let d = Diagnostic::new(&UNCLOSED_BLOCK, message, Span::new(id, 0, 0), "");
        let text = json(&[d], &sources);
        assert!(
            text.contains(r#""\u001b \u009b \u202e \udb40\udc41 ü""#),
            "{text}"
        );
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["findings"][0]["message"], message);
    }

    #[test]
    fn no_findings_are_an_empty_list() {
        assert_eq!(
            json(&[], &SourceMap::default()),
            r#"{"format":1,"findings":[],"errors":0,"warnings":0}"#
        );
    }
}
