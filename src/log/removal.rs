//! A whole session that goes: hidden and signed away in one step, then taken away in small ones.
//!
//! Invariant: from the commit that hides it nobody is shown anything of the session, and nothing is added to it; that commit
//! holds the signed note that says so. Its records then go from the newest back, a bounded piece a transaction, so that what
//! is left at any moment is the beginning of what was signed. The rows of the session and of its turns stay without what
//! they said: neither an id nor a prompt's key is ever used twice. Knows no keys, and no files.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::sessions::{SessionKey, parse_id};
use super::{Log, LogError};
use crate::evidence::tree::Frontier;
use crate::ids::{SessionId, TurnId};

/// Records that go in one transaction, at most,
const RECORDS_MAX: i64 = 200;
/// and bytes of them after which no further one does: those who write meanwhile wait for one such piece.
const RECORD_BYTES_MAX: i64 = 256 << 10;
/// Turns that are read, or emptied, in one go.
const TURNS_PAGE: i64 = 200;
/// Removals in one read.
const REMOVED_PAGE: i64 = 100;

/// What must still be so when a session goes; else it stays.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// Its key.
    pub session: SessionKey,
    /// When it was last active, as it was found.
    pub last_activity_ms: i64,
}

/// A session that was removed, of which there may be something left.
#[derive(Debug, Clone)]
pub struct Removed {
    /// The number of the signed note that says so, among the checkpoints.
    pub number: i64,
    /// Its key.
    pub key: SessionKey,
    /// The session.
    pub session: SessionId,
    /// That note.
    pub note: String,
    /// Its tree, as it was then. `None`: what is stored is none.
    pub tree: Option<Frontier>,
}

/// A turn whose files may be left.
#[derive(Debug, Clone, Copy)]
pub struct LeftTurn {
    key: i64,
    /// The turn.
    pub turn: TurnId,
    /// How often its agent was started.
    pub attempts: u32,
}

impl LeftTurn {
    /// Where the next page begins.
    pub fn cursor(&self) -> i64 {
        self.key
    }
}

/// The session with the newest record stays: the count of records ever must not fall ([`super::epoch`] takes that for an older
/// copy), nor may a record's number be given again.
const HIDE: &str = "UPDATE sessions SET removal = (SELECT coalesce(max(id), 0) + 1 FROM checkpoints)
    WHERE key = ?1 AND removal IS NULL AND running_turn IS NULL AND head = ?2 AND last_activity_ms = ?3
    AND NOT EXISTS (SELECT 1 FROM holds WHERE holds.session = sessions.id)
    AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.session = sessions.key AND ended_ms IS NULL)
    AND NOT EXISTS (SELECT 1 FROM redactions WHERE redactions.session = sessions.key AND outcome IS NULL)
    AND key IS NOT (SELECT session FROM events ORDER BY id DESC LIMIT 1)
    RETURNING id, removal";

impl Log {
    /// Hides a session for good, with the signed note that says so. `also`: what else commits with it. False: something was
    /// not as it must be (somebody holds it, it is at work, it holds the newest record of all), and it stays.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn hide_removed(
        &self,
        condition: Condition,
        size: u64,
        note: String,
        also: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<bool, LogError> {
        let hub = self.hub.clone();
        let work = move |tx: &Transaction<'_>| {
            let row = |row: &Row<'_>| Ok((parse_id::<SessionId>(row, 0)?, row.get::<_, i64>(1)?));
            let hidden = (condition.session, size as i64, condition.last_activity_ms);
            let Some((id, number)) = tx.prepare_cached(HIDE)?.query_row(hidden, row).optional()? else {
                return Ok(None);
            };
            let add = "INSERT INTO checkpoints (id, session, size, note) VALUES (?1, ?2, ?3, ?4)";
            tx.prepare_cached(add)?.execute((number, id.to_string(), size as i64, note))?;
            also(tx)?;
            Ok(Some(id))
        };
        let publish = move |hidden: &Option<SessionId>| {
            if let Some(session) = hidden {
                hub.forget(*session);
                hub.touch(*session);
            }
        };
        Ok(self.db.writer.write_then(work, publish).await?.is_some())
    }

    /// A session that was removed; `None`: it was not.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn removed(&self, session: SessionId) -> Result<Option<Removed>, LogError> {
        let read = move |connection: &Connection| {
            let sql = format!("{REMOVED} WHERE s.id = ?1");
            connection.prepare_cached(&sql)?.query_row([session.to_string()], read_removed).optional()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Removed sessions behind a number (0 at first) of which something may be left: as many as one read brings.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn removals_under_way(&self, after: i64) -> Result<Vec<Removed>, LogError> {
        let read = move |connection: &Connection| {
            let sql = format!("{REMOVED} WHERE s.removal > ?1 AND s.cleared = 0 ORDER BY s.removal LIMIT ?2");
            connection.prepare_cached(&sql)?.query_map((after, REMOVED_PAGE), read_removed)?.collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Takes away some of a removed session's records, the newest first. False: none is left.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn remove_records(&self, session: SessionKey) -> Result<bool, LogError> {
        let work = move |tx: &Transaction<'_>| {
            let sql = "SELECT e.id, octet_length(e.record) FROM events e JOIN sessions s ON s.key = e.session
                       WHERE e.session = ?1 AND s.removal IS NOT NULL ORDER BY e.seq DESC LIMIT ?2";
            let mut statement = tx.prepare_cached(sql)?;
            let mut rows = statement.query((session, RECORDS_MAX))?;
            let (mut ids, mut bytes) = (Vec::<i64>::new(), 0);
            while let Some(row) = rows.next()? {
                ids.push(row.get(0)?);
                bytes += row.get::<_, i64>(1)?;
                if bytes >= RECORD_BYTES_MAX {
                    break;
                }
            }
            let mut delete = tx.prepare_cached("DELETE FROM events WHERE id = ?1")?;
            for id in &ids {
                delete.execute([id])?;
            }
            Ok(!ids.is_empty())
        };
        Ok(self.db.writer.write(work).await?)
    }

    /// The turns of a session behind a cursor (0 at first): as many as one read brings.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn left_turns(&self, session: SessionKey, after: i64) -> Result<Vec<LeftTurn>, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT key, id, attempt FROM turns WHERE session = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
            let row = |row: &Row<'_>| Ok(LeftTurn { key: row.get(0)?, turn: parse_id(row, 1)?, attempts: row.get(2)? });
            connection.prepare_cached(sql)?.query_map((session, after, TURNS_PAGE), row)?.collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Empties what the rows of a removed session say, after its records have gone: what stays is the ids, the prompts' keys
    /// and when.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn clear_removed(&self, session: SessionKey) -> Result<(), LogError> {
        // A hash of a short text is as good as the text.
        let empty =
            "UPDATE turns SET prompt_sha256 = zeroblob(32), by = '', agent = '', model = '', cancelled_by = NULL, origin = NULL
                     WHERE key IN (SELECT key FROM turns WHERE session = ?1 AND agent <> '' LIMIT ?2)";
        loop {
            let work = move |tx: &Transaction<'_>| tx.prepare_cached(empty)?.execute((session, TURNS_PAGE));
            if self.db.writer.write(work).await? == 0 {
                break;
            }
        }
        let work = move |tx: &Transaction<'_>| {
            tx.prepare_cached("DELETE FROM redactions WHERE session = ?1")?.execute([session])?;
            tx.prepare_cached(
                "UPDATE sessions SET title = '', created_by = '', agent = '', model = '', conversation = NULL,
                 last_outcome = NULL, head = 0, tree = x'', tree_size = 0, signed_size = 0, cleared = 1
                 WHERE key = ?1 AND removal IS NOT NULL",
            )?
            .execute([session])
        };
        self.db.writer.write(work).await?;
        Ok(())
    }
}

const REMOVED: &str = "SELECT s.key, s.id, c.note, s.tree_size, s.tree, s.removal FROM sessions s
    JOIN checkpoints c ON c.id = s.removal";

fn read_removed(row: &Row<'_>) -> rusqlite::Result<Removed> {
    let tree = Frontier::from_bytes(row.get::<_, i64>(3)? as u64, row.get_ref(4)?.as_blob()?);
    Ok(Removed { number: row.get(5)?, key: row.get(0)?, session: parse_id(row, 1)?, note: row.get(2)?, tree })
}
