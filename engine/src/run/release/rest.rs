//! Releases at GitLab, and at Gitea and Forgejo, over their REST APIs: where the repository is there, who asks, whether a tag
//! has a release, and making one. Knows no step and no git.
//!
//! <https://docs.gitlab.com/api/releases/>, <https://docs.gitea.com/api/#tag/repository/operation/repoCreateRelease>

use std::time::Duration;

use dsl::units::is_this_machine;
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::web;

/// How long a server may take to be reached, and to answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
/// How often it is asked, and how long is waited before the second time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// A forge with such an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    GitLab,
    /// Forgejo's is the same.
    Gitea,
}

impl Kind {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
        }
    }
}

/// The releases of one repository.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// The address of the list of releases.
    releases: Url,
    header: &'static str,
    token: SecretString,
}

/// What has to be known before anything is asked, and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) what: String,
    pub(super) help: String,
}

/// Why a forge did not do it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// Whether it is the server or the way to it, and not the request.
    pub(super) is_outage: bool,
}

/// What either API answers when it refuses.
#[derive(Deserialize)]
struct Said {
    message: serde_json::Value,
}

impl Place {
    /// Where the releases are of a repository whose remote has this address. In a CI of the forge its variables say it.
    ///
    /// # Errors
    /// When neither says where, or nobody asks.
    pub(super) fn of(
        kind: Kind,
        remote: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Unknown> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let releases = match kind {
            Kind::GitLab => gitlab(remote, &set),
            Kind::Gitea => gitea(remote, &set),
        };
        let (header, token) = match kind {
            Kind::GitLab => {
                let own = set("GITLAB_TOKEN").map(|token| ("private-token", token));
                own.or_else(|| Some(("job-token", set("CI_JOB_TOKEN")?)))
            }
            Kind::Gitea => {
                let own = set("GITEA_TOKEN").or_else(|| set("FORGEJO_TOKEN"));
                // Elsewhere that is a token for GitHub.
                let of_ci = || set("GITHUB_TOKEN").filter(|_| is_gitea(&set));
                let token = own.or_else(of_ci);
                token.map(|token| ("authorization", format!("token {token}")))
            }
        }
        .ok_or_else(|| no_token(kind))?;
        Ok(Self {
            kind,
            releases: releases.ok_or_else(|| no_place(kind, remote))?,
            header,
            token: token.into(),
        })
    }

    /// Whether a tag has a release.
    ///
    /// # Errors
    /// When the forge does not say.
    pub(super) async fn has(&self, tag: &str) -> Result<bool, Refusal> {
        let one: &[&str] = match self.kind {
            Kind::GitLab => &[tag],
            Kind::Gitea => &["tags", tag],
        };
        let address = beneath(&self.releases, one);
        let (status, text) = self.ask(Method::GET, address, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            status => Err(refused(status, &text)),
        }
    }

    /// Makes the release of a tag.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn create(&self, tag: &str, notes: &str) -> Result<(), Refusal> {
        let body = match self.kind {
            Kind::GitLab => json!({"tag_name": tag, "name": tag, "description": notes}),
            Kind::Gitea => json!({"tag_name": tag, "name": tag, "body": notes}),
        };
        let address = self.releases.clone();
        let asked = self
            .ask(Method::POST, address, Some(body.to_string()))
            .await;
        let (status, text) = asked?;
        match status {
            status if status.is_success() => Ok(()),
            // An answer that was lost is followed by this one.
            StatusCode::CONFLICT if self.has(tag).await? => Ok(()),
            status => Err(refused(status, &text)),
        }
    }

    /// Asks, and again where that may help.
    async fn ask(
        &self,
        method: Method,
        address: Url,
        body: Option<String>,
    ) -> Result<(StatusCode, String), Refusal> {
        let outage = |why: String| Refusal {
            why,
            is_outage: true,
        };
        let here = address.host_str().is_some_and(is_this_machine);
        let client = web::client(here, CONNECT).map_err(outage)?;
        let mut tries = 1;
        loop {
            let request = self.request(&client, method.clone(), address.clone(), body.clone());
            let why = match answer(request).await {
                Ok((status, text)) if status.is_server_error() => refused(status, &text),
                Ok((status, text)) if status == StatusCode::TOO_MANY_REQUESTS => Refusal {
                    is_outage: true,
                    ..refused(status, &text)
                },
                Ok(answer) => return Ok(answer),
                Err(why) => outage(why),
            };
            if tries == TRIES {
                return Err(why);
            }
            tokio::time::sleep(PAUSE * tries).await;
            tries += 1;
        }
    }

    fn request(
        &self,
        client: &Client,
        method: Method,
        address: Url,
        body: Option<String>,
    ) -> RequestBuilder {
        let request = client.request(method, address).timeout(ANSWER);
        let request = match HeaderValue::from_str(self.token.expose_secret()) {
            Ok(mut token) => {
                token.set_sensitive(true);
                request.header(self.header, token)
            }
            // The server says that nobody asked.
            Err(_) => request,
        };
        match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body),
            None => request,
        }
    }
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, String), String> {
    let said = |e: reqwest::Error| web::deepest(&e.without_url());
    let answer = request.send().await.map_err(said)?;
    let status = answer.status();
    Ok((status, answer.text().await.map_err(said)?))
}

fn refused(status: StatusCode, text: &str) -> Refusal {
    let said = serde_json::from_str::<Said>(text).ok().map(|s| s.message);
    let said = said.map(|message| match message {
        serde_json::Value::String(text) => web::shown(&text),
        other => web::shown(&other.to_string()),
    });
    let why = match said {
        Some(said) => format!("it answers {}: {said}", status.as_u16()),
        None => format!("it answers {status}"),
    };
    Refusal {
        why,
        is_outage: status.is_server_error(),
    }
}

fn no_token(kind: Kind) -> Unknown {
    let help = match kind {
        Kind::GitLab => {
            "set GITLAB_TOKEN to an access token with the scope `api`; GitLab CI sets CI_JOB_TOKEN"
        }
        Kind::Gitea => {
            "set GITEA_TOKEN to an access token that may write the repository; in Gitea Actions GITHUB_TOKEN will do"
        }
    };
    Unknown {
        what: format!("there is no token for {}", kind.name()),
        help: help.to_owned(),
    }
}

fn no_place(kind: Kind, remote: Option<&str>) -> Unknown {
    let name = kind.name();
    let what = match remote {
        Some(_) => {
            format!("the address of the remote does not say which repository at {name} this is")
        }
        None => format!("there is no remote, which would say where {name} is"),
    };
    let help = match kind {
        Kind::GitLab => {
            "add one, such as `https://gitlab.com/GROUP/PROJECT.git`, or set CI_API_V4_URL and CI_PROJECT_ID"
        }
        Kind::Gitea => "add one, such as `https://HOST/OWNER/REPOSITORY.git`",
    };
    Unknown {
        what,
        help: help.to_owned(),
    }
}

/// <https://docs.gitlab.com/ci/variables/predefined_variables/>
fn gitlab(remote: Option<&str>, set: &dyn Fn(&str) -> Option<String>) -> Option<Url> {
    let of_ci = || Some((set("CI_API_V4_URL")?, set("CI_PROJECT_ID")?));
    if let Some((api, project)) = of_ci() {
        let api = http(&api)?;
        return Some(beneath(&api, &["projects", &project, "releases"]));
    }
    let (host, path) = web_address(remote?)?;
    let project = path.contains('/').then_some(path)?;
    let way = ["api", "v4", "projects", &project, "releases"];
    Some(beneath(&host, &way))
}

fn gitea(remote: Option<&str>, set: &dyn Fn(&str) -> Option<String>) -> Option<Url> {
    let of_ci = || Some((set("GITHUB_API_URL")?, set("GITHUB_REPOSITORY")?));
    if let Some((api, repository)) = of_ci().filter(|_| is_gitea(set)) {
        let (owner, name) = repository.split_once('/')?;
        return Some(beneath(&http(&api)?, &["repos", owner, name, "releases"]));
    }
    let (host, path) = web_address(remote?)?;
    // It may be installed beneath a path of the server.
    let mut parts: Vec<&str> = path.split('/').collect();
    let (name, owner) = (parts.pop()?, parts.pop()?);
    parts.extend(["api", "v1", "repos", owner, name, "releases"]);
    Some(beneath(&host, &parts))
}

/// Whether this is a job of Gitea's or Forgejo's actions, whose other variables have GitHub's names.
fn is_gitea(set: &dyn Fn(&str) -> Option<String>) -> bool {
    set("GITEA_ACTIONS").is_some_and(|value| value == "true")
}

fn http(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(url)
}

fn beneath(address: &Url, parts: &[&str]) -> Url {
    let mut url = address.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// The server of a remote as a browser finds it, and the path of the repository there.
fn web_address(remote: &str) -> Option<(Url, String)> {
    let url = match remote.contains("://") {
        true => Url::parse(remote).ok()?,
        // `git@host:group/project.git`, where the first colon stands before any slash.
        false => {
            let (host, path) = remote.split_once(':').filter(|(h, _)| !h.contains('/'))?;
            Url::parse(&format!("ssh://{host}/{}", path.trim_start_matches('/'))).ok()?
        }
    };
    let host = url.host_str()?;
    let server = match (url.scheme(), url.port()) {
        ("http", Some(port)) => format!("http://{host}:{port}"),
        ("http", None) => format!("http://{host}"),
        ("https", Some(port)) => format!("https://{host}:{port}"),
        // What listens for SSH is no web server.
        ("https" | "ssh" | "git+ssh", _) => format!("https://{host}"),
        _ => return None,
    };
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    Some((Url::parse(&server).ok()?, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: Kind, remote: Option<&str>, env: &[(&str, &str)]) -> Result<String, Unknown> {
        let get = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let place = Place::of(kind, remote, &get)?;
        let (header, token) = (place.header, place.token.expose_secret().to_owned());
        Ok(format!("{} {header}: {token}", place.releases))
    }

    #[test]
    fn a_remote_says_where_the_releases_are() {
        let gitlab = [("GITLAB_TOKEN", "t")];
        for remote in [
            "https://gitlab.example/a/b/c.git",
            "https://user:password@gitlab.example/a/b/c",
            "git@gitlab.example:a/b/c.git",
            "ssh://git@gitlab.example:2222/a/b/c.git/",
        ] {
            assert_eq!(
                place(Kind::GitLab, Some(remote), &gitlab).unwrap(),
                "https://gitlab.example/api/v4/projects/a%2Fb%2Fc/releases private-token: t",
                "{remote}"
            );
        }
        let gitea = [("GITEA_TOKEN", "t")];
        assert_eq!(
            place(Kind::Gitea, Some("http://git.example:3000/o/r.git"), &gitea).unwrap(),
            "http://git.example:3000/api/v1/repos/o/r/releases authorization: token t"
        );
        assert_eq!(
            place(Kind::Gitea, Some("https://example.org/git/o/r"), &gitea).unwrap(),
            "https://example.org/git/api/v1/repos/o/r/releases authorization: token t"
        );
        for remote in [
            None,
            Some("../remote"),
            Some("file:///srv/r.git"),
            Some("/srv/a:b"),
        ] {
            assert!(place(Kind::GitLab, remote, &gitlab).is_err(), "{remote:?}");
            assert!(place(Kind::Gitea, remote, &gitea).is_err(), "{remote:?}");
        }
    }

    #[test]
    fn the_variables_of_a_ci_count_before_the_remote() {
        let remote = Some("https://elsewhere.example/o/r.git");
        let gitlab = [
            ("CI_API_V4_URL", "https://gitlab.example/x/api/v4"),
            ("CI_PROJECT_ID", "7"),
            ("CI_JOB_TOKEN", "j"),
        ];
        assert_eq!(
            place(Kind::GitLab, remote, &gitlab).unwrap(),
            "https://gitlab.example/x/api/v4/projects/7/releases job-token: j"
        );
        let github = [
            ("GITHUB_API_URL", "https://git.example/api/v1"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_TOKEN", "t"),
        ];
        // A token for GitHub is sent to nobody else.
        assert_eq!(
            place(Kind::Gitea, remote, &github).unwrap_err().what,
            "there is no token for Gitea"
        );
        let gitea = [&github[..], &[("GITEA_ACTIONS", "true")]].concat();
        assert_eq!(
            place(Kind::Gitea, remote, &gitea).unwrap(),
            "https://git.example/api/v1/repos/o/r/releases authorization: token t"
        );
    }
}
