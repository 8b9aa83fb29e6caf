//! Nodes to meaning: every file's declarations, every stage's steps, templates put in place.
//! Steps' references stay names here; `resolve` turns them into edges.

mod delivery;
mod job;
mod remote;
mod select;
mod step;
mod target;
mod template;
mod top;

use indexmap::IndexMap;

use crate::codes::names as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::form::{Form, Reader, Val};
use crate::load::Unit;
use crate::model::{EnvVar, Pipeline, Stage, StageId, StepId};
use crate::names::{self, Names};
use crate::schema::{self, Kind};
use crate::source::{SourceMap, Span, Spanned};
use crate::syntax::tree::Node;

pub(crate) use select::RawWait;
pub(crate) use step::LoweredStep;

/// A pipeline whose steps' references are still names.
pub struct Lowered {
    /// The pipeline, without edges.
    pub pipeline: Pipeline,
    /// What each step waits for, as written; by step.
    pub waits: Vec<Vec<RawWait>>,
    /// What stands in front of the names of a template's steps; by step.
    pub prefixes: Vec<Option<String>>,
    /// What each stage waits for, as written; `None`: those before it. By stage.
    pub stage_waits: Vec<Option<Vec<RawWait>>>,
    /// Declared names.
    pub names: Names,
}

/// A template as declared.
pub(crate) struct TemplateNode<'a> {
    node: &'a Node,
    namespace: Option<&'a str>,
    standard: bool,
}

struct Lowering<'a> {
    sources: &'a SourceMap,
    out: &'a mut Diagnostics,
    names: &'a Names,
    templates: &'a IndexMap<String, TemplateNode<'a>>,
    pipeline: Pipeline,
    waits: Vec<Vec<RawWait>>,
    prefixes: Vec<Option<String>>,
    stage_waits: Vec<Option<Vec<RawWait>>>,
    stage_names: IndexMap<String, Span>,
    /// What templates have been filled in so far, in bytes.
    expanded: usize,
    /// Whether templates in templates were too deep.
    too_deep: bool,
    /// The targets that take something over from another one.
    likes: IndexMap<String, Spanned<String>>,
}

/// Lowers all files of a pipeline.
pub fn lower(units: &[Unit], sources: &SourceMap, out: &mut Diagnostics) -> Lowered {
    let names = declare(units, out);
    let templates = templates(units);
    let mut lowering = Lowering {
        sources,
        out,
        names: &names,
        templates: &templates,
        pipeline: Pipeline::default(),
        waits: Vec::new(),
        prefixes: Vec::new(),
        stage_waits: Vec::new(),
        stage_names: IndexMap::new(),
        expanded: 0,
        too_deep: false,
        likes: IndexMap::new(),
    };
    let root = units.len()
        - units
            .iter()
            .rev()
            .position(|u| !u.standard && u.namespace.is_none())
            .unwrap_or(0)
        - 1;
    for (at, unit) in units.iter().enumerate() {
        lowering.unit(unit, at == root);
    }
    lowering.inherit_targets();
    lowering.check_unused_templates();
    let Lowering {
        pipeline,
        waits,
        prefixes,
        stage_waits,
        ..
    } = lowering;
    Lowered {
        pipeline,
        waits,
        prefixes,
        stage_waits,
        names,
    }
}

fn declare(units: &[Unit], out: &mut Diagnostics) -> Names {
    let mut names = Names::default();
    for unit in units {
        for node in &unit.nodes {
            let arg = node.args.first().and_then(|a| a.as_str());
            if let (Some(name), "param") = (arg, node.name.value.as_str()) {
                names.declare_param(name);
            }
            if let Some((kind, name)) = names::declared_by(node) {
                names.declare(
                    kind,
                    qualified(kind, &name.value, unit.namespace.as_deref()),
                    name.span,
                    out,
                );
            }
        }
    }
    names
}

/// The full name of what a file included `as` a namespace declares; secrets are named by their variables.
fn qualified(kind: Kind, name: &str, namespace: Option<&str>) -> String {
    match namespace {
        Some(ns) if kind != Kind::Secret => format!("{ns}.{name}"),
        _ => name.to_owned(),
    }
}

fn templates(units: &[Unit]) -> IndexMap<String, TemplateNode<'_>> {
    let mut found = IndexMap::new();
    for unit in units {
        let namespace = unit.namespace.as_deref();
        for node in unit.nodes.iter().filter(|n| n.name.value == "template") {
            if let Some((kind, name)) = names::declared_by(node) {
                let template = TemplateNode {
                    node,
                    namespace,
                    standard: unit.standard,
                };
                found
                    .entry(qualified(kind, &name.value, namespace))
                    .or_insert(template);
            }
        }
    }
    found
}

impl<'a> Lowering<'a> {
    fn reader<'r>(&'r mut self, namespace: Option<&'r str>) -> Reader<'r>
    where
        'a: 'r,
    {
        Reader {
            sources: self.sources,
            out: self.out,
            names: self.names,
            namespace,
            scope: None,
            subject: String::new(),
        }
    }

    fn unit(&mut self, unit: &Unit, is_root: bool) {
        let mut pipelines: Vec<Span> = Vec::new();
        let mut remotes: Vec<Span> = Vec::new();
        for node in &unit.nodes {
            let name = node.name.value.as_str();
            let Some(schema) = schema::root().child(name) else {
                self.unknown_top(node, unit);
                continue;
            };
            if name == "pipeline" {
                pipelines.push(node.name.span);
                if pipelines.len() > 1 {
                    let finding = names::twice("node", "pipeline", node.name.span, pipelines[0]);
                    self.out
                        .push(finding.help("a file has one: move what it says into the first"));
                    continue;
                }
            }
            if name == "remote-cache" {
                remotes.push(node.name.span);
                if remotes.len() > 1 {
                    self.remote_twice(node, remotes[0]);
                    continue;
                }
            }
            let misplaced = match name {
                // Who includes a file does not let it say where results go.
                "pipeline" | "remote-cache" => !is_root,
                "stage" => unit.namespace.is_some() || unit.standard,
                _ => false,
            };
            if misplaced {
                self.misplaced(node);
                continue;
            }
            self.top(node, schema, unit.namespace.as_deref());
        }
    }

    fn unknown_top(&mut self, node: &Node, unit: &Unit) {
        // The root's schema knows how to say it: a file is a node without a name.
        let file = Node {
            name: Spanned::new(String::new(), node.name.span),
            args: Vec::new(),
            props: Vec::new(),
            children: Some(crate::syntax::tree::Block {
                nodes: vec![node.clone()],
                lost: Vec::new(),
                span: node.span,
            }),
            span: node.span,
        };
        self.reader(unit.namespace.as_deref())
            .form(&file, schema::root());
    }

    fn misplaced(&mut self, node: &Node) {
        let name = &node.name.value;
        self.out.push(
            Diagnostic::new(
                &codes::MISPLACED,
                format!("`{name}` cannot stand in this file"),
                node.name.span,
                "in an included file",
            )
            .help(match name.as_str() {
                "pipeline" => "`pipeline` stands once, in the root file",
                "remote-cache" => "`remote-cache` stands once, in the root file",
                _ => "include the file without `as=`, or make its jobs a `template` and `use` it",
            }),
        );
    }

    fn remote_twice(&mut self, node: &Node, first: Span) {
        let finding = Diagnostic::new(
            &crate::codes::shape::DUPLICATE,
            "`remote-cache` is written twice",
            node.name.span,
            "the second one",
        );
        self.out.push(
            finding
                .label(first, "the first one")
                .help("a pipeline has one: keep one of them"),
        );
    }

    fn stage(&mut self, node: &Node, namespace: Option<&str>) {
        let id = StageId(u32::try_from(self.pipeline.stages.len()).unwrap_or(u32::MAX));
        let mut reader = self.reader(namespace);
        let form = reader.form(node, &schema::top::STAGE);
        let name = form
            .arg(0)
            .cloned()
            .unwrap_or_else(|| Spanned::new(String::new(), node.span));
        if let Some(finding) = names::reserved(&name) {
            reader.report(finding);
        }
        let selection = select::selection(&mut reader, &form);
        let (waits, own) = select::stage_waits(&mut reader, &form);
        let env = env(&mut reader, &form);
        let stage = Stage {
            name,
            steps: Vec::new(),
            selection,
            undo_on_failure: form.value("rollback").is_some(),
            waits: None,
            env,
        };
        if !stage.name.value.is_empty()
            && let Some(first) = self
                .stage_names
                .insert(stage.name.value.clone(), stage.name.span)
        {
            self.out.push(names::twice(
                "stage",
                &stage.name.value,
                stage.name.span,
                first,
            ));
        }
        self.pipeline.stages.push(stage);
        self.stage_waits.push(own.then_some(waits));
        self.steps(&form, id, namespace);
    }

    /// The steps of a stage, templates put in place.
    fn steps(&mut self, form: &Form<'_>, stage: StageId, namespace: Option<&str>) {
        let mut taken: IndexMap<String, Span> = IndexMap::new();
        for lowered in self.block(form, namespace, None, &mut Vec::new()) {
            let LoweredStep {
                mut step,
                waits,
                prefix,
            } = lowered;
            step.stage = stage;
            if let Some(first) = taken.get(&step.name.value) {
                let first = *first;
                let as_help = match step.kind.verb() {
                    "job" if step.used_at.is_some() => {
                        "`use … as=NAME` puts `NAME-` in front of the template's steps"
                    }
                    "job" => "give one of them another name",
                    _ => "name one of them with `as=`",
                };
                let used_at = step.used_at;
                let mut finding =
                    names::twice("step", &step.name.value, step.name.span, first).help(as_help);
                if let Some(at) = used_at {
                    finding = finding.label(at, "used here");
                }
                self.out.push(finding);
                continue;
            }
            taken.insert(step.name.value.clone(), step.name.span);
            let id = StepId(u32::try_from(self.pipeline.steps.len()).unwrap_or(u32::MAX));
            self.pipeline.steps.push(step);
            self.waits.push(waits);
            self.prefixes.push(prefix);
            self.pipeline.stages[stage.0 as usize].steps.push(id);
        }
    }
}

/// The variables of all `env` nodes of a block.
pub(crate) fn env(reader: &mut Reader<'_>, form: &Form<'_>) -> Vec<EnvVar> {
    let mut vars: Vec<EnvVar> = Vec::new();
    for (schema, node) in form.children.iter().filter(|(s, _)| s.name == "env") {
        vars.extend(variables(reader, node, schema));
    }
    let mut seen: IndexMap<&str, Span> = IndexMap::new();
    for var in &vars {
        if crate::units::FIXED_VARIABLES.contains(&var.name.value.as_str()) {
            reader.report(
                Diagnostic::new(
                    &crate::codes::shape::WRONG_VALUE,
                    format!("`{}` cannot be set", var.name.value),
                    var.name.span,
                    "pipe itself sets it in every job",
                )
                .help("choose another name"),
            );
        }
        if let Some(first) = seen.insert(&var.name.value, var.name.span) {
            reader.report(
                Diagnostic::new(
                    &crate::codes::shape::DUPLICATE,
                    format!("`{}` is set twice in this block", var.name.value),
                    var.name.span,
                    "the second one",
                )
                .label(first, "the first one")
                .help("keep one of them"),
            );
        }
    }
    vars
}

/// The free properties of one node such as `env`, `args`, `labels`.
pub(crate) fn variables(
    reader: &mut Reader<'_>,
    node: &Node,
    schema: &'static schema::NodeSchema,
) -> Vec<EnvVar> {
    let form = reader.form(node, schema);
    let var = |(name, val): &(Spanned<String>, Val)| {
        Some(EnvVar {
            name: name.clone(),
            value: val.as_template()?.clone(),
        })
    };
    form.open.iter().filter_map(var).collect()
}
