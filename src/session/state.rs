//! A session's turn, as a pure state machine.
//!
//! Invariant: between two `begin`s there is one `end`; a stop is asked for at most once a turn.

use super::CancelError;
use crate::clock::WallMs;
use crate::ids::TurnId;
use crate::log::Place;
use crate::protocol::server::RunningTurn;

/// Whether a turn runs.
#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Idle,
    Running(Running),
}

/// The turn that runs.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub place: Place,
    pub by: String,
    pub since: WallMs,
    pub stop_asked: bool,
}

/// What a request to stop comes to.
#[derive(Debug)]
pub(super) enum Stop {
    /// Log the intent, then signal.
    Begin(Place),
    /// It is being stopped already.
    UnderWay(TurnId),
}

impl State {
    pub(super) fn busy(&self) -> Option<RunningTurn> {
        match self {
            Self::Idle => None,
            Self::Running(running) => Some(RunningTurn {
                turn: running.place.turn_id,
                by: running.by.clone(),
                since: running.since.rfc3339(),
            }),
        }
    }

    /// A turn begins. The caller has seen that none runs.
    pub(super) fn begin(&mut self, running: Running) {
        debug_assert!(self.busy().is_none(), "a turn began while another ran");
        *self = Self::Running(running);
    }

    /// What to do when somebody wants the turn stopped: `turn`, or whichever runs.
    pub(super) fn stop(&self, turn: Option<TurnId>) -> Result<Stop, CancelError> {
        let Self::Running(running) = self else { return Err(CancelError::Idle) };
        let id = running.place.turn_id;
        match turn {
            Some(asked) if asked != id => Err(CancelError::Other { asked, running: id }),
            _ if running.stop_asked => Ok(Stop::UnderWay(id)),
            _ => Ok(Stop::Begin(running.place)),
        }
    }

    /// The turn is being stopped.
    pub(super) fn stop_asked(&mut self) {
        if let Self::Running(running) = self {
            running.stop_asked = true;
        }
    }

    /// Whether a wish to stop the turn is in the log: then that is how it ends, whatever the agent did at the last moment.
    pub(super) fn stop_is_asked(&self) -> bool {
        matches!(self, Self::Running(Running { stop_asked: true, .. }))
    }

    /// The turn's end is in the log.
    pub(super) fn end(&mut self) {
        *self = Self::Idle;
    }
}
