//! Which sessions want a new checkpoint.
//!
//! Invariant: a session that is due stays due until it is taken. Knows nothing of who signs, or how.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::sessions::SessionKey;

/// A tree that has grown by so many leaves gets a checkpoint, also in the middle of a turn.
const LEAVES: u64 = 1_000;

/// The sessions that are due. Clones are handles to the same ones.
#[derive(Clone, Default)]
pub struct Due {
    sessions: Arc<Mutex<BTreeSet<SessionKey>>>,
    wake: watch::Sender<()>,
}

impl Due {
    /// A tree has this size now, and has just grown by so many leaves.
    pub(super) fn grown(&self, session: SessionKey, size: u64, by: u64) {
        if size / LEAVES != (size - by.min(size)) / LEAVES {
            self.mark(session);
        }
    }

    /// The session is due: its turn has ended.
    pub(super) fn mark(&self, session: SessionKey) {
        self.lock().insert(session);
        self.wake.send_replace(());
    }

    /// The sessions that are due, which then are no more.
    pub fn take(&self) -> BTreeSet<SessionKey> {
        std::mem::take(&mut *self.lock())
    }

    /// Wakes when a session becomes due; one that becomes so between two looks is never missed.
    pub fn follow(&self) -> watch::Receiver<()> {
        self.wake.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<SessionKey>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
