//! Durations, sizes, paths, names, and what `${…}` becomes.

use std::time::Duration;

use dsl::expr::{Call, Lookup, Ref, Template, parse};
use dsl::source::{SourceMap, Span};
use dsl::units::{duration, env_name, name, relative_path, show_duration, size};

#[test]
fn durations_are_numbers_with_units_that_fall() {
    let good = [
        ("90s", 90_000),
        ("30m", 1_800_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("250ms", 250),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
    ];
    for (text, millis) in good {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "30",
        "m",
        "30m1h",
        "1m1m",
        "-1s",
        "1.5h",
        "30 m",
        "10 minutes",
        "1y",
        "99999999999999999999s",
        "4000d",
    ] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn a_duration_is_shown_as_people_write_it() {
    for text in ["0s", "90ms", "1m30s", "2h", "7d", "1d1ms"] {
        assert_eq!(show_duration(duration(text).unwrap()), text);
    }
    assert_eq!(show_duration(duration("90s").unwrap()), "1m30s");
}

#[test]
fn sizes_know_both_kinds_of_units() {
    assert_eq!(size("512MiB"), Ok(512 << 20));
    assert_eq!(size("10GB"), Ok(10_000_000_000));
    assert_eq!(size("1B"), Ok(1));
    for text in [
        "",
        "512",
        "MiB",
        "1 GiB",
        "1gib",
        "1.5GiB",
        "1GiB2MiB",
        "99999999999TiB",
    ] {
        assert!(size(text).is_err(), "{text}");
    }
}

#[test]
fn paths_stay_beneath_the_folder() {
    for text in [".", "a", "a/b", "a..b", ".github"] {
        assert_eq!(relative_path(text), Ok(()), "{text}");
    }
    for text in ["", "/etc", "~/x", "..", "a/../../b", "a\\b", "a\nb"] {
        assert!(relative_path(text).is_err(), "{text}");
    }
}

#[test]
fn names_are_words_of_any_alphabet() {
    for text in ["a", "build-app", "_json", "größe", "x1"] {
        assert_eq!(name(text), Ok(()), "{text}");
    }
    for text in ["", "-a", "a b", "a.b", "a/b", "\u{202e}a", &"x".repeat(65)] {
        assert!(name(text).is_err(), "{text}");
    }
    assert_eq!(env_name("NPM_TOKEN"), Ok(()));
    for text in ["", "1A", "A-B", "Ä"] {
        assert!(env_name(text).is_err(), "{text}");
    }
}

/// The template, or the codes of its findings.
fn template(text: &str) -> Result<Template, Vec<&'static str>> {
    let mut sources = SourceMap::default();
    let id = sources.add("t", format!("\"{text}\""));
    let mut found = Vec::new();
    let template = parse(
        text,
        Span::new(id, 0, text.len() + 2),
        sources.get(id),
        &mut found,
    );
    if found.is_empty() {
        Ok(template)
    } else {
        Err(found.iter().map(|d| d.code.id).collect())
    }
}

fn filled(text: &str) -> String {
    let lookup = |e: &dsl::expr::Expr| match &e.target {
        Ref::Git("branch") => Lookup::Value("Feature/Größe 1".into()),
        Ref::Git("tag") => Lookup::Unset("no tag was pushed".into()),
        Ref::Git("message") => Lookup::Value(String::new()),
        Ref::Output { .. } => Lookup::Later,
        _ => Lookup::Value("v".into()),
    };
    match template(text).expect("a test's own data").fill(&lookup) {
        Ok(template) => template.to_string(),
        Err(missing) => format!("{}: {}", missing[0].name, missing[0].why),
    }
}

#[test]
fn references_are_replaced_and_dollars_stay() {
    assert_eq!(filled("a-${git.sha}-b"), "a-v-b");
    assert_eq!(filled("costs $$5, $5 and $"), "costs $5, $5 and $");
    assert_eq!(filled("$${git.sha}"), "${git.sha}");
    assert_eq!(filled("${ git.sha }"), "v");
    assert_eq!(filled(""), "");
}

#[test]
fn functions_are_applied_from_left_to_right() {
    assert_eq!(filled("${git.branch.lower}"), "feature/größe 1");
    assert_eq!(filled("${git.branch.slug}"), "feature-gr-e-1");
    assert_eq!(
        filled("${git.branch.replace('/', '-').replace(' ', '')}"),
        "Feature-Größe1"
    );
    assert_eq!(filled("${git.branch.replace('', 'x')}"), "Feature/Größe 1");
    assert_eq!(filled("${git.sha.replace('v', '}')}"), "}");
}

#[test]
fn a_default_stands_in_where_there_is_no_value() {
    assert_eq!(filled("${git.tag}"), "git.tag: no tag was pushed");
    assert_eq!(filled("${git.tag.default('none')}"), "none");
    assert_eq!(filled("${git.message.default('empty')}"), "empty");
    assert_eq!(filled("${git.sha.default('none')}"), "v");
    assert_eq!(filled("${git.tag.default('A B').slug}"), "a-b");
}

#[test]
fn what_comes_later_stays() {
    assert_eq!(
        filled("v${build.outputs.version}"),
        "v${build.outputs.version}"
    );
    assert_eq!(template("v${build.outputs.version}").unwrap().known(), None);
    assert_eq!(template("v1").unwrap().known(), Some("v1".into()));
}

#[test]
fn references_name_what_they_mean() {
    let target = |text: &str| {
        template(text)
            .unwrap()
            .exprs()
            .next()
            .unwrap()
            .target
            .clone()
    };
    let output = |step: &str| Ref::Output {
        step: step.into(),
        name: "v".into(),
    };
    assert_eq!(target("${build.outputs.v}"), output("build"));
    assert_eq!(target("${stage.build.outputs.v}"), output("stage.build"));
    assert_eq!(
        target("${image.app}"),
        Ref::Image {
            name: "app".into(),
            digest: false
        }
    );
    assert_eq!(
        target("${image.app.digest}"),
        Ref::Image {
            name: "app".into(),
            digest: true
        }
    );
    assert_eq!(
        target("${image.ci.app.digest}"),
        Ref::Image {
            name: "ci.app".into(),
            digest: true
        }
    );
    assert_eq!(target("${version.next.slug}"), Ref::Version("next".into()));
    assert_eq!(
        template("${version.next.slug}")
            .unwrap()
            .exprs()
            .next()
            .unwrap()
            .calls,
        [Call::Slug]
    );
    assert_eq!(
        target("${target.live.host}"),
        Ref::Target {
            name: "live".into(),
            field: "host".into()
        }
    );
}

#[test]
fn mistakes_in_references_are_found_all_at_once() {
    let codes = |text: &str| template(text).unwrap_err();
    assert_eq!(codes("${git.sha"), ["E401"]);
    assert_eq!(codes("${}"), ["E401"]);
    assert_eq!(codes("${git}"), ["E401"]);
    assert_eq!(codes("${git.sha.replace('a')}"), ["E403"]);
    assert_eq!(codes("${git.sha.replace(a, b)}"), ["E401"]);
    assert_eq!(
        codes("${nothing.x} ${git.shaa} ${git.sha.upper}"),
        ["E402", "E402", "E403"]
    );
    assert_eq!(codes("${{ github.sha }}"), ["E402"]);
}
