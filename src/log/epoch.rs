//! Which incarnation of the log this is, and whether the file went back in time.
//!
//! Invariant: one epoch never names two histories that this gateway has served. The database counts its starts and its
//! events; a small file beside it remembers the counts, at each start and at each turn's end. A database that is behind that file was put back from a
//! copy: every seq that clients remember is void, and the epoch is made anew. The newest record of all is never removed, so the
//! count does not fall.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{OptionalExtension, Transaction};

use super::LogError;
use super::seal::Sealing;
use crate::clock::WallMs;
use crate::db::{Db, WriteError};
use crate::ids::Epoch;

/// How far the log was: starts of the gateway, and rows in the events table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Mark {
    starts: i64,
    events: i64,
}

pub(super) async fn settle(db: &Db, path: &Path) -> Result<(Sealing, HighWater), LogError> {
    let before = read_mark(path);
    let (sealing, mark) = db.writer.write(move |tx| settle_in(tx, before)).await?;
    write_mark(path, mark)
        .map_err(|error| WriteError::Unavailable { why: format!("cannot write `{}`: {error}", path.display()) })?;
    Ok((sealing, HighWater { path: Arc::new(Mutex::new(path.to_owned())), starts: mark.starts }))
}

/// Remembers, outside the database, how far it is: so that a copy from the middle of this run is known for one, too.
#[derive(Clone)]
pub(super) struct HighWater {
    /// The lock keeps two turns that end together from writing the file at once.
    path: Arc<Mutex<PathBuf>>,
    starts: i64,
}

impl HighWater {
    /// How many rows the events table has had.
    pub(super) fn measure(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
        tx.prepare_cached("SELECT coalesce(max(id), 0) FROM events")?.query_row([], |row| row.get(0))
    }

    /// Writes it down. If that fails, the earlier mark stays, which is lower and never wrong.
    pub(super) async fn remember(&self, events: i64) {
        let (path, mark) = (Arc::clone(&self.path), Mark { starts: self.starts, events });
        let write = move || write_mark(&path.lock().unwrap_or_else(PoisonError::into_inner), mark);
        let written = tokio::task::spawn_blocking(write).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "how far the log is could not be remembered");
        }
    }
}

fn settle_in(tx: &Transaction<'_>, before: Mark) -> rusqlite::Result<(Sealing, Mark)> {
    let known: Option<String> =
        tx.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0)).optional()?;
    let starts: i64 =
        tx.query_row("SELECT value FROM meta WHERE name = 'starts'", [], |row| row.get(0)).optional()?.unwrap_or(0);
    let events = HighWater::measure(tx)?;
    let went_back = starts < before.starts || events < before.events;
    let epoch = match known.and_then(|text| text.parse().ok()) {
        Some(epoch) if !went_back => epoch,
        known => {
            if known.is_some() {
                tracing::warn!("the log is older than the one that was here before: it gets a new epoch");
            }
            Epoch::random()
        }
    };
    let mark = Mark { starts: starts.max(before.starts) + 1, events };
    let put = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    tx.execute(put, ("epoch", epoch.to_string()))?;
    tx.execute(put, ("starts", mark.starts))?;
    let known = "INSERT INTO epochs (id, since_ms) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    tx.execute(known, (epoch.to_string(), WallMs::now().0))?;
    let epoch_key = tx.query_row("SELECT key FROM epochs WHERE id = ?1", [epoch.to_string()], |row| row.get(0))?;
    Ok((Sealing { epoch, epoch_key }, mark))
}

fn read_mark(path: &Path) -> Mark {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<i64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(starts)), Some(Ok(events))) => Mark { starts, events },
        // Missing or torn: it says nothing.
        _ => Mark::default(),
    }
}

fn write_mark(path: &Path, mark: Mark) -> std::io::Result<()> {
    let next = path.with_extension("next");
    let mut file = std::fs::File::create(&next)?;
    writeln!(file, "{} {}", mark.starts, mark.events)?;
    file.sync_all()?;
    std::fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_older_copy_of_the_database_gets_a_new_epoch() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mark) = (dir.path().join("log.db"), dir.path().join("mark"));
        let open = async || {
            let db = Db::open(&path).unwrap();
            settle(&db, &mark).await.unwrap().0.epoch
        };
        let first = open().await;
        assert_eq!(open().await, first);
        // What a copy from before the last start looks like.
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute("UPDATE meta SET value = value - 1 WHERE name = 'starts'", []).unwrap();
        let second = open().await;
        assert_ne!(second, first);
        let db = Db::open(&path).unwrap();
        let (again, high_water) = settle(&db, &mark).await.unwrap();
        assert_eq!(again.epoch, second);
        // A copy from the middle of a run: as many starts, fewer events.
        high_water.remember(7).await;
        assert_ne!(open().await, second);
    }
}
