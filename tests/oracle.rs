//! The cache against a slow oracle that always runs everything. Random edits are made to many small projects in two
//! checkouts; in one results are kept, in the other one nothing is. After every run everything must be the same, and a
//! model of what decides a result says of each job whether it may be a hit and must be one.
//!
//! `PIPE_ORACLE_SEQUENCES` is how many sequences of edits there are, `PIPE_ORACLE_SEED` where they begin, and
//! `PIPE_ORACLE_ONLY` the number of the only one that is wanted, as a failure names it.

mod checked;
mod edits;
mod lane;
mod random;
mod store;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::checked::{Counts, Known, Ran, check};
use self::lane::Lane;
use self::random::Random;
use self::store::Store;
pub use self::store::is_sound;
use crate::support::Project;
use crate::support::tree::tree;

/// Enough for a minute on two processors that do other things as well.
const SEQUENCES: u64 = 512;
/// Projects in one pipeline: starting `pipe` takes longer than a job.
const TOGETHER: u64 = 16;
/// Runs of each project.
const RUNS: usize = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|e| panic!("{name}: {e}")))
}

#[test]
fn no_sequence_of_edits_gives_a_false_hit_an_unexplained_miss_or_another_result() {
    let seed = number("PIPE_ORACLE_SEED").unwrap_or(1);
    let only = number("PIPE_ORACLE_ONLY");
    let sequences = number("PIPE_ORACLE_SEQUENCES").unwrap_or(SEQUENCES);
    println!("PIPE_ORACLE_SEED={seed}, {sequences} sequences");
    let groups = match only {
        Some(only) => only / TOGETHER..only / TOGETHER + 1,
        None => 0..sequences.div_ceil(TOGETHER),
    };
    let next = AtomicU64::new(groups.start);
    let total = Mutex::new(Counts::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let group = next.fetch_add(1, Ordering::Relaxed);
                    if group >= groups.end {
                        return;
                    }
                    match Group::new(seed, group, only).play() {
                        Ok(counts) => total.lock().unwrap().add(&counts),
                        Err(why) => {
                            next.store(groups.end, Ordering::Relaxed);
                            panic!("{why}");
                        }
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total}");
    assert!(total.hits > total.misses / 4 && total.misses > 0, "{total}");
}

/// Several sequences side by side, in one pipeline and with one store.
struct Group {
    project: Project,
    /// The checkout whose results are kept, and the other one.
    roots: [PathBuf; 2],
    random: Random,
    lanes: Vec<Lane>,
    store: Store,
    known: Vec<Known>,
    language: &'static str,
    counts: Counts,
    /// How to see the same again.
    again: String,
}

impl Group {
    fn new(seed: u64, group: u64, only: Option<u64>) -> Self {
        // Every other one in memory, where that is possible: it takes half of the time, and other file systems have
        // other ways.
        let memory = PathBuf::from("/dev/shm");
        let folder = if group % 2 == 1 && memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let project = Project::within(&folder);
        let roots = [project.root(), project.root().with_file_name("oracle")];
        for root in &roots {
            fs::create_dir_all(root).unwrap();
            for (name, text) in lane::SCRIPTS {
                fs::write(root.join(name), text).unwrap();
            }
        }
        let numbers = group * TOGETHER..(group + 1) * TOGETHER;
        let wanted = numbers.filter(|n| only.is_none_or(|only| only == *n));
        let lanes: Vec<Lane> = wanted
            .map(|n| {
                let at = usize::try_from(n % TOGETHER).unwrap();
                Lane::new(at, n, seed.wrapping_mul(1 << 32).wrapping_add(n))
            })
            .collect();
        Self {
            store: Store::new(project.home().join(".cache/pipe/v2")),
            known: lanes.iter().map(|_| Known::default()).collect(),
            project,
            roots,
            random: Random::new(!seed.wrapping_add(group)),
            lanes,
            language: "C.UTF-8",
            counts: Counts::default(),
            again: format!("PIPE_ORACLE_SEED={seed}"),
        }
    }

    /// All runs, with edits between them.
    fn play(mut self) -> Result<Counts, String> {
        for lane in &self.lanes {
            edits::begin(lane, &self.roots);
        }
        for run in 1..=RUNS {
            let args = if run == 1 { Vec::new() } else { self.edits() };
            for lane in &mut self.lanes {
                lane.story.push(format!("  run {run} {}", args.join(" ")));
            }
            self.run(run, &args)?;
        }
        self.counts.sequences = self.lanes.len();
        self.counts.edits = self.lanes.iter().map(|l| l.edits).sum();
        let left = tree(&self.roots[0].join(".pipe"), "runs");
        if let Some(line) = left
            .iter()
            .find(|l| l.contains("/put-") || l.contains("/tmp-"))
        {
            return Err(format!("{line} is left over; {}", self.again));
        }
        match tree(self.store.root(), "tmp").as_slice() {
            [] | [_] => Ok(self.counts),
            left => Err(format!(
                "{left:?} are left over in the store; {}",
                self.again
            )),
        }
    }

    /// What is done between two runs; the arguments of the next one.
    fn edits(&mut self) -> Vec<&'static str> {
        for lane in &mut self.lanes {
            let made = tree(&self.roots[0].join(lane.folder()), ".");
            for _ in 0..=lane.random.below(3) {
                edits::edit(lane, &self.roots, &made);
            }
        }
        let mut tell = |what: &str| {
            for lane in &mut self.lanes {
                lane.story.push(format!("    {what}"));
            }
        };
        match self.random.below(10) {
            0 => {
                self.store.remove();
                self.known.iter_mut().for_each(Known::forget);
                tell("the store is gone");
            }
            1..=5 => {
                for _ in 0..=self.random.below(16) {
                    if let Some(what) = self.store.damage(&mut self.random) {
                        tell(&what);
                        self.counts.damages += 1;
                    }
                }
            }
            6 => {
                self.language = if self.language == "C" { "C.UTF-8" } else { "C" };
                tell(&format!("LANG={}", self.language));
            }
            _ => {}
        }
        match self.random.below(20) {
            0 => vec!["--refresh"],
            1 => vec!["--no-cache"],
            _ => Vec::new(),
        }
    }

    /// One run in both checkouts.
    fn run(&mut self, number: usize, args: &[&str]) -> Result<(), String> {
        let mut text = "pipeline app { shell sh; }\n".to_owned();
        for lane in self.lanes.iter().filter(|l| l.has('b')) {
            text += &format!("param p{} default=\"none\"\n", lane.at);
        }
        text += "stage t {\n";
        for lane in &self.lanes {
            text += &lane.definition();
        }
        text += "}\n";
        let broken = self.store.broken();
        for root in &self.roots {
            fs::write(root.join("pipeline.kdl"), &text).unwrap();
        }
        let cached = self.command(0, args).spawn().unwrap();
        let oracle = self.command(1, &["--no-cache"]).spawn().unwrap();
        let [cached, oracle] = [cached, oracle].map(|child| child.wait_with_output().unwrap());
        let (cached, oracle) = (Ran::read(&cached), Ran::read(&oracle));
        let wrong = check(self, &broken, &cached, &oracle, args.first().copied());
        for lane in &mut self.lanes {
            lane.history.push(lane.state.clone());
        }
        let Err((lane, why)) = wrong else {
            return Ok(());
        };
        let folder = self
            .project
            .root()
            .parent()
            .unwrap()
            .with_file_name("pipe-oracle-failure");
        let _ = fs::remove_dir_all(&folder);
        let kept = fs::rename(self.project.root().parent().unwrap(), &folder).is_ok();
        let shown = lane.map_or(String::new(), |at| {
            let lane = &self.lanes[at];
            format!(
                "\n{} PIPE_ORACLE_ONLY={}\njobs {:?} in {}\n{}\n{}",
                self.again,
                lane.number,
                lane.jobs,
                lane.folder(),
                lane.story.join("\n"),
                lane.definition()
            )
        });
        let at = if kept {
            format!("\nsee {}", folder.display())
        } else {
            String::new()
        };
        Err(format!("run {number}: {why}{shown}{at}\n{}", self.again))
    }

    fn command(&self, root: usize, args: &[&str]) -> Command {
        let mut command = self
            .project
            .command(&["run", "--format", "json", "--jobs", "3"]);
        command.args(args).current_dir(&self.roots[root]);
        for lane in &self.lanes {
            if lane.has('b') {
                let value = format!("p{}={}", lane.at, lane.state.param);
                command.args(["--param", &value]);
            }
            if let Some(value) = lane.state.passed {
                command.env(format!("X{}", lane.at), value);
            }
        }
        // And something that no job may see.
        command
            .env("LANG", self.language)
            .env("UNSEEN", self.counts.runs.to_string());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}
