//! Order and limits: who starts first, and what fits beside what.

use super::sketch::{Story, ample, tell_within};
use crate::run::schedule::{Counts, Limits};

fn jobs(jobs: u32) -> Limits {
    Limits { jobs, ..ample() }
}

#[test]
fn the_larger_priority_starts_first_then_the_smaller_id() {
    let graph = "
        a priority=1
        b priority=5
        c priority=5";
    assert_eq!(
        tell_within(&jobs(1), graph, &["pass b", "pass c", "pass a"]),
        [
            "start b",
            "b passed, start c",
            "c passed, start a",
            "a passed, finish"
        ]
    );
}

#[test]
fn zero_jobs_means_one() {
    let graph = "
        a
        b";
    assert_eq!(
        tell_within(&jobs(0), graph, &["pass a"]),
        ["start a", "a passed, start b"]
    );
}

#[test]
fn cpu_and_memory_are_shared_and_a_smaller_step_fills_the_gap() {
    let graph = "
        a cpu=6 priority=3
        b cpu=4 priority=2
        c cpu=2 memory=8 priority=1
        d memory=1";
    assert_eq!(
        tell_within(&ample(), graph, &["pass a", "pass c"]),
        ["start a, start c", "a passed, start b", "c passed, start d"]
    );
}

#[test]
fn a_step_that_asks_for_more_than_there_is_runs_alone() {
    let graph = "
        a cpu=1
        b cpu=99
        c cpu=1";
    assert_eq!(
        tell_within(&ample(), graph, &["pass a", "pass c", "pass b"]),
        [
            "start a, start c",
            "a passed",
            "c passed, start b",
            "b passed, finish"
        ]
    );
}

#[test]
fn a_big_step_is_passed_over_sixteen_times_and_then_waited_for() {
    let mut graph = "first cpu=4 priority=9\nbig cpu=8 priority=8\n".to_owned();
    for i in 0..20 {
        graph.push_str(&format!("s{i} cpu=4 priority=1\n"));
    }
    let mut story = Story::new(&graph, &ample());
    assert_eq!(story.tell(&[]), ["start first, start s0"]);
    for i in 0..15 {
        let passed = format!("pass s{i}");
        assert_eq!(
            story.tell(&[&passed]),
            [format!("s{i} passed, start s{}", i + 1)]
        );
    }
    assert_eq!(
        story.tell(&["pass s15", "pass first", "pass big"]),
        [
            "s15 passed",
            "first passed, start big",
            "big passed, start s16, start s17"
        ]
    );
}

#[test]
fn a_lock_has_one_slot_unless_it_is_given_more() {
    let graph = "
        a lock=one
        b lock=one
        c lock=two
        d lock=two
        e lock=two";
    let limits = Limits {
        lock_slots: vec![0, 2],
        ..ample()
    };
    assert_eq!(
        tell_within(&limits, graph, &["pass a", "pass c"]),
        [
            "start a, start c, start d",
            "a passed, start b",
            "c passed, start e"
        ]
    );
    assert_eq!(
        tell_within(&ample(), graph, &["pass a"]),
        ["start a, start c", "a passed, start b"]
    );
}

#[test]
fn locks_are_taken_all_at_once() {
    let graph = "
        a lock=x
        both lock=y,x,y
        b lock=y";
    assert_eq!(
        tell_within(&ample(), graph, &["pass b", "pass a"]),
        ["start a, start b", "b passed", "a passed, start both"]
    );
}

#[test]
fn locks_are_kept_for_a_step_that_was_passed_over_sixteen_times() {
    let mut graph = "a lock=x priority=9\nboth lock=x,y priority=8\n".to_owned();
    for i in 0..20 {
        graph.push_str(&format!("s{i} lock=y\n"));
    }
    let mut story = Story::new(&graph, &ample());
    assert_eq!(story.tell(&[]), ["start a, start s0"]);
    for i in 0..15 {
        let passed = format!("pass s{i}");
        assert_eq!(
            story.tell(&[&passed]),
            [format!("s{i} passed, start s{}", i + 1)]
        );
    }
    assert_eq!(
        story.tell(&["pass s15", "pass a", "pass both"]),
        [
            "s15 passed",
            "a passed, start both",
            "both passed, start s16"
        ]
    );
}

#[test]
fn counts_are_of_steps_not_of_gates() {
    let graph = "
        a
        b
        c
        d soft
        e needs=a
        g gate needs=a
        f undo
        h on-failure=a";
    let mut story = Story::new(graph, &jobs(5));
    story.tell(&["pass a", "cache b", "fail d", "fail f"]);
    assert_eq!(
        story.core.counts(),
        Counts {
            waiting: 0,
            ready: 0,
            running: 2,
            passed: 1,
            cached: 1,
            soft_failed: 1,
            failed: 1,
            cancelled: 0,
            skipped: 1,
            undos: 1,
        }
    );
}

#[test]
#[should_panic(expected = "vertex 0 reports an end and is Passed { cached: false }")]
fn a_second_report_of_a_step_is_a_bug() {
    tell_within(&ample(), "a", &["pass a", "fail a"]);
}

#[test]
#[should_panic(expected = "undo of vertex 0 cannot go from Armed to RolledBack")]
fn a_report_of_an_undo_that_does_not_run_is_a_bug() {
    tell_within(&ample(), "a undo", &["undone a"]);
}
