//! From a thread that writes to a client that reads: a few pieces at a time.
//!
//! Invariant: a client that is slow makes the writer wait, and one that stands still ends it; what broke off is seen as
//! broken off.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// One piece, bytes.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for the client.
const PIECES_WAITING: usize = 4;
/// A client that takes nothing for so long has gone.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) type Piece = Result<Bytes, io::Error>;

/// The writer's end. Only on a thread that may block.
#[derive(Clone)]
pub(super) struct Pipe {
    pieces: mpsc::Sender<Piece>,
    runtime: Handle,
    buffer: Vec<u8>,
}

impl Pipe {
    pub(super) fn new() -> (Self, mpsc::Receiver<Piece>) {
        let (pieces, taken) = mpsc::channel(PIECES_WAITING);
        (Self { pieces, runtime: Handle::current(), buffer: Vec::new() }, taken)
    }

    /// The client sees the stream break here, whatever is written afterwards.
    pub(super) fn break_off(&self, error: io::Error) {
        // A client that has gone sees nothing.
        let _gone = self.send(Err(error));
    }

    fn send(&self, piece: Piece) -> io::Result<()> {
        let sent = self.runtime.block_on(tokio::time::timeout(STALL_TIMEOUT, self.pieces.send(piece)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.buffer);
        self.send(Ok(piece.into()))
    }
}
