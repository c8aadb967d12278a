//! Bytes on their way to one client: whole frames in order, written with as few system calls as it takes.
//!
//! Invariant: frames are never torn, mixed or reordered; what waits is bounded, because whoever fills the outbox asks
//! [`Outbox::has_room`] first. Remembers when the client last took something: that is how a frozen one is known.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// More is not put in while so much waits, bytes. A tunable: one wake-up's batch.
const ROOM_BYTES: usize = 64 << 10;
/// Pieces in one vectored write.
const PIECES_MAX: usize = 64;

pub(super) struct Outbox {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// When the client last took bytes, or when there was last nothing for it to take.
    progress: Instant,
    /// The socket took no more at the last try.
    blocked: bool,
    /// When a blocked socket last took bytes again: proof that the client lives.
    unblocked: Option<Instant>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, progress: Instant::now(), blocked: false, unblocked: None }
    }

    /// Adds whole frames.
    pub(super) fn push(&mut self, frames: Bytes) {
        if frames.is_empty() {
            return;
        }
        if self.waiting.is_empty() {
            self.progress = Instant::now();
        }
        self.bytes += frames.len();
        self.waiting.push_back(frames);
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes < ROOM_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// For how long the client has taken nothing although something waits.
    pub(super) fn stalled_for(&self) -> Duration {
        if self.waiting.is_empty() { Duration::ZERO } else { self.progress.elapsed() }
    }

    /// When the client last showed that it lives, by making room in a socket that was full.
    pub(super) fn last_sign_of_life(&self) -> Option<Instant> {
        self.unblocked
    }

    /// Writes until nothing waits.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let mut count = 0;
            for (piece, bytes) in pieces.iter_mut().zip(&self.waiting) {
                *piece = IoSlice::new(bytes);
                count += 1;
            }
            let written = match Pin::new(&mut *socket).poll_write_vectored(cx, &pieces[..count]) {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    self.blocked = true;
                    return Poll::Pending;
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.progress = Instant::now();
            if std::mem::take(&mut self.blocked) {
                self.unblocked = Some(self.progress);
            }
            self.advance(written);
        }
        Pin::new(socket).poll_flush(cx)
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(front) = self.waiting.front_mut() {
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.waiting.pop_front();
        }
    }
}
