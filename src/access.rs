//! Who came: a record of its own, beside the log, of sign-ins, attachments, exports, prompts, stops and changed tokens.
//!
//! Invariant: writing it never makes anybody wait: entries go through a bounded queue of their own, and when that overflows,
//! or the disk is full for long, the record says how many are missing. It holds nothing that anybody said, and no credential.
//! Knows nothing of how people are known; whoever does hands entries in.

mod entry;
mod page;

pub use entry::{Entry, Origin, Visit, What, insert};
pub use page::{AccessLine, page};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::db::{Db, ReadError, WriteError};
use crate::ids::SessionId;

/// Entries that wait to be written.
const QUEUE: usize = 4_096;
/// Entries written at a time.
const BATCH: usize = 256;
/// Between two tries while the disk is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Entries kept; older ones go. Some 200 MB.
const ROWS_MAX: i64 = 1_000_000;
/// The same person looks at the same session from the same address: once in so long is enough.
const SAME_LOOK: Duration = Duration::from_secs(60);
/// Looks that are remembered for that.
const LOOKS_MAX: usize = 4_096;

type Looks = HashMap<(What, String, Option<SessionId>), Instant>;

/// The record's writing end. Clones write the same one.
#[derive(Clone)]
pub struct Access {
    db: Db,
    queue: mpsc::Sender<Entry>,
    lost: Arc<AtomicU64>,
    looks: Arc<Mutex<Looks>>,
}

/// A deed that was begun. Whoever goes before it is answered, so that nobody is there to say how it went, is on record too.
#[must_use = "an answer that came is said with `answered`"]
pub struct Begun {
    access: Access,
    entry: Option<Entry>,
}

impl Begun {
    /// The answer came: what it was is recorded by whoever has it.
    pub fn answered(mut self) {
        self.entry = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.access.record(entry.saying("the client went before the answer"));
        }
    }
}

/// Takes entries out of the queue; to be run as a task.
pub struct Recorder {
    db: Db,
    queue: mpsc::Receiver<Entry>,
    lost: Arc<AtomicU64>,
}

/// A record in this database, and what writes it.
pub fn open(db: Db) -> (Access, Recorder) {
    let (queue, entries) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let access = Access { db: db.clone(), queue, lost: Arc::clone(&lost), looks: Arc::default() };
    (access, Recorder { db, queue: entries, lost })
}

impl Access {
    /// Puts an entry on record; never waits. A look that was recorded a moment ago is not recorded again.
    pub fn record(&self, entry: Entry) {
        if entry.what.is_look() && !self.is_new_look(&entry) {
            return;
        }
        if self.queue.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Somebody begins with something that may come about also when they go before the answer.
    pub fn begin(&self, entry: Entry) -> Begun {
        Begun { access: self.clone(), entry: Some(entry) }
    }

    fn is_new_look(&self, entry: &Entry) -> bool {
        let address = entry.address.map_or_else(String::new, |address| address.to_string());
        let who = format!("{}@{address}", entry.who.as_deref().unwrap_or_default());
        // A panic leaves a map of whole entries.
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKS_MAX {
            looks.retain(|_, seen| seen.elapsed() < SAME_LOOK);
        }
        if looks.len() >= LOOKS_MAX {
            looks.clear();
        }
        let seen = looks.insert((entry.what, who, entry.session), Instant::now());
        seen.is_none_or(|seen| seen.elapsed() >= SAME_LOOK)
    }

    /// A page of the record, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn page(&self, before: Option<i64>, limit: usize) -> Result<Vec<AccessLine>, ReadError> {
        page(&self.db, before, limit).await
    }
}

impl Recorder {
    /// Writes until the gateway stops, and then what is left.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                taken = self.queue.recv_many(&mut batch, BATCH) => taken,
                () = stopping.cancelled() => {
                    while let Ok(entry) = self.queue.try_recv() {
                        batch.push(entry);
                    }
                    self.write(&batch).await;
                    return;
                }
            };
            if taken == 0 {
                return;
            }
            while self.write(&batch).await == Written::Later
                && stopping.run_until_cancelled(tokio::time::sleep(RETRY_AFTER)).await.is_some()
            {}
            batch.clear();
        }
    }

    async fn write(&self, batch: &[Entry]) -> Written {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let mut entries = batch.to_vec();
        if lost > 0 {
            entries.push(Entry::local(What::Lost).saying(format!("{lost} entries could not be written")));
        }
        let written = self.db.writer.write(move |tx| {
            for entry in &entries {
                insert(tx, entry)?;
            }
            tx.execute("DELETE FROM access WHERE key <= (SELECT max(key) FROM access) - ?1", [ROWS_MAX]).map(|_| ())
        });
        match written.await {
            Ok(()) => Written::Now,
            Err(WriteError::Unavailable { .. }) => {
                self.lost.fetch_add(lost, Ordering::Relaxed);
                Written::Later
            }
            Err(error) => {
                tracing::error!(%error, entries = batch.len(), "the access record cannot be written");
                Written::Never
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Written {
    Now,
    Later,
    Never,
}

#[cfg(test)]
#[path = "access/tests.rs"]
mod tests;
