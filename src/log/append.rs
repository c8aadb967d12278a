//! Appending: the one way into a session's log.
//!
//! Invariant: the seq and the time that a draft proposes count only once its transaction has found the log ending where the
//! draft begins; nothing is published before that transaction is durable.

use rusqlite::Transaction;

use super::draft::{Draft, LogEnd, Offer};
use super::due::Due;
use super::record::Encoded;
use super::seal::{Grown, Sealing};
use super::sessions::SessionKey;
use super::turns::TurnKey;
use crate::frames::Chunk;
use crate::hub::Hub;
use crate::ids::{Seq, SessionId, TurnId};
use crate::protocol::event::Body;

/// An event that has no seq yet.
pub struct NewEvent {
    pub(super) encoded: Encoded,
}

impl NewEvent {
    /// An event with this body; `reference` is the agent's id of a tool use.
    pub fn new(reference: Option<&str>, body: &Body) -> Self {
        Self { encoded: Encoded::new(reference, body) }
    }
}

impl From<&Body> for NewEvent {
    fn from(body: &Body) -> Self {
        Self::new(None, body)
    }
}

/// Whose events they are: a turn of a session, by its keys and by its ids.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The session's key in the database.
    pub session: SessionKey,
    /// The session.
    pub session_id: SessionId,
    /// The turn's key in the database.
    pub turn: TurnKey,
    /// The turn.
    pub turn_id: TurnId,
}

/// What an append left in the transaction, to be published once it is durable.
pub(super) struct Appended {
    pub first: Seq,
    pub chunks: Vec<Chunk>,
    /// Where the log ends now.
    pub end: LogEnd,
    grown: Grown,
}

impl Appended {
    /// This, and what was appended right behind it.
    pub(super) fn and_then(mut self, next: Self) -> Self {
        self.chunks.extend(next.chunks);
        self.end = next.end;
        self.grown.milestones.extend(next.grown.milestones);
        self
    }
}

/// Appends to the log, and tells of it once it is durable.
#[derive(Clone)]
pub(super) struct Scribe {
    /// `None` only to measure what sealing costs.
    pub sealing: Option<Sealing>,
    pub hub: Hub,
    pub due: Due,
}

impl Scribe {
    /// Adds events to a session's log inside a transaction.
    pub(super) fn append(&self, tx: &Transaction<'_>, place: Place, events: &[NewEvent]) -> rusqlite::Result<Appended> {
        let end = LogEnd::read(tx, place.session)?;
        let draft = Draft::new(self, place, end, events)?;
        // It was read in this transaction: nobody can have moved it.
        insert(tx, place, &draft)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    /// The same, where there may be nothing to add.
    pub(super) fn append_some(
        &self,
        tx: &Transaction<'_>,
        place: Place,
        events: &[NewEvent],
    ) -> rusqlite::Result<Option<Appended>> {
        if events.is_empty() { Ok(None) } else { self.append(tx, place, events).map(Some) }
    }

    /// The same with what was drafted before, if the log still ends where that begins.
    pub(super) fn append_offer(
        &self,
        tx: &Transaction<'_>,
        place: Place,
        offer: &Offer,
    ) -> rusqlite::Result<Option<Appended>> {
        if let Some(draft) = &offer.draft
            && !draft.records.is_empty()
            && let Some(appended) = insert(tx, place, draft)?
        {
            return Ok(Some(appended));
        }
        self.append_some(tx, place, &offer.events)
    }

    /// Tells of what is durable now.
    pub(super) fn publish(&self, place: Place, appended: Option<&Appended>) {
        if let Some(appended) = appended {
            self.hub.publish(place.session_id, appended.chunks.clone());
            self.due.grown(place.session, &appended.grown, appended.end.tree());
        }
    }
}

/// Inserts what was drafted. `None`: the log does not end where the draft begins.
fn insert(tx: &Transaction<'_>, place: Place, draft: &Draft) -> rusqlite::Result<Option<Appended>> {
    // One change of the session's row for all of it.
    if !draft.begin.advance(&draft.end, tx, place.session)? {
        return Ok(None);
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO events (session, seq, time_ms, turn, kind, record, epoch, salt, commitment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    // What all of them have in common is bound once.
    insert.raw_bind_parameter(1, place.session)?;
    insert.raw_bind_parameter(3, draft.end.time().0)?;
    insert.raw_bind_parameter(4, place.turn)?;
    insert.raw_bind_parameter(7, draft.epoch)?;
    for drafted in &draft.records {
        insert.raw_bind_parameter(2, drafted.seq.0 as i64)?;
        insert.raw_bind_parameter(5, drafted.kind)?;
        insert.raw_bind_parameter(6, &drafted.record)?;
        if let Some(seal) = &drafted.seal {
            insert.raw_bind_parameter(8, seal.salt)?;
            insert.raw_bind_parameter(9, seal.commitment)?;
        }
        insert.raw_execute()?;
    }
    let first = draft.begin.head().next();
    Ok(Some(Appended { first, chunks: draft.chunks.clone(), end: draft.end.clone(), grown: draft.grown() }))
}
