//! The first word with an engine: what it is, read from the headers of its answer to a ping. Podman takes half a second to
//! tell its version where it is asked for that, as it asks every program that it works with.

use std::path::Path;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{API_DEFAULT_VERSION, ClientVersion};

use super::Kind;
use crate::web;

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its version.
    pub(super) version: String,
    /// The version of the API that it speaks: `1.41`.
    api: String,
}

/// Asks an engine that listens at `unix://…`, `tcp://…` or `http://…`; `None` where its answer says too
/// little, as that of a proxy that lets other questions through only.
///
/// # Errors
/// When it does not answer in time, in words.
pub(super) async fn ask(address: &str, patience: Duration) -> Result<Option<Hello>, String> {
    let (client, base) = match address.split_once("://") {
        Some(("unix", path)) => (
            web::at_socket(Path::new(path), patience)?,
            "http://engine".to_owned(),
        ),
        Some((_, host)) => (web::plain(true, patience)?, format!("http://{host}")),
        None => return Ok(None),
    };
    let url = format!("{}/_ping", base.trim_end_matches('/'));
    let answer = tokio::time::timeout(patience, client.get(url).send()).await;
    let answer = answer.map_err(|_| {
        let limit = dsl::units::show_duration(patience);
        format!("the engine did not answer within {limit}")
    })?;
    let answer = answer.map_err(|e| web::deepest(&e))?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    let header = |name: &str| answer.headers().get(name)?.to_str().ok();
    Ok(of_headers(&header))
}

/// Docker: `Server: Docker/20.10.24 (linux)`; Podman: `Server: Libpod/4.3.1 (linux)`. Both: `Api-Version: 1.41`.
fn of_headers<'h>(header: &dyn Fn(&str) -> Option<&'h str>) -> Option<Hello> {
    let (program, rest) = header("server")?.split_once('/')?;
    let kind = match program {
        "Docker" => Kind::Docker,
        "Libpod" => Kind::Podman,
        _ => return None,
    };
    Some(Hello {
        kind,
        version: rest.split(' ').next()?.to_owned(),
        api: header("api-version")?.to_owned(),
    })
}

impl Hello {
    /// From the answer of an engine to the question for its version.
    pub(super) fn of_version(version: SystemVersion) -> Self {
        let parts = version.components.unwrap_or_default();
        Self {
            kind: match parts.iter().any(|c| c.name.starts_with("Podman")) {
                true => Kind::Podman,
                false => Kind::Docker,
            },
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
        }
    }

    /// The version of the API that both speak.
    pub(super) fn spoken(&self) -> ClientVersion {
        let (major, minor) = self.api.split_once('.').unwrap_or_default();
        let theirs = major.parse().ok().zip(minor.parse().ok());
        let ours = (
            API_DEFAULT_VERSION.major_version,
            API_DEFAULT_VERSION.minor_version,
        );
        let (major_version, minor_version) = theirs.map_or(ours, |t| ours.min(t));
        ClientVersion {
            major_version,
            minor_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, of_headers};

    #[test]
    fn the_headers_of_a_ping_say_what_an_engine_is() {
        let told = |server: &'static str, api: Option<&'static str>| {
            let hello = of_headers(&|name| match name {
                "server" => Some(server),
                _ => api,
            });
            hello.map(|h| (h.kind, h.version.clone(), h.spoken().to_string()))
        };
        assert_eq!(
            told("Docker/20.10.24+dfsg1 (linux)", Some("1.41")),
            Some((Kind::Docker, "20.10.24+dfsg1".to_owned(), "1.41".to_owned()))
        );
        assert_eq!(
            told("Libpod/4.3.1 (linux)", Some("1.999")),
            Some((Kind::Podman, "4.3.1".to_owned(), "1.53".to_owned()))
        );
        assert_eq!(told("nginx/1.22", Some("1.41")), None);
        assert_eq!(told("Docker/20.10.24", None), None);
    }
}
