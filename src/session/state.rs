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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use rusqlite::types::{FromSql, ValueRef};

    use super::*;
    use crate::ids::SessionId;

    /// What can be asked of a session.
    #[derive(Debug, Clone)]
    enum Step {
        /// Somebody prompts.
        Prompt,
        /// Somebody stops the turn that runs,
        StopRunning,
        /// the one with a number, which may be over or not begun,
        StopNumber(usize),
        /// or whichever runs.
        StopAny,
        /// The end of the turn is in the log.
        End,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Prompt),
            1 => Just(Step::StopRunning),
            2 => (0usize..20).prop_map(Step::StopNumber),
            2 => Just(Step::StopAny),
            3 => Just(Step::End),
        ];
        prop::collection::vec(step, 0..80)
    }

    /// The plainest model: every turn ever, which of them runs, and whether its stop was asked for.
    #[derive(Default)]
    struct Reference {
        turns: Vec<TurnId>,
        running: Option<(TurnId, bool)>,
        ended: usize,
    }

    /// Keys mean nothing outside the database.
    fn key<K: FromSql>() -> K {
        K::column_result(ValueRef::Integer(1)).unwrap()
    }

    fn running(turn: TurnId) -> Running {
        let place = Place { session: key(), session_id: SessionId::random(), turn: key(), turn_id: turn };
        Running { place, by: "ana".to_owned(), since: WallMs(0), stop_asked: false }
    }

    proptest! {
        /// Whoever asks for what, in whatever order: one turn at a time, stopped at most once, ended once.
        #[test]
        fn a_session_does_as_the_plainest_model(steps in steps()) {
            let (mut state, mut model) = (State::default(), Reference::default());
            for step in steps {
                match step {
                    Step::Prompt => {
                        prop_assert_eq!(state.busy().map(|busy| busy.turn), model.running.map(|(turn, _)| turn));
                        if model.running.is_none() {
                            let turn = TurnId::random();
                            state.begin(running(turn));
                            model.turns.push(turn);
                            model.running = Some((turn, false));
                        }
                    }
                    Step::StopRunning => stop(&mut state, &mut model, |model| model.running.map(|(turn, _)| turn))?,
                    Step::StopNumber(number) => stop(&mut state, &mut model, |model| model.turns.get(number).copied())?,
                    Step::StopAny => stop(&mut state, &mut model, |_| None)?,
                    Step::End => {
                        prop_assert_eq!(state.stop_is_asked(), model.running.is_some_and(|(_, asked)| asked));
                        if model.running.take().is_some() {
                            state.end();
                            model.ended += 1;
                        }
                    }
                }
            }
            prop_assert_eq!(model.turns.len(), model.ended + usize::from(state.busy().is_some()));
        }
    }

    fn stop(
        state: &mut State,
        model: &mut Reference,
        which: impl Fn(&Reference) -> Option<TurnId>,
    ) -> Result<(), TestCaseError> {
        let asked = which(model);
        match (state.stop(asked), model.running) {
            (Err(CancelError::Idle), None) => {}
            (Err(CancelError::Other { asked: other, running }), Some((turn, _))) => {
                prop_assert_eq!((Some(other), running), (asked, turn));
                prop_assert_ne!(other, turn);
            }
            (Ok(Stop::UnderWay(under_way)), Some((turn, true))) => prop_assert_eq!(under_way, turn),
            (Ok(Stop::Begin(place)), Some((turn, false))) => {
                prop_assert_eq!(place.turn_id, turn);
                prop_assert!(asked.is_none_or(|asked| asked == turn));
                state.stop_asked();
                model.running = Some((turn, true));
            }
            (answer, running) => prop_assert!(false, "{answer:?} while {running:?} runs"),
        }
        Ok(())
    }
}
