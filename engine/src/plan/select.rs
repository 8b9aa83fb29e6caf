//! Which steps are part of a run: by the event and the conditions, or by name with what the named ones need.

use dsl::model::{
    Condition, Made, Pipeline, Selection, StageId, StepId, StepKind, Wait, WaitKind, WaitTarget,
};
use globset::GlobBuilder;

use super::Request;
use crate::world::{Changed, Event};

/// Something that is not part of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// What it is.
    pub part: Part,
    /// Why, as a sentence part: `when event=push; this run is manual`.
    pub reason: String,
}

/// A stage or a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All steps of a stage.
    Stage(StageId),
    /// One step.
    Step(StepId),
}

/// The steps of a run.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    /// By step.
    pub(super) steps: Vec<bool>,
    /// What is left out and why.
    pub(super) left_out: Vec<LeftOut>,
}

impl Selected {
    pub(super) fn has(&self, id: StepId) -> bool {
        self.steps[id.0 as usize]
    }
}

pub(super) fn step_id(at: usize) -> StepId {
    StepId(u32::try_from(at).unwrap_or(u32::MAX))
}

pub(super) fn select(pipeline: &Pipeline, request: &Request) -> Selected {
    if request.everything {
        Selected {
            steps: vec![true; pipeline.steps.len()],
            left_out: Vec::new(),
        }
    } else if request.names.is_empty() {
        by_event(pipeline, request)
    } else {
        by_name(pipeline, request)
    }
}

/// The named steps and what they need, whatever the event.
fn by_name(pipeline: &Pipeline, request: &Request) -> Selected {
    let mut steps = vec![false; pipeline.steps.len()];
    let mut queue: Vec<StepId> = Vec::new();
    for name in &request.names {
        let of_stage = pipeline.stages.iter().find(|s| s.name.value == *name);
        match of_stage {
            Some(stage) => queue.extend(&stage.steps),
            None => queue.extend((0..pipeline.steps.len()).map(step_id).filter(|id| {
                pipeline.step(*id).name.value == *name || pipeline.full_name(*id) == *name
            })),
        }
    }
    while let Some(id) = queue.pop() {
        if std::mem::replace(&mut steps[id.0 as usize], true) {
            continue;
        }
        let step = pipeline.step(id);
        for wait in step.waits.iter().filter(|w| must_succeed(w) && !w.optional) {
            match wait.target {
                WaitTarget::Step(needed) => queue.push(needed),
                WaitTarget::Stage(stage) => queue.extend(&pipeline.stage(stage).steps),
            }
        }
        for used in step.uses(pipeline) {
            queue.extend(pipeline.makers(step.stage, &used.what, &|m| m != id));
        }
    }
    let mut selected = Selected {
        steps,
        left_out: Vec::new(),
    };
    withhold(pipeline, request, &mut selected);
    without_needs(pipeline, &mut selected);
    selected
}

fn by_event(pipeline: &Pipeline, request: &Request) -> Selected {
    let mut selected = Selected {
        steps: vec![false; pipeline.steps.len()],
        left_out: Vec::new(),
    };
    // File order: a release that a later `when released` asks about has been decided before.
    for stage_id in pipeline.stage_ids() {
        let stage = pipeline.stage(stage_id);
        if let Some(reason) = excluded(pipeline, request, &selected, &stage.selection) {
            selected.left_out.push(LeftOut {
                part: Part::Stage(stage_id),
                reason,
            });
            continue;
        }
        for id in &stage.steps {
            match excluded(pipeline, request, &selected, &pipeline.step(*id).selection) {
                None => selected.steps[id.0 as usize] = true,
                Some(reason) => selected.left_out.push(LeftOut {
                    part: Part::Step(*id),
                    reason,
                }),
            }
        }
    }
    withhold(pipeline, request, &mut selected);
    without_needs(pipeline, &mut selected);
    selected
}

/// A pull request from a fork gets no secrets and changes nothing outside.
fn withhold(pipeline: &Pipeline, request: &Request, selected: &mut Selected) {
    if request.context.trusted {
        return;
    }
    for (at, step) in pipeline.steps.iter().enumerate() {
        let secrets = match &step.kind {
            StepKind::Job(job) => job.secrets.first(),
            StepKind::Build(build) => build.secrets.first(),
            _ => None,
        };
        let reason = match secrets {
            Some(secret) => format!(
                "wants the secret {}, and this run is not trusted",
                secret.value
            ),
            None if step.kind.has_effects() => {
                "changes the outside world, and this run is not trusted".to_owned()
            }
            None => continue,
        };
        if std::mem::replace(&mut selected.steps[at], false) {
            selected.left_out.push(LeftOut {
                part: Part::Step(step_id(at)),
                reason,
            });
        }
    }
}

/// Leaves out what needs something that is left out, until nothing changes.
fn without_needs(pipeline: &Pipeline, selected: &mut Selected) {
    let mut dependants: Vec<Vec<StepId>> = vec![Vec::new(); pipeline.steps.len()];
    for at in 0..pipeline.steps.len() {
        for wait in effective_waits(pipeline, step_id(at)) {
            for other in ends(pipeline, wait.target) {
                dependants[other.0 as usize].push(step_id(at));
            }
        }
    }
    let mut queue: std::collections::VecDeque<StepId> =
        (0..pipeline.steps.len()).map(step_id).collect();
    while let Some(id) = queue.pop_front() {
        if !selected.has(id) {
            continue;
        }
        if let Some(reason) = missing_need(pipeline, selected, id) {
            selected.steps[id.0 as usize] = false;
            selected.left_out.push(LeftOut {
                part: Part::Step(id),
                reason,
            });
            queue.extend(&dependants[id.0 as usize]);
        }
    }
    selected.left_out.sort_by_key(|l| match l.part {
        Part::Stage(stage) => (stage, None),
        Part::Step(step) => (pipeline.step(step).stage, Some(step)),
    });
}

/// A step's own dependencies and those of its stage.
fn effective_waits(pipeline: &Pipeline, id: StepId) -> impl Iterator<Item = &Wait> {
    let step = pipeline.step(id);
    let stage = pipeline.stage(step.stage).waits.iter().flatten();
    step.waits.iter().chain(stage)
}

fn ends(pipeline: &Pipeline, target: WaitTarget) -> Vec<StepId> {
    match target {
        WaitTarget::Step(id) => vec![id],
        WaitTarget::Stage(id) => pipeline.stage(id).steps.clone(),
    }
}

fn must_succeed(wait: &Wait) -> bool {
    matches!(wait.kind, WaitKind::Needs | WaitKind::Reference)
}

fn missing_need(pipeline: &Pipeline, selected: &Selected, id: StepId) -> Option<String> {
    let there = |wait: &Wait| match wait.target {
        WaitTarget::Step(id) => selected.has(id),
        WaitTarget::Stage(id) => pipeline.stage(id).steps.iter().any(|s| selected.has(*s)),
    };
    let name = |target: WaitTarget| match target {
        WaitTarget::Step(id) => pipeline.step(id).name.value.clone(),
        WaitTarget::Stage(id) => pipeline.stage(id).name.value.clone(),
    };
    let needed =
        effective_waits(pipeline, id).find(|w| must_succeed(w) && !w.optional && !there(w));
    if let Some(wait) = needed {
        return Some(format!(
            "needs {}, which is not part of this run",
            name(wait.target)
        ));
    }
    let mut triggers = effective_waits(pipeline, id)
        .filter(|w| w.kind == WaitKind::OnFailure)
        .peekable();
    let first = triggers.peek().map(|w| name(w.target))?;
    triggers
        .all(|w| !there(w))
        .then(|| format!("runs on failure of {first}, which is not part of this run"))
}

/// Why conditions keep something out of the run; `None` if they do not.
fn excluded(
    pipeline: &Pipeline,
    request: &Request,
    selected: &Selected,
    selection: &Selection,
) -> Option<String> {
    let holds = |c: &Condition| unmet(pipeline, request, selected, c).is_none();
    if let Some(condition) = selection.unless.iter().find(|c| holds(c)) {
        return Some(format!("unless {}", describe(condition)));
    }
    if selection.when.is_empty() || selection.when.iter().any(holds) {
        return None;
    }
    let wanted: Vec<String> = selection.when.iter().map(describe).collect();
    let why = unmet(pipeline, request, selected, &selection.when[0]);
    let why = why
        .filter(|_| selection.when.len() == 1)
        .unwrap_or_else(|| this_run(request));
    Some(format!("when {}; {why}", wanted.join(" or ")))
}

/// The condition as written, in one line.
fn describe(condition: &Condition) -> String {
    let mut words = Vec::new();
    let fields = [
        ("event", &condition.event),
        ("branch", &condition.branch),
        ("tag", &condition.tag),
        ("into", &condition.into),
        ("from", &condition.from),
    ];
    for (name, value) in fields {
        words.extend(value.as_ref().map(|v| format!("{name}={}", v.value)));
    }
    if !condition.paths.is_empty() {
        let paths: Vec<&str> = condition.paths.iter().map(|p| p.value.as_str()).collect();
        words.push(format!("paths={}", paths.join(",")));
    }
    if condition.released {
        words.push("released".into());
    }
    words.join(" ")
}

/// What this run is, for reasons: "this run is push on main".
fn this_run(request: &Request) -> String {
    let context = &request.context;
    let at = match (&context.git.tag, &context.git.branch) {
        (Some(tag), _) => format!(" for the tag {tag}"),
        (None, Some(branch)) => format!(" on {branch}"),
        (None, None) => String::new(),
    };
    format!("this run is {}{at}", context.event)
}

/// The first part of a condition that does not hold, told as a fact about the run.
fn unmet(
    pipeline: &Pipeline,
    request: &Request,
    selected: &Selected,
    condition: &Condition,
) -> Option<String> {
    let context = &request.context;
    let this = || Some(this_run(request));
    if let Some(event) = &condition.event {
        let tag_push =
            event.value == "push" && condition.tag.is_some() && context.event == Event::Tag;
        if event.value != context.event.name() && !tag_push {
            return this();
        }
    }
    let pr = context.pr.as_ref();
    let names = [
        (&condition.branch, context.git.branch.as_deref()),
        (&condition.tag, context.git.tag.as_deref()),
    ];
    if names
        .iter()
        .any(|(pattern, name)| !fits(pattern.as_ref().map(|p| p.value.as_str()), *name))
    {
        return this();
    }
    let ends = [
        (
            &condition.into,
            pr.and_then(|p| p.target.as_deref()),
            "goes into",
        ),
        (
            &condition.from,
            pr.and_then(|p| p.source.as_deref()),
            "comes from",
        ),
    ];
    for (pattern, name, verb) in ends {
        if !fits(pattern.as_ref().map(|p| p.value.as_str()), name) {
            return Some(match (pr, name) {
                (Some(_), Some(name)) => format!("this pull request {verb} {name}"),
                _ => "this run is not for a pull request".to_owned(),
            });
        }
    }
    if !condition.paths.is_empty() && !touched(request, condition) {
        return Some("no changed file matches".to_owned());
    }
    let releases =
        |id: StepId| selected.has(id) && matches!(pipeline.step(id).kind, StepKind::Release(_));
    if condition.released && !(0..pipeline.steps.len()).map(step_id).any(releases) {
        return Some("this run makes no release".to_owned());
    }
    None
}

fn fits(pattern: Option<&str>, name: Option<&str>) -> bool {
    match (pattern, name) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(pattern), Some(name)) => glob(pattern).is_some_and(|g| g.is_match(name)),
    }
}

/// Whether a changed file matches; where the changes are not known, the answer is yes.
fn touched(request: &Request, condition: &Condition) -> bool {
    let Changed::Known(changed) = &request.changed else {
        return true;
    };
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for path in &condition.paths {
        match path.value.strip_prefix('!') {
            Some(pattern) => unwanted.extend(glob(pattern)),
            None => wanted.extend(glob(&path.value)),
        }
    }
    let any = |globs: &[globset::GlobMatcher], path: &str| globs.iter().any(|g| g.is_match(path));
    changed
        .iter()
        .any(|path| (wanted.is_empty() || any(&wanted, path)) && !any(&unwanted, path))
}

fn glob(pattern: &str) -> Option<globset::GlobMatcher> {
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .ok()?;
    Some(glob.compile_matcher())
}

/// The makers of something for a step of a stage, among the selected steps.
pub(super) fn makers(
    pipeline: &Pipeline,
    selected: &Selected,
    stage: StageId,
    own: StepId,
    what: &Made,
) -> Vec<StepId> {
    pipeline.makers(stage, what, &|m| m != own && selected.has(m))
}
