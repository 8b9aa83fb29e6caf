//! A step's output on its way: masked bytes into its log, clean lines to whoever listens.

use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::work::{News, Site};
use crate::output::{Chain, Sink};
use crate::process::{Chunk, Stream};
use crate::record::LogFile;

/// Lines that are told at once at most.
const LINES_AT_ONCE: usize = 256;

/// How much of an old log is read at once.
const PIECE: usize = 64 << 10;

/// Takes the output of a step's commands, one after the other.
pub(super) struct Capture {
    split: Split,
}

/// Where the two products of the writer chain go.
struct Split {
    log: Option<LogFile>,
    /// Lines that are not told yet, in portions.
    lines: Vec<Vec<String>>,
}

impl Sink for Split {
    fn bytes(&mut self, masked: &[u8]) {
        if let Some(log) = &mut self.log {
            log.write(masked);
        }
    }

    fn line(&mut self, line: &str) {
        match self.lines.last_mut() {
            Some(portion) if portion.len() < LINES_AT_ONCE => portion.push(line.to_owned()),
            _ => self.lines.push(vec![line.to_owned()]),
        }
    }
}

impl Capture {
    /// Begins with the step's log, which is made when there is something to write.
    pub(super) fn new(site: &Site) -> Self {
        Self {
            split: Split {
                log: site.log.clone().map(LogFile::at),
                lines: Vec::new(),
            },
        }
    }

    /// Takes all output of one command. Whoever cannot be told holds the command back.
    pub(super) async fn take(&mut self, site: &Site, mut chunks: mpsc::Receiver<Chunk>) {
        let mut out = Chain::new(&site.masker, site.outer);
        let mut err = Chain::new(&site.masker, site.outer);
        while let Some(chunk) = chunks.recv().await {
            let chain = match chunk.stream {
                Stream::Stdout => &mut out,
                Stream::Stderr => &mut err,
            };
            chain.feed(&chunk.bytes, &mut self.split);
            self.tell(site).await;
        }
        out.finish(&mut self.split);
        err.finish(&mut self.split);
        self.tell(site).await;
    }

    /// Takes lines that pipe itself writes.
    pub(super) async fn say(&mut self, site: &Site, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let mut chain = Chain::new(&site.masker, site.outer);
        chain.feed((lines.join("\n") + "\n").as_bytes(), &mut self.split);
        chain.finish(&mut self.split);
        self.tell(site).await;
    }

    /// Takes what an earlier run of the step wrote, for the log of this one; gives its lines.
    pub(super) fn again(&mut self, site: &Site, log: &[u8]) -> Vec<String> {
        let mut chain = Chain::new(&site.masker, site.outer);
        chain.feed(log, &mut self.split);
        chain.finish(&mut self.split);
        std::mem::take(&mut self.split.lines).concat()
    }

    /// Takes what an earlier run of the step wrote, piece by piece, and tells it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn replay(&mut self, site: &Site, log: &Path) -> std::io::Result<()> {
        let mut chain = Chain::new(&site.masker, site.outer);
        let mut file = tokio::fs::File::open(log).await?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece).await?;
            if length == 0 {
                break;
            }
            chain.feed(&piece[..length], &mut self.split);
            self.tell(site).await;
        }
        chain.finish(&mut self.split);
        self.tell(site).await;
        Ok(())
    }

    /// Ends the log; gives what went wrong with it.
    pub(super) fn finish(self) -> Option<String> {
        self.split.log.and_then(LogFile::finish)
    }

    async fn tell(&mut self, site: &Site) {
        for lines in std::mem::take(&mut self.split.lines) {
            let vertex = site.vertex;
            if site.news.send(News::Lines { vertex, lines }).await.is_err() {
                return;
            }
        }
    }
}
