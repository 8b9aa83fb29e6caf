//! The end of a run by a signal: in order, or at once.

use super::sketch::{Sketch, Story, ample, tell, tell_within};
use crate::run::schedule::{Command, Core, Event, Limits, UndoState};

#[test]
fn cancel_skips_what_waits_and_stops_what_runs() {
    let graph = "
        a
        b
        c needs=a
        d after=a
        g gate needs=a,b,c";
    let limits = Limits { jobs: 1, ..ample() };
    assert_eq!(
        tell_within(&limits, graph, &["cancel", "cancel", "cut a"]),
        [
            "start a",
            "b skipped: run cancelled, c skipped: run cancelled, d skipped: run cancelled, stop a",
            "",
            "a cancelled, g skipped: a cancelled, finish"
        ]
    );
}

#[test]
fn a_step_that_passes_although_it_was_told_to_stop_has_passed() {
    let graph = "
        a undo
        g gate needs=a";
    assert_eq!(
        tell(graph, &["cancel", "pass a"]),
        ["start a", "stop a", "a passed, g passed, finish"]
    );
}

#[test]
fn cancel_undoes_the_interrupted_step_and_the_group_that_was_cut_off() {
    let graph = "
        x undo
        a undo in=g!
        b in=g! needs=a,x";
    assert_eq!(
        tell(
            graph,
            &["pass a", "cancel", "cut x", "undone x", "undone a"]
        ),
        [
            "start x, start a",
            "a passed",
            "b skipped: run cancelled, stop x, undo a",
            "x cancelled, undo x",
            "",
            "finish"
        ]
    );
}

#[test]
fn cancel_leaves_a_finished_group_alone() {
    let graph = "
        a undo in=g!
        x";
    assert_eq!(
        tell(graph, &["pass a", "cancel", "cut x"]),
        [
            "start a, start x",
            "a passed",
            "stop x",
            "x cancelled, finish"
        ]
    );
}

#[test]
fn kill_begins_no_undo_and_waits_for_those_that_run() {
    let graph = "
        a undo in=g!
        b undo in=g! needs=a
        c in=g! needs=b
        x undo";
    let mut story = Story::new(graph, &ample());
    assert_eq!(
        story.tell(&[
            "pass a", "pass b", "fail c", "kill", "cut x", "undone b", "kill", "cancel"
        ]),
        [
            "start a, start x",
            "a passed, start b",
            "b passed, start c",
            "c failed, undo b",
            "stop x, drop undo a",
            "x cancelled, drop undo x",
            "finish",
            "",
            ""
        ]
    );
    assert_eq!(story.core.undo_state(story.id("a")), UndoState::Dropped);
    assert_eq!(story.core.undo_state(story.id("b")), UndoState::RolledBack);
}

#[test]
fn kill_after_cancel_stops_nobody_twice() {
    assert_eq!(
        tell("a undo", &["cancel", "kill", "cut a"]),
        ["start a", "stop a", "", "a cancelled, drop undo a, finish"]
    );
}

#[test]
fn kill_drops_an_undo_that_waits_for_a_lock() {
    let graph = "
        a undo in=g! lock=x priority=9
        b in=g! needs=a
        c lock=x";
    assert_eq!(
        tell(graph, &["pass a", "fail b", "kill", "cut c"]),
        [
            "start a",
            "a passed, start b, start c",
            "b failed",
            "stop c, drop undo a",
            "c cancelled, finish"
        ]
    );
}

#[test]
fn a_run_cancelled_before_its_start_starts_nothing() {
    let graph = Sketch::new("a\ng gate\nb needs=g").graph();
    let mut core = Core::new(graph, &ample());
    core.on_event(Event::Cancel);
    assert!(!core.is_finished());
    assert_eq!(core.start().last(), Some(&Command::Finish));
    assert_eq!(core.counts().skipped, 2);
}
