//! The data folder: private, and used by one gateway at a time.
//!
//! Invariant: a folder that others can look into is refused, not repaired: whoever could read it may have read it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, Mode, fcntl_lock};
use rustix::io::Errno;
use rustix::process::umask;

use crate::config::DataPaths;

/// Whatever this process makes from here on is for its user alone. Gives back what held before, for the agents: what
/// they repair must be readable by those who need it.
pub(super) fn keep_private() -> u32 {
    umask(Mode::RWXG | Mode::RWXO).as_raw_mode()
}

/// Makes the folder if it is not there, for this user only: the log holds secrets.
pub(super) fn create(paths: &DataPaths) -> Result<()> {
    let root = &paths.root;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
    made.with_context(|| format!("cannot make the data folder `{}`", root.display()))?;
    check(paths)
}

/// Sees that nobody else can read or change what is in it.
pub(super) fn check(paths: &DataPaths) -> Result<()> {
    let database = paths.database();
    let beside = |suffix: &str| {
        let mut name = database.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let files = [database.clone(), beside("-wal"), beside("-shm"), paths.lock(), paths.high_water()];
    for path in [paths.root.clone(), paths.spools()].iter().chain(&files) {
        check_one(path)?;
    }
    Ok(())
}

fn check_one(path: &Path) -> Result<()> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at `{}`", path.display())),
    };
    let (mode, wanted) = (found.mode() & 0o777, if found.is_dir() { "700" } else { "600" });
    ensure!(
        mode & 0o077 == 0,
        "`{}` is open to others (mode {mode:o}): find out who read it, then `chmod {wanted}` it",
        path.display()
    );
    let own = rustix::process::geteuid();
    ensure!(
        found.uid() == own.as_raw() || own.is_root(),
        "`{}` belongs to the user with id {}, not to you; run breakglass as that user, or choose another folder with --data",
        path.display(),
        found.uid()
    );
    Ok(())
}

/// Held by a gateway for as long as it runs.
pub(super) struct Lock {
    _file: File,
}

/// Takes the folder. To be done once in a process: closing any other handle of the file would give the lock up.
pub(super) fn lock(path: &Path) -> Result<Lock> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = opened.with_context(|| format!("cannot open `{}`", path.display()))?;
    // A record lock: a child that a killed gateway was just starting does not hold it on, as it would a `flock`.
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(Errno::AGAIN | Errno::ACCESS) => {
            bail!(
                "another breakglass uses this data folder (`{}` is locked); stop it, or choose another with --data",
                path.display()
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
    }
}
