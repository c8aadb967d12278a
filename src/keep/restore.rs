//! Puts a copy back into the data folder of a stopped gateway.
//!
//! Invariant: at every moment a whole database stands in the folder; the one that was there before is kept aside with what had been
//! signed of it; what is put back gets a new epoch, so nobody takes it for what they have seen. That it happened is written into it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Extent, inspect, record};
use crate::clock::WallMs;
use crate::config::DataPaths;
use crate::db::{self, OpenError, connection};

/// Whether a database that is there may be put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It may.
    Allowed,
    /// Only an empty place is filled.
    Refused,
}

/// Why nothing was put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is a log.
    #[error("`{0}` is there; to put it aside and the copy in its place, add --replace")]
    Taken(PathBuf),
    /// The copy is not one.
    #[error("`{path}` cannot be put back: {why}")]
    NoCopy {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("cannot put `{path}` in its place: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy cannot be brought to this program's form.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite refused.
    #[error("cannot prepare the copy: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What is there now.
    pub extent: Extent,
    /// Where the earlier database lies; `None`: there was none.
    pub aside: Option<PathBuf>,
}

/// Puts a copy back. The caller holds the folder's lock.
///
/// # Errors
/// [`RestoreError`]; the database that was there is there still.
pub fn restore(from: &Path, data: &DataPaths, replace: Replace, by: &str) -> Result<Restored, RestoreError> {
    let database = data.database();
    let is_there = fs::symlink_metadata(&database).is_ok();
    if is_there && replace == Replace::Refused {
        return Err(RestoreError::Taken(database));
    }
    let staged = data.root.join("breakglass.db.restoring");
    remove_with_beside(&staged);
    let prepared = stage(from, &staged, by);
    let extent = prepared.inspect_err(|_| remove_with_beside(&staged))?;
    let aside = is_there.then(|| put_aside(data)).transpose()?;
    fs::rename(&staged, &database).map_err(io_at(&database))?;
    File::open(&data.root).and_then(|folder| folder.sync_all()).map_err(io_at(&data.root))?;
    Ok(Restored { extent, aside })
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { path, source }
}

/// A private copy of the copy, in this program's form, without its epoch: the next start makes a new one.
fn stage(from: &Path, staged: &Path, by: &str) -> Result<Extent, RestoreError> {
    let no_copy = |why: String| RestoreError::NoCopy { path: from.to_owned(), why };
    let mut source = File::open(from).map_err(|error| no_copy(error.to_string()))?;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(staged).map_err(io_at(staged))?;
    io::copy(&mut source, &mut file).map_err(io_at(staged))?;
    file.sync_all().map_err(io_at(staged))?;
    let extent = inspect(staged).map_err(no_copy)?;
    let connection = db::upgraded(staged)?;
    connection.execute("DELETE FROM meta WHERE name = 'epoch'", [])?;
    let detail = format!("from `{}`, {} events of epoch {}", from.display(), extent.events, extent.epoch);
    record(&connection, "restore", None, by, &detail)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(extent)
}

/// Links the present database into a folder of its own, and moves there what belongs to it.
fn put_aside(data: &DataPaths) -> Result<PathBuf, RestoreError> {
    let database = data.database();
    let now = WallMs::now().rfc3339().replace([':', '.'], "-");
    let aside = data.root.join(format!("before-restore-{now}"));
    DirBuilder::new().mode(0o700).create(&aside).map_err(io_at(&aside))?;
    // Its write-ahead log goes into the file, unless it is damaged; then it is kept as it is.
    if let Ok(connection) = connection::open_writing(&database) {
        let _as_it_is = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let kept = aside.join("breakglass.db");
    fs::hard_link(&database, &kept).map_err(io_at(&kept))?;
    // What was signed is of that history: with it the next start would take the copy for a forgery.
    for (from, name) in [
        (beside(&database, "-wal"), "breakglass.db-wal"),
        (beside(&database, "-shm"), "breakglass.db-shm"),
        (data.signed(), "signed"),
    ] {
        let to = aside.join(name);
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_at(&to)(error)),
            _ => {}
        }
    }
    Ok(aside)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_with_beside(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        // Of an earlier attempt, if there was one.
        let _gone = fs::remove_file(beside(path, suffix));
    }
}
