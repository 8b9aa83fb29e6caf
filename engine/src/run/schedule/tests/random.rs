//! Random graphs and random orders of events, watched from outside.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::watch::Watch;
use crate::run::schedule::{
    Command, Core, EdgeKind, EdgeSpec, Event, Graph, GroupId, GroupSpec, Kind, Limits, LockId,
    StepResult, VertexId, VertexSpec,
};

/// Everything a run depends on.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) vertices: Vec<VertexSpec>,
    pub(super) edges: Vec<EdgeSpec>,
    pub(super) groups: Vec<GroupSpec>,
    pub(super) limits: Limits,
    /// What happens next, as long as there is something to choose.
    choices: Vec<u16>,
    /// The numbers of the events before which the run is cancelled and killed.
    cancel: Option<usize>,
    kill: Option<usize>,
}

const GROUPS: u32 = 4;

fn vertex() -> impl Strategy<Value = VertexSpec> {
    let group = prop_oneof![
        1 => Just(None),
        2 => (0..GROUPS).prop_map(|g| Some(GroupId(g)))
    ];
    let kind = prop_oneof![4 => Just(Kind::Step), 1 => Just(Kind::Gate)];
    let resources = (0..7_u32, 0..7_u64, vec((0..4_u32).prop_map(LockId), 0..3));
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.6));
    (kind, group, 0..9_u64, resources, flags).prop_map(
        |(kind, group, priority, (cpu, memory, locks), (allow_failure, undo))| VertexSpec {
            kind,
            group,
            priority,
            cpu,
            memory,
            locks,
            allow_failure,
            undo,
        },
    )
}

/// Edges into one vertex: how far back each reaches, and its kind.
fn edges_in() -> impl Strategy<Value = Vec<(u32, EdgeKind)>> {
    let kind = prop_oneof![
        4 => Just(EdgeKind::Needs),
        1 => Just(EdgeKind::After),
        1 => Just(EdgeKind::OnFailure)
    ];
    vec((1..12_u32, kind), 0..4)
}

fn limits() -> impl Strategy<Value = Limits> {
    let fail_fast = prop::bool::weighted(0.25);
    (0..5_u32, 0..6_u32, 0..6_u64, vec(0..3_u32, 0..4), fail_fast).prop_map(
        |(jobs, cpu, memory, lock_slots, fail_fast)| Limits {
            jobs,
            cpu,
            memory,
            lock_slots,
            fail_fast,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let signal = || prop::option::weighted(0.25, 0..30_usize);
    (
        vec((vertex(), edges_in()), 0..26),
        vec(prop::bool::ANY, GROUPS as usize),
        limits(),
        vec(any::<u16>(), 60),
        (signal(), signal()),
    )
        .prop_map(|(drawn, groups, limits, choices, (cancel, kill))| Case {
            edges: edges(&drawn),
            vertices: drawn.into_iter().map(|(vertex, _)| vertex).collect(),
            groups: groups
                .into_iter()
                .map(|undo_on_failure| GroupSpec { undo_on_failure })
                .collect(),
            limits,
            choices,
            cancel,
            kill,
        })
}

fn edges(drawn: &[(VertexSpec, Vec<(u32, EdgeKind)>)]) -> Vec<EdgeSpec> {
    let mut edges = Vec::new();
    for (to, (_, back)) in (0..).zip(drawn) {
        for &(distance, kind) in back.iter().filter(|(distance, _)| *distance <= to) {
            edges.push(EdgeSpec {
                from: VertexId(to - distance),
                to: VertexId(to),
                kind,
            });
        }
    }
    edges
}

/// Runs a case to its end with a watch on every command.
fn run(case: &Case) -> (Watch<'_>, Vec<Vec<Command>>) {
    let graph = Graph::new(case.vertices.clone(), &case.edges, case.groups.clone()).unwrap();
    let mut core = Core::new(graph, &case.limits);
    let mut watch = Watch::new(case);
    let mut told = vec![core.start()];
    watch.see(None, &told[0], &core);
    let mut choices = case.choices.iter().copied().chain(std::iter::repeat(0));
    for number in 0.. {
        let event = if case.cancel == Some(number) {
            Event::Cancel
        } else if case.kill == Some(number) {
            Event::Kill
        } else if let Some(event) = report(&watch, choices.next().unwrap()) {
            event
        } else {
            break;
        };
        let commands = core.on_event(event);
        watch.see(Some(event), &commands, &core);
        told.push(commands);
    }
    watch.end(&core);
    (watch, told)
}

/// Lets one of the running steps and undos report.
fn report(watch: &Watch<'_>, choice: u16) -> Option<Event> {
    let choice = usize::from(choice);
    let (steps, undos) = (watch.running(), watch.undoing());
    let count = steps.len() + undos.len();
    let picked = choice.checked_rem(count)?;
    let how = choice / count % 10;
    Some(match steps.get(picked) {
        Some(&v) => Event::Finished {
            v,
            result: match how {
                0..=3 => StepResult::Passed { cached: false },
                4 => StepResult::Passed { cached: true },
                5 | 6 => StepResult::Failed,
                7 => StepResult::NotBegun,
                8 => StepResult::NotNeeded,
                _ => StepResult::Cancelled,
            },
        },
        None => Event::UndoFinished {
            v: undos[picked - steps.len()],
            ok: how < 5,
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_run_keeps_the_rules_and_ends(case in case()) {
        run(&case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_events_give_the_same_commands(case in case()) {
        prop_assert_eq!(run(&case).1, run(&case).1);
    }
}

#[test]
fn the_random_runs_reach_every_kind_of_end() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeMap::<String, u32>::new();
    for _ in 0..1000 {
        let case = case().new_tree(&mut runner).unwrap().current();
        for word in run(&case).0.words() {
            *seen.entry(word).or_default() += 1;
        }
    }
    let words: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        words,
        [
            "Cancelled",
            "Dropped",
            "FailFast",
            "Failed",
            "GroupUndoing",
            "NeedCancelled",
            "NeedFailed",
            "NeedNotNeeded",
            "NeedSkipped",
            "NotNeeded",
            "NotTriggered",
            "Passed",
            "RollbackFailed",
            "RolledBack",
            "RunCancelled",
            "SoftFailed",
        ]
    );
}
