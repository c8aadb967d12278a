//! Which sessions changed since when: what those who watch the list need, and no more.
//!
//! Bounded by the number of sessions that changed since the start. Knows nothing of what changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use tokio::sync::watch;

use super::lock;
use crate::ids::SessionId;

/// Counts changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Version(u64);

/// The order of last changes.
pub struct Changes {
    version: watch::Sender<Version>,
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    by_version: BTreeMap<Version, SessionId>,
    by_session: HashMap<SessionId, Version>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { version: watch::Sender::new(Version::default()), order: Mutex::default() }
    }
}

impl Changes {
    pub(super) fn touch(&self, session: SessionId) {
        let mut order = lock(&self.order);
        let version = Version(self.version.borrow().0 + 1);
        if let Some(earlier) = order.by_session.insert(session, version) {
            order.by_version.remove(&earlier);
        }
        order.by_version.insert(version, session);
        // Under the lock, so that versions are announced in order.
        self.version.send_replace(version);
    }

    /// Wakes when anything changes.
    pub fn follow(&self) -> watch::Receiver<Version> {
        self.version.subscribe()
    }

    /// The version now.
    pub fn version(&self) -> Version {
        *self.version.borrow()
    }

    /// Sessions that changed after `version`, and the version up to which that is all.
    pub fn since(&self, version: Version) -> (Vec<SessionId>, Version) {
        let order = lock(&self.order);
        let later = (std::ops::Bound::Excluded(version), std::ops::Bound::Unbounded);
        (order.by_version.range(later).map(|(_, session)| *session).collect(), *self.version.borrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_changed_session_is_named_once_in_the_order_of_its_last_change() {
        let changes = Changes::default();
        let (a, b) = (SessionId::random(), SessionId::random());
        changes.touch(a);
        let seen = changes.version();
        changes.touch(b);
        changes.touch(a);
        changes.touch(b);
        changes.touch(a);
        assert_eq!(changes.since(seen).0, [b, a]);
        let (_, now) = changes.since(seen);
        assert!(changes.since(now).0.is_empty());
    }
}
