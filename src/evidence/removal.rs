//! What is signed when a session is removed because its time is over: the head of its tree, under an origin of its own, so
//! that nobody takes it for a checkpoint of the session, or the other way round.

use super::checkpoint::Checkpoint;
use super::tree::Frontier;
use crate::clock::WallMs;
use crate::ids::SessionId;

/// Why a session went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was too old.
    Age,
    /// There was too much.
    Size,
}

impl Cause {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
        }
    }
}

/// What the origins of removals begin with under a gateway's name, before the session's id.
pub fn prefix(gateway: &str) -> String {
    format!("{gateway}/removed/")
}

/// The origin of a session's removal, under a gateway's name.
pub fn origin(gateway: &str, session: SessionId) -> String {
    format!("{}{session}", prefix(gateway))
}

/// The text of the note: the tree as it was, when it went, and why.
pub fn text(gateway: &str, session: SessionId, tree: &Frontier, time: WallMs, cause: Cause) -> String {
    let head = Checkpoint::of(origin(gateway, session), tree).text();
    format!("{head}time {}\nreason {}\n", time.rfc3339(), cause.as_str())
}
