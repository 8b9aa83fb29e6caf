//! Whether a release is ready: asked over HTTP, TCP or by a command, from where the target is, until it says so and stays so.
//! Does not know which release it is; what an old one must not be able to answer is in the texts that are looked for.

use std::time::Duration;

use dsl::units::show_duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::driver::Failure;
use super::hands::{Call, Hands};
use crate::container::judge;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of an answer is read.
const MOST: u64 = 1 << 20;

/// How a release is asked whether it is ready, with every value put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The questions; all must be answered well.
    pub asks: Vec<Asked>,
    /// How long to wait for it.
    pub within: Duration,
    /// The time between two tries.
    pub every: Duration,
    /// How long it must stay ready.
    pub stable_for: Duration,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// An HTTP answer of this status with these texts in it.
    Http {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// The texts.
        contains: Vec<String>,
    },
    /// `host:port` that accepts a connection.
    Tcp(String),
    /// A command that succeeds.
    Command(String),
}

impl Readiness {
    /// The same, asked of another address: where `from` stood, `to` does.
    #[must_use]
    pub fn at(&self, from: &str, to: &str) -> Self {
        let other = |text: &String| text.replacen(from, to, 1);
        let asks = self.asks.iter().map(|ask| match ask {
            Asked::Http {
                url,
                status,
                contains,
            } => Asked::Http {
                url: other(url),
                status: *status,
                contains: contains.clone(),
            },
            Asked::Tcp(address) => Asked::Tcp(other(address)),
            Asked::Command(text) => Asked::Command(text.clone()),
        });
        Self {
            asks: asks.collect(),
            ..self.clone()
        }
    }

    /// Waits until it is ready, and has been so for long enough.
    ///
    /// # Errors
    /// Why it is not, or that somebody wants the run to end.
    pub async fn wait(&self, hands: &mut Hands) -> Result<(), Failure> {
        let began = Instant::now();
        let mut since: Option<Instant> = None;
        let mut was_ready = false;
        loop {
            match self.once(hands).await {
                Ok(()) => {
                    was_ready = true;
                    let since = *since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.stable_for {
                        return Ok(());
                    }
                }
                Err(why) if why.refused || stopped(hands) => return Err(why),
                Err(why) => {
                    since = None;
                    let late = began.elapsed() >= self.within;
                    if was_ready && late {
                        return Err(Failure::new(format!(
                            "it was ready, and then not: {}",
                            why.what
                        )));
                    }
                    if late {
                        let within = show_duration(self.within);
                        let text = format!("it was not ready within {within}: {}", why.what);
                        return Err(Failure::new(text).help(
                            "find out why; if it only needs longer, raise `within` of the target's `ready`",
                        ));
                    }
                }
            }
            hands.pause(self.every).await?;
        }
    }

    /// Asks everything once.
    ///
    /// # Errors
    /// What was not answered well.
    pub async fn once(&self, hands: &mut Hands) -> Result<(), Failure> {
        for ask in &self.asks {
            match ask {
                Asked::Command(text) => {
                    let call = Call::shell(text).envs(&hands.said).quiet().within(PATIENCE);
                    let told = hands.ask(call).await?;
                    if told.code != 0 {
                        return Err(Failure::new(format!(
                            "`{}` gave exit {}",
                            Call::shell(text).title(),
                            told.code
                        )));
                    }
                }
                Asked::Tcp(address) => {
                    connect(address, b"", hands).await?;
                }
                Asked::Http {
                    url,
                    status,
                    contains,
                } => {
                    let answer = http(url, hands).await?;
                    judge(&answer, *status, contains).map_err(Failure::new)?;
                }
            }
        }
        Ok(())
    }
}

fn stopped(hands: &Hands) -> bool {
    hands.cancel.is_cancelled() || hands.kill.is_cancelled()
}

/// What stands at an address.
async fn http(url: &str, hands: &mut Hands) -> Result<Vec<u8>, Failure> {
    let Some(rest) = url.strip_prefix("http://") else {
        // TLS is curl's: the certificates that count are those of the host.
        let args = [
            "--silent",
            "--show-error",
            "--max-time",
            "10",
            "--include",
            "--",
            url,
        ];
        let told = hands.ask(Call::new("curl", args).quiet()).await?;
        if told.code != 0 {
            let what = format!("{url} does not answer: {}", told.complaint);
            return Err(Failure::new(what));
        }
        return Ok(told.out.into_bytes());
    };
    let (place, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    if url.chars().any(|c| c.is_control() || c == ' ') {
        return Err(Failure::new(format!(
            "`{}` is no address",
            url.escape_debug()
        )));
    }
    let address = if place
        .rsplit_once(':')
        .is_some_and(|(_, p)| p.parse::<u16>().is_ok())
    {
        place.to_owned()
    } else {
        format!("{place}:80")
    };
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {place}\r\nUser-Agent: pipe\r\nConnection: close\r\n\r\n"
    );
    connect(&address, request.as_bytes(), hands).await
}

/// Says something to `host:port`, as seen from where the target is; gives what it answers.
async fn connect(address: &str, say: &[u8], hands: &mut Hands) -> Result<Vec<u8>, Failure> {
    if let Some(ssh) = hands.ssh.clone() {
        let request = hands.scratch.join("request");
        std::fs::write(&request, say)
            .map_err(|e| Failure::new(format!("{}: {e}", request.display())))?;
        let mut args = ssh.options();
        args.extend(["-W", address, "--", &ssh.address].map(Into::into));
        let call = Call::new("ssh", args)
            .here()
            .quiet()
            .input(&request)
            .within(PATIENCE);
        let told = hands.ask(call).await?;
        if told.code == 255 {
            let closed = told.complaint.contains("open failed");
            return Err(if closed {
                Failure::new(format!("{address} accepts no connection"))
            } else {
                ssh.explain(&told.complaint, hands).await
            });
        }
        return Ok(told.out.into_bytes());
    }
    let asking = async {
        let mut stream = TcpStream::connect(address)
            .await
            .map_err(|_| format!("{address} accepts no connection"))?;
        let mut answer = Vec::new();
        if !say.is_empty() {
            let said = stream.write_all(say).await;
            said.map_err(|e| format!("{address} does not answer: {e}"))?;
            let read = stream.take(MOST).read_to_end(&mut answer).await;
            if read.is_err() && answer.is_empty() {
                return Err(format!("{address} does not answer"));
            }
        }
        Ok(answer)
    };
    let kill = hands.kill.clone();
    let cancel = hands.cancel.clone();
    let asked = tokio::select! {
        asked = timeout(PATIENCE, asking) => asked,
        () = kill.cancelled() => return Err(Failure::new("cancelled")),
        () = cancel.cancelled() => return Err(Failure::new("cancelled")),
    };
    match asked {
        Ok(answer) => answer.map_err(Failure::new),
        Err(_) => Err(Failure::new(format!(
            "{address} did not answer within {}",
            show_duration(PATIENCE)
        ))),
    }
}
