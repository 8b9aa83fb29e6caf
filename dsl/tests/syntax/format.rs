//! The one layout: what it changes, and that it never changes what is meant.

use dsl::syntax::tree::{Node, ValueKind};
use proptest::prelude::*;

use super::slips::mutants;
use super::{PIPELINES, source};

fn format(text: &str) -> String {
    let formatted = dsl::syntax::format(&source(text));
    formatted.unwrap_or_else(|findings| panic!("{text:?} {findings:?}"))
}

/// The tree without its places.
fn tree(text: &str) -> Vec<String> {
    let (nodes, findings) = dsl::syntax::parse(&source(text));
    assert!(
        findings.iter().all(|f| f.code.id.starts_with('W')),
        "{text:?} {findings:?}"
    );
    let mut lines = Vec::new();
    write_nodes(&nodes, 0, &mut lines);
    lines
}

fn write_nodes(nodes: &[Node], depth: usize, lines: &mut Vec<String>) {
    let show = |v: &dsl::syntax::tree::Value| {
        let ty = v.ty.as_ref().map(|t| t.value.clone());
        let kind: &ValueKind = &v.kind;
        format!("{ty:?} {kind:?}")
    };
    for node in nodes {
        let args: Vec<_> = node.args.iter().map(show).collect();
        let props = node.props.iter();
        let props: Vec<_> = props
            .map(|p| (p.name.value.clone(), show(&p.value)))
            .collect();
        let block = node.children.is_some();
        lines.push(format!(
            "{depth} {:?} {args:?} {props:?} {block}",
            node.name.value
        ));
        write_nodes(node.nodes(), depth + 1, lines);
    }
}

/// Formats a text if it is sound, and checks that nothing but its layout changed.
fn check(text: &str) -> bool {
    let Ok(formatted) = dsl::syntax::format(&source(text)) else {
        return false;
    };
    assert_eq!(
        tree(&formatted),
        tree(text),
        "{text:?} became {formatted:?}"
    );
    assert_eq!(format(&formatted), formatted, "{text:?}");
    true
}

/// Each text and, below it, its layout; hidden characters are shown.
fn table(texts: &[&str]) -> String {
    let shown = |text: &str, mark: &str| {
        let text = text.replace('\r', "␍").replace('\u{feff}', "<BOM>");
        let text = text.replace('\t', "→");
        let lines = text.lines().map(|line| format!("{mark}{line}|"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let tables = texts.iter().map(|text| {
        assert!(check(text));
        format!("{}\n{}", shown(text, "> "), shown(&format(text), "  "))
    });
    tables.collect::<Vec<_>>().join("\n")
}

#[test]
fn mutants_keep_their_meaning() {
    let sound = mutants(700).filter(|text| check(text)).count();
    assert!(sound > 400, "{sound}");
}

#[test]
fn blocks_are_indented_and_blank_lines_are_few() {
    let table = table(&[
        "\n\n\na\n\n\n\nb  \n\n",
        "\u{feff}a",
        "a {\n\n  b\n\n\n\n  c   1    x=2\n\n}\n",
        "a { b\n c }\n",
        "stage a {\n\tjob b {\n\t\t\trun \"c\"\n } }\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > |
    > |
    > |
    > a|
    > |
    > |
    > |
    > b  |
    > |
      a|
      |
      b|
    > <BOM>a|
      <BOM>a|
    > a {|
    > |
    >   b|
    > |
    > |
    > |
    >   c   1    x=2|
    > |
    > }|
      a {|
          b|
      |
          c 1 x=2|
      }|
    > a { b|
    >  c }|
      a {|
          b|
          c|
      }|
    > stage a {|
    > →job b {|
    > →→→run "c"|
    >  } }|
      stage a {|
          job b {|
              run "c"|
          }|
      }|
    "#);
}

#[test]
fn blocks_on_one_line_stay_there() {
    let table = table(&[
        "a{b;c ;  d;}\n",
        "a {}\nb { }\nc {\n}\n",
        "a;b; // c\nd; /* e */\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > a{b;c ;  d;}|
      a { b; c; d }|
    > a {}|
    > b { }|
    > c {|
    > }|
      a {}|
      b {}|
      c {|
      }|
    > a;b; // c|
    > d; /* e */|
      a; b // c|
      d; /* e */|
    "#);
}

#[test]
fn comments_move_with_their_line_and_stay_as_they_are() {
    let table = table(&[
        "a {// c\n// d\n b // e   \n  c       // f\n}\n",
        "  /* a\n  b */\n a /*x*/b\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > a {// c|
    > // d|
    >  b // e   |
    >   c       // f|
    > }|
      a { // c|
          // d|
          b // e|
          c       // f|
      }|
    >   /* a|
    >   b */|
    >  a /*x*/b|
      /* a|
        b */|
      a /*x*/ b|
    "#);
}

#[test]
fn continued_lines_are_indented_once_more() {
    let table = table(&[
        "a \\\nb \\ // c\n c \\\n\nd\n\\\ne\n",
        "a {\n b \\\n}\n",
        "a \\\n;b\n",
        "a \\ // x\n ; b\n",
        "a \\\n \\\n b\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > a \|
    > b \ // c|
    >  c \|
    > |
    > d|
    > \|
    > e|
      a \|
          b \ // c|
          c|
      |
      d|
      e|
    > a {|
    >  b \|
    > }|
      a {|
          b|
      }|
    > a \|
    > ;b|
      a; b|
    > a \ // x|
    >  ; b|
      a \ // x|
          ; b|
    > a \|
    >  \|
    >  b|
      a \|
          b|
    "#);
}

#[test]
fn slash_dashes_stand_before_what_they_leave_out() {
    let table = table(&[
        "/-  a\n/-\n\n b c\n",
        "d /-  \n e f /- // g\n h i /-{ x } { y } /-  { z }\n",
        "/- /* c */ a\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > /-  a|
    > /-|
    > |
    >  b c|
      /-a|
      /-b c|
    > d /-  |
    >  e f /- // g|
    >  h i /-{ x } { y } /-  { z }|
      d /-e f /- // g|
          h i /-{ x } { y } /-{ z }|
    > /- /* c */ a|
      /- /* c */ a|
    "#);
}

#[test]
fn annotations_stand_close_to_their_values() {
    let table = table(&["k ( file ) \"x\" a=( t ) 1 /* c */ 2\n"]);
    insta::assert_snapshot!(table, @r#"
    > k ( file ) "x" a=( t ) 1 /* c */ 2|
      k (file)"x" a=(t)1 /* c */ 2|
    "#);
}

#[test]
fn texts_of_several_lines_are_not_touched() {
    let table = table(&[
        "a {\n run \"\"\"\n      x  \n     \"\"\"\n}\n",
        "a {\r\n  c #\"\"\"\r\n x\r\n \"\"\"#\r\n}\r\n",
    ]);
    insta::assert_snapshot!(table, @r##"
    > a {|
    >  run """|
    >       x  |
    >      """|
    > }|
      a {|
          run """|
            x  |
           """|
      }|
    > a {␍|
    >   c #"""␍|
    >  x␍|
    >  """#␍|
    > }␍|
      a {|
          c #"""␍|
       x␍|
       """#|
      }|
    "##);
}

#[test]
fn pipelines_in_the_layout_are_not_changed() {
    assert_eq!(format(PIPELINES[0]), PIPELINES[0]);
    for text in PIPELINES {
        assert!(check(text));
    }
}

#[test]
fn texts_with_errors_are_refused() {
    let refused = dsl::syntax::format(&source("a 30m\nb 007\n"));
    let codes = refused.map_err(|f| f.iter().map(|f| f.code.id).collect::<Vec<_>>());
    assert_eq!(codes, Err(vec!["E114"]));
    assert_eq!(format("b  007"), "b 007\n");
    assert_eq!(format("\n\n"), "");
}

proptest! {
    #[test]
    fn any_mix_of_sound_pieces_keeps_its_meaning(
        pieces in prop::collection::vec(prop::sample::select(&SOUND[..]), 0..24),
    ) {
        check(&pieces.concat());
    }
}

const SOUND: [&str; 22] = [
    "a",
    " ",
    " ",
    "\n",
    "\n",
    "{",
    "}",
    "{ ",
    "\n}\n",
    ";",
    "/-",
    "/*c*/",
    " // c\n",
    " \\\n",
    " \\ //c\n",
    " b=1",
    " (t)",
    " \"x\"",
    " \"\"\"\n  x\n  \"\"\"",
    "\t",
    "\n\n",
    " d ",
];
