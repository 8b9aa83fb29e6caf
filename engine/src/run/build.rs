//! `build`: an image from a Dockerfile, by the builder of the engine, kept in pipe's own store. Its result is a digest,
//! which is known before it is pushed anywhere.

pub(super) mod attested;
mod builder;
mod dockerfile;
mod failed;
mod labels;
mod layers;
mod left;
mod login;
mod recipe;
mod sbom;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;

use self::dockerfile::Dockerfile;
use self::failed::Tail;
use super::outcome::Failure;
use super::task::{Outputs, Try, image_output};
use super::work::{self, NotDone};
use crate::container::{Engine, Trouble};
use crate::oci::{Digest, Layout, Manifest, archive};
use crate::process::{Exit, Spec};

pub use builder::builder_of;
pub(super) use layers::Layers;
pub(super) use login::{Login, hand_over};
pub(super) use recipe::{ignored, recipe};
pub(super) use sbom::SCAN;
pub use sbom::{MISSING as SCANNER_MISSING, SCANNER};

/// How an image is built, with every value put in.
#[derive(Debug, Clone)]
pub(super) struct Build {
    /// The image's name in the pipeline.
    pub(super) image: String,
    /// The folder that is sent to the builder, relative to the pipeline's.
    pub(super) context: String,
    /// The Dockerfile, relative to the pipeline's folder.
    pub(super) dockerfile: String,
    /// The stage of the Dockerfile.
    pub(super) target: Option<String>,
    /// The platforms; none: the engine's own.
    pub(super) platforms: Vec<String>,
    /// Build arguments.
    pub(super) args: Vec<(String, String)>,
    /// Labels that the file gives.
    pub(super) labels: Vec<(String, String)>,
    /// Secrets that the build may read.
    pub(super) secrets: Vec<(String, SecretString)>,
    /// Where layers are kept for the next build: repositories in registries.
    pub(super) layers: Vec<Layers>,
    /// Whether layers of all stages are kept there.
    pub(super) keeps_all: bool,
    /// Whether what is known of layers is kept in the image itself.
    pub(super) inline: bool,
    /// As what the image may have been pushed, where layers are in it.
    pub(super) pushed_as: Vec<String>,
    /// A folder in which layers are kept.
    pub(super) local: Option<PathBuf>,
    /// How layers that are kept are packed.
    pub(super) compression: Option<String>,
    /// Whether it is kept beside the image how it was built.
    pub(super) provenance: bool,
    /// The command that prints what is in the image, where that is kept beside it.
    pub(super) sbom: Option<String>,
    /// Logins of the registries that it names.
    pub(super) logins: Vec<Login>,
    /// Patterns of the files that decide the result, where the file says so.
    pub(super) inputs: Vec<String>,
    /// The commit from which it is built.
    pub(super) commit: Option<String>,
}

/// What an image is called on this machine's engine. The name says which one it is, so that it never moves.
pub(super) fn local_name(image: &str, digest: &str) -> String {
    let name = image.to_lowercase();
    format!("localhost/{name}:{}", digest.replace(':', "-"))
}

/// Whether an image is in the store, with everything that belongs to it.
pub(super) fn is_kept(layout: &Layout, digest: &str) -> bool {
    let Ok(digest) = digest.parse::<Digest>() else {
        return false;
    };
    let Ok(manifest) = layout.manifest(&digest, None) else {
        return false;
    };
    let parts = manifest.manifests().iter();
    let parts = parts.map(|d| layout.manifest(&d.digest, Some(&d.media_type)));
    let Ok(parts) = parts.collect::<Result<Vec<Manifest>, _>>() else {
        return false;
    };
    let mut blobs = parts.iter().chain([&manifest]).flat_map(Manifest::blobs);
    blobs.all(|blob| layout.size(&blob.digest) == Some(blob.size))
}

/// Builds the image.
///
/// # Errors
/// When the builder fails, or there is none.
pub(super) async fn run(build: &Build, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let began = jiff::Timestamp::now();
    let engine = a_try.engine().await?;
    if engine.found().other_store {
        let what = "Docker keeps its images in the store of containerd here, from which pipe cannot take one as it was built";
        let help = "build with Podman (`--engine podman`), or give Docker its own store: \
                    `\"features\": {\"containerd-snapshotter\": false}` in its daemon.json; nothing was built";
        return Err(NotDone::NotBegun(Failure::new(what).help(help)));
    }
    let root = a_try.site.root.clone();
    let dockerfile = Dockerfile::read(&root, build).map_err(NotDone::NotBegun)?;
    for base in dockerfile.moving_bases() {
        let text = format!(
            "{}: `FROM {base}` names no version, and is another image tomorrow; write a version or a digest",
            a_try.work.name
        );
        a_try.warn(text).await;
    }
    let builder = builder::find(&engine, build.keeps_layers(), a_try).await?;
    if builder.leaves_containers() {
        let mut env = a_try.work.env.clone();
        builder::theirs(&mut env);
        a_try.wait(left::remove(&env, None)).await?;
    }
    let mut labels = labels::of_commit(&root, build, a_try).await?;
    labels.extend(build.labels.clone());
    let in_image = !build.layers.is_empty() && builder.keeps_in_image();
    for line in builder.cannot(build) {
        a_try.say(line).await;
    }
    let folder = tempfile::Builder::new()
        .prefix("build-")
        .tempdir_in(&a_try.site.scratch)
        .map_err(|e| Failure::new(format!("a folder for the build cannot be made: {e}")))?;
    let platforms: Vec<Option<&str>> = match build.platforms.is_empty() {
        true => vec![None],
        false => build.platforms.iter().map(|p| Some(p.as_str())).collect(),
    };
    let mut images = Vec::new();
    for (at, platform) in platforms.into_iter().enumerate() {
        let order = builder::Order {
            build,
            platform,
            labels: &labels,
            id_file: folder.path().join(format!("id-{at}")),
            is_last: at + 1 == build.platforms.len().max(1),
            folder: folder.path(),
            is_fresh: false,
            mark: left::mark(a_try.site.vertex),
        };
        images.push(one(&engine, &builder, order, &dockerfile, a_try, folder.path()).await?);
    }
    let manifest = whole(&images, a_try).await?;
    if build.provenance {
        attest(build, &manifest, &builder, began, &labels, a_try).await?;
    }
    scan(build, &manifest, &images, folder.path(), a_try).await?;
    let digest = manifest.digest().to_string();
    let name = local_name(&build.image, &digest);
    kept(a_try, &manifest, &name).await?;
    // Those of other platforms are in the store alone.
    if let Some((id, _)) = images.first() {
        let tagged = a_try.wait(engine.tag(id, &name)).await?;
        tagged.map_err(not_done)?;
    }
    if in_image {
        layers::keep(build, &manifest, a_try).await?;
    }
    a_try.say(format!("built {name}")).await;
    Ok(Outputs::from([
        (image_output(&build.image, true), digest.clone()),
        (image_output(&build.image, false), name),
        ("digest".to_owned(), digest),
    ]))
}

fn not_done(trouble: Trouble) -> NotDone {
    NotDone::Failed(trouble.into())
}

/// Has the image for one platform built and takes it out of the engine.
async fn one(
    engine: &Arc<Engine>,
    builder: &builder::Builder,
    mut order: builder::Order<'_>,
    dockerfile: &Dockerfile,
    a_try: &mut Try<'_>,
    scratch: &Path,
) -> Result<(String, Manifest), NotDone> {
    loop {
        let id = built(builder, &order, dockerfile, a_try).await?;
        let manifest = taken(engine, &id, a_try, scratch).await?;
        let Some(platform) = order.platform else {
            return Ok((id, manifest));
        };
        let is = archive::platform(&a_try.site.images, &manifest);
        let is = is.map_err(|e| Failure::new(e.to_string()))?;
        // A variant is the builder's to choose.
        let wanted: Vec<&str> = platform.split('/').take(2).collect();
        if is == wanted.join("/") {
            return Ok((id, manifest));
        }
        if order.is_fresh {
            let what = format!("the builder made an image for {is} and not for {platform}");
            return Err(Failure::new(what).into());
        }
        // Buildah takes a layer of another platform for the same where nothing was run in it.
        order.is_fresh = true;
    }
}

/// Has one image built; gives the engine's name for it.
async fn built(
    builder: &builder::Builder,
    order: &builder::Order<'_>,
    dockerfile: &Dockerfile,
    a_try: &mut Try<'_>,
) -> Result<String, NotDone> {
    let mut env = a_try.work.env.clone();
    builder.environment(order, &mut env);
    let logins = tempfile::Builder::new()
        .prefix("logins-")
        .tempdir_in(order.folder)
        .and_then(|f| {
            builder
                .log_in(&order.build.logins, f.path(), &mut env)
                .map(|()| f)
        })
        .map_err(|e| Failure::new(format!("the logins for the builder cannot be written: {e}")))?;
    let spec = Spec {
        program: builder.program().into(),
        args: builder.arguments(order, &a_try.site.root),
        cwd: a_try.site.root.clone(),
        env: env.vars(),
        marker: work::marker(a_try.site),
    };
    let mut tail = Tail::default();
    let exit = a_try.program(&spec, &mut |bytes| tail.take(bytes)).await;
    if exit.is_err() && builder.leaves_containers() && !a_try.site.kill.is_cancelled() {
        left::remove(&env, Some(&order.mark)).await;
    }
    drop(logins);
    let exit = exit.map_err(|e| match e {
        NotDone::NotBegun(failure) => NotDone::NotBegun(builder.not_there(failure)),
        other => other,
    })?;
    if let Some(lines) = tail.clipped() {
        let text = format!(
            "{}: {lines}; the engine cuts the output of a build off, unless its service has \
             BUILDKIT_STEP_LOG_MAX_SIZE=-1 and BUILDKIT_STEP_LOG_MAX_SPEED=-1 in its environment",
            a_try.work.name
        );
        a_try.warn(text).await;
    }
    let code = match exit {
        Exit::Code(0) => {
            let id = std::fs::read_to_string(&order.id_file);
            return id.map(|id| id.trim().to_owned()).map_err(|e| {
                let what = format!("the builder did not say which image it built: {e}");
                NotDone::Failed(Failure::new(what))
            });
        }
        Exit::Code(code) => code,
        Exit::Signal(signal) => {
            let what = format!("the builder was ended by signal {signal}");
            return Err(Failure::new(what).into());
        }
        Exit::NotStarted(why) => return Err(Failure::new(why.to_string()).into()),
    };
    Err(NotDone::Failed(tail.explain(code, dockerfile)))
}

/// Takes an image that was built out of the engine.
async fn taken(
    engine: &Arc<Engine>,
    id: &str,
    a_try: &Try<'_>,
    scratch: &Path,
) -> Result<Manifest, NotDone> {
    let taking = engine.take_out(id, &a_try.site.images, scratch);
    a_try.wait(taking).await?.map_err(not_done)
}

/// Keeps beside the image how it was built.
async fn attest(
    build: &Build,
    manifest: &Manifest,
    builder: &builder::Builder,
    began: jiff::Timestamp,
    labels: &[(String, String)],
    a_try: &mut Try<'_>,
) -> Result<(), NotDone> {
    let label = |name: &str| {
        let name = format!("org.opencontainers.image.{name}");
        let found = labels.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.clone())
    };
    let made = {
        let run = attested::Run {
            began,
            origin: &a_try.site.origin,
            builder: builder.program(),
            source: label("source").zip(label("revision")),
            hide: &|text| a_try.site.masker.mask_str(text).into_owned(),
        };
        attested::provenance(&a_try.site.images, manifest, build, &run)
    };
    let made = made.map_err(|e| Failure::new(format!("the provenance cannot be kept: {e}")))?;
    if let Some(digest) = made {
        let line = format!("attested how it was built: {digest}");
        a_try.say(line).await;
    }
    Ok(())
}

/// Keeps beside the image what is in it, where that is wanted.
async fn scan(
    build: &Build,
    whole: &Manifest,
    images: &[(String, Manifest)],
    folder: &Path,
    a_try: &mut Try<'_>,
) -> Result<(), NotDone> {
    let Some(scanner) = &build.sbom else {
        return Ok(());
    };
    let parts: Vec<&Manifest> = images.iter().map(|(_, part)| part).collect();
    let scanned = sbom::Scanned {
        image: &build.image,
        whole,
        parts: &parts,
        folder,
    };
    sbom::attest(scanner, &scanned, a_try).await
}

/// The one image, or the index of several.
async fn whole(images: &[(String, Manifest)], a_try: &Try<'_>) -> Result<Manifest, NotDone> {
    let mut all: Vec<Manifest> = images.iter().map(|(_, m)| m.clone()).collect();
    if all.len() == 1 {
        return Ok(all.remove(0));
    }
    let layout = a_try.site.images.clone();
    let made = in_background(move || archive::index(&layout, &all)).await?;
    made.map_err(|e| Failure::new(e.to_string()).into())
}

/// Gives the image a name in the store, so that it stays there.
async fn kept(a_try: &Try<'_>, manifest: &Manifest, name: &str) -> Result<(), NotDone> {
    let (layout, descriptor) = (a_try.site.images.clone(), manifest.descriptor());
    let name = name.to_owned();
    let named = in_background(move || layout.name(&name, &descriptor, true)).await?;
    named.map(|_| ()).map_err(|e| {
        let failure = Failure::new(format!("the image cannot be kept: {e}"));
        failure
            .help("is the disk full? `pipe cache size` shows what is kept")
            .into()
    })
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotDone> {
    let done = spawn_blocking(work).await;
    done.map_err(|e| Failure::new(format!("pipe has a bug, please report it: {e}")).into())
}

impl Build {
    /// Whether layers are kept for the next build somewhere else than in the engine and in the image.
    fn keeps_layers(&self) -> bool {
        !self.layers.is_empty() || self.local.is_some()
    }

    fn dockerfile_path(&self, root: &Path) -> PathBuf {
        root.join(&self.dockerfile)
    }

    fn secret_variables(&self) -> impl Iterator<Item = (String, &str)> {
        self.secrets
            .iter()
            .map(|(name, value)| (secret_variable(name), value.expose_secret()))
    }
}

/// Under which variable the builder finds a secret. The name of the secret itself may mean something to the builder.
fn secret_variable(name: &str) -> String {
    format!("PIPE_SECRET_{name}")
}
