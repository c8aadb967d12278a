//! Keeping: what may go and when, what must stay, copies and their return.
//!
//! Invariant: nothing goes without a row in `keeping` that is durable before the first file is gone; nothing of a session under legal hold goes, and
//! nothing of one whose turn runs. Records go only with their whole session, whose removal is signed, so that what was signed still verifies. Knows
//! nothing of HTTP.

pub mod backup;
pub mod limits;
pub mod raw;
pub mod restore;
pub mod sessions;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::clock::WallMs;
use crate::db::{Db, ReadError, WriteError};
use crate::ids::SessionId;

/// As whom the gateway itself is written down.
const BY: &str = "retention";
/// Rows that are listed at once.
const ACTS_MAX: i64 = 10_000;

/// Something that was done to what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub time: WallMs,
    /// What: `hold`, `release`, `raw-removed`, `session-removed`, `backup`, `restore`.
    pub act: String,
    /// To which session.
    pub session: Option<String>,
    /// By whom.
    pub by: String,
    /// Why, or how much.
    pub detail: String,
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which session.
    pub session: String,
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: WallMs,
}

/// Why keeping failed.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It was removed.
    #[error("there is no session `{0}` any more")]
    NoSession(SessionId),
}

/// The book of what is kept.
#[derive(Clone)]
pub struct Keep {
    db: Db,
}

impl Keep {
    /// Of a database.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The sessions whose ids begin so; at most two.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions_beginning(&self, begins: String) -> Result<Vec<SessionId>, KeepError> {
        let read = move |connection: &Connection| {
            let sql =
                "SELECT id FROM sessions WHERE substr(id, 1, length(?1)) = ?1 AND removal IS NULL ORDER BY id LIMIT 2";
            let ids: Vec<String> =
                connection.prepare(sql)?.query_map([begins], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Puts a session under legal hold. False: it is already, for the reason of then.
    ///
    /// # Errors
    /// When the database cannot be written, or the session was removed.
    pub async fn hold(&self, session: SessionId, by: String, reason: String) -> Result<bool, KeepError> {
        let work = move |tx: &rusqlite::Transaction<'_>| {
            // It may have gone since somebody looked.
            let is_there = "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND removal IS NULL)";
            if !tx.query_row(is_there, [session.to_string()], |row| row.get::<_, bool>(0))? {
                return Ok(None);
            }
            let put = "INSERT INTO holds (session, reason, by, since_ms) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (session) DO NOTHING";
            let new = tx.execute(put, (session.to_string(), &reason, &by, WallMs::now().0))? == 1;
            if new {
                record(tx, "hold", Some(session), &by, &reason)?;
            }
            Ok(Some(new))
        };
        self.db.writer.write(work).await?.ok_or(KeepError::NoSession(session))
    }

    /// Ends a legal hold. False: there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn release(&self, session: SessionId, by: String, reason: String) -> Result<bool, KeepError> {
        let work = move |tx: &rusqlite::Transaction<'_>| {
            let gone = tx.execute("DELETE FROM holds WHERE session = ?1", [session.to_string()])? == 1;
            if gone {
                record(tx, "release", Some(session), &by, &reason)?;
            }
            Ok(gone)
        };
        Ok(self.db.writer.write(work).await?)
    }

    /// Writes an act down.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn note(
        &self,
        act: &'static str,
        session: Option<SessionId>,
        by: String,
        detail: String,
    ) -> Result<(), KeepError> {
        Ok(self.db.writer.write(move |tx| record(tx, act, session, &by, &detail)).await?)
    }

    /// All legal holds, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, KeepError> {
        let row = |row: &Row<'_>| {
            Ok(Hold { session: row.get(0)?, reason: row.get(1)?, by: row.get(2)?, since: WallMs(row.get(3)?) })
        };
        let sql = "SELECT session, reason, by, since_ms FROM holds ORDER BY since_ms, session";
        Ok(self.db.readers.read(move |c| c.prepare(sql)?.query_map([], row)?.collect()).await?)
    }

    /// The newest acts, the oldest of them first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn acts(&self) -> Result<Vec<Act>, KeepError> {
        let row = |row: &Row<'_>| {
            Ok(Act {
                time: WallMs(row.get(0)?),
                act: row.get(1)?,
                session: row.get(2)?,
                by: row.get(3)?,
                detail: row.get(4)?,
            })
        };
        let sql = "SELECT time_ms, act, session, by, detail FROM
                   (SELECT * FROM keeping ORDER BY id DESC LIMIT ?1) ORDER BY id";
        Ok(self.db.readers.read(move |c| c.prepare(sql)?.query_map([ACTS_MAX], row)?.collect()).await?)
    }
}

fn record(
    connection: &Connection,
    act: &str,
    session: Option<SessionId>,
    by: &str,
    detail: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO keeping (time_ms, act, session, by, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
    let session = session.map(|session| session.to_string());
    connection.execute(sql, (WallMs::now().0, act, session, by, detail)).map(|_| ())
}

/// How far a database is: for people, beside a copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Its epoch.
    pub epoch: String,
    /// How many sessions it has.
    pub sessions: i64,
    /// How many events.
    pub events: i64,
}

/// Reads a whole database's pages, and what is in it. `Err`: what is wrong with it.
fn inspect(path: &std::path::Path) -> Result<Extent, String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| error.to_string())?;
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
    let checked = text("PRAGMA quick_check(1)").map_err(|error| error.to_string())?;
    if checked != "ok" {
        return Err(checked);
    }
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let extent = || {
        let epoch = text("SELECT value FROM meta WHERE name = 'epoch'").optional()?.unwrap_or_default();
        // Older copies know nothing of removed ones.
        let sessions = number("SELECT count(*) FROM sessions WHERE removal IS NULL")
            .or_else(|_| number("SELECT count(*) FROM sessions"))?;
        let events = number("SELECT count(*) FROM events")?;
        Ok::<_, rusqlite::Error>(Extent { epoch, sessions, events })
    };
    extent().map_err(|error| format!("it is no breakglass log: {error}"))
}
