//! Which sessions somebody uses, and which are claimed for their removal.
//!
//! Invariant: a session is used, claimed or neither; one that is claimed is not used before that is decided. What is used
//! lives as long as somebody holds it: this holds nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::ids::SessionId;

/// Wakes, by its sender's end, when it is decided what becomes of a claimed session.
pub(super) type Decided = watch::Receiver<()>;

enum Entry<L> {
    Used(Weak<L>),
    Claimed(Decided),
}

/// The sessions. `L` is what stands for one that is used.
pub(super) struct Used<L>(Mutex<HashMap<SessionId, Entry<L>>>);

/// Keeps a session that nobody uses from being used, until dropped.
pub struct Claim<L> {
    id: SessionId,
    used: Weak<Used<L>>,
    _decided: watch::Sender<()>,
}

impl<L> Default for Used<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L> Used<L> {
    /// A session that is used.
    pub(super) fn get(&self, id: SessionId) -> Option<Arc<L>> {
        living(self.lock().get(&id))
    }

    /// All that are used.
    pub(super) fn all(&self) -> Vec<Arc<L>> {
        self.lock().values().filter_map(|entry| living(Some(entry))).collect()
    }

    /// A session that is used; if it is not, what `begin` makes of it. `Err`: it is claimed.
    pub(super) fn get_or(&self, id: SessionId, begin: impl FnOnce() -> Arc<L>) -> Result<Arc<L>, Decided> {
        let mut entries = self.lock();
        let entry = entries.get(&id);
        if let Some(Entry::Claimed(decided)) = entry {
            return Err(decided.clone());
        }
        if let Some(used) = living(entry) {
            return Ok(used);
        }
        let used = begin();
        entries.insert(id, Entry::Used(Arc::downgrade(&used)));
        Ok(used)
    }

    /// Claims a session; `None`: it is used, or claimed.
    pub(super) fn claim(self: &Arc<Self>, id: SessionId) -> Option<Claim<L>> {
        let mut entries = self.lock();
        let entry = entries.get(&id);
        if matches!(entry, Some(Entry::Claimed(_))) || living(entry).is_some() {
            return None;
        }
        let (sender, decided) = watch::channel(());
        entries.insert(id, Entry::Claimed(decided));
        Some(Claim { id, used: Arc::downgrade(self), _decided: sender })
    }

    /// Somebody was the last to use it.
    pub(super) fn left(&self, id: SessionId) {
        let mut entries = self.lock();
        // A new one may have taken the place already.
        if matches!(entries.get(&id), Some(Entry::Used(used)) if used.strong_count() == 0) {
            entries.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry<L>>> {
        // Nothing that this lock guards is left half-changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn living<L>(entry: Option<&Entry<L>>) -> Option<Arc<L>> {
    match entry? {
        Entry::Used(used) => used.upgrade(),
        Entry::Claimed(_) => None,
    }
}

impl<L> Drop for Claim<L> {
    fn drop(&mut self) {
        if let Some(used) = self.used.upgrade() {
            used.lock().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_is_used_or_claimed_and_whoever_wants_it_waits_for_the_decision() {
        let (used, id) = (Arc::new(Used::<u32>::default()), SessionId::random());
        let live = used.get_or(id, || Arc::new(1)).unwrap();
        assert!(used.claim(id).is_none(), "somebody uses it");
        assert_eq!((*used.get_or(id, || Arc::new(2)).unwrap(), used.all().len()), (1, 1));
        drop(live);
        used.left(id);
        let claim = used.claim(id).unwrap();
        assert!(used.claim(id).is_none() && used.get(id).is_none() && used.all().is_empty());
        let mut decided = used.get_or(id, || Arc::new(3)).unwrap_err();
        used.left(id);
        assert!(used.get_or(id, || Arc::new(3)).is_err(), "who leaves does not end a claim");
        let waiter = async { while decided.changed().await.is_ok() {} };
        let decide = async { drop(claim) };
        tokio::join!(waiter, decide);
        assert_eq!(*used.get_or(id, || Arc::new(4)).unwrap(), 4);
    }
}
