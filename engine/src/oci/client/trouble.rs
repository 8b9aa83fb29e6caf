//! Why a registry did not do what it was asked, and what to type next.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::web::{deepest, shown};

/// What went wrong at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The registry.
    pub host: String,
    /// What was asked of it.
    pub doing: String,
    /// What came of it.
    pub why: Why,
    /// How often it was tried.
    pub tries: u32,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// No sign of life for so long.
    Silent(Duration),
    /// Nobody takes the connection.
    Unreachable(String),
    /// The connection broke.
    Broken(String),
    /// The answer says no.
    Refused {
        /// The status.
        status: u16,
        /// The registry's word for it.
        code: String,
        /// All of it, for a person.
        words: String,
    },
    /// The registry wants to be asked much later.
    Later(Duration),
    /// What came is not what was asked for.
    Damaged(String),
    /// The answer makes no sense.
    Nonsense(String),
    /// The proof of who asks would have gone to another host.
    Elsewhere {
        /// The host.
        realm: String,
    },
    /// No proof of who asks could be had.
    NoProof(String),
    /// A file of this machine cannot be read or written.
    Here(String),
}

impl Why {
    /// From an answer that is no success.
    pub(super) fn refused(status: StatusCode, body: &[u8]) -> Self {
        let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let first = &document["errors"][0];
        let text = |name: &str| shown(first[name].as_str().unwrap_or_default());
        let (code, message) = (text("code"), text("message"));
        let words = match (code.as_str(), message.as_str()) {
            ("", "") => status.to_string(),
            ("", message) => format!("{status}: {message}"),
            (code, "") => format!("{status} ({code})"),
            (code, message) => format!("{status} ({code}: {message})"),
        };
        Self::Refused {
            status: status.as_u16(),
            code,
            words,
        }
    }

    /// From a request that got no answer.
    pub(super) fn broken(error: &reqwest::Error) -> Self {
        match error.is_connect() {
            true => Self::Unreachable(deepest(error)),
            false => Self::Broken(deepest(error)),
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Unreachable(_) | Self::Broken(_) | Self::Damaged(_) => true,
            Self::Refused { status, code, .. } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504) || code == "DIGEST_INVALID"
            }
            _ => false,
        }
    }
}

impl Trouble {
    /// Whether what was asked for is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.why, Why::Refused { status: 404, .. })
    }

    /// Whether the registry understood, and says no.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.why, Why::Refused { status, .. } if (400..500).contains(&status))
    }

    /// Whether the registry cannot do that at all.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match &self.why {
            Why::Refused { status, code, .. } => {
                matches!(status, 405 | 501) || code == "UNSUPPORTED"
            }
            _ => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        let host = &self.host;
        match &self.why {
            Why::Refused { status: 401, .. } => format!(
                "log in: `login user=… password=SECRET` in the registry's node, or `docker login {host}` on this machine"
            ),
            Why::Refused { status: 403, .. } => {
                format!("ask who owns {host} for the right to do that")
            }
            Why::Refused { status: 404, .. } => {
                "check the registry's prefix and the image's name; some registries want \
                 the repository to be made first"
                    .to_owned()
            }
            Why::Refused { .. } if self.is_unsupported() => {
                format!("{host} does not allow that; its settings say whether it can")
            }
            Why::Refused { status: 413, .. } => {
                "the registry, or a proxy before it, takes no layers of this size".to_owned()
            }
            Why::Silent(_) | Why::Unreachable(_) => {
                format!("check that {host} is the right name and that this machine reaches it")
            }
            Why::Elsewhere { realm } => format!(
                "if {realm} is where {host} checks passwords, say so: `login … realm=\"{realm}\"`"
            ),
            Why::NoProof(_) => "repair the login, or name another one with `login`".to_owned(),
            Why::Here(_) => "is the disk full?".to_owned(),
            Why::Damaged(_) | Why::Nonsense(_) => format!(
                "whatever answers at {host} may be no registry, or a proxy changes what it says"
            ),
            _ => "run again; what is there already is not sent again".to_owned(),
        }
    }
}

impl std::error::Error for Trouble {}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.host, self.doing, self.why)?;
        match self.tries {
            0 | 1 => Ok(()),
            tries => write!(f, ", tried {tries} times"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "no sign of life for {}", time(*limit)),
            Self::Unreachable(why) => write!(f, "no connection: {why}"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::Refused { words, .. } => f.write_str(words),
            Self::Later(wait) => write!(f, "too many requests; come back in {}", time(*wait)),
            Self::Damaged(what) | Self::Nonsense(what) | Self::NoProof(what) | Self::Here(what) => {
                f.write_str(what)
            }
            Self::Elsewhere { realm } => write!(
                f,
                "it wants the password to be sent to another host, {realm}, which was not done"
            ),
        }
    }
}

fn time(limit: Duration) -> String {
    dsl::units::show_duration(limit)
}
