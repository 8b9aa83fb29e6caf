//! `E1xx`: the text is not the KDL that its writer meant.

super::codes! {
    UNCLOSED_BLOCK "E101" "a block is never closed"
    "A `{` opens a block, and no `}` closes it before the file, or the block around it, ends."
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
}
