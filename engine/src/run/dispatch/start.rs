//! How steps and undos are begun: armed, prepared, handed to a task. What becomes of them is heard by the loop.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use dsl::model::{Made, StepId};
use dsl::source::Span;
use tokio_util::sync::CancellationToken;

use super::ahead::Outlook;
use super::{Begun, Dispatch};
use crate::plan::{Plan, RunFacts, VertexId};
use crate::record::Journal;
use crate::run::caching;
use crate::run::deliver::DEPLOYMENT;
use crate::run::event::{Event, StepName};
use crate::run::outcome::Failure;
use crate::run::recipe::Recipe;
use crate::run::task::{image_output, version_output};
use crate::run::work::{self, Done, News, NotDone, Site, Work};
use crate::run::{prepare, results};

/// A step at work; what becomes of it is heard.
pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Dispatch<'_> {
    pub(super) fn start(&mut self, vertex: u32) {
        let cancel = CancellationToken::new();
        self.begun.insert(
            vertex,
            Begun {
                at: Instant::now(),
                attempts: 0,
                failure: None,
                outputs: BTreeMap::new(),
                key: None,
                in_run: None,
                cancel: cancel.clone(),
            },
        );
        let step = self.name(vertex as usize);
        let armed = self.arm(vertex, &step);
        if let (Ok(()), Some(done)) = (&armed, self.done_earlier(vertex)) {
            self.at_once.push_back((vertex, done));
            return;
        }
        let outlook = match armed {
            Ok(()) => self.outlook(vertex),
            Err(failure) => Outlook::ToBegin(Err(failure), None),
        };
        let cache = self.sight.options.cache.clone();
        if let (Outlook::InPlace((action, key)), Some(cache)) = (&outlook, &cache) {
            let site = || self.site(vertex, cancel.clone());
            if let Some((done, lines)) = caching::end_in_place(&step, action, *key, cache, &site) {
                if !lines.is_empty() {
                    self.emit(&Event::Output { step, lines });
                }
                self.at_once.push_back((vertex, done));
                return;
            }
        }
        let (recipe, missed) = match outlook {
            Outlook::ToBegin(recipe, missed) => (recipe, missed),
            Outlook::InPlace(_) => (self.sight.recipe(vertex, self.known()).0, None),
        };
        let work = recipe.and_then(|recipe| self.work(vertex, recipe));
        let site = self.site(vertex, cancel);
        self.emit(&Event::StepStarted { step });
        self.held.push(Box::pin(async move {
            let done = match (work, cache) {
                (Ok(work), Some(cache)) => caching::run(work, &site, &cache, missed).await,
                (Ok(work), None) => work::work(&work, &site).await,
                (Err(failure), _) => Done::not_begun(NotDone::NotBegun(failure)),
            };
            let _ = site.news.send(News::Done { vertex, done }).await;
        }));
    }

    /// Begins the steps that were held until nothing else was left to be heard of.
    pub(super) fn begin_held(&mut self) {
        for task in std::mem::take(&mut self.held) {
            self.spawn(task);
        }
    }

    /// The end of a step that the run which this one continues has done.
    fn done_earlier(&self, vertex: u32) -> Option<Done> {
        let resumed = self.sight.options.resumed.as_ref()?;
        let earlier = resumed.done.get(&vertex)?;
        Some(Done {
            outputs: earlier.outputs.clone(),
            key: earlier.key,
            in_run: Some(resumed.run),
            ..Done::new(Ok(()), 0)
        })
    }

    /// Takes over what the run which this one continues has made; gives the steps that are to be undone first. From
    /// here on this run answers for them.
    pub(super) fn take_over(&mut self) -> VecDeque<u32> {
        let Some(resumed) = self.sight.options.resumed.clone() else {
            return VecDeque::new();
        };
        for (vertex, earlier) in &resumed.done {
            self.outputs.insert(*vertex, earlier.outputs.clone());
            if let Some(dir) = &self.dir {
                let own = Path::new("artifacts").join(prepare::folder(&self.sight.plan, *vertex));
                if let Err(why) = results::take_over(&resumed.folder, &dir.path, &own) {
                    self.warn(&format!(
                        "an artifact of run {} is lost: {why}",
                        resumed.run
                    ));
                }
            }
        }
        for vertex in &resumed.owed {
            let step = self.name(*vertex as usize);
            if let Err(failure) = self.arm(*vertex, &step) {
                self.warn(&failure.what);
                self.undo_lost = true;
            }
        }
        resumed.owed.into()
    }

    /// What can be undone is written down before it begins; what cannot be written down does not begin.
    fn arm(&mut self, vertex: u32, step: &StepName) -> Result<(), Failure> {
        let planned = self.sight.plan.step(VertexId::new(vertex as usize));
        if planned.is_none_or(|s| !self.sight.plan.definition(s).is_armed()) {
            return Ok(());
        }
        let event = Event::Armed { step: step.clone() };
        self.write_down(&event).map_err(|e| {
            Failure::new(format!(
                "not begun, because its rollback could not be recorded: {e}"
            ))
            .help("make room on the disk, or make the folder .pipe writable; nothing was changed")
        })
    }

    /// Tells an event, and waits until it is on the disk.
    pub(super) fn write_down(&mut self, event: &Event) -> std::io::Result<()> {
        // What happened before is no part of this: it is recorded, or told not to be.
        self.record(Journal::flush);
        let at = self.now();
        let written = match &mut self.journal {
            Some(journal) => journal.append(at, event).and_then(|()| journal.sync()),
            None => Err(std::io::Error::other("the run has no journal")),
        };
        self.subscribers.iter_mut().for_each(|s| s.event(event));
        written
    }

    pub(super) fn undo(&mut self, vertex: u32) {
        let step = self.name(vertex as usize);
        self.undo_began.insert(vertex, Instant::now());
        self.emit(&Event::UndoStarted { step });
        let work = self.work(vertex, None).map(|work| {
            let outputs = self.outputs.get(&vertex);
            let deployment = outputs.and_then(|o| o.get(DEPLOYMENT));
            prepare::undo(
                &self.sight.plan,
                vertex,
                work,
                deployment.map(String::as_str),
            )
        });
        let site = self.site(vertex, CancellationToken::new());
        self.spawn(async move {
            let done = match work {
                Ok(work) => work::undo(&work, &site).await,
                Err(failure) => Done::not_begun(NotDone::NotBegun(failure)),
            };
            let _ = site.news.send(News::Undone { vertex, done }).await;
        });
    }

    fn work(&self, vertex: u32, recipe: Option<Arc<Recipe>>) -> Result<Work, Failure> {
        let facts = self.sight.facts(vertex, self.known());
        let artifacts = self.sight.artifacts.as_deref();
        prepare::work(
            &self.sight.plan,
            vertex,
            &self.sight.options,
            self.sight.run_id,
            &facts,
            artifacts,
            recipe,
        )
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.forget_seen();
        self.tasks.spawn(task);
    }

    fn site(&self, vertex: u32, cancel: CancellationToken) -> Site {
        let name = self.name(vertex as usize);
        Site {
            root: self.sight.options.root.clone(),
            artifacts: self.dir.as_ref().map(|d| {
                let own = prepare::folder(&self.sight.plan, vertex);
                (d.path.clone(), Path::new("artifacts").join(own))
            }),
            log: self.dir.as_ref().map(|d| d.log(&name)),
            scratch: self.sight.options.scratch.clone(),
            spares: self.spares.clone(),
            masker: Arc::clone(&self.masker),
            outer: self.sight.options.outer,
            grace: self.sight.options.grace,
            cancel,
            kill: self.kill.clone(),
            news: self.news.clone(),
            vertex,
            printed: Arc::clone(&self.printed),
            rivals: Arc::clone(self.sight.rivals()),
            origin: Arc::clone(&self.origin),
            engine: self.sight.options.engine.clone(),
            late: self.sight.options.late.clone(),
            images: self.sight.options.images.clone(),
        }
    }
}

/// What the steps that ran so far have put out, as one of them sees it.
pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run_id: u64,
    pub(super) outputs: &'a BTreeMap<u32, BTreeMap<String, String>>,
    pub(super) vertex: u32,
}

impl RunFacts for Facts<'_> {
    fn run_id(&self) -> Option<String> {
        Some(self.run_id.to_string())
    }

    fn output(&self, at: Span, name: &str) -> Option<Result<String, String>> {
        let plan = self.plan;
        let own = plan.step(VertexId::new(self.vertex as usize))?;
        let maker: StepId = plan.definition(own).maker_of_output(at)?;
        let vertex = plan
            .steps()
            .find(|(_, s)| s.id == maker)
            .map(|(v, _)| v.index());
        let outputs = vertex.and_then(|v| self.outputs.get(&u32::try_from(v).ok()?));
        let value = outputs.and_then(|o| o.get(name));
        Some(match (value, outputs) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(known)) if !known.is_empty() => {
                let known: Vec<&str> = known.keys().map(String::as_str).collect();
                Err(format!(
                    "it was not put out; known are {}",
                    known.join(", ")
                ))
            }
            (None, _) => {
                Err("that step put nothing out; it appends `name=value` to $PIPE_OUTPUT".into())
            }
        })
    }

    fn image(&self, name: &str, digest: bool) -> Option<Result<String, String>> {
        let plan = self.plan;
        let known = |vertex: VertexId| {
            let vertex = u32::try_from(vertex.index()).ok()?;
            let outputs = self.outputs.get(&vertex)?;
            outputs.get(&image_output(name, digest)).cloned()
        };
        let makers = plan.makers_of_image(VertexId::new(self.vertex as usize), name, !digest);
        let value = makers.into_iter().rev().find_map(known);
        Some(value.ok_or_else(|| "no step of this run has built it".to_owned()))
    }

    fn version(&self, name: &str) -> Option<String> {
        let plan = self.plan;
        let own = plan.step(VertexId::new(self.vertex as usize))?;
        let makers = plan.makers(own, &Made::Version(name.to_owned()));
        makers.into_iter().rev().find_map(|vertex| {
            let vertex = u32::try_from(vertex.index()).ok()?;
            let outputs = self.outputs.get(&vertex)?;
            outputs.get(version_output(name).as_str()).cloned()
        })
    }
}

/// Facts, and whether somebody wanted to know one.
pub(super) struct Asking<'a> {
    facts: &'a dyn RunFacts,
    asked: Cell<bool>,
}

impl<'a> Asking<'a> {
    pub(super) fn of(facts: &'a dyn RunFacts) -> Self {
        Self {
            facts,
            asked: Cell::new(false),
        }
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked.get()
    }

    fn ask(&self) -> &'a dyn RunFacts {
        self.asked.set(true);
        self.facts
    }
}

impl RunFacts for Asking<'_> {
    fn run_id(&self) -> Option<String> {
        self.ask().run_id()
    }

    fn output(&self, at: Span, name: &str) -> Option<Result<String, String>> {
        self.ask().output(at, name)
    }

    fn image(&self, name: &str, digest: bool) -> Option<Result<String, String>> {
        self.ask().image(name, digest)
    }

    fn version(&self, name: &str) -> Option<String> {
        self.ask().version(name)
    }
}
