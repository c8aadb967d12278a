//! The whole log in the order in which it was written, over all sessions: for what is derived from it, such as an index.
//!
//! Has a connection of its own, which only reads, and blocks: for threads that are not the gateway's tasks. Invariant: only
//! what is durable comes out (a commit is visible to others once it is on disk: `synchronous=FULL`).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row};

use super::PageLimits;
use super::sessions::parse_id;
use crate::clock::WallMs;
use crate::db::{OpenError, connection};
use crate::ids::{Seq, SessionId, TurnId};

/// Removed sessions in one read.
const REMOVED_PAGE: i64 = 500;

/// Reads the log from its beginning to its end, again and again.
pub struct Feed {
    connection: Connection,
}

/// An event in the order of writing. The ids are the database's own and never leave the gateway, except inside cursors.
#[derive(Debug, Clone)]
pub struct Fed {
    /// Its place in that order; grows, with gaps.
    pub id: i64,
    /// Its session's key.
    pub session: i64,
    /// Its turn's key.
    pub turn: i64,
    /// When it was logged.
    pub time: WallMs,
    /// Its kind.
    pub kind: String,
    /// Who had asked for its turn.
    pub asked_by: String,
    /// The record.
    pub record: String,
}

/// An event as it is in the log now, for whoever shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its session.
    pub session: SessionId,
    /// What people call that.
    pub title: String,
    /// Its place in the session's log.
    pub seq: Seq,
    /// Its turn.
    pub turn: TurnId,
    /// When it was logged.
    pub time: WallMs,
    /// Its kind.
    pub kind: String,
    /// The record.
    pub record: String,
}

impl Feed {
    /// Opens the log for reading.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn open(database: &Path) -> Result<Self, OpenError> {
        connection::open_reading(database).map(|connection| Self { connection })
    }

    /// The newest event's place; 0 for none.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn newest(&self) -> rusqlite::Result<i64> {
        let sql = "SELECT coalesce(max(id), 0) FROM events";
        self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    /// Events behind a place.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn after(&self, id: i64, limits: PageLimits) -> rusqlite::Result<Vec<Fed>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT e.id, e.session, e.turn, e.time_ms, e.kind, t.by, e.record FROM events e JOIN turns t ON t.key = e.turn
             JOIN sessions s ON s.key = e.session WHERE s.removal IS NULL AND e.id > ?1 ORDER BY e.id LIMIT ?2",
        )?;
        let mut rows = statement.query((id, limits.events_max as i64))?;
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let event = read_fed(row)?;
            bytes += event.record.len();
            events.push(event);
            if bytes >= limits.bytes_max {
                break;
            }
        }
        Ok(events)
    }

    /// One event as it is now. `None`: it is not there any more.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn shown(&self, id: i64) -> rusqlite::Result<Option<Shown>> {
        let sql = "SELECT s.id, s.title, e.seq, t.id, e.time_ms, e.kind, e.record
                   FROM events e JOIN sessions s ON s.key = e.session JOIN turns t ON t.key = e.turn
                   WHERE e.id = ?1 AND s.removal IS NULL";
        self.connection.prepare_cached(sql)?.query_row([id], read_shown).optional()
    }

    /// Sessions that were removed behind a removal's number: their keys, each with its own number, ascending; as many as one
    /// read brings.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn removed_after(&self, removal: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
        let sql = "SELECT key, removal FROM sessions WHERE removal > ?1 ORDER BY removal LIMIT ?2";
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        self.connection.prepare_cached(sql)?.query_map((removal, REMOVED_PAGE), row)?.collect()
    }

    /// The key of a session.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn session_key(&self, id: SessionId) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT key FROM sessions WHERE id = ?1 AND removal IS NULL";
        self.connection.prepare_cached(sql)?.query_row([id.to_string()], |row| row.get(0)).optional()
    }
}

fn read_fed(row: &Row<'_>) -> rusqlite::Result<Fed> {
    Ok(Fed {
        id: row.get(0)?,
        session: row.get(1)?,
        turn: row.get(2)?,
        time: WallMs(row.get(3)?),
        kind: row.get(4)?,
        asked_by: row.get(5)?,
        record: row.get(6)?,
    })
}

fn read_shown(row: &Row<'_>) -> rusqlite::Result<Shown> {
    Ok(Shown {
        session: parse_id(row, 0)?,
        title: row.get(1)?,
        seq: Seq(row.get::<_, i64>(2)? as u64),
        turn: parse_id(row, 3)?,
        time: WallMs(row.get(4)?),
        kind: row.get(5)?,
        record: row.get(6)?,
    })
}
