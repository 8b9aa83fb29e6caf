//! Slips in one value, and what is said about each.

use super::mistakes::table;

#[test]
fn keywords_have_a_hash_and_comments_have_none() {
    let table = table(&[
        "immutable true\n",
        "x immutable=false y=null\n",
        "true\n",
        "a #True #no\n",
        "a #fff\n",
        "# comment\n",
        "#!/usr/bin/env pipe\njob x\n",
        "job x { # comment\n}\n",
        "job x #comment\n",
        "a #\n",
    ]);
    insta::assert_snapshot!(table, @r##"
    > immutable true
    E112 1:11-15 `true` needs a `#` | write `#true`, or `"true"` if it is a text
    > x immutable=false y=null
    E112 1:13-18 `false` needs a `#` | write `#false`, or `"false"` if it is a text
    > true
    E112 1:1-5 `true` needs a `#` | write `#true`, or `"true"` if it is a text
    > a #True #no
    E113 1:3-8 `#True` is not a value | write `#true`
    > a #fff
    E113 1:3-7 `#fff` is not a value | write `"#fff"` for a text, or `// …` for a comment
    > # comment
    E109 1:1-10 a comment begins with `//` | write `// comment`
    > #!/usr/bin/env pipe
    > job x
    E109 1:1-20 a comment begins with `//` | write `// /usr/bin/env pipe`
    > job x { # comment
    > }
    E109 1:9-18 a comment begins with `//` | write `// comment`
    > job x #comment
    E113 1:7-15 `#comment` is not a value | write `"#comment"` for a text, or `// …` for a comment
    > a #
    E109 1:3-4 a comment begins with `//` | write `//`
    "##);
}

#[test]
fn what_begins_like_a_number_is_one_or_needs_quotes() {
    let table = table(&[
        "timeout 30m\n",
        "memory 512MiB\n",
        "python 3.11-slim\n",
        "version 1.2.3\n",
        "since 2024-01-01\n",
        "x 1. \n",
        "x .5\n",
        "x -5x\n",
        "x 0b2\n",
        "x 0x\n",
        "x 170141183460469231731687303715884105728\n",
        "x 1e999\n",
        "umask 0022\n",
        "3 a\n",
        "#true a\n",
    ]);
    insta::assert_snapshot!(table, @r#"
    > timeout 30m
    E114 1:9-12 `30m` is neither a number nor a text | write `"30m"`
    > memory 512MiB
    E114 1:8-14 `512MiB` is neither a number nor a text | write `"512MiB"`
    > python 3.11-slim
    E114 1:8-17 `3.11-slim` is neither a number nor a text | write `"3.11-slim"`
    > version 1.2.3
    E114 1:9-14 `1.2.3` is neither a number nor a text | write `"1.2.3"`
    > since 2024-01-01
    E114 1:7-17 `2024-01-01` is neither a number nor a text | write `"2024-01-01"`
    > x 1. 
    E114 1:3-5 `1.` is neither a number nor a text | write `"1."`
    > x .5
    E114 1:3-5 `.5` is neither a number nor a text | write `".5"`
    > x -5x
    E114 1:3-6 `-5x` is neither a number nor a text | write `"-5x"`
    > x 0b2
    E114 1:3-6 `0b2` is neither a number nor a text | write `"0b2"`
    > x 0x
    E114 1:3-5 `0x` is neither a number nor a text | write `0` for a number, or `"0x"` for a text
    > x 170141183460469231731687303715884105728
    E115 1:3-42 this number is too large | write `"170141183460469231731687303715884105728"` if it is a text
    > x 1e999
    E115 1:3-8 this number is too large | write `"1e999"` if it is a text
    > umask 0022
    W101 1:7-11 `0022` is read as a decimal number | write `"0022"` to keep it as it is
    > 3 a
    E129 1:1-2 a line begins with a name, not with `3` | write the name of the node before it
    > #true a
    E129 1:1-6 a line begins with a name, not with `#true` | write the name of the node before it
    "#);
}

#[test]
fn only_straight_double_quotes_quote() {
    let table = table(&[
        "run “cargo test”\n",
        "run 'cargo test'\n",
        "run 'cargo\n",
        "run `pwd`\n",
        "run „a“ b\n",
        "run a”\n",
        "run ‘a \"b\"’\n",
    ]);
    insta::assert_snapshot!(table, @r##"
    > run “cargo test”
    E110 1:5-17 the quote “ neither begins nor ends a text | write `"cargo test"`
    > run 'cargo test'
    E110 1:5-17 the quote ' neither begins nor ends a text | write `"cargo test"`
    > run 'cargo
    E110 1:5-11 the quote ' neither begins nor ends a text | write `"cargo"`
    > run `pwd`
    E110 1:5-10 the quote ` neither begins nor ends a text | write `"pwd"`
    > run „a“ b
    E110 1:5-8 the quote „ neither begins nor ends a text | write `"a"`
    > run a”
    E110 1:5-7 the quote ” neither begins nor ends a text | write `"a"`
    > run ‘a "b"’
    E110 1:5-12 the quote ‘ neither begins nor ends a text | write `#"a "b"#`
    "##);
}

#[test]
fn values_have_spaces_between_them() {
    let table = table(&[
        "run \"a\"\"b\"\n",
        "run \"a\"b\n",
        "run a\"b\"\n",
        "a x=\"b\"c\n",
        "run r\"x\"\n",
        "run r#\"x\"#\n",
    ]);
    insta::assert_snapshot!(table, @r##"
    > run "a""b"
    E124 1:8-11 a space is missing before `"b"` | write a space between them, or one pair of quotes round both
    > run "a"b
    E124 1:8-9 a space is missing before `b` | write a space between them, or one pair of quotes round both
    > run a"b"
    E124 1:6-9 a space is missing before `"b"` | write a space between them, or one pair of quotes round both
    > a x="b"c
    E124 1:8-9 a space is missing before `c` | write a space between them, or one pair of quotes round both
    > run r"x"
    E111 1:5-6 a raw text has no `r` | write `#"…"#`
    > run r#"x"#
    E111 1:5-6 a raw text has no `r` | write `#"…"#`
    "##);
}

#[test]
fn texts_end_where_they_should() {
    let table = table(&[
        "run \"echo hi\nrun \"x\"\n",
        "job \"x {\n    run \"1\"\n}\n",
        "run \"a }\n",
        "run \"\n  a\n  b\n\"\n",
        "run \"\"\"a\nb\"\"\"\n",
        "run \"\"\"\n    a\n  b\n    \"\"\"\n",
        "run #\"\"\"\n    a\n\tb\n    \"\"\"#\n",
        "run \"\"\"\n    a\n    b\"\"\"\n",
        "run \"\"\"\na\n",
        "run #\"a\nrun b\n",
        "run #\"\"\"#\n",
        "run ##\"\"\"\na\n\"\"\"#\n",
    ]);
    insta::assert_snapshot!(table, @r###"
    > run "echo hi
    > run "x"
    E103 1:5-13 this text is never closed | write `"` where it ends
    > job "x {
    >     run "1"
    > }
    E103 1:5-7 this text is never closed | write `"` where it ends
    > run "a }
    E103 1:5-9 this text is never closed | write `"` where it ends
    > run "
    >   a
    >   b
    > "
    E104 1:5-6 a text in `"` ends in the line where it begins | write `"""`, the lines of the text, and `"""` on a line of its own
    > run """a
    > b"""
    E105 1:5-9 `"""` does not end its line | begin the text on a new line, or write it between single `"`
    > run """
    >     a
    >   b
    >     """
    E106 3:1-4 this line is indented less than the closing `"""` | indent every line of the text at least as far as its closing quotes
    > run #"""
    >     a
    > \u{9}b
    >     """#
    E106 3:1-3 this line is indented less than the closing `"""` | indent every line of the text at least as far as its closing quotes
    > run """
    >     a
    >     b"""
    E105 3:6-9 the closing `"""` does not begin its line | put the closing quotes on a line of their own
    > run """
    > a
    E103 1:5-8 this text is never closed | write `"""` on a line of its own where it ends
    > run #"a
    > run b
    E103 1:5-8 this text is never closed | write `"#` where it ends
    > run #"""#
    E105 1:5-10 `"""` does not end its line | begin the text on a new line, or write it between single `"`
    > run ##"""
    > a
    > """#
    E103 1:5-10 this text is never closed | write `"""##` on a line of its own where it ends
    "###);
}

#[test]
fn escapes_are_few() {
    let table = table(&[
        "run \"\\d\"\n",
        "run \"\\u{zz}\"\n",
        "run \"\\u{110000}\"\n",
        "run \"\\u{d800}\"\n",
        "run \"C:\\new\\dir\"\n",
        "run \"\"\"\n    \\w\n    \"\"\"\n",
    ]);
    insta::assert_snapshot!(table, @r##"
    > run "\d"
    E107 1:6-8 `\d` stands for nothing | write `\\d` for a backslash, or the text as `#"…"#`; known are `\n` `\r` `\t` `\s` `\b` `\f` `\"` `\\` `\u{…}`
    > run "\u{zz}"
    E107 1:6-8 `\u` needs a code point in braces | write for example `\u{e9}`, or `\\u` for a backslash
    > run "\u{110000}"
    E107 1:6-8 `\u` needs a code point in braces | write for example `\u{e9}`, or `\\u` for a backslash
    > run "\u{d800}"
    E107 1:6-8 `\u` needs a code point in braces | write for example `\u{e9}`, or `\\u` for a backslash
    > run "C:\new\dir"
    E107 1:12-14 `\d` stands for nothing | write `\\d` for a backslash, or the text as `#"…"#`; known are `\n` `\r` `\t` `\s` `\b` `\f` `\"` `\\` `\u{…}`
    > run """
    >     \w
    >     """
    E107 2:5-7 `\w` stands for nothing | write `\\w` for a backslash, or the text as `#"…"#`; known are `\n` `\r` `\t` `\s` `\b` `\f` `\"` `\\` `\u{…}`
    "##);
}
