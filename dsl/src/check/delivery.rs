//! Images that nobody builds or pushes, rebuilds of what was tested, targets without readiness or a way back.

use indexmap::IndexMap;

use super::possible::{self, Way};
use crate::codes::delivery as codes;
use crate::diagnostic::{Diagnostic, Diagnostics, Label};
use crate::model::{Deploy, Driver, Made, Pipeline, Promotion, Push, Step, StepId, StepKind, Use};
use crate::names::{self, Names};
use crate::resolve::MANY;
use crate::schema::Kind;
use crate::source::{Span, Spanned};

pub(super) fn check(pipeline: &Pipeline, names: &Names, out: &mut Diagnostics) {
    let before = out.len();
    for (id, step) in steps(pipeline) {
        for used in step.uses(pipeline) {
            used_image(pipeline, id, step, &used, out);
        }
    }
    // A push of a mistyped image may be the one that is missed.
    if out[before..].iter().all(|d| d.missing.is_none()) {
        for (_, step) in steps(pipeline) {
            unpushed(pipeline, step, out);
        }
    }
    for (id, step) in steps(pipeline) {
        match &step.kind {
            StepKind::Push(push) => self::push(pipeline, step, push, out),
            StepKind::Deploy(deploy) => self::deploy(pipeline, id, step, deploy, out),
            _ => {}
        }
    }
    forgotten(pipeline, out);
    for promotion in pipeline.promotions.values() {
        self::promotion(pipeline, names, promotion, out);
    }
}

fn steps(pipeline: &Pipeline) -> impl Iterator<Item = (StepId, &Step)> {
    let id = |at: usize| StepId(u32::try_from(at).unwrap_or(u32::MAX));
    pipeline
        .steps
        .iter()
        .enumerate()
        .map(move |(at, step)| (id(at), step))
}

fn used_image(pipeline: &Pipeline, id: StepId, step: &Step, used: &Use, out: &mut Diagnostics) {
    let Made::Image { name, .. } = &used.what else {
        return;
    };
    if !pipeline.images.contains_key(name) {
        let known: Vec<&str> = pipeline
            .images
            .keys()
            .map(String::as_str)
            .filter(|_| out.len() <= MANY)
            .collect();
        // A reference in a text has had its finding when names were resolved.
        if step
            .templates()
            .iter()
            .all(|t| t.value.exprs().all(|e| e.span != used.span))
        {
            let at = Spanned::new(name.clone(), used.span);
            let finding = names::unknown("image", &at, &known, || {
                format!("build it first: `build {name}`")
            });
            let finding = finding.label_near(|near| pipeline.images.get(near).map(|i| i.name.span));
            out.push(with_use(finding, step));
        }
        return;
    }
    let not_itself = |m: StepId| m != id;
    let built = Made::Image {
        name: name.clone(),
        pushed: false,
    };
    if pipeline.makers(step.stage, &built, &not_itself).is_empty() {
        let finding = Diagnostic::new(
            &codes::NOT_BUILT,
            format!("`{name}` is not built in this stage or before it"),
            used.span,
            "no such image yet",
        )
        .help(format!(
            "add `build {name}` to this stage, or move the stage that builds it up"
        ));
        out.push(with_use(finding, step));
    }
}

/// What a step fetches from a registry must have been pushed to one.
fn unpushed(pipeline: &Pipeline, step: &Step, out: &mut Diagnostics) {
    if !matches!(step.kind, StepKind::Deploy(_) | StepKind::Sign(_)) {
        return;
    }
    for used in step.uses(pipeline) {
        let Made::Image { name, pushed: true } = &used.what else {
            continue;
        };
        let makers = pipeline.makers(step.stage, &used.what, &|_| true);
        if makers.is_empty() || is_pushed(pipeline, step, &used.what) {
            continue;
        }
        let registry = pipeline
            .registries
            .keys()
            .next()
            .map_or("REGISTRY", String::as_str);
        let finding = Diagnostic::new(
            &codes::NOT_PUSHED,
            format!("`{name}` is never pushed to a registry before this"),
            used.span,
            "cannot be fetched from anywhere",
        )
        .help(format!(
            "add `push {name} to={registry} tag=\"sha-${{git.sha}}\"` before it"
        ));
        out.push(with_use(finding, step));
    }
}

fn is_pushed(pipeline: &Pipeline, step: &Step, what: &Made) -> bool {
    let makers = pipeline.makers(step.stage, what, &|_| true);
    makers
        .iter()
        .any(|m| matches!(pipeline.step(*m).kind, StepKind::Push(_)))
}

fn with_use(finding: Diagnostic, step: &Step) -> Diagnostic {
    match step.used_at {
        Some(at) => finding.label(at, "used here"),
        None => finding,
    }
}

fn push(pipeline: &Pipeline, step: &Step, push: &Push, out: &mut Diagnostics) {
    let Some(registry) = pipeline.registries.get(&push.registry.value) else {
        return;
    };
    if registry.immutable {
        for tag in &push.tags {
            if tag.value.known().as_deref() == Some("latest") {
                out.push(
                    Diagnostic::new(
                        &codes::MUTABLE_TAG,
                        format!(
                            "`latest` moves, and the tags of `{}` do not",
                            registry.name.value
                        ),
                        tag.span,
                        "would be refused from the second run on",
                    )
                    .label(registry.name.span, "declared `immutable=#true` here")
                    .help("push under a tag that belongs to one commit: `\"sha-${git.sha}\"`"),
                );
            }
        }
    }
    let branches = registry
        .accept_branches
        .iter()
        .map(|b| Way::of_branch(&b.value));
    let accepted: Vec<Way<'_>> = branches
        .chain(registry.accept_tags.iter().map(|t| Way::of_tag(&t.value)))
        .collect();
    let own = possible::of_step(pipeline, step);
    if !accepted.is_empty() && !own.is_empty() && !possible::can_meet(&own, &accepted) {
        let rules = registry.accept_branches.iter().chain(&registry.accept_tags);
        let mut finding = Diagnostic::new(
            &codes::NOT_ACCEPTED,
            format!(
                "`{}` never accepts what this step pushes",
                registry.name.value
            ),
            push.registry.span,
            "refused in every run that has this step",
        )
        .help("push to another registry, or change the step's `when` or the registry's `accept`");
        for rule in rules {
            finding = finding.label(rule.span, "accepted from here only");
        }
        let stage = pipeline.stage(step.stage);
        for condition in step.selection.when.iter().chain(&stage.selection.when) {
            finding = finding.label(condition.span, "when this holds, the step runs");
        }
        out.push(finding);
    }
}

fn deploy(pipeline: &Pipeline, id: StepId, step: &Step, deploy: &Deploy, out: &mut Diagnostics) {
    let Some(target) = pipeline.targets.get(&deploy.target.value) else {
        return;
    };
    way_back(pipeline, step, &deploy.target, out);
    if target.protected {
        rebuilds(pipeline, id, step, deploy, out);
    }
    for (name, span) in &target.image_refs {
        if deploy.images.iter().any(|i| i.value == *name) {
            continue;
        }
        out.push(
            Diagnostic::new(
                &codes::NOT_BUILT,
                format!(
                    "`{}` wants the image `{name}`, and this deployment does not bring it",
                    target.name.value
                ),
                deploy.target.span,
                format!("deploys {} only", deployed(deploy)),
            )
            .label(*span, "wanted here")
            .help(format!(
                "write `deploy {} {name} to={}`",
                deployed_words(deploy),
                target.name.value
            )),
        );
    }
}

fn deployed(deploy: &Deploy) -> String {
    let names: Vec<&str> = deploy.images.iter().map(|i| i.value.as_str()).collect();
    crate::text::list(&names)
}

fn deployed_words(deploy: &Deploy) -> String {
    deploy
        .images
        .iter()
        .map(|i| i.value.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Readiness and undo of the target that a deployment or a promotion ends at.
fn way_back(pipeline: &Pipeline, step: &Step, at: &Spanned<String>, out: &mut Diagnostics) {
    let Some(target) = pipeline.targets.get(&at.value) else {
        return;
    };
    let driver = target.driver.as_ref();
    if target.ready.is_none() && driver.is_some_and(|d| !d.reports_itself()) {
        out.push(
            Diagnostic::new(
                &codes::NO_READINESS,
                format!("nothing tells when `{}` is ready", at.value),
                at.span,
                "would count as deployed at once",
            )
            .label(target.name.span, "this target has no `ready`")
            .help("add `ready \"http://…\" within=\"2m\"`, `ready tcp=\"host:port\"` or `ready command=\"…\"` to it"),
        );
    }
    let no_undo = driver.is_some_and(Driver::lacks_undo);
    if no_undo && step.rollback.is_none() && target.no_rollback.is_none() {
        out.push(
            Diagnostic::new(
                &codes::NO_WAY_BACK,
                format!("a failed deployment to `{}` could not be undone", at.value),
                at.span,
                "no way back",
            )
            .label(target.name.span, "its driver has no `undo`")
            .help("add `undo \"./undo.sh\"` to the target's `run`, a `rollback` to this step, or `no-rollback \"why\"`"),
        );
    }
}

/// What reaches a protected target is what was tested, not a second build of it.
fn rebuilds(pipeline: &Pipeline, id: StepId, step: &Step, deploy: &Deploy, out: &mut Diagnostics) {
    for image in &deploy.images {
        let what = Made::Image {
            name: image.value.clone(),
            pushed: false,
        };
        for maker in pipeline.makers(step.stage, &what, &|m| m != id) {
            let build = pipeline.step(maker);
            let StepKind::Build(inner) = &build.kind else {
                continue;
            };
            let first = pipeline
                .all_makers(&what)
                .first()
                .map(|id| pipeline.step(*id));
            let other = first.filter(|s| s.stage < build.stage);
            let (false, Some(other)) = (inner.rebuild, other) else {
                continue;
            };
            out.push(
                Diagnostic::new(
                    &codes::REBUILD,
                    format!("`{}` gets a new build of `{}`, not the one that was tested", deploy.target.value, image.value),
                    build.name.span,
                    "built again here",
                )
                .label(other.name.span, "built and tested here")
                .label(deploy.target.span, "reaches a protected target")
                .help("promote the tested digest with a `promotion`, or say that it is meant: `rebuild=#true`"),
            );
        }
    }
}

/// Registries that forget the releases to which a target could go back: one finding for each.
fn forgotten(pipeline: &Pipeline, out: &mut Diagnostics) {
    let mut found: IndexMap<&str, Diagnostic> = IndexMap::new();
    for (_, step) in steps(pipeline) {
        let StepKind::Deploy(deploy) = &step.kind else {
            continue;
        };
        for image in &deploy.images {
            let Some((registry, keep)) = forgetting(pipeline, step, image) else {
                continue;
            };
            let finding = found.entry(registry).or_insert_with(|| {
                Diagnostic::new(
                    &codes::KEEP,
                    format!("a rollback may want images that `{registry}` has forgotten"),
                    keep,
                    "kept only so long",
                )
                .help("remove `keep=`, or push to a registry without it as well")
            });
            let label = format!("`{}` is deployed from it", image.value);
            finding.labels.push(Label {
                span: image.span,
                text: label,
            });
        }
    }
    out.extend(found.into_values());
}

/// The registry with `keep` from which an image is deployed, if it is in no other one.
fn forgetting<'a>(
    pipeline: &'a Pipeline,
    step: &Step,
    image: &Spanned<String>,
) -> Option<(&'a str, Span)> {
    let what = Made::Image {
        name: image.value.clone(),
        pushed: true,
    };
    let mut found = None;
    for maker in pipeline.makers(step.stage, &what, &|_| true) {
        let StepKind::Push(push) = &pipeline.step(maker).kind else {
            continue;
        };
        let registry = pipeline.registries.get(&push.registry.value)?;
        found = Some((registry.name.value.as_str(), registry.keep.as_ref()?.span));
    }
    found
}

fn promotion(pipeline: &Pipeline, names: &Names, promotion: &Promotion, out: &mut Diagnostics) {
    let from = end(names, &promotion.from, out);
    let to = end(names, &promotion.to, out);
    if let (Some(from), Some(to)) = (from, to)
        && (from != to || promotion.from.value == promotion.to.value)
    {
        let message = if from == to {
            "a promotion from a place to itself".to_owned()
        } else {
            format!("a promotion from a {} to a {}", from.noun(), to.noun())
        };
        out.push(
            Diagnostic::new(
                &codes::PROMOTION,
                message,
                promotion.to.span,
                "the destination",
            )
            .label(promotion.from.span, "the source")
            .help("name two targets, or two registries"),
        );
    }
    if promotion.images.is_empty() {
        out.push(
            Diagnostic::new(
                &codes::PROMOTION,
                format!("the promotion `{}` moves nothing", promotion.name.value),
                promotion.name.span,
                "no `images` here",
            )
            .help("say what moves: `images app`"),
        );
    }
    for image in &promotion.images {
        promoted_image(pipeline, promotion, image, from, out);
    }
    released_version(pipeline, promotion, out);
    if (from, to) == (Some(Kind::Registry), Some(Kind::Registry)) {
        for required in &promotion.requirements {
            if required.what.value == "healthy" {
                out.push(
                    Diagnostic::new(
                        &codes::PROMOTION,
                        "a registry is never healthy: nothing runs in it",
                        required.what.span,
                        "cannot be asked for here",
                    )
                    .label(promotion.to.span, "a registry")
                    .help("ask for it where a target is promoted from, or let a job check it before this"),
                );
            }
        }
    }
    if to == Some(Kind::Target) {
        let step = pipeline.steps.iter().find(|s| promotes(s, promotion));
        if let Some(step) = step {
            way_back(pipeline, step, &promotion.to, out);
        }
    }
}

/// A release wants one version, and a promotion has none of its own.
fn released_version(pipeline: &Pipeline, promotion: &Promotion, out: &mut Diagnostics) {
    if let Some((release, None)) = &promotion.release
        && pipeline.versions.len() != 1
    {
        let (message, help) = match pipeline.versions.len() {
            0 => (
                "there is no version to release",
                "declare it: `version app from=\"Cargo.toml\"`".to_owned(),
            ),
            _ => {
                let first = pipeline.versions.keys().next().map_or("", String::as_str);
                let help = format!("write `release version={first}`");
                ("nothing says which version is released", help)
            }
        };
        out.push(
            Diagnostic::new(
                &codes::PROMOTION,
                message,
                release.span,
                "a release of what?",
            )
            .help(help),
        );
    }
}

fn promotes(step: &Step, promotion: &Promotion) -> bool {
    matches!(&step.kind, StepKind::Promote(p) if p.rule.value == promotion.name.value)
}

fn promoted_image(
    pipeline: &Pipeline,
    promotion: &Promotion,
    image: &Spanned<String>,
    from: Option<Kind>,
    out: &mut Diagnostics,
) {
    if !pipeline.images.contains_key(&image.value) {
        let known: Vec<&str> = pipeline
            .images
            .keys()
            .map(String::as_str)
            .filter(|_| out.len() <= MANY)
            .collect();
        let finding = names::unknown("image", image, &known, || {
            format!("build it in a stage: `build {}`", image.value)
        });
        out.push(finding.label_near(|near| pipeline.images.get(near).map(|i| i.name.span)));
        return;
    }
    let reaches = |step: &Step| match (&step.kind, from) {
        (StepKind::Deploy(d), Some(Kind::Target)) => {
            d.target.value == promotion.from.value
                && d.images.iter().any(|i| i.value == image.value)
        }
        (StepKind::Push(p), Some(Kind::Registry)) => {
            p.registry.value == promotion.from.value
                && p.images.iter().any(|i| i.value == image.value)
        }
        _ => from.is_none(),
    };
    let earlier = pipeline.promotions.values().any(|p| {
        p.to.value == promotion.from.value && p.images.iter().any(|i| i.value == image.value)
    });
    if !earlier && !pipeline.steps.iter().any(reaches) && !is_wanted(pipeline, promotion, image) {
        out.push(
            Diagnostic::new(
                &codes::NOT_PUSHED,
                format!(
                    "`{}` never reaches `{}`, so it cannot be promoted from there",
                    image.value, promotion.from.value
                ),
                image.span,
                "not there",
            )
            .label(promotion.from.span, "the source")
            .help(match from {
                Some(Kind::Registry) => format!(
                    "push it there: `push {} to={} tag=…`",
                    image.value, promotion.from.value
                ),
                _ => format!(
                    "deploy it there: `deploy {} to={}`",
                    image.value, promotion.from.value
                ),
            }),
        );
    }
}

/// Whether the source names the image itself, and is deployed without it: that is said at the deployment.
fn is_wanted(pipeline: &Pipeline, promotion: &Promotion, image: &Spanned<String>) -> bool {
    let target = pipeline.targets.get(&promotion.from.value);
    let named = target.is_some_and(|t| t.image_refs.iter().any(|(name, _)| *name == image.value));
    let deployed =
        |s: &Step| matches!(&s.kind, StepKind::Deploy(d) if d.target.value == promotion.from.value);
    named && pipeline.steps.iter().any(deployed)
}

/// What a promotion's end names: a target, else a registry.
fn end(names: &Names, name: &Spanned<String>, out: &mut Diagnostics) -> Option<Kind> {
    for kind in [Kind::Target, Kind::Registry] {
        if names.resolve(kind, &name.value, None).is_some() {
            return Some(kind);
        }
    }
    let known: Vec<&str> = names
        .of(Kind::Target)
        .chain(names.of(Kind::Registry))
        .map(|(n, _)| n)
        .collect();
    let mut finding = names::unknown("target or registry", name, &known, || {
        format!(
            "declare it at the top of the file: `target {} {{ … }}`",
            name.value
        )
    });
    finding.code = &codes::PROMOTION;
    out.push(finding);
    None
}
