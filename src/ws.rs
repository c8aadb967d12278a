//! Operators and auditors over WebSocket: one connection, many sessions.
//!
//! Invariant: a viewer sees consecutive seqs, none twice; memory for one is bounded; a slow or frozen one delays nobody, and
//! no lock or read transaction is held while a socket is written. Knows nothing of how turns run.

mod attached;
mod conn;
mod cursor;
mod inbound;
mod outbox;
mod pace;
mod requests;
mod upgrade;
mod watching;

pub use conn::{Door, serve};
pub use cursor::Cursor;
pub use upgrade::{Handshake, Refusal, accept};
