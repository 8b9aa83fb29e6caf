//! Holds a node against its schema: everything that is there, typed; everything that is wrong, said.
//! Knows no meaning beyond the schema.

mod advice;
mod foreign;
mod script;
mod value;

use indexmap::IndexMap;

use crate::codes::shape as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::Template;
use crate::names::Names;
use crate::schema::{Count, Field, NodeSchema};
use crate::source::{SourceMap, Span, Spanned};
use crate::syntax::tree::Node;

pub use value::Val;

/// What reading needs from around: the texts, a place for findings, and the template being filled in.
pub struct Reader<'a> {
    /// All files.
    pub sources: &'a SourceMap,
    /// Findings so far.
    pub out: &'a mut Diagnostics,
    /// What is declared, for references.
    pub names: &'a Names,
    /// The namespace of the file being read.
    pub namespace: Option<&'a str>,
    /// The template that the nodes come from, with the values of its parameters.
    pub scope: Option<&'a Scope>,
    /// The word behind which the value stands that is being read, for messages.
    pub subject: String,
}

/// A template being put in place.
#[derive(Debug)]
pub struct Scope {
    /// The parameters' values.
    pub params: IndexMap<String, Vec<Template>>,
    /// Which of them are lists.
    pub lists: Vec<String>,
    /// The `use` node; `None` while the template itself is checked.
    pub used_at: Option<Span>,
}

/// A node that was held against its schema.
pub struct Form<'a> {
    /// The node as written.
    pub node: &'a Node,
    /// Its schema.
    pub schema: &'static NodeSchema,
    args: Vec<Option<Val>>,
    /// The further arguments.
    pub rest: Vec<Val>,
    props: Vec<(&'static str, Val)>,
    /// Properties with names of the user's.
    pub open: Vec<(Spanned<String>, Val)>,
    /// Known children, in file order.
    pub children: Vec<(&'static NodeSchema, &'a Node)>,
    /// Children with names of the user's, each a list.
    pub lists: Vec<(Spanned<String>, Vec<Val>)>,
}

impl Reader<'_> {
    /// Reports a finding; inside a template that is used, with the place of the use.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        let diagnostic = match self.scope.and_then(|s| s.used_at) {
            Some(at) => diagnostic.label(at, "used here"),
            None => diagnostic,
        };
        self.out.push(diagnostic);
    }

    /// Holds a node against its schema.
    pub fn form<'n>(&mut self, node: &'n Node, schema: &'static NodeSchema) -> Form<'n> {
        let mut form = Form {
            node,
            schema,
            args: Vec::new(),
            rest: Vec::new(),
            props: Vec::new(),
            open: Vec::new(),
            children: Vec::new(),
            lists: Vec::new(),
        };
        self.read_args(&mut form);
        self.read_props(&mut form);
        self.read_children(&mut form);
        form
    }

    /// Holds a node and everything beneath it against the schema, for nodes whose meaning is not needed yet.
    pub fn check_deep(&mut self, node: &Node, schema: &'static NodeSchema) {
        let form = self.form(node, schema);
        self.check_children(&form);
    }

    /// The same for the children only.
    pub fn check_children(&mut self, form: &Form<'_>) {
        for (schema, child) in &form.children {
            self.check_deep(child, schema);
        }
    }

    fn read_args(&mut self, form: &mut Form<'_>) {
        let schema = form.schema;
        let fixed = schema.args.len();
        schema.name.clone_into(&mut self.subject);
        for (field, value) in schema.args.iter().zip(&form.node.args) {
            form.args.push(self.value(field, value));
        }
        for value in form.node.args.iter().skip(fixed) {
            match &schema.rest {
                Some(field) => self.values(field, value, &mut form.rest),
                None => {
                    self.extra_argument(form, value);
                    break;
                }
            }
        }
        let given = form.node.args.len();
        let missing: Vec<&Field> = schema
            .args
            .iter()
            .skip(given)
            .filter(|f| f.required)
            .collect();
        let rest = schema
            .rest
            .as_ref()
            .filter(|f| f.required && given <= fixed);
        if let Some(field) = missing.first().copied().or(rest) {
            self.missing_argument(form, field);
        }
    }

    fn read_props(&mut self, form: &mut Form<'_>) {
        let mut seen: IndexMap<&str, Span> = IndexMap::new();
        for prop in &form.node.props {
            let name = prop.name.value.as_str();
            if let Some(first) = seen.insert(name, prop.name.span) {
                self.report(
                    Diagnostic::new(
                        &codes::DUPLICATE,
                        format!("`{name}` is written twice"),
                        prop.name.span,
                        "the second one",
                    )
                    .label(first, "the first one")
                    .help("keep one of them"),
                );
                continue;
            }
            name.clone_into(&mut self.subject);
            if let Some(field) = form.schema.prop(name) {
                if let Some(val) = self.value(field, &prop.value) {
                    form.props.push((field.name, val));
                }
            } else if let Some(field) = &form.schema.open_props {
                self.open_prop(form, field, prop);
            } else {
                self.unknown_prop(form, prop);
            }
        }
        for field in form.schema.props.iter().filter(|f| f.required) {
            if !seen.contains_key(field.name) {
                self.missing_prop(form, field);
            }
        }
    }

    fn open_prop(&mut self, form: &mut Form<'_>, field: &Field, prop: &crate::syntax::tree::Prop) {
        if field.name == "NAME"
            && let Err(why) = crate::units::env_name(&prop.name.value)
        {
            self.report(
                Diagnostic::new(
                    &codes::WRONG_VALUE,
                    format!("`{}` cannot be a variable's name", prop.name.value),
                    prop.name.span,
                    "this name",
                )
                .help(why),
            );
            return;
        }
        if let Some(val) = self.value(field, &prop.value) {
            form.open.push((prop.name.clone(), val));
        }
    }

    fn read_children<'n>(&mut self, form: &mut Form<'n>) {
        let schema = form.schema;
        if schema.children.is_empty() && schema.open_children.is_none() {
            if let Some(block) = &form.node.children {
                self.unexpected_block(form, block);
            }
            return;
        }
        // The first of each kind of child; there are no more kinds than the schema knows.
        let mut seen: Vec<(&str, Span)> = Vec::new();
        form.children.reserve_exact(form.node.nodes().len());
        let mut lists: IndexMap<String, Span> = IndexMap::new();
        let mut props: Vec<&Node> = Vec::new();
        for child in form.node.nodes() {
            let name = child.name.value.as_str();
            let known = schema.children.iter().find(|c| c.node.name == name);
            let Some(known) = known else {
                match &schema.open_children {
                    Some(field) => self.open_child(form, field, child, &mut lists),
                    None if schema.prop(name).is_some() => props.push(child),
                    None => self.unknown_child(form, child),
                }
                continue;
            };
            let first = seen.iter().find(|(n, _)| *n == known.node.name);
            let first = first.map_or(child.name.span, |(_, first)| *first);
            if first == child.name.span {
                seen.push((known.node.name, first));
            } else if known.count == Count::Once {
                self.report(
                    Diagnostic::new(
                        &codes::DUPLICATE,
                        format!("`{name}` is written twice in this block"),
                        child.name.span,
                        "the second one",
                    )
                    .label(first, "the first one")
                    .help("keep one of them"),
                );
                continue;
            }
            form.children.push((known.node, child));
        }
        self.props_as_children(form, &props);
        if advice::before_block(form).is_some() {
            return; // Said where it stands.
        }
        for child in schema.children.iter().filter(|c| c.count == Count::Some) {
            if seen.iter().all(|(n, _)| *n != child.node.name) {
                self.missing_child(form, child.node);
            }
        }
    }

    fn open_child(
        &mut self,
        form: &mut Form<'_>,
        field: &Field,
        child: &Node,
        seen: &mut IndexMap<String, Span>,
    ) {
        for prop in &child.props {
            self.report(
                Diagnostic::new(
                    &codes::UNKNOWN_PROPERTY,
                    format!("`{}` is a list; it has no properties", child.name.value),
                    prop.name.span,
                    "not expected here",
                )
                .help(format!(
                    "write the values one after the other: `{} a b c`",
                    child.name.value
                )),
            );
        }
        let first = *seen
            .entry(child.name.value.clone())
            .or_insert(child.name.span);
        if first != child.name.span {
            self.report(
                Diagnostic::new(
                    &codes::DUPLICATE,
                    format!("`{}` is written twice in this block", child.name.value),
                    child.name.span,
                    "the second one",
                )
                .label(first, "the first one")
                .help("put all values into one of them"),
            );
            return;
        }
        child.name.value.clone_into(&mut self.subject);
        let mut values = Vec::with_capacity(child.args.len());
        for value in &child.args {
            self.values(field, value, &mut values);
        }
        form.lists.push((child.name.clone(), values));
    }
}

impl Form<'_> {
    /// The argument at this place, as text.
    #[must_use]
    pub fn arg(&self, at: usize) -> Option<&Spanned<String>> {
        self.args.get(at)?.as_ref()?.as_text()
    }

    /// The argument at this place.
    #[must_use]
    pub fn arg_value(&self, at: usize) -> Option<&Val> {
        self.args.get(at)?.as_ref()
    }

    /// The property's value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Val> {
        self.props.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// The property's text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Spanned<String>> {
        self.value(name).and_then(Val::as_text).cloned()
    }

    /// Whether the property is `#true`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    /// The value of a boolean property; `usual` where it is not written.
    #[must_use]
    pub fn flag_or(&self, name: &str, usual: bool) -> bool {
        match self.value(name) {
            Some(Val::Bool(b)) => b.value,
            _ => usual,
        }
    }

    /// The argument at this place, as text, taken out of the form.
    pub fn take_arg(&mut self, at: usize) -> Option<Spanned<String>> {
        match self.args.get_mut(at)?.take()? {
            Val::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of the further arguments, taken out of the form.
    #[must_use]
    pub fn into_texts(self) -> Vec<Spanned<String>> {
        let text = |val| match val {
            Val::Text(text) => Some(text),
            _ => None,
        };
        self.rest.into_iter().filter_map(text).collect()
    }

    /// The texts of the further arguments.
    #[must_use]
    pub fn texts(&self) -> Vec<Spanned<String>> {
        self.rest.iter().filter_map(Val::as_text).cloned().collect()
    }

    /// The first child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<(&'static NodeSchema, &Node)> {
        self.children.iter().find(|(s, _)| s.name == name).copied()
    }

    /// Where the node's name stands.
    #[must_use]
    pub fn name_span(&self) -> Span {
        self.node.name.span
    }
}
