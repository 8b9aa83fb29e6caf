//! An engine that is none: it answers as Docker does, for one job that prints a line, and fails where it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// No answer, for ever.
    Hang,
    /// The connection ends before the answer.
    Close,
    /// The connection ends in the middle of the answer.
    Cut,
    /// The engine says that it failed.
    Refuse,
    /// The engine says twice that an interface went away while it looked, as Podman does; then it does its work.
    Going,
    /// The engine says that it keeps images in containerd's store, as newer ones do.
    OtherStore,
}

/// The calls that were made, each as `GET /_ping`.
pub type Calls = Arc<Mutex<Vec<String>>>;

/// Begins to listen; whatever call begins so goes wrong.
pub fn listen(socket: &Path, call: &'static str, fault: Fault) -> Calls {
    let listener = UnixListener::bind(socket).unwrap();
    let calls = Calls::default();
    let heard = Arc::clone(&calls);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || serve(client, call, fault, &heard));
        }
    });
    calls
}

fn serve(client: UnixStream, call: &str, fault: Fault, heard: &Calls) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    loop {
        let request = request(&mut reader)?;
        heard.lock().unwrap().push(request.clone());
        let is_it = fault != Fault::None && request.starts_with(call);
        let (status, body) = match fault {
            Fault::Refuse if is_it => (500, "{\"message\":\"the disk is on fire\"}"),
            Fault::Going if is_it && times(heard, call) <= 2 => (
                500,
                "{\"message\":\"route ip+net: no such network interface\"}",
            ),
            Fault::OtherStore if is_it => (
                200,
                "{\"NCPU\":2,\"DriverStatus\":[[\"driver-type\",\"io.containerd.snapshotter.v1\"]]}",
            ),
            _ => answer(&request),
        };
        let whole = match status {
            101 => {
                "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".to_owned()
            }
            _ => format!(
                "HTTP/1.1 {status} x\r\nApi-Version: 1.41\r\nServer: Docker/1.0 (linux)\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        match fault {
            Fault::Hang if is_it => loop {
                std::thread::park();
            },
            Fault::Close if is_it => return None,
            Fault::Cut if is_it => {
                client
                    .write_all(&whole.as_bytes()[..whole.len() / 2])
                    .ok()?;
                return None;
            }
            _ => client.write_all(whole.as_bytes()).ok()?,
        }
        if status == 101 {
            if call == "the output" && fault == Fault::Hang {
                loop {
                    std::thread::park();
                }
            }
            client.write_all(b"\x01\0\0\0\0\0\0\x06hello\n").ok()?;
            return None;
        }
    }
}

/// How many calls have begun so.
fn times(heard: &Calls, call: &str) -> usize {
    let heard = heard.lock().unwrap();
    heard.iter().filter(|r| r.starts_with(call)).count()
}

/// Reads a request; gives its method and its path without the version of the API.
fn request(reader: &mut BufReader<UnixStream>) -> Option<String> {
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        chunked |= line.contains("chunked");
    }
    assert!(!chunked, "the client sends whole bodies");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?, words.next()?);
    let path = match path.strip_prefix("/v1.") {
        Some(rest) => &rest[rest.find('/')?..],
        None => path,
    };
    Some(format!("{method} {path}"))
}

fn answer(request: &str) -> (u16, &'static str) {
    let begins = |text: &str| request.starts_with(text);
    let ends = |text: &str| {
        request
            .split('?')
            .next()
            .unwrap_or_default()
            .ends_with(text)
    };
    if begins("GET /_ping") {
        (200, "OK")
    } else if begins("GET /version") {
        (
            200,
            "{\"Version\":\"1.0\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Components\":[{\"Name\":\"Engine\",\"Version\":\"1.0\"}]}",
        )
    } else if begins("GET /info") {
        (200, "{\"NCPU\":2,\"SecurityOptions\":[]}")
    } else if begins("GET /containers/json") || begins("GET /networks") {
        (200, "[]")
    } else if begins("GET /volumes") {
        (200, "{\"Volumes\":[],\"Warnings\":null}")
    } else if begins("GET /images/") && request.contains("far") {
        (404, "{\"message\":\"no such image\"}")
    } else if begins("GET /images/") {
        (
            200,
            "{\"Id\":\"sha256:0123\",\"Os\":\"linux\",\"Architecture\":\"amd64\"}",
        )
    } else if begins("POST /images/create") {
        (200, "{\"status\":\"Pull complete\",\"id\":\"0a\"}\r\n")
    } else if begins("POST /networks/create") {
        (201, "{\"Id\":\"n1\",\"Warning\":\"\"}")
    } else if begins("POST /containers/create") {
        (201, "{\"Id\":\"c1\",\"Warnings\":[]}")
    } else if begins("POST /containers/") && ends("/exec") {
        (201, "{\"Id\":\"e1\"}")
    } else if begins("POST /exec/") {
        (101, "")
    } else if begins("GET /exec/") {
        (200, "{\"Running\":false,\"ExitCode\":0}")
    } else if begins("GET /containers/") {
        (200, "{\"State\":{\"Running\":true}}")
    } else {
        (204, "")
    }
}
