//! What holds for any text and any places.

use super::super::{github, json, sarif, stand_in};
use super::*;
use crate::diagnostic::Label;
use proptest::prelude::*;

fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z {}\"]{0,12}",
        2 => "\\PC{0,6}",
        2 => any::<char>().prop_map(String::from),
        1 => Just("\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just("\t".to_owned()),
        1 => Just("日本🚀\u{301}".to_owned()),
        1 => Just(")".repeat(700)),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|p| p.concat())
}

fn labels() -> impl Strategy<Value = Vec<(u32, u32, u32, String)>> {
    let near = prop_oneof![0..60u32, 0..3000u32, Just(u32::MAX)];
    let label = (0..2u32, near.clone(), near, texts());
    prop::collection::vec(label, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_with_any_places_is_drawn_small_and_harmless(
        first in texts(),
        second in texts(),
        findings in prop::collection::vec((labels(), texts(), prop::option::of(texts())), 1..3),
        width in prop_oneof![Just(0usize), 40..120usize, Just(usize::MAX)],
        unicode in any::<bool>(),
    ) {
        let mut sources = file(&first);
        sources.add("ci/\x1b\u{202e}x.kdl", second);
        let all: Vec<_> = findings
            .into_iter()
            .map(|(labels, message, help)| Diagnostic {
                code: &UNCLOSED_BLOCK,
                message,
                labels: labels
                    .into_iter()
                    .map(|(file, a, b, text)| Label {
                        span: Span { source: SourceId(file), start: a.min(b), end: a.max(b) },
                        text,
                    })
                    .collect(),
                help,
                missing: None,
            })
            .collect();
        let style = Style { width, unicode, ..PLAIN };
        let text = human(&all, &sources, &style);
        prop_assert!(text.len() < 64 * 1024, "{} bytes", text.len());
        let raw = |c: char| c != '\n' && stand_in(c, true).is_some();
        prop_assert!(!text.contains(raw), "{text:?}");
        let colored = human(&all, &sources, &Style { color: true, ..style });
        prop_assert!(!colored.contains(|c: char| c != '\x1b' && raw(c)), "{colored:?}");
        for other in [
            github(&all, &sources),
            json(&all, &sources),
            sarif(&all, &sources, "1"),
            plain_line(&all[0], &sources),
        ] {
            prop_assert!(!other.contains(raw), "{other:?}");
        }
    }
}
