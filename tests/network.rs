//! What a test does in another network than its own: asks over HTTP, once or all the time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long a connection, and an answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose network it is: a process's, or that of the tests.
pub type Of = Option<i32>;

/// Brings this thread, and no other, into a network.
fn enter(network: Of) {
    let Some(process) = network else { return };
    let file = std::fs::File::open(format!("/proc/{process}/ns/net")).unwrap();
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// Does it in a network.
pub fn within<T: Send>(network: Of, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            enter(network);
            act()
        });
        inside.join().unwrap()
    })
}

/// The status of an answer, and what it says.
pub type Answer = Option<(u16, String)>;

/// Says a request to a server, headers and all but the last empty line, and this after it.
pub fn ask(address: SocketAddr, request: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let text = format!("{request}\r\n{length}\r\n{body}");
    stream.write_all(text.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// Asks for a page.
pub fn get(address: SocketAddr, page: &str) -> Answer {
    ask(address, &format!("GET {page} HTTP/1.0"), "")
}

/// Somebody who asks for the first page every fifty milliseconds, and writes down what is answered.
pub struct Asking {
    is_enough: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Asking {
    /// Begins. What is written down of an answer is what `said` makes of it.
    pub fn of(network: Of, address: SocketAddr, said: fn(Answer) -> String) -> Self {
        let is_enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_enough);
        let thread = std::thread::spawn(move || {
            enter(network);
            let mut all = Vec::new();
            loop {
                let is_last = told.load(Ordering::Relaxed);
                all.push(said(get(address, "/")));
                if is_last {
                    return all;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self {
            is_enough,
            thread: Some(thread),
        }
    }

    /// Everything that was answered, in order; the last of it was asked for after this call.
    pub fn heard(mut self) -> Vec<String> {
        self.is_enough.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }

    /// The same, each change once.
    pub fn saw(self) -> Vec<String> {
        let mut all = self.heard();
        all.dedup();
        all
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.is_enough.store(true, Ordering::Relaxed);
    }
}
