//! What was measured of one of the two logs, slice by slice.

use std::time::Instant;

/// How many events became durable, and how long that took in us.
pub(crate) type Appended = (usize, f64);

struct Slice {
    /// How long each append took, the shortest first.
    took_us: Vec<f64>,
    /// Events a second.
    rate: f64,
}

#[derive(Default)]
pub(crate) struct Measured {
    slices: Vec<Slice>,
    events: usize,
    /// This process's time on a CPU, user and system: what other load on the machine hardly changes.
    cpu_seconds: f64,
}

impl Measured {
    pub(crate) async fn take(&mut self, slice: impl AsyncFnOnce() -> Vec<Appended>) {
        let (start, used) = (Instant::now(), used_s());
        let appended = slice().await;
        let seconds = start.elapsed().as_secs_f64();
        self.cpu_seconds += used_s() - used;
        let events: usize = appended.iter().map(|one| one.0).sum();
        self.events += events;
        let took_us = sorted(appended.into_iter().map(|one| one.1));
        self.slices.push(Slice { took_us, rate: events as f64 / seconds });
    }

    /// How long an append took that was slower than this share of its slice: the median of the slices.
    pub(crate) fn took_us(&self, share: f64) -> f64 {
        at(&sorted(self.slices.iter().map(|slice| at(&slice.took_us, share))), 0.5)
    }

    /// Events a second: the median of the slices.
    pub(crate) fn rate(&self) -> f64 {
        at(&sorted(self.slices.iter().map(|slice| slice.rate)), 0.5)
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.events as f64
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The value below which this share of them lies.
fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// CPU time that this process has used, seconds (proc_pid_stat(5); ticks of 10 ms).
fn used_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap()).collect();
    (fields[0] + fields[1]) / 100.0
}
