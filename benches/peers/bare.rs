//! The floors: the same work by nothing but what the system does. Does not know the peers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::jobs::Job;
use crate::site::Site;

/// Spawns the commands of the jobs through `sh -c`: so many lines side by side, as many at once as there are workers.
pub fn spawn_all(site: &Site, jobs: &[Job], lines: usize, workers: usize) {
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let line = next.fetch_add(1, Ordering::Relaxed);
            if line >= lines {
                return;
            }
            for job in jobs[line..].iter().step_by(lines) {
                site.shell(&job.command);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers.min(lines) {
            scope.spawn(work);
        }
    });
}

/// Asks the system about each of the files.
pub fn stat_all(paths: &[PathBuf]) {
    for path in paths {
        std::hint::black_box(fs::metadata(path).expect("the file is there"));
    }
}

/// The inputs and outputs of jobs.
pub fn paths(folder: &Path, jobs: &[Job]) -> Vec<PathBuf> {
    let both = jobs.iter().flat_map(|j| [&j.input, &j.output]);
    both.map(|path| folder.join(path)).collect()
}

/// Walks through a folder and asks the system about each file.
pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut open = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder is read") {
            let entry = entry.expect("a folder is read");
            let about = entry.metadata().expect("the file is there");
            let to = if about.is_dir() {
                &mut open
            } else {
                &mut files
            };
            to.push(entry.path());
        }
    }
    files
}

/// Walks, reads each file and hashes it.
pub fn hash(folder: &Path, workers: usize) {
    let files = walk(folder);
    let share = files.len().div_ceil(workers).max(1);
    std::thread::scope(|scope| {
        for some in files.chunks(share) {
            scope.spawn(move || {
                for file in some {
                    let content = fs::read(file).expect("the file is read");
                    std::hint::black_box(blake3::hash(&content));
                }
            });
        }
    });
}
