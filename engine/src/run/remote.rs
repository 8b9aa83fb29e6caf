//! The store elsewhere that a pipeline names: who may use it in this run, and how. No job sees anything of it.

use dsl::model::RemoteCache;
use dsl::units;
use secrecy::{ExposeSecret, SecretString};

use super::secrets::Secrets;
use crate::cache::remote::{
    Bucket, Credentials, IS_BUILT, Remote, SHORTEST, Settings, SigningKey, connect,
};
use crate::cache::{Scope, Settings as CacheSettings, Store};

/// The region where nobody names one.
const REGION: &str = "us-east-1";

/// Why a store is not used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotUsed {
    /// Why.
    pub why: String,
    /// The remedy.
    pub help: String,
}

/// Begins to use the store that a pipeline names. `None` where this run has no business with it.
///
/// `secrets` are those that it names, where the run may have them; `env` is the environment of `pipe` itself.
///
/// # Errors
/// Why it cannot be used; the run goes on without it.
pub fn open(
    node: &RemoteCache,
    secrets: &Secrets,
    env: &dyn Fn(&str) -> Option<String>,
    cache: &CacheSettings,
) -> Result<Option<Remote>, NotUsed> {
    if !IS_BUILT {
        return Err(NotUsed {
            why: "this build of pipe has no remote cache; results are kept on this machine only"
                .into(),
            help: "build it with `--features remote`".into(),
        });
    }
    let trusted = cache.scope == Scope::Trusted;
    if node.sign.is_some() && !trusted {
        // It could neither tell what is signed rightly, nor sign anything.
        return Ok(None);
    }
    let bucket = bucket(node, secrets, env, trusted)?;
    let settings = Settings {
        name: node.address(),
        prefix: bucket.prefix.clone(),
        scope: cache.scope.clone(),
        sign: sign(node, secrets)?,
        writes: bucket.credentials.is_some(),
        store: Store::beneath(&cache.folder),
    };
    let not_used = |why: String| NotUsed {
        why: format!("the remote cache {} is not used: {why}", node.address()),
        help: "`--no-remote` says that it is not wanted".into(),
    };
    let objects = connect(&bucket).map_err(not_used)?;
    let remote = Remote::start(objects, settings).map_err(|e| not_used(e.to_string()))?;
    Ok(Some(remote))
}

fn sign(node: &RemoteCache, secrets: &Secrets) -> Result<Option<SigningKey>, NotUsed> {
    let Some(name) = &node.sign else {
        return Ok(None);
    };
    let secret = secrets.get(&name.value);
    let key = secret.and_then(|s| SigningKey::of(s.expose_secret()));
    key.map(Some).ok_or_else(|| NotUsed {
        why: format!(
            "the remote cache {} is not used: the secret {} has fewer than {SHORTEST} bytes, and would sign nothing",
            node.address(),
            name.value
        ),
        help: "take a long random one, for example from `openssl rand -hex 32`".into(),
    })
}

fn bucket(
    node: &RemoteCache,
    secrets: &Secrets,
    env: &dyn Fn(&str) -> Option<String>,
    trusted: bool,
) -> Result<Bucket, NotUsed> {
    let env = |name: &str| env(name).filter(|v| !v.is_empty());
    let named = node.endpoint.as_ref().map(|e| e.value.clone());
    let from_env = || {
        let name = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
        name.into_iter().find_map(|n| Some((n, env(n)?)))
    };
    let endpoint = match (named, from_env()) {
        (Some(endpoint), _) => Some(endpoint),
        (None, None) => None,
        (None, Some((name, value))) => Some(usual(node, name, &value)?),
    };
    let here = |e: &String| units::server(e).is_ok_and(|s| s.here);
    Ok(Bucket {
        name: node.bucket.clone(),
        prefix: node.prefix.clone(),
        here: endpoint.as_ref().is_some_and(here),
        endpoint,
        region: node
            .region
            .clone()
            .or_else(|| env("AWS_REGION"))
            .or_else(|| env("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|| REGION.to_owned()),
        credentials: credentials(node, secrets, &env, trusted),
    })
}

/// An endpoint from the environment: what holds for the one in the file holds for it, too.
fn usual(node: &RemoteCache, name: &str, value: &str) -> Result<String, NotUsed> {
    let value = value.strip_suffix('/').unwrap_or(value);
    let wrong = |why: String| NotUsed {
        why: format!(
            "the remote cache {} is not used: {name}: {why}",
            node.address()
        ),
        help: "write `endpoint=` into the file, or mend the variable".into(),
    };
    match units::server(value) {
        Err(why) => Err(wrong(why)),
        Ok(server) if server.leaks() && !node.plain_http => Err(wrong(
            "plain HTTP to another machine wants `plain-http=#true` in the file".into(),
        )),
        Ok(_) => Ok(value.to_owned()),
    }
}

/// The credentials that the file names, or else those of the environment. A run that is not trusted has no secrets, but
/// it has its environment.
fn credentials(
    node: &RemoteCache,
    secrets: &Secrets,
    env: &dyn Fn(&str) -> Option<String>,
    trusted: bool,
) -> Option<Credentials> {
    if let (Some((id, key)), true) = (&node.credentials, trusted) {
        return Some(Credentials {
            id: secrets.get(&id.value)?.clone(),
            key: secrets.get(&key.value)?.clone(),
            token: None,
        });
    }
    Some(Credentials {
        id: env("AWS_ACCESS_KEY_ID")?.into(),
        key: env("AWS_SECRET_ACCESS_KEY")?.into(),
        token: env("AWS_SESSION_TOKEN").map(SecretString::from),
    })
}
