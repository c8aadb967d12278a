//! Records with their seals, and where a session's checkpoint stands in the gateway's own tree: what a bundle takes along.

use rusqlite::{Connection, OptionalExtension, Row};

use super::page::PageLimits;
use super::sessions::{SessionKey, parse_id};
use super::{Log, LogError};
use crate::evidence::leaf::Salt;
use crate::evidence::tree::Hash;
use crate::ids::{Epoch, Seq, SessionId};

/// Checkpoints in one read.
const CHECKPOINTS_PAGE: i64 = 1_000;

/// A record and what is stored beside it.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its place.
    pub seq: Seq,
    /// The record, or the stub that stands for it.
    pub record: String,
    /// In which incarnation of the log it was made.
    pub epoch: Epoch,
    /// `None`: it was redacted.
    pub salt: Option<Salt>,
    /// What stands for it in the tree.
    pub commitment: Hash,
}

/// A checkpoint's number in the gateway's own tree, from 1, and the whole note.
type Numbered = (u64, String);

impl Log {
    /// Records behind `after` with their seals; each page as large as `limits` says.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn sealed_after(
        &self,
        session: SessionKey,
        after: Seq,
        limits: PageLimits,
    ) -> Result<Vec<Sealed>, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT e.seq, e.record, p.id, e.salt, e.commitment FROM events e
                       JOIN epochs p ON p.key = e.epoch WHERE e.session = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query((session, after.0 as i64, limits.events_max as i64))?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let seq = Seq(row.get::<_, i64>(0)? as u64);
                let sealed = Sealed {
                    seq,
                    record: row.get(1)?,
                    epoch: parse_id(row, 2)?,
                    salt: row.get(3)?,
                    commitment: row.get(4)?,
                };
                bytes += sealed.record.len();
                page.push(sealed);
                if bytes >= limits.bytes_max {
                    break;
                }
            }
            Ok(page)
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// The session's checkpoints behind the one with this number, up to a size: as many as one read brings.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn checkpoints_after(
        &self,
        session: SessionId,
        after: u64,
        until: Seq,
    ) -> Result<Vec<Numbered>, LogError> {
        let read = move |connection: &Connection| {
            let sql =
                "SELECT id, note FROM checkpoints WHERE session = ?1 AND id > ?2 AND size <= ?3 ORDER BY id LIMIT ?4";
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?));
            connection
                .prepare_cached(sql)?
                .query_map((session.to_string(), after as i64, until.0 as i64, CHECKPOINTS_PAGE), row)?
                .collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// The newest signed head of the gateway's own tree, and how many checkpoints it covers.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn newest_gateway_head(&self) -> Result<Option<Numbered>, LogError> {
        let read = |connection: &Connection| {
            let sql = "SELECT size, note FROM heads ORDER BY id DESC LIMIT 1";
            let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?));
            connection.prepare_cached(sql)?.query_row([], row).optional()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// How many checkpoints there are.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn checkpoint_count(&self) -> Result<u64, LogError> {
        let read = |connection: &Connection| {
            let sql = "SELECT coalesce(max(id), 0) FROM checkpoints";
            connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))
        };
        Ok(self.db.readers.read(read).await? as u64)
    }
}
