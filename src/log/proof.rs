//! What the signer asks the log: trees, leaves, and where signed heads are kept.
//!
//! Invariant: a tree and its size are read in one snapshot; checkpoints are added, never changed. Knows no keys.

use rusqlite::{Connection, OptionalExtension};

use super::sessions::{SessionKey, parse_id};
use super::{Log, LogError};
use crate::evidence::leaf;
use crate::evidence::tree::{Frontier, Hash};
use crate::ids::{Epoch, Seq, SessionId};

/// Leaves in one read: 128 KiB.
const LEAVES_PAGE: i64 = 4_096;
/// Signed heads in one read.
const HEADS_PAGE: i64 = 1_000;

/// A session's tree, as it stands in the database.
#[derive(Debug, Clone)]
pub struct SessionTree {
    /// Whose.
    pub session: SessionId,
    /// `None`: what is stored is not a tree of this size.
    pub tree: Option<Frontier>,
    /// How many leaves it is said to have.
    pub size: u64,
    /// How many of them stand under a checkpoint that the database has.
    pub signed_size: u64,
}

/// Signed heads of sessions, in the order in which they were signed.
#[derive(Debug, Clone)]
pub struct HeadPage {
    /// The whole notes.
    pub notes: Vec<String>,
}

fn leaves(connection: &Connection, key: SessionKey, after: u64, until: u64) -> rusqlite::Result<Vec<Hash>> {
    let sql = "SELECT e.seq, e.commitment, p.id, s.id FROM events e JOIN sessions s ON s.key = e.session
               JOIN epochs p ON p.key = e.epoch WHERE e.session = ?1 AND e.seq > ?2 AND e.seq <= ?3
               ORDER BY e.seq LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((key, after as i64, until as i64, LEAVES_PAGE))?;
    let mut leaves = Vec::new();
    while let Some(row) = rows.next()? {
        let (epoch, session): (Epoch, SessionId) = (parse_id(row, 2)?, parse_id(row, 3)?);
        leaves.push(leaf::of_record(epoch, session, Seq(row.get::<_, i64>(0)? as u64), &row.get(1)?));
    }
    Ok(leaves)
}

impl Log {
    /// Sessions whose newest records stand under no checkpoint.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn unsigned_sessions(&self) -> Result<Vec<SessionKey>, LogError> {
        let read = |connection: &Connection| {
            let sql = "SELECT key FROM sessions WHERE signed_size < tree_size AND removal IS NULL";
            connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// A session's tree. `None`: there is no such session, or it was removed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn session_tree(&self, key: SessionKey) -> Result<Option<SessionTree>, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT id, tree_size, tree, signed_size FROM sessions WHERE key = ?1 AND removal IS NULL";
            connection
                .prepare_cached(sql)?
                .query_row([key], |row| {
                    let size = row.get::<_, i64>(1)? as u64;
                    let tree = Frontier::from_bytes(size, row.get_ref(2)?.as_blob()?);
                    let signed_size = row.get::<_, i64>(3)? as u64;
                    Ok(SessionTree { session: parse_id(row, 0)?, tree, size, signed_size })
                })
                .optional()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// How many leaves the tree of the session with this id has; `None`: there is no such session.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn tree_size(&self, session: SessionId) -> Result<Option<u64>, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT tree_size FROM sessions WHERE id = ?1 AND removal IS NULL";
            connection.prepare_cached(sql)?.query_row([session.to_string()], |row| row.get::<_, i64>(0)).optional()
        };
        Ok(self.db.readers.read(read).await?.map(|size| size as u64))
    }

    /// The leaves behind `after` up to `until`, made from what is stored beside the records: as many as one read brings.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn leaves(&self, key: SessionKey, after: u64, until: u64) -> Result<Vec<Hash>, LogError> {
        Ok(self.db.readers.read(move |connection| leaves(connection, key, after, until)).await?)
    }

    /// The newest signed head of a session that the database has.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn newest_checkpoint(&self, session: SessionId) -> Result<Option<String>, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT note FROM checkpoints WHERE session = ?1 ORDER BY size DESC LIMIT 1";
            connection.prepare_cached(sql)?.query_row([session.to_string()], |row| row.get(0)).optional()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Keeps signed heads of a session, the smallest first: each one's size and the whole note.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn add_checkpoints(
        &self,
        key: SessionKey,
        session: SessionId,
        heads: Vec<(u64, String)>,
    ) -> Result<(), LogError> {
        let work = move |tx: &rusqlite::Transaction<'_>| {
            for (size, note) in &heads {
                let add = "INSERT INTO checkpoints (session, size, note) VALUES (?1, ?2, ?3)";
                tx.prepare_cached(add)?.execute((session.to_string(), *size as i64, note))?;
            }
            let newest = heads.last().map(|(size, _)| *size as i64);
            tx.prepare_cached("UPDATE sessions SET signed_size = coalesce(?2, signed_size) WHERE key = ?1")?
                .execute((key, newest))
        };
        self.db.writer.write(work).await?;
        Ok(())
    }

    /// Sessions' signed heads behind the first `after`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn heads_after(&self, after: u64) -> Result<HeadPage, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT note FROM checkpoints WHERE id > ?1 ORDER BY id LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let notes = statement.query_map((after as i64, HEADS_PAGE), |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(HeadPage { notes })
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// The newest signed head of the gateway's own tree that the database has.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn newest_head(&self) -> Result<Option<String>, LogError> {
        let read = |connection: &Connection| {
            let sql = "SELECT note FROM heads ORDER BY id DESC LIMIT 1";
            connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Keeps a signed head of the gateway's own tree.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn add_head(&self, size: u64, note: String) -> Result<(), LogError> {
        let add = "INSERT INTO heads (size, note) VALUES (?1, ?2)";
        self.db.writer.write(move |tx| tx.prepare_cached(add)?.execute((size as i64, note))).await?;
        Ok(())
    }
}
