//! Registries: the client's side of the OCI's distribution-spec 1.1. Knows no layouts, no steps and no images as a whole.
//!
//! Every request has its time and is made again where that can help; dropping a future ends what it does. What arrives is
//! hashed before it is believed, and what proves who asks goes to one host only.

mod auth;
mod blob;
mod challenge;
mod insecure;
mod login;
mod manifests;
mod request;
mod trouble;
mod upload;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Url;

pub use insecure::Insecure;
pub use login::{Env, Login, Origin};
pub(crate) use manifests::fallback_tag;
pub use trouble::{Trouble, Why};
pub use upload::{Source, Took};

use super::place::NoName;
use crate::web;
use auth::Auth;

/// How long a registry may show no sign of life, where nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is made that fails in a way that may pass.
const TRIES: u32 = 6;

/// What asks registries.
#[derive(Debug, Clone)]
pub struct Client {
    patience: Duration,
    insecure: Arc<Insecure>,
}

impl Client {
    /// A client that waits so long for a sign of life, and speaks without TLS to these hosts and to this machine.
    #[must_use]
    pub fn new(patience: Duration, insecure: Insecure) -> Self {
        Self {
            patience,
            insecure: Arc::new(insecure),
        }
    }

    /// A registry, by its host and port.
    ///
    /// # Errors
    /// When that is no host.
    pub fn registry(&self, host: &str, login: Login) -> Result<Arc<Registry>, NoName> {
        let near = insecure::is_this_machine(host);
        let plain = near || self.insecure.has(host);
        let scheme = if plain { "http" } else { "https" };
        // Docker's own registry is called one thing and is another.
        let server = match host {
            "docker.io" | "index.docker.io" => "registry-1.docker.io",
            host => host,
        };
        let base = Url::parse(&format!("{scheme}://{server}/v2/"));
        let base = base
            .ok()
            .filter(|u| u.path() == "/v2/" && u.username().is_empty());
        let base = base.ok_or_else(|| NoName::host(host))?;
        Ok(Arc::new(Registry {
            near,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            patience: self.patience,
            host: host.to_owned(),
            base,
            auth: Auth::new(login),
        }))
    }
}

/// A registry, and who asks it. Nothing is asked before it is needed.
pub struct Registry {
    near: bool,
    /// What speaks HTTP alone, and what speaks HTTPS: each is made when it is needed.
    plain: OnceLock<Result<reqwest::Client, String>>,
    secure: OnceLock<Result<reqwest::Client, String>>,
    patience: Duration,
    host: String,
    base: Url,
    auth: Auth,
}

impl Registry {
    /// Host and port, as they were named.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is spoken to without TLS.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// What makes a request to an address.
    fn client(&self, to: &Url) -> Result<&reqwest::Client, Why> {
        let connect = self.patience.min(Duration::from_secs(10));
        let made = match to.scheme() {
            "https" => self.secure.get_or_init(|| web::client(self.near, connect)),
            _ => self.plain.get_or_init(|| web::plain(self.near, connect)),
        };
        made.as_ref().map_err(|e| Why::Here(e.clone()))
    }

    /// A repository in it.
    #[must_use]
    pub fn repository(self: &Arc<Self>, name: &str) -> Repository {
        Repository {
            registry: Arc::clone(self),
            name: name.to_owned(),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.host).finish()
    }
}

/// A repository of a registry.
#[derive(Debug, Clone)]
pub struct Repository {
    registry: Arc<Registry>,
    name: String,
}

impl Repository {
    /// The registry that it is in.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Its name in the registry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An address in it. What is given is made of names that were checked.
    fn url(&self, rest: &str) -> Url {
        let mut url = self.registry.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.name));
        url
    }

    fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.name)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry.host, self.name)
    }
}
