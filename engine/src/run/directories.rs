//! The kept directories of a job: brought back before its commands, kept when they succeeded.

use std::path::PathBuf;
use std::sync::Arc;

use dsl::model::KeyPart;
use tokio::task::spawn_blocking;

use super::caching::{file_part, warn};
use super::recipe::known_part;
use super::tools;
use super::work::{NotDone, Site, Work};
use crate::cache::Cache;
use crate::cache::kept::Kept;

/// A directory that a job wants to be kept.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) name: String,
    /// Where it is, absolute.
    pub(super) path: PathBuf,
    /// Where it is in the job's home, if it is there.
    pub(super) in_home: Option<PathBuf>,
    /// Its key; without one it is left in place.
    pub(super) key: Vec<KeyPart>,
    /// Shorter keys, to be tried in order.
    pub(super) shorter: Vec<Vec<KeyPart>>,
}

/// Brings the directories of a job into place; gives those that are to be kept afterwards.
///
/// # Errors
/// A command of a key that fails, or a run that is cancelled.
pub(super) async fn bring(
    work: &Work,
    site: &Site,
    cache: &Arc<Cache>,
) -> Result<Vec<Kept>, NotDone> {
    let mut brought = Vec::new();
    for directory in work.kept.iter().filter(|d| !d.key.is_empty()) {
        let kept = match kept(directory, work, site, cache).await? {
            Ok(kept) => kept,
            Err(why) => {
                warn(
                    site,
                    format!("the cache {} is left as it is: {why}", directory.name),
                )
                .await;
                continue;
            }
        };
        let (cache, own, scratch) = (Arc::clone(cache), kept.clone(), site.scratch.clone());
        match spawn_blocking(move || cache.bring(&own, &scratch)).await {
            Ok(Ok(from)) => tracing::debug!(cache = kept.name, ?from, "brought"),
            Ok(Err(e)) => {
                let text = format!("the cache {} could not be brought back: {e}", kept.name);
                warn(site, text).await;
            }
            Err(e) => warn(site, format!("pipe has a bug, please report it: {e}")).await,
        }
        brought.push(kept);
    }
    Ok(brought)
}

/// Keeps the directories of a job that succeeded.
pub(super) async fn keep(site: &Site, cache: &Arc<Cache>, directories: Vec<Kept>) {
    for kept in directories {
        let (cache, name) = (Arc::clone(cache), kept.name.clone());
        let text = match spawn_blocking(move || cache.keep_directory(&kept)).await {
            Ok(Ok(())) => continue,
            Ok(Err(why)) => format!("the cache {name} is not kept: {why}"),
            Err(e) => format!("pipe has a bug, please report it: {e}"),
        };
        warn(site, text).await;
    }
}

async fn kept(
    directory: &Directory,
    work: &Work,
    site: &Site,
    cache: &Arc<Cache>,
) -> Result<Result<Kept, String>, NotDone> {
    let mut keys = Vec::new();
    for parts in [&directory.key].into_iter().chain(&directory.shorter) {
        match values(parts, work, site, cache).await? {
            Ok(values) => keys.push(values),
            Err(why) => return Ok(Err(why)),
        }
    }
    let key = keys.remove(0);
    Ok(Ok(Kept {
        name: directory.name.clone(),
        path: directory.path.clone(),
        inside: directory.path.starts_with(&site.root),
        key,
        shorter: keys,
    }))
}

async fn values(
    parts: &[KeyPart],
    work: &Work,
    site: &Site,
    cache: &Arc<Cache>,
) -> Result<Result<Vec<String>, String>, NotDone> {
    let mut values = Vec::new();
    for part in parts {
        let secret = |value: &str| {
            let hidden = site.masker.mask_str(value) != value;
            hidden.then(|| cache.salted(value).unwrap_or_default())
        };
        let (name, value) = match part {
            KeyPart::Run(command) if work.contained.is_some() => {
                return Ok(Err(format!(
                    "its key runs `{command}`, which a job in a container cannot have"
                )));
            }
            KeyPart::Run(command) => {
                let printed = tools::printed_by(command, work, site).await?;
                (format!("(run) {command}"), printed)
            }
            KeyPart::File(pattern) => {
                let (root, cache, pattern) =
                    (site.root.clone(), Arc::clone(cache), pattern.clone());
                let read = spawn_blocking(move || file_part(&pattern, &root, &cache, None)).await;
                match read.unwrap_or_else(|e| Err(e.to_string())) {
                    Ok(named) => named,
                    Err(why) => return Ok(Err(why)),
                }
            }
            part => known_part(part, &secret),
        };
        values.push(format!("{name} {value}"));
    }
    Ok(Ok(values))
}
