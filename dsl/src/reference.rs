//! The reference of the language as one page of Markdown, made from the tables that the program itself works with.

use crate::codes;
use crate::diagnostic::{Code, Severity};
use crate::explain::{fields, first_sentence};
use crate::expr::{CONTEXTS, FUNCTIONS};
use crate::render::visible;
use crate::schema::{self, Child, Count, Field, NodeSchema};

/// The whole reference: nodes, references, findings. Headings have anchors such as `#job-cache` and `#e301`.
#[must_use]
pub fn markdown() -> String {
    let mut out =
        String::from("# Language reference\n\nThis page is made from the program's own tables.\n");
    out += "\n## Nodes\n\n";
    for (path, node) in nodes() {
        out += &format!(
            "- [`{path}`](#{}): {}\n",
            anchor(path),
            first_sentence(node.doc)
        );
    }
    for (path, node) in nodes() {
        out += &section(path, node);
    }
    out += &references();
    out += "\n## Findings\n";
    for code in codes::all() {
        out += &finding(code);
    }
    out
}

fn nodes() -> impl Iterator<Item = (&'static str, &'static NodeSchema)> {
    let all = schema::all().iter().filter(|(path, _)| !path.is_empty());
    all.map(|(path, node)| (path.as_str(), *node))
}

fn anchor(path: &str) -> String {
    path.replace('.', "-").to_lowercase()
}

fn section(path: &str, node: &NodeSchema) -> String {
    let mut out = format!(
        "\n### `{path}` {{#{}}}\n\n{}\n\n```text\n{}\n```\n",
        anchor(path),
        node.doc,
        node.usage()
    );
    let args: Vec<&Field> = node.args.iter().chain(&node.rest).collect();
    let mut props: Vec<&Field> = node.props.iter().collect();
    props.extend(&node.open_props);
    out += &field_table("Argument", &args);
    out += &field_table("Property", &props);
    if !node.children.is_empty() {
        out += "\n| In its block | | |\n|---|---|---|\n";
        for child in node.children {
            out += &child_row(child);
        }
    }
    if let Some(field) = &node.open_children {
        out += &format!("\nAny other child is a list of your own: {}\n", field.doc);
    }
    if !node.example.is_empty() {
        out += &format!("\n```kdl\n{}\n```\n", node.example);
    }
    out
}

fn field_table(title: &str, fields: &[&Field]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    let mut out = format!("\n| {title} | Type | Default | |\n|---|---|---|---|\n");
    for field in fields {
        let default = match (field.required, field.default) {
            (_, Some(default)) => format!("`{default}`"),
            (true, None) => "required".to_owned(),
            (false, None) => String::new(),
        };
        out += &format!(
            "| `{}` | {} | {default} | {} |\n",
            field.name,
            cell(&field.ty.describe()),
            cell(field.doc)
        );
    }
    out
}

fn child_row(child: &Child) -> String {
    let count = match child.count {
        Count::Once => "once",
        Count::Some => "one or more",
        Count::Many => "any number",
    };
    let path = nodes()
        .find(|(_, n)| std::ptr::eq(*n, child.node))
        .map_or(child.node.name, |(p, _)| p);
    format!(
        "| [`{}`](#{}) | {count} | {} |\n",
        child.node.name,
        anchor(path),
        cell(first_sentence(child.node.doc))
    )
}

fn references() -> String {
    let mut out = String::from(
        "\n## References\n\n`${…}` is replaced in texts whose type says so. `$$` is a dollar sign.\n",
    );
    out += "\n| Reference | |\n|---|---|\n";
    for (name, doc) in CONTEXTS.iter().flat_map(fields) {
        out += &format!("| `{name}` | {} |\n", cell(&doc));
    }
    out += "| `${STEP.outputs.NAME}` | an output of a step: a line `NAME=value` that it appended to `$PIPE_OUTPUT` |\n";
    out += "\nFunctions stand behind a reference, with a dot: `${git.branch.slug}`.\n\n| Function | |\n|---|---|\n";
    for (name, doc) in FUNCTIONS {
        out += &format!("| `{name}` | {} |\n", cell(doc));
    }
    out
}

fn finding(code: Code) -> String {
    let kind = match code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let anchor = anchor(code.id);
    let mut out = format!(
        "\n### {}: {} {{#{anchor}}}\n\nAn {kind}. {}\n",
        code.id, code.title, code.explanation
    );
    if kind == "warning" {
        out = out.replacen("An warning", "A warning", 1);
    }
    for (title, text) in [("Wrong", code.bad), ("Right", code.good)] {
        if !text.is_empty() {
            out += &format!(
                "\n{title}:\n\n```kdl\n{}\n```\n",
                visible(text.trim_end(), true)
            );
        }
    }
    out
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
