//! The record as it is read, page by page, newest first.

use rusqlite::{Connection, Row};
use serde::Serialize;

use crate::clock::WallMs;
use crate::db::{Db, ReadError};

/// A line as it is read: by `GET /api/access` and `breakglass access`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessLine {
    /// Its place: a later line has a higher one.
    pub key: i64,
    /// When: UTC, RFC 3339, milliseconds.
    pub time: String,
    /// What was done.
    pub what: String,
    /// Who did it.
    pub who: Option<String>,
    /// As what.
    pub role: Option<String>,
    /// By what kind of credential: `token`, `cookie`, `proxy`, or `local`.
    pub how: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// By what client.
    pub client: Option<String>,
    /// In which session.
    pub session: Option<String>,
    /// Which turn.
    pub turn: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<AccessLine> {
    Ok(AccessLine {
        key: row.get(0)?,
        time: WallMs(row.get(1)?).rfc3339(),
        what: row.get(2)?,
        who: row.get(3)?,
        role: row.get(4)?,
        how: row.get(5)?,
        address: row.get(6)?,
        client: row.get(7)?,
        session: row.get(8)?,
        turn: row.get(9)?,
        detail: row.get(10)?,
    })
}

/// A page of the record, newest first: the lines before `before`, or the newest.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(db: &Db, before: Option<i64>, limit: usize) -> Result<Vec<AccessLine>, ReadError> {
    let read = move |connection: &Connection| {
        let sql = "SELECT key, time_ms, what, who, role, how, address, client, session, turn, detail FROM access
                   WHERE key < ?1 ORDER BY key DESC LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map((before.unwrap_or(i64::MAX), limit as i64), read_line)?;
        rows.collect()
    };
    db.readers.read(read).await
}
