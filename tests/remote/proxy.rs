//! What stands in front of a server and does to its answers what a test says. Knows nothing of what is asked.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// It is answered as it should be.
    Well,
    /// The answer comes, but later.
    Slow(Duration),
    /// No answer comes.
    Stalls,
    /// Half of the answer comes.
    StallsHalfWay,
    /// The answer is this status, with this code in its body.
    Status(&'static str, &'static str),
    /// It is another place to ask at.
    Redirects,
    /// The connection breaks in the middle of the answer.
    Breaks,
    /// The answer is shorter than it says.
    Truncates,
    /// One byte of the answer is another one.
    Flips,
    /// The answer is that to the request of this kind before.
    AnswersAnother,
    /// The answer has no end.
    NeverEnds(&'static str),
    /// There is no answer, but something else.
    Babbles,
}

type Rule = Box<dyn Fn(&str, &str) -> Does + Send>;

struct Shared {
    server: u16,
    rule: Mutex<Rule>,
    requests: Mutex<Vec<String>>,
    last: Mutex<Vec<u8>>,
    ended: AtomicBool,
}

/// A proxy on a port of its own.
pub struct Proxy {
    shared: Arc<Shared>,
    /// The port.
    pub port: u16,
}

impl Proxy {
    /// In front of the server on this port.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            rule: Mutex::new(Box::new(|_, _| Does::Well)),
            requests: Mutex::default(),
            last: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if own.ended.load(Ordering::Relaxed) {
                    return;
                }
                let own = Arc::clone(&own);
                // A client that goes away is no failure of a test.
                thread::spawn(move || own.serve(stream));
            }
        });
        Self { shared, port }
    }

    /// What happens from now on, by method and path.
    pub fn does(&self, rule: impl Fn(&str, &str) -> Does + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// The requests since the last time: method and path.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.requests.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let seen = peeked(&client)?;
        let text = String::from_utf8_lossy(&seen);
        let mut words = text.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        self.requests
            .lock()
            .unwrap()
            .push(format!("{method} {path}"));
        let does = (self.rule.lock().unwrap())(method, path);
        // The system resets a connection of which something was not read.
        let request = match does {
            Does::Breaks if method == "PUT" => return Ok(()),
            Does::Breaks => seen.clone(),
            _ => message(&mut client, false)?,
        };
        match does {
            Does::Stalls => return self.stall(client),
            Does::Babbles => return client.write_all(b"\x00\xffwhat?\r\n\r\n"),
            Does::Redirects => {
                let elsewhere = format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{}/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    self.server
                );
                return client.write_all(elsewhere.as_bytes());
            }
            Does::Status(status, code) => {
                let body = match method {
                    "HEAD" => String::new(),
                    _ => format!("<Error><Code>{code}</Code></Error>"),
                };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                return client.write_all(answer.as_bytes());
            }
            Does::NeverEnds(status) => {
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: 999999999999999\r\nETag: \"x\"\r\nLast-Modified: Wed, 25 Nov 2026 14:53:04 GMT\r\nConnection: close\r\n\r\n"
                );
                client.write_all(head.as_bytes())?;
                loop {
                    client.write_all(&[b'x'; 64 << 10])?;
                }
            }
            Does::Slow(time) => thread::sleep(time),
            _ => {}
        }
        let mut server = TcpStream::connect(("127.0.0.1", self.server))?;
        server.write_all(&closing(&request))?;
        let answer = message(&mut server, true)?;
        let head = head(&answer).unwrap_or(answer.len());
        let body = answer.len() - head;
        let another = match (method, body) {
            ("GET", 1..) => std::mem::replace(&mut *self.last.lock().unwrap(), answer.clone()),
            _ => Vec::new(),
        };
        match does {
            Does::StallsHalfWay => {
                client.write_all(&answer[..head + body / 2])?;
                self.stall(client)
            }
            Does::Truncates | Does::Breaks => client.write_all(&answer[..head + body / 2]),
            Does::Flips if body > 0 => {
                let mut answer = answer;
                answer[head + body / 2] ^= 1;
                client.write_all(&answer)
            }
            Does::AnswersAnother if !another.is_empty() => client.write_all(&another),
            _ => client.write_all(&answer),
        }
    }

    /// Keeps the connection until the other end leaves it, or the test has ended.
    fn stall(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(Duration::from_millis(100)))?;
        while !self.ended.load(Ordering::Relaxed) {
            match client.read(&mut [0; 1024]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Where the body begins.
fn head(message: &[u8]) -> Option<usize> {
    Some(message.windows(4).position(|w| w == b"\r\n\r\n")? + 4)
}

/// The head of a request, which stays to be read.
fn peeked(from: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let length = from.peek(&mut bytes)?;
        if let Some(end) = head(&bytes[..length]) {
            bytes.truncate(end);
            return Ok(bytes);
        }
        if length == 0 || length == bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        thread::yield_now();
    }
}

/// A whole message: a request with the body that it announces, or everything up to the end.
fn message(from: &mut TcpStream, to_the_end: bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if to_the_end {
        from.read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let mut piece = vec![0; 64 << 10];
    loop {
        if let Some(head) = head(&bytes) {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.split_once("content-length:").map(|(_, rest)| rest);
            let length = length.and_then(|l| l.lines().next()?.trim().parse().ok());
            if bytes.len() >= head + length.unwrap_or(0) {
                return Ok(bytes);
            }
        }
        match from.read(&mut piece)? {
            0 => return Ok(bytes),
            more => bytes.extend_from_slice(&piece[..more]),
        }
    }
}

/// The same request, after which the connection is closed.
fn closing(request: &[u8]) -> Vec<u8> {
    let line = request
        .iter()
        .position(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let mut closing = request[..line].to_vec();
    closing.extend_from_slice(b"Connection: close\r\n");
    closing.extend_from_slice(&request[line..]);
    closing
}
