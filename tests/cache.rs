//! The cache from outside: what runs again and what does not, what is put back, what a fault does to it. Everything that
//! a run prints and leaves behind is compared whole.

mod basis;
mod damage;
mod faults;
mod kept;
mod key;
mod put_back;
mod secret;
mod several;
mod strange;
mod sweep;

use std::fmt::Write;
use std::path::PathBuf;

use crate::started::lines;
use crate::support::tree::tree;
use crate::support::{Output, Project};

/// What is told of a step: its name, how it ended, what it wrote.
type Step<'a> = (&'a str, &'a str, &'a str);

/// A project whose runs are counted. A job that appends to `../ran` is counted as well.
struct App {
    project: Project,
    runs: u64,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl App {
    /// A pipeline of one stage `t` with these jobs.
    fn new(jobs: &str) -> Self {
        Self::of(&format!(
            "pipeline app {{ shell sh; }}\nstage t {{\n{jobs}\n}}\n"
        ))
    }

    fn of(pipeline: &str) -> Self {
        Self {
            project: Project::with(pipeline),
            runs: 0,
            args: vec!["run".into()],
            env: Vec::new(),
        }
    }

    fn file(self, name: &str, text: &str) -> Self {
        self.project.write(name, text);
        self
    }

    /// Replaces a text of the pipeline.
    #[track_caller]
    fn define(&self, from: &str, to: &str) {
        let text = self.project.read("pipeline.kdl");
        assert!(text.contains(from), "{text}");
        self.project.write("pipeline.kdl", &text.replace(from, to));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path(name)
    }

    /// The store of whoever runs it.
    fn store(&self) -> PathBuf {
        self.project.home().join(".cache/pipe/v2")
    }

    /// Sets a variable for the runs to come.
    fn env(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.into(), value.into()));
    }

    /// The arguments of the runs to come.
    fn args(&mut self, args: &[&str]) {
        self.args = [&["run"], args]
            .concat()
            .iter()
            .map(|a| (*a).into())
            .collect();
    }

    fn run(&mut self) -> Output {
        self.runs += 1;
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let env: Vec<(&str, &str)> = self.env.iter().map(|(n, v)| (&**n, &**v)).collect();
        let out = self.project.pipe_env(&args, &env);
        Output {
            stdout: without_longest_path(&out.stdout),
            ..out
        }
    }

    /// Runs it: it succeeds and prints exactly this, and what passed is what really ran.
    #[track_caller]
    fn tells(&mut self, steps: &[Step<'_>]) {
        let warnings = self.tells_and_warns(steps);
        assert_eq!(warnings, Vec::<String>::new());
    }

    /// The same, with warnings, which are given back.
    #[track_caller]
    fn tells_and_warns(&mut self, steps: &[Step<'_>]) -> Vec<String> {
        let before = self.ran();
        let out = self.run().exits(0);
        let (stdout, warnings) = without_warnings(&out.stdout);
        assert_eq!(stdout, told(self.runs, "manual", steps), "{warnings:?}");
        assert_eq!(out.stderr, "");
        let ran: Vec<&str> = steps
            .iter()
            .filter(|s| s.1 == "passed")
            .map(|s| s.0)
            .collect();
        assert_eq!(self.ran()[before.len()..], ran);
        warnings
    }

    /// The jobs that ran, in order.
    fn ran(&self) -> Vec<String> {
        lines(&self.project, "../ran")
    }

    /// What is at a path of the project and beneath it.
    fn tree(&self, at: &str) -> Vec<String> {
        tree(&self.project.root(), at)
    }
}

/// What a run prints whose steps come one after the other.
fn told(run: u64, event: &str, steps: &[Step<'_>]) -> String {
    let count = steps.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut text = format!(" pipe 0.1.0  run {run}  {event}  {count} step{plural}\n");
    for (name, word, wrote) in steps {
        for line in wrote.lines() {
            let _ = writeln!(text, "{name} | {line}");
        }
        let _ = writeln!(text, "      {word} {name}  [t]");
    }
    let counts = ["passed", "cached"].map(|word| {
        let count = steps.iter().filter(|s| s.1 == word).count();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    let counts = counts.join(" · ");
    let _ = write!(text, "\n ok  {count} step{plural} in [t] · {counts}\n");
    text
}

/// The same text without the longest path, which is told of runs that took a while.
fn without_longest_path(text: &str) -> String {
    let line = |line: &str| match line.find(" · longest path ") {
        Some(end) => format!("{}\n", &line[..end]),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The same text without its warnings, and these.
fn without_warnings(text: &str) -> (String, Vec<String>) {
    let text = without_longest_path(text);
    let mut warnings = Vec::new();
    let mut rest = String::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("warning ") {
            Some(warning) => warnings.push(warning.to_owned()),
            None => {
                rest.push_str(line);
                rest.push('\n');
            }
        }
    }
    (rest, warnings)
}

/// One job that puts its inputs together in a folder.
const JOIN: &str = r##"
    job a {
        inputs "src/**"
        outputs "out"
        run #"echo a >> ../ran; rm -rf out; mkdir out; cat src/* > out/all; echo made"#
    }
"##;

/// The job, with two inputs.
fn join() -> App {
    App::new(JOIN).file("src/one", "1\n").file("src/two", "2\n")
}

/// The job has been run, or not, and this is in its output now.
#[track_caller]
fn joined(app: &mut App, word: &str, content: &str) {
    app.tells(&[("a", word, "made")]);
    let all = format!("out/all 644 {content:?}");
    assert_eq!(app.tree("out"), ["out/ 755".to_owned(), all]);
}
