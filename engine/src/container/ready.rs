//! Whether services are ready: asked from within the job's container, where their names mean something, or by a command
//! in their own.

use std::net::Ipv4Addr;
use std::time::Duration;

use bollard::exec::CreateExecOptions;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::room::Room;
use super::service::{Beside, Probe};
use super::{Engine, Trouble};

/// How much of an answer is read.
const MOST: usize = 1 << 20;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Tcp {
        host: String,
        port: u16,
    },
    Http {
        host: String,
        port: u16,
        path: String,
        status: u16,
        contains: Vec<String>,
    },
    Command(String),
}

impl Probe {
    /// A probe without questions.
    #[must_use]
    pub fn new(within: Duration, every: Duration, stable_for: Duration) -> Self {
        Self {
            questions: Vec::new(),
            within,
            every,
            stable_for,
        }
    }

    /// Asks for a connection to `host:port`.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn tcp(&mut self, address: &str) -> Result<(), String> {
        let (host, port) = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
            .ok_or_else(|| format!("`{address}` is not `host:port`"))?;
        self.questions.push(Question::Tcp { host, port });
        Ok(())
    }

    /// Asks for an answer of this status, with these texts in it.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn http(&mut self, url: &str, status: u16, contains: Vec<String>) -> Result<(), String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            format!("`{url}` does not begin with http://; a service is asked without TLS")
        })?;
        let (place, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match place.rsplit_once(':') {
            None => (place, 80),
            Some((host, port)) => (
                host,
                port.parse().map_err(|_| format!("`{port}` is no port"))?,
            ),
        };
        self.questions.push(Question::Http {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            status,
            contains,
        });
        Ok(())
    }

    /// Asks for a command's success.
    pub fn command(&mut self, text: &str) {
        self.questions.push(Question::Command(text.to_owned()));
    }
}

/// What the program inside reads: a socket address and a request.
pub(super) fn question(address: Ipv4Addr, port: u16, request: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0];
    bytes.extend(port.to_be_bytes());
    bytes.extend(address.octets());
    bytes.resize(16, 0);
    bytes.extend(request);
    bytes
}

impl Room<'_> {
    /// Waits for all services.
    pub(super) async fn until_ready(&self, say: &(dyn Fn(String) + Sync)) -> Result<(), Trouble> {
        let waits = self.beside.iter().enumerate();
        try_join_all(waits.map(|(at, beside)| self.until_one_is_ready(at, beside, say)))
            .await
            .map(|_| ())
    }

    async fn until_one_is_ready(
        &self,
        at: usize,
        beside: &Beside,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<(), Trouble> {
        let name = &beside.service.name;
        let Some(probe) = &beside.service.ready else {
            return Ok(());
        };
        let began = Instant::now();
        let mut since = None;
        loop {
            let answer = self.all_well(at, beside, probe).await?;
            match answer {
                Ok(()) => {
                    let since = *since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= probe.stable_for {
                        say(format!("service {name} is ready"));
                        return Ok(());
                    }
                }
                Err(why) => {
                    since = None;
                    let state = self.engine.state(&beside.container).await?;
                    if !state.is_running {
                        self.show_log(beside, say).await;
                        return Err(Trouble::new(format!(
                            "service {name} ended with exit {} before it was ready",
                            state.exit
                        ))
                        .help("its log is above"));
                    }
                    if began.elapsed() >= probe.within {
                        self.show_log(beside, say).await;
                        let within = dsl::units::show_duration(probe.within);
                        return Err(Trouble::new(format!(
                            "service {name} was not ready within {within}: {why}"
                        ))
                        .help("its log is above; `within` gives it more time"));
                    }
                }
            }
            sleep(probe.every).await;
        }
    }

    /// Shows the logs of services that have ended, as that may be why the job failed.
    pub async fn show_ended(&self, say: &(dyn Fn(String) + Sync)) {
        for beside in &self.beside {
            let state = self.engine.state(&beside.container).await;
            if state.is_ok_and(|s| !s.is_running) {
                say(format!("service {} has ended", beside.service.name));
                self.show_log(beside, say).await;
            }
        }
    }

    async fn show_log(&self, beside: &Beside, say: &(dyn Fn(String) + Sync)) {
        for line in self.engine.log_of(&beside.container).await {
            say(format!("{} | {line}", beside.service.name));
        }
    }

    /// Whether every question is answered well; otherwise why not.
    async fn all_well(
        &self,
        at: usize,
        beside: &Beside,
        probe: &Probe,
    ) -> Result<Result<(), String>, Trouble> {
        for question in &probe.questions {
            if let Err(why) = self.is_well(at, beside, question).await? {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    async fn is_well(
        &self,
        at: usize,
        beside: &Beside,
        asked: &Question,
    ) -> Result<Result<(), String>, Trouble> {
        let address = |host: &str| {
            let named = self.beside.iter().find(|b| b.service.name == host);
            let named = named.and_then(|b| b.address);
            named.or_else(|| host.parse().ok()).or(match host {
                "localhost" => beside.address,
                _ => None,
            })
        };
        match asked {
            Question::Command(text) => {
                let sh = ["sh", "-c", text].map(str::to_owned);
                let answer = self.engine.answer(&beside.container, &sh).await;
                Ok(match answer {
                    Ok((0, _)) => Ok(()),
                    Ok((code, _)) => Err(format!("`{text}` gave exit {code}")),
                    // A container that has ended is looked at by the caller.
                    Err(trouble) if matches!(trouble.status, Some(404 | 409 | 500)) => {
                        Err(trouble.what)
                    }
                    Err(trouble) => return Err(trouble),
                })
            }
            Question::Tcp { host, port } => match address(host) {
                None => Ok(Err(format!("no service is called {host}"))),
                Some(ip) => {
                    let (code, _) = self.probe(at, &question(ip, *port, b"")).await?;
                    Ok(match code {
                        0 => Ok(()),
                        _ => Err(format!("{host}:{port} accepts no connection")),
                    })
                }
            },
            Question::Http {
                host,
                port,
                path,
                status,
                contains,
            } => {
                let Some(ip) = address(host) else {
                    return Ok(Err(format!("no service is called {host}")));
                };
                let request = format!(
                    "GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nUser-Agent: pipe\r\nConnection: close\r\n\r\n"
                );
                let (code, answer) = self
                    .probe(at, &question(ip, *port, request.as_bytes()))
                    .await?;
                if code != 0 {
                    return Ok(Err(format!("{host}:{port} does not answer")));
                }
                Ok(judge(&answer, *status, contains))
            }
        }
    }

    async fn probe(&self, at: usize, ask: &[u8]) -> Result<(i64, Vec<u8>), Trouble> {
        let (Some((program, file)), Some(job)) = (self.prober(at), &self.job) else {
            return Err(Trouble::new("its services cannot be asked"));
        };
        std::fs::write(&file, ask)
            .map_err(|e| Trouble::new(format!("its services cannot be asked: {e}")))?;
        let text = |p: &std::path::Path| p.to_string_lossy().into_owned();
        let words = [text(&program), "probe".to_owned(), text(&file)];
        self.engine.answer(job, &words).await
    }
}

/// Whether an HTTP answer is the one that is waited for.
///
/// # Errors
/// Why not, as a sentence part.
pub(crate) fn judge(answer: &[u8], status: u16, contains: &[String]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let got = text
        .strip_prefix("HTTP/")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .unwrap_or("no HTTP");
    if got != status.to_string() {
        return Err(format!("it answers {got} instead of {status}"));
    }
    match contains.iter().find(|part| !text.contains(part.as_str())) {
        Some(part) => Err(format!("its answer does not contain `{part}`")),
        None => Ok(()),
    }
}

impl Engine {
    /// Runs a short command in a container; gives its exit code and what it printed.
    async fn answer(&self, container: &str, words: &[String]) -> Result<(i64, Vec<u8>), Trouble> {
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(words.to_vec()),
            ..CreateExecOptions::default()
        };
        let (id, mut stream) = self.start_command(container, options).await?;
        let mut bytes = Vec::new();
        let reading = async {
            while let Some(Ok(output)) = stream.next().await {
                let room = MOST.saturating_sub(bytes.len());
                let piece = output.into_bytes();
                bytes.extend_from_slice(&piece[..piece.len().min(room)]);
            }
        };
        if tokio::time::timeout(self.patience, reading).await.is_err() {
            return Err(Trouble::silent("a service cannot be asked", self.patience));
        }
        // The end of the output comes a little before the exit code.
        for _ in 0..50 {
            if let Some(code) = self.code_of(&id).await? {
                return Ok((code, bytes));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok((1, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn an_answer_is_right_in_its_status_and_in_its_text() {
        let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nversion 2";
        let judged = |status, part: &str| judge(answer, status, &[part.to_owned()]);
        assert_eq!(judged(200, "version 2"), Ok(()));
        assert_eq!(
            judged(200, "version 3"),
            Err("its answer does not contain `version 3`".to_owned())
        );
        assert_eq!(
            judged(204, "version 2"),
            Err("it answers 200 instead of 204".to_owned())
        );
        assert_eq!(
            judge(b"SSH-2.0", 200, &[]),
            Err("it answers no HTTP instead of 200".to_owned())
        );
    }
}
