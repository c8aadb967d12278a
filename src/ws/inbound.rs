//! What comes from a client: frames read and checked by tungstenite, which never writes to the socket itself.
//!
//! Invariant: all that tungstenite wants to send (pongs, the answer to a close) is collected here and goes out through the
//! outbox, so that it never falls into the middle of an event frame.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::protocol::FRAME_BYTES_MAX;

/// Clients send little: prompts at most. Kept for as long as a connection lives, and most are idle.
const READ_BUFFER_BYTES: usize = 1 << 10;

/// Any byte stream that a client can be at the other end of.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// Reads from the socket; keeps what is written.
pub(super) struct Inlet<S> {
    pub socket: S,
    /// Read ahead by the HTTP server.
    head: Bytes,
    written: Vec<u8>,
}

impl<S: Socket> AsyncRead for Inlet<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, into);
        }
        let count = self.head.len().min(into.remaining());
        into.put_slice(&self.head[..count]);
        self.head.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Inlet<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The reading side of one connection.
pub(super) struct Inbound<S> {
    frames: WebSocketStream<Inlet<S>>,
}

impl<S: Socket> Inbound<S> {
    /// `head` is what was read of the stream already.
    pub(super) async fn new(socket: S, head: Bytes) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        // A copy: what hyper gives is a view of its whole buffer, which would live as long as the connection.
        let head = Bytes::copy_from_slice(&head);
        let inlet = Inlet { socket, head, written: Vec::new() };
        Self { frames: WebSocketStream::from_raw_socket(inlet, Role::Server, Some(config)).await }
    }

    /// The next message; `None` when the client is gone.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        Pin::new(&mut self.frames).poll_next(cx)
    }

    /// What tungstenite wants to send.
    pub(super) fn take_written(&mut self) -> Bytes {
        std::mem::take(&mut self.frames.get_mut().written).into()
    }

    pub(super) fn socket(&mut self) -> &mut S {
        &mut self.frames.get_mut().socket
    }
}
