//! A registry of the tests' own, for what Debian's lacks: lists of what is about an image, tokens from a server of another
//! host, pages, contents that are elsewhere, addresses with odd queries. No fake of pipe: whoever speaks the protocol can
//! use it.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use engine::oci::Digest;

use super::http::{Head, Server, answer, body, send};

/// What it does besides being a registry.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    /// Where it sends whoever shows no token; none where everybody may do everything.
    pub realm: Option<String>,
    /// The host that has its contents.
    pub elsewhere: Option<String>,
    /// How many entries a page has.
    pub page: usize,
    /// Whether an upload goes on somewhere.
    pub no_location: bool,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    uploads: Vec<Vec<u8>>,
    /// By repository and digest: the type and the bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeMap<(String, String), String>,
    requests: Vec<String>,
}

/// The registry.
pub struct Fake {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// The token that opens it.
const TOKEN: &str = "the-token";

impl Fake {
    /// Starts it.
    pub fn start(habits: Habits) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let own = Arc::clone(&state);
        let server = Server::start(move |mut client| {
            let head = Head::read(&mut client)?;
            let content = body(&mut client, &head)?;
            own.lock().unwrap().requests.push(head.0.clone());
            let bytes = serve(&mut own.lock().unwrap(), &habits, &head, content);
            send(&mut client, &bytes)
        });
        Self { server, state }
    }

    /// Its host.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

fn serve(state: &mut State, habits: &Habits, head: &Head, content: Vec<u8>) -> Vec<u8> {
    let (method, target) = (head.word(0).to_owned(), head.word(1).to_owned());
    if let Some(realm) = &habits.realm
        && head.get("authorization") != Some(&format!("Bearer {TOKEN}"))
    {
        let challenge =
            format!("Bearer realm=\"{realm}\",service=\"fake\",scope=\"repository:x:pull,push\"");
        return answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if let Some(rest) = path.strip_prefix("/upload/") {
        return upload(state, &method, rest, query, &content);
    }
    let rest = path.strip_prefix("/v2/").unwrap_or_default();
    let cut = |part: &str| {
        let (name, end) = rest.split_once(part)?;
        Some((name.to_owned(), end.to_owned()))
    };
    if let Some((name, reference)) = cut("/manifests/") {
        return manifest(state, head, &method, name, &reference, content);
    }
    if let Some((name, _)) = cut("/blobs/uploads/") {
        if habits.no_location {
            return match digest_of(query) {
                Some(digest) => kept(state, &digest, content),
                None => answer("202 Accepted", &[], b""),
            };
        }
        let id = state.uploads.len();
        state.uploads.push(Vec::new());
        let to = format!("/upload/{id}?state=a%2Fb%3D+c&of={name}");
        return answer("202 Accepted", &[("Location", &to)], b"");
    }
    if let Some((_, digest)) = cut("/blobs/") {
        let Some(blob) = state.blobs.get(&digest) else {
            return answer("404 Not Found", &[], b"");
        };
        if let (Some(host), "GET") = (&habits.elsewhere, method.as_str()) {
            let to = format!("http://{host}/cdn/{digest}?signature=x");
            return answer("307 Temporary Redirect", &[("Location", &to)], b"");
        }
        let length = blob.len().to_string();
        return match method.as_str() {
            "HEAD" => answer("200 OK", &[("Content-Length", &length)], b""),
            _ => answer("200 OK", &[], blob),
        };
    }
    if let Some((name, subject)) = cut("/referrers/") {
        let all = state.manifests.iter().filter(|((n, _), _)| *n == name);
        let about = all.filter_map(|((_, digest), (kind, bytes))| {
            let text: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            (text["subject"]["digest"] == subject.as_str()).then(|| {
                serde_json::json!({
                    "mediaType": kind, "digest": digest, "size": bytes.len(),
                    "artifactType": text["artifactType"],
                })
            })
        });
        let about: Vec<_> = about.collect();
        return page(
            &target,
            habits.page,
            &about,
            "manifests",
            "application/vnd.oci.image.index.v1+json",
        );
    }
    if let Some((name, _)) = cut("/tags/list") {
        let tags = state.tags.keys().filter(|(n, _)| *n == name);
        let tags: Vec<_> = tags.map(|(_, t)| serde_json::json!(t)).collect();
        return page(&target, habits.page, &tags, "tags", "application/json");
    }
    answer("404 Not Found", &[], b"")
}

fn digest_of(query: &str) -> Option<String> {
    let (_, digest) = query.split_once("digest=")?;
    Some(digest.replace("%3A", ":"))
}

fn kept(state: &mut State, digest: &str, content: Vec<u8>) -> Vec<u8> {
    if Digest::of(&content).to_string() != digest {
        let why = br#"{"errors":[{"code":"DIGEST_INVALID"}]}"#;
        return answer("400 Bad Request", &[], why);
    }
    state.blobs.insert(digest.to_owned(), content);
    answer("201 Created", &[], b"")
}

fn upload(state: &mut State, method: &str, id: &str, query: &str, content: &[u8]) -> Vec<u8> {
    if !query.starts_with("state=a%2Fb%3D+c&of=") {
        return answer("400 Bad Request", &[], b"the address was changed");
    }
    let id: usize = id.parse().unwrap();
    state.uploads[id].extend_from_slice(content);
    let length = state.uploads[id].len();
    match (method, digest_of(query)) {
        ("PUT", Some(digest)) => {
            let whole = std::mem::take(&mut state.uploads[id]);
            kept(state, &digest, whole)
        }
        _ => {
            let range = format!("0-{}", length.saturating_sub(1));
            let to = format!("/upload/{id}?{query}");
            answer("202 Accepted", &[("Location", &to), ("Range", &range)], b"")
        }
    }
}

fn manifest(
    state: &mut State,
    head: &Head,
    method: &str,
    name: String,
    reference: &str,
    content: Vec<u8>,
) -> Vec<u8> {
    if method == "PUT" {
        let digest = Digest::of(&content).to_string();
        let text: serde_json::Value = serde_json::from_slice(&content).unwrap();
        let kind = head.get("content-type").unwrap_or_default().to_owned();
        if reference != digest {
            state
                .tags
                .insert((name.clone(), reference.to_owned()), digest.clone());
        }
        state.manifests.insert((name, digest), (kind, content));
        // There is no `Location`, as with some registries.
        return match text["subject"]["digest"].as_str() {
            Some(subject) => answer("201 Created", &[("OCI-Subject", subject)], b""),
            None => answer("201 Created", &[], b""),
        };
    }
    let tagged = state.tags.get(&(name.clone(), reference.to_owned()));
    let digest = tagged.map_or(reference, String::as_str).to_owned();
    match state.manifests.get(&(name, digest)) {
        Some((kind, bytes)) => answer("200 OK", &[("Content-Type", kind)], bytes),
        None => answer("404 Not Found", &[], b""),
    }
}

/// A page of a list, and where the next one is.
fn page(target: &str, size: usize, all: &[serde_json::Value], name: &str, kind: &str) -> Vec<u8> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let from = query
        .split_once("from=")
        .map_or(0, |(_, n)| n.parse().unwrap());
    let size = if size == 0 { all.len().max(1) } else { size };
    let entries: Vec<_> = all.iter().skip(from).take(size).collect();
    let text =
        serde_json::json!({"schemaVersion": 2, "mediaType": kind, name: entries}).to_string();
    let next = from + size;
    let link = format!("<{path}?from={next}>; rel=\"next\"");
    let mut headers = vec![("Content-Type", kind)];
    if next < all.len() {
        headers.push(("Link", &link));
    }
    answer("200 OK", &headers, text.as_bytes())
}

/// A server that gives the token to everybody, and remembers what it was asked.
pub struct Tokens {
    server: Server,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tokens {
    /// Starts it.
    pub fn start(status: &'static str) -> Self {
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let own = Arc::clone(&heads);
        let server = Server::start(move |mut client: TcpStream| -> io::Result<()> {
            let head = Head::read(&mut client)?;
            own.lock().unwrap().push(head.0);
            let text = format!(r#"{{"token":"{TOKEN}","expires_in":300}}"#);
            send(&mut client, &answer(status, &[], text.as_bytes()))
        });
        Self { server, heads }
    }

    /// Its host.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}
