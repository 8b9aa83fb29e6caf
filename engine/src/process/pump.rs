//! Moves the output of a process from its two pipes into a channel, one chunk at a time.
//! Does not know when to stop.

use super::{Chunk, Stream};
use rustix::io::ioctl_fionbio;
use std::{
    io::{self, ErrorKind},
    os::fd::OwnedFd,
};
use tokio::{net::unix::pipe::Receiver, sync::mpsc};

const CHUNK: usize = 64 * 1024;

/// Both pipes, the chunk that is on its way, and where it goes.
pub(super) struct Pump {
    stdout: Source,
    stderr: Source,
    pending: Option<Chunk>,
    output: mpsc::Sender<Chunk>,
}

/// A pipe until its end, and room to read into, which is made when there is something to read.
struct Source {
    pipe: Option<Receiver>,
    buffer: Vec<u8>,
}

impl Pump {
    pub(super) fn new(
        (stdout, stderr): (OwnedFd, OwnedFd),
        output: mpsc::Sender<Chunk>,
    ) -> io::Result<Self> {
        Ok(Self {
            stdout: Source::new(stdout)?,
            stderr: Source::new(stderr)?,
            pending: None,
            output,
        })
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

impl Source {
    fn new(pipe: OwnedFd) -> io::Result<Self> {
        ioctl_fionbio(&pipe, true)?;
        Ok(Self {
            pipe: Some(Receiver::from_owned_fd_unchecked(pipe)?),
            buffer: Vec::new(),
        })
    }

    async fn read(&mut self) -> Option<Vec<u8>> {
        while let Some(pipe) = &self.pipe {
            if pipe.readable().await.is_err() {
                break;
            }
            self.buffer.reserve(CHUNK);
            match pipe.try_read_buf(&mut self.buffer) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Ok(0) | Err(_) => break,
                Ok(_) => return Some(self.take()),
            }
        }
        self.pipe = None;
        self.buffer = Vec::new();
        None
    }

    /// What was read, in no more memory than it needs.
    fn take(&mut self) -> Vec<u8> {
        if self.buffer.len() > CHUNK / 2 {
            return std::mem::take(&mut self.buffer);
        }
        let bytes = self.buffer.clone();
        self.buffer.clear();
        bytes
    }
}
