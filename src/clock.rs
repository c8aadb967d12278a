//! Wall-clock time in the one form that the wire has: UTC, RFC 3339, milliseconds; and time that never jumps.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the Unix epoch. Orders nothing: only seqs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallMs(pub i64);

impl WallMs {
    /// Now, by this machine's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_milliseconds_always() {
        assert_eq!(WallMs(1_763_694_855_926).rfc3339(), "2025-11-21T03:14:15.926Z");
        assert_eq!(WallMs(1_763_694_855_000).rfc3339(), "2025-11-21T03:14:15.000Z");
    }
}
