//! Images between an engine and an image layout: taken out once they are built, put in where a job runs in one. Knows no
//! registry.

use std::io::{self, Read, Write};
use std::path::Path;

use bollard::query_parameters::{ImportImageOptions, TagImageOptions};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{Engine, Image, Kind, Trouble};
use crate::oci::{Digest, Layout, Manifest, archive, media};

/// How much longer than for an answer an engine is waited for that packs or unpacks an image and says nothing.
const SILENCE: u32 = 10;
/// How much of an archive is on its way at once, in bytes.
const PIECE: usize = 256 << 10;

/// An image that this pipeline built, in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Where it is.
    pub layout: Layout,
    /// The digest of its manifest, or of the index of several.
    pub digest: Digest,
}

impl Engine {
    /// Takes an image out of the engine into a layout. `scratch` is for files of a moment.
    ///
    /// # Errors
    /// When the engine does not hand it out, or it cannot be kept.
    pub async fn take_out(
        &self,
        id: &str,
        layout: &Layout,
        scratch: &Path,
    ) -> Result<Manifest, Trouble> {
        let what = "the image that was built cannot be taken out of the engine";
        let failed = |why: String| Trouble::new(format!("{what}: {why}"));
        let (send, pieces) = mpsc::channel::<io::Result<Bytes>>(8);
        let (own, scratch) = (layout.clone(), scratch.to_path_buf());
        let taking = spawn_blocking(move || {
            let mut reader = Pieces {
                from: pieces,
                piece: Bytes::new(),
            };
            let taken = archive::take(&mut reader, &own, &scratch);
            // What stands behind the end of an archive is read too, or the engine would see its receiver leave.
            let _ = io::copy(&mut reader, &mut io::sink());
            taken
        });
        let mut stream = std::pin::pin!(self.docker.export_image(id));
        let limit = self.patience * SILENCE;
        loop {
            let Ok(next) = tokio::time::timeout(limit, stream.next()).await else {
                return Err(Trouble::silent(what, limit));
            };
            let piece = match next {
                None => break,
                Some(Ok(piece)) => Ok(piece),
                Some(Err(e)) => return Err(Trouble::of(what, e)),
            };
            if send.send(piece).await.is_err() {
                break;
            }
        }
        drop(send);
        let taken = taking.await.map_err(|e| failed(e.to_string()))?;
        let manifest = taken.map_err(|e| failed(e.to_string()))?;
        let config = manifest.config().map(|c| c.digest.to_string());
        if config.as_deref() != Some(id) {
            let config = config.unwrap_or_default();
            return Err(failed(format!("it is {id} there and {config} here"))
                .help("an engine that names images otherwise, such as Docker with the image store of containerd, cannot be used yet"));
        }
        Ok(manifest)
    }

    /// Gives an image of the engine a name, `repository:tag`.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn tag(&self, id: &str, name: &str) -> Result<(), Trouble> {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let options = TagImageOptions {
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
        };
        let what = format!("the image cannot be called {name}");
        self.ask(&what, self.docker.tag_image(id, Some(options)))
            .await
    }

    /// An image that was built: as the engine has it, or else put in from the layout, under this name.
    ///
    /// # Errors
    /// When the layout has it no more, or the engine does not take it.
    pub(super) async fn built(
        &self,
        built: &Built,
        name: &str,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<Image, Trouble> {
        let gone = |e: crate::oci::layout::Lost| {
            Trouble::new(format!(
                "the image {name} is not in pipe's store any more: {e}"
            ))
            .help("run the pipeline again: it is built again")
        };
        let manifest = manifest(&built.layout, &built.digest).map_err(gone)?;
        let id = manifest.config().map(|c| c.digest.to_string());
        let id = id.ok_or_else(|| Trouble::new(format!("{name} is no image")))?;
        let image = Image {
            id: id.clone(),
            digest: Some(built.digest.to_string()),
        };
        if self.has(&id).await? {
            return Ok(image);
        }
        say(format!("loading the image {name}"));
        self.put_in(&built.layout, &manifest, name).await?;
        if self.has(&id).await? {
            return Ok(image);
        }
        Err(Trouble::new(format!(
            "the engine took the image {name} and has no {id}"
        )))
    }

    async fn has(&self, id: &str) -> Result<bool, Trouble> {
        let what = format!("the image {id} cannot be looked at");
        match self.ask(&what, self.docker.inspect_image(id)).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is_not_there() => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    async fn put_in(&self, layout: &Layout, image: &Manifest, name: &str) -> Result<(), Trouble> {
        let what = format!("the image {name} cannot be loaded");
        let (send, pieces) = mpsc::channel::<io::Result<Bytes>>(8);
        let (own, image, called) = (layout.clone(), image.clone(), name.to_owned());
        let giving = spawn_blocking(move || {
            let to = io::BufWriter::with_capacity(PIECE, Sending(send.clone()));
            let given = archive::give(&own, &image, &called, to);
            if let Err(e) = given {
                // An archive that only ended would be loaded as it is.
                let _ = send.blocking_send(Err(io::Error::other(e.to_string())));
            }
        });
        let body = futures_util::stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((piece, pieces))
        });
        let options = ImportImageOptions {
            quiet: true,
            ..ImportImageOptions::default()
        };
        let stream = self.docker.import_image_stream(options, body, None);
        let mut progress = std::pin::pin!(stream);
        let limit = self.patience * SILENCE;
        loop {
            match tokio::time::timeout(limit, progress.next()).await {
                Err(_) => return Err(Trouble::silent(&what, limit)),
                Ok(None) => break,
                Ok(Some(Ok(info))) => {
                    if let Some(why) = info.error_detail.and_then(|e| e.message) {
                        return Err(Trouble::new(format!("{what}: {}", super::said(&why))));
                    }
                }
                Ok(Some(Err(e))) => return Err(Trouble::of(&what, e)),
            }
        }
        let _ = giving.await;
        Ok(())
    }

    /// The program that builds with this engine: `docker` or `podman`.
    #[must_use]
    pub fn program(&self) -> &'static str {
        match self.found.kind {
            Kind::Docker => "docker",
            Kind::Podman => "podman",
        }
    }
}

/// The image of this machine's platform.
fn manifest(layout: &Layout, digest: &Digest) -> Result<Manifest, crate::oci::layout::Lost> {
    let manifest = layout.manifest(digest, None)?;
    if !media::is_index(manifest.media_type()) {
        return Ok(manifest);
    }
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |d: &&crate::oci::Descriptor| {
        let platform = d.platform.as_ref();
        platform.is_some_and(|p| p["os"] == "linux" && p["architecture"] == arch)
    };
    let all = manifest.manifests();
    match all.iter().find(fits).or(all.first()) {
        Some(own) => layout.manifest(&own.digest, Some(&own.media_type)),
        None => Ok(manifest),
    }
}

/// Reads what comes in pieces.
struct Pieces {
    from: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let length = self.piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

/// Sends what is written in pieces.
struct Sending(mpsc::Sender<io::Result<Bytes>>);

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        let sent = self.0.blocking_send(Ok(piece));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
