//! The registries of a pipeline as this machine reaches them: their places, and who asks. Knows no steps.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dsl::model::{Pipeline, Registry};

use super::secrets::Secrets;
use crate::oci::client::{self, Client, Insecure, Login, Origin};
use crate::oci::place::{NoName, Prefix};
use crate::oci::{Layout, Place};

/// What is the same for all registries of a run.
#[derive(Debug, Clone)]
pub struct Registries {
    /// How long one may show no sign of life.
    pub patience: Duration,
}

impl Default for Registries {
    fn default() -> Self {
        Self {
            patience: client::PATIENCE,
        }
    }
}

/// One registry, ready to be asked.
#[derive(Debug, Clone)]
pub struct Reached {
    prefix: Prefix,
    server: Option<Arc<client::Registry>>,
    /// Whether its tags may move.
    pub moves: bool,
}

impl Registries {
    /// A registry by its definition, with its prefix put in. Nothing is asked yet.
    ///
    /// # Errors
    /// When its prefix is none, or this machine cannot ask anything, in words.
    pub fn reach(
        &self,
        registry: &Registry,
        prefix: &str,
        root: &Path,
        secrets: &Secrets,
    ) -> Result<Reached, String> {
        let prefix = Prefix::read(prefix, root).map_err(|e| e.to_string())?;
        let server = match &prefix {
            Prefix::Folder(..) => None,
            Prefix::Host(host, _) => {
                let env = |name: &str| std::env::var(name).ok();
                let client = Client::new(self.patience, Insecure::of_machine(&env));
                let login = login(registry, secrets);
                Some(client.registry(host, login).map_err(|e| e.to_string())?)
            }
        };
        Ok(Reached {
            prefix,
            server,
            moves: !registry.immutable,
        })
    }
}

impl Reached {
    /// The place of an image in it.
    ///
    /// # Errors
    /// When registries take no such name.
    pub fn place(&self, repository: &str) -> Result<Place, NoName> {
        let name = self.prefix.repository(repository)?;
        Ok(match (&self.server, &self.prefix) {
            (Some(server), _) => Place::Repository(server.repository(&name)),
            (None, Prefix::Folder(root, shown)) => {
                Place::Folder(Layout::at(&root.join(&name)), format!("{shown}/{name}"))
            }
            (None, Prefix::Host(host, _)) => {
                Place::Folder(Layout::at(Path::new(host)), host.clone())
            }
        })
    }

    /// The folder, where it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&PathBuf> {
        match &self.prefix {
            Prefix::Folder(root, _) => Some(root),
            Prefix::Host(..) => None,
        }
    }
}

/// Under which name an image stands in registries.
#[must_use]
pub fn repository<'p>(pipeline: &'p Pipeline, image: &'p str) -> &'p str {
    let build = pipeline.images.get(image).map(|i| &i.build);
    let named = build.and_then(|b| b.repository.as_ref());
    named.map_or(image, |r| &r.value)
}

fn login(registry: &Registry, secrets: &Secrets) -> Login {
    let files = || -> client::Env { Arc::new(|name: &str| std::env::var(name).ok()) };
    let Some(login) = &registry.login else {
        return Login::of_files(files());
    };
    let password = login.password.as_ref().and_then(|p| secrets.get(&p.value));
    let from = match (&login.helper, &login.user, password) {
        (Some(helper), ..) => Origin::Helper(helper.value.clone()),
        (None, Some(user), Some(password)) => {
            Origin::Password(user.value.clone(), password.clone())
        }
        _ => Origin::Files(files()),
    };
    Login {
        from,
        realm: login.realm.as_ref().map(|r| r.value.clone()),
    }
}
