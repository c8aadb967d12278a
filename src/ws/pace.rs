//! How fast a client may ask. Pure: a bucket that fills with time.

use std::time::Duration;

use tokio::time::Instant;

/// Requests at once: a page that comes back attaches all its sessions.
const BURST: f64 = 1_000.0;
/// Requests a second in the long run.
const RATE: f64 = 200.0;
/// Refusals in a row after which the connection is cut.
const REFUSALS_MAX: u32 = 2_000;

/// What is thought of one more request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    TooFast { wait_ms: u64 },
    Flood,
}

pub(super) struct Pace {
    left: f64,
    counted: Instant,
    refusals: u32,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now, refusals: 0 }
    }

    pub(super) fn request(&mut self, now: Instant) -> Verdict {
        let since = now.saturating_duration_since(self.counted);
        self.left = (self.left + since.as_secs_f64() * RATE).min(BURST);
        self.counted = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            self.refusals = 0;
            return Verdict::Fine;
        }
        self.refusals += 1;
        if self.refusals > REFUSALS_MAX {
            return Verdict::Flood;
        }
        let wait = Duration::from_secs_f64((1.0 - self.left) / RATE);
        Verdict::TooFast { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_a_flood_does_not_and_patience_helps() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!((0..1_000).all(|_| pace.request(start) == Verdict::Fine));
        assert_eq!(pace.request(start), Verdict::TooFast { wait_ms: 5 });
        assert_eq!(pace.request(start + Duration::from_secs(1)), Verdict::Fine);
        let verdicts: Vec<_> = (0..4_000).map(|_| pace.request(start + Duration::from_secs(1))).collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Flood));
    }
}
