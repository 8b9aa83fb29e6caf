//! A job with very many input files: how long it takes to know that they are the same. Does not know how a run is measured.

use std::fs;
use std::path::Path;

use crate::bare;
use crate::jobs::Job;
use crate::measure;
use crate::peer::{Part, Peer};
use crate::settings::Settings;
use crate::site::Site;
use crate::table::Table;
use crate::visit::{Step, Work, rounds};

const STEPS: [Step; 2] = [Step::Cold, Step::UpToDate];

/// A tree of small files in folders of a hundred.
pub fn run(under: &Path, settings: &Settings, peers: &[Peer]) {
    let able: Vec<&Peer> = peers
        .iter()
        .filter(|p| p.parts.contains(&Part::Hashing))
        .collect();
    let site = Site::new(under, "hashing", |folder| fill(folder, settings.tree));
    let command = "cp in/done out/done".to_owned();
    let jobs = [Job::new(None, "tree/**", "out/done", command).traced(0)];
    let work = Work {
        site: &site,
        jobs: &jobs,
        steps: &STEPS,
        change: (site.folder.join("tree/0/0"), 0),
        files: 1,
        same: (site.folder.join("out/done"), site.folder.join("in/done")),
    };
    let title = format!("hashing {} files of 1 KB", settings.tree);
    let sections = [
        (Step::Cold.name(), "walk, read, BLAKE3"),
        (Step::UpToDate.name(), "walk and stat"),
    ];
    let mut table = Table::new(title, &sections);
    let rounds = rounds(settings, &able, |peer| match peer {
        Some(peer) => work.visit(peer, settings, &mut table),
        None => floors(&site, settings, &mut table),
    });
    table.print(rounds);
    site.close();
}

fn fill(folder: &Path, files: usize) {
    fs::create_dir(folder.join("in")).expect("a folder is made");
    fs::write(folder.join("in/done"), "done\n").expect("a file is written");
    for at in 0..files {
        let under = folder.join(format!("tree/{}", at / 100));
        if at % 100 == 0 {
            fs::create_dir_all(&under).expect("a folder is made");
        }
        let line = format!("file {at:>10}\n");
        fs::write(under.join(at.to_string()), line.repeat(1000 / line.len()))
            .expect("a file is written");
    }
}

fn floors(site: &Site, settings: &Settings, table: &mut Table) {
    site.reset();
    let tree = site.folder.join("tree");
    for (name, workers) in [
        ("walk, read, BLAKE3", 1),
        ("the same, all processors", settings.workers),
    ] {
        let run = measure::time(|| bare::hash(&tree, workers));
        table.add(Step::Cold.name(), name, &run, Vec::new());
    }
    let walk = measure::time(|| drop(bare::walk(&tree)));
    table.add(Step::UpToDate.name(), "walk and stat", &walk, Vec::new());
}
