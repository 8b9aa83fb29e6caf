//! Slips of people who know other languages, and what is said about each.

use super::findings;

/// Each text behind `>`, then its findings.
pub(super) fn table(texts: &[&str]) -> String {
    let mut lines = Vec::new();
    for text in texts {
        let shown = shown(text.trim_end_matches('\n'));
        lines.extend(shown.split('\n').map(|line| format!("> {line}")));
        lines.push(findings(text));
    }
    lines.join("\n")
}

/// Hidden characters as escapes.
fn shown(text: &str) -> String {
    let hidden =
        |c: char| c != '\n' && c.is_control() || "\u{200b}\u{202e}\u{2028}\u{feff}".contains(c);
    let shown = text.chars().map(|c| match hidden(c) {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    });
    shown.collect()
}

#[test]
fn a_missing_brace_is_one_finding_on_the_block_that_was_meant() {
    let table = table(&[
        "stage test {\n    job unit {\n        run \"x\"\n}",
        "stage a {\n    job x {\n        run \"1\"\n    job y {\n        run \"2\"\n    }\n}\n",
        "stage a {\n    job x {\n        run \"1\"\n    }\nstage b {\n    job x { run \"1\" }\n}\n",
        "stage a {\n    job x {\n        run \"1\"\n}\nstage b {\n    job x {\n        run \"1\"\n}\n",
        "stage a {\njob x {\nrun \"1\"\n}\n",
        "stage a {\n    job x {\n",
        "a {\n    b {}\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > stage test {
    >     job unit {
    >         run "x"
    > }
    E101 2:14-15 the block of `job unit` is never closed | write the missing `}` where the block ends
    > stage a {
    >     job x {
    >         run "1"
    >     job y {
    >         run "2"
    >     }
    > }
    E101 2:11-12 the block of `job x` is never closed | write the missing `}` where the block ends
    > stage a {
    >     job x {
    >         run "1"
    >     }
    > stage b {
    >     job x { run "1" }
    > }
    E101 1:9-10 the block of `stage a` is never closed | write the missing `}` where the block ends
    > stage a {
    >     job x {
    >         run "1"
    > }
    > stage b {
    >     job x {
    >         run "1"
    > }
    E101 2:11-12 the block of `job x` is never closed | write the missing `}` where the block ends
    E101 6:11-12 the block of `job x` is never closed | write the missing `}` where the block ends
    > stage a {
    > job x {
    > run "1"
    > }
    E101 1:9-10 the block of `stage a` is never closed | write the missing `}` where the block ends
    > stage a {
    >     job x {
    E101 2:11-12 the block of `job x` is never closed | write the missing `}` where the block ends
    > a {
    >     b {}
    E101 1:3-4 the block of `a` is never closed | write the missing `}` where the block ends
    "#);
}

#[test]
fn a_brace_too_many_is_one_finding() {
    let table = table(&[
        "}\n",
        "stage a {\n    job x {\n        run \"1\"\n    }\n    }\n    job y {\n        run \"1\"\n    }\n}\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > }
    E102 1:1-2 this `}` closes nothing | delete it, or find the `{` that is missing before it
    > stage a {
    >     job x {
    >         run "1"
    >     }
    >     }
    >     job y {
    >         run "1"
    >     }
    > }
    E102 5:5-6 this `}` closes nothing | delete it, or find the `{` that is missing before it
    "#);
}

#[test]
fn a_block_belongs_to_the_line_before_it() {
    let table = table(&[
        "job x\n{\n    run \"1\"\n}\n",
        "{\n}\n",
        "a {} b\n",
        "a {} {}\n",
        "a { b {} c {} }\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > job x
    > {
    >     run "1"
    > }
    E122 2:1-2 this block belongs to no node | write the `{` at the end of the line before it
    > {
    > }
    E122 1:1-2 this block belongs to no node | write the `{` at the end of the line before it
    > a {} b
    E123 1:6-7 `b` follows a `}` in the same line | begin a new line, or write `;` after the `}`
    > a {} {}
    E123 1:6-7 `{` follows a `}` in the same line | begin a new line, or write `;` after the `}`
    > a { b {} c {} }
    E123 1:10-11 `c` follows a `}` in the same line | begin a new line, or write `;` after the `}`
    "#);
}

#[test]
fn addresses_paths_and_globs_need_quotes() {
    let table = table(&[
        "ready https://x.example/ready within=\"2m\"\n",
        "include git+https://x.example/a#b\n",
        "inputs src/**\n",
        "inputs **/*.rs\n",
        "inputs a/* b/*\n",
        "inputs ./x ~/.cache\n",
        "inputs /srv\n",
        "path C:\\x\\y\n",
        "a//b\n",
        "a/*b*/ c\n",
        "a \\ b\n",
    ]);
    insta::assert_snapshot!(table, @r##"
    > ready https://x.example/ready within="2m"
    E116 1:7-30 `https://x.example/ready` needs quotes | write `"https://x.example/ready"`
    > include git+https://x.example/a#b
    E116 1:9-34 `git+https://x.example/a#b` needs quotes | write `"git+https://x.example/a#b"`
    > inputs src/**
    E116 1:8-14 `src/**` needs quotes | write `"src/**"`
    > inputs **/*.rs
    E116 1:8-15 `**/*.rs` needs quotes | write `"**/*.rs"`, or a space before the comment
    > inputs a/* b/*
    E116 1:8-11 `a/*` needs quotes | write `"a/*"`
    > inputs ./x ~/.cache
    E116 1:8-11 `./x` needs quotes | write `"./x"`
    > inputs /srv
    E116 1:8-12 `/srv` needs quotes | write `"/srv"`
    > path C:\x\y
    E116 1:6-12 `C:\x\y` needs quotes | write `#"C:\x\y"#`
    > a//b
    E116 1:1-5 `a//b` needs quotes | write `"a//b"`, or a space before the comment
    > a/*b*/ c
    E116 1:1-7 `a/*b*/` needs quotes | write `"a/*b*/"`, or a space before the comment
    > a \ b
    E116 1:3-4 a `\` stands at the end of a line | begin a new line behind it, or put it in quotes
    "##);
}

#[test]
fn interpolation_needs_quotes() {
    let table = table(&[
        "env KEY=${KEY}\n",
        "env KEY=${{ secrets.KEY }}\n",
        "env KEY=$(pwd) A=1\n",
        "tag pr-${pr.number}-x\n",
        "job a {\n    env A=${A}\n}\n",
        "a ${b\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > env KEY=${KEY}
    E117 1:9-15 `${KEY}` needs quotes | write `"${KEY}"`
    > env KEY=${{ secrets.KEY }}
    E117 1:9-27 `${{ secrets.KEY }}` needs quotes | write `"${{ secrets.KEY }}"`
    > env KEY=$(pwd) A=1
    E117 1:9-15 `$(pwd)` needs quotes | write `"$(pwd)"`
    > tag pr-${pr.number}-x
    E117 1:5-22 `pr-${pr.number}-x` needs quotes | write `"pr-${pr.number}-x"`
    > job a {
    >     env A=${A}
    > }
    E117 2:11-15 `${A}` needs quotes | write `"${A}"`
    > a ${b
    E117 1:3-6 `${b` needs quotes | write `"${b"`
    "#);
}

#[test]
fn equals_signs_belong_to_properties_and_have_no_spaces() {
    let table = table(&[
        "timeout = 3\n",
        "image=\"rust\"\n",
        "job a retries = 3\n",
        "job a retries= 3\n",
        "job a =3\n",
        "job a x=\n",
        "= 3\n",
        "job a b=c=d\n",
        "job a 3=4\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > timeout = 3
    E118 1:9-10 there is no `=` after `timeout` | write `timeout`, a space and the value
    > image="rust"
    E118 1:6-7 there is no `=` after `image` | write `image`, a space and the value
    > job a retries = 3
    E118 1:15-16 no spaces stand round the `=` of a property | write `retries=3`
    > job a retries= 3
    E118 1:14-15 no spaces stand round the `=` of a property | write `retries=3`
    > job a =3
    E118 1:7-8 no spaces stand round the `=` of a property | write `a=3`
    > job a x=
    E118 1:8-9 `x=` has no value | write the value directly behind the `=`
    > = 3
    E118 1:1-2 this `=` has no name before it | write `name=value` without spaces
    > job a b=c=d
    E118 1:10-11 this `=` has no name before it | write `name=value` without spaces
    > job a 3=4
    E118 1:7-8 `3` is not the name of a property | a name begins with a letter
    "#);
}

#[test]
fn lists_have_no_commas_brackets_or_dashes() {
    let table = table(&[
        "needs a, b, c\n",
        "needs \"a\", \"b\"\n",
        "needs a,b\n",
        "needs a , b\n",
        "needs 1,2\n",
        "needs [a, b]\n",
        "needs [\"a\", \"b\"]\n",
        "needs []\n",
        "needs {\n    - a\n    - b\n}\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > needs a, b, c
    E119 1:7-9 values are separated by spaces, not by commas | write `a`
    > needs "a", "b"
    E119 1:10-11 values are separated by spaces, not by commas | delete it
    > needs a,b
    E119 1:7-10 values are separated by spaces, not by commas | write `a b`, or `"a,b"` if it is one text
    > needs a , b
    E119 1:9-10 values are separated by spaces, not by commas | delete it
    > needs 1,2
    E119 1:7-10 values are separated by spaces, not by commas | write `1 2`, or `"1,2"` if it is one text
    > needs [a, b]
    E126 1:7-13 a list has no brackets | write `a b`
    > needs ["a", "b"]
    E126 1:7-17 a list has no brackets | write `"a" "b"`
    > needs []
    E126 1:7-9 a list has no brackets | delete it
    > needs {
    >     - a
    >     - b
    > }
    E121 2:5-6 a list has no dashes | write all items behind the name, with spaces between: `needs lint test`
    "#);
}

#[test]
fn names_have_no_colons() {
    let table = table(&[
        "job: unit\n",
        "job unit:\n    run: x\n",
        "\"job\": \"unit\"\n",
        "container image: app\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > job: unit
    E120 1:1-5 there is no colon after `job` | write `job`, a space and the value
    > job unit:
    >     run: x
    E120 1:5-10 there is no colon after `unit` | write `unit=` and the value without a space, or `"unit:"` if it is a text
    E120 2:5-9 there is no colon after `run` | write `run`, a space and the value
    > "job": "unit"
    E120 1:6-7 there is no colon between a name and its value | write a space instead, or `=` in a property
    > container image: app
    E120 1:11-17 there is no colon after `image` | write `image=` and the value without a space, or `"image:"` if it is a text
    "#);
}

#[test]
fn annotations_belong_to_values() {
    let table = table(&[
        "(t)node 1\n",
        "node (t)a=1\n",
        "node (a b)\n",
        "node ()1\n",
        "node (t)\n",
        "node (\n",
        "node f(x)\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > (t)node 1
    E125 1:1-2 a node has no type annotation | annotate a value instead: `key (file)"Cargo.lock"`
    > node (t)a=1
    E125 1:6-7 an annotation stands before the value, not before its name | write it behind the `=`
    > node (a b)
    E125 1:6-7 parentheses hold the type of a value | write a type as in `(file)"Cargo.lock"`, or quotes round the whole text
    > node ()1
    E125 1:6-7 parentheses hold the type of a value | write a type as in `(file)"Cargo.lock"`, or quotes round the whole text
    > node (t)
    E125 1:6-7 an annotation stands before a value | write the value behind it, or quotes round the parentheses
    > node (
    E125 1:6-7 parentheses hold the type of a value | write a type as in `(file)"Cargo.lock"`, or quotes round the whole text
    > node f(x)
    E125 1:7-8 this `(` follows a value directly | write a space before it, or quotes round the whole text
    "#);
}

#[test]
fn comments_are_closed() {
    let table = table(&["/* a", "a /* x /* y */\nb\n", "a {\n    /* }\n"]);
    insta::assert_snapshot!(table, @r#"
    > /* a
    E108 1:1-3 this comment is never closed | write `*/` where it ends
    > a /* x /* y */
    > b
    E108 1:3-5 this comment is never closed | write `*/` where it ends
    > a {
    >     /* }
    E108 2:5-7 this comment is never closed | write `*/` where it ends
    "#);
}

#[test]
fn a_slash_dash_has_something_to_leave_out() {
    let table = table(&["/-\n", "a /-\n", "a {\n    b /- }\n", "/- /- a\n"]);
    insta::assert_snapshot!(table, @r#"
    > /-
    E128 1:1-3 nothing stands after this `/-` | delete it, or use `//` for a comment
    > a /-
    E128 1:3-5 nothing stands after this `/-` | delete it, or use `//` for a comment
    > a {
    >     b /- }
    E128 2:7-9 nothing stands after this `/-` | delete it, or use `//` for a comment
    > /- /- a
    E128 1:1-3 nothing stands after this `/-` | delete it, or use `//` for a comment
    "#);
}

#[test]
fn characters_without_a_meaning_are_named() {
    let table = table(&["a ] b )\n", "a; b;; c\n", ";\n", "a )))))\n"]);
    insta::assert_snapshot!(table, @r#"
    > a ] b )
    E126 1:3-4 `]` means nothing here | delete it, or put quotes round the text that it belongs to
    > a; b;; c
    E126 1:6-7 `;` means nothing here | delete it, or put quotes round the text that it belongs to
    > ;
    E126 1:1-2 `;` means nothing here | delete it, or put quotes round the text that it belongs to
    > a )))))
    E126 1:3-4 `)` means nothing here | delete it, or put quotes round the text that it belongs to
    "#);
}

#[test]
fn hidden_characters_are_refused_everywhere() {
    let table = table(&[
        "a \u{202e}b\n",
        "a \"\u{0}\"\n",
        "a\u{200b} b\n",
        "a\rb\n",
        "// c\u{2028}job x\n",
        "a \u{feff}\n",
        "a \"\u{1b}[31m\" \"\u{1b}[0m\"\n",
        "a \u{85}b\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > a \u{202e}b
    E127 1:3-4 the character U+202E is not allowed | delete it, or write it as an escape in a text: `\u{202e}`
    > a "\u{0}"
    E127 1:4-5 the character U+0000 is not allowed | delete it, or write it as an escape in a text: `\u{0}`
    > a\u{200b} b
    E127 1:2-3 the character U+200B is not allowed | delete it, or write it as an escape in a text: `\u{200b}`
    > a\u{d}b
    E127 1:2-3 the character U+000D is not allowed | end the line with a line feed
    > // c\u{2028}job x
    E127 1:5-6 the character U+2028 is not allowed | end the line with a line feed
    > a \u{feff}
    E127 1:3-4 the character U+FEFF is not allowed | delete it, or write it as an escape in a text: `\u{feff}`
    > a "\u{1b}[31m" "\u{1b}[0m"
    E127 1:4-5 the character U+001B is not allowed | delete it, or write it as an escape in a text: `\u{1b}`
    E127 1:12-13 the character U+001B is not allowed | delete it, or write it as an escape in a text: `\u{1b}`
    > a \u{85}b
    E127 1:3-4 the character U+0085 is not allowed | end the line with a line feed
    "#);
}

#[test]
fn columns_count_characters() {
    let table = table(&["a \"é€😀\" 30m\n"]);
    insta::assert_snapshot!(table, @r#"
    > a "é€😀" 30m
    E114 1:9-12 `30m` is neither a number nor a text | write `"30m"`
    "#);
}

#[test]
fn independent_mistakes_are_all_found() {
    let table = table(&[
        "pipeline app\n\nstage test {\n    job unit {\n        timeout 30m\n        needs a, b\n    }\n}\nregistry x immutable=true\ntarget y\n{\n}\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > pipeline app
    > 
    > stage test {
    >     job unit {
    >         timeout 30m
    >         needs a, b
    >     }
    > }
    > registry x immutable=true
    > target y
    > {
    > }
    E114 5:17-20 `30m` is neither a number nor a text | write `"30m"`
    E119 6:15-17 values are separated by spaces, not by commas | write `a`
    E112 9:22-26 `true` needs a `#` | write `#true`, or `"true"` if it is a text
    E122 11:1-2 this block belongs to no node | write the `{` at the end of the line before it
    "#);
}
