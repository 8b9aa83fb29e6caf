//! Names to edges: every `needs`, every reference to an output, every artifact becomes a wait for a step or stage.

mod declared;

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::codes::{names as codes, values};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::expr::{Expr, Ref};
use crate::lower::{Lowered, RawWait};
use crate::model::{Image, Pipeline, Stage, StageId, StepId, StepKind, Wait, WaitKind, WaitTarget};
use crate::names::{self, Names};
use crate::schema::Kind;
use crate::source::{Span, Spanned};

/// So many findings that guessing at what was meant would cost more than it helps.
pub(crate) const MANY: usize = 25;

/// So many steps of one name are told apart.
const CANDIDATES: usize = 8;

/// Fills in what the steps and stages wait for.
pub fn resolve(lowered: Lowered, out: &mut Diagnostics) -> (Pipeline, Names) {
    let Lowered {
        mut pipeline,
        waits,
        prefixes,
        stage_waits,
        names,
    } = lowered;
    inherit(&mut pipeline);
    add_built_images(&mut pipeline);
    pipeline.index_makers();
    let mut resolver = Resolver {
        index: Index::new(&pipeline),
        pipeline: &pipeline,
        names: &names,
        env: pipeline.env.iter().map(|v| v.name.value.as_str()).collect(),
        out,
    };
    let mut step_edges: Vec<Vec<Wait>> = Vec::with_capacity(waits.len());
    for (at, raw) in waits.iter().enumerate() {
        let id = StepId(u32::try_from(at).unwrap_or(u32::MAX));
        step_edges.push(resolver.step(id, raw, prefixes[at].as_deref()));
    }
    let stage_edges: Vec<Option<Vec<Wait>>> = pipeline
        .stage_ids()
        .zip(&stage_waits)
        .map(|(id, raw)| raw.as_ref().map(|raw| resolver.waits(id, None, raw)))
        .collect();
    resolver.outer_env();
    for (step, edges) in pipeline.steps.iter_mut().zip(step_edges) {
        take_artifacts(&mut step.kind, &edges);
        step.waits = edges;
    }
    for (stage, edges) in pipeline.stages.iter_mut().zip(stage_edges) {
        stage.waits = edges;
    }
    (pipeline, names)
}

/// What an `image` says holds for each `build` of it that does not say otherwise.
fn inherit(pipeline: &mut Pipeline) {
    for step in &mut pipeline.steps {
        let StepKind::Build(build) = &mut step.kind else {
            continue;
        };
        let name = build.image.as_ref().map(|i| i.value.as_str());
        if let Some(image) = name.and_then(|n| pipeline.images.get(n)) {
            build.inherit(&image.build);
        }
    }
}

/// An image that only a `build` names is declared by its first one.
fn add_built_images(pipeline: &mut Pipeline) {
    for step in &pipeline.steps {
        let StepKind::Build(build) = &step.kind else {
            continue;
        };
        let Some(name) = &build.image else { continue };
        pipeline
            .images
            .entry(name.value.clone())
            .or_insert_with(|| Image {
                name: name.clone(),
                build: (**build).clone(),
                declared: false,
            });
    }
    let given = pipeline.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Deploy(deploy) => Some(&deploy.digests),
        _ => None,
    });
    // One whose digest is given is built elsewhere.
    for digest in given.flatten() {
        let image = Image {
            name: digest.name.clone(),
            build: crate::model::Build::default(),
            declared: false,
        };
        let name = digest.name.value.clone();
        pipeline.images.entry(name).or_insert(image);
    }
}

fn take_artifacts(kind: &mut StepKind, edges: &[Wait]) {
    let StepKind::Job(job) = kind else { return };
    for take in &mut job.takes {
        let edge = edges.iter().find(|e| e.span == take.from.span);
        take.step = edge.and_then(|e| match e.target {
            WaitTarget::Step(id) => Some(id),
            WaitTarget::Stage(_) => None,
        });
    }
}

/// Steps and stages by name.
struct Index<'a> {
    stages: IndexMap<&'a str, StageId>,
    steps: Vec<IndexMap<&'a str, StepId>>,
    /// The steps of a name, stage after stage.
    by_name: IndexMap<&'a str, Vec<StepId>>,
}

impl<'a> Index<'a> {
    fn new(pipeline: &'a Pipeline) -> Self {
        let name = |id: &StepId| pipeline.step(*id).name.value.as_str();
        let by_name = |stage: &Stage| stage.steps.iter().map(|id| (name(id), *id)).collect();
        let mut all: IndexMap<&str, Vec<StepId>> = IndexMap::with_capacity(pipeline.steps.len());
        for id in pipeline.stages.iter().flat_map(|s| &s.steps) {
            all.entry(name(id)).or_default().push(*id);
        }
        Self {
            by_name: all,
            stages: pipeline
                .stage_ids()
                .map(|id| (pipeline.stage(id).name.value.as_str(), id))
                .collect(),
            steps: pipeline.stages.iter().map(by_name).collect(),
        }
    }

    fn step(&self, stage: StageId, name: &str) -> Option<StepId> {
        self.steps[stage.0 as usize].get(name).copied()
    }
}

/// The values that legs must have, as written.
type Legs<'a> = Vec<(&'a str, &'a str)>;

enum Lookup {
    Found(WaitTarget),
    Ambiguous(Vec<StepId>),
    Later(StepId),
    Nothing,
}

struct Resolver<'a> {
    index: Index<'a>,
    pipeline: &'a Pipeline,
    names: &'a Names,
    /// The variables of the pipeline.
    env: BTreeSet<&'a str>,
    out: &'a mut Diagnostics,
}

impl Resolver<'_> {
    fn step(&mut self, id: StepId, raw: &[RawWait], prefix: Option<&str>) -> Vec<Wait> {
        let step = self.pipeline.step(id);
        let mut edges = self.waits(step.stage, Some(id), raw);
        let stage_env = &self.pipeline.stage(step.stage).env;
        for template in step.templates() {
            for expr in template.value.exprs() {
                if let Some(edge) = self.output(id, expr, prefix) {
                    edges.push(edge);
                }
                self.declared(expr, Some(id), &[stage_env, &step.env]);
            }
        }
        edges
    }

    fn waits(&mut self, stage: StageId, step: Option<StepId>, raw: &[RawWait]) -> Vec<Wait> {
        let mut edges: Vec<Wait> = Vec::new();
        let mut seen: IndexMap<(WaitTarget, WaitKind, Legs<'_>), Span> = IndexMap::new();
        for wait in raw {
            let Some(target) = self.target(stage, step, wait) else {
                continue;
            };
            let legs = wait.legs.iter().map(|(a, v)| (a.as_str(), v.as_str()));
            let key = (target, wait.kind, legs.collect());
            let first = *seen.entry(key).or_insert(wait.name.span);
            if wait.kind != WaitKind::Reference && first != wait.name.span {
                self.report(
                    Diagnostic::new(
                        &crate::codes::shape::DUPLICATE,
                        format!("`{}` is named twice", wait.name.value),
                        wait.name.span,
                        "the second one",
                    )
                    .label(first, "the first one")
                    .help("keep one of them"),
                    wait.used_at,
                );
                continue;
            }
            edges.push(Wait {
                target,
                kind: wait.kind,
                optional: wait.optional,
                legs: wait.legs.clone(),
                span: wait.name.span,
            });
        }
        edges
    }

    fn target(
        &mut self,
        stage: StageId,
        step: Option<StepId>,
        wait: &RawWait,
    ) -> Option<WaitTarget> {
        let found = self.lookup(stage, &wait.name.value, wait.prefix.as_deref());
        let finding = match found {
            Lookup::Found(target) => return Some(target),
            Lookup::Ambiguous(steps) => ambiguous(self.pipeline, &wait.name, &steps),
            Lookup::Later(id) => self.later(&wait.name, id),
            Lookup::Nothing => self.nothing(stage, step, &wait.name),
        };
        self.report(finding, wait.used_at);
        None
    }

    /// Own stage, then the stages before it, then a stage's name.
    fn lookup(&self, stage: StageId, name: &str, prefix: Option<&str>) -> Lookup {
        if let Some((in_stage, step)) = name.split_once('.') {
            let found = self
                .index
                .stages
                .get(in_stage)
                .and_then(|s| self.index.step(*s, step));
            return found.map_or(Lookup::Nothing, |id| Lookup::Found(WaitTarget::Step(id)));
        }
        let prefixed = prefix.and_then(|p| self.index.step(stage, &format!("{p}-{name}")));
        if let Some(id) = prefixed.or_else(|| self.index.step(stage, name)) {
            return Lookup::Found(WaitTarget::Step(id));
        }
        let all = self.index.by_name.get(name).map_or(&[][..], Vec::as_slice);
        let before = all.partition_point(|id| self.pipeline.step(*id).stage < stage);
        let earlier: Vec<StepId> = all[before.saturating_sub(CANDIDATES)..before].to_vec();
        match (earlier.as_slice(), self.index.stages.get(name)) {
            (_, Some(found))
                if earlier
                    .iter()
                    .all(|id| self.pipeline.step(*id).stage == *found) =>
            {
                Lookup::Found(WaitTarget::Stage(*found))
            }
            ([one], _) => Lookup::Found(WaitTarget::Step(*one)),
            ([], Some(found)) => Lookup::Found(WaitTarget::Stage(*found)),
            ([], None) => {
                let later = all.get(before).copied();
                later.map_or(Lookup::Nothing, Lookup::Later)
            }
            _ => Lookup::Ambiguous(earlier),
        }
    }

    fn nothing(&self, stage: StageId, step: Option<StepId>, name: &Spanned<String>) -> Diagnostic {
        let form = || "write the name of a step, `stage.step`, or a stage".into();
        if self.out.len() > MANY {
            return names::unknown(Kind::Step.noun(), name, &[], form);
        }
        let own = self.index.steps[stage.0 as usize].keys().copied();
        let before = self.index.steps[..stage.0 as usize]
            .iter()
            .flat_map(|s| s.keys().copied());
        let all: Vec<String> = self
            .pipeline
            .steps
            .iter()
            .enumerate()
            .map(|(at, _)| {
                self.pipeline
                    .full_name(StepId(u32::try_from(at).unwrap_or(u32::MAX)))
            })
            .collect();
        let mut known: Vec<&str> = own
            .chain(before)
            .chain(self.index.stages.keys().copied())
            .collect();
        if name.value.contains('.') {
            known = all.iter().map(String::as_str).collect();
        }
        let own_name = step.map(|id| self.pipeline.step(id).name.value.as_str());
        known.retain(|k| Some(*k) != own_name);
        let finding = names::unknown(Kind::Step.noun(), name, &known, form);
        let without_verb = without_verb(&name.value, &known);
        let finding = match nearest(&name.value, known.iter().copied()) {
            None if !without_verb.is_empty() => finding.help(match without_verb.as_slice() {
                [one] => format!("did you mean `{one}`?"),
                several => format!("which step of it: {}?", crate::text::list(several)),
            }),
            _ => finding,
        };
        finding.label_near(|near| self.place_of(stage, near))
    }

    fn place_of(&self, stage: StageId, name: &str) -> Option<Span> {
        match self.lookup(stage, name, None) {
            Lookup::Found(WaitTarget::Step(id)) => Some(self.pipeline.step(id).name.span),
            Lookup::Found(WaitTarget::Stage(id)) => Some(self.pipeline.stage(id).name.span),
            _ => None,
        }
    }

    fn later(&self, name: &Spanned<String>, id: StepId) -> Diagnostic {
        let step = self.pipeline.step(id);
        let stage = &self.pipeline.stage(step.stage).name.value;
        Diagnostic::new(
            &codes::UNKNOWN_NAME,
            format!("there is no step `{}` in this stage or before it", name.value),
            name.span,
            "not found so far",
        )
        .missing(Kind::Step.noun(), &name.value)
        .label(step.name.span, format!("the stage `{stage}`, which has one, comes later"))
        .help(format!(
            "move the stage `{stage}` up, or write `{stage}.{}` if this stage does not come before it",
            name.value
        ))
    }

    /// The edge that a reference to an output makes.
    fn output(&mut self, id: StepId, expr: &Expr, prefix: Option<&str>) -> Option<Wait> {
        let Ref::Output { step, .. } = &expr.target else {
            return None;
        };
        let own = self.pipeline.step(id);
        let name = Spanned::new(step.clone(), expr.span);
        let wait = RawWait {
            name,
            kind: WaitKind::Reference,
            optional: false,
            legs: IndexMap::new(),
            // A template's steps refer to each other by the names that the template gives them.
            prefix: prefix.map(str::to_owned),
            used_at: own.used_at,
        };
        let target = self.target(own.stage, Some(id), &wait)?;
        let WaitTarget::Step(target) = target else {
            self.report(
                names::unknown("step", &Spanned::new(step.clone(), expr.span), &[], || {
                    "a stage has no outputs; name the step: `${stage.step.outputs.NAME}`".into()
                }),
                own.used_at,
            );
            return None;
        };
        if self
            .pipeline
            .step(target)
            .job()
            .is_some_and(|j| j.matrix.is_some())
        {
            let finding = Diagnostic::new(
                &values::OUTPUT_OF_LEGS,
                format!("`{step}` has a matrix, and each leg has its own outputs"),
                expr.span,
                "which leg is meant?",
            )
            .help("hand it over as an artifact, or take it from a job without a matrix");
            self.report(finding, own.used_at);
            return None;
        }
        Some(Wait {
            target: WaitTarget::Step(target),
            kind: WaitKind::Reference,
            optional: false,
            legs: IndexMap::new(),
            span: expr.span,
        })
    }

    fn report(&mut self, finding: Diagnostic, used_at: Option<Span>) {
        self.out.push(match used_at {
            Some(at) => finding.label(at, "used here"),
            None => finding,
        });
    }
}

/// The steps that are called after a verb and this name, or one that is close to it: `build-app` for `app`.
fn without_verb<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    const VERBS: [&str; 7] = [
        "build", "push", "sign", "release", "promote", "deploy", "approve",
    ];
    let subject = |k: &&'a str| {
        let (verb, subject) = k.split_once('-')?;
        VERBS.contains(&verb).then_some((*k, subject))
    };
    let subjects: Vec<(&str, &str)> = known.iter().filter_map(subject).collect();
    let meant = match subjects.iter().any(|(_, s)| *s == name) {
        true => Some(name),
        false => nearest(name, subjects.iter().map(|(_, s)| *s)),
    };
    let mut found: Vec<&str> = subjects
        .iter()
        .filter(|(_, s)| Some(*s) == meant)
        .map(|(k, _)| *k)
        .collect();
    found.dedup();
    found
}

fn ambiguous(pipeline: &Pipeline, name: &Spanned<String>, steps: &[StepId]) -> Diagnostic {
    let full: Vec<String> = steps.iter().map(|id| pipeline.full_name(*id)).collect();
    let mut finding = Diagnostic::new(
        &codes::AMBIGUOUS_NAME,
        format!("`{}` can mean several steps", name.value),
        name.span,
        "which one?",
    )
    .help(format!("write one of {}", crate::text::list(&full)));
    for (id, full) in steps.iter().zip(&full) {
        finding = finding.label(pipeline.step(*id).name.span, format!("`{full}`"));
    }
    finding
}
