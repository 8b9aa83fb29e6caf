//! A step that need not run: its key, its result found and put in place, its log told again; and what is kept of a step
//! that ran. Starts nothing but the commands of a `key`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dsl::model::{Job, KeyPart};
use tokio::task::spawn_blocking;

use super::capture::Capture;
use super::outcome::Failure;
use super::recipe::{Recipe, products};
use super::rivals::Rivals;
use super::work::{self, Done, News, NotDone, Site, Work};
use super::{build, directories, place, results, task, tools};
use crate::cache::basis::Basis;
use crate::cache::{self, Action, Cache, Digest, Key, Made, snapshot};
use crate::files::{Folders, Glance, Patterns};

/// A key with everything in it.
#[derive(Debug)]
pub struct Keyed {
    /// Its hash, under which a result stands.
    pub digest: Digest,
    /// Its document.
    pub text: Vec<u8>,
    /// The document's content.
    pub key: Key,
}

impl Keyed {
    fn of(key: Key) -> Self {
        let text = key.text();
        Self {
            digest: Digest::of(&text),
            text,
            key,
        }
    }
}

/// Log and files of this size, and so many of them, are handled on the loop's own thread.
const LITTLE: u64 = 64 << 10;
const FEW: usize = 32;

/// The whole key of a recipe. `tools` is what the commands in its `key` printed.
///
/// # Errors
/// What cannot be read.
pub(super) fn keyed(
    recipe: &Recipe,
    root: &Path,
    cache: &Cache,
    tools: &BTreeMap<String, String>,
    glance: Option<&Glance<'_>>,
) -> Result<Keyed, String> {
    let index = cache.index();
    let nothing = Patterns::default();
    let mut key = recipe.key.clone();
    let products = patterns(&recipe.products)?;
    key.inputs = match &recipe.context {
        None => snapshot::inputs(root, &patterns(&recipe.inputs)?, &products, index, glance)?,
        Some(context) => {
            let ignored = build::ignored(root, context);
            let wanted = patterns(&ignored.patterns())?;
            let mut files = snapshot::inputs(root, &wanted, &products, index, glance)?;
            files.retain(|path, _| ignored.sends(path));
            files
        }
    };
    for part in &recipe.parts {
        let (name, value) = match part {
            KeyPart::File(pattern) => file_part(pattern, root, cache, glance)?,
            KeyPart::Run(command) => {
                let printed = tools.get(command).cloned().unwrap_or_default();
                (format!("(run) {command}"), printed)
            }
            // These are in the key already.
            KeyPart::Os | KeyPart::Arch | KeyPart::Text(_) | KeyPart::Env(_) => continue,
        };
        key.parts.insert(name, value);
    }
    for (maker, (_, made)) in &recipe.makers {
        let files = snapshot::inputs(root, &patterns(made)?, &nothing, index, glance)?;
        key.taken
            .insert(format!("what {maker} made"), content(&files));
    }
    for take in &recipe.takes {
        let digest = match take.known {
            Some(known) => known,
            None => artifact(&take.kept)?,
        };
        key.taken.insert(take.name.clone(), digest.hex());
    }
    Ok(Keyed::of(key))
}

/// The name and the value of a part that is the content of files.
///
/// # Errors
/// What cannot be read.
pub(super) fn file_part(
    pattern: &str,
    root: &Path,
    cache: &Cache,
    glance: Option<&Glance<'_>>,
) -> Result<(String, String), String> {
    let (one, nothing) = (patterns(&[pattern.to_owned()])?, Patterns::default());
    let files = snapshot::inputs(root, &one, &nothing, cache.index(), glance)?;
    Ok((format!("(file) {pattern}"), content(&files)))
}

/// One line for several files.
fn content(files: &BTreeMap<String, String>) -> String {
    match files.len() {
        0 => "no file".to_owned(),
        1 => files.values().cloned().collect(),
        many => format!("{many} files {}", listing(files)),
    }
}

fn listing(files: &BTreeMap<String, String>) -> Digest {
    Digest::of(&serde_json::to_vec(files).unwrap_or_default())
}

/// The content of an artifact that a run keeps in a folder.
fn artifact(kept: &Path) -> Result<Digest, String> {
    let index = cache::index::Index::blank();
    let all = patterns(&[".".to_owned()])?;
    let files = snapshot::inputs(kept, &all, &Patterns::default(), &index, None)?;
    Ok(listing(&files))
}

/// The same of an artifact in a result.
pub(super) fn artifact_of(action: &Action, name: &str) -> Option<Digest> {
    let mut files = BTreeMap::new();
    for path in action.artifacts.get(name)? {
        let at = action.outputs.binary_search_by(|e| e.path.cmp(path)).ok()?;
        let text = match &action.outputs[at].is {
            cache::Is::File { digest, mode, .. } if mode & 0o111 == 0 => format!("file {digest}"),
            cache::Is::File { digest, .. } => format!("executable {digest}"),
            cache::Is::Folder { .. } => continue,
            // What is behind a link is for whoever reads the folder.
            cache::Is::Link { .. } => return None,
        };
        files.insert(path.clone(), text);
    }
    Some(listing(&files))
}

pub(super) fn patterns(list: &[String]) -> Result<Patterns, String> {
    Patterns::new(list.iter().map(String::as_str)).map_err(|e| e.to_string())
}

/// Whether the answer can be had in no time: few files, named one by one, that are known or short.
fn is_little(recipe: &Recipe, root: &Path, cache: &Cache, glance: Option<&Glance<'_>>) -> bool {
    let is_little = |p: &&str| snapshot::is_little(root, p, cache.index(), glance);
    recipe
        .files()
        .is_some_and(|files| files.iter().all(is_little))
}

/// Remembers what the key of a step rests on, if that is known for certain; `glance` is what was seen while the key was
/// found out.
fn note(step: &str, recipe: &Recipe, key: Digest, root: &Path, cache: &Cache, glance: &Glance<'_>) {
    let basis = recipe.circumstances.zip(recipe.files());
    let basis = basis.and_then(|(circumstances, files)| {
        Basis::of(circumstances, key, &files, root, cache.index(), glance)
    });
    if let Some(basis) = basis {
        cache.steps().rests_on(step, basis);
    }
}

/// Whether what a step has made can be kept in no time: few files, named one by one, that are short, and a short log.
fn makes_little(recipe: &Recipe, site: &Site, cache: &Cache) -> bool {
    let is_little = |p: &String| snapshot::is_little(&site.root, p, cache.index(), None);
    let log = site.log.as_ref().map(std::fs::metadata);
    // A step that was silent has none.
    let is_short = log.is_none_or(|log| log.map_or(true, |l| l.len() <= LITTLE));
    recipe.products.len() <= FEW && recipe.products.iter().all(is_little) && is_short
}

/// A result that is there, and its key.
pub(super) type Found = (Arc<Action>, Digest);

/// The key of a step that has no result under it; nothing where it takes a closer look to know.
pub(super) type Missed = Option<Box<Keyed>>;

/// A step that is looked at before anything is prepared for it.
pub(super) struct Look<'l> {
    /// Its full name.
    pub(super) step: &'l str,
    pub(super) vertex: u32,
    pub(super) root: &'l Path,
    pub(super) cache: &'l Cache,
    pub(super) rivals: &'l Rivals,
    /// What was seen a moment ago.
    pub(super) glance: Glance<'l>,
}

impl Look<'_> {
    /// The result of a job whose key is what it was, because nothing has changed that it rests on; none where that or the
    /// result would take a closer look. Changes nothing.
    pub(super) fn as_before(&self, job: &Job, circumstances: &Digest) -> Option<Found> {
        let basis = self.cache.steps().basis(self.step)?;
        let key = basis.key(circumstances, self.root, self.cache.index(), &self.glance)?;
        let action = self.cache.find(self.step, &key)?;
        let products: Vec<&str> = products(job).collect();
        let is_there = job.artifacts.is_empty() && self.is_in_place(&action, &products);
        is_there.then_some((action, key))
    }

    /// The result of the step, where it costs next to nothing to know that it is in place; its log is short. Changes
    /// nothing.
    ///
    /// # Errors
    /// What is known where it is not.
    pub(super) fn at_once(&self, recipe: &Recipe) -> Result<Found, Missed> {
        if !is_little(recipe, self.root, self.cache, Some(&self.glance)) {
            return Err(None);
        }
        let keyed = self.keyed(recipe).map_err(|_| None)?;
        let Some(action) = self.cache.find(self.step, &keyed.digest) else {
            return Err(Some(Box::new(keyed)));
        };
        let products: Vec<&str> = recipe.products.iter().map(String::as_str).collect();
        if recipe.hands_on || !self.is_in_place(&action, &products) {
            return Err(None);
        }
        let (root, cache) = (self.root, self.cache);
        note(self.step, recipe, keyed.digest, root, cache, &self.glance);
        Ok((action, keyed.digest))
    }

    /// The key, of a recipe for which nothing has to be run.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn keyed(&self, recipe: &Recipe) -> Result<Keyed, String> {
        let nothing = BTreeMap::new();
        keyed(recipe, self.root, self.cache, &nothing, Some(&self.glance))
    }

    fn is_in_place(&self, action: &Action, products: &[&str]) -> bool {
        let (index, glance) = (self.cache.index(), Some(&self.glance));
        // Another step may be making such a file now.
        let contested = self.rivals.contested(self.vertex, &paths(action));
        let is_short = action.log.is_none_or(|log| log.size <= LITTLE);
        // What a run would not have left is removed where there is time for it.
        contested.is_none()
            && is_short
            && snapshot::is_in_place(self.root, &action.outputs, index, glance)
            && snapshot::is_all(self.root, products, &action.outputs, glance)
    }
}

/// The end of a step whose result is in place, with the lines that it wrote; none if its log is not there.
pub(super) fn end_in_place(
    step: &str,
    action: &Arc<Action>,
    key: Digest,
    cache: &Cache,
    site: &dyn Fn() -> Site,
) -> Option<(Done, Vec<String>)> {
    let mut lines = Vec::new();
    if let Some(log) = action.log {
        let bytes = cache.store().get(&log.digest, LITTLE).ok()?;
        let site = site();
        let mut capture = Capture::new(&site);
        lines = capture.again(&site, &bytes);
        // A log that cannot be written says so in the run that made it.
        let _ = capture.finish();
    }
    cache.used(step, action);
    Some((hit(action, key), lines))
}

fn paths(action: &Action) -> Vec<&str> {
    action.outputs.iter().map(|e| e.path.as_str()).collect()
}

fn hit(action: &Arc<Action>, key: Digest) -> Done {
    Done {
        outputs: action.values.clone(),
        key: Some(key),
        made: Some(Arc::clone(action)),
        cached: true,
        ..Done::new(Ok(()), 0)
    }
}

/// Runs a step, or gives the result that is there.
pub(super) async fn run(work: Work, site: &Site, cache: &Arc<Cache>, missed: Missed) -> Done {
    let Some(mut recipe) = work.recipe.clone() else {
        return worked(&work, site, cache).await;
    };
    if !recipe.images.is_empty() {
        let known = match place::images(&recipe.images, site).await {
            Ok(known) => known,
            Err(not_done) => return Done::not_begun(not_done),
        };
        let recipe = Arc::make_mut(&mut recipe);
        Arc::make_mut(&mut recipe.key.setting).extend(known);
        recipe.images.clear();
        // Another engine may have another image of the name.
        recipe.circumstances = None;
    }
    let printed = match tools::printed(&recipe, &work, site).await {
        Ok(printed) => printed,
        Err(not_done) => return Done::not_begun(not_done),
    };
    let (keyed, is_miss) = match missed {
        Some(keyed) => (*keyed, true),
        None => match key_of(&recipe, site, cache, &printed).await {
            Ok(keyed) => (keyed, false),
            Err(why) => {
                let text = format!("the result of {} is not kept: {why}", work.name);
                warn(site, text).await;
                return worked(&work, site, cache).await;
            }
        },
    };
    if !is_miss || cache.remote().is_some() {
        match found(&work, site, cache, &recipe, &keyed).await {
            Ok(Some(done)) => return done,
            // It may have taken a while.
            Ok(None) if site.cancel.is_cancelled() => return Done::not_begun(NotDone::Cancelled),
            Ok(None) => {}
            Err(failure) => return Done::not_begun(NotDone::NotBegun(failure)),
        }
    }
    tell(site, cache).await;
    nothing_matches(&work, site, &keyed).await;
    let began = Instant::now();
    let mut done = worked(&work, site, cache).await;
    done.key = Some(keyed.digest);
    let millis = dsl::units::millis(began.elapsed());
    if done.result.is_ok() {
        done.made = kept(&work, site, cache, &recipe, &printed, keyed, &done, millis).await;
    } else {
        let cache = Arc::clone(cache);
        // Only so that the next run can say what has changed.
        let _ = spawn_blocking(move || cache.keep_key(&keyed.text)).await;
    }
    tell(site, cache).await;
    done
}

/// Runs a step, with its kept directories.
async fn worked(work: &Work, site: &Site, cache: &Arc<Cache>) -> Done {
    let directories = match directories::bring(work, site, cache).await {
        Ok(directories) => directories,
        Err(not_done) => return Done::not_begun(not_done),
    };
    let done = work::work(work, site).await;
    if done.result.is_ok() {
        directories::keep(site, cache, directories).await;
    }
    done
}

async fn key_of(
    recipe: &Arc<Recipe>,
    site: &Site,
    cache: &Arc<Cache>,
    printed: &BTreeMap<String, String>,
) -> Result<Keyed, String> {
    if is_little(recipe, &site.root, cache, None) {
        return keyed(recipe, &site.root, cache, printed, None);
    }
    let (recipe, root) = (Arc::clone(recipe), site.root.clone());
    let (cache, printed) = (Arc::clone(cache), printed.clone());
    let computed = spawn_blocking(move || keyed(&recipe, &root, &cache, &printed, None)).await;
    computed.unwrap_or_else(|e| Err(format!("pipe has a bug, please report it: {e}")))
}

/// Finds a result, here or elsewhere, and puts it in place. What cannot be put in place counts as not found.
async fn found(
    work: &Work,
    site: &Site,
    cache: &Arc<Cache>,
    recipe: &Arc<Recipe>,
    keyed: &Keyed,
) -> Result<Option<Done>, Failure> {
    let mut action = here(work, site, cache, recipe, keyed.digest).await;
    if action.is_none() && cache.remote().is_some() {
        let brought = tokio::select! {
            biased;
            // Nobody waits for what nobody wants any more.
            () = site.cancel.cancelled() => false,
            brought = cache.fetch(&keyed.key, keyed.digest, &keyed.text) => brought,
        };
        if brought {
            action = here(work, site, cache, recipe, keyed.digest).await;
        }
    }
    let Some(action) = action else {
        return Ok(None);
    };
    for (name, patterns) in &work.artifacts {
        results::keep(name, patterns, site)?;
    }
    let mut capture = Capture::new(site);
    if let Some(log) = action.log {
        let blob = cache.store().blob(&log.digest);
        if capture.replay(site, &blob).await.is_err() {
            return Ok(None);
        }
    }
    if let Some(text) = capture.finish() {
        warn(site, text).await;
    }
    cache.used(&work.name, &action);
    Ok(Some(hit(&action, keyed.digest)))
}

/// Finds a result in the store of this machine and puts it in place; its log is there as well.
async fn here(
    work: &Work,
    site: &Site,
    cache: &Arc<Cache>,
    recipe: &Arc<Recipe>,
    key: Digest,
) -> Option<Arc<Action>> {
    let step = Arc::clone(&work.name);
    let (own, recipe, images) = (Arc::clone(cache), Arc::clone(recipe), site.images.clone());
    let (scratch, rivals, vertex) = (site.scratch.clone(), Arc::clone(&site.rivals), site.vertex);
    let search = move || -> Option<Arc<Action>> {
        let action = own.find(&step, &key)?;
        if !task::has_image(&recipe, &action, &images) {
            return None;
        }
        if rivals.contested(vertex, &paths(&action)).is_some() {
            return None;
        }
        let products = patterns(&recipe.products).ok()?;
        let others = |path: &str| rivals.contested(vertex, &[path]).is_some();
        let log = action.log.map(|log| own.store().verify(&log.digest));
        let whole = log.transpose().and_then(|_| {
            let restored = own.restore(&step, &action, &products, &scratch, &others);
            restored.map(|()| Arc::clone(&action))
        });
        match whole {
            Ok(action) => Some(action),
            Err(cache::Lost::Missing) => None,
            Err(lost) => {
                own.failed("used", &lost.to_string());
                None
            }
        }
    };
    spawn_blocking(search).await.ok()?
}

/// Keeps what a step made, unless its inputs are not any more what they were when it began.
#[expect(clippy::too_many_arguments, reason = "all of it is part of the record")]
async fn kept(
    work: &Work,
    site: &Site,
    cache: &Arc<Cache>,
    recipe: &Arc<Recipe>,
    printed: &BTreeMap<String, String>,
    before: Keyed,
    done: &Done,
    millis: u64,
) -> Option<Arc<Action>> {
    let secret = |value: &String| site.masker.mask_str(value) != value.as_str();
    if done.outputs.values().any(secret) {
        let text = format!(
            "the result of {} is not kept: one of its outputs has a secret in it",
            work.name
        );
        warn(site, text).await;
        return None;
    }
    let (step, own, recipe) = (
        Arc::clone(&work.name),
        Arc::clone(cache),
        Arc::clone(recipe),
    );
    let (root, log, printed) = (site.root.clone(), site.log.clone(), printed.clone());
    let at_once = is_little(&recipe, &root, cache, None) && makes_little(&recipe, site, cache);
    let (artifacts, values) = (work.artifacts.clone(), done.outputs.clone());
    let origin = site.origin.clone();
    let (rivals, vertex) = (Arc::clone(&site.rivals), site.vertex);
    let keep = move || -> Result<Option<Arc<Action>>, String> {
        let folders = Folders::default();
        let glance = Glance::among(&folders);
        let after = keyed(&recipe, &root, &own, &printed, Some(&glance))?;
        if let Some(change) = cache::key::changes(&before.key, &after.key).first() {
            own.keep_key(&before.text);
            return Err(format!(
                "{} {} changed while it ran",
                change.kind, change.name
            ));
        }
        let artifacts: Result<Vec<_>, String> = artifacts
            .iter()
            .map(|(name, paths)| Ok((name.as_str(), patterns(paths)?)))
            .collect();
        let kept = own.keep(Made {
            step: &step,
            key: &before.text,
            products: &patterns(&recipe.products)?,
            artifacts: artifacts?,
            contested: &|paths| {
                let (path, other) = rivals.contested(vertex, paths)?;
                Some(format!(
                    "{path} may as well be of {other}, which runs beside it and has the same outputs"
                ))
            },
            values,
            log: log.as_deref(),
            millis,
            origin: &origin,
        })?;
        if kept.is_some() {
            note(&step, &recipe, before.digest, &root, &own, &glance);
        }
        Ok(kept)
    };
    // Another thread would take longer to begin, while all processors are busy with jobs.
    let kept = match at_once {
        true => Ok(keep()),
        false => spawn_blocking(keep).await,
    };
    match kept {
        Ok(Ok(action)) => action,
        Ok(Err(why)) => {
            warn(
                site,
                format!("the result of {} is not kept: {why}", work.name),
            )
            .await;
            None
        }
        Err(e) => {
            warn(site, format!("pipe has a bug, please report it: {e}")).await;
            None
        }
    }
}

/// A pattern for inputs that no file matches is often a mistake.
async fn nothing_matches(work: &Work, site: &Site, keyed: &Keyed) {
    if keyed.key.inputs.is_empty()
        && let Some(recipe) = &work.recipe
        && !recipe.inputs.is_empty()
    {
        let text = format!(
            "no file matches the inputs of {}: {}",
            work.name,
            recipe.inputs.join(" ")
        );
        warn(site, text).await;
    }
}

/// Tells what is wrong with the cache, if that was not told yet.
async fn tell(site: &Site, cache: &Cache) {
    if let Some(text) = cache.trouble() {
        warn(site, text).await;
    }
}

pub(super) async fn warn(site: &Site, text: String) {
    let _ = site.news.send(News::Warning { text }).await;
}
