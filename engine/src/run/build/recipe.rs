//! What decides an image. Not the commit, not the engine: both may differ, and the image is the same.

use std::collections::BTreeMap;

use dsl::model::KeyPart;
use secrecy::ExposeSecret;

use super::super::context::Ignored;
use super::super::recipe::{Recipe, makers};
use super::Build;
use crate::cache::key::{self, Key, Parts};
use crate::plan::Plan;

/// The recipe of an image. `secret` gives what stands for a secret in a key.
pub(in crate::run) fn recipe(
    plan: &Plan,
    vertex: u32,
    build: &Build,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Recipe {
    let mut setting = BTreeMap::from([
        ("context".to_owned(), build.context.clone()),
        ("dockerfile".to_owned(), build.dockerfile.clone()),
    ]);
    if let Some(target) = &build.target {
        setting.insert("target".to_owned(), target.clone());
    }
    if !build.platforms.is_empty() {
        setting.insert("platforms".to_owned(), build.platforms.join(" "));
    }
    if build.provenance {
        setting.insert("attest".to_owned(), "provenance".to_owned());
    }
    if build.inline {
        // It stands in the image.
        setting.insert("cache".to_owned(), "inline".to_owned());
    }
    if let Some(scanner) = &build.sbom {
        setting.insert("sbom".to_owned(), scanner.clone());
    }
    let named = |kind: &'static str| {
        move |(name, value): &(String, String)| (format!("{kind} {name}"), value.clone())
    };
    let args = build.args.iter().map(named("arg"));
    let mut parts: BTreeMap<String, String> = args
        .chain(build.labels.iter().map(named("label")))
        .collect();
    for value in parts.values_mut() {
        if let Some(hidden) = secret(value) {
            *value = hidden;
        }
    }
    let secrets = build.secrets.iter().map(|(name, value)| {
        let value = value.expose_secret();
        (name.clone(), secret(value).unwrap_or_default())
    });
    let key = Key {
        version: key::VERSION,
        platform: key::platform(),
        step: format!("build {}", build.image),
        commands: Parts::default(),
        setting: setting.into(),
        env: secrets.collect::<BTreeMap<_, _>>().into(),
        parts,
        inputs: BTreeMap::new(),
        taken: BTreeMap::new(),
        makes: BTreeMap::from([("image".to_owned(), build.image.clone())]).into(),
    };
    Recipe {
        key,
        inputs: build.inputs.clone(),
        parts: vec![KeyPart::File(build.dockerfile.clone())],
        products: Vec::new(),
        makers: makers(plan, vertex),
        takes: Vec::new(),
        hands_on: false,
        images: Vec::new(),
        image: Some(build.image.clone()),
        context: build
            .inputs
            .is_empty()
            .then(|| (build.context.clone(), build.dockerfile.clone())),
        circumstances: None,
    }
}

/// What is left out of a recipe's context.
pub(in crate::run) fn ignored(root: &std::path::Path, of: &(String, String)) -> Ignored {
    Ignored::read(root, &of.0, &of.1)
}
