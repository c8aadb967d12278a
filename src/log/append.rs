//! Appending: the one place where an event gets its seq and its time.

use rusqlite::Transaction;

use super::due::Due;
use super::record::{Encoded, Envelope};
use super::seal::{Sealer, Sealing};
use super::sessions::SessionKey;
use super::turns::TurnKey;
use crate::clock::WallMs;
use crate::frames::{Chunk, ChunkBuilder};
use crate::hub::Hub;
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
    /// How many leaves the session's tree has now.
    tree_size: u64,
}

impl Appended {
    /// This, and what was appended right behind it.
    pub(super) fn and_then(mut self, next: Self) -> Self {
        self.chunks.extend(next.chunks);
        self.tree_size = next.tree_size;
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
        let (head, last_activity_ms, tree_size, tree): (i64, i64, i64, Vec<u8>) = tx
            .prepare_cached("SELECT head, last_activity_ms, tree_size, tree FROM sessions WHERE key = ?1")?
            .query_row([place.session], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let before = Seq(head as u64);
        let time = WallMs(WallMs::now().0.max(last_activity_ms));
        let begin = |sealing| Sealer::begin(sealing, place.session_id, events.len(), before, (tree_size, &tree));
        let mut sealer = self.sealing.map(begin).transpose()?;
        let mut insert = tx.prepare_cached(
            "INSERT INTO events (session, seq, time_ms, turn, kind, record, epoch, salt, commitment)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let epoch = self.sealing.map(|sealing| sealing.epoch_key);
        let envelope = Envelope::new(place.session_id, &time.rfc3339(), place.turn_id);
        let mut frames = Frames::new(before.next());
        let (mut seq, mut record) = (before, String::new());
        for event in events {
            seq = seq.next();
            event.encoded.write_record(&envelope, seq, &mut record);
            let seal = sealer.as_mut().map(|sealer| sealer.seal(seq, &record));
            let (salt, commitment) = seal.map(|seal| (seal.salt, seal.commitment)).unzip();
            let (session, turn, kind) = (place.session, place.turn, event.encoded.kind);
            insert.execute((session, seq.0 as i64, time.0, turn, kind, &record, epoch, salt, commitment))?;
            frames.push(&record);
        }
        // One change of the session's row for all of it.
        let sealed = sealer.and_then(Sealer::finish);
        let (tree, tree_size) = sealed.map_or((tree, tree_size), |tree| (tree.to_bytes(), tree.size() as i64));
        tx.prepare_cached(
            "UPDATE sessions SET head = ?2, last_activity_ms = ?3, tree = ?4, tree_size = ?5 WHERE key = ?1",
        )?
        .execute((place.session, seq.0 as i64, time.0, tree, tree_size))?;
        Ok(Appended { first: before.next(), chunks: frames.finish(), tree_size: tree_size as u64 })
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

    /// Tells of what is durable now.
    pub(super) fn publish(&self, place: Place, appended: Option<&Appended>) {
        if let Some(appended) = appended {
            self.hub.publish(place.session_id, appended.chunks.clone());
            self.due.grown(place.session, appended.tree_size, appended.count());
        }
    }
}

impl Appended {
    fn count(&self) -> u64 {
        self.chunks.last().map_or(0, |chunk| chunk.last().0 + 1 - self.first.0)
    }
}

/// Collects records into chunks for publishing.
struct Frames {
    chunks: Vec<Chunk>,
    open: ChunkBuilder,
    next: Seq,
}

impl Frames {
    fn new(first: Seq) -> Self {
        Self { chunks: Vec::new(), open: ChunkBuilder::new(first), next: first }
    }

    fn push(&mut self, record: &str) {
        self.open.push(record);
        self.next = self.next.next();
        if self.open.bytes() >= CHUNK_BYTES {
            self.chunks.extend(std::mem::replace(&mut self.open, ChunkBuilder::new(self.next)).finish());
        }
    }

    fn finish(mut self) -> Vec<Chunk> {
        self.chunks.extend(self.open.finish());
        self.chunks
    }
}
