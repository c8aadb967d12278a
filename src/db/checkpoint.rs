//! Checkpoints: a thread of its own moves pages into the database file while the writer goes on, and the writer moves what
//! little is left between two commits, so that the write-ahead file begins anew instead of growing.
//!
//! Invariant: after a sync of the database file has failed nothing is moved any more, also not when the file is closed: the
//! kernel takes the pages for written then, a second sync would succeed, and the write-ahead file, which has them all, would
//! be let go. The next start moves all of it anew. SQLite's automatic checkpoints report no errors and stall a commit for
//! all of it. Knows only pages.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ffi};

use super::connection;
use super::error::OpenError;

/// Pages in the write-ahead file from which they are moved: 16 MiB.
const DUE_PAGES: u32 = 4_000;
/// When readers kept the file from beginning anew, the next try comes so many pages later: 4 MiB.
const AGAIN_PAGES: u32 = 1_000;
/// How long a truncating checkpoint waits for readers: commits wait with it, so not long.
const READERS_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(50);

/// Whether a sync of the database file has failed since this process opened it. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsynced(Arc<AtomicBool>);

impl Unsynced {
    fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn found(&self, error: &dyn std::fmt::Display) {
        if !self.0.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the database file cannot be synced: everything stays in the write-ahead file, which \
                grows until the gateway starts anew; look at the disk, then restart");
        }
    }
}

/// The writer's side: sees after every commit whether there is enough to do.
pub(super) struct Checkpointer {
    /// Pages in the write-ahead file, as of the last commit.
    pages: Arc<AtomicU32>,
    /// The thread is woken when there are so many.
    next: u32,
    wake: SyncSender<()>,
    /// The thread has moved all but the newest pages.
    moved: Arc<AtomicBool>,
    unsynced: Unsynced,
}

impl Checkpointer {
    /// `writer` is the connection that commits.
    pub(super) fn start(database: &Path, writer: &mut Connection, unsynced: Unsynced) -> Result<Self, OpenError> {
        let refused = |source| OpenError::Sqlite { path: database.to_owned(), source };
        let pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&pages);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            seen.store(pages.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(refused)?;
        // One pending wake-up is enough.
        let (wake, woken) = sync_channel(1);
        let moved = Arc::new(AtomicBool::new(false));
        let mover = Mover {
            connection: connection::open_moving(database)?,
            database: ManuallyDrop::new(File::open(database)?),
            moved: Arc::clone(&moved),
            unsynced: unsynced.clone(),
        };
        std::thread::Builder::new().name("log-checkpoint".to_owned()).spawn(move || mover.run(&woken))?;
        Ok(Self { pages, next: DUE_PAGES, wake, moved, unsynced })
    }

    /// After a commit, on the writer's connection and thread.
    pub(super) fn committed(&mut self, writer: &Connection) {
        if self.unsynced.is_so() {
            return;
        }
        if self.moved.swap(false, Ordering::Acquire) {
            // Nobody appends meanwhile: now all is moved, and unless somebody reads in the file the next commit begins it anew.
            checkpoint(writer, &self.unsynced);
        }
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.next.saturating_sub(AGAIN_PAGES) {
            self.next = DUE_PAGES;
        }
        if pages >= self.next {
            self.next = pages + AGAIN_PAGES;
            let _already_awake = self.wake.try_send(());
        }
    }

    /// Before the writer's connection is closed, which moves what is left if it is the last one.
    pub(super) fn closing(&self, writer: &Connection) {
        if self.unsynced.is_so()
            && let Err(error) = writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%error, "the write-ahead file cannot be kept");
        }
    }
}

/// The thread's side.
struct Mover {
    connection: Connection,
    /// For syncing. Never closed: to close any descriptor of a database file takes away all locks that this process has on
    /// it (sqlite.org/howtocorrupt.html section 2.2). One for each time that a process opens a log.
    database: ManuallyDrop<File>,
    moved: Arc<AtomicBool>,
    unsynced: Unsynced,
}

impl Mover {
    fn run(self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            // Twice: what was appended during the long first time is little the second time. SQLite itself syncs only if
            // nothing was appended meanwhile; what is synced here the writer does not have to wait for.
            for _ in 0..2 {
                if self.unsynced.is_so() {
                    return;
                }
                checkpoint(&self.connection, &self.unsynced);
                if let Err(error) = self.database.sync_data() {
                    self.unsynced.found(&error);
                }
            }
            self.moved.store(true, Ordering::Release);
        }
    }
}

/// Moves what can be moved without waiting for anybody.
fn checkpoint(connection: &Connection, unsynced: &Unsynced) {
    let outcome = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    match outcome {
        Ok((busy, pages, moved)) => tracing::debug!(busy, pages, moved, "checkpoint"),
        Err(error) if failed_to_sync(&error) => unsynced.found(&error),
        Err(error) => tracing::error!(%error, "a checkpoint failed; the log stays in its write-ahead file"),
    }
}

fn failed_to_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

/// Moves everything into the database file and cuts the write-ahead file to nothing. False: somebody reads in it.
pub(super) fn truncate(database: &Path, unsynced: &Unsynced) -> Result<bool, OpenError> {
    if unsynced.is_so() {
        return Err(OpenError::Unsynced { path: database.to_owned() });
    }
    let connection = connection::open_moving(database)?;
    let refused = |source: rusqlite::Error| {
        if failed_to_sync(&source) {
            unsynced.found(&source);
        }
        OpenError::Sqlite { path: database.to_owned(), source }
    };
    connection.busy_timeout(READERS_TIMEOUT).map_err(refused)?;
    // Commits go on beside this one; the other, which they wait for, then has little left to do.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(refused)?;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(refused)?;
    Ok(busy == 0)
}
