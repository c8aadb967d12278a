//! Retention of raw evidence: what the agents themselves wrote, by age and by size.
//!
//! Invariant: only of turns that have ended, in sessions where nothing runs and that nobody holds; what will go is written down
//! before it goes. How a turn was started and ended (`launch.json`, `start.json`, `exit.json`) stays, and so does the log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::{Keep, KeepError};
use crate::clock::WallMs;
use crate::ids::{SessionId, TurnId};

/// Between two looks: what is measured in days need not go by the minute.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// What ended so shortly ago may still be being compressed, milliseconds.
const FRESH_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// The files that go; those of an interrupted compression too.
const STREAMS: [&str; 6] = ["out", "err", "out.zst", "err.zst", "out.zst.tmp", "err.zst.tmp"];
/// As whom the gateway itself is written down.
const BY: &str = "retention";

/// How much raw evidence is kept; `None`: without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// So long after its turn's end.
    pub days: Option<u64>,
    /// So much in all, bytes; the oldest goes first.
    pub bytes: Option<u64>,
}

/// The raw evidence of a turn that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Raw {
    turn: TurnId,
    session: SessionId,
    ended_ms: i64,
    bytes: u64,
    /// Held, or its session is at work.
    must_stay: bool,
    files: Vec<PathBuf>,
}

impl Keep {
    /// Removes raw evidence beyond the limits, now and every hour. For a task of its own; without limits it ends at once.
    pub async fn retain_raw(self, spools: PathBuf, limits: Limits) {
        if limits == Limits::default() {
            return;
        }
        loop {
            if let Err(error) = self.sweep(&spools, limits).await {
                tracing::warn!(%error, "raw evidence beyond its limits stays for now");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn sweep(&self, spools: &Path, limits: Limits) -> Result<(), KeepError> {
        let root = spools.to_owned();
        let read = move |connection: &Connection| known(connection, listed(&root));
        let all = self.db.readers.read(read).await?;
        for raw in going(all, WallMs::now().0, limits) {
            let detail = format!("turn {}, {} bytes, ended {}", raw.turn, raw.bytes, WallMs(raw.ended_ms).rfc3339());
            // A hold that came meanwhile wins: it is looked for in the transaction that writes this down.
            let session = raw.session;
            let note = move |tx: &rusqlite::Transaction<'_>| {
                let is_held = is_kept(tx, session)?;
                if !is_held {
                    super::record(tx, "raw-removed", Some(session), BY, &detail)?;
                }
                Ok(is_held)
            };
            if self.db.writer.write(note).await? {
                continue;
            }
            tracing::info!(session.id = %raw.session, turn.id = %raw.turn, bytes = raw.bytes, "raw evidence goes: its time is over");
            let _gone = tokio::task::spawn_blocking(move || remove(&raw.files)).await;
        }
        Ok(())
    }
}

fn remove(files: &[PathBuf]) {
    for file in files {
        if let Err(error) = fs::remove_file(file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %file.display(), %error, "raw evidence cannot be removed");
        }
    }
}

/// Every turn that has streams on disk, with their sizes.
fn listed(root: &Path) -> BTreeMap<TurnId, (u64, Vec<PathBuf>)> {
    let mut found = BTreeMap::<TurnId, (u64, Vec<PathBuf>)>::new();
    // Without the folder there are none.
    let Ok(entries) = fs::read_dir(root) else { return found };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let turn = name.to_str().and_then(|name| name.get(..36)).and_then(|id| id.parse().ok());
        let Some(turn) = turn else { continue };
        for file in STREAMS.map(|stream| entry.path().join(stream)) {
            // Blocks and not length: of `err`, what is left out is a hole.
            let Ok(meta) = fs::symlink_metadata(&file) else { continue };
            let (bytes, files) = found.entry(turn).or_default();
            *bytes += std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
            files.push(file);
        }
    }
    found
}

fn known(connection: &Connection, found: BTreeMap<TurnId, (u64, Vec<PathBuf>)>) -> rusqlite::Result<Vec<Raw>> {
    let mut all = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT s.id, t.ended_ms FROM turns t JOIN sessions s ON s.key = t.session WHERE t.id = ?1 AND t.ended_ms IS NOT NULL",
    )?;
    for (turn, (bytes, files)) in found {
        let row =
            statement.query_row([turn.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?;
        // Of a turn that the log does not know, nobody knows whether it may go.
        let Some((session, ended_ms)) = row else { continue };
        let Ok(session) = session.parse() else { continue };
        let must_stay = is_kept(connection, session)?;
        all.push(Raw { turn, session, ended_ms, bytes, must_stay, files });
    }
    Ok(all)
}

fn is_kept(connection: &Connection, session: SessionId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM holds WHERE session = ?1)
               OR EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND running_turn IS NOT NULL)";
    connection.prepare_cached(sql)?.query_row([session.to_string()], |row| row.get(0))
}

/// What goes: all that is too old, then the oldest until the rest fits. What must stay counts, and stays.
fn going(mut all: Vec<Raw>, now_ms: i64, limits: Limits) -> Vec<Raw> {
    all.sort_unstable_by_key(|raw| (raw.ended_ms, raw.turn));
    let mut total: u64 = all.iter().map(|raw| raw.bytes).sum();
    let days_ms = limits.days.map(|days| i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MS));
    let mut going = Vec::new();
    for raw in all {
        let age_ms = now_ms.saturating_sub(raw.ended_ms);
        let is_old = days_ms.is_some_and(|days_ms| age_ms > days_ms);
        let is_too_much = limits.bytes.is_some_and(|bytes| total > bytes);
        if raw.must_stay || age_ms < FRESH_MS || !(is_old || is_too_much) {
            continue;
        }
        total -= raw.bytes;
        going.push(raw);
    }
    going
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(hours_ago: i64, bytes: u64, must_stay: bool) -> Raw {
        let ended_ms = -hours_ago * 60 * 60 * 1_000;
        Raw { turn: TurnId::random(), session: SessionId::random(), ended_ms, bytes, must_stay, files: Vec::new() }
    }

    #[test]
    fn the_old_goes_then_the_oldest_until_the_rest_fits() {
        let all = [raw(100, 10, false), raw(90, 20, true), raw(30, 40, false), raw(20, 80, false), raw(0, 160, false)];
        let ages = |limits: Limits| {
            let gone = going(all.to_vec(), 0, limits);
            gone.into_iter().map(|raw| raw.ended_ms / -3_600_000).collect::<Vec<_>>()
        };
        assert_eq!(ages(Limits { days: Some(1), bytes: None }), [100, 30]);
        assert_eq!(ages(Limits { days: None, bytes: Some(300) }), [100]);
        assert_eq!(ages(Limits { days: Some(4), bytes: Some(270) }), [100, 30]);
        assert_eq!(ages(Limits { days: None, bytes: Some(0) }), [100, 30, 20], "what is held or fresh stays");
        assert_eq!(ages(Limits::default()), [0_i64; 0]);
    }

    proptest! {
        #[test]
        fn limits_are_met_as_far_as_anything_may_go(
            turns in prop::collection::vec((0i64..2_000, 0u64..100, any::<bool>()), 0..30),
            days in prop::option::of(1u64..60), bytes in prop::option::of(0u64..1_000),
        ) {
            let all: Vec<Raw> = turns.into_iter().map(|(hours, bytes, stays)| raw(hours, bytes, stays)).collect();
            let gone = going(all.clone(), 0, Limits { days, bytes });
            prop_assert!(gone.iter().all(|raw| !raw.must_stay && -raw.ended_ms >= FRESH_MS));
            let left: Vec<&Raw> = all.iter().filter(|raw| !gone.contains(raw)).collect();
            let movable = |raw: &&&Raw| !raw.must_stay && -raw.ended_ms >= FRESH_MS;
            if let Some(days) = days {
                prop_assert!(left.iter().filter(movable).all(|raw| -raw.ended_ms <= days as i64 * DAY_MS));
            }
            if let Some(bytes) = bytes {
                let total: u64 = left.iter().map(|raw| raw.bytes).sum();
                prop_assert!(total <= bytes || left.iter().filter(movable).count() == 0);
            }
        }
    }
}
