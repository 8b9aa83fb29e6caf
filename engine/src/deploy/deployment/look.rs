//! What is looked at before a deployment begins: what was interrupted is settled, what runs is asked, and the way back is
//! found. Touches nothing that is new.

use super::super::driver::Failure;
use super::super::machine::{Answer, Back};
use super::super::settled::settled;
use super::super::verdict;
use super::{Made, Work, conclude, is_ready, of_ledger, on_ledger};
use crate::ledger::{Current, History, Interrupted, Outcome, Record, Unmanaged, Way};

impl Work<'_> {
    pub(super) async fn look_before(&mut self) -> (Answer, Option<Back>) {
        match self.look().await {
            Ok((answer, back)) => (answer, back),
            Err(_) if self.is_cancelled() => (Answer::Cancelled, None),
            Err(failure) => (Answer::Failed(failure), None),
        }
    }

    async fn look(&mut self) -> Result<(Answer, Option<Back>), Failure> {
        let mut history = self.read().await?;
        if let Current::Interrupted(left) = history.current() {
            history = self.settle(&left, history).await?;
        }
        let request = self.request;
        if let Way::TakeAway { deployment } = &request.way {
            return self.look_at_what_goes(deployment, history).await;
        }
        if let Current::Locked { outcome, .. } = history.current()
            && !request.way.goes_back()
        {
            return Err(locked(&request.target, &outcome));
        }
        self.refused(&history)?;
        let made = (request.make)(
            &request.bundle,
            history
                .values_of(&request.bundle.id())
                .filter(|_| request.way.goes_back()),
        )?;
        let release = self.release(&request.bundle, &history, request.way.goes_back());
        made.driver.look_before(&release, self.hands).await?;
        if made.driver.can_observe() {
            self.before = made.driver.observe(self.hands).await?;
        }
        let runs_it = match history.current() {
            Current::Healthy(release) => release.bundle.id() == request.bundle.id(),
            _ => false,
        };
        if runs_it
            && made.driver.can_observe()
            && verdict::runs(&self.before, &request.bundle, made.driver.as_ref()).is_ok()
            && is_ready(made.ready.as_ref(), self.hands).await
            && made.driver.is_unchanged(self.hands).await?
        {
            let line = format!(
                "{} runs there already, and is ready",
                request.bundle.title()
            );
            self.hands.say(&line).await;
            return Ok((Answer::Already, None));
        }
        made.driver.check(&release, self.hands).await?;
        let back = self.find_back(&history, &made).await?;
        self.say_back(&back).await;
        self.made = Some(made);
        self.history = Some(history);
        Ok((Answer::Done, Some(back)))
    }

    /// Whether what is to be taken away still runs, and what was there before it.
    async fn look_at_what_goes(
        &mut self,
        deployment: &str,
        history: History,
    ) -> Result<(Answer, Option<Back>), Failure> {
        let (target, bundle) = (&self.request.target, &self.request.bundle);
        match history.current() {
            Current::Nothing => return Ok((Answer::Already, None)),
            Current::Healthy(release) if release.bundle.id() == bundle.id() => {}
            _ => {
                let help = format!("`pipe history {target}` shows by whom");
                let what = format!("{target} has been changed since, and is left as it is");
                return Err(Failure::new(what).help(help));
            }
        }
        let made = (self.request.make)(bundle, history.values_of(&bundle.id()))?;
        let release = self.release(bundle, &history, true);
        made.driver.look_before(&release, self.hands).await?;
        self.unmanaged = history.unmanaged(deployment).cloned();
        if let Some(unmanaged) = &self.unmanaged
            && !made.driver.keeps(&unmanaged.places, self.hands).await?
        {
            let what = format!(
                "what ran on {target} before is gone, and was not deployed by pipe: {}",
                unmanaged.title()
            );
            let help = format!(
                "{target} is left as it is: healthy, with {}",
                bundle.title()
            );
            return Err(Failure::new(what).help(help));
        }
        self.from_nothing = self.unmanaged.is_none();
        self.made = Some(made);
        self.history = Some(history);
        let back = match self.from_nothing {
            true => Back::ToNothing,
            false => Back::ToUnmanaged,
        };
        Ok((Answer::Done, Some(back)))
    }

    /// What was recorded about the bundle or the target may forbid it.
    fn refused(&self, history: &History) -> Result<(), Failure> {
        let request = self.request;
        if request.is_explicit {
            return Ok(());
        }
        let target = &request.target;
        if let Some(why) = history.bad().get(&request.bundle.id()) {
            return Err(Failure::new(format!(
                "{} has failed on {target} before: {why}",
                request.bundle.title()
            ))
            .help(format!(
                "correct it and build it anew; to try the same once more, run the step by its name with `--yes`; `pipe history {target}` shows what happened"
            ))
            .refused());
        }
        if matches!(request.way, Way::Promotion { .. })
            && let Some(why) = history.hold()
        {
            return Err(Failure::new(format!(
                "promotion to {target} is on hold since a deployment was rolled back ({why})"
            ))
            .help(format!(
                "promote by hand with `pipe promote`, or lift the hold with `pipe unlock {target}`"
            ))
            .refused());
        }
        Ok(())
    }

    async fn find_back(&mut self, history: &History, made: &Made) -> Result<Back, Failure> {
        let request = self.request;
        if request.way.goes_back() {
            return Ok(Back::None("going back is tried once".to_owned()));
        }
        if request.stays.is_some() && request.rollback.is_empty() {
            return Ok(Back::Stays);
        }
        let ways = history.ways_back(&request.bundle.id());
        let mut gone = Vec::new();
        for way in &ways {
            let title = way.bundle.title();
            if !(request.above_floor)(&way.bundle.commit) {
                gone.push(format!("{title} is below the rollback floor"));
                continue;
            }
            let back = (request.make)(&way.bundle, history.values_of(&way.bundle.id()))?;
            if !back.driver.can_have(&way.bundle, self.hands).await? {
                gone.push(format!("the images of {title} are gone"));
                continue;
            }
            let release = self.release(&way.bundle, history, true);
            self.back = Some((release, back));
            return Ok(Back::To(way.bundle.id()));
        }
        if !ways.is_empty() {
            return Ok(Back::None(gone.join(", ")));
        }
        if made.driver.can_observe() && !self.before.is_empty() {
            let runs_it = verdict::runs(&self.before, &request.bundle, made.driver.as_ref());
            if runs_it.is_ok() {
                return Ok(Back::None("the same images run there already".to_owned()));
            }
            if self.is_unmanaged(history, made)
                && let Some(places) = made.driver.remembers(self.hands).await?
            {
                self.unmanaged = Some(Unmanaged {
                    places,
                    digests: self.before.digests.clone(),
                    ready: is_ready(made.ready.as_ref(), self.hands).await,
                });
                return Ok(Back::ToUnmanaged);
            }
            return Ok(Back::None(format!(
                "{} runs there, and was not deployed by pipe",
                self.before.shown()
            )));
        }
        self.from_nothing = made.driver.can_observe();
        Ok(Back::ToNothing)
    }

    /// Whether what runs there came from elsewhere, and is nothing that a deployment left behind.
    fn is_unmanaged(&self, history: &History, made: &Made) -> bool {
        let is_left = |bundle| verdict::runs(&self.before, bundle, made.driver.as_ref()).is_ok();
        let tried = history.entries.iter().any(|(_, e)| match &e.record {
            Record::Intent { bundle, .. } => is_left(bundle),
            _ => false,
        });
        history.current() == Current::Nothing && !tried
    }

    async fn say_back(&self, back: &Back) {
        let line = match (back, &self.back) {
            (Back::ToUnmanaged, _) => format!(
                "if it fails, it goes back to what runs there now, which pipe has not deployed: {}",
                self.unmanaged
                    .as_ref()
                    .map_or(String::new(), Unmanaged::title)
            ),
            (Back::To(_), Some((release, _))) => {
                format!("if it fails, it goes back to {}", release.bundle.title())
            }
            (Back::None(_), _) if self.request.way.goes_back() => {
                format!("going back to {}", self.request.bundle.title())
            }
            (Back::None(why), _) => format!("there is no way back: {why}"),
            (Back::Stays, _) => format!(
                "if it fails, it stays: {}",
                self.request.stays.as_deref().unwrap_or_default()
            ),
            _ => "nothing runs there; if it fails, it goes back to nothing".to_owned(),
        };
        self.hands.say(&line).await;
    }

    async fn settle(&mut self, left: &Interrupted, history: History) -> Result<History, Failure> {
        let line = format!(
            "{} began to deploy {} and was interrupted; asking the target what runs",
            left.run,
            left.bundle.title()
        );
        self.hands.say(&line).await;
        let make = &self.request.make;
        let new = make(&left.bundle, history.values_of(&left.bundle.id()))?;
        let back = left.back.as_ref().and_then(|id| history.bundle(id));
        let back = match back {
            Some(bundle) => {
                let made = make(bundle, history.values_of(&bundle.id()))?;
                Some((self.release(bundle, &history, true), made))
            }
            None => None,
        };
        let outcome = settled(left, &new, back.as_ref(), self.hands).await?;
        self.hands
            .say(&format!(
                "the interrupted deployment is settled: {}",
                outcome.word()
            ))
            .await;
        let (target, deployment) = (self.request.target.clone(), left.deployment.clone());
        on_ledger(self.ledger, move |l| {
            conclude(l, &target, &deployment, &outcome)
        })
        .await
        .map_err(|e| of_ledger(&e))
    }
}

/// Why a target takes nothing.
fn locked(target: &str, outcome: &Outcome) -> Failure {
    let why = match outcome {
        Outcome::PartlyRolledBack { why, undo } => format!("{why}; its undo: {undo}"),
        Outcome::Unknown { why } => why.clone(),
        _ => String::new(),
    };
    Failure::new(format!("{target} is locked, {}: {why}", outcome.word()))
        .help(format!(
            "`pipe rollback {target}` tries to bring the last healthy release back; once it is right by hand, `pipe unlock {target}`"
        ))
        .refused()
}
