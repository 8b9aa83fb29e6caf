//! Requests that cannot hang and answers that cannot fill the memory, whatever is at the other end. Knows no buckets.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::{Client, Method};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::web::{self, deepest, standstill};

/// A request on which nothing moves for so long has failed.
pub(super) const STALL: Duration = Duration::from_secs(10);
/// How long it may take to be connected.
const CONNECT: Duration = Duration::from_secs(3);
/// How much of an answer is taken that is no object.
const SHORT: usize = 256 << 10;

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing moved.
    Silent,
    /// Nobody took the connection.
    Unreachable,
    /// The other end said no.
    Refused {
        /// With this status.
        status: u16,
        /// And these words.
        words: String,
    },
    /// The connection was not made, or broke.
    Broken(String),
    /// What came is no answer.
    TooLong,
}

impl Trouble {
    /// Whether the same request may be answered in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::Broken(_) => true,
            Self::Silent | Self::Unreachable | Self::TooLong => false,
        }
    }

    fn into_error(self) -> HttpError {
        HttpError::new(HttpErrorKind::Unknown, self)
    }
}

impl Error for Trouble {}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => write!(f, "nothing moved for {}s", STALL.as_secs()),
            Self::Unreachable => write!(f, "no connection within {}s", CONNECT.as_secs()),
            Self::Refused { words, .. } => f.write_str(words),
            Self::Broken(why) => f.write_str(why),
            Self::TooLong => f.write_str("its answer is too long"),
        }
    }
}

/// What makes requests.
#[derive(Debug, Clone)]
pub(super) struct Careful(Client);

impl Careful {
    /// For a server, which may be this machine.
    pub(super) fn new(here: bool) -> Result<Self, String> {
        Ok(Self(web::client(here, CONNECT)?))
    }

    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, Trouble> {
        let (parts, body) = request.into_parts();
        let is_get = parts.method == Method::GET;
        let url = parts.uri.to_string().parse();
        let url = url.map_err(|_| Trouble::Broken("its address is none".to_owned()))?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        let (moved, mut motion) = watch::channel(Instant::now());
        if body.content_length() > 0 {
            let body = Watched { body, moved };
            *request.body_mut() = Some(reqwest::Body::wrap(body));
        }
        let answer = tokio::select! {
            answer = self.0.execute(request) => answer.map_err(|e| broken(&e))?,
            () = standstill(&mut motion, STALL) => return Err(Trouble::Silent),
        };
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        if parts.status.is_success() && is_get {
            let body = Mapped(body);
            return Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)));
        }
        let text = timeout(STALL, short(body)).await;
        let text = text.map_err(|_| Trouble::Silent)??;
        if !parts.status.is_success() {
            return Err(Trouble::Refused {
                status: parts.status.as_u16(),
                words: words(parts.status, &text),
            });
        }
        Ok(HttpResponse::from_parts(parts, text.into()))
    }
}

impl HttpConnector for Careful {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Careful {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move { self.execute(request).await.map_err(Trouble::into_error) })
    }
}

/// A body that goes out, and tells when a piece of it is taken.
struct Watched {
    body: HttpRequestBody,
    moved: watch::Sender<Instant>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_ready() {
            self.moved.send_replace(Instant::now());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that comes in, with our own words for what goes wrong.
struct Mapped(reqwest::Body);

impl Body for Mapped {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.0).poll_frame(context);
        polled.map(|frame| Some(frame?.map_err(|e| broken(&e).into_error())))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// All of a body that is short.
async fn short(mut body: reqwest::Body) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame = frame.map_err(|e| broken(&e))?;
        if let Some(piece) = frame.data_ref() {
            if bytes.len() + piece.len() > SHORT {
                return Err(Trouble::TooLong);
            }
            bytes.extend_from_slice(piece);
        }
    }
}

fn broken(error: &reqwest::Error) -> Trouble {
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => Trouble::Unreachable,
        (true, false) => Trouble::Silent,
        (false, _) => Trouble::Broken(deepest(error)),
    }
}

/// `403 Forbidden (AccessDenied)`
fn words(status: http::StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0))
        .filter(|c| !c.is_empty() && c.len() <= 60 && c.chars().all(|c| c.is_ascii_alphanumeric()));
    match code {
        Some(code) => format!("{status} ({code})"),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_code_if_that_is_a_word() {
        let words = |body: &str| words(http::StatusCode::FORBIDDEN, body.as_bytes());
        let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
        assert_eq!(words(xml), "403 Forbidden (AccessDenied)");
        assert_eq!(words("<Code>\u{1b}[31m</Code>"), "403 Forbidden");
        assert_eq!(words("no"), "403 Forbidden");
    }
}
