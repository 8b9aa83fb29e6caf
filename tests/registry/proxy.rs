//! What stands in front of a real registry and does to its messages what a test says. Knows nothing of registries.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::http::{Head, Server, answer, body, send};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    /// It is answered as it should be.
    Well,
    /// The answer is this status, with these headers and this body.
    Says(&'static str, Vec<(&'static str, String)>, &'static str),
    /// So many bytes of its body arrive, then the connection breaks.
    CutsRequest(usize),
    /// So many bytes of the answer's body arrive, then the connection breaks.
    CutsAnswer(usize),
    /// One byte of the answer's body is another one.
    Flips,
    /// A header of the answer is missing.
    Without(&'static str),
    /// No answer comes.
    Hangs,
}

type Rule = Box<dyn FnMut(&str, &str) -> Does + Send>;

/// A proxy on a port of its own.
pub struct Proxy {
    server: Server,
    rule: Arc<Mutex<Rule>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// In front of the server on this port.
    pub fn before(port: u16) -> Self {
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_, _| Does::Well)));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (own, seen) = (Arc::clone(&rule), Arc::clone(&requests));
        let server = Server::start(move |mut client| {
            let head = Head::read(&mut client)?;
            let (method, path) = (head.word(0).to_owned(), head.word(1).to_owned());
            seen.lock().unwrap().push(format!("{method} {path}"));
            let does = (own.lock().unwrap())(&method, &path);
            serve(client, &head, port, &does)
        });
        Self {
            server,
            rule,
            requests,
        }
    }

    /// Its host.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// What happens from now on, by method and path.
    pub fn does(&self, rule: impl FnMut(&str, &str) -> Does + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// What happens the first so many times to requests of a kind; others are answered as they should be.
    pub fn does_first(&self, times: usize, method: &'static str, part: &'static str, does: Does) {
        let mut left = times;
        self.does(move |m, path| {
            if m == method && path.contains(part) && left > 0 {
                left -= 1;
                return does.clone();
            }
            Does::Well
        });
    }

    /// The requests since the last time: method and path.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

fn serve(mut client: TcpStream, head: &Head, port: u16, does: &Does) -> io::Result<()> {
    let cut = match does {
        Does::Hangs => {
            // Until the client has had enough.
            let _ = client.set_read_timeout(Some(Duration::from_secs(60)));
            let _ = io::copy(&mut client, &mut io::sink());
            return Ok(());
        }
        Does::Says(status, headers, text) => {
            body(&mut client, head)?;
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let text = if head.word(0) == "HEAD" { "" } else { text };
            return send(&mut client, &answer(status, &headers, text.as_bytes()));
        }
        Does::CutsRequest(length) => Some(*length),
        _ => None,
    };
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(head.with("Connection", "close").0.as_bytes())?;
    let length = cut.unwrap_or(head.length()).min(head.length());
    let mut left = length;
    let mut piece = vec![0; 64 << 10];
    while left > 0 {
        let read = client.read(&mut piece[..left.min(64 << 10)])?;
        if read == 0 {
            return Ok(());
        }
        server.write_all(&piece[..read])?;
        left -= read;
    }
    if cut.is_some() {
        // The server is told in the same way as the client.
        server.shutdown(std::net::Shutdown::Both)?;
        return client.shutdown(std::net::Shutdown::Both);
    }
    let answered = Head::read(&mut server)?;
    let mut content = Vec::new();
    server.read_to_end(&mut content)?;
    let (answered, content) = match does {
        Does::Without(name) => (answered.without(name), content),
        Does::CutsAnswer(length) => {
            content.truncate(*length);
            (answered, content)
        }
        Does::Flips if !content.is_empty() => {
            let middle = content.len() / 2;
            content[middle] ^= 1;
            (answered, content)
        }
        _ => (answered, content),
    };
    client.write_all(answered.with("Connection", "close").0.as_bytes())?;
    client.write_all(&content)
}
