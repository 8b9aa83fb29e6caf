//! Copying images beside `skopeo copy`: images of the same sizes, the same registries, in turns in every round.
//!
//! `cargo bench --bench registry -- [LAYERS] [MEBIBYTES] [ROUNDS]`. Both are started as programs of their own, so that
//! starting counts for both. Both remember which repository has which contents, and mount them from there; where sending
//! is measured, every image is therefore made of bytes that nobody has seen before. Wants `docker-registry` and `skopeo`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run says where")]
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::oci::client::{Client, Insecure, Login, PATIENCE};
use engine::oci::copy::{Journey, copy};
use engine::oci::place::Place;
use engine::oci::{Descriptor, Known, Layout, media};

const NAME: &str = "v1";

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [verb, from, to, known] = args.as_slice()
        && verb == "copy"
    {
        return bring(from, to, Path::new(known));
    }
    let number =
        |at: usize, usual: usize| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(usual);
    let (layers, size, rounds) = (number(0, 8), number(1, 16), number(2, 7));
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        Registry::start(folder.path(), "one"),
        Registry::start(folder.path(), "two"),
    );
    let known = folder.path().join("known");
    let contenders = Contenders { rounds, known };
    let fresh = |name: &str| {
        let layout = Layout::at(&folder.path().join(name));
        image(&layout, layers, size << 20);
        format!("oci:{}:{NAME}", layout.root().display())
    };
    println!("{layers} layers of {size} MiB, {rounds} rounds, medians");
    println!("{:<24} {:>10} {:>10} {:>7}", "", "pipe", "skopeo", "ratio");
    let at = |registry: &Registry, name: &str| format!("docker://{}/{name}:{NAME}", registry.host);
    contenders.compare("folder to registry", &|who, n| {
        (
            fresh(&format!("{who}-{n}")),
            at(&one, &format!("{who}-{n}")),
        )
    });
    contenders.compare("registry to registry", &|who, n| {
        let name = format!("{who}-{n}");
        (at(&one, &name), at(&two, &name))
    });
    contenders.compare("all there already", &|who, n| {
        let name = format!("{who}-{n}");
        (at(&one, &name), at(&two, &name))
    });
    contenders.compare("within a registry", &|who, n| {
        let name = format!("{who}-{n}");
        (at(&one, &name), at(&one, &format!("in-{name}")))
    });
    contenders.compare("known elsewhere", &|who, n| {
        let name = format!("{who}-{n}");
        (at(&one, &name), at(&two, &format!("beside-{name}")))
    });
    contenders.compare("registry to folder", &|who, n| {
        let name = format!("{who}-{n}");
        let to = folder.path().join(format!("back-{name}"));
        (at(&one, &name), format!("oci:{}:{NAME}", to.display()))
    });
}

/// Who is compared, and how.
struct Contenders {
    rounds: usize,
    /// What pipe remembers; skopeo has a place of its own.
    known: PathBuf,
}

impl Contenders {
    /// Measures both in turns, and prints a line.
    fn compare(&self, what: &str, work: &dyn Fn(&str, usize) -> (String, String)) {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            let (from, to) = work("pipe", round);
            let mut pipe = Command::new(std::env::current_exe().unwrap());
            own.push(timed(pipe.args(["copy", &from, &to]).arg(&self.known)));
            let (from, to) = work("skopeo", round);
            let mut skopeo = Command::new("skopeo");
            skopeo.args([
                "copy",
                "--quiet",
                "--all",
                "--preserve-digests",
                "--src-tls-verify=false",
            ]);
            other.push(timed(skopeo.args(["--dest-tls-verify=false", &from, &to])));
        }
        let (own, other) = (median(own), median(other));
        println!(
            "{what:<24} {:>7} ms {:>7} ms {:>7.2}",
            own.as_millis(),
            other.as_millis(),
            own.as_secs_f64() / other.as_secs_f64()
        );
    }
}

fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Copies an image in this process.
fn bring(from: &str, to: &str, known: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (from, to) = (place(from), place(to));
    runtime.block_on(async {
        let root = from.resolve(NAME).await.unwrap().unwrap();
        let journey = Journey {
            from: &from,
            to: &to,
            digest: root.digest(),
            tags: &[NAME.to_owned()],
            moves: true,
            mount: None,
            known: Some(&Known::at(known)),
        };
        copy(&journey, &|_| {}).await.unwrap();
    });
}

fn place(text: &str) -> Place {
    let text = text.strip_suffix(":v1").unwrap();
    if let Some(path) = text.strip_prefix("oci:") {
        return Place::Folder(Layout::at(Path::new(path)), path.to_owned());
    }
    let rest = text.strip_prefix("docker://").unwrap();
    let (host, name) = rest.split_once('/').unwrap();
    let client = Client::new(PATIENCE, Insecure::default());
    let registry = client.registry(host, Login::default()).unwrap();
    Place::Repository(registry.repository(name))
}

/// An image with layers that do not compress, and that no other one has.
fn image(layout: &Layout, layers: usize, size: usize) {
    let put = |kind: &str, bytes: &[u8]| {
        layout.put(bytes).unwrap();
        serde_json::to_value(Descriptor::of(kind, bytes)).unwrap()
    };
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = put("application/vnd.oci.image.config.v1+json", config);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let layers: Vec<_> = (0..layers as u64)
        .map(|seed| {
            let mut state = (now ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let words = std::iter::repeat_with(|| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            });
            let bytes: Vec<u8> = words.take(size / 8).flatten().collect();
            put("application/vnd.oci.image.layer.v1.tar", &bytes)
        })
        .collect();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": layers,
    });
    let bytes = manifest.to_string().into_bytes();
    layout.put(&bytes).unwrap();
    layout
        .name(NAME, &Descriptor::of(media::MANIFEST, &bytes), true)
        .unwrap();
}

/// A registry that ends with this program.
struct Registry {
    child: Child,
    host: String,
}

impl Registry {
    fn start(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        let config = "version: 0.1\nlog: { level: info }\nstorage: { filesystem: { rootdirectory: data } }\nhttp: { addr: \"127.0.0.1:0\" }\n";
        std::fs::write(folder.join("config.yml"), config).unwrap();
        let mut child = Command::new("sh")
            .args([
                "-c",
                "docker-registry serve config.yml & read -r _; kill $!",
            ])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let port: String = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "the registry starts");
            if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                break rest.chars().take_while(char::is_ascii_digit).collect();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let host = format!("127.0.0.1:{port}");
        Self { child, host }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
