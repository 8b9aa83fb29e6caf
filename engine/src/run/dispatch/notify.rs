//! Tells people how the run ended, before it is over. Whoever does not want to wait for that does not have to.

use std::sync::Arc;

use super::{Dispatch, Signals};
use crate::notify;
use crate::run::deliver;
use crate::run::outcome::RunOutcome;

impl Dispatch<'_> {
    pub(super) async fn notify(&mut self, outcome: RunOutcome) {
        // Who cancels a run knows it; but not that something went wrong meanwhile.
        let cancelled = matches!(outcome, RunOutcome::Cancelled { .. });
        let Some(story) = self.story.take().filter(|_| !cancelled) else {
            return;
        };
        self.flush();
        let mut message = story.message(outcome, &deliver::origin(self.sight.run_id));
        message.text = self.masker.mask_str(&message.text).into_owned();
        let marker = format!(
            "{}-{}",
            std::process::id(),
            self.sight.options.scratch.display()
        );
        let sight = Arc::clone(&self.sight);
        let telling = notify::tell(&sight.options.notifiers, &message, &marker);
        let warnings = match Signals::listen() {
            Err(_) => telling.await,
            Ok(mut signals) => tokio::select! {
                warnings = telling => warnings,
                (_, name) = signals.next() => {
                    vec![format!("{name} came before everybody was told how the run ended")]
                }
            },
        };
        warnings.iter().for_each(|w| self.warn(w));
    }
}
