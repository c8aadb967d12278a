//! Retention of whole sessions: by age and by size, with everything that belongs to them.
//!
//! Invariant: a session that is held, at work, in use by anybody or was active within the hour stays. One that goes is first hidden, in the commit
//! that holds the signed note and the row that say so; only when that note is remembered outside the database and stands under the gateway's
//! own tree do its records, files and words go, in pieces that make nobody wait. What is broken off is finished at the next start, limits or
//! none.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Row};

use super::limits::{Item, LOOK_EVERY, Limits, Why, going};
use super::{BY, Keep, KeepError};
use crate::clock::WallMs;
use crate::evidence::removal::Cause;
use crate::ids::SessionId;
use crate::log::{Condition, Log, LogError, Removed, SessionKey};
use crate::sign::{Going, SignError, Signer};
use crate::turn::spool::SpoolDir;

/// After a start, those who were attached before come back first: what they use stays.
const RETURN_WAIT: Duration = Duration::from_secs(5);
/// Between two pieces of what goes: others write in between, and the disk is not only for this.
const PACE: Duration = Duration::from_millis(10);
/// Records whose sizes are added up in one read.
const SIZES_PAGE: i64 = 20_000;

/// A session that nobody uses and nobody can begin to use, as long as it lives.
pub type Claim = Box<dyn Send>;

/// Claims a session; `None`: somebody uses it.
pub type Claims = Box<dyn Fn(SessionId) -> Option<Claim> + Send + Sync>;

/// Where what belongs to sessions lies beside the log.
#[derive(Debug, Clone)]
pub struct Places {
    /// The turns' spools.
    pub spools: PathBuf,
    /// The workspaces, each named by its session.
    pub workspaces: PathBuf,
}

/// Why sessions stay that should go.
#[derive(Debug, thiserror::Error)]
enum RetainError {
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("cannot remove `{}`: {source}", .path.display())]
    Files { path: PathBuf, source: io::Error },
}

/// Removes sessions whose time is over.
pub struct Retention {
    keep: Keep,
    log: Log,
    signer: Signer,
    places: Places,
    claims: Claims,
    /// How far sessions' records were added up, and to how many bytes: each is read once.
    sizes: HashMap<SessionKey, (i64, u64)>,
}

/// A session as the database has it.
#[derive(Debug, Clone, Copy)]
struct Found {
    key: SessionKey,
    id: SessionId,
    head: i64,
    last_activity_ms: i64,
    must_stay: bool,
}

impl Retention {
    /// For this log.
    pub fn new(keep: Keep, log: Log, signer: Signer, places: Places, claims: Claims) -> Self {
        Self { keep, log, signer, places, claims, sizes: HashMap::new() }
    }

    /// Finishes what was broken off, then removes what is beyond the limits, soon and every hour. For a task of its own;
    /// without limits it ends when what was begun is done.
    pub async fn run(mut self, limits: Limits) {
        let mut done = self.finish().await;
        if limits != Limits::default() {
            tokio::time::sleep(RETURN_WAIT).await;
            done = self.sweep(limits).await;
        }
        loop {
            match &done {
                Ok(()) if limits == Limits::default() => return,
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "sessions whose time is over are not all gone; it is tried again within the hour");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
            done = self.sweep(limits).await;
        }
    }

    async fn sweep(&mut self, limits: Limits) -> Result<(), RetainError> {
        let going = going(self.items(limits).await?, WallMs::now().0, limits);
        if !going.is_empty() {
            self.signer.check_gateway().await?;
        }
        for (item, why) in going {
            // One that stays as evidence of an alarm must not keep the others.
            if let Err(error) = self.hide(&item, why).await {
                tracing::error!(session.id = %item.what.id, %error, "a session whose time is over stays");
            }
        }
        self.finish().await
    }

    async fn items(&mut self, limits: Limits) -> Result<Vec<Item<Found>>, RetainError> {
        let all = self.keep.db.readers.read(sessions).await.map_err(KeepError::from)?;
        let mut items = Vec::with_capacity(all.len());
        for found in all {
            let bytes = if limits.bytes.is_some() { self.bytes(&found).await? } else { 0 };
            let must_stay = found.must_stay || (self.claims)(found.id).is_none();
            items.push(Item { what: found, at_ms: found.last_activity_ms, bytes, must_stay });
        }
        Ok(items)
    }

    /// How many bytes a session's records have. What was redacted since they were added up still counts, until the next start.
    async fn bytes(&mut self, found: &Found) -> Result<u64, KeepError> {
        let (mut after, mut bytes) = self.sizes.get(&found.key).copied().unwrap_or_default();
        while after < found.head {
            let (key, until) = (found.key, found.head.min(after + SIZES_PAGE));
            let read = move |connection: &Connection| {
                let sql = "SELECT coalesce(sum(octet_length(record)), 0) FROM events
                           WHERE session = ?1 AND seq > ?2 AND seq <= ?3";
                connection.prepare_cached(sql)?.query_row((key, after, until), |row| row.get::<_, i64>(0))
            };
            bytes += self.keep.db.readers.read(read).await? as u64;
            after = until;
        }
        self.sizes.insert(found.key, (after, bytes));
        Ok(bytes)
    }

    async fn hide(&mut self, item: &Item<Found>, why: Why) -> Result<(), RetainError> {
        let found = item.what;
        let Some(_claim) = (self.claims)(found.id) else { return Ok(()) };
        let cause = match why {
            Why::Age => Cause::Age,
            Why::Size => Cause::Size,
        };
        let last = WallMs(found.last_activity_ms).rfc3339();
        let detail = format!("for its {}: {} records, last activity {last}", cause.as_str(), found.head);
        let also =
            move |tx: &rusqlite::Transaction<'_>| super::record(tx, "session-removed", Some(found.id), BY, &detail);
        let condition = Condition { session: found.key, last_activity_ms: found.last_activity_ms };
        if self.signer.remove(Going { condition, cause }, also).await? {
            self.sizes.remove(&found.key);
            tracing::info!(session.id = %found.id, records = found.head, cause = cause.as_str(), "a session goes: its time is over");
        } else {
            tracing::info!(session.id = %found.id, "a session whose time is over stays for now: it is in use, or holds the newest record of all");
        }
        Ok(())
    }

    /// Takes away what is left of removed sessions.
    async fn finish(&self) -> Result<(), RetainError> {
        let (mut after, mut any) = (0, false);
        loop {
            let page = self.log.removals_under_way(after).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            let mut confirmed = Vec::with_capacity(page.len());
            for removed in page {
                match self.signer.confirm_removal(&removed).await {
                    Ok(()) => confirmed.push(removed),
                    Err(error) => {
                        tracing::error!(session.id = %removed.session, %error, "a session is hidden, and its records stay");
                    }
                }
            }
            self.signer.check_gateway().await?;
            for removed in confirmed {
                any = true;
                if let Err(error) = self.take_away(&removed).await {
                    tracing::warn!(session.id = %removed.session, %error, "something of a removed session is left; it is tried again within the hour");
                }
            }
        }
        if any && !matches!(self.log.forget_older_pages().await, Ok(true)) {
            tracing::warn!(
                "the write-ahead file may hold pages of removed sessions for some time longer: somebody reads in it"
            );
        }
        Ok(())
    }

    async fn take_away(&self, removed: &Removed) -> Result<(), RetainError> {
        while self.log.remove_records(removed.key).await? {
            tokio::time::sleep(PACE).await;
        }
        self.remove_files(removed).await?;
        Ok(self.log.clear_removed(removed.key).await?)
    }

    async fn remove_files(&self, removed: &Removed) -> Result<(), RetainError> {
        let mut after = 0;
        loop {
            let turns = self.log.left_turns(removed.key, after).await?;
            let Some(last) = turns.last() else { break };
            after = last.cursor();
            let attempts = turns.iter().flat_map(|left| (1..=left.attempts).map(|attempt| (left.turn, attempt)));
            let spools = attempts.map(|(turn, attempt)| SpoolDir::new(&self.places.spools, turn, attempt));
            remove_all(spools.map(|spool| spool.path().to_owned()).collect()).await?;
        }
        remove_all(vec![self.places.workspaces.join(removed.session.to_string())]).await
    }
}

async fn remove_all(paths: Vec<PathBuf>) -> Result<(), RetainError> {
    let work = move || paths.into_iter().try_for_each(|path| remove(&path).map_err(|source| (path, source)));
    let removed = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err((PathBuf::new(), error.into())));
    removed.map_err(|(path, source)| RetainError::Files { path, source })
}

/// Removes a folder and all that is in it; follows no link.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sessions(connection: &Connection) -> rusqlite::Result<Vec<Found>> {
    let sql = "SELECT key, id, head, last_activity_ms,
                      running_turn IS NOT NULL OR EXISTS (SELECT 1 FROM holds WHERE holds.session = sessions.id)
               FROM sessions WHERE removal IS NULL";
    let row = |row: &Row<'_>| {
        // An id that is none is damage: what is damaged stays as it is.
        let Ok(id) = row.get_ref(1)?.as_str()?.parse() else { return Ok(None) };
        let (key, head, last_activity_ms, must_stay) = (row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Some(Found { key, id, head, last_activity_ms, must_stay }))
    };
    let all: Vec<Option<Found>> = connection.prepare_cached(sql)?.query_map([], row)?.collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}
