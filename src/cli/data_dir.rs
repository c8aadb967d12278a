//! The data folder: made private, and used by one gateway at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

/// Makes the folder if it is not there, for this user only: the log holds secrets.
pub(super) fn create(root: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(root);
    made.with_context(|| format!("cannot make the data folder `{}`", root.display()))
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
