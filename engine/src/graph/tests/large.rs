//! Pipelines that are too large for Mermaid: the flowchart is below its limits and says what it does not show.

use std::fmt::Write;

use super::super::testing::viewed;
use super::*;

/// So many stages of so many jobs, each job with so many legs.
fn pipeline(stages: usize, jobs: usize, legs: usize) -> String {
    let mut text = String::from("pipeline big\n");
    for stage in 0..stages {
        writeln!(text, "stage s{stage} {{").unwrap();
        for job in 0..jobs {
            let values: String = (0..legs).map(|l| format!(" v{l}")).collect();
            let matrix = if legs > 1 {
                format!("matrix {{ axis-a{values} }}; ")
            } else {
                String::new()
            };
            let needs = if job > 0 {
                format!("needs j{}; ", job - 1)
            } else {
                String::new()
            };
            writeln!(text, "  job j{job} {{ {matrix}{needs}run \"true\" }}").unwrap();
        }
        text.push_str("}\n");
    }
    text
}

/// The counts of clusters, nodes and edges, and the remark, of a flowchart that is below the limits.
fn drawn(text: &str) -> (usize, usize, usize, Option<String>) {
    let picture = picture(&viewed(text, None), Options::default());
    assert!(picture.text.len() < MAX_TEXT, "{}", picture.text.len());
    assert!(picture.edges.len() <= MAX_EDGES, "{}", picture.edges.len());
    let view = &picture.view;
    let note = view.nodes.iter().find(|n| n.name == "note");
    if let Some(note) = note {
        assert!(
            picture
                .text
                .starts_with(&format!("%% {}\nflowchart TD\n", note.label))
        );
    }
    let note = note.map(|n| n.label.clone());
    (
        view.stages.len(),
        view.nodes.len(),
        picture.edges.len(),
        note,
    )
}

const JOBS: &str =
    "each job is drawn as one box, whatever its matrix: the whole is too large for Mermaid";
const STAGES: &str = "each stage is drawn as one box: the whole is too large for Mermaid";
const SOME: &str = "only the first stages are drawn: the whole is too large for Mermaid";

#[test]
fn exactly_as_many_edges_as_mermaid_draws_are_drawn_out() {
    assert_eq!(drawn(&pipeline(1, 501, 1)), (1, 501, 500, None));
    assert_eq!(drawn(&pipeline(1, 6, 10)), (1, 60, 500, None));
}

#[test]
fn one_edge_more_makes_each_job_one_box_or_each_stage() {
    let legs = pipeline(2, 6, 10);
    assert_eq!(drawn(&legs), (2, 13, 11, Some(JOBS.to_owned())));
    assert_eq!(
        drawn(&pipeline(1, 502, 1)),
        (0, 2, 0, Some(STAGES.to_owned()))
    );
    assert_eq!(
        drawn(&pipeline(3, 200, 1)),
        (0, 4, 2, Some(STAGES.to_owned()))
    );
}

#[test]
fn five_thousand_jobs_make_a_valid_graph() {
    assert_eq!(
        drawn(&pipeline(1, 5000, 1)),
        (0, 2, 0, Some(STAGES.to_owned()))
    );
    assert_eq!(
        drawn(&pipeline(50, 100, 1)),
        (0, 51, 49, Some(STAGES.to_owned()))
    );
    assert_eq!(
        drawn(&pipeline(5000, 1, 1)),
        (0, 402, 400, Some(SOME.to_owned()))
    );
}

#[test]
fn legs_that_all_wait_for_all_legs_are_not_multiplied_before_they_are_counted() {
    let view = viewed(&pipeline(2, 20, 256), None);
    // Each leg waits for all legs of the job before.
    assert_eq!(view.edges.len(), 2 * 19 * 256 + 1);
    assert_eq!(
        drawn(&pipeline(2, 20, 256)),
        (2, 41, 39, Some(JOBS.to_owned()))
    );
}
