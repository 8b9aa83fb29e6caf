//! References to images that name no version, so that they mean another image tomorrow. Asks no registry.

use std::collections::BTreeSet;

use crate::codes::delivery as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expr::Template;
use crate::model::{Container, Pipeline};
use crate::source::Spanned;
use crate::units;

pub(super) fn check(pipeline: &Pipeline, out: &mut Diagnostics) {
    let mut told = BTreeSet::new();
    for job in pipeline.steps.iter().filter_map(|s| s.job()) {
        let own = match &job.container {
            Some(Container::Reference(reference)) => Some(reference),
            _ => None,
        };
        let services = job.services.iter().map(|s| &s.image);
        for reference in own.into_iter().chain(services) {
            let Some(text) = reference.value.known() else {
                continue;
            };
            if let Some(name) = units::without_version(&text)
                && told.insert(text.clone())
            {
                out.push(finding(&text, name, reference));
            }
        }
    }
}

fn finding(text: &str, name: &str, reference: &Spanned<Template>) -> Diagnostic {
    Diagnostic::new(
        &codes::MOVING_IMAGE,
        format!("`{text}` names no version"),
        reference.span,
        "another image tomorrow",
    )
    .help(format!(
        "write the version that is meant, `\"{name}:VERSION\"`, or the digest, `\"{name}@sha256:…\"`"
    ))
}
