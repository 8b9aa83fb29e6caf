//! A bucket in an S3-compatible store, through `object_store`: which of its answers mean what.

mod http;

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload, RetryConfig};
use secrecy::ExposeSecret;
use tokio::time::{sleep, timeout};

use self::http::{Careful, STALL, Trouble};
use super::{Answer, Bucket, Fault, Objects, Outgoing, Take};

/// How long one of the parts is in which something long is sent.
const PART: usize = 8 << 20;
/// A store takes ten thousand parts at most.
const PARTS: u64 = 9_000;
/// In pieces of this size a part goes out, so that it can be seen to.
const PIECE: usize = 64 << 10;
/// How long to wait before it is tried again, each time.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// The objects of a bucket.
#[derive(Debug)]
struct S3 {
    store: AmazonS3,
}

/// The objects of a bucket. Sends nothing yet.
///
/// # Errors
/// What is wrong with its address.
pub(super) fn connect(bucket: &Bucket) -> Result<Arc<dyn Objects>, String> {
    let careful = Careful::new(bucket.here)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region)
        // A request is tried again here, where it is known what came of it.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .with_http_connector(careful);
    if let Some(endpoint) = &bucket.endpoint {
        let plain = endpoint.starts_with("http://");
        builder = builder.with_endpoint(endpoint).with_allow_http(plain);
    }
    builder = match &bucket.credentials {
        None => builder.with_skip_signature(true),
        Some(own) => {
            let builder = builder
                .with_access_key_id(own.id.expose_secret())
                .with_secret_access_key(own.key.expose_secret());
            match &own.token {
                Some(token) => builder.with_token(token.expose_secret()),
                None => builder,
            }
        }
    };
    let store = builder.build().map_err(|e| first_line(&e.to_string()))?;
    Ok(Arc::new(S3 { store }))
}

impl Objects for S3 {
    fn get<'a>(&'a self, name: &'a str, take: &'a mut Take<'_>) -> Answer<'a, bool> {
        Box::pin(async move {
            let path = Path::from(name);
            let Some(found) = again(|| self.store.get(&path)).await? else {
                return Ok(false);
            };
            let mut pieces = found.into_stream();
            loop {
                let piece = timeout(STALL, pieces.next()).await;
                match piece.map_err(|_| Fault::Silent(Trouble::Silent.to_string()))? {
                    None => return Ok(true),
                    Some(Ok(piece)) => {
                        if let ControlFlow::Break(()) = take(&piece) {
                            return Ok(true);
                        }
                    }
                    Some(Err(e)) => return Err(fault(&e)),
                }
            }
        })
    }

    fn size<'a>(&'a self, name: &'a str) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            let path = Path::from(name);
            let found = again(|| self.store.head(&path)).await?;
            Ok(found.map(|meta| meta.size))
        })
    }

    fn put<'a>(&'a self, name: &'a str, content: &'a mut Outgoing) -> Answer<'a, ()> {
        Box::pin(async move {
            let path = Path::from(name);
            if content.size() > PART as u64 {
                return self.put_parts(&path, content).await;
            }
            let piece = payload(content.next(PART)?);
            there(again(|| self.store.put(&path, piece.clone())).await?).map(drop)
        })
    }
}

impl S3 {
    async fn put_parts(&self, path: &Path, content: &mut Outgoing) -> Result<(), Fault> {
        let begun = again(|| self.store.put_multipart(path)).await?;
        let mut upload = there(begun)?;
        let sent = parts(upload.as_mut(), content).await;
        if sent.is_err() {
            // Parts that nothing is made of cost money until the store forgets them.
            let _ = upload.abort().await;
        }
        sent
    }
}

async fn parts(upload: &mut dyn MultipartUpload, content: &mut Outgoing) -> Result<(), Fault> {
    let length = usize::try_from(content.size() / PARTS).unwrap_or(PART);
    loop {
        let part = content.next(length.max(PART))?;
        if part.is_empty() {
            break;
        }
        upload
            .put_part(payload(part))
            .await
            .map_err(|e| fault(&e))?;
    }
    upload.complete().await.map_err(|e| fault(&e))?;
    Ok(())
}

fn payload(bytes: Vec<u8>) -> PutPayload {
    let bytes = Bytes::from(bytes);
    let starts = (0..bytes.len()).step_by(PIECE);
    starts
        .map(|at| bytes.slice(at..bytes.len().min(at + PIECE)))
        .collect()
}

/// Something cannot be put where there is no bucket.
fn there<T>(put: Option<T>) -> Result<T, Fault> {
    put.ok_or_else(|| Fault::Failed("there is no such bucket".to_owned()))
}

/// Asks, and asks again where that may help. `None` where there is no such thing.
async fn again<T, F>(mut ask: impl FnMut() -> F) -> Result<Option<T>, Fault>
where
    F: Future<Output = object_store::Result<T>>,
{
    let mut waits = AGAIN.into_iter();
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) => error,
        };
        match (trouble(&error), waits.next()) {
            (Some(Trouble::Refused { status: 404, .. }), _) => return Ok(None),
            (Some(trouble), Some(wait)) if trouble.may_pass() => sleep(wait).await,
            _ => return Err(fault(&error)),
        }
    }
}

/// What went wrong, as the layer beneath has said it.
fn trouble(error: &object_store::Error) -> Option<&Trouble> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(trouble) = error.downcast_ref() {
            return Some(trouble);
        }
        cause = error.source();
    }
    None
}

fn fault(error: &object_store::Error) -> Fault {
    match trouble(error) {
        Some(silent @ (Trouble::Silent | Trouble::Unreachable)) => {
            Fault::Silent(silent.to_string())
        }
        Some(trouble) => Fault::Failed(trouble.to_string()),
        None => Fault::Failed(first_line(&error.to_string())),
    }
}

fn first_line(text: &str) -> String {
    crate::web::shown(text.lines().next().unwrap_or_default())
}
