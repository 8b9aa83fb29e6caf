//! Contents that go to a registry: not sent where they are there, mounted where another repository has them, taken up
//! again where the connection broke.

use std::io::{self, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Repository;
use super::request::{Call, Tries, location};
use super::trouble::{Trouble, Why};
use crate::oci::{Descriptor, Digest, Hasher, media};
use crate::web::standstill;

/// How much is in memory at once, in bytes.
const PIECE: usize = 512 << 10;
/// Up to this size a content goes along with the request that ends the upload, in bytes.
const SMALL: u64 = 1 << 20;

/// Where a content comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// It is here.
    Bytes(&'a [u8]),
    /// It is in a file.
    File(&'a Path),
    /// It is in another repository.
    Repository(&'a Repository),
}

impl<'a> From<&'a Path> for Source<'a> {
    fn from(path: &'a Path) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a Repository> for Source<'a> {
    fn from(repository: &'a Repository) -> Self {
        Self::Repository(repository)
    }
}

/// How a content came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It was there.
    Nothing,
    /// Another repository of the registry had it.
    Mount,
    /// It was sent.
    Bytes,
}

/// How an upload begins.
enum Begun {
    Mounted,
    At(Url),
    /// The registry does not say where it goes on: everything has to go in one request.
    AtOnce,
}

impl Repository {
    /// Makes a content be there.
    ///
    /// # Errors
    /// What either registry says, or that the content is not what its name says.
    pub async fn upload(
        &self,
        blob: &Descriptor,
        source: Source<'_>,
        mount: Option<&str>,
    ) -> Result<Took, Trouble> {
        if self.has(blob).await? {
            return Ok(Took::Nothing);
        }
        let doing = format!("sending {} to {}", blob.digest.short(), self.name);
        let mut tries = Tries::new(&self.registry, &doing);
        let mut to = match self.begin(blob, mount, &doing).await? {
            Begun::Mounted => return Ok(Took::Mount),
            Begun::At(url) => Some(url),
            Begun::AtOnce => None,
        };
        let mut at = 0;
        loop {
            let sent = match &to {
                Some(to) => self.rest(to, blob, source, at, &doing).await,
                None => self.at_once(blob, source, &doing).await,
            };
            let (why, after) = match sent {
                Ok(()) => return Ok(Took::Bytes),
                Err(Sent::Source(trouble)) => return Err(trouble),
                Err(Sent::Not(why, after)) => (why, after),
            };
            tries.again(why, after).await?;
            let Some(broken) = &to else { continue };
            match self.arrived(broken, &doing).await {
                Some((url, more)) if more <= blob.size => {
                    if more > at {
                        tries.start_over();
                    }
                    (to, at) = (Some(url), more);
                }
                // It does not know any more what it got.
                _ => match self.begin(blob, None, &doing).await? {
                    Begun::Mounted => return Ok(Took::Mount),
                    Begun::At(url) => (to, at) = (Some(url), 0),
                    Begun::AtOnce => (to, at) = (None, 0),
                },
            }
        }
    }

    async fn begin(
        &self,
        blob: &Descriptor,
        mount: Option<&str>,
        doing: &str,
    ) -> Result<Begun, Trouble> {
        let mut url = self.url("blobs/uploads/");
        let mut scope = self.scope("pull,push");
        if let Some(from) = mount {
            url.query_pairs_mut()
                .append_pair("mount", &blob.digest.to_string())
                .append_pair("from", from);
            scope = format!("{scope} repository:{from}:pull");
        }
        let call = Call::new(Method::POST, url, scope, doing.to_owned());
        let call = call.header(CONTENT_LENGTH, "0").body(Bytes::new());
        let answer = match self.registry.ask(&call).await {
            Ok(answer) => answer,
            // It may not be taken from there.
            Err(e) if mount.is_some() && e.is_refused() => {
                return Box::pin(self.begin(blob, None, doing)).await;
            }
            Err(e) => return Err(e),
        };
        if answer.status() == StatusCode::CREATED {
            return Ok(Begun::Mounted);
        }
        Ok(location(&answer, &call.url).map_or(Begun::AtOnce, Begun::At))
    }

    /// How much of a broken upload has arrived, in bytes, and where it goes on.
    async fn arrived(&self, at: &Url, doing: &str) -> Option<(Url, u64)> {
        let scope = self.scope("pull,push");
        let call = Call::new(Method::GET, at.clone(), scope, doing.to_owned());
        let answer = self.registry.ask(&call).await.ok()?;
        let range = answer.headers().get(RANGE)?.to_str().ok()?;
        let range = range.strip_prefix("bytes=").unwrap_or(range);
        let last: u64 = range.strip_prefix("0-")?.parse().ok()?;
        // `0-0` is said of one byte, and of none.
        if last == 0 {
            return None;
        }
        Some((location(&answer, at)?, last + 1))
    }

    /// Sends what is missing and ends the upload.
    async fn rest(
        &self,
        to: &Url,
        blob: &Descriptor,
        source: Source<'_>,
        at: u64,
        doing: &str,
    ) -> Result<(), Sent> {
        let mut to = to.clone();
        let mut left = (at, blob.size);
        if blob.size - at > SMALL {
            let answer = self
                .send(Method::PATCH, to.clone(), blob, source, left, doing)
                .await?;
            to = location(&answer, &to).unwrap_or(to);
            left = (blob.size, blob.size);
        }
        to.query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        self.send(Method::PUT, to, blob, source, left, doing)
            .await?;
        Ok(())
    }

    /// Sends everything in one request.
    async fn at_once(
        &self,
        blob: &Descriptor,
        source: Source<'_>,
        doing: &str,
    ) -> Result<(), Sent> {
        let mut url = self.url("blobs/uploads/");
        url.query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        let left = (0, blob.size);
        let answer = self
            .send(Method::POST, url, blob, source, left, doing)
            .await?;
        match answer.status() {
            StatusCode::CREATED => Ok(()),
            _ => {
                let what = "it does not say where the upload goes on".to_owned();
                Err(Sent::Not(Why::Nonsense(what), None))
            }
        }
    }

    /// One request with a part of a content: from, and to, in bytes.
    async fn send(
        &self,
        method: Method,
        to: Url,
        blob: &Descriptor,
        source: Source<'_>,
        (from, until): (u64, u64),
        doing: &str,
    ) -> Result<Response, Sent> {
        let patience = self.registry.patience;
        let mut request = reqwest::Request::new(method, to);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media::BYTES));
        if from > 0 && from < until {
            let range = HeaderValue::try_from(format!("{from}-{}", until - 1));
            headers.extend(range.ok().map(|r| (CONTENT_RANGE, r)));
        }
        let (pieces, taken) = mpsc::channel(2);
        let (moved, mut motion) = watch::channel(Instant::now());
        let body = Pieces {
            pieces: taken,
            left: until - from,
            moved,
        };
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let scope = self.scope("pull,push");
        let proof = self.registry.auth.header(&scope).await;
        // How long it takes is for the size to say, as long as it moves. A large content is read once more when it has
        // arrived.
        let limit = Duration::MAX;
        let asking = self.registry.execute(request, proof.as_ref(), limit);
        let sending = async {
            let pumped = source.pump(blob, from, until, &pieces, doing).await;
            if pumped.is_err() {
                let _ = pieces
                    .send(Err(io::Error::other("the source failed")))
                    .await;
            }
            drop(pieces);
            pumped
        };
        let still = standstill(&mut motion, patience * 4);
        tokio::pin!(asking, sending, still);
        let mut pumped = false;
        let answer = loop {
            tokio::select! {
                answer = &mut asking => break answer,
                result = &mut sending, if !pumped => match result {
                    Ok(()) => pumped = true,
                    // An answer that is on its way says why nobody takes the content any more.
                    Err(None) => pumped = true,
                    Err(Some(trouble)) => return Err(Sent::Source(trouble)),
                },
                () = &mut still => return Err(Sent::Not(Why::Silent(patience * 4), None)),
            }
        };
        let answer = answer.map_err(|why| Sent::Not(why, None))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED => {
                // A token that expired in the middle: the next try has a new one.
                let headers = answer.headers().clone();
                let meeting =
                    self.registry
                        .auth
                        .meet(&self.registry, &scope, &headers, proof.as_ref());
                let met = meeting.await.map_err(|why| Sent::Not(why, None))?;
                let why = match met {
                    Some(_) => Why::Broken("it wanted a new token".to_owned()),
                    None => self.registry.refusal(answer).await.0,
                };
                Err(Sent::Not(why, None))
            }
            _ => {
                let (why, after) = self.registry.refusal(answer).await;
                Err(Sent::Not(why, after))
            }
        }
    }
}

/// Why a content was not sent.
enum Sent {
    /// Where it comes from does not give it.
    Source(Trouble),
    /// Where it goes to does not take it, and when to come back.
    Not(Why, Option<Duration>),
}

impl Source<'_> {
    /// Hands on the pieces of a content. The error is empty where nobody takes them any more.
    async fn pump(
        self,
        blob: &Descriptor,
        from: u64,
        until: u64,
        pieces: &mpsc::Sender<io::Result<Bytes>>,
        doing: &str,
    ) -> Result<(), Option<Trouble>> {
        if from == until {
            return Ok(());
        }
        let here = |what: String| {
            Some(Trouble {
                host: "this machine".to_owned(),
                doing: doing.to_owned(),
                why: Why::Here(what),
                tries: 1,
            })
        };
        let mut flow = Flow {
            // Of a part nothing can be said; the registry hashes the whole.
            hasher: (from == 0 && until == blob.size).then(Hasher::new),
            left: until - from,
            blob,
            pieces,
        };
        let wrong = |why: Option<String>| why.and_then(here);
        match self {
            Source::Bytes(bytes) => {
                let at = usize::try_from(from).unwrap_or(usize::MAX);
                let rest = bytes.get(at..).unwrap_or_default();
                for piece in rest.chunks(PIECE) {
                    let taken = flow.hand_on(Bytes::copy_from_slice(piece)).await;
                    taken.map_err(wrong)?;
                }
            }
            Source::File(path) => {
                let broken = |e: io::Error| here(format!("{}: {e}", path.display()));
                let mut file = tokio::fs::File::open(path).await.map_err(broken)?;
                file.set_max_buf_size(PIECE);
                file.seek(SeekFrom::Start(from)).await.map_err(broken)?;
                loop {
                    let mut piece = bytes::BytesMut::with_capacity(PIECE);
                    if file.read_buf(&mut piece).await.map_err(broken)? == 0 {
                        break;
                    }
                    flow.hand_on(piece.freeze()).await.map_err(wrong)?;
                }
            }
            Source::Repository(other) => {
                // It is hashed once, on its way out.
                let mut download = other.download(blob, from).unverified();
                while let Some(piece) = download.next().await.map_err(Some)? {
                    flow.hand_on(piece).await.map_err(wrong)?;
                }
            }
        }
        match flow.left {
            0 => Ok(()),
            left => Err(here(format!("{} is {left} bytes too short", blob.digest))),
        }
    }
}

/// Pieces on their way.
struct Flow<'a> {
    hasher: Option<Hasher>,
    left: u64,
    blob: &'a Descriptor,
    pieces: &'a mpsc::Sender<io::Result<Bytes>>,
}

impl Flow<'_> {
    /// Hands on a piece. What is wrong is found before the last one is gone, so that nothing wrong arrives whole; the
    /// error is empty where nobody takes them any more.
    async fn hand_on(&mut self, piece: Bytes) -> Result<(), Option<String>> {
        let (length, blob) = (piece.len() as u64, self.blob);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&piece);
        }
        if length > self.left {
            let why = format!("{} is longer than {} bytes", blob.digest, blob.size);
            return Err(Some(why));
        }
        self.left -= length;
        if self.left == 0
            && let Some(came) = self.hasher.take().map(Hasher::finish)
            && came != blob.digest
        {
            return Err(Some(damaged(&blob.digest)));
        }
        self.pieces.send(Ok(piece)).await.map_err(|_| None)
    }
}

fn damaged(digest: &Digest) -> String {
    format!("{digest} is damaged: its bytes are something else")
}

/// A body that goes out as its pieces come, and tells when one is taken.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
    moved: watch::Sender<Instant>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let polled = self.pieces.poll_recv(context);
        if polled.is_ready() {
            self.moved.send_replace(Instant::now());
        }
        polled.map(|piece| {
            let piece = piece?;
            if let Ok(piece) = &piece {
                self.left = self.left.saturating_sub(piece.len() as u64);
            }
            Some(piece.map(Frame::data))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
