//! Contents that go into a folder, from another one or from a registry. Knows no names.

use std::io::{self, Write};

use super::Failed;
use crate::oci::client::{Repository, Took, Trouble, Why};
use crate::oci::layout::Lost;
use crate::oci::{Descriptor, Digest, Layout};

/// How often a content is fetched that was damaged on its way.
const TRIES: usize = 3;

/// Copies a content from folder to folder. It is read and hashed on a thread of its own.
pub(super) async fn copy(from: Layout, to: Layout, digest: Digest) -> Result<Took, Failed> {
    let copying = tokio::task::spawn_blocking(move || -> Result<Took, Lost> {
        let mut content = from.open(&digest)?;
        let mut incoming = to.incoming()?;
        match io::copy(&mut content, &mut incoming) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(Lost::Damaged(digest)),
            Err(e) => return Err(Lost::Io(to.path(&digest), e)),
        }
        incoming.keep(&to, Some(&digest))?;
        Ok(Took::Bytes)
    });
    Ok(copying.await.expect("copying does not panic")?)
}

/// Says what is wrong with a content, and removes it if it is damaged.
pub(super) async fn check(layout: Layout, digest: Digest) -> Result<(), Failed> {
    let checking = tokio::task::spawn_blocking(move || -> Result<(), Lost> {
        match io::copy(&mut layout.open(&digest)?, &mut io::sink()) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(Lost::Damaged(digest)),
            Err(e) => Err(Lost::Io(layout.path(&digest), e)),
            Ok(_) => Ok(()),
        }
    });
    Ok(checking.await.expect("checking does not panic")?)
}

/// Fetches a content from a registry.
pub(super) async fn fetch(
    from: &Repository,
    to: &Layout,
    blob: &Descriptor,
) -> Result<Took, Failed> {
    let mut tries = 1;
    loop {
        match fetched(from, to, blob).await {
            // Whatever stood in the way may not do it twice.
            Err(Failed::Registry(Trouble {
                why: Why::Damaged(_),
                ..
            })) if tries < TRIES => {
                tries += 1;
            }
            result => return result.map(|()| Took::Bytes),
        }
    }
}

async fn fetched(from: &Repository, to: &Layout, blob: &Descriptor) -> Result<(), Failed> {
    let mut incoming = to.incoming()?;
    let mut download = from.download(blob, 0);
    while let Some(piece) = download.next().await? {
        let written = incoming.write_all(&piece);
        written.map_err(|e| Lost::Io(to.path(&blob.digest), e))?;
    }
    incoming.keep(to, Some(&blob.digest))?;
    Ok(())
}
