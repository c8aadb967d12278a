//! Numbers to look at: percentiles, medians of rounds, tables.

use std::process::Command;

/// A distribution, in whatever unit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| values.get(((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1)));
        Self { p50: *at(0.5).unwrap_or(&0.0), p99: *at(0.99).unwrap_or(&0.0), max: *values.last().unwrap_or(&0.0) }
    }

    /// Each number's median over rounds.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(rounds.iter().map(number));
        Self { p50: of(|one| one.p50), p99: of(|one| one.p99), max: of(|one| one.max) }
    }
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values.into_iter().collect()).p50
}

/// `1234567.8` as `1.23 M`.
pub(crate) fn short(value: f64) -> String {
    match value {
        big if big >= 1e6 => format!("{:.2} M", big / 1e6),
        some if some >= 1e4 => format!("{:.0} k", some / 1e3),
        few if few >= 100.0 => format!("{few:.0}"),
        small => format!("{small:.2}"),
    }
}

/// A Markdown table.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(N));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}

/// Where and what this is, for whoever reads the numbers later.
pub(crate) fn machine() {
    let first = |text: &str, name: &str| text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let model = first(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
    let memory = first(&read("/proc/meminfo"), "MemTotal:").unwrap_or_default();
    let commit = Command::new("git").args(["log", "-1", "--format=%h %cs"]).output();
    let commit = commit.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("commit {commit}; {cores} cores{}; memory {}", model.replace("\t:", ":"), memory.trim());
    println!("Linux {}; load {}", read("/proc/sys/kernel/osrelease").trim(), read("/proc/loadavg").trim());
}
