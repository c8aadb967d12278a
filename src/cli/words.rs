//! Durations, times and sizes, as people say them. Pure.

use jiff::Timestamp;

/// A duration to the second.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..=9 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        10..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// The same without the small change.
pub(super) fn roughly(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long ago a time of the wire was; 0 when it lies ahead (clocks differ), `None` when it is none.
pub(super) fn since_ms(time: &str, now: Timestamp) -> Option<u64> {
    let then: Timestamp = time.parse().ok()?;
    let ms = now.as_millisecond().saturating_sub(then.as_millisecond());
    Some(u64::try_from(ms).unwrap_or(0))
}

/// The day and the time of day of a time of the wire (UTC).
pub(super) fn day_and_time(time: &str) -> Option<(String, String)> {
    let time = time.parse::<Timestamp>().ok()?.to_string();
    let (day, clock) = time.split_once('T')?;
    Some((day.to_owned(), clock.get(..8)?.to_owned()))
}

/// A number of bytes.
pub(super) fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..=1_023 => format!("{bytes} B"),
        1_024..=1_048_575 => format!("{} KiB", tenths(1 << 10)),
        _ => format!("{} MiB", tenths(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_as_people_do() {
        let said = [(7, "7 ms"), (1_250, "1.2 s"), (59_999, "59 s"), (61_000, "1 min 1 s"), (7_260_000, "2 h 1 min")];
        for (ms, words) in said {
            assert_eq!(duration(ms), words);
        }
        assert_eq!(
            (roughly(59_000), roughly(3_599_000), roughly(172_800_000)),
            ("59 s".into(), "59 min".into(), "2 days".into())
        );
        assert_eq!((size(1_023), size(1_536), size(3 << 20)), ("1023 B".into(), "1.5 KiB".into(), "3.0 MiB".into()));
    }

    #[test]
    fn reads_times_and_refuses_what_is_none() {
        let now: Timestamp = "2026-11-21T03:14:20Z".parse().unwrap();
        assert_eq!(since_ms("2026-11-21T03:14:15.926Z", now), Some(4_074));
        assert_eq!((since_ms("2026-11-21T04:00:00Z", now), since_ms("soon", now)), (Some(0), None));
        assert_eq!(day_and_time("2026-11-21T03:14:15.926Z"), Some(("2026-11-21".into(), "03:14:15".into())));
        assert_eq!(day_and_time("\u{1b}[2J"), None);
    }
}
