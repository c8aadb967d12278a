//! Retention of raw evidence: what the agents themselves wrote, by age and by size.
//!
//! Invariant: only of turns that have ended, in sessions where nothing runs and that nobody holds; what will go is written down
//! before it goes. How a turn was started and ended (`launch.json`, `start.json`, `exit.json`) stays, and so does the log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::limits::{Item, LOOK_EVERY, Limits, going};
use super::{BY, Keep, KeepError};
use crate::clock::WallMs;
use crate::ids::{SessionId, TurnId};

/// The files that go; those of an interrupted compression too.
const STREAMS: [&str; 6] = ["out", "err", "out.zst", "err.zst", "out.zst.tmp", "err.zst.tmp"];
/// The raw evidence of a turn that has ended.
#[derive(Debug, Clone)]
struct Raw {
    turn: TurnId,
    session: SessionId,
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
        for (Item { what: raw, bytes, at_ms, .. }, _) in going(all, WallMs::now().0, limits) {
            let detail = format!("turn {}, {bytes} bytes, ended {}", raw.turn, WallMs(at_ms).rfc3339());
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
            tracing::info!(session.id = %raw.session, turn.id = %raw.turn, bytes, "raw evidence goes: its time is over");
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

fn known(connection: &Connection, found: BTreeMap<TurnId, (u64, Vec<PathBuf>)>) -> rusqlite::Result<Vec<Item<Raw>>> {
    let mut all = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT s.id, t.ended_ms FROM turns t JOIN sessions s ON s.key = t.session 
         WHERE t.id = ?1 AND t.ended_ms IS NOT NULL AND s.removal IS NULL",
    )?;
    for (turn, (bytes, files)) in found {
        let row =
            statement.query_row([turn.to_string()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?;
        // Of a turn that the log does not know, nobody knows whether it may go.
        let Some((session, ended_ms)) = row else { continue };
        let Ok(session) = session.parse() else { continue };
        let must_stay = is_kept(connection, session)?;
        all.push(Item { what: Raw { turn, session, files }, at_ms: ended_ms, bytes, must_stay });
    }
    Ok(all)
}

fn is_kept(connection: &Connection, session: SessionId) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM holds WHERE session = ?1)
               OR EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND running_turn IS NOT NULL)";
    connection.prepare_cached(sql)?.query_row([session.to_string()], |row| row.get(0))
}
