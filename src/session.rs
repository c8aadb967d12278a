//! Sessions that somebody uses now: one actor each, found through a registry.
//!
//! Invariant: at most one running turn a session; every `user` event is followed by exactly one `turn_end`. All changes of a
//! session's turn go through its actor, one after another; the log holds the truth, and what is here can be lost at any
//! moment and rebuilt from it. Knows nothing of HTTP or sockets.

mod actor;
mod presence;
mod registry;
mod state;
mod used;

pub use presence::{PresenceGuard, Present};
pub use registry::{Claim, Deps, Live, Numbers, Sessions};

use crate::agent::{UnknownAgent, command::NoAgent};
use crate::ids::{SessionId, TurnId};
use crate::log::LogError;
use crate::protocol::server::RunningTurn;
use crate::turn::spool::SpoolError;

/// No session with that id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no session `{0}`")]
pub struct NoSession(pub SessionId);

/// Why a session was not found.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not exist.
    #[error(transparent)]
    Missing(#[from] NoSession),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why the turns of an earlier gateway were not taken up.
#[derive(Debug, thiserror::Error)]
pub enum TakeUpError {
    /// They cannot be found.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// One of them is of a newer program.
    #[error(transparent)]
    Newer(#[from] SpoolError),
}

/// Why a session was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A field that cannot be used.
    #[error("`{field}`: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No such agent.
    #[error("`agent`: {0}")]
    Agent(#[from] UnknownAgent),
    /// There is one with that id and other values.
    #[error("session `{0}` exists with another title, agent or model; choose another id, or leave the id out")]
    Conflict(SessionId),
    /// There was one with that id.
    #[error("session `{0}` was removed when its time was over; choose another id, or leave the id out")]
    Removed(SessionId),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why a prompt was not accepted. Nothing of it is in the log then.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The prompt or its model cannot be used.
    #[error("`{field}`: {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The prompt is too long.
    #[error("`text`: {bytes} bytes are more than the {max} that a prompt may have")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// A turn runs.
    #[error("{by}'s turn is running since {since}; wait for its end or stop it", by = .0.by, since = .0.since)]
    Busy(RunningTurn),
    /// Too many turns run in all sessions together.
    #[error("{0} turns run already, the most that this gateway allows; wait for one to end")]
    AtCapacity(usize),
    /// The key was used for something else.
    #[error("`key`: was used for another prompt; make a new one")]
    KeyConflict,
    /// The agent's program is not here.
    #[error(transparent)]
    NoAgent(#[from] NoAgent),
    /// The session's agent is not one that this program knows.
    #[error(transparent)]
    UnknownAgent(#[from] UnknownAgent),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The gateway is stopping.
    #[error("the gateway is stopping; send the prompt again, with the same key, when it is back")]
    Stopping,
}

/// Why nothing was stopped.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// Nothing runs.
    #[error("no turn is running")]
    Idle,
    /// Another turn runs.
    #[error("turn `{asked}` is not running; the running one is `{running}`")]
    Other {
        /// The one that was to be stopped.
        asked: TurnId,
        /// The one that runs.
        running: TurnId,
    },
    /// The log failed. (One that is only full takes the stop later: it is carried out first.)
    #[error(transparent)]
    Log(#[from] LogError),
    /// The gateway is stopping.
    #[error("the gateway is stopping; ask again when it is back")]
    Stopping,
}
