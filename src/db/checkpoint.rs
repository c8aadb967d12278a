//! Checkpoints, off the commit path: a thread of its own with a connection of its own.
//!
//! SQLite's automatic checkpoints report no errors and stall a commit; these do neither. Knows only file sizes.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::connection;
use super::error::OpenError;

/// Write-ahead log size at which pages are moved into the database file, bytes (4,000 pages).
const PASSIVE_BYTES: u64 = 16 << 20;
/// Size beyond which the file itself is cut back, bytes.
const TRUNCATE_BYTES: u64 = 64 << 20;
/// Commits between two looks at the file's size: a look costs a system call.
const COMMITS_PER_LOOK: u32 = 64;
/// How long a truncating checkpoint waits for readers: commits wait with it, so not long.
const READERS_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(50);

/// Told of every commit; wakes the checkpoint thread when there is enough to do.
pub(super) struct Checkpointer {
    wal: PathBuf,
    commits: u32,
    wake: SyncSender<()>,
}

impl Checkpointer {
    pub(super) fn start(database: &Path) -> Result<Self, OpenError> {
        let mut wal = database.as_os_str().to_owned();
        wal.push("-wal");
        let wal = PathBuf::from(wal);
        let connection = connection::open_writing(database)?;
        let refused = |source| OpenError::Sqlite { path: database.to_owned(), source };
        connection.busy_timeout(READERS_TIMEOUT).map_err(refused)?;
        // One pending wake-up is enough: the thread looks at the file, not at a count.
        let (wake, woken) = sync_channel(1);
        let file = wal.clone();
        std::thread::Builder::new().name("log-checkpoint".to_owned()).spawn(move || run(&connection, &file, &woken))?;
        Ok(Self { wal, commits: 0, wake })
    }

    pub(super) fn committed(&mut self) {
        self.commits += 1;
        if self.commits < COMMITS_PER_LOOK {
            return;
        }
        self.commits = 0;
        if size_bytes(&self.wal) >= PASSIVE_BYTES {
            let _already_awake = self.wake.try_send(());
        }
    }
}

/// Moves everything into the database file and cuts the write-ahead file to nothing. False: somebody reads in it.
pub(super) fn truncate(database: &Path) -> Result<bool, OpenError> {
    let connection = connection::open_writing(database)?;
    let refused = |source| OpenError::Sqlite { path: database.to_owned(), source };
    connection.busy_timeout(READERS_TIMEOUT).map_err(refused)?;
    // Commits go on beside this one; the other, which they wait for, then has little left to do.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(refused)?;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(refused)?;
    Ok(busy == 0)
}

fn size_bytes(wal: &Path) -> u64 {
    std::fs::metadata(wal).map_or(0, |meta| meta.len())
}

fn run(connection: &Connection, wal: &Path, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        let mode = if size_bytes(wal) >= TRUNCATE_BYTES { "TRUNCATE" } else { "PASSIVE" };
        let checkpoint = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        match checkpoint {
            Ok((busy, pages, moved)) => tracing::debug!(mode, busy, pages, moved, "checkpoint"),
            Err(error) => tracing::error!(mode, %error, "a checkpoint failed; the log stays in its write-ahead file"),
        }
    }
}
