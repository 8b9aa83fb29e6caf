//! In which runs something can take part: conditions that never hold, and steps that never meet.

use crate::codes::graph as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Condition, Pipeline, Selection, Step, WaitKind, WaitTarget};
use crate::source::Spanned;

const PUSH: u8 = 1;
const PULL_REQUEST: u8 = 2;
const TAG: u8 = 4;
const SCHEDULE: u8 = 8;
const MANUAL: u8 = 16;
const ALL: u8 = 31;

/// One way in which a selection can hold: the events, and patterns that must match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'a> {
    events: u8,
    branch: Option<&'a str>,
    tag: Option<&'a str>,
    into: Option<&'a str>,
    from: Option<&'a str>,
}

impl<'a> Way<'a> {
    const ANY: Way<'static> = Way {
        events: ALL,
        branch: None,
        tag: None,
        into: None,
        from: None,
    };

    fn of(condition: &'a Condition) -> Self {
        fn text(t: &Option<Spanned<String>>) -> Option<&str> {
            t.as_ref().map(|t| t.value.as_str())
        }
        let mut events = match condition.event.as_ref().map(|e| e.value.as_str()) {
            None => ALL,
            // A pushed tag is an event of its own here, and a push elsewhere.
            Some("push") if condition.tag.is_some() => PUSH | TAG,
            Some("push") => PUSH,
            Some("pull-request") => PULL_REQUEST,
            Some("tag") => TAG,
            Some("schedule") => SCHEDULE,
            Some(_) => MANUAL,
        };
        if condition.into.is_some() || condition.from.is_some() {
            events &= PULL_REQUEST;
        }
        if condition.tag.is_some() {
            events &= TAG;
        }
        if condition.branch.is_some() {
            events &= !TAG;
        }
        Way {
            events,
            branch: text(&condition.branch),
            tag: text(&condition.tag),
            into: text(&condition.into),
            from: text(&condition.from),
        }
    }

    /// What holds when both hold; `None` if they cannot.
    fn and(self, other: Self) -> Option<Self> {
        let pattern = |a: Option<&'a str>, b: Option<&'a str>| match (a, b) {
            (Some(a), Some(b)) if apart(a, b) => Err(()),
            (a, b) => Ok(a.or(b)),
        };
        let events = self.events & other.events;
        let both = Way {
            events,
            branch: pattern(self.branch, other.branch).ok()?,
            tag: pattern(self.tag, other.tag).ok()?,
            into: pattern(self.into, other.into).ok()?,
            from: pattern(self.from, other.from).ok()?,
        };
        (events != 0).then_some(both)
    }

    /// A branch of which a registry accepts what was built from it.
    pub(super) fn of_branch(pattern: &'a str) -> Self {
        Way {
            events: PUSH | SCHEDULE | MANUAL,
            branch: Some(pattern),
            ..Way::ANY
        }
    }

    /// A tag of which a registry accepts what was built from it.
    pub(super) fn of_tag(pattern: &'a str) -> Self {
        Way {
            events: TAG,
            tag: Some(pattern),
            ..Way::ANY
        }
    }
}

/// Whether no name matches both patterns; only said when it is certain.
fn apart(a: &str, b: &str) -> bool {
    let special = |p: &str| p.contains(['?', '[', '{', '\\']);
    if special(a) || special(b) {
        return false;
    }
    match (a.contains('*'), b.contains('*')) {
        (false, false) => a != b,
        (false, true) => !matches(b, a),
        (true, false) => !matches(a, b),
        (true, true) => false,
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// More alternatives than this are not compared one by one.
const MAX_WAYS: usize = 16;

fn ways(selection: &Selection) -> Vec<Way<'_>> {
    if selection.when.is_empty() || selection.when.len() > MAX_WAYS {
        return vec![Way::ANY];
    }
    selection
        .when
        .iter()
        .map(Way::of)
        .filter(|w| w.events != 0)
        .collect()
}

fn meet<'a>(a: &[Way<'a>], b: &[Way<'a>]) -> Vec<Way<'a>> {
    let both: Vec<Way<'a>> = a
        .iter()
        .flat_map(|a| b.iter().filter_map(|b| a.and(*b)))
        .collect();
    if both.len() > MAX_WAYS {
        return vec![Way::ANY];
    }
    both
}

/// The ways in which a step can be part of a run.
pub(super) fn of_step<'a>(pipeline: &'a Pipeline, step: &'a Step) -> Vec<Way<'a>> {
    meet(
        &ways(&pipeline.stage(step.stage).selection),
        &ways(&step.selection),
    )
}

/// Whether some run has both.
pub(super) fn can_meet(a: &[Way<'_>], b: &[Way<'_>]) -> bool {
    a.iter().any(|a| b.iter().any(|b| a.and(*b).is_some()))
}

pub(super) fn check(pipeline: &Pipeline, out: &mut Diagnostics) {
    for stage in &pipeline.stages {
        never(&stage.selection, out);
    }
    for step in &pipeline.steps {
        never(&step.selection, out);
    }
    let restricted = pipeline.steps.iter().any(|s| !s.selection.is_always())
        || pipeline.stages.iter().any(|s| !s.selection.is_always());
    if !restricted {
        return;
    }
    let of_steps = pipeline.steps.iter().map(|s| of_step(pipeline, s));
    let of_steps: Vec<Vec<Way<'_>>> = of_steps.collect();
    let of_stages: Vec<Vec<Way<'_>>> = pipeline.stages.iter().map(|s| ways(&s.selection)).collect();
    for (step, own) in pipeline.steps.iter().zip(&of_steps) {
        let step_selected = !step.selection.when.is_empty();
        if step_selected && own.is_empty() && !ways(&step.selection).is_empty() {
            let condition = &step.selection.when[0];
            out.push(
                Diagnostic::new(
                    &codes::NEVER,
                    format!(
                        "`{}` is in no run: its conditions and its stage's exclude each other",
                        step.name.value
                    ),
                    condition.span,
                    "never holds together with the stage's `when`",
                )
                .label(pipeline.stage(step.stage).name.span, "this stage")
                .help("make one of the two wider"),
            );
        }
        for wait in step
            .waits
            .iter()
            .filter(|w| matches!(w.kind, WaitKind::Needs | WaitKind::Reference) && !w.optional)
        {
            let (name, other) = match wait.target {
                WaitTarget::Step(id) => (&pipeline.step(id).name, &of_steps[id.0 as usize]),
                WaitTarget::Stage(id) => (&pipeline.stage(id).name, &of_stages[id.0 as usize]),
            };
            let name = &name.value;
            if !own.is_empty() && !other.is_empty() && !can_meet(own, other) {
                out.push(
                    Diagnostic::new(
                        &codes::NEVER_TOGETHER,
                        format!("`{}` and `{name}` are never in the same run", step.name.value),
                        wait.span,
                        format!("`{}` would always be left out", step.name.value),
                    )
                    .help("make their `when` meet, or wait only where it is part of the run: `optional=#true`"),
                );
            }
        }
    }
}

fn never(selection: &Selection, out: &mut Diagnostics) {
    for condition in &selection.when {
        if Way::of(condition).events != 0 {
            continue;
        }
        let help = if condition.into.is_some() || condition.from.is_some() {
            "`into` and `from` hold for pull requests only: `event=pull-request`"
        } else if condition.tag.is_some() && condition.branch.is_some() {
            "a run is for a branch or for a tag; write two `when` nodes if either is meant"
        } else {
            "a tag is pushed with `event=tag`, and has no branch"
        };
        out.push(
            Diagnostic::new(
                &codes::NEVER,
                "this condition never holds",
                condition.span,
                "no run fulfils it",
            )
            .help(help),
        );
    }
}
