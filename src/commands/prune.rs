//! `pipe prune`: what of registries and of this machine's images is old and wanted by nobody; removed where that is said.

use std::collections::BTreeMap;
use std::time::Duration;

use dsl::model::Registry;
use engine::container::{self, Named};
use engine::ledger::{Bundle, Current, Ledger, LedgerError};
use engine::oci::place::{Failed as NotDone, Place};
use engine::oci::retention::{Judged, Stays, look};
use engine::oci::{Digest, Layout};
use engine::run::outcome::exit;
use engine::run::registries::repository;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::containers;
use super::reach::reach;
use crate::args::{Global, HumanOrJson, PruneArgs};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::out::Out;
use crate::ui::words::{DIM, bytes, count, paint};

/// Contents of a folder that somebody has just written may get their name in a moment.
const YOUNG: Duration = Duration::from_secs(3600);

/// What is judged of one repository.
struct Looked {
    registry: String,
    place: Place,
    keep: Duration,
    tags: Vec<Judged>,
}

/// Shows what would go, or removes it.
///
/// # Errors
/// When a registry, the engine or the ledger does not answer.
pub fn run(global: &Global, args: &PruneArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let registries = chosen(&project, args)?;
    let runtime = engine::process::runtime()
        .map_err(|e| Failed::machine(format!("nothing can be asked: {e}")))?;
    if registries.is_empty() && args.images_older_than.is_none() {
        out.line("no registry has `keep`, so nothing gets old");
        out.hint("`registry ghcr \"ghcr.io/acme\" keep=\"30d\"` says how long images stay that no target runs");
        return Ok(exit::OK);
    }
    let wanted = if registries.is_empty() {
        BTreeMap::new()
    } else {
        wanted(&project)?
    };
    let mut looked = Vec::new();
    for registry in registries {
        looked.extend(judged(&runtime, &project, registry, args, &wanted)?);
    }
    let images = local(&runtime, &project, args)?;
    if args.format == HumanOrJson::Human {
        show(&looked, &images, out);
    }
    let mut images = images;
    let gone = if args.yes {
        let (free, used) = remove(&runtime, &project, args, &looked, &images)?;
        images.retain(|image| !used.contains(&image.name));
        if args.format == HumanOrJson::Human {
            for name in &used {
                out.line(&format!("{name} stays: a container uses it"));
            }
        }
        Some(free)
    } else {
        None
    };
    match args.format {
        HumanOrJson::Json => out.line(&format!("{:#}", document(&looked, &images, args.yes))),
        HumanOrJson::Human => conclude(&looked, &images, gone, out),
    }
    Ok(exit::OK)
}

/// The registries that are meant: those with `keep`, or those that were named.
fn chosen<'p>(project: &'p Project, args: &PruneArgs) -> Result<Vec<&'p Registry>, Failed> {
    let all = &project.loaded.pipeline.registries;
    if args.names.is_empty() {
        return Ok(all.values().filter(|r| r.keep.is_some()).collect());
    }
    let named = args.names.iter().map(|name| match all.get(name) {
        Some(registry) if registry.keep.is_some() => Ok(registry),
        Some(_) => Err(
            Failed::usage(format!("`{name}` has no `keep`, so nothing in it gets old"))
                .hint("write `keep=\"30d\"` on it, or another duration"),
        ),
        None => {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            Err(Failed::usage(format!("there is no registry `{name}`"))
                .hint(format!("there is {}", known.join(", "))))
        }
    });
    named.collect()
}

/// The images that a target runs, or would go back to.
fn wanted(project: &Project) -> Result<BTreeMap<Digest, String>, Failed> {
    let env = |name: &str| std::env::var(name).ok();
    let failed = |e: LedgerError| {
        Failed::machine(format!("nobody can say what targets run: {e}")).hint(e.remedy())
    };
    let ledger = Ledger::open(&project.root, &env, false, "pipe prune").map_err(failed)?;
    let mut wanted = BTreeMap::new();
    let mut add = |bundle: &Bundle, why: &str| {
        for image in bundle.images.values() {
            if let Ok(digest) = image.digest.parse() {
                wanted.entry(digest).or_insert_with(|| why.to_owned());
            }
        }
    };
    for target in ledger.targets().map_err(failed)? {
        let history = ledger.history(&target).map_err(failed)?;
        let runs = format!("{target} runs it");
        let current = match history.current() {
            Current::Nothing => None,
            Current::Healthy(release)
            | Current::Failed { release, .. }
            | Current::Locked { release, .. } => Some(release.bundle),
            Current::Interrupted(deployment) => Some(deployment.bundle),
        };
        let Some(bundle) = current else { continue };
        add(&bundle, &runs);
        if let Some(back) = history.ways_back(&bundle.id()).first() {
            add(&back.bundle, &format!("{target} would go back to it"));
        }
    }
    Ok(wanted)
}

fn judged(
    runtime: &Runtime,
    project: &Project,
    registry: &Registry,
    args: &PruneArgs,
    wanted: &BTreeMap<Digest, String>,
) -> Result<Vec<Looked>, Failed> {
    let (pipeline, name) = (&project.loaded.pipeline, &registry.name.value);
    let keep = registry.keep.as_ref().map_or(Duration::MAX, |k| k.value);
    let reached = reach(project, registry, args.registry_timeout)?;
    let now = Timestamp::now();
    let mut looked = Vec::new();
    for image in pipeline.images.keys() {
        let place = reached.place(repository(pipeline, image));
        let place = place.map_err(|e| Failed::usage(e.to_string()))?;
        let tags = runtime.block_on(look(&place, keep, now, wanted));
        looked.push(Looked {
            registry: name.clone(),
            tags: tags.map_err(|e| not_done(&e))?,
            place,
            keep,
        });
    }
    Ok(looked)
}

fn not_done(error: &NotDone) -> Failed {
    Failed::machine(error.to_string()).hint(error.help())
}

/// The images of this machine's engine that are old.
fn local(runtime: &Runtime, project: &Project, args: &PruneArgs) -> Result<Vec<Named>, Failed> {
    let Some(age) = args.images_older_than else {
        return Ok(Vec::new());
    };
    let engine = engine(runtime, project, args)?;
    let named = runtime.block_on(engine.named_images(Timestamp::now().as_second()));
    let named = named.map_err(|trouble| Failed::machine(trouble.what))?;
    Ok(named.into_iter().filter(|n| n.age > age).collect())
}

fn engine(
    runtime: &Runtime,
    project: &Project,
    args: &PruneArgs,
) -> Result<container::Engine, Failed> {
    let file = project.loaded.pipeline.engine.as_ref();
    let wanted = containers::wanted(&args.engine, file.map(|e| e.value.as_str()));
    let env = |name: &str| std::env::var(name).ok();
    let found = runtime.block_on(container::choose(&wanted, &env, args.engine.engine_timeout));
    found.map_err(|none| Failed::machine(none.what()).hint(none.help()))
}

/// Removes it; gives how much became free where that is known, in bytes, and the images that stay all the same.
fn remove(
    runtime: &Runtime,
    project: &Project,
    args: &PruneArgs,
    looked: &[Looked],
    images: &[Named],
) -> Result<(u64, Vec<String>), Failed> {
    let (mut free, mut used) = (0, Vec::new());
    for one in looked {
        let mut goes: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for judged in one.tags.iter().filter(|t| t.stays.is_none()) {
            goes.entry(judged.digest)
                .or_default()
                .push(judged.tag.clone());
        }
        for (digest, tags) in &goes {
            let removing = runtime.block_on(one.place.remove(digest, tags));
            removing.map_err(|e| not_done(&e))?;
        }
        if let Place::Folder(layout, _) = &one.place
            && !goes.is_empty()
        {
            free += collected(layout)?;
        }
    }
    if !images.is_empty() {
        let engine = engine(runtime, project, args)?;
        for image in images {
            let removed = runtime.block_on(engine.remove_named(&image.name));
            if removed.map_err(|trouble| Failed::machine(trouble.what))? {
                free += image.size;
            } else {
                used.push(image.name.clone());
            }
        }
    }
    Ok((free, used))
}

fn collected(layout: &Layout) -> Result<u64, Failed> {
    match layout.collect(YOUNG) {
        Ok((_, bytes)) => Ok(bytes),
        Err(e) => Err(Failed::machine(e.to_string())),
    }
}

fn show(looked: &[Looked], images: &[Named], out: &Out) {
    let mut before = "";
    for one in looked {
        if one.registry != before {
            out.line(&format!(
                "{}: keeps what no target runs for {}",
                one.registry,
                dsl::units::show_duration(one.keep)
            ));
        }
        before = &one.registry;
        for tag in &one.tags {
            let (verb, why) = match &tag.stays {
                None => ("- remove", None),
                Some(Stays::Young) => ("  keep  ", None),
                Some(Stays::Ageless) => ("  keep  ", Some("does not say when it was made")),
                Some(Stays::Wanted(who)) => ("  keep  ", Some(who.as_str())),
            };
            let facts = [
                Some(tag.digest.short()),
                tag.age.map(age),
                why.map(str::to_owned),
            ];
            let facts: Vec<String> = facts.into_iter().flatten().collect();
            out.line(&format!(
                "  {verb} {}  {}",
                one.place.named(&tag.tag),
                paint(DIM, &facts.join(", "))
            ));
        }
    }
    if !images.is_empty() {
        out.line("images of this machine");
    }
    for image in images {
        let facts = format!("{}, {}", age(image.age), bytes(image.size));
        out.line(&format!(
            "  - remove {}  {}",
            image.name,
            paint(DIM, &facts)
        ));
    }
}

/// `9d old`
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [("d", 86_400), ("h", 3600), ("m", 60)];
    let unit = units.iter().find(|(_, length)| seconds >= *length);
    match unit {
        Some((unit, length)) => format!("{}{unit} old", seconds / length),
        None => "new".to_owned(),
    }
}

fn conclude(looked: &[Looked], images: &[Named], gone: Option<u64>, out: &Out) {
    let tags = looked.iter().flat_map(|l| &l.tags);
    let all = tags.clone().count();
    let old = tags.filter(|t| t.stays.is_none()).count();
    let mut what = vec![format!("{} of {all}", count(old, "tag"))];
    if !images.is_empty() {
        what.push(count(images.len(), "image"));
    }
    let what = what.join(" and ");
    match gone {
        None if old + images.len() == 0 => out.line("nothing would go"),
        None => {
            out.line(&format!("{what} would go; nothing was removed"));
            out.hint("`--yes` removes it");
        }
        Some(0) => out.line(&format!("removed {what}")),
        Some(free) => out.line(&format!("removed {what}, {}", bytes(free))),
    }
}

fn document(looked: &[Looked], images: &[Named], removed: bool) -> Value {
    let tags = looked.iter().flat_map(|one| {
        one.tags.iter().map(|t| {
            json!({
                "registry": one.registry, "reference": one.place.named(&t.tag),
                "digest": t.digest, "age_seconds": t.age.map(|a| a.as_secs()),
                "goes": t.stays.is_none(),
                "why": match &t.stays {
                    None | Some(Stays::Young) => Value::Null,
                    Some(Stays::Ageless) => "does not say when it was made".into(),
                    Some(Stays::Wanted(who)) => who.as_str().into(),
                },
            })
        })
    });
    let images = images.iter().map(
        |i| json!({"name": i.name, "age_seconds": i.age.as_secs(), "bytes": i.size, "goes": true}),
    );
    json!({
        "format": 1, "removed": removed,
        "tags": tags.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>(),
    })
}
