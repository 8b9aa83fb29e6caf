//! The containers in which Buildah was working when it was stopped: it leaves them, with all their files. Podman does not
//! let a label be given to them, but it writes down which secrets a build was offered; one that nobody reads is the mark.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::environment::Environment;
use super::builder::said;
use crate::container::dead;

/// What stands before the process in a mark.
const MARK: &str = "pipe-build-";
/// The variable behind the secret that is the mark; nobody reads it.
pub(super) const VARIABLE: &str = "PIPE_BUILD_MARK";

/// The mark of a build of this process.
pub(super) fn mark(vertex: u32) -> String {
    format!("{MARK}{}-{vertex}", dead::own())
}

/// Removes what a stopped build of this mark left, and what builds left whose `pipe` is no more.
pub(super) async fn remove(env: &Environment, own: Option<&str>) {
    const FORMAT: &str = "{{.Store.GraphRoot}}\n{{.Store.GraphDriverName}}";
    let Some(printed) = said(env, "podman", &["info", "--format", FORMAT]).await else {
        return;
    };
    let mut lines = printed.lines();
    let (Some(root), Some(driver)) = (lines.next(), lines.next()) else {
        return;
    };
    let folder = Path::new(root).join(format!("{driver}-containers"));
    let all = found(&folder, own);
    if all.is_empty() {
        return;
    }
    let mut args = vec!["rm", "--force"];
    args.extend(all.iter().map(String::as_str));
    // What cannot be removed now is tried by the next build.
    let _ = said(env, "podman", &args).await;
}

fn found(folder: &Path, own: Option<&str>) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let marked = entries.filter_map(|entry| {
        let id = entry.file_name().into_string().ok()?;
        let about: PathBuf = entry.path().join("userdata/buildah.json");
        let text = std::fs::read_to_string(about).ok()?;
        let at = text.find(MARK)?;
        let mark = text[at..].split([',', '"']).next()?;
        let (process, _) = mark.strip_prefix(MARK)?.rsplit_once('-')?;
        (own == Some(mark) || dead::is_dead(process)).then_some(id)
    });
    marked.collect()
}
