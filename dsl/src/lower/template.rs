//! `template` and `use`: steps put in place with their parameters.

use indexmap::IndexMap;

use super::step::{self, LoweredStep};
use super::{Lowering, TemplateNode, top};
use crate::codes::names as codes;
use crate::diagnostic::{Diagnostic, nearest};
use crate::expr::Template;
use crate::form::{Form, Reader, Scope, Val};
use crate::model::{Param, ParamType};
use crate::schema::{self, Kind};
use crate::source::{Span, Spanned};
use crate::syntax::tree::Node;

/// How deep templates may use templates.
const MAX_DEPTH: usize = 16;
/// How much text templates may be filled in with, all uses together, in bytes.
const MAX_EXPANDED: usize = 8 << 20;
/// What a use costs at least.
const USE: usize = 256;

impl Lowering<'_> {
    /// The steps of a stage's or template's block. `open` are the templates being put in place.
    pub(super) fn block(
        &mut self,
        form: &Form<'_>,
        namespace: Option<&str>,
        around: Option<(&Scope, Option<&str>)>,
        open: &mut Vec<String>,
    ) -> Vec<LoweredStep> {
        let mut steps = Vec::new();
        let (scope, prefix) = (around.map(|a| a.0), around.and_then(|a| a.1));
        for (schema, node) in &form.children {
            match schema.name {
                "job" | "build" | "push" | "sign" | "release" | "promote" | "deploy"
                | "approve" => {
                    let mut reader = self.reader(namespace);
                    reader.scope = scope;
                    steps.extend(step::step(&mut reader, node, schema, prefix));
                }
                "use" => steps.extend(self.use_template(node, namespace, around, open)),
                _ => {}
            }
        }
        steps
    }

    fn use_template(
        &mut self,
        node: &Node,
        namespace: Option<&str>,
        around: Option<(&Scope, Option<&str>)>,
        open: &mut Vec<String>,
    ) -> Vec<LoweredStep> {
        let templates = self.templates;
        let mut reader = self.reader(namespace);
        reader.scope = around.map(|a| a.0);
        let form = reader.form(node, &schema::top::USE);
        let Some(name) = form.arg(0).cloned() else {
            return Vec::new();
        };
        let Some(template) = templates.get(&name.value) else {
            return Vec::new();
        };
        if open.contains(&name.value) || open.len() >= MAX_DEPTH {
            let itself = open.contains(&name.value);
            // Every template on the way down would say that it is too deep.
            let finding = cycle(&name, template, itself);
            if itself || !self.too_deep {
                self.too_deep |= !itself;
                let mut reader = self.reader(namespace);
                reader.scope = around.map(|a| a.0);
                reader.report(finding);
            }
            return Vec::new();
        }
        let items: usize = form.lists.iter().map(|(_, values)| values.len()).sum();
        let cost = USE.max(template.node.span.len()).saturating_mul(items + 1);
        self.expanded = self.expanded.saturating_add(cost);
        if self.expanded > MAX_EXPANDED {
            // Said once: everything after it would say the same.
            if self.expanded - cost <= MAX_EXPANDED {
                self.out.push(too_much(
                    around.and_then(|a| a.0.used_at).unwrap_or(node.span),
                ));
            }
            return Vec::new();
        }
        let mut reader = self.reader(namespace);
        reader.scope = around.map(|a| a.0);
        // The outermost use is the place that its reader can change.
        let used_at = around.and_then(|a| a.0.used_at).unwrap_or(node.span);
        let own = form.text("as").map(|t| t.value);
        let prefix = match (around.and_then(|a| a.1), own) {
            (Some(outer), Some(own)) => Some(format!("{outer}-{own}")),
            (outer, own) => own.or(outer.map(str::to_owned)),
        };
        let params = params(&mut reader, template.node);
        let scope = scope(&mut reader, &form, &params, template, used_at);
        open.push(name.value);
        let steps = self.body(template, &scope, prefix.as_deref(), open);
        open.pop();
        steps
    }

    fn body(
        &mut self,
        template: &TemplateNode<'_>,
        scope: &Scope,
        prefix: Option<&str>,
        open: &mut Vec<String>,
    ) -> Vec<LoweredStep> {
        let mut reader = self.reader(template.namespace);
        reader.scope = Some(scope);
        let form = reader.form(template.node, &schema::top::TEMPLATE);
        self.block(&form, template.namespace, Some((scope, prefix)), open)
    }

    /// A template that nothing uses is read once with sample values, so that its mistakes are found too.
    pub(super) fn check_unused_templates(&mut self) {
        let templates = self.templates;
        for (name, template) in templates {
            if template.standard || self.names.is_used(Kind::Template, name) {
                continue;
            }
            let params = params(&mut self.reader(template.namespace), template.node);
            let sample = |p: &Param| {
                let text = match &p.ty {
                    ParamType::Int => "1",
                    ParamType::Bool => "true",
                    ParamType::Duration => "1s",
                    ParamType::Enum(words) => words.first().map_or("x", String::as_str),
                    _ => "x",
                };
                vec![Template::text(text)]
            };
            let scope = Scope {
                params: params
                    .iter()
                    .map(|p| (p.name.value.clone(), sample(p)))
                    .collect(),
                lists: lists(&params),
                used_at: None,
            };
            self.body(template, &scope, None, &mut vec![name.clone()]);
        }
    }
}

fn lists(params: &[Param]) -> Vec<String> {
    let lists = params.iter().filter(|p| p.ty == ParamType::List);
    lists.map(|p| p.name.value.clone()).collect()
}

/// The parameters that a template declares.
fn params(reader: &mut Reader<'_>, template: &Node) -> Vec<Param> {
    let outer = reader.scope.take();
    let nodes = template.nodes().iter().filter(|n| n.name.value == "param");
    let mut params: Vec<Param> = Vec::new();
    for node in nodes {
        let Some(param) = top::param(reader, node, true) else {
            continue;
        };
        match params.iter().find(|p| p.name.value == param.name.value) {
            Some(first) => {
                let finding = crate::names::twice(
                    "parameter",
                    &param.name.value,
                    param.name.span,
                    first.name.span,
                );
                reader.report(finding);
            }
            None => params.push(param),
        }
    }
    reader.scope = outer;
    params
}

/// The values that a `use` gives, held against the template's parameters.
fn scope(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    params: &[Param],
    template: &TemplateNode<'_>,
    used_at: Span,
) -> Scope {
    let mut given: IndexMap<String, Vec<Template>> = IndexMap::new();
    for (name, val) in &form.open {
        if let (Some(param), Val::Template(value)) = (known(reader, params, name, template), val) {
            fits(reader, param, value);
            given.insert(name.value.clone(), vec![value.value.clone()]);
        }
    }
    for (name, values) in &form.lists {
        let Some(param) = known(reader, params, name, template) else {
            continue;
        };
        if param.ty != ParamType::List {
            reader.report(argument(
                format!("`{}` is one value, not a list", name.value),
                name.span,
                "given as a list",
                format!("write it as a property: `{}=…`", name.value),
                param,
            ));
            continue;
        }
        let items = values
            .iter()
            .filter_map(|v| v.as_template().map(|t| t.value.clone()));
        given.insert(name.value.clone(), items.collect());
    }
    for param in params {
        if given.contains_key(&param.name.value) {
            continue;
        }
        match &param.default {
            Some(default) => {
                given.insert(
                    param.name.value.clone(),
                    vec![Template::text(default.value.clone())],
                );
            }
            None if param.ty == ParamType::List => {
                given.insert(param.name.value.clone(), Vec::new());
            }
            None => {
                reader.report(argument(
                    format!(
                        "the template wants `{}=`, and it is not given",
                        param.name.value
                    ),
                    form.node.args.first().map_or(form.node.span, |a| a.span),
                    format!("`{}=` is missing", param.name.value),
                    format!("add `{}=…`; it has no default", param.name.value),
                    param,
                ));
                given.insert(param.name.value.clone(), vec![Template::text("missing")]);
            }
        }
    }
    Scope {
        params: given,
        lists: lists(params),
        used_at: Some(used_at),
    }
}

fn known<'p>(
    reader: &mut Reader<'_>,
    params: &'p [Param],
    name: &Spanned<String>,
    template: &TemplateNode<'_>,
) -> Option<&'p Param> {
    let found = params.iter().find(|p| p.name.value == name.value);
    if found.is_none() {
        let known: Vec<&str> = params.iter().map(|p| p.name.value.as_str()).collect();
        let help = match nearest(&name.value, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "it has no parameters".to_owned(),
            None => format!("it has {}", crate::text::list(&known)),
        };
        reader.report(
            Diagnostic::new(
                &codes::TEMPLATE_ARGUMENT,
                format!("the template has no parameter `{}`", name.value),
                name.span,
                "unknown parameter",
            )
            .label(declared_at(template), "the template is declared here")
            .help(help),
        );
    }
    found
}

/// Whether a given value has the parameter's type; one that is known only later fits where text fits.
fn fits(reader: &mut Reader<'_>, param: &Param, value: &Spanned<Template>) {
    if param.ty == ParamType::List {
        return reader.report(argument(
            format!("`{}` is a list", param.name.value),
            value.span,
            "given as one value",
            format!(
                "write it as a child: `use … {{ {} {} }}`",
                param.name.value,
                crate::text::shorten(&value.value.to_string(), 40)
            ),
            param,
        ));
    }
    let fits = match value.value.known() {
        Some(text) => param
            .ty
            .accepts(&text)
            .map_err(|expected| (format!("`{text}`"), expected)),
        None if param.ty == ParamType::String => Ok(()),
        None => Err((
            "a value known only during the run".into(),
            "a value known before".into(),
        )),
    };
    if let Err((what, expected)) = fits {
        let near = match (&param.ty, value.value.known()) {
            (ParamType::Enum(words), Some(text)) => {
                nearest(&text, words.iter().map(String::as_str)).map(str::to_owned)
            }
            _ => None,
        };
        let help = near.map_or_else(
            || format!("write {expected}"),
            |n| format!("did you mean `{n}`?"),
        );
        reader.report(argument(
            format!("`{}` wants {expected}, and gets {what}", param.name.value),
            value.span,
            "this value".to_owned(),
            help,
            param,
        ));
    }
}

fn declared_at(template: &TemplateNode<'_>) -> Span {
    let name = template.node.args.first();
    name.map_or(template.node.name.span, |a| a.span)
}

fn argument(
    message: String,
    span: Span,
    label: impl Into<String>,
    help: String,
    param: &Param,
) -> Diagnostic {
    Diagnostic::new(&codes::TEMPLATE_ARGUMENT, message, span, label)
        .label(param.name.span, "the parameter is declared here")
        .help(help)
}

fn too_much(span: Span) -> Diagnostic {
    Diagnostic::new(
        &codes::TEMPLATE_SIZE,
        "templates are filled in with more than 8 MiB",
        span,
        "at this use it was too much",
    )
    .help("use templates less often, or give them shorter lists; a matrix runs a job several times")
}

fn cycle(name: &Spanned<String>, template: &TemplateNode<'_>, itself: bool) -> Diagnostic {
    let message = if itself {
        format!("the template `{}` uses itself", name.value)
    } else {
        format!("templates use each other more than {MAX_DEPTH} deep")
    };
    Diagnostic::new(
        &codes::TEMPLATE_CYCLE,
        message,
        name.span,
        "used again here",
    )
    .label(declared_at(template), "the template is declared here")
    .help("take this `use` out of the template")
}
