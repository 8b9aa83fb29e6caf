//! A real registry behind something that does harm: an image arrives whole, or the reason is told in time.

use std::thread;
use std::time::{Duration, Instant};

use engine::oci::client::{Client, Insecure, Login};
use engine::oci::copy::{Copied, Journey, copy};
use engine::oci::place::{Failed, Place};
use engine::oci::{Descriptor, Layout};

use super::copying::bring;
use super::images::{at, folder, image, layout, wait};
use super::proxy::{Does, Proxy};
use super::server::{Registry, registry};

/// Larger than what goes along with one request, and than what sockets hold.
const LARGE: usize = 9_000_000;

/// Far longer than what waits for fractions of seconds takes, far too short for what waits for ever.
const SOON: Duration = Duration::from_secs(60);

struct Site {
    proxy: Proxy,
    registry: Registry,
    store: Layout,
    app: Descriptor,
    _folder: tempfile::TempDir,
}

impl Site {
    #[track_caller]
    fn new() -> Option<Self> {
        let registry = registry()?;
        let proxy = Proxy::before(registry.port);
        let (folder, store) = layout();
        let app = image(&store, 1, &[1000, LARGE]);
        Some(Self {
            proxy,
            registry,
            store,
            app,
            _folder: folder,
        })
    }

    fn push(&self) -> Result<Copied, Failed> {
        let there = at(&self.proxy.host(), "app");
        bring(&folder(&self.store), &there, self.app.digest, &["1"])
    }

    /// From the registry into a folder.
    fn pull(&self) -> Result<Copied, Failed> {
        let (_folder, to) = layout();
        let from = at(&self.proxy.host(), "app");
        let copied = bring(&from, &folder(&to), self.app.digest, &["1"])?;
        let manifest = to.manifest(&self.app.digest, None).unwrap();
        for blob in manifest.blobs() {
            to.read(&blob.digest, blob.size).unwrap();
        }
        Ok(copied)
    }

    /// Asserts that the registry has the whole image.
    #[track_caller]
    fn is_there(&self) {
        let (_folder, to) = layout();
        let from = at(&self.registry.host(), "app");
        bring(&from, &folder(&to), self.app.digest, &["1"]).unwrap();
    }
}

fn busy(after: &str) -> Does {
    let headers = vec![("Retry-After", after.to_owned())];
    Does::Says("429 Too Many Requests", headers, "slow down")
}

fn broken() -> Does {
    Does::Says("500 Internal Server Error", Vec::new(), "oops")
}

#[test]
fn what_passes_is_waited_out() {
    let Some(site) = Site::new() else { return };
    for (times, method, part, does) in [
        (2, "HEAD", "/blobs/", broken()),
        (1, "POST", "/uploads/", busy("0")),
        (1, "POST", "/uploads/", Does::CutsRequest(0)),
        (2, "PATCH", "/uploads/", broken()),
        (2, "PUT", "/uploads/", broken()),
        (3, "PUT", "/manifests/", broken()),
        (1, "PUT", "/manifests/", Does::CutsAnswer(0)),
        (2, "GET", "/manifests/", busy("0")),
    ] {
        // Each time another image, so that everything is sent.
        let name = format!("app-{}", site.proxy.requests().len() + times);
        let there = at(
            &site.proxy.host(),
            &format!("{name}-{}", method.to_lowercase()),
        );
        site.proxy.does_first(times, method, part, does.clone());
        let (_folder, store) = layout();
        let app = image(&store, 77 + times as u64, &[3_000_000]);
        bring(&folder(&store), &there, app.digest, &["1"])
            .unwrap_or_else(|e| panic!("{method} {part} {does:?}: {e}"));
    }
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let Some(site) = Site::new() else { return };
    site.proxy
        .does_first(1, "PATCH", "/uploads/", Does::CutsRequest(LARGE / 2));
    assert_eq!(site.push().unwrap().sent, 3);
    let requests = site.proxy.requests();
    let kinds = |method: &str| {
        let of_kind = requests
            .iter()
            .filter(|r| r.starts_with(method) && r.contains("/uploads/"));
        of_kind.count()
    };
    // It asked what had arrived, and sent the rest of it under the same name.
    assert_eq!((kinds("PATCH"), kinds("GET")), (2, 1));
    site.is_there();
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let Some(site) = Site::new() else { return };
    site.push().unwrap();
    site.proxy.requests();
    let mut lengths = vec![0, 5_000_000, 3_000_000];
    site.proxy.does(move |method, path| match method {
        "GET" if path.contains("/blobs/") => match lengths.pop() {
            Some(length) => Does::CutsAnswer(length),
            None => Does::Well,
        },
        _ => Does::Well,
    });
    assert_eq!(site.pull().unwrap().sent, 3);
}

#[test]
fn a_content_that_is_another_one_is_not_taken() {
    let Some(site) = Site::new() else { return };
    site.push().unwrap();
    site.proxy.does_first(1, "GET", "/blobs/", Does::Flips);
    assert_eq!(site.pull().unwrap().sent, 3);
    site.proxy.does(|method, path| match method {
        "GET" if path.contains("/blobs/") => Does::Flips,
        _ => Does::Well,
    });
    let error = site.pull().unwrap_err().to_string();
    assert!(error.contains(": what came is sha256:"), "{error}");
    site.proxy.does(|method, path| match method {
        "GET" if path.contains("/manifests/") => Does::Flips,
        _ => Does::Well,
    });
    let error = site.pull().unwrap_err().to_string();
    let wanted = site.app.digest.short();
    assert!(error.ends_with(&format!(", not {wanted}")), "{error}");
}

#[test]
fn a_damaged_content_is_not_sent_and_goes() {
    let Some(site) = Site::new() else { return };
    let manifest = site.store.manifest(&site.app.digest, None).unwrap();
    let layer = manifest.blobs().last().unwrap().clone();
    let path = site.store.path(&layer.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[LARGE / 2] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = site.push().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} was damaged, and is removed", layer.digest)
    );
    assert_eq!(site.store.size(&layer.digest), None);
    let there = at(&site.registry.host(), "app");
    assert_eq!(wait(there.resolve("1")).unwrap(), None);
}

#[test]
fn an_answer_without_a_location_is_enough() {
    let Some(site) = Site::new() else { return };
    site.proxy.does(
        |method, path| match (method, path.contains("/manifests/")) {
            ("PUT", true) => Does::Without("Location"),
            _ => Does::Well,
        },
    );
    site.push().unwrap();
    site.is_there();
}

#[test]
fn a_registry_that_says_no_all_the_time_is_left_with_the_reason() {
    let Some(site) = Site::new() else { return };
    let host = site.proxy.host();
    site.proxy.does(|method, path| match method {
        "PUT" if path.contains("/manifests/") => broken(),
        _ => Does::Well,
    });
    let error = site.push().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host}: putting the manifest {} into app: 500 Internal Server Error, tried 6 times",
            site.app.digest.short()
        )
    );
    // What arrived is not sent again.
    site.proxy.does(|_, _| Does::Well);
    assert_eq!((site.push().unwrap().sent, site.registry.blobs()), (0, 4));
    site.proxy.does(|_, _| busy("86400"));
    let error = site.push().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{host}: getting the manifest 1 of app: too many requests; come back in 1d")
    );
    let denied = r#"{"errors":[{"code":"DENIED","message":"quota \u001b[31mexceeded"}]}"#;
    site.proxy
        .does(|_, _| Does::Says("403 Forbidden", Vec::new(), denied));
    let error = site.push().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{host}: getting the manifest 1 of app: 403 Forbidden (DENIED: quota [31mexceeded)"
        )
    );
}

#[test]
fn a_registry_that_hangs_is_left_in_time() {
    let Some(site) = Site::new() else { return };
    let hangs = &|method: &'static str, part: &'static str| {
        let proxy = Proxy::before(site.registry.port);
        let client = Client::new(Duration::from_millis(200), Insecure::default());
        let server = client.registry(&proxy.host(), Login::default()).unwrap();
        let name = format!("app-{}", proxy.host().replace(['.', ':'], "-"));
        let there = Place::Repository(server.repository(&name));
        proxy.does(move |m, path| match m == method && path.contains(part) {
            true => Does::Hangs,
            false => Does::Well,
        });
        let began = Instant::now();
        let error = bring(&folder(&site.store), &there, site.app.digest, &["1"]).unwrap_err();
        assert!(began.elapsed() < SOON, "{method} {part}");
        let error = error.to_string();
        assert!(error.contains(": no sign of life for "), "{error}");
    };
    thread::scope(|scope| {
        for (method, part) in [
            ("GET", "/manifests/"),
            ("HEAD", "/blobs/"),
            ("POST", "/uploads/"),
            ("PATCH", "/uploads/"),
            ("PUT", "/uploads/"),
            ("PUT", "/manifests/"),
        ] {
            scope.spawn(move || hangs(method, part));
        }
    });
}

#[test]
fn whoever_does_not_want_to_wait_does_not() {
    let Some(site) = Site::new() else { return };
    site.proxy.does(|method, _| match method {
        "PATCH" => Does::Hangs,
        _ => Does::Well,
    });
    let began = Instant::now();
    let (from, there) = (folder(&site.store), at(&site.proxy.host(), "app"));
    wait(async {
        let journey = Journey {
            from: &from,
            to: &there,
            digest: site.app.digest,
            tags: &[],
            moves: true,
            mount: None,
            known: None,
        };
        // The future is dropped when the upload hangs.
        let hung = async {
            while !site.proxy.requests().iter().any(|r| r.starts_with("PATCH")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            copied = copy(&journey, &|_| {}) => panic!("{copied:?}"),
            () = hung => {}
        }
    });
    assert!(began.elapsed() < SOON);
}
