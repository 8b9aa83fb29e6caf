//! What two runs did, compared with each other and with the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::Group;
use super::store::is_sound;
use crate::support::tree::tree;

/// How much was tried.
#[derive(Debug, Default)]
pub struct Counts {
    pub sequences: usize,
    pub edits: usize,
    pub damages: usize,
    pub runs: usize,
    pub hits: usize,
    pub misses: usize,
    /// Misses of a key that had run before, with something broken in the store.
    pub explained: usize,
    pub failures: usize,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.edits += other.edits;
        self.damages += other.damages;
        self.runs += other.runs;
        self.hits += other.hits;
        self.misses += other.misses;
        self.explained += other.explained;
        self.failures += other.failures;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sequences, {} edits, {} damages to the store, {} runs: {} hits, {} misses, {} of them of a damaged result, {} failures",
            self.sequences,
            self.edits,
            self.damages,
            self.runs,
            self.hits,
            self.misses,
            self.explained,
            self.failures
        )
    }
}

/// What the model knows of the jobs of a lane.
#[derive(Debug, Default)]
pub struct Known {
    /// By the model's key: the key that `pipe` has for it, and the other way round.
    keys: BTreeMap<String, String>,
    models: BTreeMap<String, String>,
    /// The keys that have run with success, and every file of the store that has the result.
    kept: BTreeMap<String, BTreeSet<PathBuf>>,
}

impl Known {
    /// The store is gone.
    pub fn forget(&mut self) {
        self.kept.clear();
    }
}

/// How one step ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ended {
    word: String,
    key: String,
    outputs: String,
    lines: Vec<String>,
}

/// What a run told.
#[derive(Debug)]
pub struct Ran {
    steps: BTreeMap<String, Ended>,
    warnings: Vec<String>,
    stderr: String,
    run: u64,
}

impl Ran {
    pub fn read(out: &std::process::Output) -> Self {
        let mut ran = Self {
            steps: BTreeMap::new(),
            warnings: Vec::new(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
            run: 0,
        };
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let event = &line["event"];
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let step = ran.steps.entry(text("step")).or_default();
            match event["event"].as_str().unwrap() {
                "run-started" => ran.run = event["run"].as_u64().unwrap(),
                "output" => step.lines.extend(
                    event["lines"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|l| l.as_str().unwrap().to_owned()),
                ),
                "step-ended" => {
                    step.word = event["outcome"]["is"].as_str().unwrap().to_owned();
                    step.key = text("key");
                    step.outputs = event["outputs"].to_string();
                }
                "warning" => ran.warnings.push(text("text")),
                _ => {}
            }
        }
        ran
    }
}

type Wrong = (Option<usize>, String);

/// Compares the run whose results are kept with the other one, and with the model.
pub fn check(
    group: &mut Group,
    broken: &BTreeSet<PathBuf>,
    cached: &Ran,
    oracle: &Ran,
    arg: Option<&str>,
) -> Result<(), Wrong> {
    let none = |why: String| Err((None, why));
    if !cached.stderr.is_empty() || !oracle.stderr.is_empty() {
        return none(format!("{}{}", cached.stderr, oracle.stderr));
    }
    let expected = usize::from(!broken.is_empty());
    if cached.warnings.len() > expected || !oracle.warnings.is_empty() {
        return none(format!("{:?} {:?}", cached.warnings, oracle.warnings));
    }
    group.counts.runs += 1;
    for at in 0..group.lanes.len() {
        lane(group, at, broken, cached, oracle, arg).map_err(|why| (Some(at), why))?;
    }
    Ok(())
}

fn lane(
    group: &mut Group,
    at: usize,
    broken: &BTreeSet<PathBuf>,
    cached: &Ran,
    oracle: &Ran,
    arg: Option<&str>,
) -> Result<(), String> {
    let lane = &group.lanes[at];
    let made = group
        .roots
        .each_ref()
        .map(|root| tree(&root.join(lane.folder()), "."));
    if made[0] != made[1] {
        let not_in = |a: &[String], b: &[String]| -> Vec<String> {
            a.iter().filter(|line| !b.contains(line)).cloned().collect()
        };
        return Err(format!(
            "another result\n  with a cache {:?}\n  without {:?}",
            not_in(&made[0], &made[1]),
            not_in(&made[1], &made[0])
        ));
    }
    let outputs = oracle
        .steps
        .get(&lane.step('a'))
        .map_or("", |s| s.outputs.as_str());
    for job in lane.jobs.clone() {
        let lane = &group.lanes[at];
        let step = lane.step(job);
        let (Some(one), Some(other)) = (cached.steps.get(&step), oracle.steps.get(&step)) else {
            return Err(format!("{step} is not told of"));
        };
        let word = if one.word == "cached" {
            "passed"
        } else {
            one.word.as_str()
        };
        if (word, &one.outputs, &one.lines) != (other.word.as_str(), &other.outputs, &other.lines) {
            return Err(format!(
                "{step} is another one\n  with a cache {one:?}\n  without {other:?}"
            ));
        }
        let artifacts = [(0, cached), (1, oracle)].map(|(root, ran)| {
            let folder = format!(".pipe/runs/{}/artifacts/t", ran.run);
            tree(
                &group.roots[root].join(folder),
                step.trim_start_matches("t."),
            )
        });
        if artifacts[0] != artifacts[1] {
            return Err(format!("{step} has other artifacts: {artifacts:?}"));
        }
        if word != "passed" {
            group.counts.failures += usize::from(word == "failed");
            continue;
        }
        if arg == Some("--no-cache") {
            if one.word == "cached" {
                return Err(format!("{step} is cached although nothing may be"));
            }
            continue;
        }
        let model = lane.key(job, &made[0], outputs, group.language);
        let files = result(group, at, job, one, cached.run, &made[0]);
        judged(group, at, &step, one, model, files, broken, arg)?;
    }
    Ok(())
}

/// The files of the store that have the result of a job.
fn result(
    group: &Group,
    at: usize,
    job: char,
    ended: &Ended,
    run: u64,
    made: &[String],
) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::from([group.store.record(&ended.key)]);
    let mut add = |path: PathBuf| {
        if let Ok(bytes) = std::fs::read(path) {
            files.insert(group.store.blob(&blake3::hash(&bytes).to_hex()));
        }
    };
    let lane = &group.lanes[at];
    add(group.roots[0].join(format!(".pipe/runs/{run}/logs/{}.log", lane.step(job))));
    for line in made.iter().filter(|l| !l.contains(" -> ")) {
        let path = line.split(' ').next().unwrap_or_default();
        let own = match job {
            'a' => path.starts_with("out/"),
            'b' => path == "b.txt" || (path.starts_with("gen/") && path.ends_with(".g")),
            other => path == other.to_string(),
        };
        if own && !path.ends_with('/') {
            add(group.roots[0].join(lane.folder()).join(path));
        }
    }
    files
}

#[expect(clippy::too_many_arguments, reason = "all of it is compared")]
fn judged(
    group: &mut Group,
    at: usize,
    step: &str,
    ended: &Ended,
    model: String,
    files: BTreeSet<PathBuf>,
    broken: &BTreeSet<PathBuf>,
    arg: Option<&str>,
) -> Result<(), String> {
    let known = &mut group.known[at];
    let key = known
        .keys
        .entry(model.clone())
        .or_insert_with(|| ended.key.clone());
    if *key != ended.key {
        return Err(format!(
            "{step}: nothing has changed, and its key has: {model}"
        ));
    }
    let same = known
        .models
        .entry(ended.key.clone())
        .or_insert_with(|| model.clone());
    if *same != model {
        return Err(format!(
            "{step}: something has changed, and its key has not:\n{same}\n{model}"
        ));
    }
    let before = known.kept.get(&model);
    match (ended.word.as_str(), before) {
        ("cached", None) => return Err(format!("{step}: a false hit: {model}")),
        ("cached", Some(_)) if arg == Some("--refresh") => {
            return Err(format!("{step} is cached in a run that takes nothing"));
        }
        ("cached", Some(_)) => group.counts.hits += 1,
        (_, Some(before)) if arg != Some("--refresh") => {
            if before.is_disjoint(broken) {
                return Err(format!("{step}: an unexplained miss: {model}"));
            }
            group.counts.explained += 1;
            group.counts.misses += 1;
        }
        _ => group.counts.misses += 1,
    }
    if ended.word == "passed" {
        let record = files
            .iter()
            .find(|f| f.components().any(|c| c.as_os_str() == "action"));
        if !record.is_some_and(|r| is_sound(r)) {
            return Err(format!("{step}: its result was not kept: {model}"));
        }
        known.kept.insert(model, files);
    }
    Ok(())
}
