//! The examples of the table of codes.

use super::codes;

/// Limits and the library's own refusals have no example that fits a page.
const WITHOUT_EXAMPLE: [&str; 3] = ["E130", "E138", "E139"];

#[test]
fn each_bad_example_has_its_finding_and_no_other() {
    for code in dsl::codes::syntax::ALL {
        let expected = match WITHOUT_EXAMPLE.contains(&code.id) {
            true => vec![],
            false => vec![code.id],
        };
        let mut found = codes(code.bad);
        found.dedup();
        assert_eq!(found, expected, "{}", code.bad);
    }
}

#[test]
fn each_good_example_has_no_finding() {
    for code in dsl::codes::syntax::ALL {
        assert_eq!(codes(code.good), [""; 0], "{}: {}", code.id, code.good);
    }
}

#[test]
fn every_code_but_the_limits_has_an_example() {
    let bare = dsl::codes::syntax::ALL.iter().filter(|c| c.bad.is_empty());
    let bare: Vec<_> = bare.map(|c| c.id).collect();
    assert_eq!(bare, WITHOUT_EXAMPLE);
}
