//! The jobs that every peer is given: what they need, read, write and run. Does not know who runs them.

/// The file to which some jobs add their number: it tells which of them really ran.
pub const RAN: &str = "ran";

/// One job. Its name is `j` and its place in the list.
pub struct Job {
    /// The job that it needs.
    pub need: Option<usize>,
    /// A file, or a folder followed by `/**`.
    pub input: String,
    /// A file, or a folder followed by `/**`.
    pub output: String,
    /// For a shell.
    pub command: String,
}

impl Job {
    /// A job that does not say whether it ran.
    pub fn new(need: Option<usize>, input: &str, output: &str, command: String) -> Self {
        Self {
            need,
            input: input.to_owned(),
            output: output.to_owned(),
            command,
        }
    }

    /// The same, and it says when it ran.
    pub fn traced(mut self, at: usize) -> Self {
        self.command = format!("{} && echo {at} >> {RAN}", self.command);
        self
    }
}

/// How the jobs of a graph hang together: always so many lines side by side, in which each job needs the one before.
#[derive(Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    lines: usize,
    /// The most jobs of a graph that is measured.
    most: usize,
}

/// Every shape.
pub const SHAPES: [Shape; 3] = [
    Shape {
        name: "wide",
        lines: usize::MAX,
        most: usize::MAX,
    },
    Shape {
        name: "chain",
        lines: 1,
        most: 1000,
    },
    Shape {
        name: "layered",
        lines: 100,
        most: usize::MAX,
    },
];

impl Shape {
    /// Why there is no such graph.
    pub fn left_out(self, count: usize) -> Option<String> {
        if count > self.most {
            return Some(format!("a {} has at most {} jobs", self.name, self.most));
        }
        let is_wide = self.lines >= count && self.lines != usize::MAX;
        is_wide.then(|| format!("{count} jobs in layers of {} are wide", self.lines))
    }

    /// The graph with so many jobs: each copies one file.
    pub fn graph(self, count: usize) -> Graph {
        let lines = self.lines.min(count);
        let middle = lines / 2;
        let job = |at: usize| {
            let need = at.checked_sub(lines);
            let input = need.map_or(format!("in/{at}"), |n| format!("out/{n}"));
            let output = format!("out/{at}");
            let job = Job::new(need, &input, &output, format!("cp {input} {output}"));
            if at == 0 || at == middle {
                job.traced(at)
            } else {
                job
            }
        };
        Graph {
            lines,
            middle,
            last: (middle..count).step_by(lines).next_back().unwrap_or(middle),
            jobs: (0..count).map(job).collect(),
        }
    }
}

/// Jobs, and how they hang together.
pub struct Graph {
    pub jobs: Vec<Job>,
    /// How many of them need nothing.
    pub lines: usize,
    /// The job whose input is changed.
    pub middle: usize,
    /// The job at the end of its line.
    pub last: usize,
}

/// The jobs that no other job needs.
pub fn last_ones(jobs: &[Job]) -> impl Iterator<Item = usize> {
    let mut needed = vec![false; jobs.len()];
    for need in jobs.iter().filter_map(|j| j.need) {
        needed[need] = true;
    }
    (0..jobs.len()).filter(move |at| !needed[*at])
}
