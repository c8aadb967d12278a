//! A copy of the log while it is written.
//!
//! Invariant: what stands under the name is one committed state, whole, checked and on the disk, readable for its owner only; the
//! gateway's writer is never waited for nor made to wait. `VACUUM INTO` reads one snapshot, and leaves out what pages that are free still hold.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Extent, inspect};

/// How long a beginning waits for another process that is just recovering the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Never written over.
    #[error("`{0}` is there already; give a name that is free")]
    Taken(PathBuf),
    /// There is nothing to copy.
    #[error("there is no log at `{0}`; name the gateway's data folder with --data")]
    NoLog(PathBuf),
    /// A file cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("cannot copy the log: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// What was written cannot be read back.
    #[error("the copy is not sound and was thrown away: {0}")]
    Unsound(String),
}

/// Removes an unfinished copy.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename it is gone already.
        let _gone = fs::remove_file(&self.0);
    }
}

/// Copies a database to a file that is not there yet. Takes as long as reading it all.
///
/// # Errors
/// [`BackupError`]; nothing is left under the name then.
pub fn backup(database: &Path, to: &Path) -> Result<Extent, BackupError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::Io { path, source }
    };
    if !database.exists() {
        return Err(BackupError::NoLog(database.to_owned()));
    }
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Taken(to.to_owned()));
    }
    let name = to.file_name().ok_or_else(|| io(to)(io::ErrorKind::InvalidInput.into()))?.to_string_lossy();
    let draft = Draft(to.with_file_name(format!(".{name}.{}.part", std::process::id())));
    // SQLite takes an empty file that is there, with the rights that it has.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0).map_err(io(&draft.0))?;
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute("VACUUM INTO ?1", [draft.0.to_string_lossy()])?;
    let extent = inspect(&draft.0).map_err(BackupError::Unsound)?;
    file.sync_all().map_err(io(&draft.0))?;
    // A hard link, unlike a rename, replaces nothing that came meanwhile.
    fs::hard_link(&draft.0, to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Taken(to.to_owned()),
        _ => io(to)(error),
    })?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The name too; a folder that cannot be synced does not make the file less whole.
    let _unsynced = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(extent)
}
