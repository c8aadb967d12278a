//! Waiting for a file descriptor of our own to become readable: pidfds, timers, inotify.
//!
//! Owns the one call for which tokio has no safe name that is not deprecated.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime that this is called in.
#[expect(
    deprecated,
    reason = "deprecated because a foreign type may close or swap its descriptor while registered; OwnedFd cannot, and \
              the successor is unsafe only for those that can"
)]
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}
