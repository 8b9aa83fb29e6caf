//! Outputs that come back after they were removed: many small files, and a large one. Does not know how a run is measured.

use std::fs;
use std::path::Path;

use crate::bare;
use crate::jobs::Job;
use crate::measure;
use crate::peer::{Part, Peer};
use crate::settings::Settings;
use crate::site::Site;
use crate::table::Table;
use crate::visit::{Step, WHOLE_FOLDER, Work, rounds};

const STEPS: [Step; 3] = [Step::Cold, Step::UpToDate, Step::Restored];

/// Both subjects.
pub fn run(under: &Path, settings: &Settings, peers: &[Peer]) {
    let able: Vec<&Peer> = peers
        .iter()
        .filter(|p| p.parts.contains(&Part::Restore))
        .collect();
    one(under, settings, &able, settings.files, 10_000);
    one(under, settings, &able, 1, settings.big * 1_000_000);
}

/// A job whose output is so many files of so many bytes. It copies them from outside of its inputs, so that these cost nothing.
fn one(under: &Path, settings: &Settings, peers: &[&Peer], files: usize, bytes: usize) {
    let payload = under.join("payload");
    fs::create_dir(&payload).expect("a folder is made");
    for at in 0..files {
        let content = noise(at as u64, bytes);
        fs::write(payload.join(at.to_string()), content).expect("a file is written");
    }
    let site = Site::new(under, &format!("restore-{files}"), |folder| {
        fs::create_dir(folder.join("in")).expect("a folder is made");
        fs::write(folder.join("in/seed"), "seed\n").expect("a file is written");
    });
    let site = if files == 1 { site.large() } else { site };
    let command = "cp -r ../payload/. out".to_owned();
    let jobs = [Job::new(None, "in/seed", WHOLE_FOLDER, command).traced(0)];
    let middle = (files / 2).to_string();
    let work = Work {
        site: &site,
        jobs: &jobs,
        steps: &STEPS,
        change: (site.folder.join("in/seed"), 0),
        files,
        same: (site.folder.join("out").join(&middle), payload.join(&middle)),
    };
    let title = format!(
        "restoring {files} files of {} KB that cannot be compressed",
        bytes / 1000
    );
    let bases = ["bare loop", "stat loop", "cp -r"];
    let sections = STEPS.map(Step::name).into_iter().zip(bases);
    let mut table = Table::new(title, &sections.collect::<Vec<_>>());
    let rounds = rounds(settings, peers, |peer| match peer {
        Some(peer) => work.visit(peer, settings, &mut table),
        None => floors(&site, &jobs, &mut table),
    });
    table.print(rounds);
    site.close();
    fs::remove_dir_all(&payload).expect("the folder is removed");
}

fn floors(site: &Site, jobs: &[Job], table: &mut Table) {
    site.reset();
    let bare = measure::time(|| bare::spawn_all(site, jobs, 1, 1));
    table.add(Step::Cold.name(), "bare loop", &bare, Vec::new());
    let out = site.folder.join("out");
    let stat = measure::time(|| drop(bare::walk(&out)));
    table.add(Step::UpToDate.name(), "stat loop", &stat, Vec::new());
    for (name, command) in [
        ("cp -r", "cp -r ../payload/. out"),
        ("cp -al (hard links)", "cp -al ../payload/. out"),
    ] {
        site.empty_out();
        let run = measure::time(|| site.shell(command));
        table.add(Step::Restored.name(), name, &run, Vec::new());
    }
    // What others write to a link would be written to the payload.
    site.empty_out();
}

/// Bytes that no compression makes less, the same every time.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut content);
    content
}
