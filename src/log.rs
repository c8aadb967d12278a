//! The log: the only queue, the only truth. Append a batch, read a range, know and follow the head.
//!
//! Invariant: this is the only writer of events; a session's seqs run from 1 without a hole; what belongs to an event (spool
//! offset, prompt key, started flag, running turn) commits in the same transaction; a head is announced only after that
//! transaction is durable. Records are never changed, but for what a redaction or the removal of a session takes away.
//! Knows nothing of agents, processes or sockets: another store could stand behind the same face.

mod append;
mod draft;
mod due;
mod epoch;
mod facts;
mod feed;
mod page;
mod proof;
mod record;
mod redact;
mod removal;
mod salts;
mod seal;
mod sealed;
mod sessions;
mod turns;

pub use append::{NewEvent, Place};
pub use draft::{LogEnd, Offer};
pub use due::{Due, Growth};
pub use facts::TurnFacts;
pub use feed::{Fed, Feed, Shown};
pub use page::{Page, PageLimits, RecordPage};
pub use proof::{HeadPage, SessionTree};
pub use redact::{Redactable, Redacted, Wish, WishKey, outcome as redaction_outcome};
pub use removal::{Condition, LeftTurn, Removed};
pub use sealed::Sealed;
pub use sessions::{ListCursor, NewSession, Patch, SessionKey, SessionRow};
pub use turns::{KnownPrompt, OpenTurn, Opened, Progress, Shared, TurnKey, UnfinishedTurn};

use crate::db::{Db, ReadError, WriteError};
use crate::hub::Hub;
use crate::ids::Epoch;

/// A handle to the log.
#[derive(Clone)]
pub struct Log {
    db: Db,
    hub: Hub,
    epoch: Epoch,
    scribe: append::Scribe,
    high_water: epoch::HighWater,
}

/// Why the log did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A write was not acknowledged.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Log {
    /// Opens the log in a database. `remembered` is where the gateway remembers, outside the database, how far it was.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn open(db: Db, hub: Hub, remembered: &std::path::Path) -> Result<Self, LogError> {
        let (sealing, high_water) = epoch::settle(&db, remembered).await?;
        for session in db.readers.read(seal::unsealed).await? {
            db.writer.write(move |tx| seal::backfill(tx, sealing, session)).await?;
        }
        let scribe = append::Scribe { sealing: Some(sealing), hub: hub.clone(), due: Due::default() };
        Ok(Self { db, hub, epoch: sealing.epoch, scribe, high_water })
    }

    /// A log that seals nothing, only to measure what sealing costs: the next [`Log::open`] seals what this one wrote.
    #[doc(hidden)]
    #[must_use]
    pub fn unsealed(mut self) -> Self {
        self.scribe.sealing = None;
        self
    }

    /// Which sessions want a new checkpoint.
    pub fn due(&self) -> &Due {
        &self.scribe.due
    }

    /// This incarnation of the log.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where heads are announced.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether the last write was committed.
    pub fn is_writable(&self) -> bool {
        *self.db.writer.health().borrow() == crate::db::Health::Writable
    }

    /// Whether the log can be written, tried out when the last commit is a while ago.
    ///
    /// # Errors
    /// Why it cannot.
    pub async fn probe(&self) -> Result<(), WriteError> {
        /// A commit this fresh needs no trial: probes must not become a load.
        const FRESH: std::time::Duration = std::time::Duration::from_secs(1);
        let health = self.db.writer.health().borrow().clone();
        if health == crate::db::Health::Writable && self.db.writer.last_commit().elapsed() < FRESH {
            return Ok(());
        }
        let sql =
            "INSERT INTO meta (name, value) VALUES ('probe', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1";
        self.db.writer.write(move |tx| tx.prepare_cached(sql)?.execute([])).await?;
        Ok(())
    }
}
