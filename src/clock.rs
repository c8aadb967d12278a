//! Wall-clock time in the one form that the wire has: UTC, RFC 3339, milliseconds; and time that never jumps.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch. Orders nothing: only seqs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallMs(pub i64);

impl WallMs {
    /// Now, by this machine's clock.
    pub fn now() -> Self {
        Self::of(SystemTime::now())
    }

    /// The system's own form of it; a moment before the epoch is the epoch.
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// How long ago that was, milliseconds; 0 when it lies ahead (the clock jumped back).
    pub fn elapsed_ms(self) -> u64 {
        u64::try_from(Self::now().0.saturating_sub(self.0)).unwrap_or(0)
    }

    /// `2026-11-21T03:14:15.926Z`.
    pub fn rfc3339(self) -> String {
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        format!("{time:.3}")
    }
}

/// A moment of this boot, milliseconds, time in suspend included. The wall clock may jump; this only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootMs(i64);

impl BootMs {
    /// Now.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        Self(now.tv_sec * 1_000 + now.tv_nsec / 1_000_000)
    }

    /// How long ago that was, milliseconds.
    pub fn elapsed_ms(self) -> u64 {
        u64::try_from(Self::now().0 - self.0).unwrap_or(0)
    }
}

/// One moment by both clocks: the one that people read, and the one that shows whether that was set meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// By the wall clock, RFC 3339.
    pub time: String,
    /// Since the machine started, milliseconds, time in suspend included.
    pub boot_ms: i64,
    /// Which start of the machine that counts from; none where the kernel does not say.
    pub boot_id: Option<String>,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { time: WallMs::now().rfc3339(), boot_ms: BootMs::now().0, boot_id: boot_id().ok() }
    }
}

/// The kernel's name for this start of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_milliseconds_always() {
        assert_eq!(WallMs(1_763_694_855_926).rfc3339(), "2025-11-21T03:14:15.926Z");
        assert_eq!(WallMs(1_763_694_855_000).rfc3339(), "2025-11-21T03:14:15.000Z");
    }
}
