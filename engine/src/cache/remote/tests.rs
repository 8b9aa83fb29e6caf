//! What is asked of a store elsewhere, and what is believed of it, against one that does what a test says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::*;
use crate::cache::{Action, Entry, FORMAT, Is, Log, place};

/// What comes in the place of a content.
type Lie = fn(&[u8]) -> Vec<u8>;

/// What a store does with a request, by its word and the object's name.
#[derive(Clone, Copy)]
enum Does {
    /// What it should.
    Well,
    Fails,
    Hangs,
    /// Answers with other bytes.
    Lies(Lie),
}

type Rule = Arc<dyn Fn(&str, &str) -> Does + Send + Sync>;

struct Fake {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    requests: Mutex<Vec<String>>,
    does: Mutex<Rule>,
    /// Whether a request hangs now.
    hangs: AtomicBool,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            objects: Mutex::default(),
            requests: Mutex::default(),
            does: Mutex::new(Arc::new(|_, _| Does::Well)),
            hangs: AtomicBool::new(false),
        })
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.objects.lock().unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.objects().keys().cloned().collect()
    }

    /// What it does from now on with requests of this word for such objects; with all others what it should.
    fn does(&self, word: &'static str, kind: &'static str, does: Does) {
        *self.does.lock().unwrap() = Arc::new(move |w, name| {
            let meant = w.starts_with(word) && name.starts_with(kind);
            if meant { does } else { Does::Well }
        });
    }

    /// The requests since the last time.
    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    async fn asked(&self, word: &str, name: &str) -> Result<Does, Fault> {
        let short = name.strip_prefix("p/v2/").unwrap();
        self.requests
            .lock()
            .unwrap()
            .push(format!("{word} {short}"));
        let does = Arc::clone(&self.does.lock().unwrap());
        match does(word, short) {
            Does::Fails => Err(Fault::Failed("500 Internal Server Error".into())),
            Does::Hangs => {
                self.hangs.store(true, Ordering::Relaxed);
                std::future::pending().await
            }
            does => Ok(does),
        }
    }
}

impl Objects for Fake {
    fn get<'a>(&'a self, name: &'a str, take: &'a mut Take<'_>) -> Answer<'a, bool> {
        Box::pin(async move {
            let does = self.asked("GET", name).await?;
            let Some(bytes) = self.objects().get(name).cloned() else {
                return Ok(false);
            };
            let bytes = match does {
                Does::Lies(lie) => lie(&bytes),
                _ => bytes,
            };
            for piece in bytes.chunks(3) {
                if take(piece).is_break() {
                    break;
                }
            }
            Ok(true)
        })
    }

    fn size<'a>(&'a self, name: &'a str) -> Answer<'a, Option<u64>> {
        Box::pin(async move {
            self.asked("HEAD", name).await?;
            Ok(self.objects().get(name).map(|b| b.len() as u64))
        })
    }

    fn put<'a>(&'a self, name: &'a str, content: &'a mut Outgoing) -> Answer<'a, ()> {
        Box::pin(async move {
            self.asked("PUT", name).await?;
            let mut bytes = Vec::new();
            loop {
                let piece = content.next(5)?;
                if piece.is_empty() {
                    break;
                }
                bytes.extend(piece);
            }
            assert_eq!(bytes.len() as u64, content.size());
            self.objects().insert(name.to_owned(), bytes);
            Ok(())
        })
    }
}

const DOCUMENT: &[u8] = b"the document of a key";

/// A machine with a store of its own.
struct Machine {
    dir: TempDir,
    remote: Remote,
}

fn settings(folder: &Path, scope: Scope) -> Settings {
    Settings {
        name: "s3://acme-ci/p".into(),
        prefix: "p".into(),
        scope,
        sign: None,
        writes: true,
        store: Store::beneath(folder),
    }
}

impl Machine {
    fn new(fake: &Arc<Fake>) -> Self {
        Self::with(fake, |_| {})
    }

    fn with(fake: &Arc<Fake>, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = settings(dir.path(), Scope::Trusted);
        change(&mut settings);
        let objects = Arc::clone(fake) as Arc<dyn Objects>;
        Self {
            dir,
            remote: Remote::start(objects, settings).unwrap(),
        }
    }

    fn store(&self) -> Store {
        Store::beneath(self.dir.path())
    }

    /// A result of two files and a log, kept here.
    fn made(&self) -> Arc<Action> {
        let store = self.store();
        let file = |path: &str, text: &str| Entry {
            path: path.into(),
            is: Is::File {
                digest: store.put(text.as_bytes()).unwrap(),
                size: text.len() as u64,
                mode: 0o644,
            },
        };
        let action = Action {
            format: FORMAT,
            outputs: vec![file("a", "one content"), file("b", "another content")],
            key: Digest::of(DOCUMENT),
            artifacts: BTreeMap::new(),
            values: BTreeMap::new(),
            log: Some(Log {
                digest: store.put(b"what it wrote").unwrap(),
                size: 13,
            }),
            millis: 12,
            origin: "run 1".into(),
        };
        self.record(&action);
        Arc::new(action)
    }

    /// Keeps a record in each scope from which it may be sent.
    fn record(&self, action: &Action) {
        for scope in ["trusted", "stranger-1"] {
            let at = place(scope, &action.key);
            self.store().record(&at, &action.encode(DOCUMENT)).unwrap();
        }
    }

    async fn send(&self, action: &Arc<Action>) {
        self.remote.send(action.key);
        self.remote.finish(Duration::from_secs(20)).await;
    }

    async fn fetch(&self) -> bool {
        let key = Digest::of(DOCUMENT);
        self.remote.fetch(key, DOCUMENT.to_vec()).await.unwrap()
    }

    /// The files of its store, relative.
    fn files(&self) -> usize {
        let mut open = vec![self.store().root().to_path_buf()];
        let mut count = 0;
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => open.push(path),
                    false => count += 1,
                }
            }
        }
        count
    }

    fn has(&self, scope: &str) -> bool {
        let path = place(scope, &Digest::of(DOCUMENT));
        self.store().root().join(path).exists()
    }
}

#[tokio::test]
async fn what_one_machine_sends_another_one_has() {
    let fake = Fake::new();
    let (one, other) = (Machine::new(&fake), Machine::new(&fake));
    let action = one.made();
    one.send(&action).await;
    assert!(other.fetch().await);
    let store = other.store();
    for (digest, size) in action.blobs() {
        assert_eq!(store.verify(&digest).unwrap(), size);
    }
    let record = std::fs::read(store.root().join(place("trusted", &action.key))).unwrap();
    assert_eq!(
        Action::decode(&record, &action.key),
        Some(((*action).clone(), DOCUMENT))
    );
    assert_eq!(other.files(), 4);
    assert_eq!((one.remote.trouble(), other.remote.trouble()), (None, None));
}

#[tokio::test]
async fn a_record_is_sent_behind_all_that_it_names_and_nothing_is_sent_twice() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    let action = one.made();
    one.send(&action).await;
    let requests = fake.requests();
    let puts: Vec<&String> = requests.iter().filter(|r| r.starts_with("PUT")).collect();
    assert_eq!(puts.len(), 4, "{requests:?}");
    assert_eq!(*puts[3], format!("PUT action/trusted/{}", action.key));
    let other = Machine::new(&fake);
    other.send(&other.made()).await;
    let requests = fake.requests();
    let puts: Vec<&String> = requests.iter().filter(|r| r.starts_with("PUT")).collect();
    assert_eq!(puts, [&format!("PUT action/trusted/{}", action.key)]);
}

#[tokio::test]
async fn only_what_is_missing_here_is_asked_for() {
    let fake = Fake::new();
    let (one, other) = (Machine::new(&fake), Machine::new(&fake));
    one.send(&one.made()).await;
    fake.requests();
    let there = other.store().put(b"one content").unwrap();
    assert!(other.fetch().await);
    let requests = fake.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(!requests.contains(&format!("GET blob/{there}")));
}

#[tokio::test]
async fn content_that_is_another_one_is_not_believed_and_leaves_nothing() {
    let lies: [Lie; 5] = [
        |bytes| {
            let mut bytes = bytes.to_vec();
            bytes[0] ^= 1;
            bytes
        },
        |bytes| bytes[..bytes.len() - 1].to_vec(),
        |bytes| [bytes, b"x"].concat(),
        |_| b"another content".to_vec(),
        |_| Vec::new(),
    ];
    let fake = Fake::new();
    let one = Machine::new(&fake);
    one.send(&one.made()).await;
    for (at, lie) in lies.into_iter().enumerate() {
        let other = Machine::new(&fake);
        for there in [&b"another content"[..], b"what it wrote"] {
            other.store().put(there).unwrap();
        }
        fake.does("GET", "blob", Does::Lies(lie));
        assert!(!other.fetch().await, "lie {at}");
        assert!(!other.has("trusted"), "lie {at}");
        assert_eq!(other.files(), 2, "lie {at}");
        assert_eq!(
            other.remote.trouble().as_deref(),
            Some(
                "the remote cache s3://acme-ci/p cannot be read: something in it is damaged; the run goes on"
            )
        );
    }
}

#[tokio::test]
async fn a_damaged_object_is_replaced_by_who_has_it() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    let action = one.made();
    one.send(&action).await;
    let name = format!("p/v2/blob/{}", Digest::of(b"one content"));
    fake.objects().insert(name.clone(), b"One content".to_vec());
    let other = Machine::new(&fake);
    assert!(!other.fetch().await);
    other.send(&other.made()).await;
    assert_eq!(fake.objects()[&name], b"one content");
    // One of another length is seen before it is asked for.
    fake.objects().insert(name.clone(), b"half".to_vec());
    let third = Machine::new(&fake);
    third.send(&third.made()).await;
    assert_eq!(fake.objects()[&name], b"one content");
}

#[tokio::test]
async fn a_blob_that_is_damaged_here_is_not_sent_and_nor_is_its_record() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    let action = one.made();
    for wrong in [&b"One content"[..], b"one", b"one content and more"] {
        let path = one.store().blob(&Digest::of(b"one content"));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, wrong).unwrap();
        let other = Machine::with(&fake, |s| s.store = one.store());
        other.send(&action).await;
        let lost = format!("p/v2/blob/{}", Digest::of(b"one content"));
        let names = fake.names();
        let bad = |n: &String| *n == lost || n.starts_with("p/v2/action");
        assert!(!names.iter().any(bad), "{names:?}");
        assert_eq!(
            other.remote.trouble().as_deref(),
            Some("1 result was not sent to the remote cache s3://acme-ci/p")
        );
    }
}

#[tokio::test]
async fn a_stranger_takes_what_is_trusted_and_makes_nothing_trusted() {
    let fake = Fake::new();
    let stranger = Scope::of(false, "7 of mallory");
    let own = stranger.own().to_owned();
    let one = Machine::with(&fake, |s| s.scope = stranger.clone());
    one.send(&one.made()).await;
    let trusted = |names: &[String]| names.iter().any(|n| n.contains("/trusted/"));
    assert!(!trusted(&fake.names()));
    let other = Machine::new(&fake);
    assert!(
        !other.fetch().await,
        "a trusted run takes nothing of a stranger"
    );
    other.send(&other.made()).await;
    let again = Machine::with(&fake, |s| s.scope = stranger);
    assert!(again.fetch().await);
    // Whatever the stranger's file calls trusted, on this machine it is the stranger's.
    assert!(again.has(&own) && !again.has("trusted"));
}

#[tokio::test]
async fn who_may_not_write_sends_nothing() {
    let fake = Fake::new();
    let one = Machine::with(&fake, |s| s.writes = false);
    one.send(&one.made()).await;
    assert_eq!(fake.requests(), [""; 0]);
    assert_eq!(one.remote.trouble(), None);
}

#[tokio::test]
async fn with_a_signature_only_what_is_signed_is_believed() {
    let signed = |secret: &'static str| move |s: &mut Settings| s.sign = SigningKey::of(secret);
    let fake = Fake::new();
    let unsigned = Machine::new(&fake);
    unsigned.send(&unsigned.made()).await;
    let careful = Machine::with(&fake, signed("a secret of some length"));
    assert!(!careful.fetch().await);
    assert_eq!(careful.remote.trouble(), None);
    careful.send(&careful.made()).await;
    let again = Machine::with(&fake, signed("a secret of some length"));
    assert!(again.fetch().await);
    let other = Machine::with(&fake, signed("a secret of another one"));
    for _ in 0..4 {
        assert!(!other.fetch().await);
    }
    assert_eq!(
        other.remote.trouble().as_deref(),
        Some("a record in the remote cache s3://acme-ci/p has a wrong signature, and is not used")
    );
    assert!(!other.remote.shared.health.is_off());
}

#[tokio::test]
async fn after_three_failures_nothing_is_asked_any_more() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    fake.does("", "", Does::Fails);
    for _ in 0..5 {
        assert!(!one.fetch().await);
    }
    one.send(&one.made()).await;
    assert_eq!(fake.requests().len(), 3);
    let told: Vec<String> = std::iter::from_fn(|| one.remote.trouble()).collect();
    assert_eq!(
        told,
        [
            "the remote cache s3://acme-ci/p cannot be read: 500 Internal Server Error; the run goes on",
            "1 result was not sent to the remote cache s3://acme-ci/p"
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_written_is_told_and_counted() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    fake.does("PUT", "", Does::Fails);
    one.send(&one.made()).await;
    let told: Vec<String> = std::iter::from_fn(|| one.remote.trouble()).collect();
    assert_eq!(
        told,
        [
            "the remote cache s3://acme-ci/p cannot be written: 500 Internal Server Error; the run goes on",
            "1 result was not sent to the remote cache s3://acme-ci/p"
        ]
    );
    assert_eq!(fake.names(), [""; 0]);
}

#[tokio::test]
async fn a_store_that_hangs_is_waited_for_no_longer_than_is_said() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    fake.does("PUT", "action", Does::Hangs);
    one.remote.send(one.made().key);
    one.remote.finish(Duration::from_millis(50)).await;
    assert_eq!(
        one.remote.trouble().as_deref(),
        Some(
            "1 result was not sent to the remote cache s3://acme-ci/p; `PIPE_REMOTE_WAIT` gives it more time"
        )
    );
}

#[tokio::test]
async fn a_run_that_ends_waits_for_nothing() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    fake.does("", "", Does::Hangs);
    one.remote.send(one.made().key);
    let ending = async {
        while !fake.hangs.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        one.remote.stop();
    };
    let (found, ()) = tokio::join!(one.fetch(), ending);
    assert!(!found);
    one.remote.finish(Duration::from_secs(600)).await;
    assert_eq!(one.remote.trouble(), None);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_left() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    one.send(&one.made()).await;
    let other = Machine::new(&fake);
    fake.does("GET", "blob", Does::Hangs);
    tokio::select! {
        _ = other.fetch() => unreachable!("it hangs"),
        () = async {
            while !fake.hangs.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    // Half a blob goes with the request.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while other.files() > 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_given_up() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    fake.does("", "", Does::Hangs);
    let shared = Arc::clone(&one.remote.shared);
    assert!(!shared.fetch(&Digest::of(DOCUMENT), DOCUMENT).await.unwrap());
    assert!(one.remote.shared.health.is_off());
    assert_eq!(
        one.remote.trouble().as_deref(),
        Some("the remote cache s3://acme-ci/p cannot be read: it is too slow; the run goes on")
    );
}

#[tokio::test]
async fn a_record_without_end_is_taken_for_none() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    one.send(&one.made()).await;
    fake.does(
        "GET",
        "action",
        Does::Lies(|bytes| {
            let mut long = bytes.to_vec();
            long.resize(usize::try_from(fetch::LONGEST).unwrap() + 1, b' ');
            long
        }),
    );
    let other = Machine::new(&fake);
    assert!(!other.fetch().await);
    assert_eq!(other.files(), 0);
}

#[tokio::test]
async fn a_result_that_would_fill_the_disk_is_not_begun() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    let mut action = (*one.made()).clone();
    if let Is::File { size, .. } = &mut action.outputs[0].is {
        *size = u64::MAX / 2;
    }
    let name = format!("p/v2/action/trusted/{}", action.key);
    let record = record::seal(action.encode(DOCUMENT), "trusted", None);
    fake.objects().insert(name, record);
    let other = Machine::new(&fake);
    assert!(!other.fetch().await);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_result_of_which_something_is_gone_is_none_and_no_failure() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    one.send(&one.made()).await;
    let name = format!("p/v2/blob/{}", Digest::of(b"one content"));
    fake.objects().remove(&name);
    let other = Machine::new(&fake);
    assert!(!other.fetch().await);
    assert!(!other.has("trusted"));
    assert_eq!(other.remote.trouble(), None);
}

#[tokio::test]
async fn a_store_here_that_cannot_be_written_is_an_error() {
    let fake = Fake::new();
    let one = Machine::new(&fake);
    one.send(&one.made()).await;
    let other = Machine::with(&fake, |s| s.store = Store::beneath(Path::new("/dev/null")));
    let key = Digest::of(DOCUMENT);
    assert!(other.remote.fetch(key, DOCUMENT.to_vec()).await.is_err());
    assert_eq!(other.remote.trouble(), None);
}

#[test]
fn a_key_with_a_secret_is_of_one_machine() {
    let map = |value: &str| BTreeMap::from([("NAME".to_owned(), value.to_owned())]);
    let key = |env: &str, part: &str| Key {
        version: crate::cache::key::VERSION,
        platform: "linux x86_64".into(),
        step: "test.unit".into(),
        commands: Arc::default(),
        setting: Arc::default(),
        env: map(env).into(),
        parts: map(part),
        inputs: BTreeMap::new(),
        taken: BTreeMap::new(),
        makes: Arc::default(),
    };
    assert!(!key("secrets", "a secret 1").has_secret());
    assert!(key("secret 0123456789abcdef", "").has_secret());
    assert!(key("", "\"plain\"\nsecret 0123456789abcdef").has_secret());
}
