//! Flowcharts as real Mermaid reads and draws them: nothing is lost, nothing is added, whatever the names are.
//! `tests/setup-mermaid.sh` gets Mermaid and a browser; without them these tests say loudly that they did not run.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod browser;
mod nasty;
mod plans;
mod real;

use engine::graph::{Collapse, Direction, MAX_EDGES, MAX_TEXT, Options, Picture, picture};
use real::{Structure, expected, read, report};

/// Asserts that Mermaid reads each of these as what it was made from.
fn check(pictures: &[Picture]) {
    let texts: Vec<&str> = pictures.iter().map(|p| p.text.as_str()).collect();
    let Some(found) = read(&texts) else { return };
    assert_eq!(found.len(), pictures.len());
    for (found, picture) in found.iter().zip(pictures) {
        assert!(picture.text.len() < MAX_TEXT && picture.edges.len() <= MAX_EDGES);
        let wanted: Structure = expected(picture);
        assert!(
            *found == wanted,
            "{}",
            report(found, &wanted, &picture.text)
        );
    }
}

fn all_options() -> impl Iterator<Item = Options> {
    let levels = [Collapse::Nothing, Collapse::Matrix, Collapse::Stage];
    let of = |collapse| {
        [Direction::Down, Direction::Right].map(|direction| Options {
            direction,
            collapse,
        })
    };
    levels.into_iter().flat_map(of)
}

#[test]
fn mermaid_reads_every_pipeline_as_it_was_planned() {
    let views = plans::views();
    let of = |view| all_options().map(move |options| picture(view, options));
    let pictures: Vec<Picture> = views.iter().flat_map(of).collect();
    check(&pictures);
}

#[test]
fn mermaid_reads_the_pipelines_of_this_repository() {
    let of = |view| all_options().map(move |options| picture(view, options));
    let views = plans::real_views();
    let pictures: Vec<Picture> = views.iter().flat_map(of).collect();
    assert!(pictures.len() >= 7 * 2 * 6, "{} pictures", pictures.len());
    check(&pictures);
}

#[test]
fn mermaid_reads_names_of_any_kind_as_they_are() {
    let views = nasty::views(300);
    let options: Vec<Options> = all_options().collect();
    let of = |(at, view)| picture(view, options[at % options.len()]);
    let pictures: Vec<Picture> = views.iter().enumerate().map(of).collect();
    check(&pictures);
}

#[test]
fn nothing_is_left_out_where_everything_fits() {
    for view in plans::small_views() {
        let drawn = picture(&view, Options::default());
        assert_eq!(drawn.view, view);
    }
}
