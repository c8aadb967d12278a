//! Opening connections with the settings that the promises depend on, each read back.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::OpenError;

/// How long a statement waits for another process (such as `breakglass token add`) to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of one connection, KiB. More was measured to gain nothing.
const CACHE_KIB: i64 = 4_000;
/// The write-ahead log's file is cut back to this when it is reset, bytes.
const WAL_BYTES_KEPT: i64 = 64 << 20;
/// Statements kept prepared on a connection.
const STATEMENTS_CACHED: usize = 64;
/// Before this, SQLite's write-ahead log has a bug that can corrupt the file.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// A connection that may write, and creates the file where there is none.
pub fn open_writing(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags)
}

/// A connection that moves pages; closing it moves none.
pub(super) fn open_moving(path: &Path) -> Result<Connection, OpenError> {
    let connection = open_writing(path)?;
    keep_write_ahead(&connection, path)?;
    Ok(connection)
}

/// The writer's connection alone may move what is left when it is the last to be closed.
fn keep_write_ahead(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    kept.map(drop).map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })
}

/// A connection that can only read.
pub fn open_reading(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags)?;
    keep_write_ahead(&connection, path)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|source| OpenError::Sqlite { path: path.to_owned(), source })?;
    Ok(connection)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::TooOld { found: rusqlite::version() });
    }
    let refused = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, flags).map_err(refused)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(refused)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    // Plans stay as they were made: without this, SQLite prepares some kept statements anew whenever a value is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(refused)?;
    // Each pragma, the value it is set to, and the value that reading it back must give.
    let pragmas: [(&'static str, &str, &str); 9] = [
        ("journal_mode", "WAL", "wal"),
        ("synchronous", "FULL", "2"),
        ("foreign_keys", "ON", "1"),
        ("trusted_schema", "OFF", "0"),
        // What is freed is overwritten at once: a redaction must find no older copies of what it takes away.
        ("secure_delete", "ON", "1"),
        ("mmap_size", "0", "0"),
        // Automatic checkpoints swallow their errors; checkpoint.rs runs explicit ones.
        ("wal_autocheckpoint", "0", "0"),
        ("cache_size", &format!("-{CACHE_KIB}"), &format!("-{CACHE_KIB}")),
        ("journal_size_limit", &WAL_BYTES_KEPT.to_string(), &WAL_BYTES_KEPT.to_string()),
    ];
    for (pragma, set, wanted) in pragmas {
        connection.pragma_update(None, pragma, set).map_err(refused)?;
        let found = connection
            .pragma_query_value(None, pragma, |row| {
                row.get::<_, rusqlite::types::Value>(0).map(|value| match value {
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    other => format!("{other:?}"),
                })
            })
            .or_else(|error| match error {
                // With no memory map compiled in there is nothing to read back.
                rusqlite::Error::QueryReturnedNoRows => Ok(wanted.to_owned()),
                other => Err(refused(other)),
            })?;
        if found != wanted {
            let wanted = wanted.to_owned();
            return Err(OpenError::Pragma { path: path.to_owned(), pragma, wanted, found });
        }
    }
    Ok(connection)
}
