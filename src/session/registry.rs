//! Finds the sessions that somebody uses; makes their actors; adds what only the living know to what the log knows.
//!
//! Invariant: at most one actor a session. It lives as long as somebody holds its [`Live`]; the map holds none. A session that
//! is claimed for its removal has none, and gets none before that is decided.

use std::sync::{Arc, Weak};

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::actor::{Actor, Message, PromptAsked};
use super::presence::{PresenceGuard, Present};
use super::used::{self, Decided, Used};
use super::{CancelError, CreateError, NoSession, OpenError, PromptError, TakeUpError};
use crate::agent::AgentKind;
use crate::auth::Principal;
use crate::config::check_name;
use crate::hub::Topic;
use crate::ids::{PromptKey, SessionId, TurnId};
use crate::log::{ListCursor, Log, LogError, NewSession, Patch, SessionKey, SessionRow, UnfinishedTurn};
use crate::mask::Masks;
use crate::protocol::PROMPT_BYTES_MAX;
use crate::protocol::client::Create;
use crate::protocol::server::{Accepted, SessionState};
use crate::tasks::Tasks;
use crate::turn::run::Workshop;

/// Requests waiting for one session's actor. A bug signal: an actor answers in milliseconds.
const MAILBOX: usize = 64;
/// The longest title, characters.
const TITLE_CHARS_MAX: usize = 200;

/// What sessions need.
pub struct Deps {
    /// How turns are run.
    pub workshop: Arc<Workshop>,
    /// Where tasks are started.
    pub tasks: Tasks,
    /// The model for sessions that do not name one.
    pub model: String,
    /// Turns at the same time.
    pub turns_max: usize,
}

/// The registry. Clones are handles to the same one.
#[derive(Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

struct Shared {
    deps: Deps,
    permits: Arc<Semaphore>,
    live: Arc<Used<Live>>,
}

/// Keeps a session that nobody uses from being used, until dropped.
pub type Claim = used::Claim<Live>;

/// How much goes on in the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Sessions that somebody uses.
    pub live: u64,
    /// Turns that run.
    pub turns: u64,
    /// Attachments of connections to sessions.
    pub viewers: u64,
}

/// A session that somebody uses.
pub struct Live {
    id: SessionId,
    key: SessionKey,
    topic: Arc<Topic>,
    present: Present,
    mailbox: mpsc::Sender<Message>,
    registry: Weak<Shared>,
}

impl Sessions {
    /// An empty registry.
    pub fn new(deps: Deps) -> Self {
        let permits = Arc::new(Semaphore::new(deps.turns_max));
        Self { shared: Arc::new(Shared { deps, permits, live: Arc::default() }) }
    }

    /// The log that they live in.
    pub fn log(&self) -> &Log {
        &self.shared.deps.workshop.log
    }

    /// What is cut out of what agents say.
    pub fn masks(&self) -> &Masks {
        &self.shared.deps.workshop.masks
    }

    /// A session, to be attached to, prompted or stopped.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is none with that id.
    pub async fn open(&self, id: SessionId) -> Result<Arc<Live>, OpenError> {
        loop {
            if let Some(live) = self.shared.live.get(id) {
                return Ok(live);
            }
            // The topic is there before the head is read: no commit falls between.
            let topic = self.log().hub().topic(id);
            let row = self.log().session(id).await?.ok_or(NoSession(id))?;
            topic.raise(row.state.head);
            match self.enliven(row, topic) {
                Ok(live) => return Ok(live),
                // Then it is either gone or free.
                Err(mut decided) => while decided.changed().await.is_ok() {},
            }
        }
    }

    /// Claims a session for its removal; `None`: somebody uses it.
    pub fn claim(&self, id: SessionId) -> Option<Claim> {
        self.shared.live.claim(id)
    }

    /// `Err`: it may be about to be removed; wakes when that is decided.
    fn enliven(&self, row: SessionRow, topic: Arc<Topic>) -> Result<Arc<Live>, Decided> {
        let id = row.state.session;
        self.shared.live.get_or(id, || {
            let (mailbox, messages) = mpsc::channel(MAILBOX);
            let registry = Arc::downgrade(&self.shared);
            let live = Arc::new(Live { id, key: row.key, topic, present: Present::default(), mailbox, registry });
            let deps = &self.shared.deps;
            let (workshop, permits) = (Arc::clone(&deps.workshop), Arc::clone(&self.shared.permits));
            let actor = Actor::new(row, workshop, deps.tasks.clone(), permits, deps.turns_max);
            deps.tasks.spawn(actor.run(messages));
            live
        })
    }

    /// Makes a session, or finds the one with the same id and the same values.
    ///
    /// # Errors
    /// [`CreateError`] names the field, or says that the id is taken.
    pub async fn create(&self, who: &Principal, wanted: Create) -> Result<SessionState, CreateError> {
        let field = |field| move |problem: String| CreateError::Field { field, problem };
        if let Some(title) = &wanted.title {
            check_title(title).map_err(field("title"))?;
        }
        if let Some(model) = &wanted.model {
            check_name(model).map_err(field("model"))?;
        }
        let agent: AgentKind = wanted.agent.as_deref().unwrap_or(AgentKind::Claude.as_str()).parse()?;
        let new = NewSession {
            id: wanted.session.unwrap_or_else(SessionId::random),
            title: wanted.title.clone(),
            by: who.name().to_owned(),
            agent: agent.to_string(),
            model: wanted.model.clone().unwrap_or_else(|| self.shared.deps.model.clone()),
        };
        let id = new.id;
        let (row, made) = self.log().create_session(new).await?.ok_or(CreateError::Removed(id))?;
        // What is left out does not differ.
        let same = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let state = &row.state;
        let alike =
            same(&wanted.title, &state.title) && same(&wanted.agent, &state.agent) && same(&wanted.model, &state.model);
        if made || alike { Ok(self.decorate(row)) } else { Err(CreateError::Conflict(id)) }
    }

    /// A session's summary.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is none with that id.
    pub async fn state(&self, id: SessionId) -> Result<SessionState, OpenError> {
        let row = self.log().session(id).await?.ok_or(NoSession(id))?;
        Ok(self.decorate(row))
    }

    /// Several summaries, of those that are there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn states(&self, ids: Vec<SessionId>) -> Result<Vec<SessionState>, LogError> {
        let rows = self.log().sessions(ids).await?;
        Ok(rows.into_iter().map(|row| self.decorate(row)).collect())
    }

    /// A page of summaries, latest activity first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn list(
        &self,
        after: Option<ListCursor>,
        search: Option<String>,
        limit: usize,
    ) -> Result<(Vec<SessionState>, Option<ListCursor>), LogError> {
        let (rows, next) = self.log().list_sessions(after, search, limit).await?;
        Ok((rows.into_iter().map(|row| self.decorate(row)).collect(), next))
    }

    /// Renames a session or puts it away.
    ///
    /// # Errors
    /// [`CreateError::Field`] for a title that cannot be used.
    pub async fn patch(&self, id: SessionId, patch: Patch) -> Result<Option<SessionState>, CreateError> {
        if let Some(title) = &patch.title {
            check_title(title).map_err(|problem| CreateError::Field { field: "title", problem })?;
        }
        let row = self.log().patch_session(id, patch).await?;
        Ok(row.map(|row| self.decorate(row)))
    }

    fn decorate(&self, row: SessionRow) -> SessionState {
        let viewers = self.shared.live.get(row.state.session).map_or(0, |live| live.present.connections());
        SessionState { viewers, ..row.state }
    }

    /// How much goes on.
    pub fn numbers(&self) -> Numbers {
        let living = self.shared.live.all();
        let free = self.shared.permits.available_permits();
        Numbers {
            live: living.len() as u64,
            turns: self.shared.deps.turns_max.saturating_sub(free) as u64,
            viewers: living.iter().map(|live| live.present.connections()).sum(),
        }
    }

    /// Takes up every turn that has no end: those that are alive are followed on, the others are settled. Returns when each
    /// of them is one or the other, and that is in the log.
    ///
    /// # Errors
    /// When the log cannot be read; or when a turn was begun by a newer program, which alone can tell what became of it:
    /// then none is taken up.
    pub async fn take_up(&self) -> Result<(), TakeUpError> {
        let (waiting, mut settled) = mpsc::channel::<()>(1);
        let found = self.log().unfinished_turns().await.map_err(OpenError::from)?;
        for turn in &found {
            self.shared.deps.workshop.spool(turn.place.turn_id, turn.attempt).check_version()?;
        }
        for turn in found {
            let live = self.open(turn.place.session_id).await?;
            live.take_up(turn, waiting.clone()).await;
        }
        drop(waiting);
        // Nothing is ever sent: each turn drops its sender when it is taken up or settled.
        while settled.recv().await.is_some() {}
        Ok(())
    }
}

impl Live {
    /// The session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Its key in the log.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// Where its log stands.
    pub fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }

    /// Who is attached.
    pub fn present(&self) -> &Present {
        &self.present
    }

    /// Counts somebody in as attached, until the guard is dropped.
    pub fn enter(&self, who: &Principal) -> PresenceGuard {
        let (id, registry) = (self.id, self.registry.clone());
        let touch = move || {
            if let Some(shared) = registry.upgrade() {
                shared.deps.workshop.log.hub().touch(id);
            }
        };
        touch();
        self.present.enter(who, touch)
    }

    /// Asks for a turn.
    ///
    /// # Errors
    /// [`PromptError`]; nothing of the prompt is in the log then.
    pub async fn prompt(
        self: &Arc<Self>,
        who: &Principal,
        text: String,
        key: PromptKey,
        model: Option<String>,
    ) -> Result<Accepted, PromptError> {
        check_prompt(&text, model.as_deref())?;
        let (answer, answered) = oneshot::channel();
        let asked = PromptAsked { by: who.name().to_owned(), origin: who.origin(), text, key, model };
        let message = Message::Prompt { live: Arc::clone(self), asked, answer };
        self.mailbox.send(message).await.map_err(|_| PromptError::Stopping)?;
        answered.await.map_err(|_| PromptError::Stopping)?
    }

    /// Asks for the running turn to be stopped: `turn`, or whichever runs.
    ///
    /// # Errors
    /// [`CancelError`] when nothing was stopped.
    pub async fn cancel(&self, who: &Principal, turn: Option<TurnId>) -> Result<TurnId, CancelError> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Cancel { by: who.name().to_owned(), turn, answer };
        self.mailbox.send(message).await.map_err(|_| CancelError::Stopping)?;
        answered.await.map_err(|_| CancelError::Stopping)?
    }

    async fn take_up(self: &Arc<Self>, turn: UnfinishedTurn, waiting: mpsc::Sender<()>) {
        let message = Message::TakeUp { live: Arc::clone(self), turn: Box::new(turn), waiting };
        // A closed mailbox means that the gateway stops already; the next start takes the turn up.
        let _stopping = self.mailbox.send(message).await;
    }

    pub(super) async fn tell(&self, message: Message) {
        let _stopping = self.mailbox.send(message).await;
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(shared) = self.registry.upgrade() {
            shared.live.left(self.id);
        }
    }
}

fn check_title(title: &str) -> Result<(), String> {
    let fits = (1..=TITLE_CHARS_MAX).contains(&title.chars().count());
    if !fits || title.trim().is_empty() || title.chars().any(char::is_control) {
        return Err(format!("must be 1 to {TITLE_CHARS_MAX} characters, not blank, without control characters"));
    }
    Ok(())
}

fn check_prompt(text: &str, model: Option<&str>) -> Result<(), PromptError> {
    let field = |field, problem: &str| PromptError::Field { field, problem: problem.to_owned() };
    if text.len() > PROMPT_BYTES_MAX {
        return Err(PromptError::TooLarge { bytes: text.len(), max: PROMPT_BYTES_MAX });
    }
    if text.trim().is_empty() {
        return Err(field("text", "is empty; say what the agent shall do"));
    }
    if text.contains('\0') {
        return Err(field("text", "holds a NUL character, which no program can be given; leave it out"));
    }
    match model.map(check_name) {
        Some(Err(problem)) => Err(field("model", &problem)),
        _ => Ok(()),
    }
}
