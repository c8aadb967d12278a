//! What goes when there are limits: the same rule for raw evidence and for whole sessions.
//!
//! Invariant: what must stay counts, and stays; what is fresh stays.

use std::time::Duration;

/// Between two looks: what is measured in days need not go by the minute.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// What was used so shortly ago may still be being compressed, or be what somebody is about to look at, milliseconds.
const FRESH_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How much is kept; `None`: without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// So long.
    pub days: Option<u64>,
    /// So much in all, bytes; the oldest goes first.
    pub bytes: Option<u64>,
}

/// Something that may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item<T> {
    pub what: T,
    /// From when its age counts.
    pub at_ms: i64,
    pub bytes: u64,
    /// Held, or at work.
    pub must_stay: bool,
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Age,
    Size,
}

/// What goes: all that is too old, then the oldest until the rest fits.
pub(super) fn going<T>(mut all: Vec<Item<T>>, now_ms: i64, limits: Limits) -> Vec<(Item<T>, Why)> {
    all.sort_by_key(|item| item.at_ms);
    let mut total: u64 = all.iter().map(|item| item.bytes).sum();
    let days_ms = limits.days.map(|days| i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MS));
    let mut going = Vec::new();
    for item in all {
        let age_ms = now_ms.saturating_sub(item.at_ms);
        let why = if days_ms.is_some_and(|days_ms| age_ms > days_ms) {
            Why::Age
        } else if limits.bytes.is_some_and(|bytes| total > bytes) {
            Why::Size
        } else {
            continue;
        };
        if item.must_stay || age_ms < FRESH_MS {
            continue;
        }
        total -= item.bytes;
        going.push((item, why));
    }
    going
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(hours_ago: i64, bytes: u64, must_stay: bool) -> Item<i64> {
        Item { what: hours_ago, at_ms: -hours_ago * 60 * 60 * 1_000, bytes, must_stay }
    }

    #[test]
    fn the_old_goes_then_the_oldest_until_the_rest_fits() {
        let all =
            [item(100, 10, false), item(90, 20, true), item(30, 40, false), item(20, 80, false), item(0, 160, false)];
        let gone = |limits: Limits| {
            let gone = going(all.to_vec(), 0, limits);
            gone.into_iter().map(|(item, why)| (item.what, why)).collect::<Vec<_>>()
        };
        assert_eq!(gone(Limits { days: Some(1), bytes: None }), [(100, Why::Age), (30, Why::Age)]);
        assert_eq!(gone(Limits { days: None, bytes: Some(300) }), [(100, Why::Size)]);
        assert_eq!(gone(Limits { days: Some(4), bytes: Some(270) }), [(100, Why::Age), (30, Why::Size)]);
        let all_that_may = [(100, Why::Size), (30, Why::Size), (20, Why::Size)];
        assert_eq!(gone(Limits { days: None, bytes: Some(0) }), all_that_may, "what is held or fresh stays");
        assert_eq!(gone(Limits::default()), []);
    }

    proptest! {
        #[test]
        fn limits_are_met_as_far_as_anything_may_go(
            items in prop::collection::vec((0i64..2_000, 0u64..100, any::<bool>()), 0..30),
            days in prop::option::of(1u64..60), bytes in prop::option::of(0u64..1_000),
        ) {
            let all: Vec<Item<usize>> = items.into_iter().enumerate().map(|(number, (hours, bytes, must_stay))| {
                Item { what: number, at_ms: -hours * 60 * 60 * 1_000, bytes, must_stay }
            }).collect();
            let gone: Vec<_> = going(all.clone(), 0, Limits { days, bytes }).into_iter().map(|(item, _)| item).collect();
            prop_assert!(gone.iter().all(|item| !item.must_stay && -item.at_ms >= FRESH_MS));
            let left: Vec<&Item<usize>> = all.iter().filter(|item| !gone.contains(item)).collect();
            let movable = |item: &&&Item<usize>| !item.must_stay && -item.at_ms >= FRESH_MS;
            if let Some(days) = days {
                prop_assert!(left.iter().filter(movable).all(|item| -item.at_ms <= days as i64 * DAY_MS));
            }
            if let Some(bytes) = bytes {
                let total: u64 = left.iter().map(|item| item.bytes).sum();
                prop_assert!(total <= bytes || left.iter().filter(movable).count() == 0);
            }
        }
    }
}
