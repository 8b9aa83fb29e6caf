//! The logins that a user has already: of Docker's `config.json` and of Podman's `auth.json`, and what their credential
//! helpers know. Reads; writes nothing. A login goes to the engine for the registry that it is for, and nowhere else.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::Kind;
use super::reference::{HUB, Reference};

/// Under which name Docker keeps the login of its own registry.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The login for an image's registry, if there is one.
///
/// # Errors
/// A helper that is named and does not do its work, as a sentence.
pub(super) async fn login(
    reference: &Reference<'_>,
    kind: Kind,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
    patience: Duration,
) -> Result<Option<DockerCredentials>, String> {
    known(reference.host, &reference.repository, kind, env, patience).await
}

/// The login for a repository of a registry, if there is one.
///
/// # Errors
/// A helper that is named and does not do its work, as a sentence.
pub(crate) async fn known(
    host: &str,
    repository: &str,
    kind: Kind,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
    patience: Duration,
) -> Result<Option<DockerCredentials>, String> {
    for file in files(kind, env) {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let shown = file.display();
        let config: Value =
            serde_json::from_str(&text).map_err(|e| format!("{shown} cannot be read: {e}"))?;
        if let Some(found) = in_file(&config, host, repository, patience).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The files of both engines with logins, those of the one in use first.
pub fn files(kind: Kind, env: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let folder = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = folder("HOME");
    let below = |path: &str| home.as_ref().map(|h| h.join(path));
    let docker = folder("DOCKER_CONFIG").or_else(|| below(".docker"));
    let docker = docker.map(|d| d.join("config.json"));
    let settings = folder("XDG_CONFIG_HOME").or_else(|| below(".config"));
    let podman = [
        folder("REGISTRY_AUTH_FILE"),
        folder("XDG_RUNTIME_DIR").map(|d| d.join("containers/auth.json")),
        settings.map(|d| d.join("containers/auth.json")),
    ];
    let podman = podman.into_iter().flatten();
    match kind {
        Kind::Docker => docker.into_iter().chain(podman).collect(),
        Kind::Podman => podman.chain(docker).collect(),
    }
}

/// Under which name the login of a registry is kept.
pub(crate) fn server(host: &str) -> &str {
    if host == HUB { HUB_KEY } else { host }
}

async fn in_file(
    config: &Value,
    host: &str,
    repository: &str,
    patience: Duration,
) -> Result<Option<DockerCredentials>, String> {
    let server = server(host);
    let helpers = config.get("credHelpers");
    let own = helpers.and_then(|h| h.get(host).or_else(|| h.get(server)));
    let store = config.get("credsStore").filter(|s| *s != "");
    if let Some(helper) = own.or(store).and_then(Value::as_str)
        && let Some(found) = ask(helper, server, patience).await?
    {
        return Ok(Some(found));
    }
    Ok(written(config, host, repository))
}

/// A login that stands in the file itself; Podman has some for a part of a registry only.
fn written(config: &Value, host: &str, repository: &str) -> Option<DockerCredentials> {
    let server = server(host);
    let auths = config.get("auths")?.as_object()?;
    let full = format!("{host}/{repository}");
    let fits = |key: &str| {
        let bare = key
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let bare = bare
            .strip_suffix("/v1")
            .or(bare.strip_suffix("/v2"))
            .unwrap_or(bare);
        let part = full.strip_prefix(bare);
        key == server || part.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fitting = auths.iter().filter(|(key, _)| fits(key));
    let (_, entry) = fitting.max_by_key(|(key, _)| key.len())?;
    let text = |name: &str| {
        entry
            .get(name)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    let mut found = DockerCredentials {
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    };
    if let Some(token) = text("identitytoken") {
        found.identitytoken = Some(token.to_owned());
        return Some(found);
    }
    let pair = STANDARD.decode(text("auth")?.trim()).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    let (user, password) = pair.trim_end_matches('\0').split_once(':')?;
    found.username = Some(user.to_owned());
    found.password = Some(password.to_owned());
    Some(found)
}

/// Asks a credential helper, which is a program of its own.
///
/// # Errors
/// When it does not do its work, as a sentence.
pub(crate) async fn ask(
    helper: &str,
    server: &str,
    patience: Duration,
) -> Result<Option<DockerCredentials>, String> {
    let program = format!("docker-credential-{helper}");
    let asked = tokio::time::timeout(patience, answer(&program, server)).await;
    let output = match asked {
        Ok(Ok(output)) => output,
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(format!("the credential helper {program} was not found"));
        }
        Ok(Err(e)) => return Err(format!("the credential helper {program}: {e}")),
        Err(_) => return Err(format!("the credential helper {program} does not answer")),
    };
    if !output.status.success() {
        // It says so on standard output. What else it says may hold what is nobody's business.
        let said = String::from_utf8_lossy(&output.stdout).to_lowercase();
        return match said.contains("not found") {
            true => Ok(None),
            false => Err(format!("the credential helper {program} failed")),
        };
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("the credential helper {program} gave no JSON"))?;
    let text = |name: &str| {
        let value = answer.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let (user, secret) = (text("Username"), text("Secret"));
    let mut found = DockerCredentials {
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    };
    if user == "<token>" {
        found.identitytoken = Some(secret);
    } else {
        found.username = Some(user);
        found.password = Some(secret);
    }
    Ok(Some(found))
}

async fn answer(program: &str, server: &str) -> std::io::Result<std::process::Output> {
    let mut child = tokio::process::Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it says so by its exit.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    child.wait_with_output().await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Reference, written};

    #[test]
    fn the_login_of_the_longest_fitting_part_is_taken() {
        let config = json!({"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOmE="},
            "127.0.0.1:5000": {"auth": "YWxsOmI="},
            "127.0.0.1:5000/team": {"auth": "dGVhbTpjOmQ="},
        }});
        let user = |image: &str| {
            let reference = Reference::of(image);
            let found = written(&config, reference.host, &reference.repository)?;
            Some((found.username?, found.password?))
        };
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(user("alpine"), pair("hub", "a"));
        assert_eq!(user("127.0.0.1:5000/x:1"), pair("all", "b"));
        assert_eq!(user("127.0.0.1:5000/team/x"), pair("team", "c:d"));
        assert_eq!(user("127.0.0.1:5000/teamwork/x"), pair("all", "b"));
        assert_eq!(user("ghcr.io/x/y"), None);
    }
}
