//! What can go wrong with the database, sorted by what may be done about it.

use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the database could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused.
    #[error(
        "cannot open the log `{path}`: {source}; check that the folder is writable and the file is a breakglass log"
    )]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A setting that durability depends on did not take.
    #[error("cannot use the log `{path}`: SQLite keeps `{pragma}` at `{found}` where `{wanted}` is needed")]
    Pragma {
        /// Which file.
        path: PathBuf,
        /// Which setting.
        pragma: &'static str,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The file was made by a later version of this program.
    #[error("the log has schema version {found}, this program knows {known}: use the newer breakglass that wrote it")]
    Newer {
        /// The file's version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// A migration failed; it was rolled back.
    #[error("cannot bring the log to schema version {version}: {source}")]
    Migration {
        /// The version that was being made.
        version: i64,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A sync of the file failed before: the write-ahead file is all that can be trusted, until a restart.
    #[error(
        "the write-ahead file of `{path}` cannot be emptied: syncing the log failed before; look at the disk, then restart the gateway"
    )]
    Unsynced {
        /// Which file.
        path: PathBuf,
    },
    /// The SQLite that is linked in has a known fault.
    #[error("SQLite {found} is too old: its write-ahead log can corrupt the file; 3.51.3 or later is needed")]
    TooOld {
        /// The linked version.
        found: &'static str,
    },
    /// A thread could not be started.
    #[error("cannot start the log's thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite refused.
    #[error("the log cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The gateway is stopping.
    #[error("the log is closed: the gateway is stopping")]
    Closed,
}

/// Why a write was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Not written; it may be tried again when the cause is gone.
    #[error("the log cannot be written: {why}")]
    Unavailable {
        /// The cause, for people.
        why: String,
    },
    /// Not written, and trying again would fail again.
    #[error("the log refused a write: {why}")]
    Failed {
        /// The cause, for people.
        why: String,
    },
    /// Perhaps written: only the next start can tell (`docs/design`: a failed fsync). The gateway must end.
    #[error("the log's disk failed ({why}): whether this was written will be known at the next start")]
    InDoubt {
        /// The cause, for people.
        why: String,
    },
    /// The gateway is stopping; not written.
    #[error("the log is closed: the gateway is stopping")]
    Closed,
}

/// Sorts an error of the commit itself, or of the transaction's beginning.
pub(crate) fn classify_transaction(error: &rusqlite::Error) -> WriteError {
    let why = error.to_string();
    match error.sqlite_error_code() {
        // Rolled back cleanly; writing may go on when there is space, or when the other writer is done.
        Some(ErrorCode::DiskFull) => WriteError::Unavailable { why: "the disk is full; free some space".to_owned() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => WriteError::Unavailable { why },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::OutOfMemory) => {
            WriteError::Unavailable { why }
        }
        // An I/O error at COMMIT is in doubt: the refused batch can reappear after a reopen.
        _ => WriteError::InDoubt { why },
    }
}

/// Sorts an error of one statement inside a transaction that will be rolled back to a savepoint.
pub(crate) fn classify_statement(error: &rusqlite::Error) -> WriteError {
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => WriteError::Unavailable { why: "the disk is full; free some space".to_owned() },
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            WriteError::InDoubt { why }
        }
        _ => WriteError::Failed { why },
    }
}
