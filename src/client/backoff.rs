//! How long to wait before the next attempt to connect. Pure.

use std::time::Duration;

/// The longest wait: somebody with an outage does not sit longer in front of a dead terminal.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// The wait after a first loss, before it is spread.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Doubling any further goes beyond [`WAIT_MAX`].
const DOUBLINGS_MAX: u32 = 5;

/// The wait before attempt `attempt` (0 is the first after a loss): doubling, and spread over its upper half, so that a
/// gateway that restarts does not meet all its viewers in one moment. `spread` is any number.
pub(super) fn wait(attempt: u32, spread: u32) -> Duration {
    let ceiling = WAIT_MAX.min(WAIT_FIRST * 2_u32.pow(attempt.min(DOUBLINGS_MAX)));
    ceiling / 2 + (ceiling / 2).mul_f64(f64::from(spread) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_bound_and_is_spread() {
        assert_eq!((wait(0, 0), wait(0, u32::MAX)), (Duration::from_millis(250), Duration::from_millis(500)));
        assert!(wait(0, u32::MAX / 2) < wait(0, u32::MAX));
        for attempt in [5, 6, 100, u32::MAX] {
            assert_eq!(wait(attempt, u32::MAX), WAIT_MAX, "{attempt}");
            assert_eq!(wait(attempt, 0), WAIT_MAX / 2, "{attempt}");
        }
    }
}
