//! Runs of a hundred thousand steps. They end within seconds only if no event looks at the whole graph.

use std::collections::VecDeque;

use crate::run::schedule::{
    Command, Core, Counts, EdgeKind, EdgeSpec, Event, Graph, GroupId, GroupSpec, Kind, Limits,
    LockId, StepResult, VertexId, VertexSpec,
};

const MANY: u32 = 100_000;

/// Runs to the end; steps report in order of their start, `fails` ones failing.
fn run(graph: Graph, limits: &Limits, fails: impl Fn(VertexId) -> bool) -> (Counts, usize) {
    let mut core = Core::new(graph, limits);
    let mut commands = VecDeque::from(core.start());
    let mut undone = 0;
    while let Some(command) = commands.pop_front() {
        let event = match command {
            Command::Start(v) if fails(v) => Event::Finished {
                v,
                result: StepResult::Failed,
            },
            Command::Start(v) => {
                let result = StepResult::Passed { cached: false };
                Event::Finished { v, result }
            }
            Command::Undo(v) => {
                undone += 1;
                Event::UndoFinished { v, ok: true }
            }
            _ => continue,
        };
        commands.extend(core.on_event(event));
    }
    assert!(core.is_finished());
    (core.counts(), undone)
}

fn limits(jobs: u32) -> Limits {
    Limits {
        jobs,
        cpu: 64,
        memory: 1 << 20,
        lock_slots: vec![1, 2, 3],
        fail_fast: false,
    }
}

fn passed(passed: u32) -> Counts {
    Counts {
        passed: passed as usize,
        ..Counts::default()
    }
}

fn needs(from: u32, to: u32) -> EdgeSpec {
    EdgeSpec {
        from: VertexId(from),
        to: VertexId(to),
        kind: EdgeKind::Needs,
    }
}

fn chain() -> Vec<EdgeSpec> {
    (1..MANY).map(|v| needs(v - 1, v)).collect()
}

#[test]
fn a_chain_passes() {
    let graph = Graph::new(vec![VertexSpec::default(); MANY as usize], &chain(), vec![]).unwrap();
    assert_eq!(run(graph, &limits(4), |_| false), (passed(MANY), 0));
}

#[test]
fn a_chain_that_fails_at_its_head_is_skipped_at_once() {
    let graph = Graph::new(vec![VertexSpec::default(); MANY as usize], &chain(), vec![]).unwrap();
    let counts = Counts {
        failed: 1,
        skipped: MANY as usize - 1,
        ..Counts::default()
    };
    assert_eq!(run(graph, &limits(4), |v| v.0 == 0), (counts, 0));
}

#[test]
fn a_chain_that_fails_at_its_end_is_undone_to_its_head() {
    let step = VertexSpec {
        undo: true,
        locks: vec![LockId(0)],
        group: Some(GroupId(0)),
        ..VertexSpec::default()
    };
    let groups = vec![GroupSpec {
        undo_on_failure: true,
    }];
    let graph = Graph::new(vec![step; MANY as usize], &chain(), groups).unwrap();
    assert_eq!(graph.undo_order(VertexId(MANY - 1)).len(), MANY as usize);
    let counts = Counts {
        failed: 1,
        ..passed(MANY - 1)
    };
    assert_eq!(
        run(graph, &limits(4), |v| v.0 == MANY - 1),
        (counts, MANY as usize)
    );
}

#[test]
fn a_wide_graph_of_many_sizes_passes() {
    let step = |v: u32| VertexSpec {
        priority: u64::from(v % 97),
        cpu: v % 130,
        memory: u64::from(v) * 31 % (1 << 20),
        ..VertexSpec::default()
    };
    let graph = Graph::new((0..MANY).map(step).collect(), &[], vec![]).unwrap();
    assert_eq!(run(graph, &limits(32), |_| false), (passed(MANY), 0));
}

#[test]
fn a_wide_graph_that_fights_for_locks_passes() {
    let step = |v: u32| VertexSpec {
        priority: u64::from(v % 89),
        locks: (0..3).filter(|l| v & (1 << l) != 0).map(LockId).collect(),
        ..VertexSpec::default()
    };
    let graph = Graph::new((0..MANY).map(step).collect(), &[], vec![]).unwrap();
    assert_eq!(run(graph, &limits(32), |_| false), (passed(MANY), 0));
}

#[test]
fn as_many_undos_as_steps_wait_for_one_lock() {
    let step = |v: u32| VertexSpec {
        undo: true,
        locks: vec![LockId(v % 2)],
        group: Some(GroupId(v)),
        ..VertexSpec::default()
    };
    let groups = vec![
        GroupSpec {
            undo_on_failure: true
        };
        MANY as usize
    ];
    let graph = Graph::new((0..MANY).map(step).collect(), &[], groups).unwrap();
    let counts = Counts {
        failed: MANY as usize,
        ..Counts::default()
    };
    assert_eq!(
        run(graph, &limits(u32::MAX), |_| true),
        (counts, MANY as usize)
    );
}

#[test]
fn layers_with_gates_between_them_pass() {
    let width = 1_000;
    let layers = 100;
    let gate = |layer: u32| layer * (width + 1);
    let mut vertices = Vec::new();
    let mut edges = Vec::new();
    for layer in 0..layers {
        vertices.push(VertexSpec {
            kind: Kind::Gate,
            ..VertexSpec::default()
        });
        for v in gate(layer) + 1..=gate(layer) + width {
            vertices.push(VertexSpec {
                priority: u64::from(v % 13),
                ..VertexSpec::default()
            });
            edges.push(needs(gate(layer), v));
            if layer + 1 < layers {
                edges.push(needs(v, gate(layer + 1)));
            }
        }
    }
    let graph = Graph::new(vertices, &edges, vec![]).unwrap();
    assert_eq!(
        run(graph, &limits(64), |_| false),
        (passed(width * layers), 0)
    );
}
