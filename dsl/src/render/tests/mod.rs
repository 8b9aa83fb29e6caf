//! What findings look like to people, and that no text can make them look like something else.

mod pictures;
mod properties;

use super::{Style, human, plain_line};
use crate::codes::syntax::UNCLOSED_BLOCK;
use crate::diagnostic::{CodeInfo, Diagnostic};
use crate::source::{SourceId, SourceMap, Span};

const PLAIN: Style = Style {
    color: false,
    links: false,
    width: 80,
    unicode: true,
};

static UNUSED: CodeInfo = CodeInfo {
    id: "W900",
    title: "a name is never used",
    explanation: "Nothing refers to it.",
    bad: "",
    good: "",
};

const PIPELINE: &str = r#"pipeline "app" {
    step "build" {
        run "cargo build --release"
    }

    // between them
    step "deploy" {
        needs "biuld"
        run "./deploy.sh"
    }
}
"#;

fn file(text: &str) -> SourceMap {
    let mut sources = SourceMap::default();
    sources.add("pipeline.kdl", text);
    sources
}

/// The first place in the first file where `what` is written.
fn at(sources: &SourceMap, what: &str) -> Span {
    let source = sources.get(SourceId(0));
    let start = source.text.find(what).unwrap();
    Span::new(source.id, start, start + what.len())
}

fn error(message: &str, span: Span, label: &str) -> Diagnostic {
    Diagnostic::new(&UNCLOSED_BLOCK, message, span, label)
}

fn plain(d: Diagnostic, sources: &SourceMap) -> String {
    human(&[d], sources, &PLAIN)
}

#[test]
fn at_most_20_findings_in_the_order_of_the_file_each_once() {
    let sources = file(&"x\n".repeat(30));
    let mut all: Vec<_> = (0..30)
        .map(|n| {
            error(
                &format!("number {n}"),
                Span::new(SourceId(0), n * 2, n * 2 + 1),
                "",
            )
        })
        .collect();
    all.reverse();
    all.extend(all.clone());
    all[3].code = &UNUSED;
    all[33].code = &UNUSED;
    let text = human(&all, &sources, &PLAIN);
    let shown: Vec<_> = text.lines().filter(|l| l.contains("number ")).collect();
    let wanted: Vec<_> = (0..20).map(|n| format!("  × number {n}")).collect();
    assert_eq!(shown, wanted);
    let (_, end) = text.split_once("… and").unwrap();
    assert_eq!(
        end,
        " 10 more findings\n\n29 errors and 1 warning in pipeline.kdl\n\
         `pipe explain E101` tells more about a code\n"
    );
}

#[test]
fn more_labels_than_can_be_read_are_counted() {
    let sources = file(&"x y\n".repeat(30));
    let mut d = error("many", Span::new(SourceId(0), 0, 1), "");
    for n in 1..12 {
        d = d.label(Span::new(SourceId(0), n * 4, n * 4 + 1), "");
    }
    let text = plain(d, &sources);
    assert!(
        text.contains("  help: (4 more places not shown)\n"),
        "{text}"
    );
    assert!(!text.contains(" 10 │"), "{text}");
}

#[test]
fn findings_in_two_files_are_summed_up() {
    let mut sources = file(PIPELINE);
    let other = sources.add("ci/x.kdl", "x");
    let all = [
        error("second", Span::new(other, 0, 1), ""),
        Diagnostic::new(&UNUSED, "first", at(&sources, "\"app\""), ""),
    ];
    let text = human(&all, &sources, &PLAIN);
    assert!(text.find("first").unwrap() < text.find("second").unwrap());
    assert!(
        text.ends_with(
            "1 error and 1 warning in 2 files\n`pipe explain E101` tells more about a code\n"
        ),
        "{text}"
    );
}

#[test]
fn colours_and_links_are_there_only_when_asked_for() {
    let sources = file(PIPELINE);
    let d = error("no step", at(&sources, "\"biuld\""), "this").help("none");
    let color = Style {
        color: true,
        ..PLAIN
    };
    let colored = human(std::slice::from_ref(&d), &sources, &color);
    assert!(colored.contains("\x1b[31mE101\x1b[0m"), "{colored:?}");
    assert!(!colored.contains("\x1b]8"), "{colored:?}");
    let plain = plain(d, &sources);
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let mut stripped = String::new();
    for (n, part) in colored.split('\x1b').enumerate() {
        stripped.push_str(if n == 0 {
            part
        } else {
            part.split_once('m').unwrap().1
        });
    }
    assert_eq!(stripped, plain);
}

#[test]
fn no_findings_are_no_text() {
    assert_eq!(human(&[], &SourceMap::default(), &PLAIN), "");
}

#[test]
fn a_plain_line_is_one_line() {
    let sources = file(PIPELINE);
    let d = error(
        "no step\nis named `biuld\x1b`",
        at(&sources, "\"biuld\""),
        "this",
    );
    assert_eq!(
        plain_line(&d, &sources),
        "pipeline.kdl:8:15: error[E101]: no step is named `biuld␛`"
    );
}
