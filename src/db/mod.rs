//! SQLite, and nothing that is about sessions: one writer thread, a read pool, checkpoints, migrations.
//!
//! Invariant: there is one write connection in this process, owned by one thread; what it reports as written has been
//! fsynced (`synchronous=FULL`), and what it reports as refused is not in the file. When it cannot know which of the two is
//! true it says so ([`WriteError::InDoubt`]) and takes no more work. Knows nothing of what the tables mean.

mod checkpoint;
pub mod connection;
pub mod error;
mod migrate;
mod readers;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub use error::{OpenError, ReadError, WriteError};
pub use readers::Readers;
pub use writer::{Health, Writer};

/// Opens a database alone, for writing, in this program's schema: for a copy that no gateway uses.
///
/// # Errors
/// [`OpenError`], as for [`Db::open`].
pub fn upgraded(path: &Path) -> Result<rusqlite::Connection, OpenError> {
    let mut connection = connection::open_writing(path)?;
    migrate::migrate(&mut connection)?;
    Ok(connection)
}

/// The whole database: a writer and readers. Clones are handles to the same one.
#[derive(Clone)]
pub struct Db {
    /// The one way in.
    pub writer: Writer,
    /// The many ways out.
    pub readers: Readers,
    path: Arc<Path>,
    unsynced: checkpoint::Unsynced,
}

impl Db {
    /// Opens or creates the database file, brings it to this program's schema, and starts the writer.
    ///
    /// # Errors
    /// [`OpenError`] when the file cannot be opened, is damaged, or is newer than this program. Nothing was changed then.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut connection = connection::open_writing(path)?;
        migrate::migrate(&mut connection)?;
        let unsynced = checkpoint::Unsynced::default();
        let checkpointer = checkpoint::Checkpointer::start(path, &mut connection, unsynced.clone())?;
        let readers = Readers::open(path)?;
        Ok(Self { writer: Writer::start(connection, checkpointer)?, readers, path: path.into(), unsynced })
    }
}

/// So often is tried to empty the write-ahead file,
const EMPTY_TRIES: u32 = 100;
/// so far apart: readers hold it for one page at a time.
const EMPTY_AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

impl Db {
    /// Empties the write-ahead file: pages as they were before the last commits are in no file of the database then. False
    /// when readers held it all the time.
    ///
    /// # Errors
    /// When the database cannot be opened once more, or a checkpoint fails.
    pub async fn empty_write_ahead(&self) -> Result<bool, OpenError> {
        for _ in 0..EMPTY_TRIES {
            let (path, unsynced) = (Arc::clone(&self.path), self.unsynced.clone());
            let emptied = tokio::task::spawn_blocking(move || checkpoint::truncate(&path, &unsynced)).await;
            if emptied.map_err(std::io::Error::other)?? {
                return Ok(true);
            }
            tokio::time::sleep(EMPTY_AGAIN).await;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_job_leaves_no_trace_and_harms_no_neighbour() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("log.db")).unwrap();
        let put = |name: &'static str| {
            db.writer.write(move |tx| tx.execute("INSERT INTO meta (name, value) VALUES (?1, 1)", [name]))
        };
        let half = db.writer.write(|tx| {
            tx.execute("INSERT INTO meta (name, value) VALUES ('half', 1)", [])?;
            tx.execute("INSERT INTO nowhere VALUES (1)", [])
        });
        let (a, b, c) = tokio::join!(put("a"), half, put("c"));
        assert!(a.is_ok() && c.is_ok());
        assert!(matches!(b, Err(WriteError::Failed { .. })), "{b:?}");
        let names = db.readers.read(|c| {
            c.prepare("SELECT name FROM meta WHERE name IN ('a','half','c') ORDER BY name")?
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(names.await.unwrap(), ["a", "c"]);
    }

    #[tokio::test]
    async fn the_write_ahead_file_begins_anew_while_there_is_writing_and_reading() {
        const COMMITS: u64 = 3_000;
        const COMMIT_BYTES: u64 = 40 << 10;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.db");
        let db = Db::open(&path).unwrap();
        for number in 0..COMMITS {
            let put = move |tx: &rusqlite::Transaction<'_>| {
                let sql = "INSERT INTO meta (name, value) VALUES (?1, zeroblob(?2))";
                tx.prepare_cached(sql)?.execute((number.to_string(), COMMIT_BYTES as i64))
            };
            db.writer.write(put).await.unwrap();
            let rows = db.readers.read(|c| c.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0)));
            assert!(rows.await.unwrap() > number as i64);
        }
        let bytes = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
        assert!(bytes < COMMITS * COMMIT_BYTES / 2, "{bytes} bytes, it only grows");
    }

    #[test]
    fn a_newer_database_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.db");
        drop(Db::open(&path).unwrap());
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.pragma_update(None, "user_version", 9_999).unwrap();
        drop(raw);
        let refused = Db::open(&path).err().unwrap().to_string();
        assert!(refused.contains("9999"), "{refused}");
    }
}
