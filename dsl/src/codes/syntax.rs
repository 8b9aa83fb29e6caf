//! `E1xx`, `W1xx`: the text is not the KDL that its writer meant.

super::codes! {
    UNCLOSED_BLOCK "E101" "a block is never closed"
    "A `{` opens a block, and no `}` closes it before the file, or the block around it, ends. Where the indentation shows which block was meant to end, the finding points at that one."
    bad r#"pipeline app
stage test {
    job unit {
        run "true"
}
"#
    good r#"pipeline app
stage test {
    job unit {
        run "true"
    }
}
"#

    STRAY_BRACE "E102" "a `}` closes nothing"
    "There is one `}` more than there are blocks. Delete it, or look for a `{` that was lost before it."
    bad r#"stage test {
    job unit {
        run "true"
    }
    }
}
"#
    good r#"stage test {
    job unit {
        run "true"
    }
}
"#

    UNCLOSED_TEXT "E103" "a text is never closed"
    r#"A text in `"` ends with a second `"` in the same line; one in `"""` ends with `"""` on a line of its own; a raw one ends with as many `#` as it began with."#
    bad r#"stage test {
    job unit {
        run "cargo test
    }
}
"#
    good r#"stage test {
    job unit {
        run "cargo test"
    }
}
"#

    BROKEN_TEXT "E104" r#"a text in `"` goes on in the next line"#
    r#"Texts of several lines stand between `"""`: the opening quotes end their line, the closing quotes stand alone in theirs, and their indentation is taken away from every line."#
    bad r#"stage test {
    job unit {
        run "
            cargo build
            cargo test
        "
    }
}
"#
    good r#"stage test {
    job unit {
        run """
            cargo build
            cargo test
            """
    }
}
"#

    LINES_SHAPE "E105" r#"`"""` has neighbours in its line"#
    r#"The opening `"""` must be the last thing in its line, the closing `"""` the first in its own."#
    bad r#"stage test {
    job unit {
        run """cargo test"""
    }
}
"#
    good r#"stage test {
    job unit {
        run "cargo test"
    }
}
"#

    LINES_INDENT "E106" "a line of a text begins left of its closing quotes"
    r#"The white space before the closing `"""` is taken away from every line of the text, so every line must begin with exactly that white space."#
    bad r#"stage test {
    job unit {
        run """
          cargo build
        cargo test
          """
    }
}
"#
    good r#"stage test {
    job unit {
        run """
          cargo build
          cargo test
          """
    }
}
"#

    BAD_ESCAPE "E107" "a backslash stands before a character that it cannot escape"
    r##"In `"…"` a backslash begins one of `\n`, `\r`, `\t`, `\s` (a space), `\b`, `\f`, `\"`, `\\` and `\u{…}`, or swallows the white space behind it. Regular expressions are easier to read as raw texts, `#"…"#`, in which a backslash is a backslash."##
    bad r#"stage test {
    job unit {
        run "grep '\d' log.txt"
    }
}
"#
    good r##"stage test {
    job unit {
        run #"grep '\d' log.txt"#
    }
}
"##

    UNCLOSED_COMMENT "E108" "a comment is never closed"
    "`/*` begins a comment that ends with `*/`. Comments nest: each `/*` inside needs a `*/` of its own."
    bad r#"stage test {
    job unit {
        run "true"
    }
    /* the rest comes later
}
"#
    good r#"stage test {
    job unit {
        run "true"
    }
    /* the rest comes later */
}
"#

    HASH_COMMENT "E109" "a comment begins with `#`"
    "Comments begin with `//`, or stand between `/*` and `*/`. `#` begins a keyword such as `#true`, or a raw text."
    bad r#"stage test {
    # the tests
    job unit {
        run "true"
    }
}
"#
    good r#"stage test {
    // the tests
    job unit {
        run "true"
    }
}
"#

    WRONG_QUOTES "E110" "a text stands in quotes that are none"
    r#"Only the straight double quote `"` begins and ends a text. Single quotes and typographic quotes are ordinary characters, so the text would end at its first space. Inside a text they are welcome."#
    bad r#"stage test {
    job unit {
        run 'cargo test'
    }
}
"#
    good r#"stage test {
    job unit {
        run "cargo test"
    }
}
"#

    OLD_RAW_TEXT "E111" "a raw text is written as in KDL 1"
    r###"In KDL 2 a raw text is `#"…"#`, without an `r`. If the text holds `"#`, write `##"…"##`."###
    bad r#"stage test {
    job unit {
        run r"true"
    }
}
"#
    good r##"stage test {
    job unit {
        run #"true"#
    }
}
"##

    BARE_KEYWORD "E112" "`true`, `false` or `null` without its `#`"
    r#"Truth values are `#true` and `#false`, nothing is `#null`. The words without `#` are neither values nor texts, so that nobody takes one for the other. The command `true` is written as a text, `"true"`."#
    bad r#"stage test {
    job unit {
        allow-failure true
        run "make lint"
    }
}
"#
    good r#"stage test {
    job unit {
        allow-failure #true
        run "make lint"
    }
}
"#

    UNKNOWN_KEYWORD "E113" "a word with `#` that is no keyword"
    "Behind a `#` stands one of `true`, `false`, `null`, `inf`, `-inf` and `nan`, in small letters."
    bad r#"stage test {
    job unit {
        allow-failure #yes
        run "make lint"
    }
}
"#
    good r#"stage test {
    job unit {
        allow-failure #true
        run "make lint"
    }
}
"#

    BAD_NUMBER "E114" "a text without quotes begins like a number"
    r#"What begins with a digit is a number. Durations, sizes, versions, dates and addresses are texts and need quotes: `"30m"`, `"512MiB"`, `"3.11-slim"`."#
    bad r#"stage test {
    job unit {
        timeout 30m
        run "true"
    }
}
"#
    good r#"stage test {
    job unit {
        timeout "30m"
        run "true"
    }
}
"#

    NUMBER_TOO_LARGE "E115" "a number is too large"
    "Whole numbers have at most 127 bits, others are 64-bit floating point. A long row of digits is nearly always a text: an account, a hash. Put it in quotes."
    bad r#"env BUILD=1e999
stage test {
    job unit { run "make" }
}
"#
    good r#"env BUILD="1e999"
stage test {
    job unit { run "make" }
}
"#

    UNQUOTED_PATH "E116" "a path or an address without quotes"
    r#"A word ends at `/` and at `\`. Worse, `//` and `/*` begin comments: of `https://example.com` only `https:` would be left, and `src/**` would swallow the lines after it. Paths, globs and addresses are written in quotes."#
    bad r#"stage test {
    job unit {
        inputs src/**
        run "true"
    }
}
"#
    good r#"stage test {
    job unit {
        inputs "src/**"
        run "true"
    }
}
"#

    UNQUOTED_DOLLAR "E117" "`${…}` without quotes"
    r#"Without quotes the brace would begin a block: `${KEY}` would be the text `$` and a block with a node `KEY`. Write `"${KEY}"`."#
    bad r#"stage test {
    job unit {
        env SHA=${git.sha}
        run "make"
    }
}
"#
    good r#"stage test {
    job unit {
        env SHA="${git.sha}"
        run "make"
    }
}
"#

    EQUALS "E118" "an `=` where there is none"
    r#"A property is `name=value`, without spaces, behind the name of a node. The value of a node follows its name after a space: `workdir "app"`, not `workdir = "app"`."#
    bad r#"stage test {
    job unit {
        workdir = "app"
        run "true"
    }
}
"#
    good r#"stage test {
    job unit {
        workdir "app"
        run "true"
    }
}
"#

    COMMA "E119" "values with commas between them"
    "A list is written with spaces: `needs lint test`. A comma would be part of the word before it."
    bad r#"stage test {
    job lint { run "make lint" }
    job build { run "make" }
    job unit {
        needs lint, build
        run "make test"
    }
}
"#
    good r#"stage test {
    job lint { run "make lint" }
    job build { run "make" }
    job unit {
        needs lint build
        run "make test"
    }
}
"#

    COLON "E120" "a name with a colon behind it"
    "This is not YAML: a node is its name, a space and its values. The colon would be part of the name."
    bad r#"stage test {
    job unit {
        workdir: "app"
        run "true"
    }
}
"#
    good r#"stage test {
    job unit {
        workdir "app"
        run "true"
    }
}
"#

    DASH_ITEM "E121" "a list with dashes"
    "This is not YAML: the items of a list stand behind its name, with spaces between them."
    bad r#"stage test {
    job lint { run "make lint" }
    job build { run "make" }
    job unit {
        needs {
            - lint
            - build
        }
        run "make test"
    }
}
"#
    good r#"stage test {
    job lint { run "make lint" }
    job build { run "make" }
    job unit {
        needs lint build
        run "make test"
    }
}
"#

    LONELY_BLOCK "E122" "a block on a line of its own"
    r#"The end of a line ends a node, so a `{` in the next line belongs to no node. It stands in the line of its node. After a long line a `\` at its end goes on in the next."#
    bad r#"stage test {
    job unit
    {
        run "true"
    }
}
"#
    good r#"stage test {
    job unit {
        run "true"
    }
}
"#

    AFTER_BLOCK "E123" "something follows a `}` in its line"
    "A `}` ends its node. The next one begins on a new line, or after a `;`."
    bad r#"stage test { job unit { run "true" } job lint { run "true" } }
"#
    good r#"stage test { job unit { run "true" }; job lint { run "true" } }
"#

    MISSING_SPACE "E124" "two values without a space between them"
    r#"Values are separated by spaces. A quote inside a text is written `\"`."#
    bad r#"stage test {
    job unit {
        run "cargo build""cargo test"
    }
}
"#
    good r#"stage test {
    job unit {
        run "cargo build"
        run "cargo test"
    }
}
"#

    ANNOTATION "E125" "parentheses that annotate no value"
    r#"`(type)` stands directly before a value, as in `key (file)"Cargo.lock"`. Other parentheses belong in quotes."#
    bad r#"stage test {
    (job)unit {
        run "true"
    }
}
"#
    good r#"stage test {
    job unit {
        run "true"
    }
}
"#

    UNEXPECTED "E126" "a character that means nothing where it stands"
    r#"Outside of quotes `[`, `]`, `)`, `\` and `;` have one meaning or none. If it is part of a text, put the text in quotes."#
    bad r#"stage test {
    job lint { run "make lint" }
    job build { run "make" }
    job unit {
        needs [lint, build]
        run "make test"
    }
}
"#
    good r#"stage test {
    job lint { run "make lint" }
    job build { run "make" }
    job unit {
        needs lint build
        run "make test"
    }
}
"#

    FORBIDDEN_CHARACTER "E127" "a character that an editor hides"
    r#"Control characters, controls of the writing direction, invisible spaces and unusual line breaks are refused everywhere in the file, comments included: with them a file can look different from what it does. In a text, write them as `\u{…}`."#
    bad "stage test {\n    job unit {\n        run \"echo \u{202e}gnirts\"\n    }\n}\n"
    good r#"stage test {
    job unit {
        run "echo \u{202e}gnirts"
    }
}
"#

    LONELY_SLASH_DASH "E128" "a `/-` that leaves out nothing"
    "`/-` leaves out the node, value, property or block that follows it. A comment begins with `//`."
    bad r#"stage test {
    job unit {
        run "true"
        /-
    }
}
"#
    good r#"stage test {
    job unit {
        run "true"
        /-retry 2
    }
}
"#

    VALUE_AS_NAME "E129" "a line begins with a value"
    "Every line begins with the name of a node; values stand behind it."
    bad r#"stage test {
    job unit {
        run "true"
        3
    }
}
"#
    good r#"stage test {
    job unit {
        run "true"
        retry 3
    }
}
"#

    TOO_LARGE "E130" "the file is too large"
    "A file has at most 1 MiB, 100 000 nodes, and 16 KiB in a line, so that it can always be checked in about a second. Data belongs in files of its own; a large pipeline is split with `include`."
    bad ""
    good ""

    TOO_DEEP "E131" "blocks, comments or `/-` are nested too deep"
    "At most 32 blocks stand in each other, 8 comments, and 4 things left out by `/-`."
    bad r#"a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { a { } } } } } } } } } } } } } } } } } } } } } } } } } } } } } } } } }
"#
    good r#"stage test {
    job unit { run "true" }
}
"#

    TOO_SLOW "E138" "reading the file took too long"
    "The file was given up after ten seconds, or the machine could not start a thread to read it. Make it smaller or simpler, and report it: no file of the allowed size should do this."
    bad ""
    good ""

    UNREADABLE "E139" "not KDL"
    "The text is not valid KDL 2, in a way that has no better explanation. <https://kdl.dev> describes the format."
    bad ""
    good ""

    LEADING_ZERO "W101" "a number loses the zeros in front"
    r#"`0755` is the number 755, not a file mode. Write it as a text, `"0755"`, or as an octal number, `0o755`."#
    bad r#"param umask default=0022
stage test {
    job unit { env UMASK="${param.umask}"; run "make" }
}
"#
    good r#"param umask default="0022"
stage test {
    job unit { env UMASK="${param.umask}"; run "make" }
}
"#
}
