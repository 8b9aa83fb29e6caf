//! What the edges mean: needs, after, on-failure, gates, and graphs that are none.

use super::sketch::{ample, tell, tell_within};
use crate::run::schedule::{
    EdgeKind, EdgeSpec, Graph, GraphError, GroupId, Limits, VertexId, VertexSpec,
};

#[test]
fn an_empty_graph_finishes_at_the_start() {
    assert_eq!(tell("", &[]), ["finish"]);
}

#[test]
fn a_step_starts_when_all_its_needs_passed() {
    let graph = "
        a
        b
        c needs=a,b";
    assert_eq!(
        tell(graph, &["pass b", "cache a", "pass c"]),
        [
            "start a, start b",
            "b passed",
            "a cached, start c",
            "c passed, finish"
        ]
    );
}

#[test]
fn a_failed_need_skips_its_dependants_down_the_chain() {
    let graph = "
        a
        b needs=a
        c needs=b";
    assert_eq!(
        tell(graph, &["fail a"]),
        [
            "start a",
            "a failed, b skipped: a failed, c skipped: b skipped, finish"
        ]
    );
}

#[test]
fn a_cancelled_need_skips_its_dependants() {
    let graph = "
        a
        b needs=a";
    assert_eq!(
        tell(graph, &["cut a"]),
        ["start a", "a cancelled, b skipped: a cancelled, finish"]
    );
}

#[test]
fn a_step_is_skipped_only_when_everything_it_waits_for_has_ended() {
    let graph = "
        a
        b
        c needs=a after=b
        d after=c";
    assert_eq!(
        tell(graph, &["fail a", "pass b"]),
        [
            "start a, start b",
            "a failed",
            "b passed, c skipped: a failed, start d"
        ]
    );
}

#[test]
fn of_several_bad_needs_the_failed_one_is_named() {
    let graph = "
        a
        b needs=a
        c
        d needs=b,c";
    assert_eq!(
        tell(graph, &["cut a", "fail c"]),
        [
            "start a, start c",
            "a cancelled, b skipped: a cancelled",
            "c failed, d skipped: c failed, finish"
        ]
    );
}

#[test]
fn an_allowed_failure_satisfies_a_need() {
    let graph = "
        a soft
        b needs=a";
    assert_eq!(
        tell(graph, &["fail a", "pass b"]),
        ["start a", "a softfailed, start b", "b passed, finish"]
    );
}

#[test]
fn after_runs_whatever_the_outcome() {
    let graph = "
        a
        b needs=a
        c after=a
        d after=b";
    assert_eq!(
        tell(graph, &["fail a"]),
        ["start a", "a failed, b skipped: a failed, start c, start d"]
    );
}

#[test]
fn on_failure_runs_when_one_of_several_failed_and_all_have_ended() {
    let graph = "
        a
        b
        c on-failure=a,b";
    assert_eq!(
        tell(graph, &["fail a", "pass b", "pass c"]),
        [
            "start a, start b",
            "a failed",
            "b passed, start c",
            "c passed, finish"
        ]
    );
}

#[test]
fn on_failure_is_skipped_when_nothing_failed() {
    let graph = "
        a
        b
        c on-failure=a,b";
    assert_eq!(
        tell(graph, &["pass a", "cut b"]),
        [
            "start a, start b",
            "a passed",
            "b cancelled, c skipped: not triggered, finish"
        ]
    );
}

#[test]
fn on_failure_counts_an_allowed_failure() {
    let graph = "
        a soft
        b on-failure=a";
    assert_eq!(
        tell(graph, &["fail a"]),
        ["start a", "a softfailed, start b"]
    );
}

#[test]
fn on_failure_still_needs_its_needs() {
    let graph = "
        a
        b
        c needs=b on-failure=a";
    assert_eq!(
        tell(graph, &["fail a", "fail b"]),
        [
            "start a, start b",
            "a failed",
            "b failed, c skipped: b failed, finish"
        ]
    );
}

#[test]
fn a_step_that_nobody_asked_for_is_not_triggered_even_if_a_need_failed() {
    let graph = "
        a
        b
        c needs=b on-failure=a";
    assert_eq!(
        tell(graph, &["pass a", "fail b"]),
        [
            "start a, start b",
            "a passed",
            "b failed, c skipped: not triggered, finish"
        ]
    );
}

#[test]
fn what_needs_an_untriggered_step_is_untriggered_and_a_gate_does_not_mind() {
    let graph = "
        a
        b on-failure=a
        c needs=b
        g gate needs=a,b,c
        d needs=g";
    assert_eq!(
        tell(graph, &["pass a"]),
        [
            "start a",
            "a passed, b skipped: not triggered, c skipped: not triggered, g passed, start d"
        ]
    );
}

#[test]
fn a_gate_waits_for_all_and_fails_with_one() {
    let graph = "
        a
        b
        g gate needs=a,b
        c needs=g
        d on-failure=g";
    assert_eq!(
        tell(graph, &["fail a", "pass b"]),
        [
            "start a, start b",
            "a failed",
            "b passed, g failed, c skipped: g failed, start d"
        ]
    );
}

#[test]
fn a_gate_accepts_an_allowed_failure() {
    let graph = "
        a soft
        g gate needs=a
        b on-failure=g";
    assert_eq!(
        tell(graph, &["fail a"]),
        [
            "start a",
            "a softfailed, g passed, b skipped: not triggered, finish"
        ]
    );
}

#[test]
fn a_gate_is_skipped_with_a_blocked_or_cancelled_vertex() {
    let graph = "
        a
        b needs=a
        g gate needs=b
        h gate needs=a
        c on-failure=g,h";
    assert_eq!(
        tell(graph, &["cut a"]),
        [
            "start a",
            "a cancelled, b skipped: a cancelled, h skipped: a cancelled, g skipped: b skipped, \
             c skipped: not triggered, finish"
        ]
    );
}

#[test]
fn a_gate_on_failure_opens_a_whole_branch() {
    let graph = "
        a
        g gate on-failure=a
        b needs=g
        h gate needs=b
        c needs=h";
    assert_eq!(
        tell(graph, &["fail a", "pass b"]),
        [
            "start a",
            "a failed, g passed, start b",
            "b passed, h passed, start c"
        ]
    );
    assert_eq!(
        tell(graph, &["pass a"]),
        [
            "start a",
            "a passed, g skipped: not triggered, b skipped: not triggered, h passed, start c"
        ]
    );
}

#[test]
fn a_gate_with_nothing_before_it_passes() {
    assert_eq!(tell("g gate", &[]), ["g passed, finish"]);
}

#[test]
fn fail_fast_stops_what_runs_and_what_is_queued() {
    let graph = "
        a
        b
        c
        d needs=b
        e needs=c";
    let limits = Limits {
        jobs: 2,
        fail_fast: true,
        ..ample()
    };
    assert_eq!(
        tell_within(&limits, graph, &["fail a", "pass b"]),
        [
            "start a, start b",
            "a failed, stop b, c skipped: fail-fast, e skipped: c skipped",
            "b passed, d skipped: fail-fast, finish"
        ]
    );
}

#[test]
fn fail_fast_lets_the_failure_branch_and_the_clean_up_run() {
    let graph = "
        a
        b
        gate gate after=b
        report on-failure=a
        tell needs=report
        clean after=a
        sweep needs=gate
        dust needs=clean";
    let limits = Limits {
        fail_fast: true,
        ..ample()
    };
    assert_eq!(
        tell_within(
            &limits,
            graph,
            &[
                "fail a",
                "cut b",
                "pass report",
                "pass clean",
                "pass sweep",
                "pass tell"
            ]
        ),
        [
            "start a, start b",
            "a failed, stop b, start report, start clean",
            "b cancelled, gate passed, start sweep",
            "report passed, start tell",
            "clean passed, dust skipped: fail-fast",
            "sweep passed",
            "tell passed, finish"
        ]
    );
}

#[test]
fn fail_fast_does_not_stop_a_clean_up_that_runs() {
    let graph = "
        a
        b
        clean after=a";
    let limits = Limits {
        fail_fast: true,
        ..ample()
    };
    assert_eq!(
        tell_within(&limits, graph, &["pass a", "fail b"]),
        ["start a, start b", "a passed, start clean", "b failed"]
    );
}

#[test]
fn fail_fast_ignores_an_allowed_failure() {
    let graph = "
        a soft
        b";
    let limits = Limits {
        fail_fast: true,
        ..ample()
    };
    assert_eq!(
        tell_within(&limits, graph, &["fail a"]),
        ["start a, start b", "a softfailed"]
    );
}

#[test]
fn a_cycle_is_an_error_that_names_a_vertex_on_it() {
    let edge = |from, to| EdgeSpec {
        from: VertexId(from),
        to: VertexId(to),
        kind: EdgeKind::After,
    };
    let edges = [edge(3, 1), edge(1, 2), edge(2, 3), edge(3, 0)];
    let error = Graph::new(vec![VertexSpec::default(); 4], &edges, Vec::new()).unwrap_err();
    assert_eq!(error, GraphError::Cycle(VertexId(3)));
    assert_eq!(error.to_string(), "vertex 3 waits for itself");
}

#[test]
fn an_edge_and_a_group_that_point_nowhere_are_errors() {
    let edge = EdgeSpec {
        from: VertexId(0),
        to: VertexId(7),
        kind: EdgeKind::Needs,
    };
    let lost = Graph::new(vec![VertexSpec::default()], &[edge], Vec::new());
    assert_eq!(lost.unwrap_err(), GraphError::UnknownVertex(VertexId(7)));
    let grouped = VertexSpec {
        group: Some(GroupId(0)),
        ..VertexSpec::default()
    };
    let lost = Graph::new(vec![grouped], &[], Vec::new());
    assert_eq!(lost.unwrap_err(), GraphError::UnknownGroup(VertexId(0)));
}

#[test]
fn what_needs_a_step_with_nothing_to_do_has_nothing_to_do_and_all_else_goes_on() {
    let graph = "
        a
        b needs=a
        c needs=b
        d after=a
        e on-failure=a";
    assert_eq!(
        tell(graph, &["idle a", "pass d"]),
        [
            "start a",
            "a skipped: not needed, b skipped: a not needed, e skipped: not triggered, c skipped: a not needed, start d",
            "d passed, finish"
        ]
    );
}
