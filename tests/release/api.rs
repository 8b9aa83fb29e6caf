//! A server for fakes of the APIs of forges: JSON in, JSON out, one thread for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::Value;

/// A request as it came.
pub struct Asked {
    pub method: String,
    /// What stands behind the method: a path, or a whole address for a proxy.
    pub target: String,
    /// The lines of the head, with names in small letters.
    pub head: Vec<String>,
    pub body: Value,
}

/// Begins to listen; gives host and port.
pub fn listen(answer: impl Fn(Asked) -> (u16, Value) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || serve(stream, &*answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(Asked) -> (u16, Value)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            let name = name.to_ascii_lowercase();
            if name == "content-length" {
                length = value.trim().parse().unwrap();
            }
            head.push(format!("{name}:{value}"));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut words = first.split(' ').map(str::to_owned);
        let (status, text) = answer(Asked {
            method: words.next().unwrap(),
            target: words.next().unwrap(),
            head,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        });
        let text = text.to_string();
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        if stream
            .write_all(format!("{head}{text}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}
