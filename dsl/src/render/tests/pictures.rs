//! Whole pictures, without colours.

use super::*;
use insta::assert_snapshot;
use unicode_width::UnicodeWidthStr;

#[test]
fn one_label() {
    let sources = file(PIPELINE);
    let d = error(
        "no step is named `biuld`",
        at(&sources, "\"biuld\""),
        "this name",
    )
    .help("a step named `build` exists; did you mean it?");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × no step is named `biuld`
       ╭─[pipeline.kdl:8:15]
     7 │     step "deploy" {
     8 │         needs "biuld"
       ·               ───┬───
       ·                  ╰── this name
     9 │         run "./deploy.sh"
       ╰────
      help: a step named `build` exists; did you mean it?

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn two_labels_on_one_line() {
    let sources = file(PIPELINE);
    let d = error("`step` is now `job`", at(&sources, "step"), "write `job`")
        .label(at(&sources, "\"build\""), "its name");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × `step` is now `job`
       ╭─[pipeline.kdl:2:5]
     1 │ pipeline "app" {
     2 │     step "build" {
       ·     ──┬─ ───┬───
       ·       │     ╰── its name
       ·       ╰── write `job`
     3 │         run "cargo build --release"
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_label_inside_another_has_its_own_carets() {
    let sources = file(PIPELINE);
    let d = error("bad name", at(&sources, "step \"build\" {"), "this step")
        .label(at(&sources, "\"build\""), "its name");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × bad name
       ╭─[pipeline.kdl:2:5]
     1 │ pipeline "app" {
     2 │     step "build" {
       ·     ──┬─────┬───
       ·       │     ╰── its name
       ·       ╰── this step
     3 │         run "cargo build --release"
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn labels_on_far_lines() {
    let sources = file(PIPELINE);
    let d = error(
        "`deploy` needs `biuld`",
        at(&sources, "\"biuld\""),
        "no step has that name",
    )
    .label(at(&sources, "\"build\""), "`build` is defined here");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × `deploy` needs `biuld`
       ╭─[pipeline.kdl:2:10]
     1 │ pipeline "app" {
     2 │     step "build" {
       ·          ───┬───
       ·             ╰── `build` is defined here
     3 │         run "cargo build --release"
       ╰────
       ╭─[pipeline.kdl:8:15]
     7 │     step "deploy" {
     8 │         needs "biuld"
       ·               ───┬───
       ·                  ╰── no step has that name
     9 │         run "./deploy.sh"
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_label_over_several_lines() {
    let sources = file(PIPELINE);
    let whole = PIPELINE.find("step \"deploy\"").unwrap();
    let span = Span::new(SourceId(0), whole, PIPELINE.rfind("\n}").unwrap() + 1);
    let d = error("nothing needs this", span, "this step").label(at(&sources, "\"biuld\""), "");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × nothing needs this
        ╭─[pipeline.kdl:7:5]
      6 │         // between them
      7 │ ╭─▶     step "deploy" {
      8 │ │           needs "biuld"
        · │                 ───────
      9 │ │           run "./deploy.sh"
     10 │ ├─▶     }
        · ╰──── this step
     11 │     }
        ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_label_over_many_lines_marks_the_first() {
    let sources = file(&format!("job {{\n{}}}\n", "    run \"x\"\n".repeat(100)));
    let end = sources.get(SourceId(0)).text.len();
    let d = error("too long", Span::new(SourceId(0), 0, end), "this block");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × too long
       ╭─[pipeline.kdl:1:1]
     1 │ job {
       · ──┬──
       ·   ╰── this block (up to line 102)
     2 │     run "x"
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_label_at_the_very_end_without_a_line_break() {
    let sources = file("job unit {\n    run \"true\"");
    let end = sources.get(SourceId(0)).text.len();
    let d = error("a quote", Span::new(SourceId(0), end - 1, end), "here");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × a quote
       ╭─[pipeline.kdl:2:14]
     1 │ job unit {
     2 │     run "true"
       ·              ┬
       ·              ╰── here
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn an_empty_label_at_the_end_of_the_file() {
    let sources = file("job unit {\n    run \"true\"\n");
    let end = sources.get(SourceId(0)).text.len();
    let d = error(
        "a block is never closed",
        Span::new(SourceId(0), end, end),
        "`}` is missing",
    )
    .label(at(&sources, "{"), "opened here");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × a block is never closed
       ╭─[pipeline.kdl:3:1]
     1 │ job unit {
       ·          ┬
       ·          ╰── opened here
     2 │     run "true"
     3 │
       · ▲
       · ╰── `}` is missing
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn an_empty_file() {
    let sources = file("");
    let d = error("nothing is declared", Span::new(SourceId(0), 0, 0), "");
    assert_snapshot!(plain(d, &sources), @r"
    E101

      × nothing is declared
       ╭─[pipeline.kdl:1:1]
     1 │
       · ▲
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    ");
}

#[test]
fn labels_in_two_files() {
    let mut sources = file(PIPELINE);
    let other = sources.add("ci/x.kdl", "template rust {\n    image $version\n}\n");
    let d = error(
        "`$version` has no value",
        Span::new(other, 26, 34),
        "needs a value",
    )
    .label(at(&sources, "\"build\""), "used here")
    .help("write `build version=\"1.95\"`");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × `$version` has no value
       ╭─[ci/x.kdl:2:11]
     1 │ template rust {
     2 │     image $version
       ·           ────┬───
       ·               ╰── needs a value
     3 │ }
       ╰────
       ╭─[pipeline.kdl:2:10]
     1 │ pipeline "app" {
     2 │     step "build" {
       ·          ───┬───
       ·             ╰── used here
     3 │         run "cargo build --release"
       ╰────
      help: write `build version="1.95"`

    1 error in ci/x.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_line_of_16_kib_is_cut_around_its_labels() {
    let sources = file(&format!(
        "job {{\n{}bad{}worse{}\n}}\n",
        "a ".repeat(4000),
        " b".repeat(2000),
        " c".repeat(2000)
    ));
    let d = error("two words", at(&sources, "bad"), "one").label(at(&sources, "worse"), "two");
    assert_snapshot!(plain(d, &sources), @r"
    E101

      × two words
       ╭─[pipeline.kdl:2:8001]
     1 │ job {
     2 │ … a a a a a a a bad b b b b b b b … b b b b b b bworse c c c c c c c…
       ·                 ─┬─                              ──┬──
       ·                  │                                 ╰── two
       ·                  ╰── one
     3 │ }
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    ");
}

#[test]
fn an_error_far_beyond_column_65536_is_drawn() {
    let text = ")".repeat(200_000);
    let sources = file(&text);
    let d = error(
        "stray `)`",
        Span::new(SourceId(0), 100_000, 200_000),
        "from here",
    );
    assert_snapshot!(plain(d, &sources), @r"
    E101

      × stray `)`
       ╭─[pipeline.kdl:1:100001]
     1 │ …)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))…
       ·                   ──────────────────────────┬─────────────────────────
       ·                                             ╰── from here
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    ");
}

#[test]
fn control_characters_are_shown_and_do_not_act() {
    let sources = file("\u{feff}a\tb \x1b[31m \u{202e}txt \0 \u{9b}2J \x7f \"x\"\r\n\tnext\r\n");
    let d = error(
        "bad \x1b]0;title\x07 name\nhere",
        at(&sources, "\"x\""),
        "\u{2066}x\x1b",
    )
    .help("first\tline\nsecond \x1b[2J line");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × bad ␛]0;title␇ name here
       ╭─[pipeline.kdl:1:25]
     1 │ a  b ␛[31m �txt ␀ �2J ␡ "x"
       ·                         ─┬─
       ·                          ╰── �x␛
     2 │     next
       ╰────
      help: first    line
            second ␛[2J line

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn wide_characters_keep_the_carets_right() {
    let sources = file("job \"日本語\" 🚀 {\n    run \"e\u{301}té\" bad\n}\n");
    let d = error("two places", at(&sources, "bad"), "word").label(at(&sources, "🚀"), "rocket");
    assert_snapshot!(plain(d, &sources), @r#"
    E101

      × two places
       ╭─[pipeline.kdl:2:16]
     1 │ job "日本語" 🚀 {
       ·              ─┬
       ·               ╰── rocket
     2 │     run "été" bad
       ·               ─┬─
       ·                ╰── word
     3 │ }
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_span_inside_a_character_covers_it() {
    let sources = file("a日b");
    let d = error("half a character", Span::new(SourceId(0), 2, 3), "this");
    assert_snapshot!(plain(d, &sources), @r"
    E101

      × half a character
       ╭─[pipeline.kdl:1:2]
     1 │ a日b
       ·  ─┬
       ·   ╰── this
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    ");
}

#[test]
fn a_narrow_terminal_wraps_messages_labels_and_help() {
    let sources = file(&format!("{PIPELINE}job \"{}\" end\n", "long ".repeat(20)));
    let words = "a rather long explanation of what is wrong in this place of the file";
    let d = error(words, at(&sources, "\"biuld\""), words)
        .label(at(&sources, "end"), "the end of it")
        .help(words);
    let narrow = Style { width: 60, ..PLAIN };
    let text = human(&[d], &sources, &narrow);
    for line in text.lines() {
        assert!(line.width() <= 60, "{line}");
    }
    assert_snapshot!(text, @r#"
    E101

      × a rather long explanation of what is wrong in this
      │ place of the file
        ╭─[pipeline.kdl:8:15]
      7 │     step "deploy" {
      8 │         needs "biuld"
        ·               ───┬───
        ·                  ╰─┤ a rather long explanation of what
        ·                    │ is wrong in this place of the
        ·                    │ file
      9 │         run "./deploy.sh"
     10 │     }
     11 │ }
     12 │ … long long long long " end
        ·                         ─┬─
        ·                          ╰── the end of it
        ╰────
      help: a rather long explanation of what is wrong in this
            place of the file

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    "#);
}

#[test]
fn a_label_at_the_right_edge_moves_to_where_its_text_fits() {
    let line = format!("job {} last\n", "word ".repeat(8));
    let sources = file(&line);
    let words = "an_unbroken_word_of_more_than_twenty_four_letters and more";
    let narrow = Style { width: 60, ..PLAIN };
    let d = error("wrong", at(&sources, "last"), words);
    let text = human(&[d], &sources, &narrow);
    for line in text.lines() {
        assert!(line.width() <= 60, "{line}");
    }
    assert_snapshot!(text, @r"
    E101

      × wrong
       ╭─[pipeline.kdl:1:46]
     1 │ …d word word word word  last
       ·                         ──┬─
       ·                           ╰─┤ an_unbroken_word_of_more_
       ·                             │ than_twenty_four_letters
       ·                             │ and more
       ╰────

    1 error in pipeline.kdl
    `pipe explain E101` tells more about a code
    ");
}

#[test]
fn a_warning_in_ascii() {
    let sources = file(PIPELINE);
    let d = Diagnostic::new(
        &UNUSED,
        "`app` is unused…",
        at(&sources, "\"app\""),
        "never used",
    );
    let ascii = Style {
        unicode: false,
        ..PLAIN
    };
    assert_snapshot!(human(&[d], &sources, &ascii), @r#"
    W900

      ! `app` is unused…
       ,-[pipeline.kdl:1:10]
     1 | pipeline "app" {
       :          ^^|^^
       :            `-- never used
     2 |     step "build" {
       `----

    1 warning in pipeline.kdl
    `pipe explain W900` tells more about a code
    "#);
}
