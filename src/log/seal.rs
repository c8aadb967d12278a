//! Sealing: each record's commitment, and its leaf in its session's tree, in the transaction that appends it.
//!
//! Invariant: a session's tree holds its records' leaves in seq order and no others. A tree that does not fit its session
//! any more (somebody edited the database) is left as it is, which every check then shows: in an emergency the log goes on.

use rusqlite::{Connection, Transaction};

use super::sessions::{SessionKey, parse_id};
use crate::evidence::leaf::{self, SALT_BYTES, Salt};
use crate::evidence::tree::{Frontier, Hash};
use crate::ids::{Epoch, Seq, SessionId};

/// Records that are sealed after the fact in one go, so that memory is bounded.
const BACKFILL_RECORDS: i64 = 1_000;

/// With what new records are sealed: the present incarnation of the log, and its key in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealing {
    pub epoch: Epoch,
    pub epoch_key: i64,
}

/// What is stored beside a record.
pub(super) struct Seal {
    pub salt: Salt,
    pub commitment: Hash,
}

/// Seals a run of one session's records.
pub(super) struct Sealer {
    sealing: Sealing,
    session: SessionId,
    salts: Vec<Salt>,
    tree: Option<Frontier>,
}

impl Sealer {
    /// For so many records behind `head`; the tree as it is stored.
    pub(super) fn begin(
        sealing: Sealing,
        session: SessionId,
        count: usize,
        head: Seq,
        (tree_size, tree): (u64, &[u8]),
    ) -> rusqlite::Result<Self> {
        let mut random = vec![0; count * SALT_BYTES];
        getrandom::fill(&mut random).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let salts = random.as_chunks().0.to_vec();
        let tree = Frontier::from_bytes(tree_size, tree).filter(|tree| tree.size() == head.0);
        if tree.is_none() {
            tracing::error!(session.id = %session, tree_size, head = head.0,
                "the evidence of a session is damaged: its tree does not fit its log, which goes on without");
        }
        Ok(Self { sealing, session, salts, tree })
    }

    /// Seals the next record.
    pub(super) fn seal(&mut self, seq: Seq, record: &str) -> Seal {
        let salt = self.salts.pop().unwrap_or_default();
        let commitment = leaf::commitment(&salt, record.as_bytes());
        if let Some(tree) = &mut self.tree {
            tree.push(leaf::of_record(self.sealing.epoch, self.session, seq, &commitment));
        }
        Seal { salt, commitment }
    }

    /// The tree with what was sealed; none if it did not fit.
    pub(super) fn finish(self) -> Option<Frontier> {
        self.tree
    }
}

/// Sessions whose logs are longer than their trees: from before there was evidence.
pub(super) fn unsealed(connection: &Connection) -> rusqlite::Result<Vec<SessionKey>> {
    connection.prepare("SELECT key FROM sessions WHERE tree_size < head")?.query_map([], |row| row.get(0))?.collect()
}

/// Seals what a session's log has beyond its tree. What has a seal already keeps it.
pub(super) fn backfill(tx: &Transaction<'_>, sealing: Sealing, key: SessionKey) -> rusqlite::Result<()> {
    let sql = "SELECT id, tree, tree_size, head FROM sessions WHERE key = ?1";
    let (session, tree, size, head): (SessionId, Vec<u8>, i64, i64) = tx
        .prepare_cached(sql)?
        .query_row([key], |row| Ok((parse_id(row, 0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let mut from = size;
    let mut sealer = Sealer::begin(sealing, session, 0, Seq(size as u64), (size as u64, &tree))?;
    while from < head && sealer.tree.is_some() {
        let rows = unsealed_records(tx, key, from)?;
        let Some((last, _, _)) = rows.last() else { break };
        from = *last;
        let mut random = vec![0; rows.len() * SALT_BYTES];
        getrandom::fill(&mut random).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        sealer.salts = random.as_chunks().0.to_vec();
        for (seq, record, sealed) in rows {
            let seal = sealer.seal(Seq(seq as u64), &record);
            if sealed {
                // Its own commitment is another: the tree cannot be continued by guessing.
                return Ok(());
            }
            tx.prepare_cached(
                "UPDATE events SET epoch = ?3, salt = ?4, commitment = ?5 WHERE session = ?1 AND seq = ?2",
            )?
            .execute((key, seq, sealing.epoch_key, seal.salt, seal.commitment))?;
        }
    }
    let Some(tree) = sealer.finish() else { return Ok(()) };
    tx.prepare_cached("UPDATE sessions SET tree = ?2, tree_size = ?3 WHERE key = ?1")?.execute((
        key,
        tree.to_bytes(),
        tree.size() as i64,
    ))?;
    Ok(())
}

fn unsealed_records(tx: &Transaction<'_>, key: SessionKey, after: i64) -> rusqlite::Result<Vec<(i64, String, bool)>> {
    tx.prepare_cached(
        "SELECT seq, record, commitment IS NOT NULL FROM events WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?
    .query_map((key, after, BACKFILL_RECORDS), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
    .collect()
}
