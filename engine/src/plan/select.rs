//! Which steps are part of a run: by the event and the conditions, or by name with what the named ones need.

use std::collections::VecDeque;

use dsl::model::{Made, Pipeline, StageId, Step, StepId, StepKind, Wait, WaitKind, WaitTarget};

use super::Request;
use super::conditions::Ask;

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
    /// Whether the event asked for a release.
    releases: bool,
}

impl Selected {
    fn none_left_out(steps: Vec<bool>) -> Self {
        Self {
            steps,
            left_out: Vec::new(),
            releases: false,
        }
    }

    pub(super) fn has(&self, id: StepId) -> bool {
        self.steps[id.0 as usize]
    }
}

pub(super) fn step_id(at: usize) -> StepId {
    StepId(u32::try_from(at).unwrap_or(u32::MAX))
}

pub(super) fn select(pipeline: &Pipeline, request: &Request) -> Selected {
    if request.everything {
        return Selected::none_left_out(vec![true; pipeline.steps.len()]);
    }
    let mut selected = wanted(pipeline, request);
    without_needs(pipeline, &mut selected);
    selected
}

/// What the names or the event ask for, whether or not all that it needs is part of the run.
fn wanted(pipeline: &Pipeline, request: &Request) -> Selected {
    let mut selected = if request.names.is_empty() {
        by_event(pipeline, request)
    } else {
        by_name(pipeline, request)
    };
    withhold(pipeline, request, &mut selected);
    selected
}

/// Whether a step has this name, or this one with its stage in front.
fn is_named(pipeline: &Pipeline, step: &Step, name: &str) -> bool {
    let in_stage = || {
        let rest = name.strip_prefix(pipeline.stage(step.stage).name.value.as_str());
        rest.and_then(|rest| rest.strip_prefix('.')) == Some(&step.name.value)
    };
    step.name.value == name || in_stage()
}

/// The named steps and what they need, whatever the event.
fn by_name(pipeline: &Pipeline, request: &Request) -> Selected {
    let mut steps = vec![false; pipeline.steps.len()];
    let mut whole = vec![false; pipeline.stages.len()];
    let mut queue: Vec<StepId> = Vec::new();
    for name in &request.names {
        let of_stage = pipeline.stages.iter().find(|s| s.name.value == *name);
        match of_stage {
            Some(stage) => queue.extend(&stage.steps),
            None => queue.extend(
                (0..pipeline.steps.len())
                    .map(step_id)
                    .filter(|id| is_named(pipeline, pipeline.step(*id), name)),
            ),
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
                WaitTarget::Stage(stage) => {
                    if !std::mem::replace(&mut whole[stage.0 as usize], true) {
                        queue.extend(&pipeline.stage(stage).steps);
                    }
                }
            }
        }
        // What a target runs, or a registry has, need not come from this run.
        let uses = step.uses(pipeline).into_iter();
        for used in uses.filter(|u| !matches!(u.what, Made::At(_))) {
            queue.extend(pipeline.makers(step.stage, &used.what, &|m| m != id));
        }
    }
    Selected::none_left_out(steps)
}

fn by_event(pipeline: &Pipeline, request: &Request) -> Selected {
    let mut selected = Selected::none_left_out(vec![false; pipeline.steps.len()]);
    let ask = Ask::new(request);
    // File order: a release that a later `when released` asks about has been decided before.
    for stage_id in pipeline.stage_ids() {
        let stage = pipeline.stage(stage_id);
        if let Some(reason) = ask.excluded(selected.releases, &stage.selection) {
            selected.left_out.push(LeftOut {
                part: Part::Stage(stage_id),
                reason,
            });
            continue;
        }
        for id in &stage.steps {
            let step = pipeline.step(*id);
            match ask.excluded(selected.releases, &step.selection) {
                None => {
                    selected.steps[id.0 as usize] = true;
                    selected.releases |= matches!(step.kind, StepKind::Release(_));
                }
                Some(reason) => selected.left_out.push(LeftOut {
                    part: Part::Step(*id),
                    reason,
                }),
            }
        }
    }
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
    let mut waiting = Waiting::of(pipeline, selected);
    let mut queue: VecDeque<StepId> = (0..pipeline.steps.len()).map(step_id).collect();
    while let Some(id) = queue.pop_front() {
        if !selected.has(id) {
            continue;
        }
        let there = |target: WaitTarget| waiting.is_there(selected, target);
        if let Some(reason) = missing_need(pipeline, &there, id) {
            selected.steps[id.0 as usize] = false;
            selected.left_out.push(LeftOut {
                part: Part::Step(id),
                reason,
            });
            queue.extend(&waiting.for_step[id.0 as usize]);
            let stage = pipeline.step(id).stage.0 as usize;
            waiting.left[stage] -= 1;
            if waiting.left[stage] == 0 {
                queue.extend(&waiting.for_stage[stage]);
            }
        }
    }
    selected.left_out.sort_by_key(|l| match l.part {
        Part::Stage(stage) => (stage, None),
        Part::Step(step) => (pipeline.step(step).stage, Some(step)),
    });
}

/// Who waits for what, and how much of each stage is left.
struct Waiting {
    for_step: Vec<Vec<StepId>>,
    for_stage: Vec<Vec<StepId>>,
    /// By stage: how many of its steps are part of the run.
    left: Vec<usize>,
}

impl Waiting {
    fn of(pipeline: &Pipeline, selected: &Selected) -> Self {
        let mut waiting = Self {
            for_step: vec![Vec::new(); pipeline.steps.len()],
            for_stage: vec![Vec::new(); pipeline.stages.len()],
            left: vec![0; pipeline.stages.len()],
        };
        for id in (0..pipeline.steps.len()).map(step_id) {
            waiting.left[pipeline.step(id).stage.0 as usize] += usize::from(selected.has(id));
            for wait in effective_waits(pipeline, id) {
                match wait.target {
                    WaitTarget::Step(other) => waiting.for_step[other.0 as usize].push(id),
                    WaitTarget::Stage(other) => waiting.for_stage[other.0 as usize].push(id),
                }
            }
        }
        waiting
    }

    /// Whether a step, or any step of a stage, is part of the run.
    fn is_there(&self, selected: &Selected, target: WaitTarget) -> bool {
        match target {
            WaitTarget::Step(id) => selected.has(id),
            WaitTarget::Stage(id) => self.left[id.0 as usize] > 0,
        }
    }
}

/// A step's own dependencies and those of its stage.
fn effective_waits(pipeline: &Pipeline, id: StepId) -> impl Iterator<Item = &Wait> {
    let step = pipeline.step(id);
    let stage = pipeline.stage(step.stage).waits.iter().flatten();
    step.waits.iter().chain(stage)
}

fn must_succeed(wait: &Wait) -> bool {
    matches!(wait.kind, WaitKind::Needs | WaitKind::Reference)
}

/// Why a step cannot be part of the run; `there` says what is.
fn missing_need(
    pipeline: &Pipeline,
    there: &dyn Fn(WaitTarget) -> bool,
    id: StepId,
) -> Option<String> {
    let name = |target: WaitTarget| match target {
        WaitTarget::Step(id) => pipeline.step(id).name.value.clone(),
        WaitTarget::Stage(id) => pipeline.stage(id).name.value.clone(),
    };
    let needed =
        effective_waits(pipeline, id).find(|w| must_succeed(w) && !w.optional && !there(w.target));
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
        .all(|w| !there(w.target))
        .then(|| format!("runs on failure of {first}, which is not part of this run"))
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

#[cfg(test)]
mod tests;
