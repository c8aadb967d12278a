//! What the gateway says: frames, errors, close codes (protocol.md sections 3 and 4).
//!
//! Event frames are not here: they are the stored record's own bytes behind a fixed beginning, never built from a type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::RequestId;
use super::event::Outcome;
use crate::ids::{Epoch, Seq, SessionId, TurnId};

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May list, attach and read.
    Viewer,
    /// May also export and read the access record.
    Auditor,
    /// May also create, prompt, cancel and rename.
    Operator,
}

/// A session's summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionState {
    /// Its id.
    pub session: SessionId,
    /// What people call it.
    pub title: String,
    /// When it was made: UTC, RFC 3339, milliseconds.
    pub created: String,
    /// Who made it.
    pub created_by: String,
    /// Which agent works in it.
    pub agent: String,
    /// The model for turns that do not name one.
    pub model: String,
    /// Whether the agent has opened its conversation.
    pub started: bool,
    /// The seq of its newest durable event; 0 for none.
    pub head: Seq,
    /// When something last happened in it.
    pub last_activity: String,
    /// The running turn.
    pub turn: Option<RunningTurn>,
    /// How its last finished turn ended; absent before the first has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// How many connections have it attached.
    pub viewers: u64,
    /// Whether it was put away.
    pub archived: bool,
}

/// A turn that runs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunningTurn {
    /// Its id.
    pub turn: TurnId,
    /// Who asked.
    pub by: String,
    /// Since when.
    pub since: String,
}

/// What a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// The longest frame, bytes.
    pub max_frame: usize,
    /// The longest prompt, bytes of UTF-8.
    pub max_prompt: usize,
    /// How many sessions one connection may have attached.
    pub max_attached: usize,
}

/// An agent that sessions can choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentInfo {
    /// Its name.
    pub name: String,
    /// Whether its program is on this machine.
    pub available: bool,
}

/// Some of those who are attached to a session: one entry for each name and role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Viewer {
    /// Who.
    pub name: String,
    /// As what.
    pub role: Role,
    /// With how many connections.
    pub connections: u64,
}

/// The answer to an accepted prompt. Also the body of `POST /api/sessions/{id}/prompts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// In which session.
    pub session: SessionId,
    /// The turn that it opened.
    pub turn: TurnId,
    /// The seq of its `user` event.
    pub seq: Seq,
    /// Whether the key had been accepted before, so that nothing was started.
    pub duplicate: bool,
}

/// A frame from the gateway, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Frame {
    /// The first frame of a connection.
    Hello {
        /// Protocol version.
        protocol: u32,
        /// Program and version.
        server: String,
        /// This incarnation of the log.
        epoch: Epoch,
        /// Who the client is.
        name: String,
        /// As what.
        role: Role,
        /// What it may send.
        limits: Limits,
        /// The agents that sessions can choose.
        agents: Vec<AgentInfo>,
    },
    /// A session is being shown.
    Attached {
        /// Which.
        session: SessionId,
        /// This incarnation of the log.
        epoch: Epoch,
        /// The newest durable event now.
        head: Seq,
        /// The first seq that will come.
        from: Seq,
        /// The session's summary.
        state: SessionState,
    },
    /// A session is no longer shown.
    Detached {
        /// Which.
        session: SessionId,
    },
    /// A session was made, or was there already with the same values.
    Created {
        /// Which.
        session: SessionId,
        /// Its summary.
        state: SessionState,
    },
    /// A prompt is in the log.
    Accepted(Accepted),
    /// The stop is in the log, and the agent is being stopped.
    Cancelling {
        /// Where.
        session: SessionId,
        /// Which turn.
        turn: TurnId,
    },
    /// The list of sessions follows.
    Watching {},
    /// The whole list has been sent; what follows are changes.
    WatchingLive {},
    /// The list is no longer followed.
    Unwatched {},
    /// The answer to `ping`.
    Pong {},
    /// All that was in the log when the client attached has been sent.
    CaughtUp {
        /// Where.
        session: SessionId,
        /// The last seq sent.
        seq: Seq,
    },
    /// The gateway is about to restart.
    Restarting {
        /// When to come back, milliseconds from now.
        reconnect_ms: u64,
    },
    /// A session changed; to watchers.
    Session {
        /// Its summary.
        state: SessionState,
    },
    /// Who is attached changed; to those attached.
    Presence {
        /// Where.
        session: SessionId,
        /// Who is attached now.
        viewers: Vec<Viewer>,
    },
    /// A request failed; the connection stays open.
    Error(ErrorBody),
}

/// A frame with the id of the request that it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// The frame.
    #[serde(flatten)]
    pub frame: Frame,
    /// The request's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not JSON, unknown type, wrong field.
    BadRequest,
    /// No such session, turn or page.
    NotFound,
    /// No credentials, or none that count (HTTP only).
    Unauthorized,
    /// The role may not, or the origin may not.
    Forbidden,
    /// A turn is running.
    Busy,
    /// Too many turns at once.
    AtCapacity,
    /// The key or the session id was used for something else; or nothing to cancel.
    Conflict,
    /// What the client remembers is of another log.
    EpochChanged,
    /// Frame, prompt or body too big, or too many of them.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// The log cannot be written; nothing was accepted.
    Unavailable,
    /// The agent's program is not installed.
    NoAgent,
    /// A fault of the gateway's own.
    Internal,
}

/// An error, with the fields that its code brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What kind.
    pub code: ErrorCode,
    /// What was wrong, where, and what to do.
    pub message: String,
    /// `busy`: the running turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// `busy`: who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// `busy`: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// `epoch_changed`: this log's epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// `epoch_changed`: this log's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Seq>,
    /// `rate_limited`: how long to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl ErrorBody {
    /// An error without further fields.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, turn: None, by: None, since: None, epoch: None, head: None, retry_after_ms: None }
    }
}

/// Why the gateway ends a connection (protocol.md section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// A binary frame came.
    Binary,
    /// A text frame was not UTF-8.
    NotUtf8,
    /// A frame was too big.
    TooBig,
    /// The gateway failed.
    Internal,
    /// The gateway restarts.
    Restarting,
    /// The credentials expired or were revoked.
    Revoked,
    /// Nothing came from the client for 60 s.
    Silent,
    /// The client took nothing for 30 s.
    Stalled,
    /// Too many requests.
    TooMany,
}

impl CloseCode {
    /// The code on the wire (RFC 6455 section 7.4, and the private range).
    pub const fn code(self) -> u16 {
        match self {
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Restarting => 1012,
            Self::Revoked => 4401,
            Self::Silent => 4408,
            Self::Stalled => 4410,
            Self::TooMany => 4429,
        }
    }
}
