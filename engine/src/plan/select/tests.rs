//! What is left out, compared with a slow way to the same answer.

use std::fmt::Write as _;

use dsl::Files;
use indexmap::IndexMap;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::world::{Changed, Context, Event, GitInfo};

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".into())
    }
}

fn request(names: Vec<String>) -> Request {
    Request {
        context: Context {
            event: Event::Push,
            provider: None,
            trusted: true,
            git: GitInfo::default(),
            pr: None,
            build_url: None,
            run_number: None,
            base: None,
        },
        names,
        everything: false,
        params: IndexMap::new(),
        changed: Changed::Unknown(String::new()),
        date: "2026-01-31".to_owned(),
        versions: IndexMap::new(),
    }
}

/// One job: in which stage, when, and what it waits for, of what stands before it.
type Job = (usize, bool, Vec<(usize, Index)>);

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let waits = prop::collection::vec((0..6usize, any::<Index>()), 0..3);
    let job = (0..3usize, prop::bool::weighted(0.3), waits);
    prop::collection::vec(job, 1..12)
}

/// Stages of jobs that wait for jobs and stages before them.
fn pipeline(mut jobs: Vec<Job>, stage_needs: &[bool]) -> String {
    jobs.sort_by_key(|j| j.0);
    let stages: Vec<usize> = jobs.iter().map(|j| j.0).collect();
    let mut text = String::from("pipeline p\n");
    for (at, (stage, never, waits)) in jobs.iter().enumerate() {
        if at == 0 || stages[at - 1] != *stage {
            let before = at.checked_sub(1).filter(|_| stage_needs[*stage]);
            let needs = before.map_or(String::new(), |b| format!("needs s{}; ", stages[b]));
            let _ = writeln!(text, "stage s{stage} {{ {needs}");
        }
        let _ = write!(text, "job j{at} {{ ");
        if *never {
            text.push_str("when event=schedule; ");
        }
        for (kind, which) in waits.iter().filter(|_| at > 0) {
            let which = which.index(at);
            let _ = match kind {
                0 | 1 => write!(text, "needs j{which}; "),
                2 => write!(text, "needs j{which} optional=#true; "),
                3 => write!(text, "after j{which}; "),
                4 => write!(text, "on-failure j{which}; "),
                _ if stages[which] < *stage => write!(text, "needs s{}; ", stages[which]),
                _ => Ok(()),
            };
        }
        text.push_str("run \"make\" }\n");
        if stages.get(at + 1) != Some(stage) {
            text.push_str("}\n");
        }
    }
    text
}

/// Looks at every step and every stage again until nothing changes.
fn slowly(pipeline: &Pipeline, mut selected: Selected) -> Vec<bool> {
    loop {
        let there = |target: WaitTarget| match target {
            WaitTarget::Step(id) => selected.has(id),
            WaitTarget::Stage(id) => pipeline.stage(id).steps.iter().any(|s| selected.has(*s)),
        };
        let mut ids = (0..pipeline.steps.len()).map(step_id);
        let lost =
            ids.find(|id| selected.has(*id) && missing_need(pipeline, &there, *id).is_some());
        match lost {
            Some(id) => selected.steps[id.0 as usize] = false,
            None => return selected.steps,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_needs_something_left_out_is_left_out_and_nothing_else(
        jobs in jobs(),
        stage_needs in prop::array::uniform3(any::<bool>()),
        name in prop::option::of(0..12usize),
    ) {
        let text = pipeline(jobs, &stage_needs);
        let loaded = dsl::load(&NoFiles, "pipeline.kdl", text.clone());
        let request = request(name.map(|n| format!("j{n}")).into_iter().collect());
        let fast = select(&loaded.pipeline, &request);
        let slow = slowly(&loaded.pipeline, wanted(&loaded.pipeline, &request));
        prop_assert_eq!(&fast.steps, &slow, "{}", text);
        let told = |id: StepId| fast.left_out.iter().any(|l| l.part == Part::Step(id));
        let chosen = wanted(&loaded.pipeline, &request);
        for id in (0..slow.len()).map(step_id) {
            prop_assert!(!chosen.has(id) || fast.has(id) || told(id), "{:?} in {}", id, text);
        }
    }
}
