//! Drafts: an append's records and seals, made before its transaction by whoever appends, so that the writer's thread has
//! only to insert them.
//!
//! Invariant: a draft is taken only where the session's log ends, in the transaction, exactly where the draft begins. Else
//! somebody else has appended meanwhile, and the records are made there and then from the same events.

use std::sync::Arc;

use rusqlite::Transaction;

use super::append::{NewEvent, Place, Scribe};
use super::record::Envelope;
use super::seal::{Grown, Seal, Sealer, StoredTree};
use super::sessions::SessionKey;
use super::{Log, Shared};
use crate::clock::WallMs;
use crate::evidence::tree::Frontier;
use crate::frames::{Chunk, ChunkBuilder};
use crate::ids::Seq;

/// A published chunk is closed when it has grown to this, bytes: readers share chunks, and take them one by one.
const CHUNK_BYTES: usize = 128 << 10;

/// Where a session's log ends: all that its next record depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    head: Seq,
    /// The newest record's; no later one may have an earlier.
    time: WallMs,
    tree: StoredTree,
}

impl LogEnd {
    pub(super) fn read(tx: &Transaction<'_>, session: SessionKey) -> rusqlite::Result<Self> {
        let sql = "SELECT head, last_activity_ms, tree, tree_size FROM sessions WHERE key = ?1";
        tx.prepare_cached(sql)?.query_row([session], |row| {
            let (head, time, tree_size): (i64, _, i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
            let tree = StoredTree::new(tree_size as u64, row.get_ref(2)?.as_blob()?);
            Ok(Self { head: Seq(head as u64), time: WallMs(time), tree })
        })
    }

    /// Moves a session's log from this end to another one. False: it does not end here.
    pub(super) fn advance(&self, to: &Self, tx: &Transaction<'_>, session: SessionKey) -> rusqlite::Result<bool> {
        let sql = "UPDATE sessions SET head = ?2, last_activity_ms = ?3, tree = ?4, tree_size = ?5
                   WHERE key = ?1 AND head = ?6 AND last_activity_ms = ?7 AND tree = ?8 AND tree_size = ?9";
        let (to_head, head) = (to.head.0 as i64, self.head.0 as i64);
        let (to_size, size) = (to.tree.size() as i64, self.tree.size() as i64);
        let (to_tree, tree) = (to.tree.as_bytes(), self.tree.as_bytes());
        let row = (session, to_head, to.time.0, to_tree, to_size, head, self.time.0, tree, size);
        Ok(tx.prepare_cached(sql)?.execute(row)? == 1)
    }

    pub(super) fn head(&self) -> Seq {
        self.head
    }

    pub(super) fn time(&self) -> WallMs {
        self.time
    }

    pub(super) fn tree(&self) -> &StoredTree {
        &self.tree
    }
}

/// A record as it will be stored.
pub(super) struct Drafted {
    pub seq: Seq,
    pub kind: &'static str,
    pub record: String,
    pub seal: Option<Seal>,
}

/// The records of one append.
pub(super) struct Draft {
    /// Where the log must end for this to fit.
    pub begin: LogEnd,
    /// Where it will end then.
    pub end: LogEnd,
    /// The trees between that get a checkpoint.
    pub milestones: Vec<Frontier>,
    /// The incarnation of the log that seals them; a key of the database.
    pub epoch: Option<i64>,
    pub records: Vec<Drafted>,
    pub chunks: Vec<Chunk>,
}

impl Draft {
    pub(super) fn new(scribe: &Scribe, place: Place, begin: LogEnd, events: &[NewEvent]) -> rusqlite::Result<Self> {
        let time = WallMs::now().max(begin.time);
        let begin_seal = |sealing| Sealer::begin(sealing, place.session_id, begin.head, begin.tree.clone());
        let mut sealer = scribe.sealing.map(begin_seal);
        let envelope = Envelope::new(place.session_id, &time.rfc3339(), place.turn_id);
        let mut frames = Frames::new(begin.head.next());
        let mut head = begin.head;
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            head = head.next();
            let record = event.encoded.record(&envelope, head);
            let seal = sealer.as_mut().map(|sealer| sealer.seal(head, &record)).transpose()?;
            frames.push(&record);
            records.push(Drafted { seq: head, kind: event.encoded.kind, record, seal });
        }
        let (tree, milestones) = sealer.map_or_else(|| (begin.tree.clone(), Vec::new()), Sealer::finish);
        let end = LogEnd { head, time, tree };
        let epoch = scribe.sealing.map(|sealing| sealing.epoch_key);
        Ok(Self { begin, end, milestones, epoch, records, chunks: frames.finish() })
    }

    /// How the session's tree grows with it.
    pub(super) fn grown(&self) -> Grown {
        Grown { from: self.begin.tree.clone(), milestones: self.milestones.clone() }
    }
}

/// Events that are offered to the log, with their draft where one could be made.
#[derive(Clone)]
pub struct Offer {
    pub(super) events: Shared,
    pub(super) draft: Option<Arc<Draft>>,
}

impl Offer {
    /// Where the log will end if it takes the draft. `None`: there is none.
    pub fn end(&self) -> Option<&LogEnd> {
        self.draft.as_deref().map(|draft| &draft.end)
    }

    /// Whether it fits behind this end.
    pub fn fits(&self, end: Option<&LogEnd>) -> bool {
        self.draft.as_deref().map(|draft| &draft.begin) == end
    }

    /// What is offered.
    pub fn events(&self) -> Shared {
        self.events.clone()
    }

    /// The events alone: their time will be that of the append.
    #[must_use]
    pub fn undrafted(&self) -> Self {
        Self { events: self.events.clone(), draft: None }
    }
}

impl Log {
    /// Events to be appended; drafted here and now if it is known where the log will end by then. To know that wrongly is
    /// harmless.
    pub fn offer(&self, place: Place, events: Shared, end: Option<&LogEnd>) -> Offer {
        // Without random bytes there is no draft, and the append itself then says so.
        let draft = end.and_then(|end| Draft::new(&self.scribe, place, end.clone(), &events).ok());
        Offer { events, draft: draft.map(Arc::new) }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::Origin;
    use crate::db::Db;
    use crate::hub::Hub;
    use crate::ids::{PromptKey, SessionId};
    use crate::log::{Growth, NewSession, OpenTurn, Opened, Progress};
    use crate::protocol::event::Body;

    async fn turn(log: &Log) -> Place {
        let (id, word) = (SessionId::random(), || "test".to_owned());
        let new = NewSession { id, title: None, by: word(), agent: word(), model: word() };
        let session = log.create_session(new).await.unwrap().unwrap().0.key;
        let key = PromptKey::random();
        let origin = Origin { role: word(), how: word(), address: None, client: word() };
        let (by, agent, model) = (word(), word(), word());
        let turn = OpenTurn { session, session_id: id, key, text: word(), by, origin, agent, model };
        match log.open_turn(turn).await.unwrap() {
            Opened::New { place, .. } => place,
            Opened::Known(_) => panic!("a new key is not known"),
        }
    }

    fn events(count: usize) -> Shared {
        (0..count).map(|number| NewEvent::from(&Body::Text { text: number.into() })).collect()
    }

    /// What an import knows of the log's end when it makes its draft.
    #[derive(Debug, Clone, Copy)]
    enum Knows {
        Nothing,
        TheTruth,
        /// Somebody else appends between the draft and the import.
        WhatWas,
    }

    async fn import(log: &Log, place: Place, steps: Vec<(usize, Knows)>) -> usize {
        let (mut end, mut written) = (None, 1);
        for (count, knows) in steps {
            let known = if matches!(knows, Knows::Nothing) { None } else { end.as_ref() };
            let offer = log.offer(place, events(count), known);
            if matches!(knows, Knows::WhatWas) {
                log.note(place, &events(1)).await.unwrap();
                written += 1;
            }
            let progress = Progress { spool_bytes: 1, started: None, result_is_error: None, masked: 0 };
            let now = log.import(place, offer, progress).await.unwrap();
            assert_eq!(now.is_some(), count > 0, "an end is said when something was added");
            end = now.or(end);
            written += count;
        }
        written
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn whatever_a_draft_was_made_for_the_log_has_every_event_once_and_its_tree_fits(
            steps in prop::collection::vec(
                (0usize..5, prop_oneof![Just(Knows::Nothing), Just(Knows::TheTruth), Just(Knows::WhatWas)]), 1..12),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let dir = tempfile::tempdir().unwrap();
                let db = Db::open(&dir.path().join("log.db")).unwrap();
                let log = Log::open(db, Hub::default(), &dir.path().join("mark")).await.unwrap();
                let place = turn(&log).await;
                let written = import(&log, place, steps).await as u64;
                let stored = log.session_tree(place.session).await.unwrap().unwrap();
                let leaves = log.leaves(place.session, 0, u64::MAX >> 1).await.unwrap();
                assert_eq!((leaves.len() as u64, stored.size), (written, written));
                let mut tree = Frontier::default();
                leaves.into_iter().for_each(|leaf| tree.push(leaf));
                log.due().mark(place.session);
                let Some(Growth::Followed { trees, .. }) = log.due().hand_out(place.session) else {
                    panic!("nobody else changed the database")
                };
                assert_eq!((stored.tree.as_ref(), trees.last()), (Some(&tree), Some(&tree)));
            });
        }
    }
}
