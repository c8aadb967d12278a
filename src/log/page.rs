//! Reading: bounded ranges of one session's log, in short reads.
//!
//! Invariant: what a page holds follows its start without a hole; a page is bounded in events and in bytes, and always
//! holds at least one event if there is one.

use rusqlite::Connection;

use super::sessions::SessionKey;
use super::{Log, LogError};
use crate::frames::{Chunk, ChunkBuilder};
use crate::ids::Seq;

/// How much one read may bring.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// Events, at most.
    pub events_max: usize,
    /// Bytes after which no further event is taken.
    pub bytes_max: usize,
}

/// A run of events as they stand on a WebSocket.
pub struct Page {
    /// The events; `None` when there are none behind `after`.
    pub chunk: Option<Chunk>,
}

/// A run of events as they are stored.
pub struct RecordPage {
    /// The records, ascending.
    pub records: Vec<String>,
    /// The session's head, read in the same snapshot.
    pub head: Seq,
}

const FORWARD: &str = "SELECT seq, record FROM events WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
const BACKWARD: &str = "SELECT record FROM events WHERE session = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3";

fn head(connection: &Connection, session: SessionKey) -> rusqlite::Result<Seq> {
    let sql = "SELECT head FROM sessions WHERE key = ?1 AND removal IS NULL";
    connection.prepare_cached(sql)?.query_row([session], |row| row.get::<_, i64>(0)).map(|head| Seq(head as u64))
}

/// A client may name any number.
fn bound(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

impl Log {
    /// Events behind `after`, encoded as frames.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn page(&self, session: SessionKey, after: Seq, limits: PageLimits) -> Result<Page, LogError> {
        let read = move |connection: &Connection| {
            let mut builder = ChunkBuilder::new(after.next());
            let mut statement = connection.prepare_cached(FORWARD)?;
            let mut rows = statement.query((session, bound(after), limits.events_max as i64))?;
            let mut expected = after;
            while let Some(row) = rows.next()? {
                expected = expected.next();
                let seq = Seq(row.get::<_, i64>(0)? as u64);
                if seq != expected {
                    // A hole is damage: never show what follows as if nothing were missing.
                    return Err(rusqlite::Error::IntegralValueOutOfRange(0, seq.0 as i64));
                }
                builder.push(row.get_ref(1)?.as_str()?);
                if builder.bytes() >= limits.bytes_max {
                    break;
                }
            }
            Ok(Page { chunk: builder.finish() })
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Records behind `after`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn records_after(
        &self,
        session: SessionKey,
        after: Seq,
        limits: PageLimits,
    ) -> Result<RecordPage, LogError> {
        Ok(self.db.readers.read(move |connection| records(connection, FORWARD, session, after, limits)).await?)
    }

    /// The records just before `before`, ascending.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn records_before(
        &self,
        session: SessionKey,
        before: Seq,
        limits: PageLimits,
    ) -> Result<RecordPage, LogError> {
        let read = move |connection: &Connection| {
            let mut page = records(connection, BACKWARD, session, before, limits)?;
            page.records.reverse();
            Ok(page)
        };
        Ok(self.db.readers.read(read).await?)
    }
}

/// The records that a statement gives, and the head, in one snapshot.
fn records(
    connection: &Connection,
    sql: &str,
    session: SessionKey,
    from: Seq,
    limits: PageLimits,
) -> rusqlite::Result<RecordPage> {
    let snapshot = connection.unchecked_transaction()?;
    let head = head(&snapshot, session)?;
    let mut statement = snapshot.prepare_cached(sql)?;
    let mut rows = statement.query((session, bound(from), limits.events_max as i64))?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let record: String = row.get("record")?;
        bytes += record.len();
        records.push(record);
        if bytes >= limits.bytes_max {
            break;
        }
    }
    Ok(RecordPage { records, head })
}
