//! What Debian's registry does not do: lists of what is about an image, tokens, pages, contents at other hosts.

use std::sync::{Arc, Mutex};

use engine::oci::client::{Login, Origin};

use super::copying::bring;
use super::fake::{Fake, Habits, Tokens};
use super::http::{Head, Server, answer, send};
use super::images::{about, at, folder, image, index, layout, wait, with};

/// What may be seen at one host only.
const CANARY: &str = "canary?>?>ÿ~";
/// Its base64, after `ci:`.
const ENCODED: &str = "Y2k6Y2FuYXJ5Pz4/PsO/fg==";

fn canary(realm: Option<&str>) -> Login {
    Login {
        from: Origin::Password("ci".to_owned(), CANARY.into()),
        realm: realm.map(str::to_owned),
    }
}

#[test]
fn lists_of_what_is_about_an_image_are_used_where_a_registry_has_them() {
    let fake = Fake::start(Habits {
        page: 1,
        ..Habits::default()
    });
    let (_a, store) = layout();
    let app = image(&store, 1, &[10, 2_000_000]);
    let root = index(&store, std::slice::from_ref(&app));
    let mut all = vec![
        about(&store, &root, "text/sbom").digest,
        about(&store, &root, "text/signature").digest,
    ];
    all.sort();
    let there = at(&fake.host(), "x");
    bring(&folder(&store), &there, root.digest, &["a", "b", "c"]).unwrap();
    let mut found: Vec<_> = wait(there.referrers(&root.digest))
        .unwrap()
        .iter()
        .map(|d| d.digest)
        .collect();
    found.sort();
    assert_eq!(found, all);
    // Nothing is listed under a tag where the registry has a list, and all pages are read.
    assert_eq!(wait(there.tags()).unwrap(), ["a", "b", "c"]);
    let (_b, back) = layout();
    let copied = bring(&there, &folder(&back), root.digest, &["a"]).unwrap();
    assert_eq!((copied.images, copied.about), (1, 2));
}

#[test]
fn an_upload_goes_on_where_the_registry_says_or_in_one_request() {
    for no_location in [false, true] {
        let fake = Fake::start(Habits {
            no_location,
            ..Habits::default()
        });
        let (_a, store) = layout();
        let app = image(&store, 1, &[10, 3_000_000]);
        let there = at(&fake.host(), "x");
        bring(&folder(&store), &there, app.digest, &["1"]).unwrap();
        let (_b, back) = layout();
        bring(&there, &folder(&back), app.digest, &["1"]).unwrap();
    }
}

#[test]
fn a_password_goes_to_no_other_host_of_which_the_user_does_not_know() {
    let tokens = Tokens::start("200 OK");
    let fake = Fake::start(Habits {
        realm: Some(format!("http://{}/token", tokens.host())),
        ..Habits::default()
    });
    let (_a, store) = layout();
    let app = image(&store, 1, &[10]);
    // Without it a token can be had here too, as for what everybody may read.
    let there = with(&fake.host(), "x", canary(None));
    bring(&folder(&store), &there, app.digest, &["1"]).unwrap();
    let seen = [tokens.requests(), fake.requests()].concat();
    assert!(!seen.iter().any(|h| h.contains("Basic")), "{seen:?}");
    assert!(tokens.requests()[0].starts_with(
        "GET /token?service=fake&scope=repository%3Ax%3Apull&scope=repository%3Ax%3Apull%2Cpush HTTP/1.1"
    ));
    // Named, it gets it.
    let there = with(&fake.host(), "x", canary(Some(&tokens.host())));
    wait(there.resolve("1")).unwrap();
    let last = tokens.requests().pop().unwrap();
    assert_eq!(
        Head(last).get("authorization"),
        Some(&*format!("Basic {ENCODED}"))
    );
    assert!(!fake.requests().iter().any(|h| h.contains(ENCODED)));
}

#[test]
fn where_the_password_was_withheld_the_error_says_so() {
    let tokens = Tokens::start("401 Unauthorized");
    let fake = Fake::start(Habits {
        realm: Some(format!("http://{}/token", tokens.host())),
        ..Habits::default()
    });
    let there = with(&fake.host(), "x", canary(None));
    let error = wait(there.resolve("1")).unwrap_err();
    let (host, realm) = (fake.host(), tokens.host());
    assert_eq!(
        (error.to_string(), error.help()),
        (
            format!(
                "{host}: getting the manifest 1 of x: it wants the password to be sent to another host, {realm}, which was not done"
            ),
            format!(
                "if {realm} is where {host} checks passwords, say so: `login … realm=\"{realm}\"`"
            )
        )
    );
}

#[test]
fn what_proves_who_asks_does_not_follow_a_redirect() {
    let (_a, store) = layout();
    let app = image(&store, 1, &[10, 2_000_000]);
    let contents = store.clone();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    let cdn = Server::start(move |mut client| {
        let head = Head::read(&mut client)?;
        let digest = head.word(1)["/cdn/".len()..].split('?').next().unwrap();
        let bytes = contents.read(&digest.parse().unwrap(), 1 << 30).unwrap();
        seen.lock().unwrap().push(head.0.clone());
        send(&mut client, &answer("200 OK", &[], &bytes))
    });
    let tokens = Tokens::start("200 OK");
    let fake = Fake::start(Habits {
        realm: Some(format!("http://{}/token", tokens.host())),
        elsewhere: Some(cdn.host()),
        ..Habits::default()
    });
    let there = with(&fake.host(), "x", canary(Some(&tokens.host())));
    bring(&folder(&store), &there, app.digest, &["1"]).unwrap();
    let (_b, back) = layout();
    bring(&there, &folder(&back), app.digest, &["1"]).unwrap();
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 3);
    let told = |h: &String| Head(h.clone()).get("authorization").is_some();
    assert!(!heads.iter().any(told), "{heads:?}");
}
