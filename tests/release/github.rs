//! A fake of the part of GitHub's REST API that `gh release` uses
//! (<https://docs.github.com/en/rest/releases/releases>), and of the checks of commits
//! (<https://docs.github.com/en/rest/checks/runs>). `gh` reaches it in the clear, as a proxy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::api::{Asked, listen};
use crate::support::Project;

#[derive(Default)]
struct State {
    releases: Mutex<Vec<Value>>,
    refuses: AtomicBool,
    /// The check runs of commits, the last of each name.
    checks: Mutex<Vec<(String, Value)>>,
}

pub struct GitHub {
    address: String,
    state: Arc<State>,
    home: std::path::PathBuf,
}

impl GitHub {
    pub fn start(project: &Project) -> Self {
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        let address = listen(move |asked: Asked| {
            // The host comes first: it is asked as a proxy.
            let path = asked.target.splitn(4, '/').nth(3).unwrap_or_default();
            let path = path.split('?').next().unwrap();
            let path = path.strip_prefix("api/v3/").unwrap_or(path);
            answer(&asked.method, path, asked.body, &own)
        });
        Self {
            address,
            state,
            home: project.home(),
        }
    }

    /// What makes `gh` talk to it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let config = self.home.join("gh").display().to_string();
        vec![
            ("GH_HOST", "github.localhost".to_owned()),
            ("GH_REPO", "github.localhost/o/r".to_owned()),
            ("GH_ENTERPRISE_TOKEN", "token-of-a-test".to_owned()),
            ("GH_TOKEN", "token-of-a-test".to_owned()),
            ("GH_CONFIG_DIR", config),
            ("http_proxy", format!("http://{}", self.address)),
        ]
    }

    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }

    /// Sets a check run of a commit.
    pub fn check(&self, commit: &str, check: Value) {
        let mut checks = self.state.checks.lock().unwrap();
        checks.retain(|(c, known)| c != commit || known["name"] != check["name"]);
        checks.push((commit.to_owned(), check));
    }

    pub fn releases(&self) -> Vec<Value> {
        self.state.releases.lock().unwrap().clone()
    }
}

fn answer(method: &str, path: &str, body: Value, state: &State) -> (u16, Value) {
    let mut releases = state.releases.lock().unwrap();
    let tag = path.strip_prefix("repos/o/r/releases/tags/");
    let found = tag.and_then(|t| releases.iter().find(|r| r["tag_name"] == t));
    match (method, path) {
        ("POST", "repos/o/r/releases") if state.refuses.load(Ordering::SeqCst) => (
            403,
            json!({"message": "Resource not accessible by integration"}),
        ),
        ("POST", "repos/o/r/releases") => {
            let mut release = body;
            let tag = release["tag_name"].as_str().unwrap().to_owned();
            release["id"] = json!(releases.len() + 1);
            release["html_url"] = json!(format!("http://github.localhost/o/r/releases/tag/{tag}"));
            release["url"] = json!("http://api.github.localhost/repos/o/r/releases/1");
            release["upload_url"] = json!("http://api.github.localhost/u{?name,label}");
            release["assets"] = json!([]);
            release["created_at"] = json!("2026-01-02T03:04:05Z");
            release["published_at"] = json!("2026-01-02T03:04:05Z");
            release["author"] = json!({"login": "bot"});
            releases.push(release.clone());
            (201, release)
        }
        ("GET", path) if path.starts_with("repos/o/r/commits/") => {
            let rest = &path["repos/o/r/commits/".len()..];
            let (commit, what) = rest.split_once('/').unwrap();
            let checks = state.checks.lock().unwrap();
            let own = checks.iter().filter(|(c, _)| c == commit);
            let own: Vec<&Value> = own.map(|(_, check)| check).collect();
            match what {
                "check-runs" => (200, json!({"total_count": own.len(), "check_runs": own})),
                "status" => (200, json!({"state": "pending", "statuses": []})),
                _ => (404, json!({"message": "Not Found"})),
            }
        }
        ("GET", _) if found.is_some() => (200, found.unwrap().clone()),
        (_, "graphql" | "api/graphql") => {
            // Which of its two questions it is.
            let query = body["query"].as_str().unwrap_or_default();
            let answer = match query.contains("release(") {
                true => json!({"release": null}),
                false => json!({"ref": {"id": "R"}}),
            };
            (200, json!({"data": {"repository": answer}}))
        }
        _ => (404, json!({"message": "Not Found"})),
    }
}
