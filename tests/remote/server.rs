//! A real S3 server of the tests' own, shared by those that run at the same time. Knows nothing of pipe.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::support::skip;

/// moto's server. It ends with whoever started it.
pub struct Server {
    child: Child,
    /// Its port on this machine.
    pub port: u16,
}

/// The bucket that a server of its own kind has from the beginning.
pub const BUCKET: &str = "test-strict";

/// The server; `None`, said loudly, where it is not installed.
#[track_caller]
pub fn server() -> Option<Arc<Server>> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return Some(server);
    }
    let (server, _) = start(&[])?;
    let server = Arc::new(server);
    *running = Arc::downgrade(&server);
    Some(server)
}

/// A server of a kind that `server.py` knows, and what else it told.
#[track_caller]
pub fn start(kind: &[&str]) -> Option<(Server, Vec<String>)> {
    if !root().join("target/moto/installed").exists() {
        skip("there is no S3 server; `tests/setup-remote.sh` installs one");
        return None;
    }
    let mut child = Command::new(root().join("target/moto/bin/python"))
        .arg(root().join("tests/remote/server.py"))
        .args(kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let mut told = line.split_whitespace().map(str::to_owned);
    let port = told.next().and_then(|p| p.parse().ok());
    let port = port.expect("the server tells its port");
    Some((Server { child, port }, told.collect()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Who makes the buckets. The server believes every signature.
const OWNER: &str = "Authorization: AWS4-HMAC-SHA256 Credential=owner/20261125/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none";

impl Server {
    /// A new bucket, that nobody else uses.
    pub fn bucket(&self, name: &str) -> String {
        let name = format!("test-{}", name.replace('_', "-"));
        assert_eq!(self.ask("PUT", &format!("/{name}"), b"").0, 200);
        name
    }

    /// Lets everybody read a bucket.
    pub fn open(&self, bucket: &str) {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]}}]}}"#
        );
        let path = format!("/{bucket}?policy");
        assert!(self.ask("PUT", &path, policy.as_bytes()).0 < 300);
    }

    /// The names of the objects in a bucket.
    pub fn names(&self, bucket: &str) -> Vec<String> {
        let (status, body) = self.ask("GET", &format!("/{bucket}?list-type=2"), b"");
        assert_eq!(status, 200);
        let text = String::from_utf8(body).unwrap();
        let names = text.split("<Key>").skip(1);
        let mut names: Vec<String> = names
            .map(|n| n.split("</Key>").next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// The content of an object.
    #[track_caller]
    pub fn get(&self, bucket: &str, name: &str) -> Vec<u8> {
        let (status, body) = self.ask("GET", &format!("/{bucket}/{name}"), b"");
        assert_eq!(status, 200, "{name}");
        body
    }

    /// Makes or replaces an object.
    #[track_caller]
    pub fn put(&self, bucket: &str, name: &str, content: &[u8]) {
        let path = format!("/{bucket}/{name}");
        assert_eq!(self.ask("PUT", &path, content).0, 200, "{name}");
    }

    fn ask(&self, method: &str, path: &str, content: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{OWNER}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.port,
            content.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(content).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap();
        (status.parse().unwrap(), answer[end + 4..].to_vec())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
