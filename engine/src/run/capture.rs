//! A step's output on its way: masked bytes into its log, clean lines to whoever listens.

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::work::{News, Site};
use crate::output::{Chain, Sink};
use crate::process::{Chunk, Stream};
use crate::record::LogFile;

/// Lines that are told at once at most.
const LINES_AT_ONCE: usize = 256;

/// Takes the output of all commands of a step.
pub(super) struct Capture {
    to: mpsc::Sender<Parcel>,
    chunks: mpsc::Sender<Chunk>,
    forward: JoinHandle<()>,
    writer: JoinHandle<Option<String>>,
}

enum Parcel {
    Chunk(Chunk),
    /// Everything before this has been written and told.
    Settle(oneshot::Sender<()>),
}

impl Capture {
    /// Starts to take output. Few parcels are in flight: whoever cannot be told holds the step back.
    pub(super) fn start(site: &Site) -> Self {
        let (to, parcels) = mpsc::channel(4);
        let (chunks, mut from) = mpsc::channel(4);
        let forward_to = to.clone();
        let forward = tokio::spawn(async move {
            while let Some(chunk) = from.recv().await {
                if forward_to.send(Parcel::Chunk(chunk)).await.is_err() {
                    break;
                }
            }
        });
        let writer = tokio::spawn(write(site.clone(), parcels));
        Self { to, chunks, forward, writer }
    }

    /// Where a process sends what it writes.
    pub(super) fn sender(&self) -> mpsc::Sender<Chunk> {
        self.chunks.clone()
    }

    /// Waits until all that was sent so far is in the log.
    pub(super) async fn settle(&self) {
        // The forwarder is in line before this parcel only for what it has taken already.
        while self.chunks.capacity() < self.chunks.max_capacity() {
            tokio::task::yield_now().await;
        }
        let (done, settled) = oneshot::channel();
        if self.to.send(Parcel::Settle(done)).await.is_ok() {
            let _ = settled.await;
        }
    }

    /// Ends it; gives what went wrong with the log.
    pub(super) async fn finish(self) -> Option<String> {
        drop(self.chunks);
        let _ = self.forward.await;
        drop(self.to);
        self.writer.await.unwrap_or_else(|e| Some(format!("its output was lost: {e}")))
    }
}

struct Split {
    log: Option<LogFile>,
    lines: Vec<String>,
}

impl Sink for Split {
    fn bytes(&mut self, masked: &[u8]) {
        if let Some(log) = &mut self.log {
            log.write(masked);
        }
    }

    fn line(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }
}

async fn write(site: Site, mut parcels: mpsc::Receiver<Parcel>) -> Option<String> {
    let mut split = Split {
        log: site.log.clone().map(LogFile::at),
        lines: Vec::new(),
    };
    let mut out = Chain::new(&site.masker, site.outer);
    let mut err = Chain::new(&site.masker, site.outer);
    while let Some(parcel) = parcels.recv().await {
        match parcel {
            Parcel::Chunk(Chunk { stream: Stream::Stdout, bytes }) => out.feed(&bytes, &mut split),
            Parcel::Chunk(Chunk { stream: Stream::Stderr, bytes }) => err.feed(&bytes, &mut split),
            Parcel::Settle(done) => {
                for chain in [&mut out, &mut err] {
                    let whole = std::mem::replace(chain, Chain::new(&site.masker, site.outer));
                    finish(whole, &mut split);
                }
                tell(&site, &mut split).await;
                let _ = done.send(());
            }
        }
        tell(&site, &mut split).await;
    }
    finish(out, &mut split);
    finish(err, &mut split);
    tell(&site, &mut split).await;
    split.log.and_then(LogFile::finish)
}

fn finish(mut chain: Chain, split: &mut Split) {
    chain.finish(split);
}

async fn tell(site: &Site, split: &mut Split) {
    let lines = std::mem::take(&mut split.lines);
    for part in lines.chunks(LINES_AT_ONCE) {
        let news = News::Lines {
            vertex: site.vertex,
            lines: part.to_vec(),
        };
        if site.news.send(news).await.is_err() {
            return;
        }
    }
}
