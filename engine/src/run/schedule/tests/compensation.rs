//! Undos: of a step alone, of a group in reverse, with locks, and as `pipe plan` foretells them.

use super::sketch::{Story, ample, tell, tell_within, undo_order};
use crate::run::schedule::{Limits, UndoState};

#[test]
fn a_failed_step_is_undone_at_once() {
    let graph = "
        a undo
        b after=a";
    assert_eq!(
        tell(graph, &["fail a", "undone a", "pass b"]),
        [
            "start a",
            "a failed, undo a, start b",
            "",
            "b passed, finish"
        ]
    );
}

#[test]
fn a_step_that_never_began_fails_and_is_not_undone() {
    assert_eq!(
        tell("a undo", &["refuse a"]),
        ["start a", "a failed, finish"]
    );
    let group = "
        a undo in=g!
        b undo in=g! needs=a";
    assert_eq!(
        tell(group, &["pass a", "refuse b", "undone a"]),
        ["start a", "a passed, start b", "b failed, undo a", "finish"]
    );
}

#[test]
fn a_step_cancelled_while_it_ran_is_undone_at_once() {
    assert_eq!(
        tell("a undo in=plain", &["cut a", "not-undone a"]),
        ["start a", "a cancelled, undo a", "finish"]
    );
}

#[test]
fn a_passed_and_an_allowed_failed_step_stay_armed() {
    let graph = "
        a undo
        b undo soft
        c undo
        d";
    let mut story = Story::new(graph, &ample());
    assert_eq!(
        story.tell(&["pass a", "fail b", "cache c", "fail d"]),
        [
            "start a, start b, start c, start d",
            "a passed",
            "b softfailed",
            "c cached",
            "d failed, finish"
        ]
    );
    let undo = |name| story.core.undo_state(story.id(name));
    assert_eq!(undo("a"), UndoState::Armed);
    assert_eq!(undo("b"), UndoState::Armed);
    assert_eq!(undo("c"), UndoState::None);
    assert_eq!(undo("d"), UndoState::None);
}

#[test]
fn a_group_is_undone_one_by_one_in_reverse_order_of_completion() {
    let graph = "
        a undo in=g!
        b undo in=g!
        c in=g! needs=a,b
        d undo in=g! needs=c";
    let mut story = Story::new(graph, &ample());
    assert_eq!(
        story.tell(&[
            "pass b",
            "pass a",
            "pass c",
            "fail d",
            "undone d",
            "not-undone a"
        ]),
        [
            "start a, start b",
            "b passed",
            "a passed, start c",
            "c passed, start d",
            "d failed, undo d",
            "undo a",
            "undo b"
        ]
    );
    assert_eq!(story.core.undo_state(story.id("b")), UndoState::Running);
    assert_eq!(story.tell(&["undone b"]), ["finish"]);
    assert_eq!(
        story.core.undo_state(story.id("a")),
        UndoState::RollbackFailed
    );
    assert_eq!(story.core.undo_state(story.id("b")), UndoState::RolledBack);
}

#[test]
fn a_failing_group_lets_its_running_steps_end_and_starts_no_more() {
    let graph = "
        slow priority=5
        a undo in=g! priority=9
        b undo in=g! priority=9
        c in=g! priority=1
        d in=g! needs=slow
        e in=g! needs=a";
    let limits = Limits { jobs: 3, ..ample() };
    assert_eq!(
        tell_within(
            &limits,
            graph,
            &["fail a", "pass b", "undone b", "undone a", "pass slow"]
        ),
        [
            "start a, start b, start slow",
            "a failed, e skipped: a failed, c skipped: undoing, d skipped: undoing",
            "b passed, undo b",
            "undo a",
            "",
            "slow passed, finish"
        ]
    );
}

#[test]
fn a_failing_group_waits_for_its_own_failure_branch_and_undoes_it_too() {
    let graph = "
        a undo in=g!
        fix undo in=g! on-failure=a
        tell in=g! needs=fix
        g gate in=g! needs=a,fix,tell";
    assert_eq!(
        tell(
            graph,
            &["fail a", "pass fix", "pass tell", "undone fix", "undone a"]
        ),
        [
            "start a",
            "a failed, start fix",
            "fix passed, start tell",
            "tell passed, g failed, undo fix",
            "undo a",
            "finish"
        ]
    );
}

#[test]
fn an_allowed_failure_does_not_undo_the_group_but_is_undone_with_it() {
    let graph = "
        a undo soft in=g!
        b in=g! needs=a";
    assert_eq!(
        tell(graph, &["fail a", "fail b", "undone a"]),
        [
            "start a",
            "a softfailed, start b",
            "b failed, undo a",
            "finish"
        ]
    );
    assert_eq!(
        tell(graph, &["fail a", "pass b"]),
        ["start a", "a softfailed, start b", "b passed, finish"]
    );
}

#[test]
fn a_failure_outside_leaves_a_group_alone() {
    let graph = "
        a undo in=g!
        b in=h!
        c in=g! needs=a,b";
    assert_eq!(
        tell(graph, &["pass a", "fail b"]),
        [
            "start a, start b",
            "a passed",
            "b failed, c skipped: b failed, finish"
        ]
    );
}

#[test]
fn the_undo_of_a_step_keeps_the_locks_of_the_step() {
    let graph = "
        a undo lock=x
        b lock=x";
    assert_eq!(
        tell(graph, &["fail a", "undone a"]),
        ["start a", "a failed, undo a", "start b"]
    );
}

#[test]
fn the_undo_in_a_group_takes_its_locks_again_before_any_step() {
    let graph = "
        a undo in=g! lock=x priority=9
        b in=g! needs=a
        c lock=x priority=8
        d lock=x priority=7";
    assert_eq!(
        tell(graph, &["pass a", "fail b", "pass c", "undone a"]),
        [
            "start a",
            "a passed, start c, start b",
            "b failed",
            "c passed, undo a",
            "start d"
        ]
    );
}

#[test]
fn no_step_takes_a_lock_that_a_waiting_undo_wants() {
    let graph = "
        a undo in=g! lock=x,y priority=9
        b in=g! needs=a
        c lock=x priority=8
        d lock=y needs=b
        e lock=y after=b";
    assert_eq!(
        tell(graph, &["pass a", "fail b", "pass c", "undone a"]),
        [
            "start a",
            "a passed, start c, start b",
            "b failed, d skipped: b failed",
            "c passed, undo a",
            "start e"
        ]
    );
}

#[test]
fn an_undo_that_still_misses_a_lock_lets_the_next_one_pass() {
    let graph = "
        a undo in=g! lock=x,y priority=9
        b in=g! needs=a
        c undo in=h! lock=x priority=8
        d in=h! needs=c
        x lock=x priority=7
        y lock=y";
    assert_eq!(
        tell(
            graph,
            &[
                "pass a", "pass c", "fail b", "fail d", "pass x", "undone c", "pass y"
            ]
        ),
        [
            "start a",
            "a passed, start c, start b, start y",
            "c passed, start x, start d",
            "b failed",
            "d failed",
            "x passed, undo c",
            "",
            "y passed, undo a"
        ]
    );
}

#[test]
fn undos_run_outside_of_the_job_limit() {
    let graph = "
        a undo
        b";
    let limits = Limits { jobs: 1, ..ample() };
    assert_eq!(
        tell_within(&limits, graph, &["fail a"]),
        ["start a", "a failed, undo a, start b"]
    );
}

#[test]
fn the_foretold_undo_of_a_step_alone_is_its_own() {
    let graph = "
        a undo
        b undo needs=a
        c needs=b
        d undo soft";
    assert_eq!(undo_order(graph, "b"), ["b"]);
    assert_eq!(undo_order(graph, "c"), [""; 0]);
    assert_eq!(undo_order(graph, "d"), [""; 0]);
}

#[test]
fn the_foretold_undos_of_a_group_go_back_through_what_came_before() {
    let graph = "
        other undo
        a undo in=g! needs=other priority=3
        b undo in=g! needs=other priority=4
        fix undo in=g! on-failure=b
        beside undo in=g!
        g gate in=g! needs=a,b,fix
        c undo in=g! needs=g
        d undo in=g! needs=c";
    assert_eq!(undo_order(graph, "c"), ["c", "a", "b"]);
    assert_eq!(undo_order(graph, "fix"), ["fix", "b"]);
}
