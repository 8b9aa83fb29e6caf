//! Who asks a registry: a password, a credential helper, or what the user's own files say. Knows no HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use secrecy::SecretString;

use crate::container::{Kind, auth};

/// Reads an environment variable.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where the proof of who asks comes from.
#[derive(Clone, Default)]
pub struct Login {
    /// Where it comes from.
    pub from: Origin,
    /// The host of another server that may get it, where the registry sends there.
    pub realm: Option<String>,
}

/// Where a proof comes from.
#[derive(Clone, Default)]
pub enum Origin {
    /// There is none: everything is asked by nobody in particular.
    #[default]
    Nowhere,
    /// A name and a password.
    Password(String, SecretString),
    /// A credential helper, without `docker-credential-` in front.
    Helper(String),
    /// The user's files of Docker and Podman, and the helpers that they name.
    Files(Env),
}

/// What proves who asks.
#[derive(Clone)]
pub enum Proof {
    /// A name and a password.
    Password(String, SecretString),
    /// A token that is exchanged for others.
    Token(SecretString),
}

impl Login {
    /// With what the user's files say.
    #[must_use]
    pub fn of_files(env: Env) -> Self {
        Self {
            from: Origin::Files(env),
            realm: None,
        }
    }

    /// The proof for a registry, if there is one.
    ///
    /// # Errors
    /// A helper that does not do its work, or a file that cannot be read, as a sentence.
    pub(super) async fn proof(
        &self,
        host: &str,
        repository: &str,
        patience: Duration,
    ) -> Result<Option<Proof>, String> {
        let found = match &self.from {
            Origin::Nowhere => return Ok(None),
            Origin::Password(user, password) => {
                return Ok(Some(Proof::Password(user.clone(), password.clone())));
            }
            Origin::Helper(name) => {
                let server = auth::server(host);
                let found = auth::ask(name, server, patience).await?;
                let none = || format!("the credential helper {name} knows no login for {server}");
                Some(found.ok_or_else(none)?)
            }
            Origin::Files(env) => {
                let env = |name: &str| env(name);
                auth::known(host, repository, Kind::Docker, &env, patience).await?
            }
        };
        Ok(found.and_then(Proof::of))
    }
}

impl Proof {
    fn of(found: DockerCredentials) -> Option<Self> {
        if let Some(token) = found.identitytoken {
            return Some(Self::Token(token.into()));
        }
        Some(Self::Password(found.username?, found.password?.into()))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}
