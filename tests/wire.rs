//! The wire, word for word: WebSocket, REST and server-sent events against `docs/protocol.md`.

mod access;
mod attach;
mod errors;
mod handshake;
mod requests;
mod rest;
mod sse;
mod transcript;
mod watch;
