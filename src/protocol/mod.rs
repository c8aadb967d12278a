//! The wire's vocabulary, as types: what clients say, what the gateway says, and the events that are stored.
//!
//! A leaf: serde and schemars only. It owns names and shapes (`docs/protocol.md`), and knows nothing of sockets, storage or
//! who may do what.

pub mod client;
pub mod event;
pub mod schema;
pub mod search;
pub mod server;

/// The WebSocket subprotocol and the protocol version it stands for.
pub const SUBPROTOCOL: &str = "breakglass.v1";
/// The version in `hello`.
pub const VERSION: u32 = 1;

/// The longest frame a client may send, bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The longest prompt, bytes of UTF-8.
pub const PROMPT_BYTES_MAX: usize = 256 << 10;
/// How many sessions one connection may have attached.
pub const ATTACHED_MAX: usize = 256;
/// The longest event record, bytes (protocol.md section 2).
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// The longest `tool_result` output that is logged, bytes; the middle of a longer one is cut out.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
