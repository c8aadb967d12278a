//! Hearing that a spool directory has changed.
//!
//! Invariant: a change after the watch was made is never missed; that there may be none is no harm. So: make the watch,
//! read, wait, read.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::turn::readiness::register;
use crate::turn::spool::SpoolDir;

/// Room for some hundred events, so that a burst is one wake-up.
const EVENTS_BYTES: usize = 4096;
/// How often a directory counts as changed that cannot be watched.
const POLL_MS: u64 = 200;

/// Watches the spool directory of a running attempt.
#[derive(Debug)]
pub struct SpoolWatch(Source);

#[derive(Debug)]
enum Source {
    Inotify(AsyncFd<OwnedFd>),
    /// The system's watches are used up, by whomever: a bad day, but no reason to lose a turn.
    Poll,
}

impl SpoolWatch {
    /// Watches from now on. To be called within a tokio runtime.
    pub fn new(dir: &SpoolDir) -> io::Result<Self> {
        match watch(dir) {
            Ok(fd) => Ok(Self(Source::Inotify(register(fd)?))),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::NOMEM) => Ok(Self(Source::Poll)),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when `out` was written to or `exit.json` appeared, since the watch was made or this last returned. May be
    /// dropped and called again.
    pub async fn changed(&mut self) -> io::Result<()> {
        let Source::Inotify(fd) = &self.0 else {
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
            return Ok(());
        };
        loop {
            let mut ready = fd.readable().await?;
            match ready.try_io(|fd| drain(fd.get_ref())) {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

fn watch(dir: &SpoolDir) -> Result<OwnedFd, Errno> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF;
    inotify::add_watch(&fd, dir.path(), what | WatchFlags::ONLYDIR)?;
    Ok(fd)
}

/// Takes all events that are there. True when one of them matters; an error that says "would block" when there are none.
fn drain(fd: &OwnedFd) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
    let mut events = inotify::Reader::new(fd, &mut buffer);
    let mut matters = None;
    loop {
        match events.next() {
            Ok(event) => {
                let seen = matters.unwrap_or(false);
                matters = Some(seen || is_change(event.events(), event.file_name().map(|name| name.to_bytes())));
            }
            Err(Errno::INTR) => {}
            Err(error) => return matters.ok_or_else(|| error.into()),
        }
    }
}

fn is_change(what: ReadFlags, name: Option<&[u8]>) -> bool {
    let always = ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED | ReadFlags::DELETE_SELF;
    what.intersects(always) || matches!(name, Some(b"out" | b"exit.json"))
}
