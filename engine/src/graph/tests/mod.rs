//! Drawings of whole pipelines, as they come out.

mod large;

use insta::assert_snapshot;

use super::testing::{planned, viewed};
use super::*;

const BUILD_ONCE: &str = include_str!("build-once.kdl");

fn joined(lines: &[Line]) -> String {
    lines.iter().map(|l| l.plain() + "\n").collect()
}

fn wide() -> TextOptions {
    TextOptions {
        width: 100,
        ascii: false,
        collapse: Collapse::Nothing,
    }
}

fn finished() -> Statuses {
    let steps = [
        ("test.lint", Status::Cached),
        ("test.unit (linux, stable)", Status::Passed),
        ("test.unit (linux, beta)", Status::SoftFailed),
        ("test.unit (macos, stable)", Status::Passed),
        ("test.unit (macos, beta)", Status::Passed),
        ("test.report", Status::Passed),
        ("release.build-app", Status::Passed),
        ("release.push-app", Status::Passed),
        ("staging.migrate", Status::RolledBack),
        ("staging.warm", Status::RollbackFailed),
        ("staging.deploy-staging", Status::Failed),
        ("staging.tell", Status::Passed),
        ("production.approve-go", Status::Skipped),
        ("production.promote-to-production", Status::Skipped),
    ];
    steps.map(|(n, s)| (n.to_owned(), s)).into()
}

#[test]
fn mermaid_shows_stages_images_registries_targets_gates_and_ways_back() {
    let view = viewed(BUILD_ONCE, None);
    assert_snapshot!(mermaid(&view, Options::default()));
}

#[test]
fn mermaid_colours_a_finished_run_and_says_how_each_step_ended() {
    let view = viewed(BUILD_ONCE, Some(&finished()));
    let options = Options {
        direction: Direction::Right,
        collapse: Collapse::Matrix,
    };
    assert_snapshot!(mermaid(&view, options));
}

#[test]
fn mermaid_draws_each_stage_as_one_box_where_that_is_asked_for() {
    let view = viewed(BUILD_ONCE, Some(&finished()));
    let options = Options {
        collapse: Collapse::Stage,
        ..Options::default()
    };
    assert_snapshot!(mermaid(&view, options));
}

#[test]
fn graphviz_shows_the_same() {
    let view = viewed(BUILD_ONCE, Some(&finished()));
    assert_snapshot!(dot(&view, Options::default()));
}

#[test]
fn json_has_ids_kinds_places_and_outcomes() {
    let (plan, sources) = planned(BUILD_ONCE);
    let view = view(&plan, Some(&finished()));
    assert_snapshot!(json(&view, Collapse::Nothing, &|span| sources.place(span)));
}

#[test]
fn the_tree_says_what_each_step_waits_for_beyond_its_stage() {
    assert_snapshot!(joined(&text(&viewed(BUILD_ONCE, None), wide())));
}

#[test]
fn the_tree_of_a_finished_run_says_how_each_step_ended() {
    let view = viewed(BUILD_ONCE, Some(&finished()));
    assert_snapshot!(joined(&text(&view, wide())));
}

#[test]
fn the_tree_fits_a_narrow_terminal_without_unicode() {
    let options = TextOptions {
        width: 60,
        ascii: true,
        collapse: Collapse::Matrix,
    };
    assert_snapshot!(joined(&text(&viewed(BUILD_ONCE, None), options)));
}

#[test]
fn stages_that_do_not_follow_each_other_say_what_they_wait_for() {
    let view = viewed(
        r#"pipeline app
stage a { job one { run "true" } }
stage b { needs nothing=#true; job two { run "true" } }
stage c {
    needs a b
    job three { needs a.one; run "true" }
    job four { after a.one; run "true"; rollback { run "false" } }
}
"#,
        None,
    );
    assert_snapshot!(joined(&text(&view, wide())));
    assert_snapshot!(mermaid(&view, Options::default()));
}

#[test]
fn a_name_cannot_move_the_cursor_or_turn_the_line_around() {
    let source = "pipeline app\nstage a { job x { matrix { os \"a\\u{202e}b\" \"构建\" }; run \"true\" } }\n";
    let mut view = viewed(source, None);
    view.pipeline = "a\u{1b}[2Jb\n".to_owned();
    assert_snapshot!(joined(&text(&view, wide())));
}

#[test]
fn graphviz_gets_quotes_backslashes_and_ampersands_as_text() {
    let view = viewed(
        "pipeline app\nstage a { job x { matrix { os \"a\\\"b\\\\N&amp;\" c }; run \"true\" } }\n",
        None,
    );
    assert_snapshot!(dot(&view, Options::default()));
}
