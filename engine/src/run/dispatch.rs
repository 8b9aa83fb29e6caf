//! The loop of a run: steps, signals and time on the one side, the schedule core and the subscribers on the other.
//! The only place that talks to all of them.

mod ahead;
mod notify;
mod roots;
mod start;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dsl::units::millis;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::ahead::{Ahead, Sight};
use self::roots::Roots;
use self::start::Task;
use super::circumstances::circumstances;
use super::event::{Event, StepName, Subscriber};
use super::outcome::{Failure, Means, Outcome, RunOutcome, UndoOutcome};
use super::registries::Registries;
use super::resume::Resumed;
use super::schedule::{self, Command, Core, SkipReason, State, StepResult};
use super::signals::{self, Signals};
use super::spare::Spares;
use super::work::{Done, News, NotDone};
use super::{prepare, secrets::Secrets, tools};
use crate::cache::{Action, Cache, Digest};
use crate::container::{Engine, Late};
use crate::files::Folders;
use crate::notify::{Notifier, Story};
use crate::oci::Layout;
use crate::output::{Masker, OuterCi};
use crate::plan::{Plan, PlannedStep, VertexId};
use crate::process::guardian;
use crate::record::{Journal, RunDir};

/// How often subscribers are told that time goes on.
const TICK: Duration = Duration::from_millis(100);

/// Why a run ends whose guardian is gone: the process that a shell waited for.
pub const GUARDIAN_KILLED: &str = "its guardian was killed";

/// How a plan is run.
pub struct Options {
    /// The pipeline's folder.
    pub root: PathBuf,
    /// Steps that run at once at most.
    pub jobs: u32,
    /// Whether the first failure stops everything.
    pub fail_fast: bool,
    /// How many runs are around this one: a job may run `pipe run`.
    pub depth: u32,
    /// How long a step that is asked to end may take.
    pub grace: Duration,
    /// The values of the secrets that the steps name.
    pub secrets: Secrets,
    /// What masks them.
    pub masker: Arc<Masker>,
    /// The CI in which this runs, if it takes commands from output.
    pub outer: OuterCi,
    /// Where the run is recorded; `None` where nothing can be written.
    pub record: Option<(RunDir, Journal)>,
    /// A folder for files that live as long as the run.
    pub scratch: PathBuf,
    /// The results of earlier runs; `None`: everything runs, and nothing is kept.
    pub cache: Option<Arc<Cache>>,
    /// How long results may still be sent elsewhere when everything else has ended.
    pub remote_wait: Duration,
    /// Steps that run whatever the cache has, by name or stage; their results are not kept either.
    pub uncached: Vec<String>,
    /// What an earlier run has done that this one continues.
    pub resumed: Option<Resumed>,
    /// Cancels the run from outside, with the reason.
    pub cancel: CancellationToken,
    /// The container engine, where a step needs one.
    pub engine: Option<Arc<Engine>>,
    /// The engine for what may not need it.
    pub late: Option<Arc<Late>>,
    /// Where images are kept that the run builds.
    pub images: Layout,
    /// The hash of the pipeline's texts.
    pub definition: String,
    /// How registries are reached.
    pub registries: Registries,
    /// Who is told how the run ended.
    pub notifiers: Vec<Notifier>,
}

impl Options {
    /// The usual grace.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// For a folder, with nothing special.
    #[must_use]
    pub fn of(root: PathBuf) -> Self {
        Self {
            scratch: root.clone(),
            images: Layout::at(&root.join(".pipe/images")),
            root,
            jobs: 1,
            fail_fast: false,
            depth: 0,
            grace: Self::GRACE,
            secrets: Secrets::default(),
            masker: Arc::new(Masker::new(&[] as &[(&str, &[u8])]).0),
            outer: OuterCi::None,
            record: None,
            cache: None,
            remote_wait: Duration::ZERO,
            uncached: Vec::new(),
            resumed: None,
            cancel: CancellationToken::new(),
            engine: None,
            late: None,
            definition: String::new(),
            registries: Registries::default(),
            notifiers: Vec::new(),
        }
    }

    /// Whether somebody wants a step to run in any case.
    pub(super) fn is_uncached(&self, plan: &Plan, step: &PlannedStep) -> bool {
        let own = &plan.definition(step).name.value;
        let full = plan.pipeline.full_name(step.id);
        let names = [own, &full, &step.name, &plan.stages[step.stage].name];
        self.uncached.iter().any(|u| names.contains(&u))
    }
}

/// How many ends are heard of before anything else gets its turn.
const AT_ONCE: usize = 256;

/// Who makes the results of a run, for a person.
fn origin(dir: Option<&RunDir>) -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    match dir {
        Some(dir) => format!("run {} on {host}", dir.id),
        None => format!("a run on {host}"),
    }
}

/// Runs a plan to its end.
pub async fn run(
    plan: &Arc<Plan>,
    options: Options,
    subscribers: &mut [Box<dyn Subscriber>],
) -> RunOutcome {
    guardian::leave_group();
    let (news, inbox) = mpsc::channel(64);
    let mut dispatch = Dispatch::new(plan, options, subscribers, news);
    // Before anything is told: whoever is told may not come back soon.
    let signals = Signals::listen();
    signals::listen();
    dispatch.begin();
    let outcome = dispatch.until_the_end(signals, inbox).await;
    dispatch.close_cache();
    dispatch.notify(outcome).await;
    dispatch.emit(&Event::RunEnded {
        outcome,
        elapsed: dispatch.now(),
    });
    dispatch.end();
    outcome
}

/// What is known of a step that has begun.
struct Begun {
    at: Instant,
    attempts: u32,
    failure: Option<Failure>,
    outputs: BTreeMap<String, String>,
    key: Option<Digest>,
    in_run: Option<u64>,
    cancel: CancellationToken,
}

struct Dispatch<'a> {
    sight: Arc<Sight>,
    journal: Option<Journal>,
    dir: Option<RunDir>,
    subscribers: &'a mut [Box<dyn Subscriber>],
    core: Core,
    roots: Roots,
    /// By vertex: how long it is from there to the end.
    remaining: Vec<u64>,
    begun: BTreeMap<u32, Begun>,
    outputs: BTreeMap<u32, BTreeMap<String, String>>,
    /// The results that steps of this run have, as they are kept.
    made: BTreeMap<u32, Arc<Action>>,
    /// Steps of an earlier run that are undone before this one begins, and whether it has not begun.
    owed: VecDeque<u32>,
    owes: bool,
    /// Steps whose end is known and not heard yet.
    at_once: VecDeque<(u32, Done)>,
    /// Steps that begin when those are heard: as long as nobody works in the checkout, others are seen at a glance.
    held: Vec<Task>,
    printed: Arc<tools::Printed>,
    /// What was seen of the checkout while nobody worked in it: its folders, and steps whose turn is to come.
    folders: Folders,
    ahead: Option<Ahead>,
    /// How many steps in a row had their result in place.
    in_a_row: usize,
    origin: Arc<str>,
    /// What people are told, if somebody wants to hear.
    story: Option<Story>,
    undo_began: BTreeMap<u32, Instant>,
    spares: Spares,
    tasks: JoinSet<()>,
    news: mpsc::Sender<News>,
    masker: Arc<Masker>,
    kill: CancellationToken,
    began: Instant,
    finished: bool,
    failed: bool,
    refused: bool,
    broken: bool,
    waits: bool,
    undone: bool,
    undo_lost: bool,
    cancelled_by: Option<i32>,
}

impl<'a> Dispatch<'a> {
    fn new(
        plan: &Arc<Plan>,
        mut options: Options,
        subscribers: &'a mut [Box<dyn Subscriber>],
        news: mpsc::Sender<News>,
    ) -> Self {
        let (dir, journal) = options
            .record
            .take()
            .map_or((None, None), |(d, j)| (Some(d), Some(j)));
        let story = (!options.notifiers.is_empty()).then(Story::default);
        let names = plan.graph.node_indices().map(|v| match plan.step(v) {
            Some(step) => StepName::from(step.name.as_str()),
            None => StepName::from(""),
        });
        let sight = Arc::new(Sight {
            names: names.collect(),
            run_id: dir.as_ref().map_or(0, |d| d.id),
            artifacts: dir.as_ref().map(|d| d.path.join("artifacts")),
            rivals: OnceLock::new(),
            circumstances: circumstances(plan, &options),
            plan: Arc::clone(plan),
            options,
        });
        let remaining = plan.remaining();
        // Beside all that is still to be done before the first step begins.
        let ahead = Ahead::of_those_left(&sight, &remaining, &BTreeMap::new());
        let (graph, limits) = prepare::graph(plan, &sight.options, &remaining);
        let core = Core::new(graph, &limits);
        Self {
            origin: origin(dir.as_ref()).into(),
            roots: Roots::default(),
            remaining,
            masker: Arc::clone(&sight.options.masker),
            journal,
            dir,
            subscribers,
            core,
            begun: BTreeMap::new(),
            outputs: BTreeMap::new(),
            made: BTreeMap::new(),
            owed: VecDeque::new(),
            owes: true,
            at_once: VecDeque::new(),
            held: Vec::new(),
            printed: Arc::default(),
            sight,
            folders: Folders::default(),
            ahead,
            in_a_row: 0,
            story,
            undo_began: BTreeMap::new(),
            spares: Spares::default(),
            tasks: JoinSet::new(),
            news,
            kill: CancellationToken::new(),
            began: Instant::now(),
            finished: false,
            failed: false,
            refused: false,
            broken: false,
            waits: false,
            undone: false,
            undo_lost: false,
            cancelled_by: None,
        }
    }

    fn begin(&mut self) {
        let context = &self.sight.plan.request.context;
        let event = Event::RunStarted {
            run: self.sight.run_id,
            pipeline: self.sight.plan.pipeline.name.clone(),
            trigger: context.event.name().to_owned(),
            at: context
                .git
                .tag
                .clone()
                .or_else(|| context.git.branch.clone()),
            sha: context.git.sha.clone(),
            continues: self.sight.options.resumed.as_ref().map(|r| r.run),
            steps: self
                .sight
                .plan
                .steps()
                .map(|(id, _)| self.name(id.index()))
                .collect(),
        };
        self.emit(&event);
    }

    async fn until_the_end(
        &mut self,
        signals: std::io::Result<Signals>,
        mut inbox: mpsc::Receiver<News>,
    ) -> RunOutcome {
        let mut signals = match signals {
            Ok(signals) => signals,
            Err(e) => {
                self.warn(&format!("signals cannot be handled: {e}"));
                return RunOutcome::NeedsAttention;
            }
        };
        let orphaned = guardian::orphaned();
        let outside = self.sight.options.cancel.clone();
        self.owed = self.take_over();
        self.next_owed();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        while !self.finished {
            self.flush();
            if self.at_once.is_empty() {
                self.begin_held();
            }
            tokio::select! {
                biased;
                (number, name) = signals.next() => {
                    if self.signalled(number, name) {
                        return RunOutcome::Cancelled { signal: number };
                    }
                }
                () = orphaned.cancelled(), if self.cancelled_by.is_none() => {
                    self.signalled(9, GUARDIAN_KILLED);
                }
                () = outside.cancelled(), if self.cancelled_by.is_none() => {
                    self.signalled(15, "a newer run of its concurrency group");
                }
                () = std::future::ready(()), if !self.at_once.is_empty() => self.hear_at_once(),
                Some(message) = inbox.recv() => self.hear(message),
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.joined(ended),
                _ = tick.tick() => self.subscribers.iter_mut().for_each(|s| s.tick()),
            }
        }
        if self.cancelled_by.is_none() {
            self.finish_remote(&mut signals).await;
        }
        self.outcome()
    }

    /// A task that panicked would leave its step running for ever.
    fn joined(&mut self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(e) = ended {
            self.warn(&format!("pipe has a bug, please report it: {e}"));
            self.undo_lost = true;
            self.finished = true;
        }
    }

    fn outcome(&self) -> RunOutcome {
        match self.cancelled_by {
            _ if self.undo_lost => RunOutcome::NeedsAttention,
            Some(signal) => RunOutcome::Cancelled { signal },
            None if self.undone && (self.failed || self.broken) => RunOutcome::RolledBack,
            None if self.failed => RunOutcome::Failed,
            None if self.broken => RunOutcome::Infrastructure,
            None if self.refused => RunOutcome::Refused,
            None if self.waits => RunOutcome::Waiting,
            None => RunOutcome::Passed,
        }
    }

    /// Whether to leave at once.
    fn signalled(&mut self, number: i32, why: &str) -> bool {
        if self.kill.is_cancelled() {
            return true;
        }
        if self.cancelled_by.is_some() {
            self.emit(&Event::Killing);
            self.kill.cancel();
            if !self.owes {
                let commands = self.core.on_event(schedule::Event::Kill);
                self.obey(commands);
            }
            return false;
        }
        self.cancelled_by = Some(number);
        self.leave_remote();
        let running: Vec<StepName> = self
            .begun
            .keys()
            .filter(|v| self.is_running(**v))
            .map(|v| self.name(*v as usize))
            .collect();
        self.emit(&Event::Cancelling {
            why: why.to_owned(),
            running,
        });
        if !self.owes {
            let commands = self.core.on_event(schedule::Event::Cancel);
            self.obey(commands);
        }
        false
    }

    fn is_running(&self, vertex: u32) -> bool {
        matches!(
            self.core.state(schedule::VertexId(vertex)),
            State::Running | State::Stopping
        )
    }

    fn hear(&mut self, message: News) {
        match message {
            News::Lines { vertex, lines } => {
                let step = self.name(vertex as usize);
                self.emit(&Event::Output { step, lines });
            }
            News::Retry {
                vertex,
                attempt,
                failure,
                wait,
            } => {
                let step = self.name(vertex as usize);
                let wait = millis(wait);
                let failure = self.masked(failure);
                self.emit(&Event::Retry {
                    step,
                    attempt,
                    failure,
                    wait,
                });
            }
            News::Warning { text } => self.warn(&text),
            News::Tell { event } => self.emit(&event),
            News::Intent { event, written } => {
                let done = self.write_down(&event);
                // Whoever asked may be gone; then nothing is begun.
                let _ = written.send(done.map_err(|e| e.to_string()));
            }
            News::Done { vertex, done } => self.done(vertex, done),
            News::Undone { vertex, done } => self.undone(vertex, done),
        }
    }

    /// Hears of some of the steps that ended as soon as they were looked at. Not of all: a signal comes first.
    fn hear_at_once(&mut self) {
        for _ in 0..AT_ONCE {
            let Some((vertex, done)) = self.at_once.pop_front() else {
                return;
            };
            self.done(vertex, done);
        }
    }

    fn done(&mut self, vertex: u32, done: Done) {
        let Done {
            result,
            attempts,
            outputs,
            key,
            made,
            cached,
            in_run,
        } = done;
        let result = match result {
            Ok(()) => StepResult::Passed { cached },
            Err(NotDone::Cancelled) => StepResult::Cancelled,
            Err(NotDone::NotNeeded(why)) => {
                self.remember(vertex, Failure::new(why));
                StepResult::NotNeeded
            }
            Err(NotDone::Failed(failure)) => {
                self.remember(vertex, failure);
                StepResult::Failed
            }
            Err(NotDone::NotBegun(failure)) => {
                self.remember(vertex, failure);
                StepResult::NotBegun
            }
        };
        if let Some(begun) = self.begun.get_mut(&vertex) {
            begun.attempts = attempts;
            begun.key = key;
            begun.in_run = in_run;
            let mask = |v: String| self.masker.mask_str(&v).into_owned();
            begun.outputs = outputs
                .iter()
                .map(|(n, v)| (n.clone(), mask(v.clone())))
                .collect();
        }
        self.outputs.insert(vertex, outputs);
        if let Some(made) = made {
            self.made.insert(vertex, made);
        }
        let v = schedule::VertexId(vertex);
        let commands = self.core.on_event(schedule::Event::Finished { v, result });
        self.obey(commands);
    }

    fn remember(&mut self, vertex: u32, failure: Failure) {
        let failure = self.masked(failure);
        if let Some(begun) = self.begun.get_mut(&vertex) {
            begun.failure = Some(failure);
        }
    }

    /// Begins what an earlier run has left to be undone, one after the other; then the run itself.
    fn next_owed(&mut self) {
        match self.owed.pop_front() {
            _ if self.undo_lost || self.cancelled_by.is_some() => self.finished = true,
            Some(vertex) => self.undo(vertex),
            None => {
                self.owes = false;
                let commands = self.core.start();
                self.obey(commands);
            }
        }
    }

    fn undone(&mut self, vertex: u32, done: Done) {
        let outcome = match done.result {
            Ok(()) | Err(NotDone::NotNeeded(_)) => UndoOutcome::RolledBack,
            Err(NotDone::Failed(failure) | NotDone::NotBegun(failure)) => {
                UndoOutcome::RollbackFailed {
                    failure: self.masked(failure),
                }
            }
            Err(NotDone::Cancelled) => UndoOutcome::RollbackFailed {
                failure: Failure::new("killed before it ended"),
            },
        };
        let ok = outcome == UndoOutcome::RolledBack;
        self.end_undo(vertex, outcome);
        if self.owes {
            self.undone = false;
            self.next_owed();
            return;
        }
        let v = schedule::VertexId(vertex);
        let commands = self.core.on_event(schedule::Event::UndoFinished { v, ok });
        self.obey(commands);
    }

    fn end_undo(&mut self, vertex: u32, outcome: UndoOutcome) {
        match outcome {
            UndoOutcome::RolledBack => self.undone = true,
            _ => self.undo_lost = true,
        }
        let elapsed = self
            .undo_began
            .get(&vertex)
            .map_or(0, |at| millis(at.elapsed()));
        let step = self.name(vertex as usize);
        self.emit(&Event::UndoEnded {
            step,
            outcome,
            elapsed,
        });
        self.sync();
    }

    /// Does what the core says. A step that cannot even begin is heard of like one that ran.
    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Start(v) => self.start(v.0),
                Command::Stop(v) => {
                    if let Some(begun) = self.begun.get(&v.0) {
                        begun.cancel.cancel();
                    }
                }
                Command::Undo(v) => self.undo(v.0),
                Command::UndoDropped(v) => self.end_undo(v.0, UndoOutcome::Dropped),
                Command::Settled { v, state } => self.settled(v.0, state),
                Command::Finish => self.finished = true,
            }
        }
    }

    fn settled(&mut self, vertex: u32, state: State) {
        let Some(planned) = self.sight.plan.step(VertexId::new(vertex as usize)) else {
            return;
        };
        let can_be_undone = self.sight.plan.definition(planned).rollback.is_some();
        let begun = self.begun.get_mut(&vertex);
        let failure = begun.as_ref().and_then(|b| b.failure.clone());
        let failure = failure.unwrap_or_else(|| Failure::new("failed"));
        let outcome = match state {
            State::Passed { cached: true } => Outcome::Cached,
            State::Passed { .. } => Outcome::Passed,
            State::SoftFailed => Outcome::SoftFailed { failure },
            State::Failed if failure.means == Some(Means::Waiting) => Outcome::Waiting { failure },
            State::Failed => Outcome::Failed { failure },
            State::Skipped(SkipReason::NotNeeded) => Outcome::Skipped {
                reason: failure.what,
                blocked: false,
            },
            State::Skipped(reason) => prepare::skipped(&self.sight.plan, reason, &mut |v| {
                self.roots.of(&self.sight.plan, &self.core, v)
            }),
            _ => Outcome::Cancelled,
        };
        let (elapsed, attempts, key, in_run, outputs) = match begun {
            Some(b) => (
                millis(b.at.elapsed()),
                b.attempts,
                b.key,
                b.in_run,
                std::mem::take(&mut b.outputs),
            ),
            None => (0, 0, None, None, BTreeMap::new()),
        };
        self.count(&outcome);
        let step = self.name(vertex as usize);
        if let Some(cache) = &self.sight.options.cache {
            if outcome == Outcome::Passed && !self.made.contains_key(&vertex) && in_run.is_none() {
                cache.steps().took(&step, elapsed);
            }
            if let Some(key) = key {
                cache.steps().saw(&step, key);
            }
        }
        self.emit(&Event::StepEnded {
            step,
            outcome,
            elapsed,
            attempts,
            in_run,
            key,
            outputs,
        });
        // What can be undone is known to have ended before anything builds on it.
        if can_be_undone {
            self.sync();
        }
    }

    /// What an outcome means for the whole run.
    fn count(&mut self, outcome: &Outcome) {
        let means = outcome.failure().and_then(|f| f.means);
        // A target that needs somebody needs them whatever the step may do.
        self.undo_lost |= means == Some(Means::NeedsAttention);
        match (outcome, means) {
            (Outcome::Waiting { .. }, _) => self.waits = true,
            (Outcome::Failed { .. }, Some(Means::Refused)) => self.refused = true,
            (Outcome::Failed { .. }, Some(Means::Infrastructure)) => self.broken = true,
            (Outcome::Failed { .. }, Some(Means::RolledBack)) => {
                self.failed = true;
                self.undone = true;
            }
            (Outcome::Failed { .. }, _) => self.failed = true,
            _ => {}
        }
    }

    /// Waits for what is still being sent elsewhere; whoever wants the run to end does not wait.
    async fn finish_remote(&mut self, signals: &mut Signals) {
        let cache = self.sight.options.cache.clone();
        let Some(remote) = cache.as_ref().and_then(|c| c.remote()) else {
            return;
        };
        // What has happened is told before, not after.
        self.flush();
        let orphaned = guardian::orphaned();
        tokio::select! {
            biased;
            _ = signals.next() => {}
            () = orphaned.cancelled() => {}
            () = self.sight.options.cancel.cancelled() => {}
            () = remote.finish(self.sight.options.remote_wait) => {}
        }
        remote.stop();
    }

    /// A run that is to end asks nobody elsewhere any more.
    fn leave_remote(&self) {
        if let Some(remote) = self.sight.options.cache.as_ref().and_then(|c| c.remote()) {
            remote.stop();
        }
    }

    fn close_cache(&mut self) {
        if let Some(cache) = self.sight.options.cache.clone() {
            cache.close();
            while let Some(text) = cache.trouble() {
                self.warn(&text);
            }
        }
    }

    fn name(&self, vertex: usize) -> StepName {
        self.sight.names[vertex].clone()
    }

    fn masked(&self, failure: Failure) -> Failure {
        let mask = |text: String| self.masker.mask_str(&text).into_owned();
        Failure {
            what: mask(failure.what),
            command: failure.command.map(mask),
            help: failure.help.map(mask),
            exit: failure.exit,
            means: failure.means,
        }
    }

    fn warn(&mut self, text: &str) {
        let text = self.masker.mask_str(text).into_owned();
        self.emit(&Event::Warning { text });
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    /// Records an event and tells it. A journal that cannot be written ends with one warning; the run goes on.
    fn emit(&mut self, event: &Event) {
        if let Some(story) = &mut self.story {
            story.event(event);
        }
        let at = self.now();
        let trouble = self
            .journal
            .as_mut()
            .and_then(|j| j.append(at, event).err());
        self.subscribers.iter_mut().for_each(|s| s.event(event));
        if let Some(e) = trouble {
            self.journal = None;
            let text = format!("the run is no longer recorded: {e}");
            self.subscribers
                .iter_mut()
                .for_each(|s| s.event(&Event::Warning { text: text.clone() }));
        }
    }

    fn sync(&mut self) {
        self.record(Journal::sync);
    }

    /// Before anything is waited for: whoever waits outside for what happened finds it.
    fn flush(&mut self) {
        self.record(Journal::flush);
        self.subscribers.iter_mut().for_each(|s| s.flush());
    }

    fn end(&mut self) {
        self.record(Journal::end);
        self.subscribers.iter_mut().for_each(|s| s.flush());
    }

    fn record(&mut self, write: impl FnOnce(&mut Journal) -> std::io::Result<()>) {
        if let Some(e) = self.journal.as_mut().and_then(|j| write(j).err()) {
            self.journal = None;
            self.warn(&format!("the run is no longer recorded: {e}"));
        }
    }
}
