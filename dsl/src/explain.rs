//! What `pipe explain` says about a code, a node of the language or a context of `${…}`: plain text for a terminal.
//! Knows nothing about runs.

use crate::diagnostic::{Code, nearest};
use crate::expr::{CONTEXTS, Context, FUNCTIONS};
use crate::render::visible;
use crate::schema::{self, Child, Count, Field, NodeSchema};
use crate::text::list;

/// Columns of a paragraph.
const WIDTH: usize = 80;

/// What a code means, with a wrong and a right example.
#[must_use]
pub fn code(code: Code) -> String {
    let mut out = format!(
        "{}: {}\n\n{}",
        code.id,
        code.title,
        wrap(code.explanation, "")
    );
    for (title, text) in [("Wrong", code.bad), ("Right", code.good)] {
        if !text.is_empty() {
            out += &format!("\n{title}\n\n{}", indented(text));
        }
    }
    out
}

/// What the node at a path such as `job.cache`, `cache` or `deploy.to` is, or a context such as `${git}` or `git`.
/// A word with several meanings gets all of them.
///
/// # Errors
/// A sentence that says which part is not known, and what was probably meant.
pub fn node(path: &str) -> Result<String, String> {
    let path = path.trim();
    let reference = path.strip_prefix("${").map(|p| p.trim_end_matches('}'));
    let word = reference.unwrap_or(path);
    let mut parts: Vec<String> = Vec::new();
    if reference.is_none() {
        match schema::find(word) {
            Ok(found) => parts.extend(found.iter().map(|(path, node)| describe(path, node))),
            Err(_) => parts.extend(field(word)),
        }
    }
    parts.extend(context(word));
    if parts.is_empty() {
        return Err(unknown(word, reference.is_some()));
    }
    Ok(parts.join("\n"))
}

fn describe(path: &str, node: &NodeSchema) -> String {
    let mut out = format!("{path}\n\n    {}\n\n{}", node.usage(), wrap(node.doc, ""));
    let args: Vec<&Field> = node.args.iter().chain(&node.rest).collect();
    let mut props: Vec<&Field> = node.props.iter().collect();
    props.extend(&node.open_props);
    for (title, fields, required) in [("Arguments", args, true), ("Properties", props, false)] {
        if !fields.is_empty() {
            let rows: Vec<[String; 3]> = fields.iter().map(|f| row(f, required)).collect();
            out += &format!("\n{title}\n\n{}", table(&rows));
        }
    }
    if !node.children.is_empty() || node.open_children.is_some() {
        let mut rows: Vec<[String; 3]> = node.children.iter().map(child).collect();
        rows.extend(node.open_children.iter().map(|f| row(f, false)));
        out += &format!("\nIn its block\n\n{}", table(&rows));
    }
    if !node.example.is_empty() {
        out += &format!("\nExample\n\n{}", indented(node.example));
    }
    out
}

/// A field; what is usual for its kind is not said: an argument must be there, a property need not.
fn row(field: &Field, usually_required: bool) -> [String; 3] {
    let must = match (field.default, field.required == usually_required) {
        (Some(default), _) => format!(" Default: `{default}`."),
        (None, true) => String::new(),
        (None, false) if field.required => " Required.".to_owned(),
        (None, false) => " Optional.".to_owned(),
    };
    let doc = format!("{}{must}", field.doc);
    [field.name.to_owned(), field.ty.describe(), doc]
}

fn child(child: &Child) -> [String; 3] {
    let count = match child.count {
        Count::Once => "once",
        Count::Some => "one or more",
        Count::Many => "any number",
    };
    let doc = first_sentence(child.node.doc).to_owned();
    [child.node.name.to_owned(), count.to_owned(), doc]
}

/// The first sentence of a text of several.
pub(crate) fn first_sentence(text: &str) -> &str {
    text.split_once(". ")
        .map_or(text, |(first, _)| first)
        .trim_end_matches('.')
}

/// One argument or property: `deploy.to`.
fn field(path: &str) -> Option<String> {
    let (node, name) = path.rsplit_once('.')?;
    let mut rows = Vec::new();
    for (path, node) in schema::find(node).ok()? {
        let fields = node.props.iter().chain(node.args).chain(&node.rest);
        rows.extend(fields.filter(|f| f.name == name).map(|f| {
            let [_, ty, doc] = row(f, f.required);
            format!(
                "{path}.{name}\n\n    {}\n\n{}",
                node.usage(),
                wrap(&format!("{doc} Type: {ty}."), "")
            )
        }));
    }
    (!rows.is_empty()).then(|| rows.join("\n"))
}

fn context(word: &str) -> Option<String> {
    let (first, field) = word
        .split_once('.')
        .map_or((word, None), |(c, f)| (c, Some(f)));
    if let Some((name, doc)) = FUNCTIONS
        .iter()
        .find(|(f, _)| f.split('(').next() == Some(word))
    {
        return Some(format!(
            "${{….{name}}}\n\n{}",
            wrap(&format!("A function behind a reference: {doc}."), "")
        ));
    }
    let context = CONTEXTS.iter().find(|c| c.name == first)?;
    if field.is_some_and(|f| context.fields.iter().all(|(known, _)| *known != f)) {
        return None;
    }
    let rows: Vec<[String; 3]> = fields(context)
        .into_iter()
        .filter(|(name, _)| field.is_none_or(|f| name.ends_with(&format!(".{f}}}"))))
        .map(|(name, doc)| [name, String::new(), doc])
        .collect();
    let title = format!("${{{first}.…}}");
    Some(format!(
        "{title}\n\n{}\n{}",
        wrap(context.doc, ""),
        table(&rows)
    ))
}

/// The references that a context has, as written, and what each is.
pub(crate) fn fields(context: &Context) -> Vec<(String, String)> {
    if context.fields.is_empty() {
        let form = if context.name == "target" {
            "NAME.FIELD"
        } else {
            "NAME"
        };
        return vec![(
            format!("${{{}.{form}}}", context.name),
            context.doc.to_owned(),
        )];
    }
    let field =
        |(name, doc): &(&str, &str)| (format!("${{{}.{name}}}", context.name), (*doc).to_owned());
    context.fields.iter().map(field).collect()
}

fn unknown(path: &str, reference: bool) -> String {
    let shown = crate::text::shorten(path, 60);
    let parts: Vec<&str> = path.split('.').collect();
    let contexts = || CONTEXTS.iter().map(|c| c.name);
    let (inside, known): (String, Vec<&str>) = match parts.split_last() {
        Some((_, before)) if !before.is_empty() && reference => {
            let context = CONTEXTS.iter().find(|c| c.name == before[0]);
            let known = context.map_or_else(
                || contexts().collect(),
                |c| c.fields.iter().map(|(f, _)| *f).collect(),
            );
            (format!(" in `${{{}.…}}`", before[0]), known)
        }
        Some((_, before)) if schema::find(&before.join(".")).is_ok() => {
            let found = schema::find(&before.join(".")).unwrap_or_default();
            let known = found.iter().flat_map(|(_, n)| {
                let fields = n.props.iter().map(|p| p.name);
                n.children.iter().map(|c| c.node.name).chain(fields)
            });
            (format!(" in `{}`", before.join(".")), known.collect())
        }
        _ if reference => (" in `${…}`".to_owned(), contexts().collect()),
        _ => {
            let nodes = schema::all().iter().map(|(_, n)| n.name);
            let codes = crate::codes::all().map(|c| c.id);
            (
                String::new(),
                nodes.chain(contexts()).chain(codes).collect(),
            )
        }
    };
    let last = if inside.is_empty() {
        parts[0]
    } else {
        parts[parts.len() - 1]
    };
    let help = match nearest(last, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "nothing stands in it".to_owned(),
        None if known.len() <= 30 => format!("there is {}", list(&known)),
        None => {
            "`pipe explain pipeline` and `pipe explain stage` are good places to begin".to_owned()
        }
    };
    match inside.is_empty() {
        true => format!("the language has no `{shown}`; {help}"),
        false => format!(
            "there is no `{}`{inside}; {help}",
            crate::text::shorten(last, 60)
        ),
    }
}

/// Three columns; the last one is wrapped under itself.
fn table(rows: &[[String; 3]]) -> String {
    let width = |at: usize| {
        rows.iter()
            .map(|r| r[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1).min(34));
    let mut out = String::new();
    for [name, ty, doc] in rows {
        let mut head = format!("    {name:first$}  ");
        if second > 0 {
            head += &format!("{ty:second$}  ");
        }
        let margin = 4 + first + 2 + if second > 0 { second + 2 } else { 0 };
        // A long list of words stands in a line of its own.
        if head.chars().count() > margin {
            out += head.trim_end();
            out.push('\n');
            head = " ".repeat(margin);
        }
        let text = wrap_to(doc, WIDTH.max(margin + 40) - margin);
        let mut lines = text.lines();
        out += &head;
        out += lines.next().unwrap_or_default();
        out = out.trim_end().to_owned() + "\n";
        for line in lines {
            out += &format!("{}{line}\n", " ".repeat(margin));
        }
    }
    out
}

fn wrap(text: &str, indent: &str) -> String {
    wrap_to(text, WIDTH)
        .lines()
        .map(|l| format!("{indent}{l}\n"))
        .collect()
}

fn wrap_to(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out
}

fn indented(text: &str) -> String {
    let lines = visible(text, true);
    lines
        .lines()
        .map(|l| format!("    {l}").trim_end().to_owned() + "\n")
        .collect()
}
