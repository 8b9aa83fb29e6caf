//! What to say when a node does not fit its schema: the right form, the right place, the right word.

use super::{Form, Reader, foreign};
use crate::codes::shape as codes;
use crate::diagnostic::{Diagnostic, nearest};
use crate::schema::{self, Count, Field, NodeSchema, Type};
use crate::syntax::tree::{Block, Node, Prop, Value};
use crate::text::shorten;

/// What the block of this node needs, where something stands in its place before it: `always "rm -r tmp"`.
pub(super) fn before_block(form: &Form<'_>) -> Option<&'static NodeSchema> {
    let schema = form.schema;
    let is_needed = schema.children.iter().find(|c| c.count == Count::Some);
    let before = form.node.children.is_none()
        && schema.rest.is_none()
        && form.node.args.len() > schema.args.len();
    is_needed.filter(|_| before).map(|c| c.node)
}

impl Reader<'_> {
    pub(super) fn extra_argument(&mut self, form: &Form<'_>, value: &Value) {
        let schema = form.schema;
        let written = shorten(self.sources.get(value.span.source).slice(value.span), 60);
        let unset = |p: &&Field| form.node.props.iter().all(|w| w.name.value != p.name);
        let head = || {
            let args = form.node.args.iter().take(schema.args.len());
            let args = args.map(|a| format!(" {}", self.sources.get(a.span.source).slice(a.span)));
            format!("{}{}", schema.name, args.collect::<String>())
        };
        let help = match (schema.args, form.node.args.first(), value.as_str()) {
            _ if let Some(child) = before_block(form) => {
                format!("write `{} {{ {} {written} }}`", head(), child.name)
            }
            // Two words where one name is expected: a name with a space in it.
            ([one], Some(first), Some(second))
                if one.ty == Type::Name && first.as_str().is_some() =>
            {
                let first = first.as_str().unwrap_or_default();
                format!(
                    "a name has no spaces: `{} {first}-{second}`; the whole form is `{}`",
                    schema.name,
                    schema.usage()
                )
            }
            _ => match schema.props.iter().find(unset) {
                Some(prop) => format!(
                    "a property is written `{}=…`; the whole form is `{}`",
                    prop.name,
                    schema.usage()
                ),
                None => format!("the form is `{}`", schema.usage()),
            },
        };
        let message = match schema.args {
            [] => format!(
                "`{}` takes no argument, but `{written}` is given",
                schema.name
            ),
            [one] => format!(
                "`{}` takes one argument, its {}; `{written}` is one too many",
                schema.name, one.name
            ),
            many => format!(
                "`{}` takes {} arguments; `{written}` is one too many",
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
        if let Some(prop) = form
            .node
            .props
            .iter()
            .find(|p| is_argument(schema, &p.name.value))
        {
            if schema.open_props.is_some() {
                let help = format!(
                    "write it without `{}=`, right behind `{}`",
                    prop.name.value, schema.name
                );
                self.no_property(form, prop, help);
            }
            return; // Otherwise it was said where the property stands.
        }
        self.report(
            Diagnostic::new(
                &codes::MISSING_ARGUMENT,
                format!("`{}` wants an argument: its {}", schema.name, field.name),
                form.name_span(),
                format!("the {} is missing", field.name),
            )
            .help(format!("write `{}`", schema.usage())),
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
            .or_else(|| foreign::ours_by_name(schema, name));
        let help = if is_argument(schema, name) {
            format!(
                "the {} is written without `{name}=`: `{} {value}`",
                schema.args[0].name, schema.name
            )
        } else if let Some(child) = child {
            format!(
                "`{0}` is written inside the block: `{1} … {{ {0} {value} }}`",
                child.name, schema.name
            )
        } else if let Some(ours) = foreign::our_property(schema, name) {
            format!("it is called `{ours}` here: `{ours}={value}`")
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
            let shown = crate::text::list(&known);
            match known.len() {
                1 => format!("its only property is {shown}"),
                _ => format!("its properties are {shown}"),
            }
        };
        self.no_property(form, prop, help);
    }

    fn no_property(&mut self, form: &Form<'_>, prop: &Prop, help: String) {
        let name = shorten(&prop.name.value, 60);
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_PROPERTY,
                format!("`{}` has no property `{name}`", form.schema.name),
                prop.name.span,
                "unknown property",
            )
            .help(help),
        );
    }

    /// Children that should be properties, as one finding: `when { event push }`.
    pub(super) fn props_as_children(&mut self, form: &Form<'_>, children: &[&Node]) {
        let Some(first) = children.first() else {
            return;
        };
        let name = form.schema.name;
        let text = |span: crate::source::Span| self.sources.get(span.source).slice(span).to_owned();
        let written: Vec<String> = children
            .iter()
            .map(|child| match child.args.first() {
                Some(value) => format!("{}={}", child.name.value, text(value.span)),
                None => format!("{}=…", child.name.value),
            })
            .collect();
        let names: Vec<&str> = children.iter().map(|c| c.name.value.as_str()).collect();
        let (are, stand) = match names.as_slice() {
            [_] => ("is a property", "it stands"),
            _ => ("are properties", "they stand"),
        };
        let mut finding = Diagnostic::new(
            &codes::UNKNOWN_NODE,
            format!("{} {are} of `{name}`", crate::text::list(&names)),
            first.name.span,
            "not in the block",
        )
        .help(format!(
            "{stand} behind `{name}`: `{name} … {}`",
            shorten(&written.join(" "), 100)
        ));
        for child in &children[1..] {
            finding = finding.label(child.name.span, "");
        }
        self.report(finding);
    }

    pub(super) fn unknown_child(&mut self, form: &Form<'_>, child: &Node) {
        let name = child.name.value.as_str();
        let schema = form.schema;
        let place = if schema.name.is_empty() {
            "at the top of a file".into()
        } else {
            format!("in `{}`", schema.name)
        };
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_NODE,
                format!("there is no `{}` {place}", shorten(name, 60)),
                child.name.span,
                "unknown here",
            )
            .help(self.right_child(schema, child)),
        );
    }

    /// What to write instead of a child that is not known here.
    fn right_child(&self, schema: &'static NodeSchema, child: &Node) -> String {
        let name = child.name.value.as_str();
        let known = || schema.children.iter().map(|c| c.node.name);
        if let Some(ours) = foreign::ours(schema, child) {
            let written = self.sources.get(child.span.source).slice(child.span);
            let rest = written.get(name.len()..).unwrap_or_default();
            let form = match rest.split_once('{') {
                Some((head, _)) => format!("{} {{ … }}", shorten(head.trim_end(), 60)),
                None => shorten(rest.trim_end(), 60),
            };
            let form = format!(": `{}{form}`", ours.name);
            let path = path(schema, ours.name);
            return format!(
                "it is called `{}` here{form}; `pipe explain {path}` tells more",
                ours.name
            );
        }
        if let Some(remark) = foreign::remark(schema, name) {
            return remark.to_owned();
        }
        if let Some(near) = nearest(name, known()) {
            return format!("did you mean `{near}`?");
        }
        let inner = schema.children.iter().map(|c| c.node);
        if let Some(inner) = inner
            .filter(|n| n.name != "template")
            .find(|n| n.child(name).is_some())
        {
            let arg = inner
                .args
                .first()
                .map_or(String::new(), |a| format!(" {}", a.name.to_uppercase()));
            return format!("put it into a `{0}`: `{0}{arg} {{ {name} … }}`", inner.name);
        }
        if let Some(at) = elsewhere(name) {
            return format!("`{name}` stands {at}");
        }
        let known: Vec<_> = known().collect();
        if known.len() > 10 {
            let path = if schema.name.is_empty() {
                "pipeline"
            } else {
                schema.name
            };
            return format!("`pipe explain {path}` lists what can stand here");
        }
        format!("here can stand {}", crate::text::list(&known))
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

/// Whether a property has the name of an argument.
fn is_argument(schema: &NodeSchema, name: &str) -> bool {
    schema.args.iter().any(|a| a.name == name) || (name == "name" && !schema.args.is_empty())
}

fn path(schema: &NodeSchema, child: &str) -> String {
    if schema.name.is_empty() {
        child.to_owned()
    } else {
        format!("{}.{child}", schema.name)
    }
}

/// The order in which places are named; all others come after.
const PLACES: [&str; 4] = ["", "stage", "job", "target"];

/// Where a word may stand: "in a `stage` or in a `template`".
fn elsewhere(name: &str) -> Option<String> {
    let mut parents: Vec<&str> = Vec::new();
    for (_, node) in schema::all() {
        if node.child(name).is_some() && !parents.contains(&node.name) {
            parents.push(node.name);
        }
    }
    parents.sort_by_key(|p| {
        PLACES
            .iter()
            .position(|known| known == p)
            .unwrap_or(PLACES.len())
    });
    let words: Vec<String> = parents
        .iter()
        .take(3)
        .map(|p| match *p {
            "" => "at the top of the file".to_owned(),
            p => format!("in a `{p}`"),
        })
        .collect();
    (!words.is_empty()).then(|| words.join(" or "))
}
