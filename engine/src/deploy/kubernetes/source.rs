//! Where a release's manifests come from: the files that are there, or for a way back those of the release's commit, so that
//! what runs again is what ran.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::driver::{Failure, Release};
use super::super::hands::{Call, Hands, failed, write};
use super::{Kubernetes, objects, understood};
use crate::process;

/// What kustomize looks for in a folder.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What kubectl says when it is given a kind that the cluster does not know.
const UNKNOWN: [&str; 2] = ["no matches for kind", "ensure CRDs are installed first"];
/// How objects are wanted.
const OUTPUT: &str = "--output=json";
/// Takes away an annotation that nothing has: kubectl reads without a cluster only where it is to change something.
const NOTHING: &str = "dev.pipe/nothing-";

impl Kubernetes {
    /// The objects of a release, as its manifests have them; none where there are no manifests.
    pub(super) async fn objects(
        &self,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<Vec<Value>, Failure> {
        let Some(manifests) = self.manifests.as_ref().filter(|_| release.is_back) else {
            return self.here(hands).await;
        };
        let read = async {
            let then = self.then(manifests, &release.bundle.commit, hands).await?;
            match then {
                Some(root) => self.in_json(&root, manifests, hands).await,
                None => self.here(hands).await,
            }
        };
        self.manifested.then.get_or_try_init(|| read).await.cloned()
    }

    /// The objects of the manifests that are there.
    pub(super) async fn here(&self, hands: &mut Hands) -> Result<Vec<Value>, Failure> {
        let Some(manifests) = &self.manifests else {
            return Ok(Vec::new());
        };
        let root = hands.root.clone();
        let read = self.in_json(&root, manifests, hands);
        self.manifested.here.get_or_try_init(|| read).await.cloned()
    }

    /// The folder with the manifests as they were at a commit, where git still has it.
    async fn then(
        &self,
        manifests: &Path,
        commit: &str,
        hands: &mut Hands,
    ) -> Result<Option<PathBuf>, Failure> {
        if commit.is_empty() {
            return Ok(None);
        }
        let folder = hands.scratch.join(format!("at-{commit}"));
        if folder.exists() {
            return Ok(Some(folder));
        }
        std::fs::create_dir_all(&folder)
            .map_err(|e| Failure::new(format!("no temporary folder can be made: {e}")))?;
        // A kustomization may name what stands beside it.
        let wanted = match kustomized(&hands.root.join(manifests)) {
            true => Path::new("."),
            false => manifests,
        };
        let text = "git archive --format=tar \"$1\" -- \"$2\" | tar -x -C \"$3\"";
        let (program, mut args) = process::bash(text);
        args.extend([
            "bash".into(),
            commit.into(),
            wanted.as_os_str().to_owned(),
            folder.clone().into_os_string(),
        ]);
        let told = hands
            .ask(Call::new(program, args).here().quiet().muted())
            .await?;
        if told.code == 0 {
            return Ok(Some(folder));
        }
        let _ = std::fs::remove_dir_all(&folder);
        let short: String = commit.chars().take(7).collect();
        hands
            .say(&format!(
                "the manifests of {short} cannot be had ({}); those that are here are taken",
                told.complaint
            ))
            .await;
        Ok(None)
    }

    /// Lets kubectl read manifests, and gives them as it understands them.
    async fn in_json(
        &self,
        root: &Path,
        manifests: &Path,
        hands: &mut Hands,
    ) -> Result<Vec<Value>, Failure> {
        let at = root.join(manifests);
        let file = hands.scratch.join("manifests.yml");
        let text = match kustomized(&at) {
            true => self.kustomize(&at, hands).await?,
            false => together(&at, manifests)?,
        };
        write(&file, &text)?;
        let args = ["create", "--dry-run=client", OUTPUT, "--filename=-"];
        let call = self.call(&args).input(&file).quiet().muted();
        let told = hands.ask(call.clone()).await?;
        let local = match UNKNOWN.iter().any(|part| told.errors.contains(part)) {
            // The cluster knows no such kind: perhaps because it is these manifests that bring it.
            true => self.without_cluster(&file, hands).await,
            false => None,
        };
        let _ = std::fs::remove_file(&file);
        if let Some(objects) = local {
            return Ok(objects);
        }
        let printed = match told.code {
            0 => Ok(told.out),
            _ => {
                hands.say(told.errors.trim_end()).await;
                Err(understood(failed(&call.title(), &told)))
            }
        };
        let printed = printed.map_err(|f| match f.unreachable {
            true => f,
            false => Failure {
                what: format!("{} cannot be read: {}", manifests.display(), f.what),
                ..f
            },
        })?;
        objects::read(&printed)
    }

    /// Objects of which some are of kinds that others define, read without what the cluster knows of kinds.
    async fn without_cluster(&self, file: &Path, hands: &mut Hands) -> Option<Vec<Value>> {
        let args = ["annotate", "--local", OUTPUT, "--filename=-", NOTHING];
        let call = self.call(&args).input(file).quiet().muted();
        let printed = hands.run(call).await.ok()?;
        let objects = objects::read(&printed).ok()?;
        (!objects::defined(&objects).is_empty()).then_some(objects)
    }

    async fn kustomize(&self, folder: &Path, hands: &mut Hands) -> Result<String, Failure> {
        let folder = folder.display().to_string();
        let call = match hands.ssh {
            // The files are here, and the target's own kubectl is not.
            Some(_) => Call::new("kubectl", ["kustomize", &folder]),
            None => self.call(&["kustomize", &folder]),
        };
        hands.run(call.here().quiet()).await
    }
}

fn kustomized(at: &Path) -> bool {
    KUSTOMIZATIONS.iter().any(|name| at.join(name).exists())
}

/// The files of a folder one after the other, or one file.
fn together(at: &Path, shown: &Path) -> Result<String, Failure> {
    let cannot = |e: std::io::Error| {
        Failure::new(format!("{} cannot be read: {e}", shown.display()))
            .help("correct `manifests` in the target")
    };
    let mut files = vec![at.to_path_buf()];
    if at.is_dir() {
        let is_manifest = |path: &PathBuf| {
            let ending = path.extension().and_then(|e| e.to_str());
            matches!(ending, Some("yaml" | "yml" | "json"))
        };
        let entries = std::fs::read_dir(at).map_err(cannot)?;
        files = entries
            .flatten()
            .map(|e| e.path())
            .filter(is_manifest)
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(Failure::new(format!(
                "{} has no .yaml, .yml or .json file",
                shown.display()
            ))
            .help("correct `manifests` in the target"));
        }
    }
    let mut text = String::new();
    for file in files {
        text += "---\n";
        text += &std::fs::read_to_string(&file).map_err(cannot)?;
        text += "\n";
    }
    Ok(text)
}
