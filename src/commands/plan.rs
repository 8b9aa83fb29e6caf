//! `pipe plan`: what a run would do, and why.

use std::collections::BTreeMap;

use dsl::model::{Command, Step, StepKind};
use engine::plan::{Edge, LeftOut, Part, Plan, PlannedStep, Vertex, VertexId};
use engine::run::forecast::{Forecast, Will};
use engine::run::outcome::exit;
use petgraph::Direction;
use petgraph::visit::EdgeRef;
use serde::Serialize;

use super::explain_step;
use crate::again::Again;
use crate::args::{Global, HumanOrJson, PlanArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{CAREFUL, DIM, GOOD, STRONG, count, cut, pad, paint, short, time};

/// Shows the plan.
///
/// # Errors
/// When there is none.
pub fn run(global: &Global, args: &PlanArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_to_run(global, out)?;
    let request = project.request(&args.about, args.into.as_ref(), &args.names, out)?;
    let plan = project.plan(request, out)?;
    match args.format {
        HumanOrJson::Json => {
            out.line(&json(&project, &plan));
            Ok(exit::OK)
        }
        HumanOrJson::Human => {
            let again = Again::of(global, &args.about, args.into.as_ref(), &str::to_owned);
            Ok(human(&project, &plan, &again, out))
        }
    }
}

/// Shows the plan to a person.
pub fn human(project: &Project, plan: &Plan, again: &Again, out: &Out) -> i32 {
    let steps = plan.steps().count();
    let left_out = plan.left_out.len();
    let forecasts: BTreeMap<VertexId, Forecast> = project
        .forecast(plan)
        .into_iter()
        .map(|f| (f.vertex, f))
        .collect();
    let cached = forecasts
        .values()
        .filter(|f| f.will == Will::BeCached)
        .count();
    let mut counts = format!("{} to run", count(steps - cached, "step"));
    if cached > 0 {
        counts += &format!(" · {cached} cached");
    }
    if left_out > 0 {
        counts += &format!(" · {left_out} left out");
    }
    out.line(&format!(
        " {}   {}",
        paint(STRONG, &format!("Plan for {}", about(plan))),
        paint(DIM, &counts)
    ));
    let width = plan
        .steps()
        .map(|(_, s)| s.label.chars().count())
        .max()
        .unwrap_or(0)
        .min(36);
    for (at, stage) in plan.stages.iter().enumerate() {
        out.line(&format!(" {}", paint(STRONG, &stage.name)));
        for id in &stage.steps {
            let will = forecasts.get(id).map(|f| &f.will);
            if let Some(step) = plan.step(*id) {
                let line = line(plan, (*id, step), will, width, out);
                out.line(&line);
            }
        }
        undo(plan, at, out);
    }
    if !plan.left_out.is_empty() {
        out.line(&format!(" {}", paint(STRONG, "left out")));
        for left in &plan.left_out {
            let line = format!("   - {}  {}", pad(&part(plan, left), width), left.reason);
            out.line(&paint(DIM, &cut(&line, out.width)));
        }
    }
    refused(plan, out);
    assumed(&forecasts, out);
    if steps == 0 {
        out.line(if plan.request.names.is_empty() {
            " Nothing to do. `pipe run NAME` runs a step or stage whatever the event; `pipe list` names them."
        } else {
            " Nothing to do: all of it is left out."
        });
    } else {
        let mut definitions = plan.steps().map(|(_, s)| plan.definition(s));
        let has_effects = definitions.any(|d| d.kind.has_effects());
        out.line(&paint(
            DIM,
            &format!(
                " Nothing was changed. Run it: {}",
                again.run(&plan.request.names, has_effects)
            ),
        ));
    }
    exit::OK
}

/// What a run would refuse before it begins.
fn refused(plan: &Plan, out: &Out) {
    for not in plan.not_accepted() {
        let Some(step) = plan.step(not.vertex) else {
            continue;
        };
        out.line(&format!(
            " {}: {} would be refused: {}",
            paint(CAREFUL, "!"),
            step.label,
            not.why
        ));
    }
}

/// What of all that only a run finds out: until then it is taken to be as in the last one.
fn assumed(forecasts: &BTreeMap<VertexId, Forecast>, out: &Out) {
    let told = forecasts.values().filter(|f| f.now.is_some());
    let mut all: Vec<&str> = Vec::new();
    for text in told.flat_map(|f| &f.assumed) {
        if !all.contains(&text.as_str()) {
            all.push(text);
        }
    }
    if !all.is_empty() {
        let line = format!(" as in the last run, until a run looks: {}", all.join(", "));
        out.line(&paint(DIM, &cut(&line, out.width)));
    }
}

/// One step: a mark, its name, what it does or that it need not.
fn line(
    plan: &Plan,
    (id, step): (VertexId, &PlannedStep),
    will: Option<&Will>,
    width: usize,
    out: &Out,
) -> String {
    let mark = match will {
        Some(Will::BeCached) => paint(DIM, "="),
        Some(Will::RunChanged(_)) => paint(CAREFUL, "~"),
        _ => paint(GOOD, "+"),
    };
    let is_cached = will == Some(&Will::BeCached);
    let expected = step.expected.filter(|_| !is_cached);
    let expected =
        expected.map(|d| format!("  ~{}", time(u64::try_from(d.as_millis()).unwrap_or(0))));
    let room = out.width.saturating_sub(width + 18);
    let text = match will {
        Some(Will::BeCached) => "cached".to_owned(),
        Some(Will::RunChanged(changes)) => explain_step::brief(changes),
        _ => format!(
            "{}{}",
            cut(&does(plan, step), room.max(12)),
            waits(plan, id)
        ),
    };
    format!(
        "   {mark} {}  {}{}",
        pad(&step.label, width),
        cut(&text, out.width.saturating_sub(width + 10)),
        paint(DIM, &expected.unwrap_or_default())
    )
}

/// `push on main 1a2b3c4`.
#[must_use]
pub fn about(plan: &Plan) -> String {
    let context = &plan.request.context;
    let mut text = context.event.to_string();
    let pr = context.pr.as_ref();
    if let Some(number) = pr.and_then(|p| p.number) {
        text += &format!(" {number}");
    }
    if let Some(at) = context.git.tag.as_ref().or(context.git.branch.as_ref()) {
        text += &format!(" on {at}");
    }
    if let Some(into) = pr.and_then(|p| p.target.as_ref()) {
        text += &format!(" into {into}");
    }
    if let Some(sha) = &context.git.sha {
        text += &format!(" {}", short(sha));
    }
    text
}

/// What a step does, in one line.
fn does(plan: &Plan, step: &PlannedStep) -> String {
    let definition: &Step = plan.definition(step);
    let names = |list: &[dsl::source::Spanned<String>]| {
        list.iter()
            .map(|n| n.value.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    match &definition.kind {
        StepKind::Job(job) => job
            .run
            .iter()
            .map(Command::title)
            .collect::<Vec<_>>()
            .join("; "),
        StepKind::Build(b) => format!(
            "builds {}",
            b.image.as_ref().map_or("", |i| i.value.as_str())
        ),
        StepKind::Push(p) => {
            let tags: Vec<String> = p.tags.iter().map(|t| plan.text(step, &t.value)).collect();
            format!(
                "pushes {} to {} as {}",
                names(&p.images),
                p.registry.value,
                tags.join(", ")
            )
        }
        StepKind::Sign(s) => format!("signs {}", names(&s.images)),
        StepKind::Release(r) => format!("releases {}", r.version.value),
        StepKind::Promote(p) => format!("promotes by {}", p.rule.value),
        StepKind::Deploy(d) => format!("deploys {} to {}", names(&d.images), d.target.value),
        StepKind::Approve(a) => format!(
            "waits for {} by {}",
            count(a.count as usize, "approval"),
            a.by.value
        ),
    }
}

/// `  (needs build; after test)`, what a step waits for beyond its stage.
fn waits(plan: &Plan, id: VertexId) -> String {
    let mut kinds: Vec<(Edge, Vec<String>)> = Vec::new();
    for edge in plan.graph.edges_directed(id, Direction::Incoming) {
        if *edge.weight() == Edge::Order {
            continue;
        }
        let name = match &plan.graph[edge.source()] {
            Vertex::Step(step) => step.label.clone(),
            Vertex::Legs(step) => plan.pipeline.step(*step).name.value.clone(),
            Vertex::Begin(stage) | Vertex::End(stage) => plan.stages[*stage].name.clone(),
        };
        match kinds.iter_mut().find(|(k, _)| k == edge.weight()) {
            Some((_, names)) => names.push(name),
            None => kinds.push((*edge.weight(), vec![name])),
        }
    }
    kinds.sort_by_key(|(kind, _)| *kind);
    let told: Vec<String> = kinds
        .into_iter()
        .map(|(kind, mut names)| {
            names.sort();
            format!("{} {}", kind.word(), names.join(" "))
        })
        .collect();
    if told.is_empty() {
        String::new()
    } else {
        format!("  ({})", told.join("; "))
    }
}

/// What a failure in a stage would undo, in order.
fn undo(plan: &Plan, stage: usize, out: &Out) {
    let order: Vec<&str> = plan
        .undo_order(stage)
        .into_iter()
        .filter_map(|v| Some(plan.step(v)?.label.as_str()))
        .collect();
    if order.is_empty() {
        return;
    }
    let text = if plan.stages[stage].undo_on_failure {
        format!("     on failure undone in this order: {}", order.join(", "))
    } else {
        format!("     undone if it fails itself: {}", order.join(", "))
    };
    out.line(&paint(DIM, &cut(&text, out.width)));
}

fn part(plan: &Plan, left: &LeftOut) -> String {
    match left.part {
        Part::Stage(id) => plan.pipeline.stage(id).name.value.clone(),
        Part::Step(id) => plan.pipeline.full_name(id),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanJson<'a> {
    format: u32,
    pipeline: &'a str,
    event: String,
    branch: Option<&'a str>,
    tag: Option<&'a str>,
    sha: Option<&'a str>,
    steps: Vec<StepJson<'a>>,
    left_out: Vec<LeftOutJson<'a>>,
    undo: Vec<UndoJson<'a>>,
    critical_path: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepJson<'a> {
    name: &'a str,
    stage: &'a str,
    kind: &'a str,
    does: String,
    defined_at: String,
    needs: Vec<NeedJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    will: &'static str,
    why: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    assumed: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_ms: Option<u64>,
}

#[derive(Serialize)]
struct NeedJson {
    name: String,
    kind: &'static str,
}

#[derive(Serialize)]
struct LeftOutJson<'a> {
    name: String,
    reason: &'a str,
}

#[derive(Serialize)]
struct UndoJson<'a> {
    stage: &'a str,
    steps: Vec<&'a str>,
}

/// The plan for a program.
#[must_use]
pub fn json(project: &Project, plan: &Plan) -> String {
    let git = &plan.request.context.git;
    let forecasts: BTreeMap<VertexId, Forecast> = project
        .forecast(plan)
        .into_iter()
        .map(|f| (f.vertex, f))
        .collect();
    let not_accepted = plan.not_accepted().into_iter();
    let not_accepted: BTreeMap<VertexId, String> =
        not_accepted.map(|n| (n.vertex, n.why)).collect();
    let told = |id: &VertexId| match forecasts.get(id).map(|f| explain_step::verdict(&f.will)) {
        Some(("?", why)) => ("unknown", why),
        Some(told) => told,
        None => ("run", String::new()),
    };
    let document = PlanJson {
        format: 1,
        pipeline: &plan.pipeline.name,
        event: plan.request.context.event.to_string(),
        branch: git.branch.as_deref(),
        tag: git.tag.as_deref(),
        sha: git.sha.as_deref(),
        steps: plan
            .steps()
            .map(|(id, step)| StepJson {
                name: &step.name,
                stage: &plan.stages[step.stage].name,
                kind: plan.definition(step).kind.verb(),
                does: does(plan, step),
                defined_at: project.loaded.sources.place(plan.definition(step).span),
                needs: needs(plan, id),
                refused: not_accepted.get(&id).cloned(),
                will: told(&id).0,
                why: told(&id).1,
                assumed: forecasts
                    .get(&id)
                    .filter(|f| f.now.is_some())
                    .map_or(&[], |f| &f.assumed),
                expected_ms: step
                    .expected
                    .and_then(|d| u64::try_from(d.as_millis()).ok()),
            })
            .collect(),
        left_out: plan
            .left_out
            .iter()
            .map(|l| LeftOutJson {
                name: part(plan, l),
                reason: &l.reason,
            })
            .collect(),
        undo: (0..plan.stages.len())
            .map(|at| UndoJson {
                stage: &plan.stages[at].name,
                steps: plan
                    .undo_order(at)
                    .into_iter()
                    .filter_map(|v| Some(plan.step(v)?.name.as_str()))
                    .collect(),
            })
            .filter(|u| !u.steps.is_empty())
            .collect(),
        critical_path: plan
            .critical_path()
            .into_iter()
            .filter_map(|v| Some(plan.step(v)?.name.as_str()))
            .collect(),
    };
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn needs(plan: &Plan, id: VertexId) -> Vec<NeedJson> {
    let mut needs: Vec<NeedJson> = plan
        .graph
        .edges_directed(id, Direction::Incoming)
        .filter(|e| *e.weight() != Edge::Order)
        .map(|e| NeedJson {
            name: match &plan.graph[e.source()] {
                Vertex::Step(step) => step.name.clone(),
                Vertex::Legs(step) => plan.pipeline.full_name(*step),
                Vertex::Begin(stage) | Vertex::End(stage) => plan.stages[*stage].name.clone(),
            },
            kind: e.weight().word(),
        })
        .collect();
    needs.sort_by(|a, b| a.name.cmp(&b.name));
    needs
}
