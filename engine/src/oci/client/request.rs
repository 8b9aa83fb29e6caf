//! One request to a registry: proven, followed where it is sent on, made again where that helps. Knows no paths.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};

use super::trouble::{Trouble, Why};
use super::{Registry, TRIES};

/// How much of an answer is taken that is neither a manifest nor a blob, in bytes.
const SHORT: usize = 1 << 20;
/// How often a request is sent on.
const REDIRECTS: usize = 5;

/// A request.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// What it is for, for a person.
    pub(super) doing: String,
    /// What a token for it must allow.
    pub(super) scope: String,
}

impl Call {
    pub(super) fn new(method: Method, url: Url, scope: String, doing: String) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            doing,
            scope,
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }
}

/// How often something was tried, and how long to wait before it is tried again.
pub(super) struct Tries<'a> {
    registry: &'a Registry,
    doing: String,
    made: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(registry: &'a Registry, doing: &str) -> Self {
        Self {
            registry,
            doing: doing.to_owned(),
            made: 1,
        }
    }

    /// It got further than before.
    pub(super) fn start_over(&mut self) {
        self.made = 1;
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn again(&mut self, why: Why, after: Option<Duration>) -> Result<(), Trouble> {
        let longest = self.registry.patience * 2;
        let usual = self.registry.patience / 60 * (1 << (self.made - 1).min(6));
        let why = match after {
            Some(after) if after > longest => Why::Later(after),
            _ => why,
        };
        if !why.may_pass() || self.made >= TRIES {
            return Err(self.failed(why));
        }
        self.made += 1;
        tokio::time::sleep(after.unwrap_or(usual)).await;
        Ok(())
    }

    pub(super) fn failed(&self, why: Why) -> Trouble {
        Trouble {
            host: self.registry.host.clone(),
            doing: self.doing.clone(),
            why,
            tries: self.made,
        }
    }
}

impl Registry {
    /// Makes a request until it is answered with a success, or with something that another try does not change.
    pub(super) async fn ask(&self, call: &Call) -> Result<Response, Trouble> {
        let mut tries = Tries::new(self, &call.doing);
        loop {
            let (why, after) = match self.once(call, self.patience).await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => self.refusal(answer).await,
                Err(why) => (why, None),
            };
            tries.again(why, after).await?;
        }
    }

    /// A short answer, whole. It is part of what is tried again.
    pub(super) async fn ask_short(
        &self,
        call: &Call,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), Trouble> {
        let mut tries = Tries::new(self, &call.doing);
        loop {
            let (why, after) = match self.once(call, self.patience).await {
                Ok(answer) if answer.status().is_success() => {
                    let (status, headers) = (answer.status(), answer.headers().clone());
                    let whole = tokio::time::timeout(self.patience * 2, short(answer)).await;
                    match whole.unwrap_or(Err(Why::Silent(self.patience * 2))) {
                        Ok(body) => return Ok((status, headers, body)),
                        Err(why) => (why, None),
                    }
                }
                Ok(answer) => self.refusal(answer).await,
                Err(why) => (why, None),
            };
            tries.again(why, after).await?;
        }
    }

    /// Why an answer is no success, and when to come back.
    pub(super) async fn refusal(&self, answer: Response) -> (Why, Option<Duration>) {
        let status = answer.status();
        let after = answer.headers().get(RETRY_AFTER).and_then(retry_after);
        let body = tokio::time::timeout(self.patience, short(answer)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        if matches!(status.as_u16(), 401 | 403)
            && let Some(realm) = self.auth.withheld().await
        {
            return (Why::Elsewhere { realm }, None);
        }
        (Why::refused(status, &body), after)
    }

    /// One request, with what proves who asks.
    pub(super) async fn once(&self, call: &Call, limit: Duration) -> Result<Response, Why> {
        let mut proof = self.auth.header(&call.scope).await;
        let mut met = 0;
        loop {
            let mut request = reqwest::Request::new(call.method.clone(), call.url.clone());
            *request.headers_mut() = call.headers.clone();
            *request.body_mut() = call.body.clone().map(Into::into);
            let answer = self.followed(request, proof.as_ref(), limit).await?;
            // A token that has expired on the way is the reason for the second.
            if answer.status() != StatusCode::UNAUTHORIZED || met == 2 {
                return Ok(answer);
            }
            met += 1;
            let headers = answer.headers().clone();
            let meeting = self.auth.meet(self, &call.scope, &headers, proof.as_ref());
            match meeting.await? {
                Some(header) => proof = Some(header),
                None => return Ok(answer),
            }
        }
    }

    /// Follows where a request is sent on. What proves who asks stays with the registry.
    async fn followed(
        &self,
        request: reqwest::Request,
        proof: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Response, Why> {
        let mut request = request;
        for _ in 0..=REDIRECTS {
            let next = request.try_clone();
            let answer = self.execute(request, proof, limit).await?;
            let reads = next
                .as_ref()
                .is_some_and(|n| matches!(*n.method(), Method::GET | Method::HEAD));
            let (Some(mut again), true, true) = (next, reads, answer.status().is_redirection())
            else {
                return Ok(answer);
            };
            let to = location(&answer, again.url())
                .ok_or_else(|| Why::Nonsense("it sends on to nowhere".to_owned()))?;
            if again.url().scheme() == "https" && to.scheme() != "https" {
                let what = "it sends on to an address without TLS, which was not followed";
                return Err(Why::Nonsense(what.to_owned()));
            }
            *again.url_mut() = to;
            request = again;
        }
        Err(Why::Nonsense(format!(
            "it sends on more than {REDIRECTS} times"
        )))
    }

    /// Makes one request to one server.
    pub(super) async fn execute(
        &self,
        mut request: reqwest::Request,
        proof: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Response, Why> {
        if let Some(proof) = proof
            && request.url().origin() == self.base.origin()
        {
            request.headers_mut().insert(AUTHORIZATION, proof.clone());
        }
        let client = self.client(request.url())?;
        let answer = tokio::time::timeout(limit, client.execute(request)).await;
        answer
            .map_err(|_| Why::Silent(limit))?
            .map_err(|e| Why::broken(&e))
    }
}

/// Where an answer points to: an address, or a path of the one that was asked.
pub(super) fn location(answer: &Response, asked: &Url) -> Option<Url> {
    let text = answer.headers().get(LOCATION)?.to_str().ok()?;
    let url = asked.join(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// The whole body of an answer that is short.
pub(super) async fn short(answer: Response) -> Result<Vec<u8>, Why> {
    bounded(answer, SHORT).await
}

/// The whole body of an answer of at most so many bytes.
pub(super) async fn bounded(mut answer: Response, limit: usize) -> Result<Vec<u8>, Why> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|e| Why::broken(&e))? {
        if bytes.len() + piece.len() > limit {
            return Err(Why::Nonsense("its answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// How long to wait: seconds, or a time of RFC 9110.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = until.duration_since(jiff::Timestamp::now());
    Some(wait.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_come_back_is_seconds_or_a_date() {
        let after = |text: &str| retry_after(&HeaderValue::try_from(text).unwrap());
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        let far = after("Fri, 31 Dec 2100 23:59:59 GMT").unwrap();
        assert!(far > Duration::from_hours(24));
    }
}
