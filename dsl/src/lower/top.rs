//! What stands at the top of a file, apart from stages and templates.

use std::collections::BTreeSet;

use super::{Lowering, delivery, job, remote, step, target, variables};
use crate::codes::{delivery as targets, shape};
use crate::diagnostic::{Diagnostic, nearest};
use crate::form::{Form, Reader, Val};
use crate::model::{Approvers, Concurrency, Param, ParamType, Secret, SecretSource};
use crate::names;
use crate::schema::NodeSchema;
use crate::source::Spanned;
use crate::syntax::tree::Node;

/// How many targets may be like each other in a row.
const MAX_LIKES: usize = 16;

impl Lowering<'_> {
    /// Lowers one top-level node.
    pub(super) fn top(
        &mut self,
        node: &Node,
        schema: &'static NodeSchema,
        namespace: Option<&str>,
    ) {
        match schema.name {
            "stage" => self.stage(node, namespace),
            "pipeline" => self.pipeline(node, schema),
            "param" => self.param(node),
            "env" => {
                let vars = variables(&mut self.reader(namespace), node, schema);
                self.pipeline.env.extend(vars);
            }
            "secret" => self.secret(node, schema),
            "notify" => {
                let notify = delivery::notify(&mut self.reader(namespace), node, schema);
                self.pipeline.notifies.extend(notify);
            }
            "remote-cache" => {
                let remote = remote::remote_cache(&mut self.reader(namespace), node);
                self.pipeline.remote_cache = remote;
            }
            "image" => self.image(node, schema, namespace),
            "registry" | "version" | "target" | "promotion" => {
                self.declaration(node, schema, namespace);
            }
            "template" | "include" => {
                // Their block is read where they are used; here only the node itself is held against the schema.
                if schema.name == "include" {
                    self.reader(namespace).form(node, schema);
                } else {
                    self.template_head(node, schema);
                }
            }
            _ => {}
        }
    }

    fn template_head(&mut self, node: &Node, schema: &'static NodeSchema) {
        let head = Node {
            children: None,
            ..node.clone()
        };
        self.reader(None).form(&head, schema);
    }

    fn pipeline(&mut self, node: &Node, schema: &'static NodeSchema) {
        let mut reader = self.reader(None);
        let form = reader.form(node, schema);
        let concurrency = concurrency(&mut reader, &form);
        let shell = form
            .child("shell")
            .and_then(|(s, n)| job::shell(&mut reader, n, s));
        let timeout = step::duration(&mut reader, &form, "timeout");
        let mut pass_env = Vec::new();
        for (schema, child) in form.children.iter().filter(|(s, _)| s.name == "pass-env") {
            pass_env.extend(reader.form(child, schema).texts());
        }
        let approvers = form.child("approvers").and_then(|(schema, node)| {
            let form = reader.form(node, schema);
            Some(Approvers {
                file: form.arg(0)?.clone(),
                branch: form
                    .text("branch")
                    .map_or_else(|| "main".to_owned(), |b| b.value),
            })
        });
        self.pipeline.name = form.arg(0).map(|n| n.value.clone()).unwrap_or_default();
        self.pipeline.engine = form.text("engine");
        self.pipeline.ledger_files = form.text("ledger").is_some_and(|t| t.value == "files");
        self.pipeline.approvers = approvers;
        self.pipeline.concurrency = concurrency;
        self.pipeline.shell = shell;
        self.pipeline.timeout = timeout;
        self.pipeline.pass_env = pass_env;
    }

    fn param(&mut self, node: &Node) {
        let Some(param) = param(&mut self.reader(None), node, false) else {
            return;
        };
        if let Some(first) = self.pipeline.params.get(&param.name.value) {
            let finding = names::twice(
                "parameter",
                &param.name.value,
                param.name.span,
                first.name.span,
            );
            self.out.push(finding);
            return;
        }
        self.pipeline.params.insert(param.name.value.clone(), param);
    }

    fn secret(&mut self, node: &Node, schema: &'static NodeSchema) {
        let mut reader = self.reader(None);
        let form = reader.form(node, schema);
        let Some(name) = form.arg(0).cloned() else {
            return;
        };
        let mut sources = [
            form.text("env").map(|t| SecretSource::Env(t.value)),
            form.text("file").map(|t| SecretSource::File(t.value)),
            form.text("command").map(|t| SecretSource::Command(t.value)),
        ]
        .into_iter()
        .flatten();
        let source = sources
            .next()
            .unwrap_or_else(|| SecretSource::Env(name.value.clone()));
        if sources.next().is_some() {
            reader.report(
                Diagnostic::new(
                    &shape::EXTRA_ARGUMENT,
                    format!("`{}` has several sources", name.value),
                    node.span,
                    "this secret",
                )
                .help("keep one of `env=`, `file=`, `command=`"),
            );
        }
        self.pipeline
            .secrets
            .entry(name.value.clone())
            .or_insert(Secret { name, source });
    }

    fn declaration(&mut self, node: &Node, schema: &'static NodeSchema, namespace: Option<&str>) {
        let mut reader = self.reader(namespace);
        let form = reader.form(node, schema);
        let full = |name: &Spanned<String>| match namespace {
            Some(ns) => name.clone().map(|n| format!("{ns}.{n}")),
            None => name.clone(),
        };
        let Some(name) = form.arg(0).map(full) else {
            return;
        };
        let key = name.value.clone();
        match schema.name {
            "registry" => {
                if let Some(registry) = delivery::registry(&mut reader, &form, name) {
                    self.pipeline.registries.entry(key).or_insert(registry);
                }
            }
            "version" => {
                if let Some(version) = delivery::version(&mut reader, &form, name) {
                    self.pipeline.versions.entry(key).or_insert(version);
                }
            }
            "promotion" => {
                if let Some(promotion) = delivery::promotion(&mut reader, &form, name) {
                    self.pipeline.promotions.entry(key).or_insert(promotion);
                }
            }
            _ => {
                let target = target::target(&mut reader, &form, name);
                if let Some(like) = form.text("like") {
                    self.likes.insert(key.clone(), like);
                }
                self.pipeline.targets.entry(key).or_insert(target);
            }
        }
    }

    /// Fills in what `like=` takes over, in whatever order the targets stand.
    pub(super) fn inherit_targets(&mut self) {
        let mut done: BTreeSet<String> = BTreeSet::new();
        for start in self.likes.keys() {
            let mut chain: Vec<&str> = vec![start];
            while let Some(base) = self.likes.get(chain[chain.len() - 1]) {
                if done.contains(&base.value) {
                    chain.push(&base.value);
                    break;
                }
                if chain.contains(&base.value.as_str()) || chain.len() > MAX_LIKES {
                    let message =
                        format!("the target `{start}` is like itself, or like too many others");
                    let finding = Diagnostic::new(
                        &targets::TARGET_DRIVER,
                        message,
                        base.span,
                        "leads back to it",
                    );
                    self.out
                        .push(finding.help("let one of the targets have a driver of its own"));
                    return;
                }
                chain.push(&base.value);
            }
            for pair in chain.windows(2).rev() {
                let targets = &mut self.pipeline.targets;
                if let (Some(own), Some(base)) = (targets.get(pair[0]), targets.get(pair[1]))
                    && !done.contains(pair[0])
                {
                    let target = target::inherit(own.clone(), base);
                    targets.insert(pair[0].to_owned(), target);
                }
                done.insert(pair[0].to_owned());
            }
        }
    }

    fn image(&mut self, node: &Node, schema: &'static NodeSchema, namespace: Option<&str>) {
        let mut reader = self.reader(namespace);
        let form = reader.form(node, schema);
        let build = delivery::build_properties(&mut reader, &form);
        let Some(name) = form.arg(0).cloned() else {
            return;
        };
        if let Some(first) = self.pipeline.images.get(&name.value) {
            let finding = names::twice("image", &name.value, name.span, first.name.span);
            self.out.push(finding);
            return;
        }
        let image = crate::model::Image {
            name: name.clone(),
            build,
            declared: true,
        };
        self.pipeline.images.insert(name.value, image);
    }
}

fn concurrency(reader: &mut Reader<'_>, form: &Form<'_>) -> Option<Concurrency> {
    let (schema, node) = form.child("concurrency")?;
    let inner = reader.form(node, schema);
    Some(Concurrency {
        group: inner.arg_value(0)?.as_template()?.clone(),
        cancel: inner.text("on-new").is_some_and(|t| t.value == "cancel"),
    })
}

/// A parameter of the pipeline or of a template.
pub(super) fn param(reader: &mut Reader<'_>, node: &Node, of_template: bool) -> Option<Param> {
    let form = reader.form(node, &crate::schema::top::PARAM);
    let values = form.child("values").map(|(schema, child)| {
        let values = reader.form(child, schema).texts();
        (
            values.into_iter().map(|v| v.value).collect::<Vec<_>>(),
            child.span,
        )
    });
    let name = form.arg(0)?.clone();
    let written = form.text("type");
    let ty = match (written.as_ref().map(|t| t.value.as_str()), values) {
        (Some("enum"), Some((words, _))) => ParamType::Enum(words),
        (Some("enum"), None) => {
            reader.report(wrong(
                format!("`{}` is an `enum` without values", name.value),
                name.span,
                "this parameter",
                "list them in its block: `{ values debug release }`",
            ));
            ParamType::String
        }
        (_, Some((_, span))) => {
            reader.report(wrong(
                format!("`{}` has values, but is no `enum`", name.value),
                span,
                "only an `enum` has these",
                "add `type=enum`",
            ));
            ParamType::String
        }
        (Some("list"), None) if !of_template => {
            reader.report(wrong(
                format!("`{}` cannot be a list", name.value),
                written.as_ref().map_or(name.span, |t| t.span),
                "only a template's parameter can be one",
                "use a `string`",
            ));
            ParamType::String
        }
        (Some(word), None) => match word {
            "int" => ParamType::Int,
            "bool" => ParamType::Bool,
            "duration" => ParamType::Duration,
            "path" => ParamType::Path,
            "list" => ParamType::List,
            _ => ParamType::String,
        },
        (None, None) => ParamType::String,
    };
    let default = default(reader, &form, &name, &ty);
    Some(Param {
        name,
        ty,
        default,
        doc: form.text("doc").map(|t| t.value),
    })
}

fn default(
    reader: &mut Reader<'_>,
    form: &Form<'_>,
    name: &Spanned<String>,
    ty: &ParamType,
) -> Option<Spanned<String>> {
    let Some(Val::Template(default)) = form.value("default") else {
        return None;
    };
    let Some(text) = default.value.known() else {
        reader.report(wrong(
            format!("the default of `{}` must be known before a run", name.value),
            default.span,
            "`${…}` is not replaced here",
            "write the value itself",
        ));
        return None;
    };
    if let Err(expected) = ty.accepts(&text) {
        let near = match ty {
            ParamType::Enum(words) => nearest(&text, words.iter().map(String::as_str)),
            _ => None,
        };
        let help = near.map_or_else(
            || format!("write {expected}"),
            |n| format!("did you mean `{n}`?"),
        );
        reader.report(wrong(
            format!(
                "the default of `{}` is `{text}`, and {expected} is expected",
                name.value
            ),
            default.span,
            "this value",
            &help,
        ));
        return None;
    }
    Some(Spanned::new(text, default.span))
}

fn wrong(message: String, span: crate::source::Span, label: &str, help: &str) -> Diagnostic {
    Diagnostic::new(&shape::WRONG_VALUE, message, span, label).help(help)
}
