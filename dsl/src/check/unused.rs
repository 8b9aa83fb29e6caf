//! Things that are declared in the root file and never named.

use std::collections::BTreeSet;

use crate::codes::names as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::Ref;
use crate::model::{Pipeline, Step, StepKind};
use crate::names::Names;
use crate::schema::Kind;
use crate::source::Span;

const KINDS: &[Kind] = &[
    Kind::Secret,
    Kind::Registry,
    Kind::Version,
    Kind::Target,
    Kind::Template,
];

pub(super) fn check(pipeline: &Pipeline, names: &Names, out: &mut Diagnostics) {
    for stage in pipeline.stages.iter().filter(|s| s.steps.is_empty()) {
        empty(&stage.name.value, stage.name.span, out);
    }
    if pipeline.steps.is_empty() {
        return;
    }
    for kind in KINDS {
        for (name, span) in names.of(*kind) {
            if !names.is_used(*kind, name) {
                report(kind.noun(), name, span, out);
            }
        }
    }
    let params = used_params(pipeline);
    for param in pipeline.params.values() {
        if !params.contains(param.name.value.as_str()) {
            report("parameter", &param.name.value, param.name.span, out);
        }
    }
    let built: BTreeSet<&str> = pipeline.steps.iter().filter_map(built_image).collect();
    for image in pipeline.images.values().filter(|i| i.declared) {
        if !built.contains(image.name.value.as_str()) {
            report("image", &image.name.value, image.name.span, out);
        }
    }
}

/// The image that a step builds.
fn built_image(step: &Step) -> Option<&str> {
    match &step.kind {
        StepKind::Build(build) => build.image.as_ref().map(|i| i.value.as_str()),
        _ => None,
    }
}

fn empty(name: &str, span: Span, out: &mut Diagnostics) {
    out.push(
        Diagnostic::new(
            &codes::UNUSED,
            format!("the stage `{name}` has no steps"),
            span,
            "does nothing",
        )
        .help("put a job into it, or remove it"),
    );
}

/// What a library declares need not all be used; what the root file declares should be.
fn report(noun: &str, name: &str, span: Span, out: &mut Diagnostics) {
    if span.source.0 != 0 {
        return;
    }
    out.push(
        Diagnostic::new(
            &codes::UNUSED,
            format!("the {noun} `{name}` is never used"),
            span,
            "declared here",
        )
        .help("name it where it belongs, or remove it"),
    );
}

fn used_params(pipeline: &Pipeline) -> BTreeSet<&str> {
    let stage_env = pipeline.stages.iter().flat_map(|s| &s.env);
    let env = pipeline.env.iter().chain(stage_env).map(|v| &v.value.value);
    let steps = pipeline
        .steps
        .iter()
        .flat_map(|s| s.templates().into_iter().map(|t| &t.value));
    let registries = pipeline.registries.values().map(|r| &r.prefix.value);
    let targets = pipeline.targets.values().flat_map(|t| t.templates());
    let targets = targets.map(|t| &t.value);
    let group = pipeline.concurrency.iter().map(|c| &c.group.value);
    let all = env
        .chain(steps)
        .chain(registries)
        .chain(targets)
        .chain(group);
    all.flat_map(crate::expr::Template::exprs)
        .filter_map(|e| match &e.target {
            Ref::Param(name) => Some(name.as_str()),
            _ => None,
        })
        .collect()
}
