//! Appending: the one place where an event gets its seq and its time.

use rusqlite::Transaction;

use super::record::{Encoded, Envelope};
use super::sessions::SessionKey;
use super::turns::TurnKey;
use crate::clock::WallMs;
use crate::frames::{Chunk, ChunkBuilder};
use crate::ids::{Seq, SessionId, TurnId};
use crate::protocol::event::Body;

/// A published chunk is closed when it has grown to this, bytes: readers share chunks, and take them one by one.
const CHUNK_BYTES: usize = 128 << 10;

/// An event that has no seq yet.
pub struct NewEvent {
    encoded: Encoded,
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
}

/// Adds events to a session's log inside a transaction.
pub(super) fn append(tx: &Transaction<'_>, place: Place, events: &[NewEvent]) -> rusqlite::Result<Appended> {
    let count = events.len() as i64;
    let (head, time): (i64, i64) = tx
        .prepare_cached(
            "UPDATE sessions SET head = head + ?2, last_activity_ms = max(last_activity_ms, ?3) WHERE key = ?1
             RETURNING head, last_activity_ms",
        )?
        .query_row((place.session, count, WallMs::now().0), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let first = Seq((head - count + 1) as u64);
    let time = WallMs(time);
    let envelope = Envelope::new(place.session_id, &time.rfc3339(), place.turn_id);
    let mut insert = tx.prepare_cached(
        "INSERT INTO events (session, seq, time_ms, turn, kind, record) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut chunks = Vec::new();
    let mut open = ChunkBuilder::new(first);
    let (mut seq, mut record) = (first, String::new());
    for event in events {
        event.encoded.write_record(&envelope, seq, &mut record);
        insert.execute((place.session, seq.0 as i64, time.0, place.turn, event.encoded.kind, &record))?;
        open.push(&record);
        seq = seq.next();
        if open.bytes() >= CHUNK_BYTES {
            chunks.extend(std::mem::replace(&mut open, ChunkBuilder::new(seq)).finish());
        }
    }
    chunks.extend(open.finish());
    Ok(Appended { first, chunks })
}
