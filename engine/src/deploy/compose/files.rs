//! How the files of a release get to where Compose reads them: all of them beside, then one by one into place, so that a
//! connection that breaks leaves the old ones in force. Those of the last releases are kept, for the way back.

use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::super::driver::Failure;
use super::super::hands::{Call, Hands};
use super::ComposeProject;

/// Unpacks what comes in, and only then gives it the release's name. Arguments: base, target, bundle.
const STAGE: &str = r#"set -eu
mkdir -p -- "$1"; cd -- "$1"
t=.pipe/compose/$2; mkdir -p "$t"
rm -rf "$t/.$3"; mkdir "$t/.$3"
tar -xf - -C "$t/.$3"
rm -rf "${t:?}/$3"; mv "$t/.$3" "$t/$3"
touch "$t/$3"
# Those of the last ten releases are kept.
ls -1t "$t" | grep -E '^[0-9a-f]{16}$' | tail -n +11 | while read -r old; do rm -rf "${t:?}/$old"; done
"#;

/// Makes a folder that looks as the base will, without touching it. Arguments: base, target, bundle, files of the host.
const TRY: &str = r#"set -eu
cd -- "$1"; t=.pipe/compose/$2; c=$t/check; new=$t/$3; shift 3
rm -rf "$c"; mkdir -p "$c"
cp -R "$new/." "$c/"
for e in * .[!.]*; do
  case $e in .pipe) continue;; esac
  [ -e "$e" ] || continue
  [ -e "$c/$e" ] || ln -s "$PWD/$e" "$c/$e"
done
for e in "$@"; do
  case $e in /*) continue;; esac
  [ -e "$e" ] && [ ! -e "$c/$e" ] || continue
  mkdir -p "$(dirname "$c/$e")"; ln -s "$PWD/$e" "$c/$e"
done
"#;

/// Puts the files of a release into place, each in one step, and removes those that only the release before had.
/// Arguments: base, target, bundle.
const PLACE: &str = r#"set -eu
trap '' HUP
cd -- "$1"; t=.pipe/compose/$2; new=$t/$3
list() { (cd "$1" && find . ! -type d | LC_ALL=C sort); }
list "$new" >"$t/.new"; : >"$t/.was"
if [ -f "$t/current" ]; then
  was=$t/$(cat "$t/current")
  if [ -d "$was" ]; then list "$was" >"$t/.was"; fi
fi
while IFS= read -r f; do
  if [ ! -L "$f" ] && [ ! -L "$new/$f" ] && cmp -s "$new/$f" "$f"; then continue; fi
  mkdir -p "$(dirname "$f")"
  rm -rf "$f.pipe-new"; cp -RPp "$new/$f" "$f.pipe-new"; mv -f "$f.pipe-new" "$f"
done <"$t/.new"
LC_ALL=C comm -23 "$t/.was" "$t/.new" | while IFS= read -r f; do rm -f "$f"; done
printf '%s\n' "$3" >"$t/.current"; mv -f "$t/.current" "$t/current"
"#;

/// Whether those of a release are in force, as they are. Arguments: base, target, bundle.
const SAME: &str = r#"set -eu
cd -- "$1"; t=.pipe/compose/$2; new=$t/$3
[ "$(cat "$t/current")" = "$3" ]
(cd "$new" && find . ! -type d) | while IFS= read -r f; do
  if [ -L "$new/$f" ]; then [ "$(readlink "$new/$f")" = "$(readlink "$f")" ]; else cmp -s "$new/$f" "$f"; fi
done
"#;

impl ComposeProject {
    /// The folder in which everything is, as the host names it.
    fn base(&self) -> &str {
        self.dir.as_deref().unwrap_or(".")
    }

    fn script(&self, text: &str, more: &[String]) -> Call {
        let mut args = vec!["-c".to_owned(), text.to_owned(), "sh".to_owned()];
        args.extend([
            self.base().to_owned(),
            self.target.clone(),
            self.bundle.id(),
        ]);
        args.extend_from_slice(more);
        Call::new("sh", args).called("sh")
    }

    /// Where the files of this release are kept, from the base.
    pub(super) fn kept(&self) -> String {
        format!(".pipe/compose/{}/{}", self.target, self.bundle.id())
    }

    /// Where they are tried out, from the base.
    pub(super) fn tried(&self) -> String {
        format!(".pipe/compose/{}/check", self.target)
    }

    /// Whether they are kept on the host.
    pub(super) async fn has_kept(&self, hands: &mut Hands) -> Result<bool, Failure> {
        let file = Path::new(self.base()).join(self.kept()).join(&self.file);
        let call = Call::new("test", ["-f", &*file.to_string_lossy()]);
        Ok(hands.ask(call.quiet().muted()).await?.code == 0)
    }

    /// Brings the files of the repository to the host, beside those that are in force.
    pub(super) async fn stage(&self, hands: &mut Hands) -> Result<(), Failure> {
        let archive = hands.scratch.join("files.tar");
        self.pack(&hands.root, &archive)?;
        let call = self.script(STAGE, &[]).input(&archive).quiet();
        hands.run(call).await.map_err(|f| Failure {
            what: format!("the files cannot be put on the host: {}", f.what),
            help: f.help.or_else(|| {
                Some(format!(
                    "its user must be able to write into {}",
                    self.base()
                ))
            }),
            ..f
        })?;
        let _ = std::fs::remove_file(&archive);
        Ok(())
    }

    /// Makes the folder in which they are tried out.
    pub(super) async fn try_out(&self, hands: &mut Hands) -> Result<(), Failure> {
        let call = self.script(TRY, &self.env_files).quiet();
        hands.run(call).await.map(|_| ())
    }

    /// Puts them in force.
    pub(super) async fn place(&self, hands: &mut Hands) -> Result<(), Failure> {
        let call = self.script(PLACE, &[]).quiet();
        hands.run(call).await.map(|_| ())
    }

    /// Whether they are in force already.
    pub(super) async fn is_in_force(&self, hands: &mut Hands) -> Result<bool, Failure> {
        let call = self.script(SAME, &[]).quiet().muted();
        Ok(hands.ask(call).await?.code == 0)
    }

    fn pack(&self, root: &Path, archive: &Path) -> Result<(), Failure> {
        let failed = |e: std::io::Error| Failure::new(format!("the files cannot be packed: {e}"));
        let mut tar = tar::Builder::new(File::create(archive).map_err(failed)?);
        tar.follow_symlinks(false);
        for path in self.files(root)? {
            tar.append_path_with_name(root.join(&path), &path)
                .map_err(failed)?;
        }
        tar.into_inner().map(drop).map_err(failed)
    }

    /// What the files say that belong to a release, as a hash: of their names and contents; `None` where one cannot be read,
    /// which the deployment itself will say.
    #[must_use]
    pub fn said(&self, root: &Path) -> Option<String> {
        let mut hash = blake3::Hasher::new();
        for path in self.files(root).ok()? {
            let file = root.join(&path);
            let text = match file.symlink_metadata().ok()?.is_symlink() {
                true => std::fs::read_link(&file).ok()?.into_os_string().into_vec(),
                false => std::fs::read(&file).ok()?,
            };
            for part in [path.as_os_str().as_bytes(), &text] {
                hash.update(&part.len().to_le_bytes());
                hash.update(part);
            }
        }
        Some(hash.finalize().to_hex().to_string())
    }

    /// The files of a release, in order.
    fn files(&self, root: &Path) -> Result<Vec<PathBuf>, Failure> {
        let copies = self.copies.iter().filter(|_| self.dir.is_some());
        let mut seen = Vec::new();
        for path in std::iter::once(&self.file).chain(copies) {
            let relative = clean(path)?;
            if !root.join(&relative).exists() {
                return Err(Failure::new(format!(
                    "{path} is to be copied, and is not in the repository"
                ))
                .help("correct the path, or commit the file"));
            }
            self.add(root, &relative, &mut seen)
                .map_err(|e| Failure::new(format!("{path} cannot be packed: {e}")))?;
        }
        Ok(seen)
    }

    fn add(&self, root: &Path, path: &Path, seen: &mut Vec<PathBuf>) -> std::io::Result<()> {
        // What lives on the host is never brought there.
        let lives_there = self.env_files.iter().any(|f| Path::new(f) == path);
        if lives_there || path.starts_with(".pipe") || path.starts_with(".git") {
            return Ok(());
        }
        let file = root.join(path);
        if file.symlink_metadata()?.is_dir() {
            let mut entries: Vec<_> = std::fs::read_dir(&file)?.collect::<Result<_, _>>()?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                self.add(root, &path.join(entry.file_name()), seen)?;
            }
            return Ok(());
        }
        if !seen.iter().any(|s| s == path) {
            seen.push(path.to_path_buf());
        }
        Ok(())
    }
}

/// A path beneath the pipeline's folder, without what means nothing.
fn clean(path: &str) -> Result<PathBuf, Failure> {
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir => {}
            _ => {
                return Err(Failure::new(format!(
                    "{path} is not beneath the pipeline's folder, and cannot be copied"
                )));
            }
        }
    }
    Ok(clean)
}
