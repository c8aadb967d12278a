//! breakglass: the gateway that people open when their infrastructure is on fire.
//!
//! It runs a recovery agent, one process a turn, in a workspace that stays; translates what the agent says into a small,
//! stable vocabulary of events; keeps every session's log on disk; and shows a running turn to everyone attached. This page
//! is the way through the code: first the street that an event travels, then who owns which promise.
//!
//! # The one-way street
//!
//! ```text
//! agent's stdout -> spool file -> translate -> log append (one transaction, fsync) -> head announced
//!                -> each viewer's cursor reads the log from where it stands -> WebSocket or SSE frame
//! ```
//!
//! Three sentences carry the design.
//!
//! 1. **The log is the only queue; a viewer is a cursor.** No queue of events per client exists. A connection remembers the
//!    last seq that it put on the wire ([`ws`]), waits on a watch of the session's durable head ([`hub`]), and reads from its
//!    cursor to the head: recent events from a ring of frames that are encoded once and shared ([`frames`]), older ones from
//!    SQLite. Replay and live are the same loop, so there is no seam between them in which an event could be lost or
//!    doubled, and a slow client costs one integer.
//! 2. **Commit, then announce positions, never payloads.** One thread owns the only write connection and commits whatever has
//!    queued up as one transaction ([`db`]); only after the commit returned is the new head published. Nobody is shown what
//!    a crash could take back.
//! 3. **A turn does not belong to the gateway.** It runs under a supervisor, a process of its own from the same binary
//!    ([`turn::supervisor`]), which hands the agent a regular file for its output and always leaves an exit record. The
//!    gateway follows the file from a byte offset that commits in the same transaction as the events made from those bytes
//!    ([`turn::import`]). `kill -9` of the gateway in the middle of a turn loses nothing, repeats nothing and stops nothing.
//!
//! # The processes
//!
//! ```text
//! breakglass serve ── starts ──> breakglass supervise DIR ── starts ──> breakglass cage ── becomes ──> claude -p …
//!       │                           │ own session, child subreaper         │ dies with the supervisor
//!       └── follows DIR/out <───────┴── DIR/{launch.json, start.json, out, err, lock, exit.json}
//! ```
//!
//! What is on disk is all that gateway and supervisor share. The gateway learns of the supervisor's death from a pidfd, of new
//! output from inotify, and of the end from `exit.json`; it stops a turn with one signal to the supervisor, after the wish
//! to stop is in the log. A supervisor that dies takes the agent with it (parent-death signal), and the gateway sweeps what
//! the agent left behind by a mark in its environment.
//!
//! # Who owns what
//!
//! Each module states its invariant in its first lines. The promises of `docs/protocol.md` section 2 rest on these:
//!
//! | promise | owner |
//! | --- | --- |
//! | bytes in, events out, never an error or a panic | [`agent::translate`] |
//! | each whole line is logged once, with its offset | [`turn::import`] |
//! | one owner of the agent, always an exit record, nothing left alive after a stop | [`turn::supervisor`] |
//! | the agent runs at most once for an accepted prompt | [`turn::claim`], [`turn::run`] |
//! | seqs without a hole, what belongs together commits together | [`log`] |
//! | nothing is signed that does not extend what was signed before | [`sign`] |
//! | what was redacted is gone, and who did it is on record | [`redact`] |
//! | never ahead of what is durable, never back | [`hub`] |
//! | a viewer sees one run of seqs, caught up is said once | [`ws::Cursor`] |
//! | bounded memory for each viewer, a frozen one delays nobody | [`ws`] |
//! | at most one running turn, one `turn_end` for each `user` | [`session`] |
//! | what people did is on record, and recording it makes nobody wait | [`access`] |
//! | what is not a secret stays as the agent said it | [`mask`] |
//! | what is found is in the log as it is now | [`search`] |
//! | nothing is taken away silently, nothing that is held goes | [`keep`] |
//! | a principal exists only behind a credential; doors ask for actions | [`auth`] |
//!
//! # What may use what
//!
//! `ids, clock, protocol, frames, evidence` <- `agent, turn::{spool, …}, db, hub` <- `log, auth` <- `turn::{import, run}, sign, search, redact`
//! <- `keep, session` <- `ws, http` <- `cli`. [`verify`] uses `evidence` and its own read-only connection, so that it can judge the
//! rest. The terminal's own side of the wire, [`client`], uses `ids` and `protocol` alone; the stress
//! program in `stress/` uses nothing of the library, so that it can judge it. Nothing below `ws` and `http` knows HTTP, but for the webhook that [`sign`] can copy checkpoints to; status codes stand in one file; nothing outside [`config`]
//! reads the environment; only [`tasks`] starts tasks. The supervisor and the cage use neither SQLite nor HTTP. The log's
//! face is narrow on purpose (append a batch, read a range, know and follow the head): another store could stand behind it.

pub mod access;
pub mod agent;
pub mod auth;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod db;
pub mod drill;
pub mod evidence;
pub mod frames;
pub mod http;
pub mod hub;
pub mod ids;
pub mod keep;
pub mod log;
pub mod mask;
pub mod presets;
pub mod protocol;
pub mod redact;
pub mod search;
pub mod session;
pub mod sign;
pub mod tasks;
pub mod turn;
pub mod verify;
pub mod wire_error;
pub mod ws;
/// The program and its version, as `hello` says it.
pub const SERVER: &str = concat!("breakglass ", env!("CARGO_PKG_VERSION"));
