//! What to say when a node does not fit its schema: the right form, the right place, the right word.

use super::{Form, Reader};
use crate::codes::shape as codes;
use crate::diagnostic::{Diagnostic, nearest};
use crate::schema::{self, Field, NodeSchema};
use crate::syntax::tree::{Block, Node, Prop, Value};

/// Words that other tools use, and ours.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("script", "run"),
    ("cmd", "run"),
    ("command", "run"),
    ("commands", "run"),
    ("exec", "run"),
    ("sh", "run"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("depends", "needs"),
    ("requires", "needs"),
    ("dependencies", "needs"),
    ("if", "when"),
    ("only", "when"),
    ("rules", "when"),
    ("except", "unless"),
    ("environment", "env"),
    ("variables", "env"),
    ("vars", "env"),
    ("services", "service"),
    ("artifacts", "artifact"),
    ("retries", "retry"),
    ("attempts", "retry"),
    ("timeout-minutes", "timeout"),
    ("continue-on-error", "allow-failure"),
    ("allow_failure", "allow-failure"),
    ("on_failure", "on-failure"),
    ("strategy", "matrix"),
    ("finally", "always"),
    ("after_script", "always"),
    ("cleanup", "always"),
    ("cwd", "workdir"),
    ("dir", "workdir"),
    ("working-directory", "workdir"),
    ("image", "container"),
    ("jobs", "job"),
    ("task", "job"),
    ("step", "job"),
    ("steps", "job"),
    ("stages", "stage"),
    ("undo", "rollback"),
    ("variable", "env"),
    ("parameter", "param"),
    ("parameters", "param"),
    ("secret", "secrets"),
    ("sources", "inputs"),
    ("input", "inputs"),
    ("output", "outputs"),
    ("generates", "outputs"),
    ("mutex", "lock"),
    ("environment", "target"),
];

impl Reader<'_> {
    pub(super) fn extra_argument(&mut self, form: &Form<'_>, value: &Value) {
        let schema = form.schema;
        let written = self
            .sources
            .get(value.span.source)
            .slice(value.span)
            .to_owned();
        let help = if let Some(prop) = schema
            .props
            .iter()
            .find(|p| form.node.props.iter().all(|w| w.name.value != p.name))
        {
            format!(
                "a property is written `{}=…`; the whole form is `{}`",
                prop.name,
                schema.usage()
            )
        } else {
            format!("the form is `{}`", schema.usage())
        };
        let message = match schema.args {
            [] => format!(
                "`{}` takes no argument, but {written} is given",
                schema.name
            ),
            [one] => format!(
                "`{}` takes one argument, its {}; {written} is one too many",
                schema.name, one.name
            ),
            many => format!(
                "`{}` takes {} arguments; {written} is one too many",
                schema.name,
                many.len()
            ),
        };
        self.report(
            Diagnostic::new(
                &codes::EXTRA_ARGUMENT,
                message,
                value.span,
                "not expected here",
            )
            .help(help),
        );
    }

    pub(super) fn missing_argument(&mut self, form: &Form<'_>, field: &Field) {
        let schema = form.schema;
        let as_prop = form.node.props.iter().find(|p| p.name.value == field.name);
        let (span, help) = match as_prop {
            Some(prop) => (
                prop.name.span,
                format!(
                    "write it without `{}=`, right behind `{}`",
                    field.name, schema.name
                ),
            ),
            None => (form.name_span(), format!("write `{}`", schema.usage())),
        };
        self.report(
            Diagnostic::new(
                &codes::MISSING_ARGUMENT,
                format!("`{}` wants an argument: its {}", schema.name, field.name),
                span,
                format!("the {} is missing", field.name),
            )
            .help(help),
        );
    }

    pub(super) fn missing_prop(&mut self, form: &Form<'_>, field: &Field) {
        let name = form.schema.name;
        let as_child = form
            .node
            .nodes()
            .iter()
            .find(|n| n.name.value == field.name);
        if as_child.is_some() {
            return; // Said where the child stands.
        }
        self.report(
            Diagnostic::new(
                &codes::MISSING_PROPERTY,
                format!("`{name}` wants `{}=`", field.name),
                form.name_span(),
                format!("`{}=` is missing", field.name),
            )
            .help(format!("{} write `{}`", field.doc, form.schema.usage())),
        );
    }

    pub(super) fn missing_child(&mut self, form: &Form<'_>, child: &'static NodeSchema) {
        self.report(
            Diagnostic::new(
                &codes::MISSING_CHILD,
                format!(
                    "`{}` wants a `{}` in its block",
                    form.schema.name, child.name
                ),
                form.name_span(),
                format!("no `{}` here", child.name),
            )
            .help(format!("add `{}`", child.usage())),
        );
    }

    pub(super) fn unknown_prop(&mut self, form: &Form<'_>, prop: &Prop) {
        let name = prop.name.value.as_str();
        let schema = form.schema;
        let value = self
            .sources
            .get(prop.value.span.source)
            .slice(prop.value.span)
            .to_owned();
        let child = schema
            .child(name)
            .or_else(|| ours(name).and_then(|n| schema.child(n)));
        let help = if schema.args.iter().any(|a| a.name == name)
            || (name == "name" && !schema.args.is_empty())
        {
            format!(
                "the {} is written without `{name}=`: `{} {value}`",
                schema.args[0].name, schema.name
            )
        } else if let Some(child) = child {
            format!(
                "`{0}` is written inside the block: `{1} … {{ {0} {value} }}`",
                child.name, schema.name
            )
        } else if let Some(near) = nearest(name, schema.props.iter().map(|p| p.name)) {
            format!("did you mean `{near}`?")
        } else if schema.props.is_empty() {
            format!(
                "`{}` has no properties; the form is `{}`",
                schema.name,
                schema.usage()
            )
        } else {
            let known: Vec<_> = schema.props.iter().map(|p| p.name).collect();
            format!("its properties are {}", crate::text::list(&known))
        };
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_PROPERTY,
                format!("`{}` has no property `{name}`", schema.name),
                prop.name.span,
                "unknown property",
            )
            .help(help),
        );
    }

    pub(super) fn unknown_child(&mut self, form: &Form<'_>, child: &Node) {
        let name = child.name.value.as_str();
        let schema = form.schema;
        let place = if schema.name.is_empty() {
            "at the top of a file".into()
        } else {
            format!("in `{}`", schema.name)
        };
        let as_prop = schema.prop(name).map(|p| match child.args.first() {
            Some(value) => {
                let value = self.sources.get(value.span.source).slice(value.span);
                format!(
                    "`{0}` is a property: `{1} … {0}={value}`",
                    p.name, schema.name
                )
            }
            None => format!("`{0}` is a property: `{1} … {0}=…`", p.name, schema.name),
        });
        let help = as_prop
            .or_else(|| {
                let known = schema.children.iter().map(|c| c.node.name);
                nearest(name, known).map(|near| format!("did you mean `{near}`?"))
            })
            .or_else(|| {
                let ours = ours(name).filter(|n| schema.child(n).is_some())?;
                Some(format!(
                    "it is called `{ours}` here; `pipe explain {}` tells more",
                    path(schema, ours)
                ))
            })
            .or_else(|| elsewhere(name).map(|at| format!("`{name}` belongs into {at}")))
            .unwrap_or_else(|| {
                let known: Vec<_> = schema.children.iter().map(|c| c.node.name).collect();
                format!("here can stand {}", crate::text::list(&known))
            });
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_NODE,
                format!("there is no `{}` {place}", crate::text::shorten(name, 60)),
                child.name.span,
                "unknown here",
            )
            .help(help),
        );
    }

    pub(super) fn unexpected_block(&mut self, form: &Form<'_>, block: &Block) {
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_NODE,
                format!("`{}` has no block", form.schema.name),
                block.span,
                "not expected here",
            )
            .help(format!("the form is `{}`", form.schema.usage())),
        );
    }
}

fn ours(theirs: &str) -> Option<&'static str> {
    OTHER_WORDS
        .iter()
        .find(|(t, _)| *t == theirs)
        .map(|(_, o)| *o)
}

fn path(schema: &NodeSchema, child: &str) -> String {
    if schema.name.is_empty() {
        child.to_owned()
    } else {
        format!("{}.{child}", schema.name)
    }
}

/// The nodes in whose block a word may stand: "`job` or `stage`".
fn elsewhere(name: &str) -> Option<String> {
    let mut parents: Vec<&str> = Vec::new();
    let mut queue = vec![schema::root()];
    let mut seen: Vec<&'static NodeSchema> = Vec::new();
    while let Some(node) = queue.pop() {
        if seen.iter().any(|s| std::ptr::eq(*s, node)) {
            continue;
        }
        seen.push(node);
        if node.child(name).is_some() && !parents.contains(&node.name) {
            parents.push(node.name);
        }
        queue.extend(node.children.iter().rev().map(|c| c.node));
    }
    let words: Vec<String> = parents
        .iter()
        .take(4)
        .map(|p| {
            if p.is_empty() {
                "the top of the file".to_owned()
            } else {
                format!("`{p}`")
            }
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" or "))
}
