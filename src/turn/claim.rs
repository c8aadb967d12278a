//! Who may run an attempt, and whether somebody does.
//!
//! Invariants: an attempt is run at most once, because running it begins with creating `out`, which succeeds once; and it
//! is alive exactly while the lock on `lock` is held, which the kernel gives up when the holder dies, however it dies.
//!
//! The lock is a POSIX record lock and not a `flock`: asking who holds it (`F_GETLK`) does not take it, so that a gateway
//! that looks at the wrong moment cannot make a starting supervisor believe that it has a rival; the kernel names
//! the holder; and no child inherits it. The price: a process that closes any descriptor of the file loses it, so the
//! supervisor opens the file once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk, getpid};
use serde::{Deserialize, Serialize};

use super::processes;
use super::spool::{ExitRecord, SpoolDir, SpoolError};
use crate::clock::boot_id;

/// Whether somebody runs an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Nobody ever did: it may be launched.
    NeverLaunched,
    /// A supervisor does.
    Alive {
        /// Its process id.
        pid: u32,
    },
    /// Somebody did, and is no more. Without an exit record the turn is lost.
    Gone,
}

/// The right to run an attempt, held for life.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lasts as long as this is open")] File);

/// What the lock file says: who holds it. For people, and to tell a lock of another boot.
#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    pid: i32,
    /// Clock ticks after boot, as in `/proc/PID/stat`.
    started_ticks: Option<u64>,
    boot_id: String,
}

impl SpoolDir {
    /// Whether somebody runs this attempt. Disturbs nobody.
    pub fn liveness(&self) -> Result<Liveness, SpoolError> {
        match self.owner()? {
            Some(pid) if !self.is_of_another_boot() => {
                Ok(Liveness::Alive { pid: pid.as_raw_nonzero().get().unsigned_abs() })
            }
            _ if self.is_claimed() => Ok(Liveness::Gone),
            _ => Ok(Liveness::NeverLaunched),
        }
    }

    /// Makes sure that this attempt never runs, and says so in an exit record. False when it ran or runs already.
    pub fn abandon(&self, why: &str) -> Result<bool, SpoolError> {
        if self.claim()?.is_none() {
            return Ok(false);
        }
        self.write_exit_record(&ExitRecord::not_started(why.to_owned()))?;
        Ok(true)
    }

    /// Takes the lock; none when somebody has it. A process must ask once only.
    pub(crate) fn lock(&self) -> Result<Option<Lock>, SpoolError> {
        let path = self.lock_path();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(SpoolError::io("open", &path))?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(SpoolError::io("lock", &path)(error.into())),
        }
        // The lock counts and not its text, which a full disk may refuse.
        let _ = write_owner(&mut file);
        Ok(Some(Lock(file)))
    }

    /// Creates `out`: whoever does may run the attempt. None when somebody did before.
    pub(crate) fn claim(&self) -> Result<Option<File>, SpoolError> {
        if self.is_claimed() {
            return Ok(None);
        }
        let path = self.out_path();
        match OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path) {
            Ok(out) => Ok(Some(out)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(SpoolError::io("create", &path)(error)),
        }
    }

    /// Whether somebody took the right to run it. After the turn `out` may be gone into the archive.
    pub(crate) fn is_claimed(&self) -> bool {
        [self.out_path(), self.exit_path(), self.out_archive_path()].iter().any(|path| path.exists())
    }

    fn owner(&self) -> Result<Option<Pid>, SpoolError> {
        let path = self.lock_path();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SpoolError::io("open", &path)(error)),
        };
        let held = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock));
        match held.map_err(|error| SpoolError::io("look at", &path)(error.into()))? {
            None => Ok(None),
            Some(Flock { pid: Some(pid), .. }) => Ok(Some(pid)),
            Some(Flock { pid: None, .. }) => Err(SpoolError::ForeignOwner { path }),
        }
    }

    /// A file system that outlives the machine (a network mount) can keep a lock of a boot that is over.
    fn is_of_another_boot(&self) -> bool {
        let owner = fs::read(self.lock_path()).ok().and_then(|bytes| serde_json::from_slice::<Owner>(&bytes).ok());
        owner.is_some_and(|owner| boot_id().is_ok_and(|now| now != owner.boot_id))
    }
}

fn write_owner(file: &mut File) -> io::Result<()> {
    let pid = getpid();
    let owner = Owner {
        pid: pid.as_raw_nonzero().get(),
        started_ticks: processes::read(pid).map(|process| process.started_ticks),
        boot_id: boot_id()?,
    };
    file.set_len(0)?;
    file.write_all(&serde_json::to_vec(&owner)?)
}
