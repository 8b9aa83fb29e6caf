//! What the environment chooses: parts, shapes, sizes, peers, repetitions. Does not know what is done with it.

use std::str::FromStr;
use std::time::Duration;

/// What has taken so long is not measured once more, so that all of it ends within about ten minutes.
const ENOUGH: Duration = Duration::from_secs(40);

/// What is measured.
pub struct Settings {
    parts: Vec<String>,
    shapes: Vec<String>,
    peers: Vec<String>,
    /// How many jobs the graphs have.
    pub sizes: Vec<usize>,
    /// How often each thing is measured.
    reps: Option<usize>,
    /// What would take longer in one run is left out.
    pub limit: Duration,
    /// How many files are restored.
    pub files: usize,
    /// How large the one file is that is restored, in MB.
    pub big: usize,
    /// How many files are hashed.
    pub tree: usize,
    /// How many jobs run at once, for every peer.
    pub workers: usize,
}

impl Settings {
    /// From the variables `PEERS` and `PEERS_…`.
    pub fn read() -> Self {
        Self {
            parts: list("PEERS_PARTS", ""),
            shapes: list("PEERS_SHAPES", ""),
            peers: list("PEERS", ""),
            sizes: list("PEERS_SIZES", "10,100,1000,5000"),
            reps: list("PEERS_REPS", "").pop(),
            limit: Duration::from_secs(one("PEERS_LIMIT", 20)),
            files: one("PEERS_FILES", 1000),
            big: one("PEERS_BIG_MB", 500),
            tree: one("PEERS_TREE", 100_000),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Whether this part is wanted.
    pub fn part(&self, name: &str) -> bool {
        chosen(&self.parts, name)
    }

    /// Whether graphs of this shape are wanted.
    pub fn shape(&self, name: &str) -> bool {
        chosen(&self.shapes, name)
    }

    /// Whether this peer is wanted.
    pub fn peer(&self, name: &str) -> bool {
        chosen(&self.peers, name)
    }

    /// Whether a subject that was measured so often, in so long, is measured again.
    pub fn once_more(&self, done: usize, taken: Duration) -> bool {
        match self.reps {
            Some(reps) => done < reps.max(1),
            None => done == 0 || done < 3 && taken < ENOUGH,
        }
    }
}

/// Nothing chosen means everything.
fn chosen(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|n| n == name)
}

fn one<T: FromStr>(variable: &str, default: T) -> T {
    list(variable, "").pop().unwrap_or(default)
}

fn list<T: FromStr>(variable: &str, default: &str) -> Vec<T> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
    words
        .map(|w| {
            let value = w.parse().ok();
            value.unwrap_or_else(|| panic!("`{variable}` cannot be `{w}`"))
        })
        .collect()
}
