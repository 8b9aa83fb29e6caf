//! pipe beside its peers on the same work, in one session: `cargo bench --bench peers`. See `benches/README.md`.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod bare;
mod files;
mod graphs;
mod hashing;
mod jobs;
mod measure;
mod peer;
mod restore;
mod settings;
mod site;
mod table;
mod visit;

use std::path::Path;

use jobs::SHAPES;
use peer::Peer;
use rustix::fs::IFlags;
use settings::Settings;
use site::Site;
use visit::Work;

fn main() {
    let settings = Settings::read();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    spread(folder.path());
    let mut peers = peer::installed(&settings);
    peers.retain(|peer| works(folder.path(), &settings, peer));
    println!("{}", measure::MEMORY);
    println!("`*` is what the others are compared with; `!` says what was not right");
    if settings.part("graphs") {
        graphs::run(folder.path(), &settings, &peers);
    }
    if settings.part("restore") {
        restore::run(folder.path(), &settings, &peers);
    }
    if settings.part("hashing") {
        hashing::run(folder.path(), &settings, &peers);
    }
}

/// Has ext4 put each folder in here into a part of the disk of its own, where nobody has just removed files: it passes over
/// the inodes of these for some minutes, one by one, whenever a file is made. Other file systems have no such mark.
fn spread(folder: &Path) {
    let folder = std::fs::File::open(folder).expect("a folder is opened");
    let _ = rustix::fs::ioctl_getflags(&folder)
        .and_then(|flags| rustix::fs::ioctl_setflags(&folder, flags | IFlags::TOPDIR));
}

/// Whether a peer can run one job. What it sets up in its home the first time is not timed.
fn works(under: &Path, settings: &Settings, peer: &Peer) -> bool {
    let graph = SHAPES[0].graph(1);
    let site = Site::new(under, "one", |folder| {
        std::fs::create_dir(folder.join("in")).expect("a folder is made");
        std::fs::write(folder.join("in/0"), "one\n").expect("a file is written");
    });
    let input = site.folder.join("in/0");
    let work = Work {
        site: &site,
        jobs: &graph.jobs,
        steps: &[],
        change: (input.clone(), 0),
        files: 1,
        same: (site.folder.join("out/0"), input),
    };
    site.reset();
    (peer.write)(&site.folder, &graph.jobs);
    let run = work.run(peer, settings, measure::TIMED);
    if let Some(fault) = &run.fault {
        println!(
            "!! {} IS LEFT OUT: {fault}: {}",
            peer.name,
            site.last_words()
        );
    }
    site.close();
    run.fault.is_none()
}
