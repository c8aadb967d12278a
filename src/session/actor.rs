//! One session's actor: prompts, stops and ends, one after another.
//!
//! Invariant: the actor alone changes whether a turn runs, and does so only after the log has it; a prompt that comes
//! after a `turn_end` was seen finds the session free.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::registry::Live;
use super::state::{Running, State, Stop};
use super::{CancelError, PromptError};
use crate::access::Origin;
use crate::agent::AgentKind;
use crate::clock::{BootMs, WallMs};
use crate::db::WriteError;
use crate::ids::{PromptKey, SessionId, TurnId};
use crate::log::{LogError, OpenTurn, Opened, Place, SessionKey, SessionRow, UnfinishedTurn};
use crate::protocol::server::Accepted;
use crate::tasks::Tasks;
use crate::turn::archive::archive_all;
use crate::turn::import::Position;
use crate::turn::persist::RETRY_AFTER;
use crate::turn::run::{Ended, Turn, Workshop};

/// What an actor is asked.
pub(super) enum Message {
    Prompt { live: Arc<Live>, asked: PromptAsked, answer: oneshot::Sender<Result<Accepted, PromptError>> },
    Cancel { by: String, turn: Option<TurnId>, answer: oneshot::Sender<Result<TurnId, CancelError>> },
    TakeUp { live: Arc<Live>, turn: Box<UnfinishedTurn>, waiting: mpsc::Sender<()> },
    Ended { live: Arc<Live>, place: Place, ended: Ended, waiting: Option<mpsc::Sender<()>> },
}

/// A prompt.
pub(super) struct PromptAsked {
    pub by: String,
    pub origin: Origin,
    pub text: String,
    pub key: PromptKey,
    pub model: Option<String>,
}

pub(super) struct Actor {
    id: SessionId,
    key: SessionKey,
    agent: String,
    model: String,
    workshop: Arc<Workshop>,
    tasks: Tasks,
    permits: Arc<Semaphore>,
    turns_max: usize,
    state: State,
    /// Tells the running turn to stop.
    stop: CancellationToken,
    /// Who stopped the running turn, when the log could not take it at the time.
    stop_to_log: Option<String>,
}

impl Actor {
    pub(super) fn new(
        row: SessionRow,
        workshop: Arc<Workshop>,
        tasks: Tasks,
        permits: Arc<Semaphore>,
        turns_max: usize,
    ) -> Self {
        let (state, stop) = (State::default(), CancellationToken::new());
        let (id, agent, model) = (row.state.session, row.state.agent, row.state.model);
        Self { id, key: row.key, agent, model, workshop, tasks, permits, turns_max, state, stop, stop_to_log: None }
    }

    /// Ends when nobody holds the session any more, or when the gateway stops.
    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let message = tokio::select! {
                biased;
                () = self.workshop.stopping.cancelled() => return,
                message = messages.recv() => message,
            };
            match message {
                None => return,
                Some(Message::Prompt { live, asked, answer }) => {
                    let _gone = answer.send(self.accept(&live, asked).await);
                }
                Some(Message::Cancel { by, turn, answer }) => {
                    let _gone = answer.send(self.cancel(by, turn).await);
                }
                Some(Message::TakeUp { live, turn, waiting }) => self.take_up(live, *turn, waiting),
                Some(Message::Ended { live, place, ended, waiting }) => self.end(live, place, ended, waiting).await,
            }
        }
    }

    async fn accept(&mut self, live: &Arc<Live>, asked: PromptAsked) -> Result<Accepted, PromptError> {
        let PromptAsked { by, origin, text, key, model } = asked;
        let log = &self.workshop.log;
        if let Some(known) = log.known_prompt(key).await? {
            return known.answer(self.id, &text).ok_or(PromptError::KeyConflict);
        }
        if let Some(running) = self.state.busy() {
            return Err(PromptError::Busy(running));
        }
        let kind: AgentKind = self.agent.parse()?;
        if kind == AgentKind::Claude {
            self.workshop.agent.find_claude()?;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return Err(PromptError::AtCapacity(self.turns_max));
        };
        let conversation = log.session(self.id).await?.and_then(|row| row.conversation);
        let model = model.unwrap_or_else(|| self.model.clone());
        let (prompt, asked_by) = (text.clone(), by.clone());
        let (session, session_id, agent) = (self.key, self.id, self.agent.clone());
        let opened =
            log.open_turn(OpenTurn { session, session_id, key, text, by, origin, agent, model: model.clone() }).await?;
        let (place, seq, accepted) = match opened {
            Opened::New { place, seq, accepted } => (place, seq, accepted),
            Opened::Known(known) => return known.answer(self.id, &prompt).ok_or(PromptError::KeyConflict),
        };
        tracing::info!(session.id = %self.id, turn.id = %place.turn_id, by = asked_by, "a turn begins");
        self.begin(place, asked_by, accepted, CancellationToken::new());
        let (begun, attempt, position, stop) = (Some(BootMs::now()), 1, Position::default(), self.stop.clone());
        let turn = Turn { place, kind, model, prompt, accepted, begun, attempt, position, conversation, stop };
        self.spawn(Arc::clone(live), turn, Some(permit), None);
        Ok(Accepted { session: self.id, turn: place.turn_id, seq, duplicate: false })
    }

    fn begin(&mut self, place: Place, by: String, since: WallMs, stop: CancellationToken) {
        let stop_asked = stop.is_cancelled();
        self.stop = stop;
        self.state.begin(Running { place, by, since, stop_asked });
    }

    /// Logs the intent, then signals: so that a stop is never taken for a crash. On a full disk the stop comes first: the
    /// agent may be what fills it. The intent is then logged before the end.
    async fn cancel(&mut self, by: String, turn: Option<TurnId>) -> Result<TurnId, CancelError> {
        match self.state.stop(turn)? {
            Stop::UnderWay(turn) => Ok(turn),
            Stop::Begin(place) => {
                tracing::info!(session.id = %self.id, turn.id = %place.turn_id, by, "a turn is stopped");
                match self.workshop.log.cancel_turn(place, by.clone()).await {
                    Ok(()) => {}
                    Err(LogError::Write(WriteError::Unavailable { .. })) => self.stop_to_log = Some(by),
                    Err(error) => return Err(error.into()),
                }
                self.state.stop_asked();
                self.stop.cancel();
                Ok(place.turn_id)
            }
        }
    }

    fn take_up(&mut self, live: Arc<Live>, found: UnfinishedTurn, waiting: mpsc::Sender<()>) {
        let stop = CancellationToken::new();
        if found.cancelled_by.is_some() {
            stop.cancel();
        }
        self.begin(found.place, found.by, found.accepted, stop.clone());
        // A turn of an agent that this program does not know could only have been begun by a newer one.
        let kind = found.agent.parse().unwrap_or(AgentKind::Claude);
        let position =
            Position { spool_bytes: found.spool_bytes, began: false, result_is_error: found.result_is_error };
        let turn = Turn {
            place: found.place,
            kind,
            model: found.model,
            prompt: found.prompt,
            accepted: found.accepted,
            begun: None,
            attempt: found.attempt,
            position,
            conversation: found.conversation,
            stop,
        };
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok();
        self.spawn(live, turn, permit, Some(waiting));
    }

    /// Runs a turn beside the actor. Holds the session while it runs.
    fn spawn(
        &self,
        live: Arc<Live>,
        turn: Turn,
        permit: Option<OwnedSemaphorePermit>,
        waiting: Option<mpsc::Sender<()>>,
    ) {
        let (workshop, place) = (Arc::clone(&self.workshop), turn.place);
        self.tasks.spawn(async move {
            let run = turn.run(&workshop, waiting).await;
            // The agent is gone: its place is free before anybody is told that the turn ended.
            drop(permit);
            if let Ok((ended, waiting)) = run {
                Arc::clone(&live).tell(Message::Ended { live, place, ended, waiting }).await;
            }
        });
    }

    async fn end(&mut self, live: Arc<Live>, place: Place, ended: Ended, waiting: Option<mpsc::Sender<()>>) {
        let ended = if self.state.stop_is_asked() { ended.as_cancelled() } else { ended };
        match self.write_end(place, &ended).await {
            Ok(()) => {}
            Err(LogError::Write(WriteError::Unavailable { .. })) => {
                // Try again later, from outside: meanwhile the session answers, and says that the turn is not over.
                let stopping = self.workshop.stopping.clone();
                self.tasks.spawn(async move {
                    if stopping.run_until_cancelled(tokio::time::sleep(RETRY_AFTER)).await.is_some() {
                        Arc::clone(&live).tell(Message::Ended { live, place, ended, waiting }).await;
                    }
                });
                return;
            }
            Err(error) => {
                tracing::error!(turn.id = %place.turn_id, %error, "a turn's end cannot be written; the next start will settle it");
                return;
            }
        }
        let outcome = ended.end.outcome.as_str();
        tracing::info!(session.id = %self.id, turn.id = %place.turn_id, outcome, "a turn ended");
        self.state.end();
        drop(waiting);
        self.tasks.spawn(async move {
            let _ended = tokio::task::spawn_blocking(move || archive_all(ended.spools)).await;
        });
    }

    async fn write_end(&mut self, place: Place, ended: &Ended) -> Result<(), LogError> {
        if let Some(by) = &self.stop_to_log {
            self.workshop.log.cancel_turn(place, by.clone()).await?;
            self.stop_to_log = None;
        }
        self.workshop.log.end_turn(place, &ended.events, ended.end.clone()).await
    }
}
