//! One deployment, done: what the machine says is next, with a real target and a real ledger. The one path of every driver,
//! of promotions and of rollbacks. Does not know steps, plans or views.

mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::driver::{Driver, Failure, Observed, Release};
use super::hands::{Call, Hands};
use super::lease::{Lost, beat, either};
use super::machine::{Answer, Do, Ending, Machine};
use super::ready::Readiness;
use super::verdict;
use crate::ledger::{
    Bundle, Cause, Current, Held, History, Ledger, LedgerError, Outcome, Record, Unmanaged, Way,
};

/// How long an undo may take.
const UNDO: Duration = Duration::from_secs(600);

/// How often an outcome is written again that could not be, and the pause before.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// How long it may take to find out whether the lease is still held.
const SURE: Duration = Duration::from_secs(10);

/// Asks for the lease to be renewed now.
type Beats = mpsc::Sender<oneshot::Sender<()>>;

/// A target as it is for one bundle: its fields have this bundle's values.
pub struct Made {
    /// What drives it.
    pub driver: Box<dyn Driver>,
    /// When it counts as ready.
    pub ready: Option<Readiness>,
    /// The values that were put in, by what was written.
    pub values: BTreeMap<String, String>,
}

/// Makes a target for a bundle, with the values that were recorded with it where it was deployed before.
pub type Make =
    Arc<dyn Fn(&Bundle, Option<&BTreeMap<String, String>>) -> Result<Made, Failure> + Send + Sync>;

/// Writes something down on the disk, before it happens.
pub type Journal = Arc<
    dyn Fn(&str) -> futures_util::future::BoxFuture<'static, Result<(), Failure>> + Send + Sync,
>;

/// What is to be deployed, and how.
#[derive(Clone)]
pub struct Request {
    /// The target's name.
    pub target: String,
    /// What it is to run.
    pub bundle: Bundle,
    /// Why.
    pub way: Way,
    /// Whether somebody asked for exactly this: a bad mark and a hold are then no obstacle.
    pub is_explicit: bool,
    /// The deployment's name on the ledger.
    pub name: String,
    /// The commands that undo it, where the file has some.
    pub rollback: Vec<Call>,
    /// Why a failed deployment stays where it is, where the file says so.
    pub stays: Option<String>,
    /// Whether a target may still go back to a commit.
    pub above_floor: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// The target.
    pub make: Make,
    /// Writes the intent on the disk.
    pub journal: Journal,
}

/// What a deployment went back to, or would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// A release.
    Release(Bundle),
    /// What `pipe` had not deployed.
    Unmanaged(Unmanaged),
    /// Nothing.
    Nothing,
}

/// Does it; gives how it ended, and what it went back to or would have.
pub async fn deploy(
    request: &Request,
    ledger: &Arc<Ledger>,
    hands: &mut Hands,
) -> (Ending, Before) {
    let mut work = Work {
        request,
        ledger,
        hands,
        name: request.name.clone(),
        made: None,
        back: None,
        unmanaged: None,
        from_nothing: false,
        before: Observed::default(),
        history: None,
        held: None,
        lost: Lost::default(),
        gave_up: false,
    };
    let mut machine = match request.way {
        Way::TakeAway { .. } => Machine::taking_away(),
        _ => Machine::new(),
    };
    loop {
        let doing = machine.doing().clone();
        tracing::debug!(?doing, target = request.target, "deployment");
        let answer = match doing {
            Do::End(ending) => return (ending, work.went_back_to()),
            Do::Lock => work.lock().await,
            Do::LookBefore => {
                let (answer, back) = work.look_before().await;
                if let Some(back) = back {
                    machine.goes_back(back);
                }
                answer
            }
            Do::Intend => work.intend().await,
            Do::Apply => work.apply().await,
            Do::AwaitReady => work.await_ready().await,
            Do::Compare => work.compare().await,
            Do::Undo => {
                let why = machine.failure().map_or("", |f| f.what.as_str());
                work.hands.say(&format!("failed: {why}")).await;
                work.undo().await
            }
            Do::AwaitBack => work.await_back().await,
            Do::CompareBack => work.compare_back().await,
            Do::Record(outcome) => work.record(outcome).await,
            Do::Unlock => work.unlock().await,
        };
        let is_over = matches!(machine.doing(), Do::Intend | Do::Record(_) | Do::Unlock);
        let answer = match work.lost.why() {
            Some(why) if !is_over => Answer::Lost(why),
            _ => answer,
        };
        machine.answer(answer);
    }
}

/// A deployment that goes on.
struct Work<'w> {
    request: &'w Request,
    ledger: &'w Arc<Ledger>,
    hands: &'w mut Hands,
    /// The deployment's name on the ledger.
    name: String,
    made: Option<Made>,
    back: Option<(Release, Made)>,
    /// What ran before, where that is no release, and the platform finds it again.
    unmanaged: Option<Unmanaged>,
    /// Whether the target was seen to run nothing before.
    from_nothing: bool,
    before: Observed,
    history: Option<History>,
    held: Option<(JoinHandle<Held>, CancellationToken, Beats)>,
    lost: Lost,
    /// Whether the ledger did not answer in the time that a run has which is to end.
    gave_up: bool,
}

impl Work<'_> {
    fn went_back_to(self) -> Before {
        match (self.back, self.unmanaged) {
            (Some((release, _)), _) => Before::Release(release.bundle),
            (None, Some(unmanaged)) => Before::Unmanaged(unmanaged),
            (None, None) => Before::Nothing,
        }
    }

    async fn lock(&mut self) -> Answer {
        let target = self.request.target.clone();
        let locked = on_ledger(self.ledger, move |l| l.lock(&target));
        match self.in_time(locked).await {
            Some(Ok(held)) => {
                if let Some(other) = &held.instead_of {
                    let line = format!("the lease of {} was over, and is taken", other.holder());
                    self.hands.say(&line).await;
                }
                let stop = CancellationToken::new();
                let (ledger, lost) = (Arc::clone(self.ledger), self.lost.clone());
                let name = self.request.target.clone();
                let (ask, asked) = mpsc::channel(1);
                let beat = tokio::spawn(beat(ledger, name, held, stop.clone(), lost, asked));
                self.hands.cancel = either(&self.hands.cancel, &self.lost.token);
                self.held = Some((beat, stop, ask));
                Answer::Done
            }
            Some(Err(error)) => Answer::Failed(before(&error)),
            None => Answer::Cancelled,
        }
    }

    /// Waits for the ledger; where the run is to end, no longer than anything else of it may take.
    async fn in_time<T>(
        &mut self,
        asked: impl Future<Output = Result<T, LedgerError>>,
    ) -> Option<Result<T, LedgerError>> {
        if self.gave_up {
            return None;
        }
        let (cancel, kill) = (self.hands.cancel.clone(), self.hands.kill.clone());
        let grace = self.hands.grace;
        let too_long = async {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = kill.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(grace) => {}
                () = kill.cancelled() => {}
            }
        };
        tokio::select! {
            answer = asked => Some(answer),
            () = too_long => {
                self.gave_up = true;
                None
            }
        }
    }

    async fn unlock(&mut self) -> Answer {
        let Some((beat, stop, _)) = self.held.take() else {
            return Answer::Done;
        };
        stop.cancel();
        let (ledger, lost) = (Arc::clone(self.ledger), self.lost.clone());
        let given_back = self.in_time(async move {
            match beat.await {
                Ok(held) if lost.why().is_none() => {
                    on_ledger(&ledger, move |l| l.unlock(&held)).await
                }
                _ => Ok(()),
            }
        });
        let why = match given_back.await {
            Some(Ok(())) => return Answer::Done,
            Some(Err(error)) => error.to_string(),
            None => "the ledger does not answer".to_owned(),
        };
        let target = &self.request.target;
        let line = format!("the lease of {target} is kept until it is over: {why}");
        self.hands.say(&line).await;
        Answer::Done
    }

    fn release(&self, bundle: &Bundle, history: &History, is_back: bool) -> Release {
        let id = bundle.id();
        let migrated = history.entries.iter().filter_map(|(_, e)| match &e.record {
            Record::Migrated { bundle, service } if *bundle == id => Some(service.clone()),
            _ => None,
        });
        Release {
            bundle: bundle.clone(),
            migrated: migrated.collect(),
            is_back,
        }
    }

    async fn intend(&mut self) -> Answer {
        if self.is_cancelled() {
            return Answer::Cancelled;
        }
        let (Some(history), Some(made)) = (self.history.take(), &self.made) else {
            return Answer::Failed(Failure::new("nobody has looked"));
        };
        let record = Record::Intent {
            deployment: self.name.clone(),
            bundle: self.request.bundle.clone(),
            way: self.request.way.clone(),
            back: self.back.as_ref().map(|(r, _)| r.bundle.id()),
            unmanaged: self.unmanaged.clone(),
            from_nothing: self.from_nothing,
            values: made.values.clone(),
        };
        if let Err(failure) = (self.request.journal)(&self.name).await {
            return Answer::Failed(failure);
        }
        let known = history.current();
        let written = on_ledger(self.ledger, move |ledger| {
            let mut history = history;
            loop {
                match ledger.append(&history, record.clone()) {
                    Err(LedgerError::Moved(target)) => {
                        history = ledger.history(&target)?;
                        // An approval may have come in between; a deployment may not.
                        if history.current() != known {
                            return Err(LedgerError::Moved(target));
                        }
                    }
                    other => return other,
                }
            }
        });
        match self.in_time(written).await {
            Some(Ok(history)) => {
                self.history = Some(history);
                Answer::Done
            }
            Some(Err(error)) => Answer::Failed(before(&error)),
            None => Answer::Cancelled,
        }
    }

    async fn apply(&mut self) -> Answer {
        let (Some(made), Some(history)) = (&self.made, &self.history) else {
            return Answer::Failed(Failure::new("nobody has looked"));
        };
        let is_back = self.request.way.goes_back();
        let release = self.release(&self.request.bundle, history, is_back);
        let done = made.driver.apply(&release, self.hands).await;
        self.answer(done)
    }

    async fn await_ready(&mut self) -> Answer {
        let (Some(made), Some(history)) = (&self.made, &self.history) else {
            return Answer::Failed(Failure::new("nobody has looked"));
        };
        let is_back = self.request.way.goes_back();
        let release = self.release(&self.request.bundle, history, is_back);
        let mut done = made.driver.ready(&release, self.hands).await;
        if let (Ok(()), Some(ready)) = (&done, &made.ready) {
            done = ready.wait(self.hands).await;
        }
        self.answer(done)
    }

    async fn compare(&mut self) -> Answer {
        let (Some(made), Some(history)) = (&self.made, &self.history) else {
            return Answer::Failed(Failure::new("nobody has looked"));
        };
        if made.driver.can_observe() {
            let bundle = &self.request.bundle;
            let driver = made.driver.as_ref();
            let observed = driver.observe(self.hands).await;
            let same = observed.and_then(|observed| verdict::runs(&observed, bundle, driver));
            if let Err(failure) = same {
                return self.answer(Err(failure));
            }
        }
        let release = self.release(&self.request.bundle, history, false);
        if let Err(failure) = made.driver.settle(&release, self.hands).await {
            let line = format!("something is left of the release before: {}", failure.what);
            self.hands.say(&line).await;
        }
        Answer::Done
    }

    /// Finds out now whether the target is still this run's to change, and not only with the next beat.
    async fn make_sure(&self) {
        let Some((.., ask)) = &self.held else { return };
        let (reply, told) = oneshot::channel();
        if ask.send(reply).await.is_ok() {
            // A ledger that cannot be reached is no reason to leave a target broken.
            let _ = tokio::time::timeout(SURE, told).await;
        }
    }

    async fn undo(&mut self) -> Answer {
        // To bring back what was there while another deploys would hurt.
        self.make_sure().await;
        if let Some(why) = self.lost.why() {
            return Answer::Lost(why);
        }
        // Not the token that may just have been cancelled, and a time of its own.
        self.hands.cancel = self.lost.token.child_token();
        self.hands.deadline = Some(Instant::now() + UNDO);
        let (Some(made), Some(history)) = (&self.made, &self.history) else {
            return Answer::Failed(Failure::new("nobody has looked"));
        };
        let from = self.release(&self.request.bundle, history, false);
        let to = self.back.as_ref();
        let line = match (to, &self.unmanaged) {
            (Some((release, _)), _) => format!("going back to {}", release.bundle.title()),
            (None, Some(unmanaged)) => {
                format!("going back to what ran before: {}", unmanaged.title())
            }
            (None, None) => "going back to nothing".to_owned(),
        };
        self.hands.say(&line).await;
        if !self.request.rollback.is_empty() {
            let mut vars = super::own::variables(&from.bundle, "PIPE_FAILED");
            if let Some((to, _)) = to {
                vars.extend(super::own::variables(&to.bundle, "PIPE"));
            }
            for call in &self.request.rollback {
                let call = call
                    .clone()
                    .env("PIPE_TARGET", &self.request.target)
                    .envs(&vars)
                    .here();
                if let Err(failure) = self.hands.run(call).await {
                    return Answer::Failed(failure);
                }
            }
            return Answer::Done;
        }
        let driver = to.map_or(&made.driver, |(_, back)| &back.driver);
        if let (None, Some(unmanaged)) = (to, &self.unmanaged) {
            let restoring = driver.restore(&from, &unmanaged.places, self.hands);
            return plain(restoring.await);
        }
        let done = driver
            .undo(&from, to.map(|(release, _)| release), self.hands)
            .await;
        plain(done)
    }

    async fn await_back(&mut self) -> Answer {
        let Some((release, back)) = &self.back else {
            let ready = self.made.as_ref().and_then(|made| made.ready.as_ref());
            return match (ready, &self.unmanaged) {
                (Some(ready), Some(unmanaged)) if unmanaged.ready => {
                    plain(ready.wait(self.hands).await)
                }
                _ => Answer::Done,
            };
        };
        let mut done = back.driver.ready(release, self.hands).await;
        if let (Ok(()), Some(ready)) = (&done, &back.ready) {
            done = ready.wait(self.hands).await;
        }
        plain(done)
    }

    async fn compare_back(&mut self) -> Answer {
        let Some(made) = self.back.as_ref().map(|(_, m)| m).or(self.made.as_ref()) else {
            return Answer::Done;
        };
        if !made.driver.can_observe() {
            return Answer::Done;
        }
        let driver = made.driver.as_ref();
        let observed = match driver.observe(self.hands).await {
            Ok(observed) => observed,
            Err(failure) => return Answer::Failed(failure),
        };
        plain(match (&self.back, &self.unmanaged) {
            (Some((release, _)), _) => verdict::runs(&observed, &release.bundle, driver),
            (None, Some(unmanaged)) => verdict::runs_as(&observed, &unmanaged.digests),
            (None, None) => verdict::runs_nothing(&observed),
        })
    }

    async fn record(&mut self, outcome: Outcome) -> Answer {
        let target = self.request.target.clone();
        let deployment = self.name.clone();
        let mut tries = 0;
        loop {
            let (target, deployment, outcome) =
                (target.clone(), deployment.clone(), outcome.clone());
            let written = on_ledger(self.ledger, move |l| {
                conclude(l, &target, &deployment, &outcome)
            });
            let killed = self.hands.kill.clone();
            let error = tokio::select! {
                written = written => match written {
                    Ok(_) => return Answer::Done,
                    Err(error) => error,
                },
                () = killed.cancelled() => return Answer::Cancelled,
            };
            tries += 1;
            let passing = error.cause() == Cause::Infrastructure
                || matches!(error, LedgerError::Refused { .. });
            if !passing || tries == TRIES || self.hands.kill.is_cancelled() {
                return Answer::Failed(of_ledger(&error));
            }
            tokio::time::sleep(PAUSE * tries).await;
        }
    }

    /// Asks the target what became of a deployment whose end is not recorded; finishes it or undoes it, and writes that down.
    async fn read(&mut self) -> Result<History, Failure> {
        let target = self.request.target.clone();
        let read = on_ledger(self.ledger, move |l| l.history(&target));
        match self.in_time(read).await {
            Some(read) => read.map_err(|e| before(&e)),
            None => Err(Failure::new("cancelled")),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.hands.cancel.is_cancelled() || self.hands.kill.is_cancelled()
    }

    fn answer(&self, done: Result<(), Failure>) -> Answer {
        match done {
            Ok(()) => Answer::Done,
            Err(_) if self.is_cancelled() => Answer::Cancelled,
            Err(failure) => Answer::Failed(failure),
        }
    }
}

pub(super) async fn is_ready(ready: Option<&Readiness>, hands: &mut Hands) -> bool {
    match ready {
        Some(ready) => ready.once(hands).await.is_ok(),
        None => true,
    }
}

/// Writes how a deployment ended, if it is still the one that is open.
fn conclude(
    ledger: &Ledger,
    target: &str,
    deployment: &str,
    outcome: &Outcome,
) -> Result<History, LedgerError> {
    loop {
        let history = ledger.history(target)?;
        match history.current() {
            Current::Interrupted(open) if open.deployment == deployment => {}
            _ if history.has_outcome(deployment, outcome) => return Ok(history),
            _ => return Err(LedgerError::Moved(target.to_owned())),
        }
        let record = Record::Outcome {
            deployment: deployment.to_owned(),
            outcome: outcome.clone(),
        };
        match ledger.append(&history, record) {
            Err(LedgerError::Moved(_)) => {}
            other => return other,
        }
    }
}

/// The ledger waits for git, which must not hold the loop.
pub(super) async fn on_ledger<T: Send + 'static>(
    ledger: &Arc<Ledger>,
    act: impl FnOnce(&Ledger) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, LedgerError> {
    let ledger = Arc::clone(ledger);
    tokio::task::spawn_blocking(move || act(&ledger))
        .await
        .unwrap_or_else(|e| Err(LedgerError::File(e.to_string())))
}

fn plain(done: Result<(), Failure>) -> Answer {
    match done {
        Ok(()) => Answer::Done,
        Err(failure) => Answer::Failed(failure),
    }
}

/// What a ledger's error means for a deployment that has changed nothing.
fn before(error: &LedgerError) -> Failure {
    let failure = of_ledger(error).help(format!("{}; nothing was changed", error.remedy()));
    match error.cause() {
        Cause::Infrastructure => failure.infrastructure(),
        Cause::Refused | Cause::Content => failure,
    }
}

/// What a ledger's error means for a deployment.
fn of_ledger(error: &LedgerError) -> Failure {
    let failure = Failure::new(error.to_string()).help(error.remedy());
    match error.cause() {
        Cause::Refused => failure.refused(),
        Cause::Infrastructure | Cause::Content => failure,
    }
}
