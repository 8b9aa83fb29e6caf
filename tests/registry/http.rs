//! As much of HTTP as the tests' own servers need: a message as its head and its body, one to a connection.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The head of a message: its first line and its headers, with the empty line that ends it.
pub struct Head(pub String);

impl Head {
    /// Reads a head, byte by byte, so that nothing of the body is taken.
    pub fn read(from: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            from.read_exact(&mut byte)?;
            bytes.push(byte[0]);
        }
        Ok(Self(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A word of the first line.
    pub fn word(&self, at: usize) -> &str {
        let first = self.0.lines().next().unwrap_or_default();
        first.split(' ').nth(at).unwrap_or_default()
    }

    /// A header.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.0.lines().filter_map(|l| l.split_once(':'));
        let (_, value) = headers.find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }

    /// How long its body is.
    pub fn length(&self) -> usize {
        self.get("content-length")
            .and_then(|l| l.parse().ok())
            .unwrap_or(0)
    }

    /// Without a header, in whatever spelling.
    pub fn without(&self, name: &str) -> Self {
        let lines = self.0.split_inclusive("\r\n");
        let kept = lines.filter(|l| {
            let header = l.split_once(':').map(|(n, _)| n);
            !header.is_some_and(|n| n.eq_ignore_ascii_case(name))
        });
        Self(kept.collect())
    }

    /// With a header, that it has only once.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let text = self.without(name).0;
        let body = text.strip_suffix("\r\n").unwrap_or(&text);
        Self(format!("{body}{name}: {value}\r\n\r\n"))
    }
}

/// The body of a request.
pub fn body(from: &mut TcpStream, head: &Head) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; head.length()];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// An answer as bytes.
pub fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !headers
        .iter()
        .any(|(n, _)| n.eq_ignore_ascii_case("content-length"))
    {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "Connection: close\r\n\r\n";
    [text.as_bytes(), body].concat()
}

/// Answers each connection on a port of its own, until it is dropped.
pub struct Server {
    ended: Arc<AtomicBool>,
    /// The port.
    pub port: u16,
}

impl Server {
    /// Begins to answer.
    pub fn start(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let (over, serve) = (Arc::clone(&ended), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let serve = Arc::clone(&serve);
                // A client that goes away is no failure of a test.
                thread::spawn(move || serve(stream));
            }
        });
        Self { ended, port }
    }

    /// Its host.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Writes an answer, and waits until the client has it.
pub fn send(to: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
