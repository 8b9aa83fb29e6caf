//! `pipe list`: what the pipeline has.

use dsl::model::{ParamType, Pipeline, Step};
use engine::run::outcome::exit;
use serde::Serialize;

use crate::args::{Global, HumanOrJson, ListArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{DIM, STRONG, cut, pad, paint};

/// Lists stages, steps, parameters and secrets.
///
/// # Errors
/// When there is no sound pipeline.
pub fn run(global: &Global, args: &ListArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let pipeline = &project.loaded.pipeline;
    match args.format {
        HumanOrJson::Json => out.line(&json(pipeline)),
        HumanOrJson::Human => human(pipeline, out),
    }
    Ok(exit::OK)
}

fn human(pipeline: &Pipeline, out: &Out) {
    let longest = pipeline
        .steps
        .iter()
        .map(|s| s.name.value.chars().count())
        .max()
        .unwrap_or(0)
        .min(40);
    for stage in &pipeline.stages {
        out.line(&paint(STRONG, &stage.name.value));
        for id in &stage.steps {
            let step = pipeline.step(*id);
            let line = format!("  {}  {}", pad(&step.name.value, longest), title(step));
            out.line(&cut(&line, out.width));
        }
    }
    if !pipeline.params.is_empty() {
        out.line(&paint(STRONG, "parameters"));
        let names = pipeline.params.keys().map(|n| n.chars().count());
        let longest = names.max().unwrap_or(0).min(40);
        for param in pipeline.params.values() {
            let default = match &param.default {
                None => "must be given".to_owned(),
                Some(default) => format!("default {}", default.value),
            };
            let mut line = format!(
                "  {}  {}, {default}",
                pad(&param.name.value, longest),
                type_words(&param.ty)
            );
            if let Some(doc) = &param.doc {
                line += &format!("  {}", paint(DIM, doc));
            }
            out.line(&line);
        }
    }
    if !pipeline.secrets.is_empty() {
        out.line(&paint(STRONG, "secrets"));
        for secret in pipeline.secrets.values() {
            out.line(&format!("  {}", secret.name.value));
        }
    }
}

/// What a value of this type is, in words.
fn type_words(ty: &ParamType) -> String {
    match ty {
        ParamType::String => "a text".to_owned(),
        ParamType::Int => "a whole number".to_owned(),
        ParamType::Bool => "true or false".to_owned(),
        ParamType::Enum(values) => values.join(" or "),
        ParamType::Duration => "a duration such as 30m".to_owned(),
        ParamType::Path => "a path".to_owned(),
        ParamType::List => "a list".to_owned(),
    }
}

/// What a step does, in one line.
fn title(step: &Step) -> String {
    match step.job() {
        None => step.kind.verb().to_owned(),
        Some(job) => job
            .run
            .iter()
            .map(dsl::model::Command::title)
            .collect::<Vec<_>>()
            .join("; "),
    }
}

#[derive(Serialize)]
struct Listing<'a> {
    format: u32,
    pipeline: &'a str,
    stages: Vec<StageListing<'a>>,
    params: Vec<ParamListing<'a>>,
    secrets: Vec<&'a str>,
}

#[derive(Serialize)]
struct StageListing<'a> {
    name: &'a str,
    steps: Vec<StepListing<'a>>,
}

#[derive(Serialize)]
struct StepListing<'a> {
    name: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    run: Vec<String>,
}

#[derive(Serialize)]
struct ParamListing<'a> {
    name: &'a str,
    default: Option<&'a str>,
    doc: Option<&'a str>,
}

fn json(pipeline: &Pipeline) -> String {
    let step = |step: &Step| -> Vec<String> {
        step.job()
            .map(|j| j.run.iter().map(dsl::model::Command::title).collect())
            .unwrap_or_default()
    };
    let listing = Listing {
        format: 1,
        pipeline: &pipeline.name,
        stages: pipeline
            .stages
            .iter()
            .map(|stage| StageListing {
                name: &stage.name.value,
                steps: stage
                    .steps
                    .iter()
                    .map(|id| pipeline.step(*id))
                    .map(|s| StepListing {
                        name: &s.name.value,
                        kind: s.kind.verb(),
                        run: step(s),
                    })
                    .collect(),
            })
            .collect(),
        params: pipeline
            .params
            .values()
            .map(|p| ParamListing {
                name: &p.name.value,
                default: p.default.as_ref().map(|d| d.value.as_str()),
                doc: p.doc.as_deref(),
            })
            .collect(),
        secrets: pipeline.secrets.keys().map(String::as_str).collect(),
    };
    serde_json::to_string_pretty(&listing).unwrap_or_default()
}
