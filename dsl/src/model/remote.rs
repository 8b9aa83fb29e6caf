//! Where results are shared between machines.

use serde::{Deserialize, Serialize};

use crate::source::{Span, Spanned};

/// `remote-cache`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteCache {
    /// The bucket.
    pub bucket: String,
    /// What stands in front of every name in it, without `/` at its ends; may be empty.
    pub prefix: String,
    /// The server, without `/` at its end; `None`: the usual one.
    pub endpoint: Option<Spanned<String>>,
    /// The region; `None`: the usual one.
    pub region: Option<String>,
    /// The secrets with the access key's id and the access key.
    pub credentials: Option<(Spanned<String>, Spanned<String>)>,
    /// The secret with which records are signed.
    pub sign: Option<Spanned<String>>,
    /// Whether nothing but the file itself allows the endpoint to be plain HTTP.
    pub plain_http: bool,
    /// Where it is written.
    pub span: Span,
}

impl RemoteCache {
    /// The secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &Spanned<String>> {
        let pair = self.credentials.iter().flat_map(|(id, key)| [id, key]);
        pair.chain(&self.sign)
    }

    /// How it is called where people read.
    #[must_use]
    pub fn address(&self) -> String {
        match self.prefix.as_str() {
            "" => format!("s3://{}", self.bucket),
            prefix => format!("s3://{}/{prefix}", self.bucket),
        }
    }
}
