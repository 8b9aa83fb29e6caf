//! The standard library: templates that are part of the program.

/// Its files: the name by which they are included, and the text.
pub const FILES: &[(&str, &str)] = &[
    (
        "std/backport.kdl",
        include_str!("../../stdlib-pipelines/backport.kdl"),
    ),
    (
        "std/mkdocs.kdl",
        include_str!("../../stdlib-pipelines/mkdocs.kdl"),
    ),
    (
        "std/node.kdl",
        include_str!("../../stdlib-pipelines/node.kdl"),
    ),
    (
        "std/python.kdl",
        include_str!("../../stdlib-pipelines/python.kdl"),
    ),
    (
        "std/rust.kdl",
        include_str!("../../stdlib-pipelines/rust.kdl"),
    ),
];

/// The names of its templates, with their namespace.
pub fn templates() -> Vec<String> {
    let lines = FILES.iter().flat_map(|(_, text)| text.lines());
    lines
        .filter_map(|line| line.strip_prefix("template ")?.split(' ').next())
        .map(|name| format!("std.{name}"))
        .collect()
}
