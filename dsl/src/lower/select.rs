//! `when`, `unless`, `needs`, `after`, `on-failure`: conditions and dependencies as written.

use indexmap::IndexMap;

use crate::codes::graph as codes;
use crate::diagnostic::Diagnostic;
use crate::form::{Form, Reader, Val};
use crate::model::{Condition, Selection, WaitKind};
use crate::source::{Span, Spanned};

/// A dependency whose name was not looked up yet.
#[derive(Debug, Clone)]
pub(crate) struct RawWait {
    /// The name as written: a step, `stage.step`, or a stage.
    pub(crate) name: Spanned<String>,
    pub(crate) kind: WaitKind,
    pub(crate) optional: bool,
    pub(crate) legs: IndexMap<String, String>,
    /// What `use … as=` puts in front of the names of the template's own steps.
    pub(crate) prefix: Option<String>,
    /// The `use`, for findings.
    pub(crate) used_at: Option<Span>,
}

/// The conditions of a stage or a step.
pub(crate) fn selection(reader: &mut Reader<'_>, form: &Form<'_>) -> Selection {
    let mut selection = Selection::default();
    for (schema, node) in &form.children {
        if !matches!(schema.name, "when" | "unless") {
            continue;
        }
        let inner = reader.form(node, schema);
        let mut paths: Vec<Spanned<String>> = inner.text("paths").into_iter().collect();
        for (schema, child) in &inner.children {
            paths.extend(reader.form(child, schema).texts());
        }
        let condition = Condition {
            span: node.span,
            event: inner.text("event"),
            branch: name_glob(reader, &inner, "branch"),
            tag: name_glob(reader, &inner, "tag"),
            into: name_glob(reader, &inner, "into"),
            from: name_glob(reader, &inner, "from"),
            paths,
            released: !inner.rest.is_empty(),
        };
        if node.args.is_empty() && node.props.is_empty() && node.nodes().is_empty() {
            reader.report(
                Diagnostic::new(
                    &crate::codes::shape::MISSING_PROPERTY,
                    format!("`{}` says nothing", schema.name),
                    node.name.span,
                    "no condition here",
                )
                .help(format!(
                    "write a condition: `{} event=push branch=main`",
                    schema.name
                )),
            );
            continue;
        }
        match schema.name {
            "when" => selection.when.push(condition),
            _ => selection.unless.push(condition),
        }
    }
    selection
}

fn name_glob(reader: &mut Reader<'_>, form: &Form<'_>, name: &str) -> Option<Spanned<String>> {
    let text = form.text(name)?;
    // Nothing else in a pattern can be wrong.
    if !text.value.contains(['[', '{', '}', '\\']) {
        return Some(text);
    }
    match globset::Glob::new(&text.value) {
        Ok(_) => Some(text),
        Err(e) => {
            reader.report(
                Diagnostic::new(
                    &crate::codes::shape::WRONG_VALUE,
                    format!("`{}` is not a pattern for `{name}`", text.value),
                    text.span,
                    "cannot be read",
                )
                .help(format!("{}; `*` stands for anything", e.kind())),
            );
            None
        }
    }
}

/// The dependencies of a step.
pub(crate) fn waits(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    prefix: Option<&str>,
) -> Vec<RawWait> {
    collect(reader, form, prefix, false).0
}

/// The dependencies of a stage, and whether it has any node that says so itself.
pub(crate) fn stage_waits(reader: &mut Reader<'_>, form: &Form<'_>) -> (Vec<RawWait>, bool) {
    collect(reader, form, None, true)
}

fn collect(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    prefix: Option<&str>,
    stage: bool,
) -> (Vec<RawWait>, bool) {
    let mut out = Vec::new();
    let mut own = false;
    for (schema, node) in &form.children {
        let kind = match schema.name {
            "needs" => WaitKind::Needs,
            "after" => WaitKind::After,
            "on-failure" => WaitKind::OnFailure,
            _ => continue,
        };
        let inner = reader.form(node, schema);
        own = true;
        nothing(reader, &inner, stage);
        let legs = |(name, val): &(Spanned<String>, Val)| {
            Some((name.value.clone(), val.as_text()?.value.clone()))
        };
        let legs: IndexMap<String, String> = inner.open.iter().filter_map(legs).collect();
        let optional = inner.flag("optional");
        for name in inner.into_texts() {
            out.push(RawWait {
                name,
                kind,
                optional,
                legs: legs.clone(),
                prefix: prefix.map(str::to_owned),
                used_at: reader.scope.and_then(|s| s.used_at),
            });
        }
    }
    (out, own)
}

/// `nothing=#true` stands alone, and only in a stage.
fn nothing(reader: &mut Reader<'_>, form: &Form<'_>, stage: bool) {
    let names = !form.rest.is_empty();
    let nothing = form.flag("nothing");
    if nothing && (names || !stage) {
        reader.report(
            Diagnostic::new(
                &codes::NOTHING_NEEDED,
                if stage {
                    "`nothing=#true` contradicts the names beside it"
                } else {
                    "`nothing=#true` belongs to a stage"
                },
                form.node.span,
                "this `needs`",
            )
            .help(if stage {
                "keep either the names or `nothing=#true`"
            } else {
                "remove it; a step waits for its stage"
            }),
        );
    } else if !nothing && !names {
        reader.report(
            Diagnostic::new(
                &crate::codes::shape::MISSING_ARGUMENT,
                format!("`{}` names nothing", form.schema.name),
                form.name_span(),
                "the name of a step is missing",
            )
            .help(format!("write `{} STEP`", form.schema.name)),
        );
    }
}
