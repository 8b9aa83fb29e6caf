//! Many small jobs in graphs of several shapes. Does not know how a run is measured.

use std::fs;
use std::path::Path;

use crate::bare;
use crate::jobs::{Graph, SHAPES, Shape};
use crate::measure;
use crate::peer::{Part, Peer};
use crate::settings::Settings;
use crate::site::Site;
use crate::table::Table;
use crate::visit::{Step, Work, rounds};

const STEPS: [Step; 4] = [Step::Cold, Step::UpToDate, Step::Changed, Step::Restored];

/// Every shape in every size.
pub fn run(under: &Path, settings: &Settings, peers: &[Peer]) {
    for shape in SHAPES.iter().filter(|s| settings.shape(s.name)) {
        let mut able: Vec<&Peer> = peers
            .iter()
            .filter(|p| p.parts.contains(&Part::Graphs))
            .collect();
        let mut last: Option<(usize, Table)> = None;
        for &count in &settings.sizes {
            if let Some(why) = shape.left_out(count) {
                println!("\n## {}, {count} jobs: left out: {why}", shape.name);
                continue;
            }
            let pipe_was_in = has_pipe(&able);
            if let Some((before, table)) = &last {
                able.retain(|peer| is_quick_enough(peer, *before, table, count, settings));
            }
            if pipe_was_in && !has_pipe(&able) {
                println!("\n## {}, {count} jobs: left out, as pipe is", shape.name);
                break;
            }
            let table = one(under, settings, *shape, count, &able);
            last = Some((count, table));
        }
    }
}

fn has_pipe(peers: &[&Peer]) -> bool {
    peers.iter().any(|peer| peer.name == "pipe")
}

/// Whether a peer would be within the limit if it needed as long for each job as before.
fn is_quick_enough(
    peer: &Peer,
    before: usize,
    table: &Table,
    count: usize,
    settings: &Settings,
) -> bool {
    let Some(time) = table.median(Step::Cold.name(), peer.name) else {
        return true;
    };
    let expected = time.as_secs_f64() * count as f64 / before as f64;
    let quick = expected <= settings.limit.as_secs_f64();
    if !quick {
        println!(
            "!! {} IS LEFT OUT of {count} jobs: it would take about {expected:.0} s; the limit is {} s (PEERS_LIMIT)",
            peer.name,
            settings.limit.as_secs()
        );
    }
    quick
}

fn one(under: &Path, settings: &Settings, shape: Shape, count: usize, peers: &[&Peer]) -> Table {
    let graph = shape.graph(count);
    let site = Site::new(under, &format!("{}-{count}", shape.name), |folder| {
        fs::create_dir(folder.join("in")).expect("a folder is made");
        for at in 0..graph.lines {
            fs::write(folder.join(format!("in/{at}")), format!("input {at}\n"))
                .expect("a file is written");
        }
    });
    let input = site.folder.join(format!("in/{}", graph.middle));
    let work = Work {
        site: &site,
        jobs: &graph.jobs,
        steps: &STEPS,
        change: (input.clone(), graph.middle),
        files: count,
        same: (site.folder.join(format!("out/{}", graph.last)), input),
    };
    let again = count / graph.lines;
    let title = format!(
        "{}, {count} jobs, {} at once, the change concerns {again}",
        shape.name, settings.workers
    );
    let bases = ["bare loop", "ninja", "ninja", "cp -r"];
    let sections = STEPS.map(Step::name).into_iter().zip(bases);
    let mut table = Table::new(title, &sections.collect::<Vec<_>>());
    let rounds = rounds(settings, peers, |peer| match peer {
        Some(peer) => work.visit(peer, settings, &mut table),
        None => floors(&site, &graph, settings, &mut table),
    });
    site.close();
    table.print(rounds);
    table
}

fn floors(site: &Site, graph: &Graph, settings: &Settings, table: &mut Table) {
    site.reset();
    let folder = &site.folder;
    let bare = measure::time(|| bare::spawn_all(site, &graph.jobs, graph.lines, settings.workers));
    table.add(Step::Cold.name(), "bare loop", &bare, Vec::new());
    let paths = bare::paths(folder, &graph.jobs);
    let stat = measure::time(|| bare::stat_all(&paths));
    table.add(Step::UpToDate.name(), "stat loop", &stat, Vec::new());
    let kept = folder.join("kept");
    fs::rename(folder.join("out"), &kept).expect("a folder is renamed");
    site.empty_out();
    let copy = measure::time(|| site.shell("cp -r kept/. out"));
    table.add(Step::Restored.name(), "cp -r", &copy, Vec::new());
}
