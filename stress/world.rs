//! What everybody who is in the play shares: the address, the sessions, and what has been seen so far.
//!
//! Invariant: a record that anybody saw is the same whenever anybody sees it again; a head that anybody knew is never
//! undercut. Whatever breaks a promise is written down here, once, and ends the play.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::ledger::Ledger;

/// What goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Prompts are sent; viewers come, go, stall and jump.
    Busy,
    /// No more prompts; viewers stay and read.
    Quiet,
    /// Everybody goes.
    Over,
}

/// One session's log, as far as anybody saw it: a hash for each record, 0 for one that nobody saw yet.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) hashes: Vec<u64>,
    pub(crate) head: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) events: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) attaches: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) resent: AtomicU64,
}

impl Counts {
    pub(crate) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    pub(crate) sessions: Vec<String>,
    pub(crate) counts: Counts,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) seen: Mutex<HashMap<String, Seen>>,
    pub(crate) epoch: Mutex<Option<String>>,
    broken: Mutex<Vec<String>>,
    phase: watch::Sender<Phase>,
}

/// More broken promises than this add nothing.
const BROKEN_MAX: usize = 20;

impl World {
    pub(crate) fn new(address: SocketAddr, token: String, sessions: Vec<String>) -> Self {
        Self {
            address,
            token,
            sessions,
            counts: Counts::default(),
            ledger: Mutex::default(),
            seen: Mutex::default(),
            epoch: Mutex::default(),
            broken: Mutex::default(),
            phase: watch::Sender::new(Phase::Busy),
        }
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(crate) fn now(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn go(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// A promise was broken.
    pub(crate) fn broken(&self, how: String) {
        let mut broken = lock(&self.broken);
        if broken.len() < BROKEN_MAX {
            broken.push(how);
        }
    }

    pub(crate) fn broken_promises(&self) -> Vec<String> {
        lock(&self.broken).clone()
    }

    /// The epoch that `hello` named: there is one only.
    pub(crate) fn check_epoch(&self, epoch: &str) {
        let mut known = lock(&self.epoch);
        match &*known {
            Some(known) if known != epoch => self.broken(format!("the epoch changed from {known} to {epoch}")),
            Some(_) => {}
            None => *known = Some(epoch.to_owned()),
        }
    }

    /// The highest head that anybody knew: a later answer must not be below.
    pub(crate) fn floor(&self, session: &str) -> u64 {
        lock(&self.seen).get(session).map_or(0, |seen| seen.head)
    }

    /// Somebody was told of a head.
    pub(crate) fn head(&self, session: &str, head: u64) {
        let mut seen = lock(&self.seen);
        let seen = seen.entry(session.to_owned()).or_default();
        seen.head = seen.head.max(head);
    }

    /// Somebody saw a record.
    pub(crate) fn record(&self, session: &str, seq: u64, record: &[u8]) {
        Counts::add(&self.counts.events);
        let hash = hash(record);
        let mut all = lock(&self.seen);
        let seen = all.entry(session.to_owned()).or_default();
        seen.head = seen.head.max(seq);
        let Some(place) = usize::try_from(seq).ok().and_then(|seq| seq.checked_sub(1)) else {
            return self.broken(format!("session {session}: an event with seq 0"));
        };
        if seen.hashes.len() <= place {
            seen.hashes.resize(place + 1, 0);
        }
        match std::mem::replace(&mut seen.hashes[place], hash) {
            0 => {}
            earlier if earlier == hash => {}
            _ => self.broken(format!("session {session}: record {seq} changed to {}", String::from_utf8_lossy(record))),
        }
    }
}

/// Never 0.
pub(crate) fn hash(record: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish() | 1
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
