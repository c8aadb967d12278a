//! How the gateway's own errors look to clients: one code each, the same over WebSocket and HTTP.
//!
//! Knows nothing of status codes; those are in `http/error.rs`.

use crate::auth::{AuthError, Forbidden};
use crate::db::WriteError;
use crate::ids::{Epoch, Seq};
use crate::log::LogError;
use crate::protocol::client::Refused;
use crate::protocol::server::{ErrorBody, ErrorCode};
use crate::search::{BadQuery, SearchError};
use crate::session::{CancelError, CreateError, NoSession, OpenError, PromptError};

/// What a client is told when the fault is ours: the log line has the rest.
fn internal(error: &dyn std::fmt::Display) -> ErrorBody {
    tracing::error!(%error, "a request failed");
    ErrorBody::new(ErrorCode::Internal, "the gateway failed; its log says why")
}

impl From<Refused> for ErrorBody {
    fn from(error: Refused) -> Self {
        Self::new(ErrorCode::BadRequest, error.message)
    }
}

impl From<Forbidden> for ErrorBody {
    fn from(error: Forbidden) -> Self {
        Self::new(ErrorCode::Forbidden, error.to_string())
    }
}

impl From<NoSession> for ErrorBody {
    fn from(error: NoSession) -> Self {
        Self::new(ErrorCode::NotFound, error.to_string())
    }
}

impl From<WriteError> for ErrorBody {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Failed { .. } => internal(&error),
            WriteError::Unavailable { .. } | WriteError::InDoubt { .. } | WriteError::Closed => {
                Self::new(ErrorCode::Unavailable, error.to_string())
            }
        }
    }
}

impl From<LogError> for ErrorBody {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Write(error) => error.into(),
            LogError::Read(error) => internal(&error),
        }
    }
}

impl From<AuthError> for ErrorBody {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Write(error) => error.into(),
            AuthError::Read(error) => internal(&error),
        }
    }
}

impl From<OpenError> for ErrorBody {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Missing(missing) => missing.into(),
            OpenError::Log(error) => error.into(),
        }
    }
}

impl From<CreateError> for ErrorBody {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Log(error) => error.into(),
            CreateError::Conflict(_) | CreateError::Removed(_) => Self::new(ErrorCode::Conflict, error.to_string()),
            CreateError::Field { .. } | CreateError::Agent(_) => Self::new(ErrorCode::BadRequest, error.to_string()),
        }
    }
}

impl From<PromptError> for ErrorBody {
    fn from(error: PromptError) -> Self {
        let message = error.to_string();
        match error {
            PromptError::Field { .. } => Self::new(ErrorCode::BadRequest, message),
            PromptError::TooLarge { .. } => Self::new(ErrorCode::TooLarge, message),
            PromptError::Busy(running) => Self {
                turn: Some(running.turn),
                by: Some(running.by),
                since: Some(running.since),
                ..Self::new(ErrorCode::Busy, message)
            },
            PromptError::AtCapacity(_) => Self::new(ErrorCode::AtCapacity, message),
            PromptError::KeyConflict => Self::new(ErrorCode::Conflict, message),
            PromptError::NoAgent(_) | PromptError::UnknownAgent(_) => Self::new(ErrorCode::NoAgent, message),
            PromptError::Log(error) => error.into(),
            PromptError::Stopping => Self::new(ErrorCode::Unavailable, message),
        }
    }
}

impl From<CancelError> for ErrorBody {
    fn from(error: CancelError) -> Self {
        let message = error.to_string();
        match error {
            CancelError::Idle | CancelError::Other { .. } => Self::new(ErrorCode::Conflict, message),
            CancelError::Log(error) => error.into(),
            CancelError::Stopping => Self::new(ErrorCode::Unavailable, message),
        }
    }
}

impl From<BadQuery> for ErrorBody {
    fn from(error: BadQuery) -> Self {
        Self::new(ErrorCode::BadRequest, error.to_string())
    }
}

impl From<SearchError> for ErrorBody {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::NoSession(_) => Self::new(ErrorCode::NotFound, error.to_string()),
            SearchError::TooLong | SearchError::NotReady | SearchError::Stopping => {
                Self::new(ErrorCode::Unavailable, error.to_string())
            }
            SearchError::Open(_) | SearchError::Log(_) | SearchError::Index(_) => internal(&error),
        }
    }
}

/// What a client remembers is of another log, or of more than there is.
pub fn epoch_changed(epoch: Epoch, head: Seq) -> ErrorBody {
    let message = "what you have is not of this log: drop it and attach from 0";
    ErrorBody { epoch: Some(epoch), head: Some(head), ..ErrorBody::new(ErrorCode::EpochChanged, message) }
}
