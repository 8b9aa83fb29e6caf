//! Proving who asks: by a password, or by tokens that a server of the registry gives for one. Decides who gets to know a
//! password: the registry that it is for and its own token server, and nobody else, whatever the registry says.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Registry;
use super::challenge::Challenge;
use super::login::{Login, Proof};
use super::request::short;
use super::trouble::Why;

/// How long a token is good for that does not say so, of the distribution-spec.
const USUAL: u64 = 60;

/// What is known of who asks a registry.
pub(super) struct Auth {
    login: Login,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The proof, once it was looked for.
    proof: Option<Option<Proof>>,
    /// Whether the registry wants the password itself.
    basic: Option<HeaderValue>,
    /// Tokens by what they are for.
    tokens: BTreeMap<String, (HeaderValue, Instant)>,
    /// The host that did not get the password.
    withheld: Option<String>,
}

impl Auth {
    pub(super) fn new(login: Login) -> Self {
        Self {
            login,
            state: Mutex::default(),
        }
    }

    /// What goes into a request, as far as that is known.
    pub(super) async fn header(&self, scope: &str) -> Option<HeaderValue> {
        let state = self.state.lock().await;
        if let Some(basic) = &state.basic {
            return Some(basic.clone());
        }
        let (token, until) = state.tokens.get(scope)?;
        (*until > Instant::now()).then(|| token.clone())
    }

    /// The host that would have got the password, and did not.
    pub(super) async fn withheld(&self) -> Option<String> {
        self.state.lock().await.withheld.clone()
    }

    /// Does what a registry wants before it answers; `None` where nothing more can be done.
    pub(super) async fn meet(
        &self,
        registry: &Registry,
        scope: &str,
        headers: &HeaderMap,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Why> {
        let mut state = self.state.lock().await;
        let known = state
            .basic
            .as_ref()
            .or(state.tokens.get(scope).map(|t| &t.0));
        // Another request was faster.
        if let Some(known) = known
            && Some(known) != refused
        {
            return Ok(Some(known.clone()));
        }
        let headers = headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<Challenge> = headers
            .filter_map(|h| h.to_str().ok())
            .flat_map(Challenge::all)
            .collect();
        let of = |scheme: &str| challenges.iter().find(|c| c.scheme == scheme);
        if state.proof.is_none() {
            let repository = scope.split(':').nth(1).unwrap_or_default();
            let found = self
                .login
                .proof(&registry.host, repository, registry.patience);
            state.proof = Some(found.await.map_err(Why::NoProof)?);
        }
        let proof = state.proof.clone().flatten();
        if let Some(challenge) = of("bearer") {
            let (token, until) = self
                .token(registry, scope, challenge, proof, &mut state)
                .await?;
            state
                .tokens
                .insert(scope.to_owned(), (token.clone(), until));
            return Ok(Some(token));
        }
        if of("basic").is_some()
            && let Some(Proof::Password(user, password)) = &proof
        {
            let header = basic(user, password);
            if Some(&header) != refused {
                state.basic = Some(header.clone());
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// A token from the server that the registry names.
    async fn token(
        &self,
        registry: &Registry,
        scope: &str,
        challenge: &Challenge,
        proof: Option<Proof>,
        state: &mut State,
    ) -> Result<(HeaderValue, Instant), Why> {
        let realm = challenge.get("realm").and_then(|r| Url::parse(r).ok());
        let secure = |url: &Url| url.scheme() == "https" || registry.base.scheme() == "http";
        let realm = realm
            .filter(|r| matches!(r.scheme(), "http" | "https") && secure(r))
            .ok_or_else(|| Why::Nonsense("it does not say where to log in".to_owned()))?;
        let trusted = may_know(registry, &realm, self.login.realm.as_deref());
        state.withheld = (proof.is_some() && !trusted).then(|| shown_host(&realm));
        let proof = proof.filter(|_| trusted);
        let service = challenge.get("service");
        let mut scopes: Vec<&str> = scope.split(' ').collect();
        scopes.extend(challenge.get("scope").filter(|s| !scopes.contains(s)));
        let mut url = realm.clone();
        let request = match &proof {
            Some(Proof::Token(token)) => {
                let mut form = Url::parse("form:").map_err(|e| Why::Nonsense(e.to_string()))?;
                form.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", "pipe")
                    .append_pair("service", service.unwrap_or_default())
                    .append_pair("scope", &scopes.join(" "))
                    .append_pair("refresh_token", token.expose_secret());
                let body = form.query().unwrap_or_default().to_owned();
                let mut request = reqwest::Request::new(Method::POST, url);
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(CONTENT_TYPE, kind);
                *request.body_mut() = Some(body.into());
                request
            }
            proof => {
                for (name, value) in service
                    .map(|s| ("service", s))
                    .into_iter()
                    .chain(scopes.iter().map(|s| ("scope", *s)))
                {
                    url.query_pairs_mut().append_pair(name, value);
                }
                let mut request = reqwest::Request::new(Method::GET, url);
                if let Some(Proof::Password(user, password)) = proof {
                    request
                        .headers_mut()
                        .insert(AUTHORIZATION, basic(user, password));
                }
                request
            }
        };
        let client = registry.client(request.url())?;
        let answer = tokio::time::timeout(registry.patience, async {
            let answer = client.execute(request).await.map_err(|e| Why::broken(&e))?;
            let status = answer.status();
            Ok::<_, Why>((status, short(answer).await?))
        });
        let (status, body) = answer.await.map_err(|_| Why::Silent(registry.patience))??;
        if !status.is_success() {
            let withheld = state
                .withheld
                .clone()
                .filter(|_| matches!(status.as_u16(), 401 | 403));
            return Err(match withheld {
                Some(realm) => Why::Elsewhere { realm },
                None => Why::refused(status, &body),
            });
        }
        read_token(&body)
    }
}

fn read_token(body: &[u8]) -> Result<(HeaderValue, Instant), Why> {
    let nonsense = || Why::Nonsense("it gave no token".to_owned());
    let document: serde_json::Value = serde_json::from_slice(body).map_err(|_| nonsense())?;
    let token = document["token"]
        .as_str()
        .or(document["access_token"].as_str());
    let header = format!("Bearer {}", token.ok_or_else(nonsense)?);
    let mut header = HeaderValue::try_from(header).map_err(|_| nonsense())?;
    header.set_sensitive(true);
    let lives = document["expires_in"].as_u64().unwrap_or(USUAL).min(3600);
    // A little less, so that it is still good when it arrives.
    Ok((header, Instant::now() + Duration::from_millis(lives * 800)))
}

fn basic(user: &str, password: &SecretString) -> HeaderValue {
    let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    let mut header = HeaderValue::try_from(format!("Basic {pair}"))
        .expect("base64 is made of what headers are made of");
    header.set_sensitive(true);
    header
}

fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Whether a token server may know a password: it is the registry itself, it is above or below it in the same domain, so
/// that nobody else can have its name, or the user named it.
fn may_know(registry: &Registry, realm: &Url, named: Option<&str>) -> bool {
    if realm.origin() == registry.base.origin() {
        return true;
    }
    let host = shown_host(realm);
    if named.is_some_and(|n| n == host) {
        return true;
    }
    let own = registry.host.split(':').next().unwrap_or_default();
    let below = |child: &str, parent: &str| {
        parent.contains('.') && child.strip_suffix(parent).is_some_and(|c| c.ends_with('.'))
    };
    let is_name = own.contains(|c: char| c.is_ascii_alphabetic());
    // A port says who it is for only where it is the usual one.
    let usual = realm.scheme() == "https" && realm.port().is_none();
    usual && is_name && (own == host || below(&host, own) || below(own, &host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::client::{Client, Insecure};

    #[test]
    fn a_password_goes_to_the_registry_and_to_its_own_domain_only() {
        let client = Client::new(Duration::from_secs(1), Insecure::default());
        let may = |host: &str, realm: &str, named: Option<&str>| {
            let registry = client.registry(host, Login::default()).unwrap();
            may_know(&registry, &realm.parse().unwrap(), named)
        };
        for (host, realm) in [
            ("ghcr.io", "https://ghcr.io/token"),
            ("docker.io", "https://auth.docker.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/token"),
        ] {
            assert!(may(host, realm, None), "{host} {realm}");
        }
        for (host, realm) in [
            ("ghcr.io", "https://evil.com/token"),
            ("ghcr.io", "https://evilghcr.io/token"),
            ("ghcr.io", "https://ghcr.io:8443/token"),
            ("ghcr.io", "http://ghcr.io/token"),
            ("ghcr.io", "https://io/token"),
            ("acme.github.io", "https://evil.github.io/token"),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("127.0.0.1:5000", "https://0.0.1/token"),
        ] {
            assert!(!may(host, realm, None), "{host} {realm}");
        }
        assert!(may(
            "acme.example",
            "https://sso.example/t",
            Some("sso.example")
        ));
        assert!(may(
            "127.0.0.1:1",
            "http://127.0.0.1:2/t",
            Some("127.0.0.1:2")
        ));
    }

    #[test]
    fn base64_of_a_password_may_have_plus_and_slash() {
        let header = basic("u", &"?>?>ÿ~".into());
        assert_eq!(header.to_str().unwrap(), "Basic dTo/Pj8+w79+");
    }
}
