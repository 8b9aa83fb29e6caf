//! One peer's turn: cold, up to date, changed, restored, each timed and checked. Does not know the subject.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::jobs::{Job, RAN};
use crate::measure::{self, Run, TIMED, WATCHED};
use crate::peer::Peer;
use crate::settings::Settings;
use crate::site::Site;
use crate::table::Table;

/// A run that ends before its memory has been looked at often.
const SHORT: Duration = Duration::from_millis(100);

/// The output of a job that makes the folder itself.
pub const WHOLE_FOLDER: &str = "out/**";

/// What is timed.
#[derive(Clone, Copy, PartialEq)]
pub enum Step {
    /// Nothing is there but the inputs.
    Cold,
    /// Everything is there.
    UpToDate,
    /// One input is not what it was.
    Changed,
    /// The outputs were removed.
    Restored,
}

impl Step {
    /// Its headline.
    pub fn name(self) -> &'static str {
        match self {
            Step::Cold => "cold",
            Step::UpToDate => "up to date",
            Step::Changed => "one input changed",
            Step::Restored => "outputs removed",
        }
    }
}

/// What a peer does in its turn, and what must be so afterwards.
pub struct Work<'a> {
    pub site: &'a Site,
    pub jobs: &'a [Job],
    pub steps: &'a [Step],
    /// The file that is changed, and the job that reads it.
    pub change: (PathBuf, usize),
    /// How many files there are then in `out`.
    pub files: usize,
    /// Two files with the same content.
    pub same: (PathBuf, PathBuf),
}

impl Work<'_> {
    /// Gives a peer its turn.
    pub fn visit(&self, peer: &Peer, settings: &Settings, table: &mut Table) {
        let before = table.median(Step::Cold.name(), peer.name);
        if before.is_some_and(|time| time > settings.limit || time.is_zero()) {
            return;
        }
        self.site.reset();
        (peer.write)(&self.site.folder, self.jobs);
        for &step in self.steps {
            match step {
                Step::UpToDate | Step::Changed if !peer.checks => continue,
                Step::Restored if !peer.restores => continue,
                Step::Changed => fs::write(&self.change.0, "changed\n").expect("a file is written"),
                Step::Restored => self.remove_outputs(),
                Step::Cold | Step::UpToDate => {}
            }
            let mut run = self.run(peer, settings, TIMED);
            let mut notes = self.notes(step, &run);
            if step == Step::Cold && run.time > settings.limit {
                notes.push("over the limit, measured once".to_owned());
            }
            // Too short to be seen at its largest: once more, only for that.
            if step == Step::UpToDate && run.time < SHORT {
                run.peak = run.peak.max(self.run(peer, settings, WATCHED).peak);
                self.site.ran();
            }
            table.add(step.name(), peer.name, &run, notes);
            if run.fault.is_some() {
                return;
            }
        }
    }

    /// A folder stays where the jobs write into it without making it.
    fn remove_outputs(&self) {
        match self.jobs.iter().all(|j| j.output != WHOLE_FOLDER) {
            true => self.site.empty_out(),
            false => self.site.remove_out(),
        }
    }

    /// One run, not noted anywhere.
    pub fn run(&self, peer: &Peer, settings: &Settings, looks: Duration) -> Run {
        let mut command = self.site.command(peer, settings.workers);
        measure::run(&mut command, settings.limit * 4, looks)
    }

    /// What is not as it should be.
    fn notes(&self, step: Step, run: &Run) -> Vec<String> {
        let ran = self.site.ran();
        if run.fault.is_some() {
            return vec![self.site.last_words()];
        }
        let expected = match step {
            Step::Cold => self.traced(),
            Step::Changed => vec![self.change.1],
            Step::UpToDate | Step::Restored => Vec::new(),
        };
        let mut notes = Vec::new();
        if ran.len() > expected.len() {
            notes.push("ran again what had not changed".to_owned());
        } else if ran != expected {
            notes.push("did not run what it should".to_owned());
        }
        let made = fs::read_dir(self.site.folder.join("out")).map_or(0, Iterator::count);
        if made != self.files {
            notes.push(format!("{made} of {} files", self.files));
        }
        let content = |path: &PathBuf| fs::read(path).ok();
        if content(&self.same.0).is_none() || content(&self.same.0) != content(&self.same.1) {
            notes.push("wrong content".to_owned());
        }
        notes
    }

    /// The jobs that say that they ran.
    fn traced(&self) -> Vec<usize> {
        let traces = |at: &usize| self.jobs[*at].command.ends_with(RAN);
        (0..self.jobs.len()).filter(traces).collect()
    }
}

/// Calls each peer in its turn, in another order each time, and says how often. `None` is for the floors.
pub fn rounds(settings: &Settings, peers: &[&Peer], mut each: impl FnMut(Option<&Peer>)) -> usize {
    let began = Instant::now();
    let mut done = 0;
    while settings.once_more(done, began.elapsed()) {
        each(None);
        let (first, rest) = peers.split_at(done % peers.len().max(1));
        for peer in rest.iter().chain(first) {
            each(Some(peer));
        }
        done += 1;
    }
    done
}
