//! Moves the output of a process from its two pipes into a channel, one chunk at a time.
//! Does not know when to stop.

use super::{Chunk, Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{ChildStderr, ChildStdout},
    sync::mpsc,
};

const CHUNK: usize = 64 * 1024;

/// Both pipes, the chunk that is on its way, and where it goes.
pub(super) struct Pump {
    stdout: Source<ChildStdout>,
    stderr: Source<ChildStderr>,
    pending: Option<Chunk>,
    output: mpsc::Sender<Chunk>,
}

struct Source<R> {
    pipe: Option<R>,
    buffer: Vec<u8>,
}

impl Pump {
    pub(super) fn new(
        (stdout, stderr): (ChildStdout, ChildStderr),
        output: mpsc::Sender<Chunk>,
    ) -> Self {
        Self {
            stdout: Source::new(stdout),
            stderr: Source::new(stderr),
            pending: None,
            output,
        }
    }

    /// Whether both pipes are at their end and everything was handed on.
    pub(super) fn ended(&self) -> bool {
        self.stdout.pipe.is_none() && self.stderr.pipe.is_none() && self.pending.is_none()
    }

    /// Whether a chunk waits for the receiver.
    pub(super) fn is_sending(&self) -> bool {
        self.pending.is_some()
    }

    /// Reads a chunk or hands one on. May be dropped at any time without losing bytes.
    pub(super) async fn step(&mut self) {
        if self.pending.is_some() {
            let permit = self.output.reserve().await;
            let chunk = self.pending.take();
            if let (Ok(permit), Some(chunk)) = (permit, chunk) {
                permit.send(chunk);
            }
            return;
        }
        let (stream, bytes) = tokio::select! {
            bytes = self.stdout.read(), if self.stdout.pipe.is_some() => (Stream::Stdout, bytes),
            bytes = self.stderr.read(), if self.stderr.pipe.is_some() => (Stream::Stderr, bytes),
            else => return,
        };
        self.pending = bytes.map(|bytes| Chunk { stream, bytes });
    }
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn new(pipe: R) -> Self {
        Self {
            pipe: Some(pipe),
            buffer: vec![0; CHUNK],
        }
    }

    async fn read(&mut self) -> Option<Vec<u8>> {
        let pipe = self.pipe.as_mut()?;
        match pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => {
                self.pipe = None;
                None
            }
            Ok(count) => Some(self.buffer[..count].to_vec()),
        }
    }
}
