//! Who is attached to a session: counted by guards, announced by position.
//!
//! Invariant: a connection counts exactly as long as its guard lives. One entry a name and role, however many connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::auth::Principal;
use crate::protocol::server::{Role, Viewer};

/// The people attached to one session.
#[derive(Clone)]
pub struct Present {
    counts: Arc<watch::Sender<Counts>>,
}

type Counts = BTreeMap<(String, Role), u64>;

impl Default for Present {
    fn default() -> Self {
        Self { counts: Arc::new(watch::Sender::new(BTreeMap::new())) }
    }
}

impl Present {
    /// Counts somebody in until the guard is dropped; `left` runs then.
    pub fn enter(&self, who: &Principal, left: impl FnOnce() + Send + 'static) -> PresenceGuard {
        let key = (who.name().to_owned(), who.role());
        self.counts.send_modify(|counts| *counts.entry(key.clone()).or_default() += 1);
        PresenceGuard { present: self.clone(), key, left: Some(Box::new(left)) }
    }

    /// Wakes when somebody comes or goes.
    pub fn follow(&self) -> watch::Receiver<BTreeMap<(String, Role), u64>> {
        self.counts.subscribe()
    }

    /// Who is attached now.
    pub fn viewers(&self) -> Vec<Viewer> {
        let counts = self.counts.borrow();
        let viewer = |((name, role), connections): (&(String, Role), &u64)| Viewer {
            name: name.clone(),
            role: *role,
            connections: *connections,
        };
        counts.iter().map(viewer).collect()
    }

    /// How many connections are attached.
    pub fn connections(&self) -> u64 {
        self.counts.borrow().values().sum()
    }
}

/// Somebody's presence; ends when dropped.
pub struct PresenceGuard {
    present: Present,
    key: (String, Role),
    left: Option<Box<dyn FnOnce() + Send>>,
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        self.present.counts.send_modify(|counts| {
            if let Some(count) = counts.get_mut(&self.key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&self.key);
                }
            }
        });
        if let Some(left) = self.left.take() {
            left();
        }
    }
}
