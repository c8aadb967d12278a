//! Sealing: each record's commitment, and its leaf in its session's tree, in the transaction that appends it.
//!
//! Invariant: a session's tree holds its records' leaves in seq order and no others. A tree that does not fit its session
//! any more (somebody edited the database) is left as it is, which every check then shows: in an emergency the log goes on.

use rusqlite::{Connection, Transaction};

use super::salts;
use super::sessions::{SessionKey, parse_id};
use crate::evidence::leaf::{self, Salt};
use crate::evidence::tree::{Frontier, Hash};
use crate::ids::{Epoch, Seq, SessionId};

/// Records that are sealed after the fact in one go, so that memory is bounded.
const BACKFILL_RECORDS: i64 = 1_000;

/// A tree gets a checkpoint at every multiple of this, also in the middle of a turn.
const MILESTONE_LEAVES: u64 = 1_000;

/// With what new records are sealed: the present incarnation of the log, and its key in the database.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealing {
    pub epoch: Epoch,
    pub epoch_key: i64,
}

/// A session's tree, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredTree {
    Whole(Frontier),
    /// These bytes are not the right edge of a tree of this size.
    Damaged {
        bytes: Vec<u8>,
        size: u64,
    },
}

impl StoredTree {
    pub(super) fn new(size: u64, bytes: &[u8]) -> Self {
        let tree = Frontier::from_bytes(size, bytes).map(Self::Whole);
        tree.unwrap_or_else(|| Self::Damaged { bytes: bytes.to_vec(), size })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Whole(tree) => tree.as_bytes(),
            Self::Damaged { bytes, .. } => bytes,
        }
    }

    /// How many leaves it has, or is said to have.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Whole(tree) => tree.size(),
            Self::Damaged { size, .. } => *size,
        }
    }
}

/// What is stored beside a record.
pub(super) struct Seal {
    pub salt: Salt,
    pub commitment: Hash,
}

/// How a session's tree got where it is.
#[derive(Debug, Clone)]
pub(super) struct Grown {
    pub from: StoredTree,
    /// The trees on the way that get a checkpoint.
    pub milestones: Vec<Frontier>,
}

/// Seals a run of one session's records.
pub(super) struct Sealer {
    sealing: Sealing,
    session: SessionId,
    tree: StoredTree,
    milestones: Vec<Frontier>,
}

impl Sealer {
    /// For the records behind `head`.
    pub(super) fn begin(sealing: Sealing, session: SessionId, head: Seq, tree: StoredTree) -> Self {
        if tree.size() != head.0 || matches!(tree, StoredTree::Damaged { .. }) {
            tracing::error!(session.id = %session, tree_size = tree.size(), head = head.0,
                "the evidence of a session is damaged: its tree does not fit its log, which goes on without");
        }
        Self { sealing, session, tree, milestones: Vec::new() }
    }

    /// Seals the next record. A tree that ends elsewhere does not get it.
    pub(super) fn seal(&mut self, seq: Seq, record: &str) -> rusqlite::Result<Seal> {
        let salt = salts::draw()?;
        let commitment = leaf::commitment(&salt, record.as_bytes());
        if let StoredTree::Whole(tree) = &mut self.tree
            && seq == Seq(tree.size()).next()
        {
            tree.push(leaf::of_record(self.sealing.epoch, self.session, seq, &commitment));
            if tree.size().is_multiple_of(MILESTONE_LEAVES) {
                self.milestones.push(tree.clone());
            }
        }
        Ok(Seal { salt, commitment })
    }

    /// The tree with what was sealed, and the milestones on the way to it.
    pub(super) fn finish(self) -> (StoredTree, Vec<Frontier>) {
        (self.tree, self.milestones)
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
    let mut sealer = Sealer::begin(sealing, session, Seq(size as u64), StoredTree::new(size as u64, &tree));
    while from < head && matches!(sealer.tree, StoredTree::Whole(_)) {
        let rows = unsealed_records(tx, key, from)?;
        let Some((last, _, _)) = rows.last() else { break };
        from = *last;
        for (seq, record, sealed) in rows {
            let seal = sealer.seal(Seq(seq as u64), &record)?;
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
    let (tree, _) = sealer.finish();
    tx.prepare_cached("UPDATE sessions SET tree = ?2, tree_size = ?3 WHERE key = ?1")?.execute((
        key,
        tree.as_bytes(),
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
