//! `pipe history`: what happened to a target, newest first.

use engine::ledger::{Outcome, Record};
use engine::run::outcome::exit;

use super::targets::{ledger, target_named};
use crate::args::{Global, HistoryArgs, HumanOrJson};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{BAD, DIM, GOOD, paint};

/// Shows the records.
///
/// # Errors
/// When the ledger cannot be read.
pub fn run(global: &Global, args: &HistoryArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let target = target_named(&project, &args.target)?;
    let ledger = ledger(&project)?;
    let history = ledger.history(&target).map_err(|e| Failed::of_ledger(&e))?;
    let entries = history.entries.iter().rev().take(args.number);
    if args.format == HumanOrJson::Json {
        let entries: Vec<_> = entries.map(|(_, e)| e).collect();
        out.line(&serde_json::to_string_pretty(&entries).unwrap_or_default());
        return Ok(exit::OK);
    }
    if history.entries.is_empty() {
        out.line(&format!(" nothing happened to {target} yet"));
    }
    for (_, entry) in entries {
        let told = history.told(entry);
        let what = told.strip_prefix(&format!("{target}: ")).unwrap_or(&told);
        let style = match &entry.record {
            Record::Outcome {
                outcome: Outcome::Healthy,
                ..
            } => GOOD,
            Record::Outcome { .. } => BAD,
            _ => DIM,
        };
        let at = entry.at.split('.').next().unwrap_or_default();
        let at = at.trim_end_matches('Z').replace('T', " ");
        out.line(&format!(" {}  {}", paint(DIM, &at), paint(style, what)));
        out.line(&paint(DIM, &format!("   by {}, {}", entry.by, entry.run)));
    }
    Ok(exit::OK)
}
