//! `pipe cache`: how much is kept, what goes, what is damaged.

use engine::cache::{Store, trim};
use engine::run::outcome::exit;

use crate::args::{CacheAction, CacheArgs, Global, HumanOrJson};
use crate::failed::Failed;
use crate::project;
use crate::ui::out::Out;
use crate::ui::words::{bytes, count};

/// Looks after the cache.
///
/// # Errors
/// When there is none, or it cannot be read or written.
pub fn run(global: &Global, args: &CacheArgs, out: &Out) -> Result<i32, Failed> {
    let folder = project::cache_folder(global)?.ok_or_else(|| {
        Failed::usage("nobody says where results are kept")
            .hint("set HOME or XDG_CACHE_HOME, or name the folder with `--cache-dir`")
    })?;
    let store = Store::beneath(&folder);
    let shown = folder.display();
    let failed = |e: std::io::Error| {
        Failed::machine(format!("the cache {shown}: {e}"))
            .hint("check who may read and write it; removing the folder loses only time")
    };
    match &args.action {
        CacheAction::Size { format } => {
            let size = trim::size(&store).map_err(failed)?;
            match format {
                HumanOrJson::Json => {
                    let document = serde_json::json!({
                        "format": 1, "folder": folder, "results": size.results,
                        "contents": size.blobs, "images": size.images, "bytes": size.bytes,
                    });
                    out.line(&format!("{document:#}"));
                }
                HumanOrJson::Human => out.line(&format!(
                    "{shown}: {}, {}, {}, {}",
                    count(number(size.results), "result"),
                    count(number(size.blobs), "content"),
                    count(number(size.images), "image"),
                    bytes(size.bytes)
                )),
            }
        }
        CacheAction::Trim { max_size, max_age } => {
            let limits = trim::Limits {
                size: *max_size,
                age: *max_age,
            };
            let gone = trim::trim(&store, &limits).map_err(failed)?;
            let left = trim::size(&store).map_err(failed)?;
            out.line(&format!(
                "removed {} and {}, {}; {} are left",
                count(number(gone.results), "result"),
                count(number(gone.blobs), "content"),
                bytes(gone.bytes),
                bytes(left.bytes)
            ));
        }
        CacheAction::Verify => {
            let verified = trim::verify(&store).map_err(failed)?;
            for name in &verified.damaged {
                out.line(&format!("damaged, removed: {name}"));
            }
            let damaged = verified.damaged.len();
            out.line(&format!(
                "{} sound, {damaged} damaged",
                count(number(verified.sound), "file")
            ));
            if damaged > 0 {
                out.hint("what was damaged is made again by the next run that needs it");
            }
        }
    }
    Ok(exit::OK)
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
