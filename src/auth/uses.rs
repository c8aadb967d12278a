//! When credentials were last used: noted in memory, written to the database now and then.
//!
//! Invariant: noting a use never waits for a disk. At most [`FLUSH_EVERY`] of it is lost when the gateway is killed. Bounded by
//! the number of credentials that count, because only those are noted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Transaction;

use crate::clock::WallMs;

/// How often uses are written.
pub(super) const FLUSH_EVERY: Duration = Duration::from_secs(30);

/// What was used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Used {
    Token(i64),
    Login(Vec<u8>),
}

#[derive(Default)]
pub(super) struct Uses {
    since_flush: Mutex<HashMap<Used, WallMs>>,
}

impl Uses {
    /// It was used now.
    pub(super) fn note(&self, used: Used) {
        self.lock().insert(used, WallMs::now());
    }

    /// When it was last used, if that is not in the database yet.
    pub(super) fn last(&self, used: &Used) -> Option<WallMs> {
        self.lock().get(used).copied()
    }

    /// What is to be written. It stays here until [`Uses::flushed`], so that nobody finds it neither here nor there.
    pub(super) fn unwritten(&self) -> Vec<(Used, WallMs)> {
        self.lock().iter().map(|(used, time)| (used.clone(), *time)).collect()
    }

    /// These are in the database.
    pub(super) fn flushed(&self, written: &[(Used, WallMs)]) {
        let mut since_flush = self.lock();
        for (used, time) in written {
            if since_flush.get(used) == Some(time) {
                since_flush.remove(used);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Used, WallMs>> {
        // A panic leaves a map of whole entries.
        self.since_flush.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes them; a credential that is gone meanwhile is left out.
pub(super) fn write(tx: &Transaction<'_>, uses: &[(Used, WallMs)]) -> rusqlite::Result<()> {
    for (used, time) in uses {
        match used {
            Used::Token(key) => {
                let sql = "UPDATE tokens SET last_used_ms = max(coalesce(last_used_ms, 0), ?2) WHERE key = ?1";
                tx.prepare_cached(sql)?.execute((key, time.0))?;
            }
            Used::Login(sha256) => {
                let sql = "UPDATE logins SET last_used_ms = max(last_used_ms, ?2) WHERE sha256 = ?1";
                tx.prepare_cached(sql)?.execute((sha256, time.0))?;
            }
        }
    }
    Ok(())
}
