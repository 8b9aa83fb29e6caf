//! References such as `${param.x}` and `${env.X}`: whether what they name is declared.

use super::{MANY, Resolver};
use crate::codes::values;
use crate::diagnostic::{Diagnostic, nearest};
use crate::expr::{Expr, Ref};
use crate::model::{EnvVar, Pipeline, StepId};
use crate::schema::Kind;

impl<'a> Resolver<'a> {
    /// References in the variables of the pipeline and of stages, and in its concurrency group.
    pub(super) fn outer_env(&mut self) {
        let pipeline = self.pipeline;
        let group = pipeline
            .concurrency
            .iter()
            .flat_map(|c| c.group.value.exprs());
        for expr in group {
            self.declared(expr, None, &[]);
        }
        let stages = pipeline.stages.iter().map(|s| &s.env);
        for vars in std::iter::once(&pipeline.env).chain(stages) {
            for expr in vars.iter().flat_map(|v| v.value.value.exprs()) {
                self.declared(expr, None, &[vars]);
                if matches!(
                    expr.target,
                    Ref::Output { .. } | Ref::Image { .. } | Ref::Matrix(_)
                ) {
                    let finding = Diagnostic::new(
                        &values::UNDECLARED,
                        format!("`{}` is not known for all steps at once", expr.target),
                        expr.span,
                        "used outside of a step",
                    )
                    .help("move this variable into the `env` of the steps that need it");
                    self.report(finding, None);
                }
            }
        }
        for registry in pipeline.registries.values() {
            for expr in registry.prefix.value.exprs() {
                self.declared(expr, None, &[]);
            }
        }
    }

    /// Whether a reference names something that is declared, looked up without collecting what is.
    fn is_declared(&self, expr: &Expr, step: Option<StepId>, env: &[&'a Vec<EnvVar>]) -> bool {
        let pipeline = self.pipeline;
        let named = |kind, name: &str| self.names.resolve(kind, name, None).is_some();
        match &expr.target {
            Ref::Param(name) => pipeline.params.contains_key(name),
            Ref::Env(name) => {
                let mut inner = env.iter().flat_map(|vars| vars.iter());
                self.env.contains(name.as_str()) || inner.any(|v| v.name.value == *name)
            }
            Ref::Matrix(axis) => axes(pipeline, step).contains(&axis.as_str()),
            Ref::Version(name) => named(Kind::Version, name),
            Ref::Registry(name) => named(Kind::Registry, name),
            Ref::Target { name, .. } => named(Kind::Target, name),
            Ref::Image { name, .. } => pipeline.images.contains_key(name),
            Ref::Git(_) | Ref::Pr(_) | Ref::Run(_) | Ref::Output { .. } => true,
        }
    }

    /// Whether a reference names something that is declared.
    pub(super) fn declared(&mut self, expr: &Expr, step: Option<StepId>, env: &[&'a Vec<EnvVar>]) {
        if self.is_declared(expr, step, env) {
            return;
        }
        let pipeline = self.pipeline;
        let Some((noun, name)) = noun(&expr.target) else {
            return;
        };
        let known = match self.out.len() > MANY {
            true => Vec::new(),
            false => self.known(expr, step, env),
        };
        let kind = kind(&expr.target);
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => declare(&expr.target, noun, name, &known),
        };
        let finding = Diagnostic::new(
            &values::UNDECLARED,
            format!("there is no {noun} `{name}` here"),
            expr.span,
            "not declared",
        )
        .missing(noun, name)
        .help(help)
        .label_near(|near| match &expr.target {
            Ref::Param(_) => pipeline.params.get(near).map(|p| p.name.span),
            Ref::Image { .. } => pipeline.images.get(near).map(|i| i.name.span),
            _ => self
                .names
                .of(kind?)
                .find(|(n, _)| *n == near)
                .map(|(_, s)| s),
        });
        let used_at = step.and_then(|id| pipeline.step(id).used_at);
        self.report(finding, used_at);
    }

    /// The names that could have been meant.
    fn known(&self, expr: &Expr, step: Option<StepId>, env: &[&'a Vec<EnvVar>]) -> Vec<&'a str> {
        let pipeline = self.pipeline;
        match &expr.target {
            Ref::Param(_) => pipeline.params.keys().map(String::as_str).collect(),
            Ref::Env(_) => {
                let inner = env.iter().flat_map(|vars| vars.iter());
                let vars = pipeline.env.iter().chain(inner);
                vars.map(|v| v.name.value.as_str()).collect()
            }
            Ref::Matrix(_) => axes(pipeline, step),
            Ref::Image { .. } => pipeline.images.keys().map(String::as_str).collect(),
            target => kind(target)
                .map(|kind| self.names.of(kind).map(|(n, _)| n).collect())
                .unwrap_or_default(),
        }
    }
}

/// What a reference to something declared names: the word for it, and the name.
fn noun(target: &Ref) -> Option<(&'static str, &str)> {
    Some(match target {
        Ref::Param(name) => ("parameter", name),
        Ref::Env(name) => ("variable", name),
        Ref::Matrix(axis) => ("axis", axis),
        Ref::Version(name) => ("version", name),
        Ref::Registry(name) => ("registry", name),
        Ref::Target { name, .. } => ("target", name),
        Ref::Image { name, .. } => ("image", name),
        Ref::Git(_) | Ref::Pr(_) | Ref::Run(_) | Ref::Output { .. } => return None,
    })
}

fn kind(target: &Ref) -> Option<Kind> {
    match target {
        Ref::Version(_) => Some(Kind::Version),
        Ref::Registry(_) => Some(Kind::Registry),
        Ref::Target { .. } => Some(Kind::Target),
        _ => None,
    }
}

/// How to declare what is missing.
fn declare(target: &Ref, noun: &str, name: &str, known: &[&str]) -> String {
    match target {
        Ref::Env(_) => format!("declare it: `env {name}=\"…\"`; a job gets no other variables"),
        Ref::Matrix(_) if known.is_empty() => "the job has no `matrix`".into(),
        Ref::Matrix(_) => format!("the axes are {}", crate::text::list(known)),
        Ref::Image { .. } => format!("declare it with `image {name}`, or `build {name}` it"),
        Ref::Param(_) => format!("declare it at the top of the file: `param {name}`"),
        _ => format!("declare it at the top of the file: `{noun} {name} …`"),
    }
}

fn axes(pipeline: &Pipeline, step: Option<StepId>) -> Vec<&str> {
    let matrix = step
        .and_then(|id| pipeline.step(id).job())
        .and_then(|j| j.matrix.as_ref());
    let Some(matrix) = matrix else {
        return Vec::new();
    };
    let mut axes: Vec<&str> = matrix.axes.iter().map(|(a, _)| a.value.as_str()).collect();
    axes.extend(
        matrix
            .include
            .iter()
            .flat_map(|leg| leg.keys().map(String::as_str)),
    );
    axes
}
