//! `pipe unlock`: somebody has looked after a target. Lifts its lock and its hold, and takes away a lease that was left.

use engine::ledger::{Current, Record};
use engine::run::outcome::exit;
use jiff::Timestamp;

use super::targets::{ledger, target_named};
use crate::args::{Global, UnlockArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::confirm;
use crate::ui::out::Out;

/// Lifts what keeps a target from being changed.
///
/// # Errors
/// When the ledger cannot be written, or nobody says that it is meant.
pub fn run(global: &Global, args: &UnlockArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let target = target_named(&project, &args.target)?;
    let ledger = ledger(&project)?;
    let trouble = |e: engine::ledger::LedgerError| Failed::of_ledger(&e);
    let history = ledger.history(&target).map_err(trouble)?;
    let lease = ledger.lease(&target).map_err(trouble)?;
    let mut lifted = Vec::new();
    if let Some((_, lease)) = &lease {
        let state = if lease.is_over(Timestamp::now()) {
            "left"
        } else {
            "held"
        };
        lifted.push(format!("the lease {state} by {}", lease.holder()));
    }
    match history.current() {
        Current::Locked { outcome, .. } => lifted.push(format!("the lock ({})", outcome.word())),
        Current::Interrupted(left) => lifted.push(format!("the open deployment of {}", left.run)),
        _ => {}
    }
    if let Some(hold) = history.hold() {
        lifted.push(format!("the hold ({hold})"));
    }
    if lifted.is_empty() {
        out.line(&format!(" {target} is not locked"));
        return Ok(exit::OK);
    }
    let list = lifted.join(", ");
    if !args.yes && !confirm::confirm(&format!("lift {list} of {target}?"), out) {
        return Err(
            Failed::refused(format!("nothing was changed; this would lift {list}"))
                .hint("look at the target first; then add `--yes`"),
        );
    }
    if lease.is_some() {
        ledger.break_lock(&target).map_err(trouble)?;
    }
    let only_lease = lifted.len() == 1 && lease.is_some();
    if !only_lease {
        let record = Record::Unlocked {
            why: args.why.clone(),
        };
        ledger.note(&target, &record).map_err(trouble)?;
    }
    out.line(&format!(" {target}: lifted {list}"));
    Ok(exit::OK)
}
