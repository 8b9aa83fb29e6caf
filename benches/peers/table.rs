//! The figures of one subject as a table: medians, ratios, peak memory. Does not know how they were got.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::measure::Run;

/// The rows under one headline: what was done, by each peer.
struct Section {
    name: &'static str,
    /// The row to which the others are compared.
    base: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    times: Vec<Duration>,
    peak: u64,
    notes: BTreeSet<String>,
}

/// All that was measured of one subject.
pub struct Table {
    title: String,
    /// How busy the machine was before.
    load: String,
    sections: Vec<Section>,
}

impl Table {
    /// A table without rows; each section has a name and the row to which its others are compared.
    pub fn new(title: String, sections: &[(&'static str, &'static str)]) -> Self {
        let section = |&(name, base): &(&'static str, &'static str)| Section {
            name,
            base,
            rows: Vec::new(),
        };
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            title,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            sections: sections.iter().map(section).collect(),
        }
    }

    /// Adds what one run gave.
    pub fn add(&mut self, section: &str, name: &str, run: &Run, notes: Vec<String>) {
        let section = self.sections.iter_mut().find(|s| s.name == section);
        let rows = &mut section.expect("a section of this table").rows;
        let at = rows.iter().position(|r| r.name == name);
        let at = at.unwrap_or_else(|| {
            rows.push(Row {
                name: name.to_owned(),
                times: Vec::new(),
                peak: 0,
                notes: BTreeSet::new(),
            });
            rows.len() - 1
        });
        let row = &mut rows[at];
        row.times.push(run.time);
        row.peak = row.peak.max(run.peak);
        row.notes.extend(run.fault.clone().into_iter().chain(notes));
    }

    /// The median of one row.
    pub fn median(&self, section: &str, name: &str) -> Option<Duration> {
        let section = self.sections.iter().find(|s| s.name == section)?;
        section.median(name)
    }

    /// For people.
    pub fn print(&self, rounds: usize) {
        println!(
            "\n## {}; rounds: {rounds}; load before: {}\n",
            self.title, self.load
        );
        for section in self.sections.iter().filter(|s| !s.rows.is_empty()) {
            section.print();
        }
    }
}

impl Section {
    fn median(&self, name: &str) -> Option<Duration> {
        let row = self.rows.iter().find(|r| r.name == name)?;
        Some(median(row.times.clone()))
    }

    fn print(&self) {
        println!(
            "{:<26} {:>12} {:>12} {:>8} {:>9}",
            self.name, "median ms", "least ms", "ratio", "peak MB"
        );
        let base = self.median(self.base);
        for row in &self.rows {
            let time = median(row.times.clone());
            let ratio = base.filter(|b| !b.is_zero()).map_or("-".to_owned(), |b| {
                format!("{:.2}", time.as_secs_f64() / b.as_secs_f64())
            });
            let peak = match row.peak {
                0 => "-".to_owned(),
                kib => format!("{:.1}", kib as f64 * 1.024e-3),
            };
            let star = if row.name == self.base { " *" } else { "" };
            let name = format!("  {}{star}", row.name);
            let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
            let least = row.times.iter().min().copied().unwrap_or_default();
            let (time, least) = (milliseconds(time), milliseconds(least));
            let notes: Vec<_> = row.notes.iter().map(|n| format!("  ! {n}")).collect();
            println!(
                "{name:<26} {time:>12.1} {least:>12.1} {ratio:>8} {peak:>9}{}",
                notes.concat()
            );
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = |at: usize| times.get(at / 2).copied().unwrap_or_default();
    let count = times.len();
    (middle(count.saturating_sub(1)) + middle(count)) / 2
}
