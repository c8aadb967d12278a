//! The answer to `GET /api/search` (protocol.md section 4).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{Seq, SessionId, TurnId};

/// A page of hits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename = "search")]
pub struct SearchAnswer {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// How to ask for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many events of the log cannot be found yet: 0 as a rule.
    pub behind: u64,
}

/// An event that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hit {
    /// In which session.
    pub session: SessionId,
    /// What people call that.
    pub title: String,
    /// Its place in the session's log.
    pub seq: Seq,
    /// The turn that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// When it was logged: UTC, RFC 3339, milliseconds.
    pub time: String,
    /// What kind of event it is.
    pub kind: String,
    /// Who said it; of what an agent said or did: who had asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// A part of its text.
    pub snippet: Vec<Piece>,
}

/// A part of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Piece {
    /// As it stands in the log, blanks and newlines joined to one blank. Not made harmless for any screen.
    pub text: String,
    /// Set where it is what was looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hit: bool,
}
