//! Contents that come from a registry: piece by piece, taken up again where the connection broke, verified at the end.

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::Repository;
use super::request::{Call, Tries};
use super::trouble::{Trouble, Why};
use crate::oci::{Descriptor, Hasher};

/// A content that comes in. What came counts only if its end is reached without an error.
pub struct Download<'a> {
    repository: &'a Repository,
    wanted: Descriptor,
    call: Call,
    tries: Tries<'a>,
    answer: Option<Response>,
    /// How much of the next answer is there already, in bytes.
    skip: u64,
    /// How much there is, in bytes, from the beginning of the content.
    at: u64,
    /// Of everything so far; none where it was not begun at the beginning.
    hasher: Option<Hasher>,
}

impl Repository {
    /// A content, from so many bytes on.
    #[must_use]
    pub fn download(&self, wanted: &Descriptor, from: u64) -> Download<'_> {
        let doing = format!("getting {} of {}", wanted.digest.short(), self.name);
        let url = self.url(&format!("blobs/{}", wanted.digest));
        Download {
            repository: self,
            tries: Tries::new(&self.registry, &doing),
            call: Call::new(Method::GET, url, self.scope("pull"), doing),
            wanted: wanted.clone(),
            answer: None,
            skip: 0,
            at: from,
            hasher: (from == 0).then(Hasher::new),
        }
    }

    /// A short content, whole.
    ///
    /// # Errors
    /// What the registry says, or that it is something else.
    pub async fn blob(&self, wanted: &Descriptor) -> Result<Vec<u8>, Trouble> {
        let mut download = self.download(wanted, 0);
        let mut bytes = Vec::new();
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Whether a content is there.
    ///
    /// # Errors
    /// What the registry says.
    pub async fn has(&self, wanted: &Descriptor) -> Result<bool, Trouble> {
        let doing = format!("looking for {} in {}", wanted.digest.short(), self.name);
        let url = self.url(&format!("blobs/{}", wanted.digest));
        let call = Call::new(Method::HEAD, url, self.scope("pull,push"), doing);
        match self.registry.ask(&call).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_missing() => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl Download<'_> {
    /// Leaves it to whoever takes the pieces to verify them.
    pub(super) fn unverified(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What the registry says, or that what came is something else.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            match self.piece().await {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => return self.end().map(|()| None),
                Err((why, after)) => {
                    self.answer = None;
                    self.tries.again(why, after).await?;
                }
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, (Why, Option<std::time::Duration>)> {
        if self.at == self.wanted.size {
            return Ok(None);
        }
        let patience = self.repository.registry.patience;
        loop {
            if self.answer.is_none() {
                self.begin().await?;
            }
            let Some(answer) = &mut self.answer else {
                return Ok(None);
            };
            let piece = tokio::time::timeout(patience, answer.chunk()).await;
            let piece = piece
                .map_err(|_| (Why::Silent(patience), None))?
                .map_err(|e| (Why::broken(&e), None))?;
            let Some(mut piece) = piece else {
                let why = format!("it ended after {} of {} bytes", self.at, self.wanted.size);
                return Err((Why::Damaged(why), None));
            };
            if self.skip > 0 {
                let skipped = piece
                    .len()
                    .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                let _ = piece.split_to(skipped);
                self.skip -= skipped as u64;
            }
            if piece.is_empty() {
                continue;
            }
            self.at += piece.len() as u64;
            if self.at > self.wanted.size {
                let why = format!("more came than {} bytes", self.wanted.size);
                // It will not become shorter.
                return Err((Why::Nonsense(why), None));
            }
            self.tries.start_over();
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            return Ok(Some(piece));
        }
    }

    async fn begin(&mut self) -> Result<(), (Why, Option<std::time::Duration>)> {
        let registry = &self.repository.registry;
        let mut call = self.call.clone();
        if self.at > 0 {
            call = call.header(RANGE, &format!("bytes={}-", self.at));
        }
        let answer = registry.once(&call, registry.patience).await;
        let answer = answer.map_err(|why| (why, None))?;
        if !answer.status().is_success() {
            return Err(registry.refusal(answer).await);
        }
        let begins = format!("bytes {}-", self.at);
        let range = answer.headers().get(CONTENT_RANGE);
        let continues = answer.status() == StatusCode::PARTIAL_CONTENT
            && range.is_some_and(|r| r.as_bytes().starts_with(begins.as_bytes()));
        self.skip = if continues { 0 } else { self.at };
        self.answer = Some(answer);
        Ok(())
    }

    fn end(&self) -> Result<(), Trouble> {
        let came = self.hasher.clone().map(Hasher::finish);
        match came {
            Some(came) if came != self.wanted.digest => {
                let why = format!("what came is {}", came.short());
                Err(self.tries.failed(Why::Damaged(why)))
            }
            _ => Ok(()),
        }
    }
}
