//! The logins of the pipeline for a builder: beside those that its user has, in a folder that only the user may read and
//! that is gone when the build has ended. A login is for its registry alone.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::super::environment::Environment;
use crate::container::{Kind, login_files};

/// A login for a registry.
#[derive(Debug, Clone)]
pub(in crate::run) struct Login {
    /// The registry's host, with its port.
    pub(in crate::run) host: String,
    pub(in crate::run) user: String,
    pub(in crate::run) password: SecretString,
}

/// Writes the logins into a folder and tells the builder of them.
///
/// # Errors
/// When they cannot be written.
pub(in crate::run) fn hand_over(
    logins: &[Login],
    kind: Kind,
    folder: &Path,
    env: &mut Environment,
) -> io::Result<()> {
    if logins.is_empty() {
        return Ok(());
    }
    let read = |name: &str| std::env::var(name).ok();
    let theirs = login_files(kind, &read);
    let theirs = theirs.iter().find(|f| f.is_file());
    let known = theirs.and_then(|f| fs::read_to_string(f).ok());
    let known: Option<Value> = known.and_then(|text| serde_json::from_str(&text).ok());
    let mut config = match known {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    };
    logins
        .iter()
        .for_each(|login| add(&mut config, login, kind));
    let file = match kind {
        Kind::Docker => folder.join("config.json"),
        Kind::Podman => folder.join("auth.json"),
    };
    let options = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .clone();
    options
        .open(&file)?
        .write_all(Value::Object(config).to_string().as_bytes())?;
    match kind {
        Kind::Podman => env.set("REGISTRY_AUTH_FILE", file),
        Kind::Docker => {
            if let Some(plugins) = plugins(&read) {
                symlink(plugins, folder.join("cli-plugins"))?;
            }
            env.set("DOCKER_CONFIG", folder);
        }
    }
    Ok(())
}

/// The folder of Docker's plugins that the user has.
fn plugins(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let own = env("DOCKER_CONFIG").map(PathBuf::from);
    let usual = || env("HOME").map(|home| Path::new(&home).join(".docker"));
    let plugins = own.or_else(usual)?.join("cli-plugins");
    plugins.is_dir().then_some(plugins)
}

fn add(config: &mut Map<String, Value>, login: &Login, kind: Kind) {
    let pair = format!("{}:{}", login.user, login.password.expose_secret());
    section(config, "auths").insert(login.host.clone(), json!({ "auth": STANDARD.encode(pair) }));
    // A helper would be asked instead of the file.
    match kind {
        Kind::Docker => {
            section(config, "credHelpers").insert(login.host.clone(), json!(""));
        }
        Kind::Podman => {
            section(config, "credHelpers").shift_remove(&login.host);
        }
    }
}

/// An object in the file, empty where there is none.
fn section<'c>(config: &'c mut Map<String, Value>, name: &str) -> &'c mut Map<String, Value> {
    let entry = config.entry(name).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry.as_object_mut().expect("it is an object now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_stands_beside_those_of_the_user_and_no_helper_is_asked_for_it() {
        let mut config = Map::new();
        config.insert("credsStore".into(), json!("desktop"));
        config.insert("auths".into(), json!({"ghcr.io": {"auth": "x"}}));
        let login = Login {
            host: "r.example.com:5000".into(),
            user: "ci".into(),
            password: "secret".to_owned().into(),
        };
        add(&mut config, &login, Kind::Docker);
        assert_eq!(
            Value::Object(config),
            json!({
                "credsStore": "desktop",
                "auths": {"ghcr.io": {"auth": "x"}, "r.example.com:5000": {"auth": "Y2k6c2VjcmV0"}},
                "credHelpers": {"r.example.com:5000": ""}
            })
        );
    }
}
