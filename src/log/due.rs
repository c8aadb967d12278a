//! Which sessions want a new checkpoint, and how their trees grew since the one before.
//!
//! Invariant: a session that is due stays due until its growth is handed out. What is handed out as followed comes from
//! commits of this process, each upon the one before: each tree extends the one before. Knows nothing of who signs, or how.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::seal::{Grown, StoredTree};
use super::sessions::SessionKey;
use crate::evidence::tree::Frontier;

/// Milestones that wait for their signatures, of one session; beyond, the oldest is left out.
const WAITING_MAX: usize = 1_000;

/// How a session's tree grew.
#[derive(Debug)]
pub enum Growth {
    /// From one tree to others, each of which is to be signed, the smallest first.
    Followed {
        /// The tree before.
        from: Frontier,
        /// Those to be signed.
        trees: Vec<Frontier>,
    },
    /// Somebody else changed the database between two commits. Its records must still come to this tree on their way.
    Broken {
        /// What the tree was after the last commit before.
        was: Frontier,
    },
}

struct Pending {
    due: bool,
    /// `None`: only the database can tell.
    growth: Option<Growth>,
    until: Frontier,
}

/// The sessions that are due. Clones are handles to the same ones.
#[derive(Clone, Default)]
pub struct Due {
    sessions: Arc<Mutex<BTreeMap<SessionKey, Pending>>>,
    marked: watch::Sender<()>,
    milestones: watch::Sender<()>,
}

impl Due {
    /// A tree has grown, and that is durable.
    pub(super) fn grown(&self, session: SessionKey, grown: &Grown, to: &StoredTree) {
        let (StoredTree::Whole(from), StoredTree::Whole(to)) = (&grown.from, to) else { return };
        if from == to {
            return;
        }
        let mut sessions = self.lock();
        let pending = sessions.entry(session).or_insert_with(|| Pending::new(from));
        pending.grow(from, &grown.milestones, to);
        if !grown.milestones.is_empty() {
            pending.due = true;
            self.milestones.send_replace(());
        }
    }

    /// All that the session has now is to be signed: its turn has ended.
    pub fn mark(&self, session: SessionKey) {
        self.lock().entry(session).or_insert_with(Pending::unknown).mark();
        self.marked.send_replace(());
    }

    /// The sessions that are due.
    pub fn sessions(&self) -> Vec<SessionKey> {
        self.lock().iter().filter(|(_, pending)| pending.due).map(|(key, _)| *key).collect()
    }

    /// How a session's tree grew, which then is not due any more. `None`: only the database can tell.
    pub fn hand_out(&self, session: SessionKey) -> Option<Growth> {
        let mut sessions = self.lock();
        let Pending { growth, until, .. } = sessions.remove(&session)?;
        match growth? {
            Growth::Followed { from, trees } => {
                let newest = trees.last().unwrap_or(&from);
                if *newest != until {
                    // What grew since is handed out with what comes.
                    let rest = Pending { until, ..Pending::new(newest) };
                    sessions.insert(session, rest);
                }
                Some(Growth::Followed { from, trees })
            }
            // For good: what is known to be another's work is not signed at a second try.
            Growth::Broken { was } => {
                let again = Some(Growth::Broken { was: was.clone() });
                sessions.insert(session, Pending { due: false, growth: again, until });
                Some(Growth::Broken { was })
            }
        }
    }

    /// Wakes when a session was marked; one that is marked between two looks is never missed.
    pub fn follow_marks(&self) -> watch::Receiver<()> {
        self.marked.subscribe()
    }

    /// Wakes when a tree came to a milestone, likewise.
    pub fn follow_milestones(&self) -> watch::Receiver<()> {
        self.milestones.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SessionKey, Pending>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn new(from: &Frontier) -> Self {
        let growth = Growth::Followed { from: from.clone(), trees: Vec::new() };
        Self { due: false, growth: Some(growth), until: from.clone() }
    }

    /// Nothing is known of how it grew.
    fn unknown() -> Self {
        Self { due: false, growth: None, until: Frontier::default() }
    }

    fn grow(&mut self, from: &Frontier, milestones: &[Frontier], to: &Frontier) {
        let was = std::mem::replace(&mut self.until, to.clone());
        match &mut self.growth {
            Some(Growth::Followed { .. }) if was != *from => self.growth = Some(Growth::Broken { was }),
            Some(Growth::Followed { trees, .. }) => {
                trees.extend_from_slice(milestones);
                let surplus = trees.len().saturating_sub(WAITING_MAX);
                trees.drain(..surplus);
            }
            Some(Growth::Broken { .. }) | None => {}
        }
    }

    fn mark(&mut self) {
        self.due = true;
        if let Some(Growth::Followed { from, trees }) = &mut self.growth
            && trees.last().unwrap_or(from) != &self.until
        {
            trees.push(self.until.clone());
        }
    }
}
